"""How messages call the inputs and outputs of a call, and the elements in them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ..selection.conversion import Label
from ..trees.partition import Partition
from ..trees.structure import TreeDef


def leaf_label(label: Label, tree: TreeDef, index: int) -> str:
    """Return how messages call one leaf of a tree, given how they call the tree."""
    return label() + tree.paths()[index]


def argument_label(position: int) -> Label:
    """Return how messages call a positional argument."""
    return partial("argument {}".format, position)


def output_label(tree: TreeDef, index: int) -> Label:
    """Return how messages call one leaf of the output, by itself: ``the output``, or ``output['loss']``."""
    return lambda: _output_at(tree.paths()[index])


def vector_label(kind: str, tree: TreeDef, index: int) -> Label:
    """Return how messages call one leaf of the tangents or cotangents that a user gave."""
    return lambda: _alone_or_at(f"the {kind}", f"{kind}s", tree.paths()[index])


def _output_at(path: str) -> str:
    return _alone_or_at("the output", "output", path)


def _alone_or_at(alone: str, several: str, path: str) -> str:
    return several + path if path else alone


def leaf_labels(output: Partition) -> list[str]:
    """Return for each leaf of an output where it stands: ``the output``, or ``output['loss']``."""
    return [_output_at(path) for path in output.tree.paths()]


def array_labels(output: Partition) -> list[str]:
    """Return for each array of an output, leaving out constants, where it stands."""
    return [label for label, is_array in zip(leaf_labels(output), output.is_array, strict=True) if is_array]


def element_label(label: str, index: Sequence[int]) -> str:
    """Return how messages call one element of an array; a scalar is its own element.

    Examples
    --------
    >>> from anyjac.calls.labels import element_label
    >>> element_label("argument 0", (1, 2)), element_label("the output", ())
    ('element [1, 2] of argument 0', 'the output')
    """
    return f"element [{', '.join(map(str, index))}] of {label}" if len(index) else label
