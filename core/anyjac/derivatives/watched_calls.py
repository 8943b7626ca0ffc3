"""Which calls of a transform are watched for derivatives that are lost to Python.

To watch costs about a microsecond for each operator on PyTorch. So the first calls are watched, and fewer and fewer of
those that follow, where other branches may run; with ``strict=True`` all are. Knows no function and no array.
"""

from __future__ import annotations

from anyjac_plugins import environment

from ..calls.settings import Settings


class WatchedCalls:
    """The count of a transform's calls, for all objects that a method is bound to; a copy begins anew."""

    __slots__ = ("_calls",)

    def __init__(self) -> None:
        self._calls = 0

    def next(self, settings: Settings) -> bool | None:
        """Count a call, and return whether a loss in it is an error; None for a call that is not watched."""
        self._calls = calls = self._calls + 1
        if settings.strict or environment.is_strict():
            return True
        return None if calls & (calls - 1) else False  # calls 1, 2, 4, 8, …
