"""Verdicts on one check of a function of the array API on one backend."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

RIGHT: Final = "right"
WRONG: Final = "wrong"
REFUSED: Final = "refused"


@dataclass(frozen=True)
class Verdict:
    """The verdict on one check on one backend: right, wrong or refused, with the reason."""

    name: str
    status: str
    reason: str = ""
