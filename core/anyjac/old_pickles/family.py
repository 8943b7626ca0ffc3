"""What pickles look for in the module ``anyjac.family`` of then."""

from anyjac.old_pickles import Derivative
from anyjac.old_pickles import forgotten as differentiate
from anyjac.old_pickles import forgotten as itself

__all__ = ["Derivative", "differentiate", "itself"]
