"""Tools of some tests that not every machine has: a browser, a compiler, libraries of the exhaustive lane."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec


@dataclass(frozen=True)
class Tool:
    """A tool of tests that is not part of the quick lane's environment."""

    name: str
    """The name of the tool in a sentence, with the verb: "Chromium is"."""
    is_there: Callable[[], bool]
    install: str
    """The command that installs the tool."""


def _executables(*names: str) -> Callable[[], bool]:
    return lambda: all(shutil.which(name) for name in names)


def _compiler() -> bool:
    from anyjac_torch.code_generation import missing

    return missing() is None


def _package(name: str) -> Tool:
    return Tool(
        f"the package {name} is", lambda: find_spec(name) is not None, 'python -m pip install -e ".[exhaustive]"'
    )


PACKAGES = ("brainpy", "brainstate", "diffrax", "equinox", "expecttest", "flax", "matplotlib", "mypy", "numpydoc")

TOOLS = {
    "chromium": Tool(
        "Chromium with ChromeDriver is",
        _executables("chromium", "chromedriver"),
        "apt-get install chromium chromium-driver",
    ),
    "compiler": Tool(
        "a C++ compiler, for what PyTorch generates, is",
        _compiler,
        "apt-get install g++ python3-dev",
    ),
    **{name: _package(name) for name in PACKAGES},
}
"""The tools by the names that the marker `needs` takes."""


@cache
def is_missing(name: str) -> bool:
    """Return whether a tool is not on this machine."""
    return not TOOLS[name].is_there()
