"""What pickles look for in the module ``anyjac.namespaces`` of then."""

from anyjac import array_namespace

__all__ = ["array_namespace"]
