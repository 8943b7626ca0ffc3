"""Docstrings that borrow paragraphs from the docstring of `jacrev`, so that ``help`` of each function is complete.

In the source a function says "As in `jacrev`." in the place of the borrowed text: below the names of parameters, as the
last of the errors, among the notes. Examples stand in the source as they are. Knows text alone.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable
from typing import Any, Final, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

_SAME: Final = "As in `jacrev`."
_OF_RETURNS: Final = {
    _SAME: slice(None),
    "Packed as in `jacrev`.": slice(1, 2),
    "Flags as in `jacrev`.": slice(2, None),
}
"""Sentences in Returns, and the paragraphs of the Returns of `jacrev` that stand for each of them."""

_HEADING: Final = re.compile(r"^(\w[\w ]*)\n-{3,}\n", re.MULTILINE)
_ENTRY: Final = re.compile(r"^(\S.*)\n((?:(?:[ ].*)?\n)+)", re.MULTILINE)


def filled_from(source: Callable[..., Any]) -> Callable[[F], F]:
    """Return a decorator that fills a docstring in numpydoc's format with texts of another function.

    Parameters
    ----------
    source
        The function whose docstring has all texts in full: `jacrev`, or another one in tests.

    Returns
    -------
    Callable
        Takes a function, fills its docstring and returns the function. With ``python -OO`` there are no docstrings, and
        nothing is filled.

    Examples
    --------
    >>> import anyjac
    >>> from anyjac.derivatives.docstrings import filled_from
    >>> @filled_from(anyjac.jacrev)
    ... def mine(chunk_size):
    ...     '''Do nothing.
    ...
    ...     Parameters
    ...     ----------
    ...     chunk_size
    ...         As in `jacrev`.
    ...     '''
    >>> print(mine.__doc__)
    Do nothing.
    <BLANKLINE>
    Parameters
    ----------
    chunk_size
        Number of rows to compute at once; None for a size that keeps memory within bounds.
    """

    def fill(func: F) -> F:
        if func.__doc__ and source.__doc__:
            own, theirs = _sections(func.__doc__), _sections_of_source(source.__doc__)
            own |= {name: _FILL[name](text, theirs[name]) for name, text in own.items() if name in _FILL}
            func.__doc__ = "\n\n".join(
                f"{name}\n{'-' * len(name)}\n{text}" if name else text for name, text in own.items()
            )
        return func

    return fill


def _sections(doc: str) -> dict[str, str]:
    """Return the text below each heading; the summary below an empty one."""
    summary, *rest = _HEADING.split(inspect.cleandoc(doc))
    texts = dict(zip(rest[::2], rest[1::2], strict=True))
    return {name: text.strip("\n") for name, text in {"": summary, **texts}.items()}


_sections_of_source: Final = functools.cache(_sections)


def _entries(section: str) -> list[tuple[str, str]]:
    """Return the entries of a section: the line that names something, and the indented text below."""
    return [(head, text.strip("\n")) for head, text in _ENTRY.findall(f"{section}\n")]


def _joined(entries: list[tuple[str, str]]) -> str:
    return "\n".join(f"{head}\n{text}" for head, text in entries)


def _fill_parameters(own: str, theirs: str) -> str:
    """Return entries in which each parameter that several share a text with has an entry of its own."""
    texts = {name: text for head, text in _entries(theirs) for name in head.split(", ")}
    return _joined(
        [
            (name, texts[name] if text.strip() == _SAME else text)
            for head, text in _entries(own)
            for name in (head.split(", ") if text.strip() == _SAME else [head])
        ]
    )


def _fill_raises(own: str, theirs: str) -> str:
    """Return the errors of both; for errors in both the function's own text stands."""
    kept = {head: text for head, text in _entries(own) if text.strip() != _SAME}
    borrowed = _entries(theirs) if len(kept) < len(_entries(own)) else []
    return _joined([*kept.items(), *((head, text) for head, text in borrowed if head not in kept)])


def _fill_returns(own: str, theirs: str) -> str:
    """Return the paragraphs with those on packing and flags in the place of the sentences for them."""
    kind, _, text = own.partition("\n")
    source = theirs.partition("\n")[2].split("\n\n")
    filled: list[str] = []
    for paragraph in text.split("\n\n"):
        sentence = paragraph.strip()
        filled += source[_OF_RETURNS[sentence]] if sentence in _OF_RETURNS else [paragraph]
    return f"{kind}\n" + "\n\n".join(filled)


def _fill_notes(own: str, theirs: str) -> str:
    """Return the notes with those of the source in the place of the sentence for them."""
    return "\n\n".join(theirs if text == _SAME else text for text in own.split("\n\n"))


_FILL: Final = {
    "Parameters": _fill_parameters,
    "Returns": _fill_returns,
    "Raises": _fill_raises,
    "Notes": _fill_notes,
}
