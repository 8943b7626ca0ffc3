"""What pickles look for in the module ``anyjac.jitted`` of then."""

from anyjac import Jitted, jit

__all__ = ["Jitted", "jit"]
