"""Functions of arrays for users, on any backend. Reads arrays and the innermost scope; differentiates nothing."""

from ..lazy import lazily as _lazily

_HOMES = {"anyjac.arrays.helpers": ("device", "size", "stop_gradient", "to_device")}
# Pickles look for them here that were made when this was a module.
__getattr__, _ = _lazily(globals(), _HOMES)
