"""A report with an example of each feature, for the tests of its page."""

from typing import Any

from anyjac_conformance import CLAUSES

BACKENDS = ("autograd", "jax", "mlx", "torch")
HTML = "<script>document.title = 'taken over'</script>"
TRACEBACK = f"""Traceback (most recent call last):
  File "scenarios/packing.py", line 12, in of_a_matrix
    return anyjac.jacrev(lambda x: x @ x.T)(lab.array([[1.0, 2.0], [3.0, 4.0]])) + {"a_very_long_name" * 8}
ValueError: {HTML}
"""


def result(backend: str, clause: str, name: str, status: str = "passed", **more: Any) -> dict[str, Any]:
    """The entry of a scenario in a report."""
    values = {
        "backend": backend,
        "scenario": f"{clause}:{name.replace(' ', '-')}",
        "clause": clause,
        "name": name,
        "status": status,
        "faults": [],
        "reason": "",
        "traceback": None,
        "seconds": 0.0123,
        "worst_error": 1.1e-16,
        "device": "cpu:0",
    }
    return {**values, **more}


def backend_entry(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "framework_version": "1.2.3",
        "distribution": "anyjac 0.1.0",
        "device": "cpu:0",
        "capabilities": ["complex", "nested"],
    }


def a_report() -> dict[str, Any]:
    """Three scenarios of each clause on each backend; on jax and mlx there is a fault of each kind."""
    names = ("of a scalar", "of a matrix", "of a tree")
    results = [result(backend, clause, name) for backend in BACKENDS for clause in CLAUSES for name in names]
    other = {
        ("jax", "packing/block:of-a-matrix"): {
            "status": "failed",
            "faults": ["[0]['w']: shape (2, 3), expected (3, 2)", f"[1]: {HTML}"],
            "traceback": TRACEBACK,
            "worst_error": float("inf"),
            "device": "cpu:3",
        },
        ("jax", "dtypes/real:of-a-tree"): {"status": "error", "traceback": TRACEBACK, "worst_error": None},
        ("mlx", "dtypes/empty:of-a-scalar"): {"status": "expected failure", "reason": "MLX has no float64."},
        ("autograd", "composition/nested:of-a-tree"): {"status": "not declared", "reason": "No `nested` here."},
    }
    for one in results:
        one.update(other.get((one["backend"], one["scenario"]), {}))
    return {
        "format": "anyjac-conformance",
        "version": 1,
        "created": "2026-11-23T07:00:00+01:00",
        "anyjac": "0.1.0",
        "python": "3.11.7",
        "platform": "Linux-6.1-x86_64",
        "environment": {"ANYJAC_BACKEND": "jax"},
        "clauses": dict(CLAUSES),
        "backends": [backend_entry(name) for name in BACKENDS],
        "expected_failures": [
            {"backend": "mlx", "scenario": "dtypes/*", "reason": "MLX has no `float64`.", "raises": "DtypeError"}
        ],
        "results": [one for one in results if (one["backend"], one["clause"]) != ("torch", "devices/unknown")],
    }
