"""Which backend and which device. Reads types of arrays, context and environment; touches no value and no Variable."""

from ..lazy import lazily as _lazily

_HOMES = {
    "anyjac.selection.public": (
        "backends",
        "devices",
        "get_backend",
        "register_backend",
        "set_default_backend",
        "unregister_backend",
        "use_backend",
    )
}
# Pickles look for them here that were made when this was a module.
__getattr__, _ = _lazily(globals(), _HOMES)
