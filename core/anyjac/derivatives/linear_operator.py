"""`JacobianOperator`: the Jacobian at a point as SciPy's linear operator, of which no matrix is ever made.

The only module that imports SciPy. Knows vectors and flat arrays; the backend computes the products.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from scipy.sparse.linalg import LinearOperator

from anyjac_plugins import Array
from anyjac_plugins.backend.kinds import is_complex
from anyjac_plugins.backend.types import chunks
from anyjac_plugins.errors import DtypeError, InputValueError

from ..calls.containers import opener_of
from ..calls.nonfinite import refuse_host_vectors
from ..trees.structure import TreeDef, flatten
from .linearisation import Linearisation, LinearisationView, OutputLeaf

Matrix = np.ndarray[Any, Any]
Linear = Callable[[Matrix], Matrix]


class JacobianOperator(LinearisationView, LinearOperator):  # type: ignore[misc]
    """The Jacobian at a point as a linear operator on NumPy vectors; made by `GradientTransform.as_linear_operator`.

    The vector on the input's side has the elements of all differentiated leaves, flattened one after the other: those
    of `grad_vars` first, then those of the arguments in the order of `argnums`. A Variable that stands in `grad_vars`
    twice has its elements once, and integers, which have no derivative, have none. The vector on the output's side has
    the elements of all leaves of the output, constants among them.

    Attributes
    ----------
    shape : tuple of int
        Elements of all output leaves, and of all input leaves.
    dtype : numpy.dtype
        The dtype that can hold all blocks of the Jacobian; single precision for blocks in half precision.
    value
        The output of the function, untraced, in its own tree.
    aux
        The aux data with ``has_aux=True``, None otherwise.

    Notes
    -----
    ``J @ v`` is the double-VJP trick [1]_: the pullback of the function is linear in its cotangents, so the pullback of
    the pullback is multiplication by the Jacobian. ``J.H @ u`` is one pullback. For complex inputs of a real function
    the matrix is ``df/dx - i df/dy``, as `jacrev` returns it, and each product takes two pullbacks.

    References
    ----------
    .. [1] J. Townsend, "A new trick for calculating Jacobian vector products", 2017,
       https://j-towns.github.io/2017/06/12/A-new-trick.html

    Examples
    --------
    >>> import numpy as np
    >>> import anyjac
    >>> J = anyjac.jacrev(lambda x: x**2).as_linear_operator(np.array([1.0, 2.0]))
    >>> J @ np.array([1.0, 1.0]), J.H @ np.array([1.0, 0.0])
    (array([2., 4.]), array([2., 0.]))
    """

    def __init__(self, linearisation: Linearisation):
        source = linearisation
        for array in (*source.primals, *source.outputs):
            source.refuse_traced(array)
        self.value = source.value
        self.aux = source.aux
        self._source = source
        self._holomorphic = source.settings.holomorphic
        self._given = [tuple(primal.shape) for primal in source.primals]
        self._is_complex = [is_complex(source.backend, primal) for primal in source.primals]
        self._transposed = (
            source.backend.transpose(source.linear_map, source.outputs, source.primals)
            if source.primals and source.outputs
            else None
        )
        dtypes = [self._host_dtype(primal) for primal in source.primals] or [np.dtype(np.float64)]
        rows = sum(leaf.size for leaf in source.leaves)
        super().__init__(np.result_type(np.float32, *dtypes), (rows, source.columns))

    # ---- what SciPy asks for ---------------------------------------------------------------------------------------

    def _matvec(self, x: Matrix) -> Matrix:
        return self._matmat(x.reshape(-1, 1))[:, 0]

    def _rmatvec(self, x: Matrix) -> Matrix:
        return self._rmatmat(x.reshape(-1, 1))[:, 0]

    def _matmat(self, X: Matrix) -> Matrix:  # noqa: N803 - SciPy's name
        vectors = X.T
        if self._holomorphic or not (any(self._is_complex) or np.iscomplexobj(vectors)):
            return self._push(vectors).T
        # Outputs are real, and so are the products of the pullback's pullback: first the real part, then the imaginary.
        return (self._push(vectors) + 1j * self._push(-1j * vectors)).T

    def _rmatmat(self, X: Matrix) -> Matrix:  # noqa: N803 - SciPy's name
        vectors = X.T.conj()
        if self._holomorphic or not np.iscomplexobj(vectors):
            return self._pull(vectors).T.conj()
        return (self._pull(vectors.real) + 1j * self._pull(vectors.imag)).T.conj()

    # ---- trees and vectors -----------------------------------------------------------------------------------------

    def ravel_input(self, tree: Any) -> Matrix:
        """Make a vector of a tree that has the structure of the inputs.

        Parameters
        ----------
        tree
            Packed as the transform packs a Jacobian, without the tree of the output: bare for an int `argnums`, a tuple
            for a sequence, the structure of `grad_vars`, or the pair of both.

        Returns
        -------
        numpy.ndarray
            Shape ``(J.shape[1],)``.

        Raises
        ------
        InputValueError
            If structure or shapes are not those of the inputs.

        Examples
        --------
        >>> import anyjac
        >>> J = anyjac.jacrev(lambda p: p["a"] * p["b"]).as_linear_operator({"a": 2.0, "b": 3.0})
        >>> J @ J.ravel_input({"a": 1.0, "b": 10.0})
        array([23.])
        """
        numbers, structure = self._numbers()
        shapes = [self._given[number] if isinstance(number, int) else number.shape for number in numbers]
        leaves = self._leaves_of(tree, structure, shapes, "input")
        found = {number: leaf for number, leaf in zip(numbers, leaves, strict=True) if isinstance(number, int)}
        return self._joined([found[index] for index in range(len(self._given))])

    def unravel_input(self, vector: Any) -> Any:
        """Make a tree with the structure of the inputs of a vector.

        Parameters
        ----------
        vector
            Shape ``(J.shape[1],)``.

        Returns
        -------
        pytree
            As `ravel_input` takes it; arrays of the backend with dtype and device of the inputs, and zeros of `float0`
            in the place of integers.

        Raises
        ------
        InputValueError, DtypeError
            If the vector has another length, or is complex where an input is real.

        Examples
        --------
        >>> import numpy as np
        >>> import anyjac
        >>> J = anyjac.jacrev(lambda p: p["a"] * p["b"]).as_linear_operator({"a": 2.0, "b": np.ones(2)})
        >>> J.unravel_input([1.0, 2.0, 3.0])
        {'a': array(1.), 'b': array([2., 3.])}
        """
        pieces = self._cut(self._checked(vector, self.shape[1]), self._given)
        pairs = zip(pieces, self._source.primals, strict=True)
        return self._source.pack([self._like(piece, primal) for piece, primal in pairs], ())

    def ravel_output(self, tree: Any) -> Matrix:
        """Make a vector of a tree that has the structure of the output, such as ``J.value``.

        Parameters
        ----------
        tree
            Arrays or numbers.

        Returns
        -------
        numpy.ndarray
            Shape ``(J.shape[0],)``.

        Raises
        ------
        InputValueError
            If structure or shapes are not those of the output.

        Examples
        --------
        >>> import numpy as np
        >>> import anyjac
        >>> J = anyjac.jacrev(lambda x: (x**2, x.sum())).as_linear_operator(np.array([1.0, 2.0]))
        >>> J.ravel_output(J.value)
        array([1., 4., 3.])
        """
        shapes = [leaf.shape for leaf in self._source.leaves]
        return self._joined(self._leaves_of(tree, self._source.output_tree, shapes, "output"))

    def unravel_output(self, vector: Any) -> Any:
        """Make a tree with the structure of the output of a vector.

        Parameters
        ----------
        vector
            Shape ``(J.shape[0],)``.

        Returns
        -------
        pytree
            Arrays of the backend, with dtype and device of the outputs.

        Raises
        ------
        InputValueError, DtypeError
            If the vector has another length, or is complex where an output is real.

        Examples
        --------
        >>> import numpy as np
        >>> import anyjac
        >>> J = anyjac.jacrev(lambda x: (x**2, x.sum())).as_linear_operator(np.array([1.0, 2.0]))
        >>> J.unravel_output(J @ np.array([1.0, 1.0]))
        (array([2., 4.]), array(2.))
        """
        leaves = self._source.leaves
        pieces = self._cut(self._checked(vector, self.shape[0]), [leaf.shape for leaf in leaves])
        return self._source.output_tree.unflatten(
            [
                self._source.backend.asarray(np.array(piece), device=self._source.device)
                if leaf.index is None
                else self._like(piece, self._source.outputs[leaf.index])
                for leaf, piece in zip(leaves, pieces, strict=True)
            ]
        )

    # ---- products, row-wise: one vector in each row -----------------------------------------------------------------

    def _push(self, vectors: Matrix) -> Matrix:
        """Multiply rows by the transpose of the Jacobian; where outputs are real, take the real part."""
        products = self._in_chunks(self._push_chunk, vectors, self.shape[0])
        return products if self._holomorphic else products.real

    def _pull(self, vectors: Matrix) -> Matrix:
        """Multiply rows by the Jacobian."""
        return self._in_chunks(self._pull_chunk, vectors, self.shape[1])

    def _in_chunks(self, product: Linear, vectors: Matrix, width: int) -> Matrix:
        found = np.zeros((len(vectors), width), self.dtype)
        if self._transposed is not None and vectors.size and width:
            for start, stop in chunks(len(vectors), self._source.at_once(self.shape[0])):
                found[start:stop] = product(vectors[start:stop])
        return found

    def _push_chunk(self, vectors: Matrix) -> Matrix:
        source = self._source
        tangents = list(self._cut(vectors, self._given))
        self._look(tangents, source.primal_labels, "tangent of")
        products = self._apply(self._transposed, tangents, source.primals)
        self._look(products, source.output_labels, "tangent of", len(vectors))
        return self._beside_constants(products, len(vectors))

    def _pull_chunk(self, vectors: Matrix) -> Matrix:
        source = self._source
        pieces = zip(source.leaves, self._cut(vectors, [leaf.shape for leaf in source.leaves]), strict=True)
        cotangents = [piece for leaf, piece in pieces if leaf.index is not None]
        self._look(cotangents, source.output_labels, "cotangent of")
        gradients = self._apply(source.linear_map, cotangents, source.outputs)
        self._look(gradients, source.primal_labels, "gradient for", len(vectors))
        return np.concatenate(
            [_flat_rows(gradient, len(vectors), shape) for gradient, shape in zip(gradients, self._given, strict=True)],
            axis=1,
        )

    def _look(self, arrays: Sequence[Matrix | None], labels: Sequence[str], what: str, count: int = 0) -> None:
        """Refuse numbers that are not finite, with ``debug_nan=True``; a `count` of 1 has no batch axis."""
        if self._source.settings.debug_nan:
            batches = [None if array is None else array[None] if count == 1 else array for array in arrays]
            refuse_host_vectors(batches, labels, what)

    def _beside_constants(self, products: Sequence[Matrix | None], count: int) -> Matrix:
        def product(leaf: OutputLeaf) -> Matrix | None:
            return None if leaf.index is None else products[leaf.index]

        return np.concatenate([_flat_rows(product(leaf), count, leaf.shape) for leaf in self._source.leaves], axis=1)

    def _apply(self, pull: Any, vectors: Sequence[Matrix], like: Sequence[Array]) -> list[Matrix | None]:
        """Apply a pullback on the device to a batch of vectors, or to a single vector, from the host."""
        source = self._source
        count = len(vectors[0])
        batched = count > 1

        def work() -> list[Matrix | None]:
            with source.backend.device_scope(source.device):
                arrays = [
                    self._like(vector if batched else vector[0], array, lossy=True)
                    for vector, array in zip(vectors, like, strict=True)
                ]
                products = source.backend.pullback_rows(pull, arrays) if batched else pull(arrays)
                return [None if product is None else source.to_host(product) for product in products]

        return source.lock.run(work)

    # ---- pieces ----------------------------------------------------------------------------------------------------

    def _like(self, piece: Matrix, array: Array, *, lossy: bool = False) -> Array:
        """Bring a piece of a vector to the device, in the dtype of `array`; if `lossy`, by its real part."""
        backend = self._source.backend
        if np.iscomplexobj(piece) and not is_complex(backend, array):
            if not lossy:
                raise DtypeError(
                    f"the vector is {piece.dtype}, and the arrays that it is to become are "
                    f"{backend.dtype_name(array.dtype)}; take its real part"
                )
            piece = piece.real
        host = np.array(piece, dtype=np.result_type(piece, np.float32), order="C")
        return backend.asarray(host, dtype=array.dtype, device=backend.device_of(array))

    def _numbers(self) -> tuple[list[Any], TreeDef]:
        """Return the index of the primal for each leaf of the packed inputs, and the structure of the inputs."""
        packed = self._source.pack(range(len(self._given)), ())
        return flatten(packed, opener_of(self._source.backend))

    def _leaves_of(self, tree: Any, structure: TreeDef, shapes: Sequence[tuple[int, ...]], what: str) -> list[Matrix]:
        backend = self._source.backend
        leaves, found = flatten(tree, opener_of(backend))
        arranged = structure.arrange(leaves, found)
        if arranged is None:
            mend = f"give it the structure of the {what}"
            raise InputValueError(structure.mismatch(found, "the tree is", f"the {what} of the function is", mend))
        arrays = [self._source.to_host(leaf) for leaf in arranged]
        for number, (array, shape) in enumerate(zip(arrays, shapes, strict=True)):
            if array.shape != shape:
                where = structure.paths()[number] or "of the tree"
                raise InputValueError(f"leaf {where} has shape {array.shape}, and should have {shape}")
        return arrays

    @staticmethod
    def _joined(arrays: Sequence[Matrix]) -> Matrix:
        return np.concatenate([array.ravel() for array in arrays]) if arrays else np.zeros(0)

    @staticmethod
    def _cut(vectors: Matrix, shapes: Sequence[tuple[int, ...]]) -> Iterator[Matrix]:
        """Cut vectors, which lie along the last axis, into arrays of the given shapes."""
        start = 0
        for shape in shapes:
            stop = start + math.prod(shape)
            yield vectors[..., start:stop].reshape((*vectors.shape[:-1], *shape))
            start = stop

    @staticmethod
    def _checked(vector: Any, size: int) -> Matrix:
        found = np.asarray(vector)
        if found.shape != (size,):
            raise InputValueError(f"the vector has shape {found.shape}, and should have {(size,)}")
        return found

    def _host_dtype(self, array: Array) -> np.dtype[Any]:
        backend = self._source.backend
        dtype: np.dtype[Any] = backend.to_numpy(backend.zeros((0,), array)).dtype
        return dtype


def _flat_rows(product: Matrix | None, count: int, shape: tuple[int, ...]) -> Matrix:
    size = math.prod(shape)
    return np.zeros((count, size)) if product is None else product.reshape(count, size)
