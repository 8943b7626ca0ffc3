"""Variables: boxes that hold arrays and can be differentiated with respect to.

Outside transforms a Variable is a box with one value. Inside, its value is kept by the scope of the call, so that a
Variable itself never holds a tracer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np

from anyjac_plugins import Backend
from anyjac_plugins.errors import DeletedArrayError, TracerLeakError, VariableWriteError

from ..pickles import blank
from ..selection.choice import kind_of, select, select_device
from ..selection.conversion import to_array
from ..selection.public import get_backend
from ..trees.structure import TreeDef, flatten
from .context import current_scope, expired, is_expired
from .operators import ArrayOperators, unwrap
from .ownership import wait_to_read, wait_to_write
from .variable_types import adopt_type

_PYTHON_KINDS = {
    bool: ("bool", "integral", "real floating", "complex floating"),
    int: ("integral", "real floating", "complex floating"),
    float: ("real floating", "complex floating"),
    complex: ("complex floating",),
}
"""For each Python number, the kinds of dtype that can hold it without loss of kind."""

_STATE = "state"
"""The kind of a dtype without numbers, as of keys of random numbers."""

_HOLDS = "and a Variable holds numbers and arrays"

_GENERATORS = {"Generator": ("numpy", "torch"), "RandomState": ("numpy",), "Random": ("random",)}
"""Types of generators of random numbers, by name, and the packages that have one of that name."""

_CHANGES_IN_PLACE = (
    "a generator of random numbers, which changes in place with each number, so that no call could take its numbers "
    "back; keep it beside the Variables, and hand its numbers to the function, or seed it there"
)


def _why_not(leaf: Any) -> str:
    """Return why a leaf that is no array cannot be held."""
    packages = _GENERATORS.get(type(leaf).__name__, ())
    return _CHANGES_IN_PLACE if type(leaf).__module__.partition(".")[0] in packages else _HOLDS


@dataclass(frozen=True, slots=True)
class LeafType:
    """What is fixed about one array of a Variable."""

    shape: tuple[int, ...]
    dtype: str
    kind: str

    def __str__(self) -> str:
        return f"{self.dtype}{list(self.shape)}"


@dataclass(frozen=True, slots=True)
class _Deleted:
    """Stands in a repr for an array whose numbers are gone."""

    type: str

    def __repr__(self) -> str:
        return f"<deleted {self.type}>"


class Variable(ArrayOperators):
    """A box that holds an array, or a pytree of arrays, and can be named in ``grad_vars``.

    Inside a transform a Variable reads as the value that the transform gives it, and what is written there is stored
    when the whole call has succeeded; if anything fails, the Variable is as it was. It behaves as its array in
    expressions, indexing and the functions of the framework; ``v[i] = y`` and ``v += y`` write it. Calls that run at
    the same time and touch the same Variable are carried out one after the other.

    Parameters
    ----------
    value
        An array, a number, or a pytree of them; copied. Its shape, dtype and tree are fixed from then on. A list is a
        pytree and not an array. Another Variable gives its value.
    backend
        Name of the backend whose array it holds; None to choose by context, environment or the type of `value`.
    device
        Device to put it on; None leaves arrays where they are.
    name
        Shown in messages and in the repr.
    allow_reshape
        Whether later writes may have another shape, dtype or tree.

    Attributes
    ----------
    trainable : bool
        Whether `train_vars` collects it; true for `TrainVar`.

    Raises
    ------
    InputTypeError
        If `value` holds something that is no number or array.
    TracerLeakError
        If `value` is traced by the framework and no transform is running.

    Notes
    -----
    In-place changes of the array that ``.value`` gives (NumPy, PyTorch) are writes: inside a transform they are
    stored or discarded with the others.

    Examples
    --------
    >>> import numpy as np
    >>> import anyjac
    >>> v = anyjac.Variable(np.array([1.0, 2.0]), name="v")
    >>> v * v
    array([1., 4.])
    >>> w = anyjac.Variable(3.0)
    >>> float(anyjac.jacrev(lambda: w**2, grad_vars=w)())
    6.0
    >>> w += 1
    >>> w
    Variable(array(4.))
    """

    __slots__ = (
        "__dict__",
        "__weakref__",
        "_leaf_types",
        "_tree",
        "_value",
        "allow_reshape",
        "backend",
        "name",
    )

    trainable: ClassVar[bool] = False

    backend: Backend
    name: str | None
    allow_reshape: bool
    _value: Any
    _tree: TreeDef
    _leaf_types: tuple[LeafType, ...]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        adopt_type(cls)

    def __init__(
        self,
        value: Any,
        *,
        backend: str | Backend | None = None,
        device: Any = None,
        name: str | None = None,
        allow_reshape: bool = False,
    ) -> None:
        scope = current_scope()
        leaves, tree = flatten(without_variables(value))
        chosen = select(backend, leaves, None if scope is None else scope.backend).backend
        self.backend = chosen
        self.name = name
        self.allow_reshape = allow_reshape
        device = select_device(chosen, device)
        arrays = [
            to_array(chosen, leaf, partial("value{}".format, path), device=device, why=_why_not(leaf))
            for leaf, path in zip(leaves, tree.paths(), strict=True)
        ]
        self._fix(arrays, tree)
        content = tree.unflatten(arrays)
        if scope is None:
            self._refuse_traced(arrays)
            self._value = tree.unflatten([chosen.constant(array) for array in arrays])
        else:
            self._value = expired()
            scope.create(self, content)

    # ---- the value -------------------------------------------------------------------------------------------------

    @property
    def value(self) -> Any:
        """The array, or the pytree of arrays, that the Variable holds here and now."""
        if current_scope() is None:
            wait_to_read(self)
        return value_here(self)

    @value.setter
    def value(self, new: Any) -> None:
        scope = current_scope()
        backend = self.backend if scope is None else scope.backend
        content = self._accept(new, backend)
        if scope is not None:
            scope.write(self, content)
            return
        leaves, tree = flatten(content)
        self._refuse_traced(leaves)
        wait_to_write(self)
        self._value = tree.unflatten([backend.constant(leaf) for leaf in leaves])

    @classmethod
    def replace_value(cls, array: Any, new: Any) -> bool:
        """Let the Variable that reads as this very array in the running call hold another one.

        Parameters
        ----------
        array
            What reading a Variable has given, or an array in the tree that it has given.
        new
            An array of the same shape and dtype.

        Returns
        -------
        bool
            Whether there is such a Variable; without one, nothing is done.
        """
        scope = current_scope()
        return scope is not None and scope.replace(array, new)

    def committed(self) -> Any:
        """Return the value outside all transforms.

        Raises
        ------
        TracerLeakError
            If the Variable was made inside a call that has failed or was traced, and so never got one.
        DeletedArrayError
            If its array was donated to a compiled function.
        """
        value = self._value
        if is_expired(value):
            raise TracerLeakError(
                f"{self.label()} was made inside a call that failed, or that the framework was tracing; it has no "
                f"value outside that call"
            )
        self._refuse_deleted(value)
        return value

    def _refuse_deleted(self, value: Any) -> None:
        backend = self.backend
        if backend.is_array(value):
            deleted = backend.is_deleted(value)
        else:
            deleted = any(backend.is_array(leaf) and backend.is_deleted(leaf) for leaf in flatten(value)[0])
        if deleted:
            raise DeletedArrayError(
                f"the array of {self.label()} was deleted: it, or the array that the Variable was made of, was donated "
                f"to a compiled function, as by donate_argnums of jax.jit; donate a copy, or write the Variable anew"
            )

    def _keep(self) -> Any:
        """Return the present value in a form by which `store` brings it back."""
        return self._value

    def _home(self) -> Any:
        """Return the device of what the Variable holds; None where it holds nothing, or nothing yet."""
        held = [leaf for leaf in flatten(self._value)[0] if self.backend.is_array(leaf)]
        return self.backend.device_of(held[0]) if held else None

    def _backend_here(self) -> Backend:
        """Return the backend whose arrays the Variable reads as: that of the running call, or its own."""
        scope = current_scope()
        return self.backend if scope is None else scope.backend

    def label(self) -> str:
        """Return how messages call this Variable."""
        kind = type(self).__name__
        shown = ", ".join(map(str, self._leaf_types))
        return f"{kind} {self.name!r}" if self.name else f"an unnamed {kind} of {shown}"

    # ---- checks ----------------------------------------------------------------------------------------------------

    def _fix(self, arrays: list[Any], tree: TreeDef) -> None:
        self._tree = tree
        self._leaf_types = tuple(self._type_of(array, self.backend) for array in arrays)

    @staticmethod
    def _type_of(array: Any, backend: Backend) -> LeafType:
        kind = _STATE if backend.is_state_dtype(array.dtype) else backend.dtype_kind(array.dtype)
        return LeafType(tuple(array.shape), backend.dtype_name(array.dtype), kind)

    def _refuse_traced(self, leaves: list[Any]) -> None:
        if any(self.backend.is_array(leaf) and self.backend.is_traced(leaf) for leaf in leaves):
            raise TracerLeakError(
                f"the value for {self.label()} belongs to a trace or graph of {self.backend.name}, and no transform of "
                f"anyjac is running that would take it out again; store a constant (stop the gradient, or detach it)"
            )

    def _accept(self, new: Any, backend: Backend) -> Any:
        """Turn what is assigned into arrays of `backend`, of the fixed shapes, dtypes and tree."""
        leaves, tree = flatten(without_variables(new))
        if self.allow_reshape:
            return self._accept_any(leaves, tree, backend)
        own = self._tree
        arranged = own.arrange(leaves, tree)
        if arranged is None:
            raise VariableWriteError(
                f"{self.label()} holds the tree {own} and was given {tree}; give it the same tree, or make "
                f"it with allow_reshape=True"
            )
        paths = own.paths() if own.num_leaves > 1 else [""] * own.num_leaves
        checked = map(self._accept_leaf, arranged, self._types_in(backend), paths, [backend] * len(arranged))
        return own.unflatten(list(checked))

    def _types_in(self, backend: Backend) -> tuple[LeafType, ...]:
        """Return the fixed types as a call on `backend` sees them: another framework may lack one of the dtypes."""
        scope = current_scope()
        if backend is self.backend or scope is None:
            return self._leaf_types
        return tuple(self._type_of(leaf, backend) for leaf in flatten(scope.read(self))[0])

    def _accept_any(self, leaves: list[Any], tree: TreeDef, backend: Backend) -> Any:
        paths = tree.paths()
        arrays = [self._to_array(leaf, path, backend) for leaf, path in zip(leaves, paths, strict=True)]
        return tree.unflatten(arrays)

    def _accept_leaf(self, leaf: Any, fixed: LeafType, path: str, backend: Backend) -> Any:
        if type(leaf) in _PYTHON_KINDS:
            if fixed.kind not in _PYTHON_KINDS[type(leaf)] or fixed.shape != ():
                raise self._wrong_type(f"the {type(leaf).__name__} {leaf!r}", fixed, path)
            return backend.asarray(leaf, dtype=getattr(backend.namespace, fixed.dtype))
        array = self._to_array(leaf, path, backend)
        given = self._type_of(array, backend)
        if given != fixed:
            raise self._wrong_type(str(given), fixed, path)
        return array

    def _to_array(self, leaf: Any, path: str, backend: Backend) -> Any:
        return to_array(
            backend,
            leaf,
            lambda: f"the new value of {self.label()}{path}",
            error=VariableWriteError,
            why=_why_not(leaf),
        )

    def _wrong_type(self, given: str, fixed: LeafType, path: str) -> VariableWriteError:
        return VariableWriteError(
            f"{self.label()}{path} holds {fixed} and was given {given}; give it that shape and dtype, or make it with "
            f"allow_reshape=True"
        )

    # ---- as an array -----------------------------------------------------------------------------------------------

    def __setitem__(self, index: Any, new: Any) -> None:
        backend = self._backend_here()
        content = self.value
        if backend.is_array(content):
            self.value = backend.set_index(content, unwrap(index), unwrap(new))
            return
        content = flatten(content)[1].unflatten(flatten(content)[0])  # a new tree of the same arrays
        content[index] = unwrap(new)
        self.value = content

    def __array_namespace__(self, *, api_version: str | None = None) -> Any:
        return self._backend_here().namespace

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        backend, value = self._backend_here(), self.value
        if backend.is_traced(value):
            raise TracerLeakError(
                f"{self.label()} is being differentiated here, so it cannot become a NumPy array; use its .value with "
                f"the functions of the backend's namespace"
            )
        host = backend.to_numpy(value)
        return np.array(host, dtype=dtype, copy=copy)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name == "value":  # whose own AttributeError would be asked for without end
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        try:
            return getattr(self.value, name)
        except AttributeError as error:
            if name == "device":  # which arrays of some frameworks do not have
                return self._backend_here().device_of(value_here(self))
            raise AttributeError(f"neither {type(self).__name__} nor its value has an attribute {name!r}") from error

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *(name for name in dir(value_here(self)) if not name.startswith("_"))})

    def __repr__(self) -> str:
        named = f", name={self.name!r}" if self.name else ""
        return f"{type(self).__name__}({self._shown()!r}{named})"

    def _shown(self) -> Any:
        scope = current_scope()
        value = self._value if scope is None else scope.peek(self, self._value)
        backend = self._backend_here()
        leaves, tree = flatten(value)
        if any(backend.is_array(leaf) and backend.is_deleted(leaf) for leaf in leaves):  # whose numbers are gone
            return tree.unflatten([_Deleted(str(fixed)) for fixed in self._leaf_types])
        return value

    # ---- copying and pickling --------------------------------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        return {
            "value": self.committed(),
            "backend": self.backend.name,
            "name": self.name,
            "allow_reshape": self.allow_reshape,
            "extra": dict(self.__dict__),
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state["extra"])
        self.backend = get_backend(state["backend"])
        self.name = state["name"]
        self.allow_reshape = state["allow_reshape"]
        leaves, tree = flatten(state["value"])
        arrays = [self.backend.constant(self.backend.asarray(leaf)) for leaf in leaves]
        self._fix(arrays, tree)
        self._value = tree.unflatten(arrays)

    def __reduce__(self) -> tuple[Any, ...]:
        kind = type(self)
        return blank, (kind.__name__ if kind in (Variable, TrainVar) else kind,), self.__getstate__()


def store(variable: Variable, value: Any) -> None:
    """Let a Variable hold a final value, outside all transforms."""
    variable._value = value


def kept_value(variable: Variable) -> Any:
    """Return a value by which `store` brings back what a Variable holds now."""
    return variable._keep()


def take_back(variable: Variable, leaves: Sequence[Any], backend: Backend, *, moved: bool) -> list[Any]:
    """Turn untraced arrays of a call into arrays of a Variable's own backend, with its dtypes.

    Parameters
    ----------
    leaves, backend
        The arrays of the value, and the backend of the call.
    moved
        Whether the call worked on a device of its own; the Variable stays where it was.
    """
    own = variable.backend
    if backend is not own:
        leaves = [own.import_array(leaf) for leaf in leaves]
        if not variable.allow_reshape:
            dtypes = [getattr(own.namespace, fixed.dtype) for fixed in variable._leaf_types]
            leaves = [own.asarray(leaf, dtype=dtype) for leaf, dtype in zip(leaves, dtypes, strict=True)]
    if moved:
        home = variable._home()
        leaves = [own.asarray(leaf, device=home) for leaf in leaves]
    return [own.constant(leaf) for leaf in leaves]


def value_here(variable: Variable) -> Any:
    """Return the value of a Variable in the innermost scope, or outside of all scopes whoever owns the Variable."""
    scope = current_scope()
    return variable.committed() if scope is None else scope.read(variable)


def accepted(variable: Variable, new: Any, backend: Backend) -> Any:
    """Return what a Variable would hold if `new` were assigned, as arrays of a backend.

    Raises
    ------
    VariableWriteError
        If it has another shape, dtype or tree than the Variable.
    """
    return variable._accept(new, backend)


def without_variables(tree: Any) -> Any:
    """Return a pytree with the values of the Variables in it; the very object where there are none."""
    if isinstance(tree, Variable):
        return value_here(tree)
    if kind_of(tree) is not None:
        return tree  # an array
    leaves, treedef = flatten(tree)
    if not any(isinstance(leaf, Variable) for leaf in leaves):
        return tree
    return treedef.unflatten([value_here(leaf) if isinstance(leaf, Variable) else leaf for leaf in leaves])


adopt_type(Variable)


class TrainVar(Variable):
    """A Variable that is trained; `train_vars` collects these.

    Examples
    --------
    >>> import anyjac
    >>> anyjac.TrainVar(0.5).trainable
    True
    """

    __slots__ = ()

    trainable: ClassVar[bool] = True
