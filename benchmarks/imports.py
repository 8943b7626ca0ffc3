"""What ``import anyjac`` costs over an interpreter that does nothing, each in a process of its own, interleaved."""

from __future__ import annotations

import subprocess
import sys
from typing import Final

from .samples import IMPORT, Row
from .timing import Effort, Thunk, interleave

BARE: Final = "python"
IMPORTED: Final = "import anyjac"


def import_row(effort: Effort) -> Row:
    """Time the bare interpreter and the import."""
    thunks = {BARE: _process("pass"), IMPORTED: _process("import anyjac")}
    return Row(IMPORT, BARE, IMPORTED, interleave(thunks, effort))


def _process(code: str) -> Thunk:
    return lambda: subprocess.run([sys.executable, "-c", code], check=True)
