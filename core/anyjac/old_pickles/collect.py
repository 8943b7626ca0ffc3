"""What pickles look for in the module ``anyjac.collect`` of then."""

from anyjac import train_vars, variables

__all__ = ["train_vars", "variables"]
