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
from functools import cache
from pathlib import Path
from typing import Final

from anyjac_plugins.errors import UncompiledWarning

_DEFAULT_COMPILER: Final = {"darwin": "clang++", "win32": "cl"}
_INSTALL: Final = {
    "darwin": "xcode-select --install",
    "win32": 'the workload "Desktop development with C++" of the Visual Studio Build Tools',
}
_ON_LINUX: Final = "apt-get install g++ (Debian, Ubuntu), dnf install gcc-c++ (Fedora) or conda install gxx"


def is_possible() -> bool:
    """Return whether PyTorch finds what it needs to generate code; the first time that it does not, warn."""
    lacks = _missing(os.environ.get("CXX"), os.environ.get("PATH"))
    if lacks is not None:
        _warn_once(lacks)
    return lacks is None


@cache
def _missing(named: str | None, path: str | None) -> str | None:
    """Return what PyTorch lacks and what brings it, None where it lacks nothing.

    Parameters
    ----------
    named
        The compiler that the environment names in ``CXX``.
    path
        Where programs are looked for; named here so that another path is looked at anew.
    """
    compiler = named or _DEFAULT_COMPILER.get(sys.platform, "g++")
    if shutil.which(compiler, path=path) is None and not os.environ.get("TORCH_INDUCTOR_INSTALL_GXX"):
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


@cache
def _warn_once(lacks: str) -> None:
    warnings.warn(
        f"anyjac.jit runs uncompiled on PyTorch, with the same results: {lacks}.", UncompiledWarning, stacklevel=4
    )
