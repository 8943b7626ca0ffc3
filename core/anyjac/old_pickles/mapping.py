"""What pickles look for in the module ``anyjac.mapping`` of then."""

from anyjac import vmap
from anyjac.old_pickles import MapAxes as _Axes
from anyjac.old_pickles import MapOptions as _Options
from anyjac.old_pickles import mapped

Mapped = mapped

__all__ = ["Mapped", "_Axes", "_Options", "vmap"]
