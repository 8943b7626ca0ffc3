"""Jacobians of stateful Python code, on any array backend, with one contract.

`jacrev` differentiates a function with respect to its arguments and to the Variables that it uses. Everything here is
imported when it is first used, so that ``import anyjac`` costs next to nothing and imports no framework.

A new name is a line in `public_names` and stands nowhere else: type checkers follow the import statements there, and
Python reads in the same statements which module to import when the name is first used.
"""

TYPE_CHECKING = False  # True for type checkers; the module typing would take longer to import than everything here

if TYPE_CHECKING:
    from .public_names import *
    from .returned_types import *
else:
    from .lazy import homes_in as _homes_in
    from .lazy import lazily as _lazily

    _public, _returned = _homes_in("anyjac.public_names"), _homes_in("anyjac.returned_types")
    __all__ = sorted(name for names in _public.values() for name in names)
    __getattr__, __dir__ = _lazily(globals(), _public, unlisted=_returned)

__version__ = "0.1.0"

__path__.append(f"{__path__[0]}/old_pickles")  # where pickles find the modules of then
