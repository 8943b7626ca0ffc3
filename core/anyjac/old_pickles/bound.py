"""What pickles look for in the module ``anyjac.bound`` of then."""

from functools import partial

from anyjac import BoundVariable, register_models, unregister_models
from anyjac.pickles import part_of_model

_part_of = part_of_model
_alone = partial(part_of_model, path=None)

__all__ = ["BoundVariable", "_alone", "_part_of", "register_models", "unregister_models"]
