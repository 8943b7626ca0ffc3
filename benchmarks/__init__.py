"""How long Jacobians take, next to each framework's own function: ``python -m benchmarks``.

In double precision, with one thread for each library: settings that libraries read when they are imported.
"""

import os

os.environ["JAX_ENABLE_X64"] = "1"
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
