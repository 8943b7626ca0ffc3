"""A stand-in until the page is merged."""

from collections.abc import Mapping
from typing import Any


def render_page(report: Mapping[str, Any]) -> str:
    return ""
