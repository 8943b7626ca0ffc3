"""Arrays that a function has put where Variables stood.

``self.v = self.v + 1`` puts an array where the Variable was, which is lost then, and with it the state. Such a function
is refused, and the Variable put back; one that has only put the Variable elsewhere is not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from anyjac_plugins.errors import VariableWriteError

from ..selection.choice import is_number, kind_of
from ..state.variable import Variable
from .places import Place


def take_back_replaced(places: Sequence[Place], find: Callable[[], Sequence[Place]]) -> list[Place]:
    """Put Variables back where arrays or numbers stand now, and return their places.

    Parameters
    ----------
    find
        Finds where Variables stand now, for one that only stands in a new place is not lost.
    """
    replaced = [each for each in places if (now := each.held_now()) is not each.variable and _is_plain(now)]
    if not replaced:
        return []
    before = {(id(each.container), each.key) for each in places}
    moved = {id(each.variable) for each in find() if (id(each.container), each.key) not in before}
    lost = [each for each in replaced if each.shadows or id(each.variable) not in moved]
    for each in lost:
        each.put_back()
    return lost


def lost_variable(lost: Place) -> VariableWriteError:
    """Return the error for an array where a Variable stood, which names it and the mend."""
    path = lost.name()
    return VariableWriteError(
        f"{path} was {lost.variable.label()} when the function began, and the function has put an array there, by "
        f"which the Variable would be lost; write its value: {path}.value = ..."
    )


def _is_plain(value: Any) -> bool:
    """Return whether something is an array or a number, and no Variable."""
    return not isinstance(value, Variable) and (is_number(value) or kind_of(value) is not None)
