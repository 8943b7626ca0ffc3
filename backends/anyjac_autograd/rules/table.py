"""`RuleTable`: rules for batches by primitive of autograd, and `Call`, of which a rule is told.

`dense` and `sparse` have one table each. Knows no primitive and no rule.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import autograd.numpy as anp

Array = Any
Rows = Any
"""A batch: an array with a leading axis, a tuple, list or dict of batches, `RowsAtIndex`, `Part` or `SparseRows`."""


class CannotBatchError(Exception):
    """Raised by a rule that does not know what to do with a call."""


@dataclass(slots=True)
class Call:
    """One call of a primitive with batches among its arguments.

    Parameters
    ----------
    fun
        The primitive.
    example
        Its result for one row, of which only the structure, the shape and the dtype mean anything.
    args, kwargs
        Its arguments, with an example of one row for each batch.
    batched
        The batches, by position.
    count
        The number of rows.
    """

    fun: Callable[..., Any]
    example: Any
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    batched: Mapping[int, Rows]
    count: int

    def substituted(self, changes: Mapping[int, Any]) -> list[Any]:
        """Return the arguments with some of them replaced."""
        args = list(self.args)
        for position, value in changes.items():
            args[position] = value
        return args

    def option(self, position: int, name: str, default: Any = None) -> Any:
        """Return an argument that may be given by position or by name."""
        return self.args[position] if len(self.args) > position else self.kwargs.get(name, default)

    def operand(self, position: int) -> Array:
        """Return the batch at a position or, where there is none, the array."""
        return self.batched.get(position, self.args[position])

    def ndim(self, position: int) -> int:
        """Return the number of axes of an operand, without the one of the batch."""
        return int(anp.ndim(self.operand(position))) - (position in self.batched)

    @property
    def only(self) -> Array:
        """The batch of a call whose first argument is a batch, and no further argument.

        Raises
        ------
        CannotBatchError
            If there are other batches.
        """
        if self.batched.keys() != {0}:
            raise CannotBatchError
        return self.batched[0]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the batch of results."""
        return (self.count, *anp.shape(self.example))


Rule = Callable[[Call], Any]
"""Returns the batch of a call's results."""


class RuleTable(dict[Callable[..., Any], Rule]):
    """Rules by primitive."""

    def of(self, *primitives: Callable[..., Any]) -> Callable[[Rule], Rule]:
        """Return a decorator that enters a rule for some primitives."""

        def enter(rule: Rule) -> Rule:
            self.update(dict.fromkeys(primitives, rule))
            return rule

        return enter
