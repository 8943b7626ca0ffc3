"""What pickles look for in the module ``anyjac.transform`` of then."""

from anyjac.old_pickles import transform

GradientTransform = transform

__all__ = ["GradientTransform"]
