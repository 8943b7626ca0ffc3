"""How messages call the inputs and outputs of a call, and the elements in them."""

from __future__ import annotations

from collections.abc import Sequence

from .inputs import Inputs
from .partition import Carried
from .settings import Settings


def primal_labels(settings: Settings, inputs: Inputs) -> list[str]:
    """Return for each primal of a call where it stands: ``argument 0['w']``, or ``grad_vars[1] ('gain')``."""
    labels = [""] * len(inputs.primals)
    given = [(settings.variable_label(index), each) for index, (_, each) in enumerate(inputs.variables)]
    given += [(f"argument {position}", each) for position, each in inputs.arguments]
    for label, each in given:
        for number, path in zip(each.primals, each.tree.paths(), strict=True):
            if number is not None:
                labels[number] = labels[number] or label + path
    return labels


def leaf_labels(output: Carried) -> list[str]:
    """Return for each leaf of an output where it stands: ``the output``, or ``output['loss']``."""
    return [f"output{path}" if path else "the output" for path in output.tree.paths()]


def array_labels(output: Carried) -> list[str]:
    """Return for each array of an output, leaving out constants, where it stands."""
    return [label for label, is_array in zip(leaf_labels(output), output.is_array, strict=True) if is_array]


def element(label: str, index: Sequence[int]) -> str:
    """Return how messages call one element of an array; a scalar is its own element.

    Examples
    --------
    >>> from anyjac.calls.labels import element
    >>> element("argument 0", (1, 2)), element("the output", ())
    ('element [1, 2] of argument 0', 'the output')
    """
    return f"element [{', '.join(map(str, index))}] of {label}" if len(index) else label
