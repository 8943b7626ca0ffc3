"""What a plugin did wrong, in one line."""

from __future__ import annotations


def told(error: BaseException) -> str:
    """Return the kind and the text of an error in one line."""
    return on_one_line(f"{type(error).__name__}: {error}")


def on_one_line(text: str) -> str:
    """Return a text in one line."""
    return " ".join(text.split())
