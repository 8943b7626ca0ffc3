"""`jit`: a transform, or any function that uses Variables, compiled by the framework.

Which Variables a function reads is found by running it; from then on they are inputs of what is compiled.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, overload

from anyjac_plugins import JIT, Backend, StagedFunction, StagedResult
from anyjac_plugins.errors import MixedBackendsError

from ..callables.wrapper import Deferred, Wrapper, bind, name_of
from ..calls.opening import open_call, select_backend
from ..calls.settings import check_backend
from ..derivatives.transform import settings_of
from ..pickles import Recipe, given
from ..selection.choice import Selection, chosen_in_context
from ..state.context import current_scope
from ..state.entries import Write
from ..state.per_object import PerObject
from ..state.scope import Scope
from ..state.variable import Variable
from ..trees.exact import exact_keys
from ..trees.structure import LEAF, flatten
from .fast_path import FastCall, FastPath, UnlikeError, layout_of, no_fast_call
from .staging import Arguments, FlatCall, Identity, Note, Static, UndiscoveredError, take_arguments_apart
from .static_arguments import NOTHING_STATIC, StaticArguments, checked_static_arguments

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R", covariant=True)


@overload
def jit(
    func: None = None,
    *,
    static_argnums: int | Sequence[int] | None = None,
    static_argnames: str | Sequence[str] | None = None,
    backend: str | Backend | None = None,
    device: Any = None,
) -> Callable[[Callable[P, R]], Jitted[P, R]]: ...


@overload
def jit(
    func: Callable[P, R],
    *,
    static_argnums: int | Sequence[int] | None = None,
    static_argnames: str | Sequence[str] | None = None,
    backend: str | Backend | None = None,
    device: Any = None,
) -> Jitted[P, R]: ...


def jit(
    func: Callable[..., Any] | None = None,
    *,
    static_argnums: int | Sequence[int] | None = None,
    static_argnames: str | Sequence[str] | None = None,
    backend: str | Backend | None = None,
    device: Any = None,
) -> Jitted[..., Any] | Callable[[Callable[..., Any]], Jitted[..., Any]]:
    """Compile a transform, or a function that uses Variables, by the framework's own compiler.

    The function runs, on traced arrays, where it is called with a new kind of arguments: other shapes and dtypes of
    arrays, other values of what is no array. Otherwise what was compiled runs, and nothing of the function's Python.
    Variables are inputs and outputs of what is compiled: they are read and written in every call, and after an error
    they are as they were.

    Parameters
    ----------
    func
        A transform such as `jacrev` makes, or any callable. Left out, `jit` returns a decorator.
    static_argnums
        Positions of arguments that the function is to see as they are, numbers among them: it may branch on them, and
        use them as shapes. They are hashable, and another value is another kind. An int or a sequence of ints;
        negative ones count from the end, and ``self`` of a method is not counted.
    static_argnames
        The same by name. Where the function's signature tells, a name stands for its position too, and the reverse.
    backend
        Name of the backend, or a `Backend`. None: that of the transform, of `use_backend`, of ``ANYJAC_BACKEND``, of
        the arrays in the call, or the default, in this order.
    device
        Device to work on. None: that of the transform, of ``ANYJAC_DEVICE``, or where the arrays are.

    Returns
    -------
    Jitted
        Takes the arguments of `func` and returns what it returns.

    Raises
    ------
    InputTypeError
        Here, if `func` is not callable; in the call, for an argument that is neither an array nor hashable.
    InputValueError
        In the call, if the function takes no argument that is named as static.

    Notes
    -----
    JAX compiles by `jax.jit`, PyTorch by `torch.compile`, whose code is used only if its first results are those of
    the operators; a warning tells where it is not. On a backend that does not declare ``jit``, as NumPy's, the
    function runs as it is in every call, with the same results.

    Numbers among the arguments are arrays to the function, unless they are static; True, False, text and other objects
    are what they are, and another value is another kind. The function cannot branch on the values of arrays. What it
    does besides computing and writing Variables, such as printing, happens when it runs, at least once for each kind of
    arguments. A Variable that is made in it has no value outside. What the environment says is looked at when something
    is compiled; a call like the one before does not look again. The compiler is given no array to write over: after an
    error a Variable could not be as it was.

    Examples
    --------
    >>> import numpy as np
    >>> import anyjac
    >>> weight = anyjac.Variable(np.array(2.0))
    >>> @anyjac.jit
    ... def descend(x):
    ...     slope = anyjac.jacrev(lambda: (weight * x - 1.0) ** 2, grad_vars=weight)()
    ...     weight.value = weight - 0.25 * slope
    ...     return slope
    >>> float(descend(np.array(1.0))), weight
    (2.0, Variable(array(1.5)))

    A number of steps is static, as it is no array to the function:

    >>> @anyjac.jit(static_argnums=1)
    ... def power(x, times):
    ...     for _ in range(times - 1):
    ...         x = x * x
    ...     return x
    >>> float(power(np.array(3.0), 2))
    9.0
    """
    options = _Options(checked_static_arguments(static_argnums, static_argnames), check_backend(backend), device)
    if func is None:
        text = f"jit({options.describe().removeprefix(', ')})"
        return Deferred(lambda func: Jitted[..., Any](func, *options.arguments()), text, options.recipe)
    return Jitted(func, *options.arguments())


@dataclass(frozen=True, slots=True)
class _Options:
    static: StaticArguments
    backend: str | Backend | None
    device: Any

    def arguments(self) -> tuple[str | Backend | None, Any, StaticArguments]:
        """Return the options in the order in which `Jitted` takes them, also from pickles of earlier versions."""
        return self.backend, self.device, self.static

    def describe(self) -> str:
        """Return the options that were given, as they would be written."""
        named = {**self.static.options(), "backend": self.backend, "device": self.device}
        return "".join(f", {name}={value!r}" for name, value in named.items() if value is not None)

    def recipe(self) -> Recipe:
        """Return how pickles make what has these options."""
        return "jit", given(**self.static.options(), backend=self.backend, device=self.device)


class Jitted(Wrapper, Generic[P, R]):
    """A function that `jit` compiles.

    It has the function's name, docstring and signature, keeps it as ``__wrapped__``, and binds ``self`` where it is an
    attribute of a class; for each object it compiles anew. It can be copied and pickled when its function can, without
    what was compiled.

    Made by `jit`, not by hand.

    Examples
    --------
    >>> import anyjac
    >>> anyjac.jit(anyjac.jacrev(lambda x: x**2))
    jit(jacrev(<lambda>))
    """

    def __init__(
        self,
        func: Callable[..., Any],
        backend: str | Backend | None,
        device: Any,
        static: StaticArguments = NOTHING_STATIC,
        programs: _Programs | None = None,
    ):
        super().__init__(func, "jit")
        func = self.__wrapped__
        settings = settings_of(func)
        self._given = _Options(static, backend, device)
        self._static: StaticArguments | None = None  # until the first call, for `func` may still have to be bound
        self._backend = backend if backend is not None or settings is None else settings.backend
        self._device = device if device is not None or settings is None else settings.device
        self._variables: tuple[Variable, ...] = () if settings is None else settings.variables
        self._programs = _Programs(lambda: func) if programs is None else programs
        self._of_instances: PerObject[_Programs] = PerObject()

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        if not kwargs:
            try:
                known: R = self._programs.fast_call(args)
                return known
            except (UnlikeError, UndiscoveredError):
                self._programs.fast_call = no_fast_call
        if args and isinstance(args[0], type) and (bound := self._of_class(args[0])) is not None:
            of_class: R = bound(*args[1:], **kwargs)
            return of_class
        try:
            return self._call(args, kwargs)
        except MixedBackendsError as error:
            if not self._learns_from(error):
                raise
        return self._call(args, kwargs)

    def _learns_from(self, error: MixedBackendsError) -> bool:
        """Return whether the framework is known now, by a Variable that the function reads."""
        learned = self._programs.learned
        if not isinstance(error.variable, Variable) or any(error.variable is known for known in learned):
            return False
        self._programs.learned = (*learned, error.variable)
        return True

    def _select_backend(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Selection:
        """Choose the backend, by what was learned too, unless the arguments say something else this time."""
        if self._programs.learned:
            with contextlib.suppress(MixedBackendsError):
                return select_backend(self._backend, args, kwargs, (*self._variables, *self._programs.learned))
        return select_backend(self._backend, args, kwargs, self._variables)

    def _call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> R:
        def work(scope: Scope) -> tuple[R, Sequence[Write]]:
            program = self._programs.program_for(scope.backend, scope.device, scope.converts)
            marked = self._static_arguments().marked(args, kwargs)
            arguments = take_arguments_apart(scope.backend, scope.device, scope.converts, *marked)
            returned = program.run(scope, arguments)
            self._remember(program, arguments, returned.note, args, kwargs)
            return returned.note.result(returned.arrays), returned.note.writes(returned.arrays)

        return open_call(work, self._select_backend(args, kwargs), self._device)

    def _static_arguments(self) -> StaticArguments:
        if self._static is None:
            self._static = self._given.static.completed(self.__wrapped__)
        return self._static

    def _remember(
        self, program: _Program, arguments: Arguments, note: Note, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        """Remember the short way, where neither keywords nor a default that may change stand against it."""
        named = self._backend is not None
        if (
            not kwargs
            and not self._static_arguments().positions
            and (named or args or self._variables or self._programs.learned)
        ):
            self._programs.fast_call = program.fast_call(arguments.static, args, note, named=named)

    @overload
    def __get__(self, instance: None, owner: type | None = None) -> Jitted[P, R]: ...
    @overload
    def __get__(self: Jitted[Concatenate[Any, Q], R], instance: object, owner: type | None = None) -> Jitted[Q, R]: ...
    def __get__(self, instance: object | None, owner: type | None = None) -> Jitted[..., R]:
        func = self.__wrapped__
        bound = bind(func, instance, owner)
        if bound is func:
            return self
        if instance is not None:
            compiled = self._of_instances.of(instance, lambda find: _Programs(lambda: bind(func, find(), owner)))
        else:  # a class method or a static one, asked of the class
            compiled = self._of_instances.of(owner, lambda find: _Programs(lambda: bind(func, None, find())))
        return Jitted(bound, *self._given.arguments(), programs=compiled)

    def __repr__(self) -> str:
        return f"jit({name_of(self.__wrapped__)}{self._given.describe()})"

    def _options(self) -> tuple[Any, ...]:
        return self._given.arguments()

    def _recipe(self) -> Recipe:
        return self._given.recipe()


class _Programs:
    """The programs compiled of a function, or of a method of an object.

    Attributes
    ----------
    known
        The short way for calls like the last one: makes a call, or raises an UnlikeError.
    learned
        Variables that have told the framework, where nothing else did.
    """

    def __init__(self, resolve: Callable[[], Callable[..., Any]]) -> None:
        self._resolve = resolve
        self._programs: dict[tuple[Identity, Any, bool], _Program] = {}
        self.fast_call: FastCall = no_fast_call
        self.learned: tuple[Variable, ...] = ()

    def program_for(self, backend: Backend, device: Any, converts: bool) -> _Program:
        """Return the function as the backend compiles it."""
        key = Identity(backend), device, converts
        found = self._programs.get(key)
        if found is None:
            found = self._programs.setdefault(key, _Program(backend, device, converts, self._resolve))
        return found


class _Program:
    """A function as compiled by a backend: for each kind of arguments a program, and the Variables read in it."""

    def __init__(self, backend: Backend, device: Any, converts: bool, resolve: Callable[[], Callable[..., Any]]):
        self._backend = backend
        self._device = device
        self._converts = converts
        self._resolve = resolve
        settings = settings_of(resolve())
        self._compiles = backend.supports(JIT) and not (settings is not None and settings.debug_nan)
        self._reads: dict[Static, tuple[Variable, ...]] = {}
        self._staged: dict[Static, StagedFunction] = {}

    def run(self, scope: Scope, arguments: Arguments) -> StagedResult:
        """Run on arguments and on what the Variables are worth in a scope, and find out which those are."""
        if not self._compiles:
            run = self._flat(arguments.static).as_it_is
            returned = scope.run(lambda: run(*arguments.arrays))[0]  # which finds its Variables in the scope
            given = [array for array in arguments.arrays if self._backend.is_array(array)]
            return StagedResult(returned.note, self._backend.unshared(returned.arrays, given))
        while True:
            read = self._reads.get(arguments.static, ())
            trees = scope.values_at_entry(read)
            values = [flatten(value) for value in trees]
            static = arguments.static.with_variables(
                [(Identity(variable), tree) for variable, (_, tree) in zip(read, values, strict=True)],
                [key for value in trees if not self._backend.is_array(value) for key in exact_keys(value)],
            )
            arrays = [*arguments.arrays, *(leaf for leaves, _ in values for leaf in leaves)]
            staged = self._staged_for(static)
            try:  # in the scope, for the run that may be needed, whose own scope is within this one
                return scope.run(partial(staged, *arrays))[0]
            except UndiscoveredError as found:
                self._reads[arguments.static] = (*read, *found.variables)

    def _staged_for(self, static: Static) -> StagedFunction:
        found = self._staged.get(static)
        if found is None:
            found = self._staged.setdefault(static, self._backend.stage(self._flat(static)))
        return found

    def _flat(self, static: Static) -> FlatCall:
        return FlatCall(self._backend, self._device, self._converts, static, self._resolve)

    def fast_call(self, static: Static, args: tuple[Any, ...], note: Note, *, named: bool) -> FastCall:
        """Return the fast path for calls like the given call, if no other is around it and nothing is moved."""
        backend, read = self._backend, self._reads.get(static, ())
        leaves, tree = (args, None) if all(map(backend.is_array, args)) else flatten(args)
        values = [variable.committed() for variable in read]
        if not self._compiles or self._device is not None or note.written is None or static.keys:
            return no_fast_call
        if current_scope() is not None or not (named or chosen_in_context() is None):
            return no_fast_call
        if any(variable.backend is not backend for variable in (*read, *note.written)):
            return no_fast_call
        if not all(backend.is_array(array) and not backend.is_traced(array) for array in (*leaves, *values)):
            return no_fast_call
        staged = self._staged_for(static.with_variables([(Identity(variable), LEAF) for variable in read]))
        stateless = not read and not note.written
        return FastPath(
            backend,
            staged,
            read,
            leaves,
            tree,
            values,
            layout_of(args, leaves),
            converts=self._converts,
            named=named,
            stateless=stateless,
        )
