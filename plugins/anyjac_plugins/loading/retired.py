"""What plugins of an earlier interface version have, and where it has gone.

An override that anyjac no longer calls would be ignored in silence, which could be slow or wrong; so it is refused.
Knows `Backend`; imports no plugin.
"""

from __future__ import annotations

import inspect
from typing import Final

from ..backend.backend import Backend
from ..paths import Paths

GUIDE: Final = "'Coming from version 1' in docs/write-a-backend.rst"
"""Where the author of a plugin reads what to do."""

MEMBERS: Final[dict[str, str]] = {
    # member of version 1      what stands in its place
    "pullback_blocks": "output_rows",
    "pullback_identity": "output_rows",
    "identity_rows": "seeds",
    "find_nonfinite_in_map": "find_nonfinite",
    "grad": "framework_transforms",
    "compile": "framework_transforms",
    "vmap": "framework_transforms",
    "paths": "Paths",
    "forced_path": "Paths",
}
"""What has become of members of `Backend` that are gone."""

NAMES: Final[dict[str, str]] = {"Noted": "StagedResult"}
"""What has become of names in `anyjac_plugins` that are gone."""


def retired_members(cls: type[Backend]) -> dict[str, str]:
    """Return the members of version 1 that a class of backends overrides, each with what stands in its place."""
    bases = [base for base in cls.__mro__ if base not in Backend.__mro__]
    own = {name: value for base in bases for name, value in vars(base).items()}
    found = {name: now for name, now in MEMBERS.items() if name in own and not isinstance(own[name], Paths)}
    if "find_nonfinite" in own and "primals" in inspect.signature(cls.find_nonfinite).parameters:
        found["find_nonfinite(fun, primals)"] = "find_nonfinite(computation)"
    return found


def what_has_moved() -> str:
    """Return in one line which members and names are gone, and their successors."""
    return listed({**MEMBERS, **NAMES})


def listed(moved: dict[str, str]) -> str:
    """Return in one line which names stand in the place of which.

    Examples
    --------
    >>> from anyjac_plugins.loading.retired import listed
    >>> listed({"grad": "framework_transforms", "vmap": "framework_transforms", "identity_rows": "seeds"})
    'grad, vmap -> framework_transforms; identity_rows -> seeds'
    """
    by_successor: dict[str, list[str]] = {}
    for name, now in moved.items():
        by_successor.setdefault(now, []).append(name)
    return "; ".join(f"{', '.join(names)} -> {now}" for now, names in by_successor.items())
