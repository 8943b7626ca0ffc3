"""What pickles look for in the module ``anyjac.caches`` of then."""

from anyjac import cache_clear, cache_info

__all__ = ["cache_clear", "cache_info"]
