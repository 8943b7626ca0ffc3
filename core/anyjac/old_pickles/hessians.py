"""What pickles look for in the module ``anyjac.hessians`` of then."""

from anyjac import hessian, hvp
from anyjac.old_pickles import forgotten as _operand
from anyjac.old_pickles import forgotten as _second

__all__ = ["_operand", "_second", "hessian", "hvp"]
