"""Types that calls return and nobody makes: for annotations, for pickles and for the reference.

They are names of anyjac like those in `public_names`, but ``from anyjac import *`` and ``dir`` leave them out.
"""

from anyjac_plugins import BackendInfo as BackendInfo
from anyjac_plugins import CacheInfo as CacheInfo

from .checks.check_derivative import DerivativeCheck as DerivativeCheck
from .derivatives.rows import RowBlock as RowBlock
from .programs.jit import Jitted as Jitted
from .programs.vmap import Mapped as Mapped
