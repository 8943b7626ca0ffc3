"""`GradientTransform`: a function and the derivative to take of it, as a callable."""

from __future__ import annotations

import contextlib
import copy
import inspect
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeAlias, TypeVar, overload

from anyjac_plugins import lost_derivatives
from anyjac_plugins.errors import MissingExtraError, NotSupportedError
from anyjac_plugins.installing import extra

from ..callables.wrapper import Deferred, InstanceAttribute, Wrapper, is_class_method, name_of, signature_of
from ..calls.settings import Settings
from ..pickles import Recipe
from .differentiate import Derivative, Request
from .linearisation import Linearisation, linearise
from .rows import Rows
from .watched_calls import WatchedCalls

if TYPE_CHECKING:
    from .linear_operator import JacobianOperator

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R", covariant=True)
Product = TypeVar("Product")


class GradientTransform(Wrapper, Generic[P, R]):
    """A callable that returns a derivative of the function it wraps.

    A transform takes the function's arguments, has the function's name, docstring and signature, keeps the function as
    ``__wrapped__``, and binds ``self`` as an attribute of a class. It holds no state of the function between calls, so
    threads may share a transform, and copies and pickles are made wherever the function allows it.

    Made by `jacrev` and its family, not by hand.

    Examples
    --------
    >>> import anyjac
    >>> transform = anyjac.jacrev(lambda x: x**2, return_value=True)
    >>> transform
    jacrev(<lambda>, return_value=True)
    >>> slope, value = transform(3.0)
    >>> float(slope), float(value)
    (6.0, 9.0)
    """

    def __init__(
        self, func: Callable[..., Any], derivative: Derivative, settings: Settings, watch: WatchedCalls | None = None
    ):
        super().__init__(func, derivative.name)
        self._derivative = derivative
        self._settings = settings
        self._watch = watch or WatchedCalls()
        self._last_mode: str | None = None

    def _directed_signature(self) -> inspect.Signature:
        """Return the signature with the direction before the function's arguments, after the class of a class method.

        Raises
        ------
        AttributeError
            If there is no direction, so that the signature is the function's, or if the function has none.
        """
        if not self._derivative.direction:
            raise AttributeError
        try:
            shown = signature_of(self.__wrapped__)
        except (TypeError, ValueError):  # not every callable has one
            raise AttributeError from None
        direction = inspect.Parameter(self._derivative.direction, inspect.Parameter.POSITIONAL_ONLY)
        given = list(shown.parameters.values())
        classes = given[:1] if is_class_method(self) else []
        before = [parameter.replace(kind=inspect.Parameter.POSITIONAL_ONLY) for parameter in classes]
        return shown.replace(parameters=[*before, direction, *given[len(classes) :]])

    __signature__ = InstanceAttribute(_directed_signature)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        if args and isinstance(args[0], type) and (bound := self._of_class(args[0])) is not None:
            of_class: R = bound(*args[1:], **kwargs)
            return of_class
        settings = self._settings.current()
        request = Request(self.__wrapped__, settings, args, kwargs, self._note_mode)
        strict = self._watch.next(settings)
        result: R
        if strict is None:
            result = self._derivative.apply(request)
            return result
        with lost_derivatives.watching(strict):
            result = self._derivative.apply(request)
            return result

    def _linearise(self, asked: str, args: Any, kwargs: Any, make: Callable[[Linearisation], Product]) -> Product:
        """Run the function once, watched as in a call, and return the product of `make`."""
        func, settings = self._operand(asked)
        strict = self._watch.next(settings)
        with contextlib.nullcontext() if strict is None else lost_derivatives.watching(strict):
            return linearise(func, settings, args, kwargs, make)

    def rows(self, *args: P.args, **kwargs: P.kwargs) -> Rows:
        """Compute the Jacobian in blocks of rows, for one that does not fit in memory.

        The function runs once, here. Its writes to Variables are stored when its outputs have been checked, before any
        row is computed; after an error every Variable is as before. Rows are computed on demand, ``chunk_size`` at
        once.

        Parameters
        ----------
        *args, **kwargs
            The function's arguments.

        Returns
        -------
        Rows
            An iterator over `RowBlock`, with ``len``, the attributes ``value`` and ``aux``, and the methods
            ``on_progress``, ``into`` and ``close``.

        Raises
        ------
        NotSupportedError
            If the derivative is no Jacobian, as those of `vector_grad`, `vjp`, `linearize`, `jvp` and `hvp`.
        AnyjacError
            The same errors as a call of the transform.

        Notes
        -----
        The iterator owns no Variable, so that other threads may use Variables while it is half consumed. A custom
        derivative rule that reads a Variable while rows are computed sees the value at that time. Arrays that the
        function uses and that are not differentiated must not change in place before the last block is there.

        Examples
        --------
        >>> import numpy as np
        >>> import anyjac
        >>> def differences(x):
        ...     return x[1:] - x[:-1]
        >>> jacobian = np.zeros((4, 5))
        >>> for rows in anyjac.jacrev(differences, chunk_size=2).rows(np.arange(5.0)):
        ...     jacobian[rows.start : rows.stop] = rows.block
        >>> jacobian.astype(int)
        array([[-1,  1,  0,  0,  0],
               [ 0, -1,  1,  0,  0],
               [ 0,  0, -1,  1,  0],
               [ 0,  0,  0, -1,  1]])
        """
        self._refuse_without_class("rows", args)
        return self._linearise("rows", args, kwargs, Rows)

    def _note_mode(self, mode: str) -> None:
        """Keep the mode of the last call for the repr, if the derivative picks its mode."""
        if self._derivative.picks_mode:
            self._last_mode = mode

    def _operand(self, asked: str) -> tuple[Callable[..., Any], Settings]:
        """Return the function whose Jacobian is the derivative, and the settings to differentiate it with."""
        if self._derivative.operand is None:
            raise NotSupportedError(
                f"{self._derivative.name} has no {asked}: what it returns is no Jacobian; take jacrev of the function"
            )
        return self._derivative.operand(self.__wrapped__, self._settings.current())

    def as_linear_operator(self, *args: P.args, **kwargs: P.kwargs) -> JacobianOperator:
        """Return the Jacobian as a linear operator of SciPy, so that solvers run without the matrix.

        The function runs once, here, and its writes to Variables are stored. GMRES, LSQR, ``svds`` and the like take
        the operator; each product with a vector costs about as much as a few runs of the function.

        Parameters
        ----------
        *args, **kwargs
            The function's arguments.

        Returns
        -------
        JacobianOperator
            A `scipy.sparse.linalg.LinearOperator` of shape (elements of all outputs, elements of all inputs), with the
            attributes ``value`` and ``aux``, and the methods ``ravel_input``, ``unravel_input``, ``ravel_output`` and
            ``unravel_output`` between vectors and trees.

        Raises
        ------
        MissingExtraError
            If SciPy is not installed.
        NotSupportedError
            If the backend does not declare ``nested``, which products with the Jacobian from the left need, or if the
            derivative is no Jacobian.
        TracerLeakError
            If the arguments belong to a trace: the vectors are NumPy's.
        AnyjacError
            The same errors as a call of the transform.

        Examples
        --------
        A step of Newton's method:

        >>> import numpy as np
        >>> import anyjac
        >>> from scipy.sparse.linalg import gmres
        >>> x = np.array([1.0, 2.0])
        >>> J = anyjac.jacrev(lambda x: x**2 - 2.0).as_linear_operator(x)
        >>> step, failed = gmres(J, -J.value)
        >>> (x + step).round(3).tolist()
        [1.5, 1.5]
        """
        self._refuse_without_class("as_linear_operator", args)
        try:
            from .linear_operator import JacobianOperator
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] != "scipy":
                raise
            raise MissingExtraError(
                f"as_linear_operator needs SciPy, which is not installed: pip install {extra('scipy')}", name="scipy"
            ) from error
        return self._linearise("as_linear_operator", args, kwargs, JacobianOperator)

    @overload
    def __get__(self, instance: None, owner: type | None = None) -> GradientTransform[P, R]: ...
    @overload
    def __get__(
        self: GradientTransform[Concatenate[Any, Q], R], instance: object, owner: type | None = None
    ) -> GradientTransform[Q, R]: ...
    def __get__(self, instance: object | None, owner: type | None = None) -> GradientTransform[..., R]:
        transform: GradientTransform[..., R] = super().__get__(instance, owner)
        return transform

    def _options(self) -> tuple[Any, ...]:
        return self._derivative, self._settings, self._watch

    def _recipe(self) -> Recipe:
        return _recipe(self._derivative, self._settings)

    def __deepcopy__(self, memo: dict[int, Any]) -> GradientTransform[P, R]:
        func, settings = copy.deepcopy(self.__wrapped__, memo), self._settings
        if func is not self.__wrapped__:  # a plain function is not copied, and goes on using its Variables
            settings = settings.copied(memo)
        return GradientTransform(func, self._derivative, settings)

    def __repr__(self) -> str:
        derivative = self._derivative
        taken = f" (took {self._last_mode!r})" if self._last_mode is not None else ""
        return f"{derivative.name}({name_of(self.__wrapped__)}{_described(derivative, self._settings)}){taken}"


def settings_of(func: Callable[..., Any]) -> Settings | None:
    """Return the settings of a transform, and None for any other function."""
    return func._settings.current() if isinstance(func, GradientTransform) else None


def _described(derivative: Derivative, settings: Settings) -> str:
    """Return the options besides the function, as in source code."""
    options = "".join(f", {name}={value!r}" for name, value in derivative.options.items())
    return f"{_without_implied_value(derivative, settings).describe()}{options}"


def _recipe(derivative: Derivative, settings: Settings) -> Recipe:
    return derivative.name, {**_without_implied_value(derivative, settings).options(), **derivative.options}


def _without_implied_value(derivative: Derivative, settings: Settings) -> Settings:
    """Return the settings without ``return_value`` where the derivative implies the value."""
    return replace(settings, return_value=False) if derivative.implies_value else settings


Decorator: TypeAlias = Callable[[Callable[..., Any]], GradientTransform[..., Any]]


def make_transform(
    derivative: Derivative, settings: Settings, func: Callable[..., Any] | None
) -> GradientTransform[..., Any] | Decorator:
    """Return the transform of a function, or without a function the decorator that makes transforms."""
    if func is None:
        text = _described(derivative, settings).removeprefix(", ")
        wrap = partial(GradientTransform[..., Any], derivative=derivative, settings=settings)
        return Deferred(wrap, f"{derivative.name}({text})", partial(_recipe, derivative, settings))
    return GradientTransform(func, derivative, settings)
