"""What pickles look for in the module ``anyjac.variable`` of then."""

from anyjac import TrainVar, Variable
from anyjac.pickles import blank as _blank

__all__ = ["TrainVar", "Variable", "_blank"]
