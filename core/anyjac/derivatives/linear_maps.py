"""The linear maps that `vjp` and `linearize` return: a function at a point, which has run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import partial
from typing import Any

from anyjac_plugins import Array, Backend
from anyjac_plugins.backend.linear_maps import filled

from ..calls.dtypes import float0
from ..calls.nonfinite import origin_in_map, refuse_vectors
from ..calls.partition import Carried
from ..calls.tangents import cotangents_of, tangents_of
from .linearisation import Linearisation


class _LinearMap(ABC):
    def __init__(self, linearisation: Linearisation):
        self.value = linearisation.value
        self.aux = linearisation.aux
        self._source = linearisation

    def __call__(self, vectors: Any, /) -> Any:
        source = self._source
        source.refuse_ended()
        with source.lock, source.backend.device_scope(source.device):
            return self._apply(source, source.backend, vectors)

    @abstractmethod
    def _apply(self, source: Linearisation, backend: Backend, vectors: Any) -> Any:
        """Return the image of what the user gave."""


class Pullback(_LinearMap):
    """A function at a point, as the linear map from cotangents of its output to gradients; made by `vjp`.

    The function has run; each call costs one backward pass. It owns no Variable, so that other threads may use them
    meanwhile, and threads may share it.

    Attributes
    ----------
    value
        What the function returned, untraced, with its own tree.
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
            The tree of the output, with an array or number of each leaf's shape. Those of constants are not looked at.

        Returns
        -------
        pytree
            Packed as `grad` packs a gradient. Complex ones are those of JAX: seeded with 1, ``dy/dz`` for a
            holomorphic function, and ``df/dx - i df/dy`` for a real one.

        Raises
        ------
        InputTypeError, InputValueError, DtypeError
            If structure, shapes or dtypes are not those of the output.
        TracerLeakError
            If it was made inside a call of a transform that has ended.
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

    Made by `linearize`. The function has run; each call costs about as much as another run. It owns no Variable.

    Attributes
    ----------
    value
        What the function returned, untraced, with its own tree.
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
            The tree of the output; zeros in the place of constants.

        Raises
        ------
        InputTypeError, InputValueError, DtypeError
            If structure, shapes or dtypes are not those of the inputs.
        TracerLeakError
            If it was made inside a call of a transform that has ended.
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


def _arrays(arrays: Sequence[Array]) -> str:
    return "one array" if len(arrays) == 1 else f"{len(arrays)} arrays"


def tangent_tree(backend: Backend, output: Carried, outputs: Sequence[Array], tangents: Sequence[Array | None]) -> Any:
    """Return tangents in the tree of the output; zeros for the constants in it."""
    remaining = iter(filled(tangents, outputs, backend.zeros))
    leaves = zip(output.leaves, output.is_array, strict=True)
    return output.tree.unflatten([next(remaining) if is_array else _zero(backend, leaf) for leaf, is_array in leaves])


def _zero(backend: Backend, constant: Any) -> Array:
    """Return zeros like a number, or an array of NumPy, that a function returned."""
    if not hasattr(constant, "dtype"):
        return backend.asarray(0.0)
    return constant if constant.dtype == float0 else backend.import_array(constant * 0)
