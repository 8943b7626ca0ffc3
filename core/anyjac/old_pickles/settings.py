"""What pickles look for in the module ``anyjac.settings`` of then."""

from anyjac.old_pickles import Named, Settings

__all__ = ["Named", "Settings"]
