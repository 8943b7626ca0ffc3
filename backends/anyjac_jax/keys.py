"""Keys of jaxprs: equal only if the two programs, and all first derivatives of them, are the same.

Variables are numbered, literals go by their bytes, jaxprs in parameters by recursion; everything else in a key is
compared by its own equality. Arrays that a program captures at its top are its inputs and no part of the key; those
further in are. What cannot be compared soundly has no key, nor has a program that runs other code than JAX's own
(`own_code`): it would run again whenever JAX traces a kept program anew.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary, ref

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal, Var

from anyjac_plugins.locking import SafeLock

from .faithful import are_wide, look_through, refuse_contexts, refuse_moves, refuse_wide
from .own_code import CALLBACKS, CUSTOM_CALLS, ForeignCodeError, name_of_own_rule, refuse_foreign
from .programs import bind

LARGEST_CONSTANT = 2**16
"""Bytes of the largest constant within a program that is compared by its contents."""


class UnkeyableError(Exception):
    """Something in a program has no sound key."""


def key_of(jaxpr: Jaxpr, *, differentiated: bool) -> Hashable:
    """Return the key of a program.

    Parameters
    ----------
    differentiated
        Whether the program is going to be differentiated once, and not only to be computed.

    Raises
    ------
    UnkeyableError
        If it has none.
    UnfaithfulError
        If the function had better be run without being recorded.
    ForeignCodeError
        If it runs code that is not JAX's own.
    """
    reading = _Reading(differentiated, are_wide())
    refuse_contexts(jaxpr)
    try:
        if jaxpr.effects:
            raise UnkeyableError(f"effects: {jaxpr.effects}")
        return _program(jaxpr, reading)
    except (UnkeyableError, ForeignCodeError):
        if differentiated:
            look_through(jaxpr, wide=reading.wide)
        raise


class _Reading(NamedTuple):
    """What a key depends on besides the program."""

    differentiated: bool
    wide: bool
    """Whether there are 64-bit dtypes outside the function."""


class _HashedKey:
    """A key with its hash, which is computed once, as for the parts of a large program."""

    __slots__ = ("_hash", "_parts")

    def __init__(self, parts: Hashable):
        self._parts = parts
        self._hash = hash(parts)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return isinstance(other, _HashedKey) and self._hash == other._hash and self._parts == other._parts


class _Identity:
    """The identity of an immutable object, which is not kept alive; after its end it equals no other."""

    __slots__ = ("_address", "_reference")

    def __init__(self, thing: Any):
        self._address = id(thing)
        self._reference = ref(thing)

    def __hash__(self) -> int:
        return self._address

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Identity):
            return False
        thing = self._reference()
        return thing is not None and thing is other._reference()


_lock = SafeLock()
_programs: defaultdict[_Reading, WeakKeyDictionary[Jaxpr, _HashedKey]] = defaultdict(WeakKeyDictionary)
"""Keys of jaxprs that JAX has kept from an earlier trace, as it does with those of jitted functions."""


def _inner_program(jaxpr: Jaxpr, reading: _Reading) -> _HashedKey:
    found: _HashedKey | None = _lock.run(lambda: _programs[reading].get(jaxpr))
    if found is not None:
        return found
    known = _HashedKey(_program(jaxpr, reading))
    _lock.run(lambda: _programs[reading].__setitem__(jaxpr, known))
    return known


def _program(jaxpr: Jaxpr, reading: _Reading) -> Hashable:
    numbers: dict[Var, int] = {}

    def defined(variables: Sequence[Var]) -> Hashable:
        for variable in variables:
            numbers[variable] = len(numbers)
        if not reading.wide:
            refuse_wide(variables)
        return tuple(variable.aval for variable in variables)

    def used(atoms: Sequence[Any]) -> Hashable:
        return tuple(_literal(atom) if isinstance(atom, Literal) else numbers[atom] for atom in atoms)

    inputs = defined(jaxpr.constvars), defined(jaxpr.invars)
    steps = tuple(
        (equation.primitive, used(equation.invars), _parameters(equation, reading), equation.ctx,
         defined(equation.outvars))
        for equation in jaxpr.eqns
    )  # fmt: skip
    return inputs, steps, used(jaxpr.outvars)


def _literal(literal: Literal) -> Hashable:
    return literal.aval, _contents(literal.val)


def _parameters(equation: JaxprEqn, reading: _Reading) -> Hashable:
    refuse_moves(equation)
    if equation.primitive in CUSTOM_CALLS:
        return _custom(equation, reading)
    if equation.primitive.name in CALLBACKS:
        raise UnkeyableError(f"a call of {equation.primitive.name!r}")
    refuse_foreign(equation)
    return tuple((name, _parameter(value, reading)) for name, value in sorted(equation.params.items()))


def _parameter(value: Any, reading: _Reading) -> Hashable:
    if isinstance(value, ClosedJaxpr):
        return _inner_program(value.jaxpr, reading), tuple(map(_constant, value.consts))
    if isinstance(value, Jaxpr):
        return _inner_program(value, reading)
    if isinstance(value, (tuple, list)):
        return type(value), tuple(_parameter(item, reading) for item in value)
    if isinstance(value, dict):
        return dict, tuple((name, _parameter(item, reading)) for name, item in sorted(value.items()))
    if isinstance(value, (jax.Array, np.ndarray, np.generic, float, complex)):
        return type(value), _constant(value)
    try:
        hash(value)
    except TypeError as error:
        raise UnkeyableError(f"a parameter of type {type(value).__qualname__}") from error
    return type(value), value


def _constant(value: Any) -> Hashable:
    """Return the key of a constant within a program: JAX's arrays never change, NumPy's may."""
    if isinstance(value, jax.core.Tracer):
        raise UnkeyableError("a tracer as a constant")
    if isinstance(value, jax.Array):
        return _Identity(value)
    return _contents(value)


def _contents(value: Any) -> Hashable:
    array = np.asarray(value)
    if array.dtype.hasobject or array.nbytes > LARGEST_CONSTANT:
        raise UnkeyableError(f"a constant of {array.nbytes} bytes, dtype {array.dtype}")
    return type(value), array.dtype, array.shape, array.tobytes()


# ---- functions with derivatives of their own -----------------------------------------------------------------------


def _custom(equation: JaxprEqn, reading: _Reading) -> Hashable:
    """Return the key of a call of a function with a rule of its own: its program's key, and that of its rule.

    A rule may depend on arguments that are no arrays, and so is traced, as it would be to differentiate. A program that
    a rule runs is not differentiated itself, and its rules do not matter.
    """
    params, computed = equation.params, reading._replace(differentiated=False)
    plain = _parameter(params["call_jaxpr"], computed), params["num_consts"], params["symbolic_zeros"]
    if not reading.differentiated:
        return plain
    refuse_foreign(equation)
    if params["symbolic_zeros"]:
        raise UnkeyableError("a rule that is told which tangents are zero")
    name = name_of_own_rule(equation)
    if name is not None:
        return (*plain, name)
    rule = _rule(equation)
    return (*plain, _inner_program(rule.jaxpr, computed), tuple(map(_constant, rule.consts)))


def _rule(equation: JaxprEqn) -> ClosedJaxpr:
    """Return a rule as a program of primals and tangents."""

    def tangents(primals: Sequence[Any], tangents: Sequence[Any]) -> Any:
        return jax.jvp(lambda *given: bind(equation, given), primals, tangents)

    avals: list[Any] = [atom.aval for atom in equation.invars]
    primals = [_abstract(aval, aval.dtype) for aval in avals]
    try:
        return jax.make_jaxpr(tangents)(primals, [_tangent_of(primal) for primal in primals])
    except Exception as error:  # of any kind, by JAX: perhaps no tangent is ever pushed through this call
        raise UnkeyableError("a rule that cannot be traced") from error


def _tangent_of(primal: Any) -> Any:
    return _abstract(primal, primal.dtype if jnp.issubdtype(primal.dtype, jnp.inexact) else jax.dtypes.float0)


def _abstract(aval: Any, dtype: Any) -> Any:
    return jax.ShapeDtypeStruct(aval.shape, dtype, weak_type=aval.weak_type)  # type: ignore[no-untyped-call]
