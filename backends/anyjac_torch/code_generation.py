"""Whether PyTorch can generate code on this machine; where it cannot, that is said once, by name.

PyTorch writes C++ for what `torch.compile` makes, and looks for a compiler and for the headers of Python when the first
function is called. What it lacks then ends in an error of its own; `is_possible` looks before.
"""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
import warnings
from pathlib import Path
from typing import Final

from anyjac_plugins.errors import UncompiledWarning

_DEFAULT_COMPILER: Final = {"darwin": "clang++", "win32": "cl"}
_INSTALL: Final = {
    "darwin": "xcode-select --install",
    "win32": 'the workload "Desktop development with C++" of the Visual Studio Build Tools',
}
_ON_LINUX: Final = "apt-get install g++ (Debian, Ubuntu), dnf install gcc-c++ (Fedora) or conda install gxx"


_said: dict[str, object] = {}
"""What was said to be missing, each by a mark of the call that said it."""


def is_possible() -> bool:
    """Return whether PyTorch finds what it needs to generate code; the first time that it does not, warn."""
    lacks = missing()
    if lacks is None:
        return True
    mark = object()
    if _said.setdefault(lacks, mark) is mark:  # of several threads one alone
        _warn(lacks)
    return False


def missing() -> str | None:
    """Return what PyTorch lacks to generate code and what brings it, None where it lacks nothing.

    PyTorch is not asked, since it would be imported for that, and remembers what it once has not found.
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
