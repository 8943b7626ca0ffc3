"""`Backend`: what anyjac asks of an array framework.

Seven members are required and make a complete backend; everything below them has a default in their terms, which a
backend overrides to be faster or to do more. This module knows NumPy, for scalars, host copies and device codes; it
knows nothing of transforms, Variables or trees of results.
"""

from __future__ import annotations

import contextlib
import functools
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from .. import environment
from ..errors import DeviceError, DtypeError, NotSupportedError
from . import elements
from .capabilities import CAPABILITIES, FORWARD, GRAD, JIT, NESTED, STOP_GRADIENT, VMAP
from .jacobians import blocks_of_output, plain_jacobian
from .types import REVERSE, Array, CacheInfo, FlatFunction, Jacobian, OpenedNode, Pullback, Pushforward, StagedFunction

HOST_DEVICE_CODES = (1, 3, 13)
"""DLPack's device types whose memory the host reads: CPU, pinned CUDA memory, managed CUDA memory."""


class Backend(ABC):
    """One array framework, as seen by anyjac.

    Attributes
    ----------
    name
        What users write in ``backend=``.
    version
        Version of the framework.
    capabilities
        Names out of `anyjac_plugins.CAPABILITIES`. What is missing here is refused by anyjac with
        `NotSupportedError`.
    array_modules
        Top-level modules of the framework's array types; only needed where the object is registered at run time,
        without a `BackendSpec`.
    paths
        Names of the ways in which the backend computes a Jacobian, where it has several; what they give is the same.
    column_cost
        How many rows of a Jacobian cost as much as a column, where either may be computed. A pullback of a pullback,
        as by default, is about two.

    Examples
    --------
    The derived members are there for every backend:

    >>> import numpy as np
    >>> import anyjac
    >>> backend = anyjac.get_backend("numpy")
    >>> backend.resolve_device("cpu:0"), backend.supports("jit"), backend.dtype_kind(np.dtype("int8"))
    ('cpu', False, 'integral')
    >>> backend.identity_rows(np.zeros(3), 1, 3)
    array([[0., 1., 0.],
           [0., 0., 1.]])
    """

    name: str
    version: str = ""
    capabilities: frozenset[str] = frozenset()
    array_modules: ClassVar[tuple[str, ...]] = ()
    paths: ClassVar[tuple[str, ...]] = ()
    column_cost: ClassVar[float] = 2.0

    # ---- required --------------------------------------------------------------------------------------------------

    @property
    @abstractmethod
    def namespace(self) -> Any:
        """The framework's array-API namespace, whose functions are differentiable."""

    @abstractmethod
    def is_array(self, value: object) -> bool:
        """Tell whether `value` is an array of this framework, traced or not."""

    @abstractmethod
    def asarray(self, value: Any, *, dtype: Any = None, device: Any = None) -> Array:
        """Make an array of a number, a NumPy array or one of the framework's own, on `device` if given.

        Differentiable where `value` is traced. With ``dtype=None`` a Python number gets the framework's default dtype.
        """

    @abstractmethod
    def devices(self) -> Sequence[Any]:
        """Return the devices that are present, in the framework's own objects, the default one first."""

    @abstractmethod
    def device_of(self, array: Array) -> Any:
        """Return the device that holds `array`; for a traced array, the one that its computation runs on."""

    @abstractmethod
    def vjp(self, fun: FlatFunction, primals: Sequence[Array]) -> tuple[list[Array], Pullback, list[Array]]:
        """Run `fun` once at `primals` and return how to pull cotangents back through it.

        Parameters
        ----------
        fun
            Takes as many arrays as there are primals and returns ``(outputs, aux)``, two sequences of arrays. Some
            may not depend on the primals at all.
        primals
            Arrays of real or complex floating dtype.

        Returns
        -------
        outputs, pullback, aux
            Outputs and aux without a trace of this differentiation (they may belong to an enclosing one). The pullback
            may be called any number of times; what it returns has each primal's shape, dtype and device, and is
            conjugated as in JAX: seeded with 1, it gives ``dy/dz`` for a holomorphic function and
            ``df/dx - i df/dy`` for a real one.
        """

    # ---- derived: Jacobians and their rows -------------------------------------------------------------------------

    def jacobian(
        self, fun: FlatFunction, primals: Sequence[Array], chunk_size: int | None = None, mode: str = REVERSE
    ) -> Jacobian:
        """Run `fun` at `primals` and return its outputs, its Jacobian, and its aux.

        The default multiplies the identity by what `vjp` or `linearize` return, see
        `anyjac_plugins.backend.jacobians.plain_jacobian`. A backend that overrides it may run `fun` again from its
        beginning if it must; what the first run did is forgotten then.

        Parameters
        ----------
        fun, primals
            As in `vjp`; there is at least one primal. An attribute ``origin`` of `fun` is the user's function.
        chunk_size
            How many rows or columns to compute at once; None for `rows_at_once`.
        mode
            ``"rev"``, ``"fwd"``, which is only asked of a backend that declares ``forward``, or ``"auto"``.
        """
        return plain_jacobian(self, fun, primals, chunk_size, mode)

    def cache_info(self) -> CacheInfo:
        """Return how often compiled Jacobians that the backend keeps were of use; all zero where it keeps none."""
        return CacheInfo()

    def cache_clear(self) -> None:  # noqa: B027 - optional
        """Forget all compiled Jacobians."""

    def pullback_blocks(
        self,
        pullback: Pullback,
        outputs: Sequence[Array],
        index: int,
        primals: Sequence[Array],
        chunk_size: int | None,
    ) -> list[Array]:
        """Return the whole Jacobian of ``outputs[index]``, given what `vjp` returned: a block for each primal.

        The default puts what `pullback_identity` returns together. Override it where all rows may be had in another
        way, or in memory that is there already.
        """
        return blocks_of_output(self, pullback, outputs, index, primals, chunk_size)

    def pullback_identity(
        self, pullback: Pullback, outputs: Sequence[Array], index: int, start: int, stop: int
    ) -> list[Array | None]:
        """Return rows `start` to `stop` of the Jacobian of ``outputs[index]``, given what `vjp` returned.

        For each primal an array of shape ``(stop - start, *x.shape)``, or None for zeros. The default pulls back
        `identity_rows` by `pullback_rows`; override it where the seeds' being an identity can be made use of.
        """
        seeds: list[Array | None] = [None] * len(outputs)
        seeds[index] = self.identity_rows(outputs[index], start, stop)
        return self.pullback_rows(pullback, seeds)

    @functools.cached_property
    def forced_path(self) -> str | None:
        """Return the one of `paths` to take, whatever would be chosen; for tests, by ``ANYJAC_FORCE_PATH`` or set."""
        return environment.forced_path(self.name, self.paths)

    def pullback_rows(self, pullback: Pullback, cotangents: Sequence[Array | None]) -> list[Array | None]:
        """Pull back a batch of cotangents: each one that is not None has a leading axis, and so has each result.

        `pullback` is the very object that `vjp` returned. The default calls it row by row.
        """
        xp = self.namespace
        count = next(c.shape[0] for c in cotangents if c is not None)
        rows = [pullback([None if c is None else c[i, ...] for c in cotangents]) for i in range(count)]
        return [self._stack_rows(xp, column) for column in zip(*rows, strict=True)]

    def transpose(self, pullback: Pullback, outputs: Sequence[Array], primals: Sequence[Array]) -> Pullback:
        """Return tangents of all primals in, tangents of all outputs out, for what `vjp` returned at `primals`.

        What is returned may be handed to `pullback_rows` as what `vjp` returned may; where outputs are real and
        primals complex, it gives real parts, as the pullback of a pullback does. The default is the double-VJP trick
        [1]_: a pullback is linear in its cotangents, so that its own pullback is its transpose, at whatever point.
        Override it where there is another way.

        Raises
        ------
        NotSupportedError
            If the backend does not declare ``nested``.

        References
        ----------
        .. [1] J. Townsend, "A new trick for calculating Jacobian vector products", 2017,
           https://j-towns.github.io/2017/06/12/A-new-trick.html
        """
        if not self.supports(NESTED):
            raise self.unsupported(NESTED)

        def pulled_back(*cotangents: Array) -> tuple[list[Array], list[Array]]:
            pairs = zip(pullback(cotangents), primals, strict=True)
            return [self.zeros(primal.shape, primal) if part is None else part for part, primal in pairs], []

        # Not at zeros, for which a rule may return without a look at the cotangent.
        somewhere = [self.zeros(output.shape, output) + 1 for output in outputs]
        return self.vjp(pulled_back, somewhere)[1]

    def linearize(self, fun: FlatFunction, primals: Sequence[Array]) -> tuple[list[Array], Pushforward, list[Array]]:
        """Run `fun` once at `primals` and return how to push tangents forward through it.

        What is returned is as in `vjp`, and may be handed to `pullback_rows`. The default is the transpose of `vjp`,
        for which a backend needs ``nested``.

        Raises
        ------
        NotSupportedError
            If the backend does not declare ``forward``.
        """
        if not self.supports(FORWARD):
            raise self.unsupported(FORWARD)
        outputs, pullback, aux = self.vjp(fun, primals)
        return outputs, self.transpose(pullback, outputs, primals), aux

    def jvp(
        self, fun: FlatFunction, primals: Sequence[Array], tangents: Sequence[Array | None]
    ) -> tuple[list[Array], list[Array | None], list[Array]]:
        """Run `fun` once at `primals` and return outputs, their tangents, and aux; None stands for zero in tangents.

        A backend that overrides it may run `fun` again from its beginning if it must.
        """
        outputs, pushforward, aux = self.linearize(fun, primals)
        return outputs, list(pushforward(tangents)), aux

    def find_nonfinite(
        self,
        fun: FlatFunction,
        primals: Sequence[Array],
        *,
        number: int,
        index: tuple[int, ...],
        nan: bool,
        cotangents: Sequence[Array | None] | None = None,
        tangents: Sequence[Array | None] | None = None,
    ) -> str | None:
        """Return the operator in which NaN or infinity first appears, as words for a message; None where unknown.

        ``debug_nan=True`` asks this after a run from finite `primals`; `fun` may be run again. What is returned must
        be right: an operator that makes it and was given none, and from which it gets to where it was found. The
        default knows none.

        Parameters
        ----------
        number
            Which result it was found in: with `cotangents` the gradient for ``primals[number]``, otherwise the output
            of that number, or with `tangents` its tangent.
        index
            Which element of it.
        nan
            Whether it was NaN, and not infinity.
        cotangents, tangents
            What was pulled back, or pushed forward.
        """
        return None

    def find_nonfinite_in_map(
        self,
        linear_map: Pullback | Pushforward,
        vectors: Sequence[Array | None],
        *,
        number: int,
        index: tuple[int, ...],
        nan: bool,
    ) -> str | None:
        """Return the operator within a pullback or pushforward in which NaN or infinity first appears, as above.

        The function whose derivative it is cannot be run again; the map can. The default knows none.

        Parameters
        ----------
        linear_map
            What `vjp` or `linearize` returned.
        vectors
            What it was called with.
        number, index
            Which element of which of its results it is.
        nan
            Whether it was NaN, and not infinity.
        """
        return None

    def rows_at_once(self, width: int) -> int:
        """Return how many rows to pull back at once, where the user names no number.

        The default keeps seeds and rows within 2^22 elements each, 32 MiB of float64.

        Parameters
        ----------
        width
            Elements of one cotangent, or of all gradients of one row, whichever is more.
        """
        return max(1, 2**22 // max(1, width))

    @staticmethod
    def _stack_rows(xp: Any, column: Sequence[Array | None]) -> Array | None:
        known = next((row for row in column if row is not None), None)
        if known is None:
            return None
        return xp.stack([xp.zeros_like(known) if row is None else row for row in column])

    def identity_rows(self, like: Array, start: int, stop: int) -> Array:
        """Return rows `start` to `stop` of the identity on the flattened `like`, each in the shape of `like`."""
        xp = self.namespace
        device = self.device_of(like)
        rows = xp.arange(start, stop, device=device)[:, None]
        columns = xp.arange(math.prod(like.shape), device=device)[None, :]
        return xp.reshape(xp.astype(rows == columns, like.dtype), (stop - start, *like.shape))

    def zeros(self, shape: tuple[int, ...], like: Array) -> Array:
        """Return zeros with the dtype and device of `like`."""
        return self.namespace.zeros(shape, dtype=like.dtype, device=self.device_of(like))

    # ---- derived: traces and values --------------------------------------------------------------------------------

    def is_traced(self, value: Array) -> bool:
        """Tell whether `value` belongs to a trace or graph and so must not be stored in a Variable."""
        return False

    def concrete(self, value: Array) -> Array | None:
        """Return an array with the numbers that `value` holds now; None if it has none, since a program is recorded.

        The default takes whatever is traced for an array without numbers.
        """
        return None if self.is_traced(value) else value

    def copy(self, array: Array) -> Array:
        """Return an array that later in-place changes of `array` do not reach; differentiable.

        The default suits immutable arrays.
        """
        return array

    def unshared(self, arrays: Sequence[Array | None], others: Sequence[Array | None]) -> list[Array | None]:
        """Return arrays that a user may change in place without changing each other, or any of `others`.

        The default suits immutable arrays. Traced ones are returned as they are.
        """
        return list(arrays)

    def constant(self, array: Array) -> Array:
        """Return a copy of an untraced `array` without any link to where it came from, as a Variable stores it."""
        return self.copy(array)

    def changed_in_place(self, copy: Array, original: Array) -> bool:
        """Tell whether `copy`, made by `copy` from `original`, has been written to since."""
        return False

    def set_index(self, array: Array, index: Any, value: Any) -> Array:
        """Return `array` with the elements at `index` replaced by `value`, as NumPy does it; differentiable in both.

        The default gathers from `value` where an element is replaced; arrays in `index` must be known on the host.
        """
        return elements.assign(self, array, index, value)

    def update_index(self, array: Array, index: Any, operation: str, value: Any) -> Array:
        """Return `array` with ``operation(element, value)`` at `index`; differentiable in both.

        Parameters
        ----------
        operation
            ``"add"``, ``"subtract"``, ``"multiply"``, ``"divide"``, ``"pow"``, ``"minimum"`` or ``"maximum"``. An
            element that `index` names several times takes all its operands.
        """
        return elements.update(self, array, index, operation, value)

    def index_to_numpy(self, index: Array) -> np.ndarray[Any, Any]:
        """Return an array of integers or bools, that stands in an index, on the host.

        Override it where such an array can be traced though its values are known.
        """
        return self.to_numpy(index)

    def to_numpy(self, array: Array) -> np.ndarray[Any, Any]:
        """Return an untraced array as a NumPy array on the host."""
        return np.asarray(array)

    def stop_gradient(self, array: Array) -> Array:
        """Return `array` as a constant of every differentiation that is going on."""
        raise self.unsupported(STOP_GRADIENT)

    # ---- derived: dtypes -------------------------------------------------------------------------------------------

    def dtype_kind(self, dtype: Any) -> str:
        """Return ``"bool"``, ``"integral"``, ``"real floating"`` or ``"complex floating"``.

        Raises
        ------
        DtypeError
            For a dtype of none of these kinds, such as text.
        """
        for kind in ("real floating", "complex floating", "integral", "bool"):
            with contextlib.suppress(TypeError, ValueError):
                if self.namespace.isdtype(dtype, kind):
                    return kind
        raise DtypeError(f"dtype {self.dtype_name(dtype)} is not a numeric dtype of backend {self.name!r}")

    def dtype_name(self, dtype: Any) -> str:
        """Return the dtype's bare name, such as ``"float32"``."""
        return str(dtype).rpartition(".")[2]

    # ---- derived: devices ------------------------------------------------------------------------------------------

    def device_name(self, device: Any) -> str:
        """Return the name under which users ask for `device`, such as ``"cpu"`` or ``"cuda:0"``."""
        return str(device)

    def resolve_device(self, device: Any) -> Any:
        """Return the framework's object for `device`, given as that object or as a string.

        A platform without a number means its first device; ``gpu`` and ``cuda`` mean the same.

        Raises
        ------
        DeviceError
            Listing the devices that are present.
        """
        present = list(self.devices())
        if not isinstance(device, str):
            if device in present:
                return device
        else:
            wanted = _spellings(device)
            for candidate in present:
                if wanted & _spellings(self.device_name(candidate)):
                    return candidate
        names = ", ".join(self.device_name(d) for d in present)
        raise DeviceError(f"backend {self.name!r} has no device {device!r}; present: {names}")

    def device_scope(self, device: Any) -> contextlib.AbstractContextManager[Any]:
        """Return a context in which arrays that `fun` creates are put on `device`."""
        return contextlib.nullcontext()

    def import_array(self, value: Any, device: Any = None) -> Array:
        """Convert an array of another framework, given only that it implements DLPack or NumPy's protocol.

        Raises
        ------
        DeviceError
            If the array lies on an accelerator, this framework cannot take it there, and no device was asked for.
        """
        value = value.detach() if hasattr(value, "detach") else value
        if on_host(value):
            return self.asarray(self._host_copy(value), device=device)
        try:
            imported = self.namespace.from_dlpack(value)
        except Exception as error:
            raise DeviceError(
                f"a {type(value).__module__}.{type(value).__qualname__} on device {getattr(value, 'device', '?')} "
                f"cannot be handed to backend {self.name!r} where it is ({error}); move it to the host first"
            ) from error
        return imported if device is None else self.asarray(imported, device=device)

    def _host_copy(self, value: Any) -> Any:
        try:
            return np.asarray(value).copy()
        except TypeError:  # a dtype that NumPy lacks, such as torch's bfloat16
            return self.namespace.from_dlpack(value)

    # ---- derived: pytrees, Variables, other derivatives ------------------------------------------------------------

    def flatten_node(self, node: object) -> OpenedNode | None:
        """Open one container that only the framework's own registry knows.

        Returns None for anything that is no such container.
        """
        return None

    def adopt_variable_type(self, cls: type, view: type) -> None:  # noqa: B027 - optional
        """Make the framework's functions take Variables, instances of `cls`, for what their ``.value`` holds.

        Called for each type of Variables when the backend is loaded, and for types that are defined later. The default
        relies on the array protocols that `cls` implements. A framework that takes objects apart puts them together as
        ``view(value)``, which reads as a Variable does.

        A traced array must not take a Variable beside it for a constant: its operators either know `cls`, or return
        NotImplemented for it, so that the Variable's own operator puts its value there.
        """

    # ---- derived: the framework's own transforms -------------------------------------------------------------------

    def grad(self, fun: Callable[[Array], Array]) -> Callable[[Array], Array]:
        """Return the framework's own gradient of a scalar function of one array."""
        raise self.unsupported(GRAD)

    def compile(self, fun: Callable[..., Any]) -> Callable[..., Any]:
        """Return `fun` compiled by the framework's own compiler."""
        raise self.unsupported(JIT)

    def stage(self, fun: StagedFunction) -> StagedFunction:
        """Return `fun` compiled: `anyjac.jit` is made of this.

        `fun` need only run where the shapes or dtypes of the arrays are new; what it notes is kept with them. Numbers
        may stand among the arrays. The default returns `fun`, to be run as it is.

        `fun` itself may raise an error of the core's own, for the core to see, and is run again then. Where a call is
        not to be compiled after all, ``fun.as_it_is`` makes it without.
        """
        return fun

    def map_rows(self, fun: Callable[..., Sequence[Array]], arrays: Sequence[Array]) -> list[Array]:
        """Map a flat function over the leading axis of arrays: `anyjac.vmap` is made of this.

        All arrays have the same number of rows, one or more. The default runs `fun` for each row.
        """
        count = arrays[0].shape[0]
        rows = [fun(*(array[index, ...] for array in arrays)) for index in range(count)]
        return [self.namespace.stack(column) for column in zip(*rows, strict=True)]

    def vmap(self, fun: Callable[..., Any]) -> Callable[..., Any]:
        """Return `fun` mapped over the leading axis of its arguments by the framework's own means."""
        raise self.unsupported(VMAP)

    # ---- capabilities ----------------------------------------------------------------------------------------------

    def supports(self, capability: str) -> bool:
        """Tell whether the backend declares `capability`."""
        return capability in self.capabilities

    def unsupported(self, capability: str) -> NotSupportedError:
        """Return the error for something that this backend does not do; the caller raises it."""
        what = CAPABILITIES.get(capability)
        return NotSupportedError(
            f"backend {self.name!r} does not support {capability!r}" + (f" ({what})" if what else "")
        )

    def __repr__(self) -> str:
        return f"<anyjac backend {self.name!r} {self.version}>"


def on_host(value: Any) -> bool:
    """Tell whether NumPy can read `value` where it lies, by DLPack's device code (True where it has none)."""
    report = getattr(value, "__dlpack_device__", None)
    return report is None or report()[0] in HOST_DEVICE_CODES


def _spellings(name: str) -> frozenset[str]:
    """Return the ways to write a device: with and without number 0, gpu for cuda and the reverse."""
    platform, _, number = name.strip().lower().partition(":")
    platforms = {"gpu", "cuda"} if platform in ("gpu", "cuda") else {platform}
    return frozenset(f"{p}:{number or 0}" for p in platforms)
