"""Runs the examples of README.md, of docs/ and of the docstrings as tests, beside those of tests/.

The examples of a page follow on from each other: one that runs alone, or in another worker than those before it, has
them run first.
"""

from collections.abc import Callable
from doctest import ELLIPSIS, NORMALIZE_WHITESPACE
from pathlib import Path
from typing import Any

import pytest
from sybil import Document, Example, Region, Sybil
from sybil.document import PythonDocStringDocument
from sybil.integration.pytest import SybilItem
from sybil.parsers.markdown import PythonCodeBlockParser
from sybil.parsers.rest import DocTestParser
from sybil.sybil import SybilCollection
from tests.helpers.repository import ROOT, SOURCE_ROOTS

FLAGS = ELLIPSIS | NORMALIZE_WHITESPACE


class Docstrings(PythonDocStringDocument):
    """The docstrings of one module; the examples of each stand alone, as a reader types them into a new session."""

    def __init__(self, text: str, path: str) -> None:
        Document.__init__(self, text, path)  # the base class would let examples see the module's own imports

    @classmethod
    def parse(cls, path: str, *parsers: Any, encoding: str = "utf-8") -> Document:
        """Read a module and collect the examples in its docstrings."""
        document = cls(Path(path).read_text(encoding), path)
        for start, _, text in cls.extract_docstrings(document.text):
            regions = [region for parser in parsers for region in parser(Document(text, path))]
            for index, region in enumerate(sorted(regions, key=lambda region: region.start)):
                evaluator = region.evaluator if index else _in_a_new_session(region.evaluator)
                document.add(Region(region.start + start, region.end + start, region.parsed, evaluator))
        return document


def _in_a_new_session(evaluate: Callable[[Example], Any]) -> Callable[[Example], Any]:
    def evaluate_first(example: Example) -> Any:
        example.namespace.clear()
        return evaluate(example)

    return evaluate_first


_evaluated_to: dict[int, int] = {}
"""How far each document has been evaluated in this process, by the document's identity."""


@pytest.hookimpl(trylast=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Evaluate the earlier examples of the page that have not run in this process."""
    if not isinstance(item, SybilItem):
        return
    document = item.example.document
    if _evaluated_to.get(id(document), -1) >= item.example.start:  # it has run, before an example that follows on it
        document.namespace.clear()
        del _evaluated_to[id(document)]
    for earlier in document.examples():
        if _evaluated_to.get(id(document), -1) < earlier.start < item.example.start:
            earlier.evaluate()
    _evaluated_to[id(document)] = item.example.start


def collect_in(folder: Path) -> Callable[..., Any]:
    """Return the hook that collects the examples of a working copy."""
    markdown, rst = PythonCodeBlockParser(doctest_optionflags=FLAGS), DocTestParser(FLAGS)
    pages = [
        Sybil([markdown], path=str(folder), patterns=["README.md", "docs/*.md"]),
        Sybil([rst], path=str(folder), patterns=["docs/*.rst"]),
    ]
    modules = [
        Sybil([rst], path=str(folder / root), patterns=["*.py"], document_types={".py": Docstrings})
        for root in SOURCE_ROOTS
    ]
    return SybilCollection([*pages, *modules]).pytest()


pytest_collect_file = collect_in(ROOT)
