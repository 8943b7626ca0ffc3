"""What pickles look for in the module ``anyjac.elements`` of then."""

from anyjac import at

__all__ = ["at"]
