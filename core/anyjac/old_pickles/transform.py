"""What pickles look for in the module ``anyjac.transform`` of then."""

from anyjac.old_pickles import transformed as GradientTransform  # noqa: N812

__all__ = ["GradientTransform"]
