"""What pickles look for in the module ``anyjac.jacobians`` of then."""

from anyjac import jacfwd, jacobian, jacrev
from anyjac.old_pickles import forgotten as blocks_in_mode

__all__ = ["blocks_in_mode", "jacfwd", "jacobian", "jacrev"]
