"""What pickles look for in the module ``anyjac.gradients`` of then."""

from anyjac import derivative, grad, value_and_grad, vector_grad
from anyjac.old_pickles import forgotten as _blocks_of_scalar
from anyjac.old_pickles import forgotten as _blocks_of_sum
from anyjac.old_pickles import forgotten as gradient

__all__ = ["_blocks_of_scalar", "_blocks_of_sum", "derivative", "grad", "gradient", "value_and_grad", "vector_grad"]
