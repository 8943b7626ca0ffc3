"""What pickles look for in the module ``anyjac_plugins.jacobian`` of then."""

from anyjac_plugins import CacheInfo

__all__ = ["CacheInfo"]
