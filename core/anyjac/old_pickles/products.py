"""What pickles look for in the module ``anyjac.products`` of then."""

from anyjac import jvp, linearize, vjp
from anyjac.old_pickles import forgotten as _linearised
from anyjac.old_pickles import forgotten as along

__all__ = ["_linearised", "along", "jvp", "linearize", "vjp"]
