"""Whether PyTorch can generate code on this machine; if not, a warning names once the missing program or header.

`torch.compile` writes C++, and looks for a compiler and for the headers of Python when the first function is called. It
raises an error of its own if one is missing then; `is_possible` looks before.
"""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
import warnings
from pathlib import Path
from typing import Any, Final

from anyjac_plugins.errors import UncompiledWarning

from . import private
from .overlapping import VERSION, make_bases_contiguous

_DEFAULT_COMPILER: Final = {"darwin": "clang++", "win32": "cl"}
_INSTALL: Final = {
    "darwin": "xcode-select --install",
    "win32": 'the workload "Desktop development with C++" of the Visual Studio Build Tools',
}
_ON_LINUX: Final = "apt-get install g++ (Debian, Ubuntu), dnf install gcc-c++ (Fedora) or conda install gxx"


_said: dict[str, object] = {}
"""The warnings that were given, each with a mark of the call that gave it."""


def is_possible() -> bool:
    """Return whether PyTorch can generate code on this machine; warn the first time that it cannot."""
    lacks = missing()
    if lacks is None:
        return True
    mark = object()
    if _said.setdefault(lacks, mark) is mark:  # of several threads, one warns
        _warn(lacks)
    return False


def options() -> dict[str, Any]:
    """Return the options with which PyTorch generates code that gives the numbers of its operators."""
    return private.generator_options(make_bases_contiguous, VERSION)


def missing() -> str | None:
    """Return a sentence on the program or header that PyTorch lacks to generate code; None if it lacks nothing.

    PyTorch itself is not asked: it would have to be imported, and remembers for ever that it has found nothing.
    """
    named = os.environ.get("CXX")
    compiler = named or _DEFAULT_COMPILER.get(sys.platform, "g++")
    if shutil.which(compiler) is None and not os.environ.get("TORCH_INDUCTOR_INSTALL_GXX"):
        wanted = f"the C++ compiler {compiler!r}" + (", which the environment names in CXX," if named else "")
        mend = (
            f"install it: {_INSTALL.get(sys.platform, _ON_LINUX)}; or name one that there is in the environment's CXX"
        )
        return f"{wanted} is not installed; {mend}"
    header = Path(sysconfig.get_path("include")) / "Python.h"
    if not header.exists():
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        return (
            f"the header {header} is not installed; install the headers of this Python: apt-get install "
            f"python{version}-dev (Debian, Ubuntu) or dnf install python{version}-devel (Fedora)"
        )
    return None


def _warn(lacks: str) -> None:
    warnings.warn(
        f"anyjac.jit runs uncompiled on PyTorch, with the same results: {lacks}.", UncompiledWarning, stacklevel=4
    )
