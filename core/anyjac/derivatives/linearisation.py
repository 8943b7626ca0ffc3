"""One run of a function, kept for as long as products with its Jacobian are wanted.

The scope of the call is closed when `linearise` returns, so products that are computed later hold no Variable. Knows
nothing of the use of the products.
"""

from __future__ import annotations

import copy
import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from anyjac_plugins import Array, Backend, LinearMap, OutputRows
from anyjac_plugins.errors import TracerLeakError
from anyjac_plugins.locking import SafeLock

from ..calls.call import call
from ..calls.inputs import Inputs
from ..calls.labels import array_labels, element_label, leaf_labels
from ..calls.nonfinite import Look, error_at, first_nonfinite, one_hot, origin_in_map
from ..calls.packing import pack_gradient
from ..calls.run import FlatRun
from ..calls.settings import Settings
from ..state.scope import Scope
from ..trees.partition import GAP, Partition
from ..trees.structure import TreeDef

Product = TypeVar("Product")


@dataclass(frozen=True, slots=True)
class OutputLeaf:
    """One leaf of the output.

    Attributes
    ----------
    number
        The position among all leaves.
    shape
        The shape of the leaf.
    index
        The position among the differentiated outputs; None for a constant, whose rows are zeros.
    """

    number: int
    shape: tuple[int, ...]
    index: int | None

    @property
    def size(self) -> int:
        """The number of its elements, each of which has a row."""
        return math.prod(self.shape)


class Linearisation:
    """A function at a point, as a linear map between tangents, or cotangents, of its inputs and its outputs.

    Primals, value and aux data are copies, so that later changes in place reach no product.

    Attributes
    ----------
    primals, outputs
        The arrays that are differentiated, and their images.
    leaves
        All leaves of the output, constants among them.
    output, output_tree
        The output of the function as leaves, and its structure.
    converts
        Whether arrays of other frameworks are converted or refused.
    value, aux
        The output and the aux data of the function, untraced.
    linear_map
        The linear map on flat lists of arrays, as ``vjp`` or ``linearize`` of the backend returned it.
    enclosing
        The scope of the call around this one, if any.
    """

    def __init__(
        self,
        settings: Settings,
        scope: Scope,
        inputs: Inputs,
        output: Partition,
        primals: Sequence[Array],
        outputs: Sequence[Array],
        linear_map: LinearMap,
        aux: Any,
    ):
        self.backend: Backend = scope.backend
        self.device = scope.device
        self.enclosing = scope.parent
        self.primals = primals
        self.outputs = outputs
        self.leaves = _output_leaves(output, outputs)
        self.output = output
        self.output_tree: TreeDef = output.tree
        self.converts = scope.converts
        self.value = output.combine([self.backend.copy(array) for array in outputs])
        self.aux = aux
        self.linear_map = linear_map
        self.settings = settings
        self._inputs = inputs
        self.lock = SafeLock()  # a backend need not let its pullbacks run side by side

    def without_arrays(self) -> Linearisation:
        """Return what remains without the arrays and the call around, for `with_arrays`."""
        bare = copy.copy(self)
        bare.primals, bare.outputs, bare.linear_map, bare.value, bare.aux = (), (), _nothing, None, None
        bare.output = _without_arrays(self.backend, self.output)
        bare._inputs = self._inputs.without_arrays()
        bare.enclosing = None
        return bare

    def with_arrays(
        self, linear_map: LinearMap, primals: Sequence[Array], outputs: Sequence[Array], value: Any, aux: Any
    ) -> Linearisation:
        """Return the linearisation that belongs to these arrays."""
        whole = copy.copy(self)
        whole.primals, whole.outputs, whole.linear_map, whole.value, whole.aux = (
            primals, outputs, linear_map, value, aux
        )  # fmt: skip
        whole.lock = SafeLock()
        return whole

    @functools.cached_property
    def paths(self) -> Sequence[str]:
        """Where the leaves stand in the output, as Python would reach them; empty for a bare output."""
        return self.output_tree.paths()

    @property
    def columns(self) -> int:
        """The number of columns of the Jacobian."""
        return sum(math.prod(primal.shape) for primal in self.primals)

    def at_once(self, rows: int) -> int:
        """Return how many products to compute at once, each with `rows` elements on the output's side."""
        return self.settings.chunk_size or self.backend.rows_at_once(max(1, rows, self.columns))

    def rows(self, leaf: OutputLeaf, start: int, stop: int) -> Any:
        """Return rows of the Jacobian of one leaf of the output, packed."""
        with self.backend.device_scope(self.device):
            if leaf.index is None or not self.columns:
                row = [self.backend.zeros((stop - start, *primal.shape), primal) for primal in self.primals]
            else:
                wanted = OutputRows(self.linear_map, self.outputs, leaf.index, self.primals, span=(start, stop))
                row = self.backend.output_rows(wanted)
            if self.settings.debug_nan and leaf.index is not None:
                _refuse_rows(self, row, leaf, start)
            return self.pack(row, (stop - start,))

    def pack(self, arrays: Sequence[Any], shape: tuple[int, ...]) -> Any:
        """Arrange one array for each primal as the contract arranges a derivative of one output."""
        return pack_gradient(self.settings, self._inputs, arrays, shape)

    @property
    def primal_labels(self) -> list[str]:
        """The labels of the primals in messages."""
        return self._inputs.labels(self.settings)

    @property
    def output_labels(self) -> list[str]:
        """The labels of the outputs in messages."""
        return array_labels(self.output)

    def refuse_ended(self) -> None:
        """Refuse products after the call of a transform around this one has ended.

        Raises
        ------
        TracerLeakError
            If that call has ended.
        """
        if self.enclosing is not None and self.enclosing.closed:
            raise TracerLeakError(
                "this was made inside a call of a transform that has ended, and belongs to its trace; use it inside "
                "the function, or make it outside of it"
            )

    def refuse_traced(self, array: Array) -> None:
        """Refuse an array that has no numbers yet.

        Raises
        ------
        TracerLeakError
            If it belongs to a trace that is being made.
        """
        if not self.backend.is_traced(array):
            return
        reason = None
        try:
            self.backend.to_numpy(array)
        except Exception as error:  # any, for it is the cause of the one raised below, by which a backend may know it
            reason = error
        raise TracerLeakError(
            f"the Jacobian belongs to a trace of {self.backend.name} that is still being made, so it has no numbers "
            f"that could be handed to the host; ask for them outside of that trace, or detach the arguments"
        ) from reason

    def to_host(self, array: Any) -> np.ndarray[Any, Any]:
        """Return an array as a NumPy array; a TracerLeakError where the array has no numbers yet."""
        if not self.backend.is_array(array):
            return np.asarray(array)
        self.refuse_traced(array)
        return self.backend.to_numpy(array)


class LinearisationView:
    """A view of one run of a function: a linear map, rows or a linear operator; no program can return it."""

    __slots__ = ()


def linearise(
    func: Callable[..., Any],
    settings: Settings,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    make: Callable[[Linearisation], Product],
    run_with: str = "vjp",
) -> Product:
    """Run `func` once and return the product of `make`; then writes are stored and Variables given up.

    Parameters
    ----------
    run_with
        The method of the backend that runs `func` and returns the linear map: ``"vjp"`` or ``"linearize"``.
    """

    def compute(scope: Scope, inputs: Inputs, run: FlatRun) -> tuple[Product, Sequence[Array]]:
        backend = scope.backend
        primals = [backend.copy(primal) for primal in inputs.primals]
        outputs, product, carried = (
            getattr(backend, run_with)(run, primals) if primals else _without_primals(run, run_with)
        )
        kept = [backend.copy(array) for array in carried]
        output = run.settle_output(kept)
        if settings.debug_nan:
            Look(scope, settings, inputs, run).at_outputs(outputs)
        aux = run.untraced_aux(kept)
        return make(Linearisation(settings, scope, inputs, output, primals, outputs, product, aux)), carried

    return call(func, settings, args, kwargs, compute)


def _without_primals(run: FlatRun, run_with: str) -> tuple[Sequence[Array], LinearMap, Sequence[Array]]:
    outputs, aux = run()
    return outputs, lambda vectors: [None] * (len(outputs) if run_with == "linearize" else 0), aux


def _nothing(vectors: Sequence[Array | None]) -> Sequence[Array | None]:
    """Stand for a linear map that was taken out."""
    raise AssertionError("the linear map was taken out")


def _without_arrays(backend: Backend, output: Partition) -> Partition:
    """Return an output without arrays: `GAP` for those that are differentiated, flags in the shape of integers."""
    leaves = [
        GAP if is_array else np.zeros(tuple(leaf.shape), np.bool_) if backend.is_array(leaf) else leaf
        for leaf, is_array in zip(output.leaves, output.is_array, strict=True)
    ]
    return Partition(None, output.tree, leaves, output.is_array, [GAP] * len(output.arrays))


def _output_leaves(output: Partition, outputs: Sequence[Array]) -> list[OutputLeaf]:
    numbered = iter(enumerate(outputs))
    found: list[OutputLeaf] = []
    for number, (leaf, is_array) in enumerate(zip(output.leaves, output.is_array, strict=True)):
        index, array = next(numbered) if is_array else (None, leaf)
        found.append(OutputLeaf(number, tuple(getattr(array, "shape", ())), index))
    return found


def _refuse_rows(source: Linearisation, blocks: Sequence[Array], leaf: OutputLeaf, start: int) -> None:
    """Refuse rows of a Jacobian that are not finite; the first of them is row `start` of a leaf of the output.

    Raises
    ------
    NonFiniteError
        Naming the elements of output and input and, where the backend knows it, the operator.
    """
    backend = source.backend
    assert leaf.index is not None
    for number, block in enumerate(blocks):
        found = first_nonfinite(backend, block)
        if found is not None:
            (row, *index), value = found
            at = tuple(int(i) for i in np.unravel_index(start + row, leaf.shape)) if leaf.shape else ()
            cotangents: list[Array | None] = [None] * len(source.outputs)
            cotangents[leaf.index] = one_hot(backend, source.outputs[leaf.index], at)
            phrase = origin_in_map(backend, source.linear_map, cotangents)(number, tuple(index), "nan" in value)
            of = element_label(leaf_labels(source.output)[leaf.number], at)
            to = element_label(source.primal_labels[number], tuple(index))
            raise error_at(f"the derivative of {of} with respect to {to}", value, phrase)
