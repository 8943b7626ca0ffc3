"""What pickles look for in the module ``anyjac_plugins.registry`` of then."""

from anyjac_plugins import BackendInfo

__all__ = ["BackendInfo"]
