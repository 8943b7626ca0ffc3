"""What pickles look for in the module ``anyjac.checking`` of then."""

from anyjac import DerivativeCheck, check_derivative

__all__ = ["DerivativeCheck", "check_derivative"]
