"""The linear maps that `vjp` and `linearize` return: a function at a point, which has run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from anyjac_plugins import Array, Backend
from anyjac_plugins.backend.linear_maps import filled

from ..calls.containers import opener_of
from ..calls.dtypes import float0, is_differentiable, is_trivial
from ..calls.nonfinite import origin_in_map, refuse_vectors
from ..calls.outputs import take_apart
from ..calls.tangents import cotangents_of, tangents_of
from ..selection.choice import registry
from ..trees.objects import opener_of_objects
from ..trees.partition import Partition, Skeleton
from .linearisation import Linearisation, LinearisationView

Rest = tuple[Linearisation, Skeleton]
"""What is left of a linear map without its arrays: its source, and value and aux data with gaps."""


class _LinearMap(LinearisationView, ABC):
    def __init__(self, linearisation: Linearisation):
        self.value = linearisation.value
        self.aux = linearisation.aux
        self._source = linearisation
        self.parts: tuple[Sequence[Any], Rest] | None = None

    @property
    def source(self) -> Linearisation:
        """The run of the function that it is a product with."""
        return self._source

    def __call__(self, vectors: Any, /) -> Any:
        source = self._source
        source.refuse_ended()

        def work() -> Any:
            with source.backend.device_scope(source.device):
                return self._apply(source, source.backend, vectors)

        return source.lock.run(work)

    @abstractmethod
    def _apply(self, source: Linearisation, backend: Backend, vectors: Any) -> Any:
        """Return the image of the vectors that the user gave."""


class Pullback(_LinearMap):
    """A function at a point, as the linear map from cotangents of its output to gradients; made by `vjp`.

    The function has run; each call costs one backward pass. A pullback owns no Variable, so that other threads may use
    Variables meanwhile, and threads may share a pullback.

    Attributes
    ----------
    value
        The output of the function, untraced, in its own tree.
    aux
        The aux data with ``has_aux=True``, None otherwise.

    Examples
    --------
    >>> import numpy as np
    >>> import anyjac
    >>> pullback = anyjac.vjp(lambda x: x**2)(np.array([1.0, 2.0]))
    >>> pullback.value, pullback(np.array([1.0, 10.0]))
    (array([1., 4.]), array([ 2., 40.]))
    """

    def __call__(self, cotangents: Any) -> Any:
        """Return the sum of the rows of the Jacobian, weighted by `cotangents`, packed as a gradient.

        Parameters
        ----------
        cotangents
            The tree of the output, with an array or number of each leaf's shape. Cotangents of constants and of
            integers, such as zeros of `float0`, are ignored.

        Returns
        -------
        pytree
            Packed as `grad` packs a gradient. Complex gradients are those of JAX: seeded with 1, they are ``dy/dz`` for
            a holomorphic function, and ``df/dx - i df/dy`` for a real function.

        Raises
        ------
        InputTypeError, InputValueError, DtypeError
            If structure, shapes or dtypes are not those of the output.
        TracerLeakError
            If the pullback was made inside a call of a transform that has ended.
        """
        return super().__call__(cotangents)

    def _apply(self, source: Linearisation, backend: Backend, vectors: Any) -> Any:
        indices = [leaf.index for leaf in source.leaves]
        seeds = cotangents_of(backend, vectors, source.output_tree, indices, source.outputs, converts=source.converts)
        seeded = any(seed is not None for seed in seeds)
        gradients = source.linear_map(seeds) if seeded else [None] * len(source.primals)
        if source.settings.debug_nan:
            refuse_vectors(backend, seeds, source.output_labels, "cotangent of")
            origin = origin_in_map(backend, source.linear_map, seeds)
            refuse_vectors(backend, gradients, source.primal_labels, "gradient for", origin)
        gradients = backend.unshared(gradients, [*seeds, *source.primals])
        return source.pack(filled(gradients, source.primals, backend.zeros), ())

    def __repr__(self) -> str:
        return f"<Pullback to {_arrays(self._source.primals)} on {self._source.backend.name}>"


class Pushforward(_LinearMap):
    """A function at a point, as the linear map from tangents of its inputs to tangents of its output.

    Made by `linearize`. The function has run; each call costs about as much as another run. A pushforward owns no
    Variable, and threads may share a pushforward.

    Attributes
    ----------
    value
        The output of the function, untraced, in its own tree.
    aux
        The aux data with ``has_aux=True``, None otherwise.

    Examples
    --------
    >>> import numpy as np
    >>> import anyjac
    >>> pushforward = anyjac.linearize(lambda x: x**2)(np.array([1.0, 2.0]))
    >>> pushforward.value, pushforward(np.array([1.0, 10.0]))
    (array([1., 4.]), array([ 2., 40.]))
    """

    def __call__(self, tangents: Any) -> Any:
        """Return the derivative of the output along `tangents`.

        Parameters
        ----------
        tangents
            Packed as `grad` packs a gradient, with an array or number of each input leaf's shape.

        Returns
        -------
        pytree
            The tree of the output; zeros in the place of constants, of dtype `float0` for integers.

        Raises
        ------
        InputTypeError, InputValueError, DtypeError
            If structure, shapes or dtypes are not those of the inputs.
        TracerLeakError
            If the pushforward was made inside a call of a transform that has ended.
        """
        return super().__call__(tangents)

    def _apply(self, source: Linearisation, backend: Backend, vectors: Any) -> Any:
        pack = partial(source.pack, shape=())
        given = tangents_of(backend, vectors, pack, source.primals, converts=source.converts)
        found = source.linear_map(given) if source.primals else [None] * len(source.outputs)
        if source.settings.debug_nan:
            refuse_vectors(backend, given, source.primal_labels, "tangent of")
            origin = origin_in_map(backend, source.linear_map, given)
            refuse_vectors(backend, found, source.output_labels, "tangent of", origin)
        found = backend.unshared(found, [*given, *source.primals])
        return tangent_tree(backend, source.output, source.outputs, found)

    def __repr__(self) -> str:
        return f"<Pushforward from {_arrays(self._source.primals)} on {self._source.backend.name}>"


def _take_apart(linear_map: _LinearMap) -> tuple[tuple[Any, ...], Rest]:
    """Return the arrays of a linear map, in containers, and the rest."""
    source = linear_map.source
    backend = source.backend
    if linear_map.parts is None:  # kept, since two maps are of one structure only if the rest is the same object
        shown = take_apart(backend, (linear_map.value, linear_map.aux), opener_of_objects(backend, opener_of(backend)))
        linear_map.parts = shown.arrays, (source.without_arrays(), shown.skeleton())
    arrays, rest = linear_map.parts
    return (source.linear_map, [*source.primals], [*source.outputs], arrays), rest


def _put_together(cls: type[_LinearMap], rest: Rest, children: Sequence[Any]) -> _LinearMap:
    """Return a linear map of other arrays, or of whatever a framework puts in their place."""
    bare, shown = rest
    product, primals, outputs, arrays = children
    value, aux = shown.combine(arrays)
    made = cls(bare.with_arrays(product, primals, outputs, value, aux))
    made.parts = arrays, rest
    return made


def _introduce(backend: Backend) -> None:
    for cls in (Pullback, Pushforward):
        backend.adopt_linear_map(cls, _take_apart, partial(_put_together, cls))


registry.subscribe(_introduce)


def _arrays(arrays: Sequence[Array]) -> str:
    return "one array" if len(arrays) == 1 else f"{len(arrays)} arrays"


def tangent_tree(
    backend: Backend, output: Partition, outputs: Sequence[Array], tangents: Sequence[Array | None]
) -> Any:
    """Return tangents in the tree of the output; zeros for the constants in it."""
    zeros = output.skeleton(partial(_zero, backend))
    return zeros.combine(filled(tangents, outputs, backend.zeros))


def _zero(backend: Backend, constant: Any) -> Array:
    """Return the zero tangent of a number or an array that a function returned: a trivial one for integers."""
    if isinstance(constant, bool):
        return np.zeros((), float0)
    if not hasattr(constant, "dtype"):
        return backend.asarray(0j if isinstance(constant, complex) else 0.0)
    if is_trivial(constant):
        return constant
    array = constant if backend.is_array(constant) else backend.import_array(constant)
    shape = tuple(array.shape)
    return backend.zeros(shape, array) if is_differentiable(backend, array) else np.zeros(shape, float0)
