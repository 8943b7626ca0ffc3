"""The templates of this package, by way of jinja2, which comes with the extra ``conformance``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from anyjac import MissingExtraError
from anyjac_plugins.installing import extra

if TYPE_CHECKING:
    from jinja2 import Environment


def make_environment(folder: str, **options: Any) -> Environment:
    """Make the environment of jinja2 that fills the templates of a folder; a missing name is an error.

    Raises
    ------
    MissingExtraError
        If jinja2 is not installed.
    """
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"templates need jinja2, which is not installed: pip install {extra('conformance')}", name=error.name
        ) from error
    return Environment(loader=PackageLoader("anyjac_conformance", folder), undefined=StrictUndefined, **options)
