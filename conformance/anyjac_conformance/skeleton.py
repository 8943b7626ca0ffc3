"""The skeleton of a new backend: an installable project whose conformance run begins with clear failures."""

from __future__ import annotations

import keyword
from pathlib import Path
from typing import Final

import anyjac
from anyjac import InputValueError

from .reports.filling import make_environment

FILES: Final = {
    # template                where it goes
    "pyproject.toml.jinja": "pyproject.toml",
    "README.md.jinja": "README.md",
    "hook.py.jinja": "{package}/__init__.py",
    "backend.py.jinja": "{package}/backend.py",
    "test_conformance.py.jinja": "tests/test_conformance.py",
    "conformance.yml.jinja": ".github/workflows/conformance.yml",
}


def write_skeleton(name: str, folder: str | Path | None = None) -> Path:
    """Write a project for a backend.

    Parameters
    ----------
    name
        The backend's name, a Python identifier in lower case.
    folder
        Where to write; None for ``anyjac-NAME`` in the working directory. The folder must be new or empty.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    InputValueError
        If the name is no Python identifier in lower case or is taken, or if the folder is in use.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from anyjac_conformance import write_skeleton
    >>> with TemporaryDirectory() as parent:
    ...     made = write_skeleton("mine", Path(parent, "anyjac-mine"))
    ...     sorted(path.name for path in made.iterdir())
    ['.github', 'README.md', 'anyjac_mine', 'pyproject.toml', 'tests']
    """
    _check_name(name)
    root = Path(f"anyjac-{name}" if folder is None else folder)
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise InputValueError(f"{root} exists already, and is no empty folder; name another with --folder")
    names = {"name": name, "package": f"anyjac_{name}", "cls": "".join(map(str.title, name.split("_"))) + "Backend"}
    for template, target in FILES.items():
        path = root / target.format(**names)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_render(template, names), encoding="utf-8")
    return root


def _render(template: str, names: dict[str, str]) -> str:
    return make_environment("templates/skeleton", keep_trailing_newline=True).get_template(template).render(**names)


def _check_name(name: str) -> None:
    if not name.isidentifier() or keyword.iskeyword(name) or name != name.lower() or name.startswith("_"):
        raise InputValueError(f"a backend cannot be called {name!r}; give a Python identifier in lower case")
    taken = {other for info in anyjac.backends() for other in (info.name, *info.aliases)}
    if name in taken:
        raise InputValueError(f"there is a backend called {name!r} already; give another name")
