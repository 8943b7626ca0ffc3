"""What stands for a Variable where a framework takes objects apart and puts them together again inside its own code."""

from __future__ import annotations

from typing import Any

from anyjac_plugins.errors import VariableWriteError

from .operators import ArrayOperators


class VariableView(ArrayOperators):
    """The value of a Variable inside a framework's own transformation: reads as the Variable, and cannot be written.

    Parameters
    ----------
    value
        What it shows.

    Examples
    --------
    >>> from anyjac.view import VariableView
    >>> VariableView(2.0) * 3
    6.0
    """

    __slots__ = ("_shown",)

    def __init__(self, value: Any) -> None:
        self._shown = value

    @property
    def value(self) -> Any:
        """The value."""
        return self._shown

    @value.setter
    def value(self, new: Any) -> None:
        raise VariableWriteError(
            "a Variable that was given to a function of the framework as an argument cannot be written there; let the "
            "function refer to the Variable itself"
        )

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._shown, name)
