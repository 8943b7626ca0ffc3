"""What a user types after ``pip install`` to get an extra of anyjac."""

from __future__ import annotations

from typing import Final

_EXTRA: Final = '".[{}]" in the folder of a clone of anyjac'
"""The one place that says where anyjac comes from: a clone, as long as no index has a release of it."""


def extra(name: str) -> str:
    """Return what installs an extra of anyjac, to be put behind ``pip install``.

    Examples
    --------
    >>> from anyjac_plugins.installing import extra
    >>> print("pip install " + extra("jax"))
    pip install ".[jax]" in the folder of a clone of anyjac
    """
    return _EXTRA.format(name)
