"""What pickles look for in the module ``anyjac_plugins.spec`` of then."""

from anyjac_plugins import BackendSpec

__all__ = ["BackendSpec"]
