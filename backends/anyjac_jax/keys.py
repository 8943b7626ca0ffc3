"""Keys of jaxprs: equal only if the two programs, and all first derivatives of them, are the same.

Variables are numbered, literals go by their bytes, jaxprs in parameters by recursion; everything else in a key is
compared by its own equality, which for functions is identity. Arrays that a program captures at its top are its inputs
and no part of the key; those further in are. What cannot be compared soundly has no key.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any
from weakref import WeakKeyDictionary, ref

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal, Var
from jax.extend.core.primitives import custom_jvp_call_p, custom_vjp_call_p, device_put_p

from anyjac_plugins.locking import SafeLock

from .programs import bind

LARGEST_CONSTANT = 2**16
"""Bytes of the largest constant within a program that is compared by its contents."""


class UnkeyableError(Exception):
    """Something in a program has no sound key."""


class UnfaithfulError(Exception):
    """A program does not do all that its function does when it is run without being recorded."""


def key_of(jaxpr: Jaxpr) -> Hashable:
    """Return the key of a program that is going to be differentiated once.

    Raises
    ------
    UnkeyableError
        If it has none.
    UnfaithfulError
        If the function had better be run without being recorded.
    """
    if jaxpr.effects:
        raise UnkeyableError(f"effects: {jaxpr.effects}")
    return _program(jaxpr, differentiated=True)


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
_programs: dict[bool, WeakKeyDictionary[Jaxpr, _HashedKey]] = {True: WeakKeyDictionary(), False: WeakKeyDictionary()}
"""Keys of jaxprs that JAX has kept from an earlier trace, as it does with those of jitted functions."""


def _inner_program(jaxpr: Jaxpr, *, differentiated: bool) -> _HashedKey:
    programs = _programs[differentiated]
    found: _HashedKey | None = _lock.run(lambda: programs.get(jaxpr))
    if found is not None:
        return found
    known = _HashedKey(_program(jaxpr, differentiated=differentiated))
    _lock.run(lambda: programs.__setitem__(jaxpr, known))
    return known


def _program(jaxpr: Jaxpr, *, differentiated: bool) -> Hashable:
    numbers: dict[Var, int] = {}

    def defined(variables: Sequence[Var]) -> Hashable:
        for variable in variables:
            numbers[variable] = len(numbers)
        return tuple(variable.aval for variable in variables)

    def used(atoms: Sequence[Any]) -> Hashable:
        return tuple(_literal(atom) if isinstance(atom, Literal) else numbers[atom] for atom in atoms)

    inputs = defined(jaxpr.constvars), defined(jaxpr.invars)
    steps = tuple(
        (equation.primitive, used(equation.invars), _parameters(equation, differentiated), equation.ctx,
         defined(equation.outvars))
        for equation in jaxpr.eqns
    )  # fmt: skip
    return inputs, steps, used(jaxpr.outvars)


def _literal(literal: Literal) -> Hashable:
    return literal.aval, _contents(literal.val)


def _parameters(equation: JaxprEqn, differentiated: bool) -> Hashable:
    if equation.primitive is device_put_p and any(device is not None for device in equation.params["devices"]):
        raise UnfaithfulError("a move to another device, of which a program records no way back")
    if equation.primitive in _RULES:
        return _custom(equation, differentiated)
    return tuple((name, _parameter(value, differentiated)) for name, value in sorted(equation.params.items()))


def _parameter(value: Any, differentiated: bool) -> Hashable:
    if isinstance(value, ClosedJaxpr):
        return _inner_program(value.jaxpr, differentiated=differentiated), tuple(map(_constant, value.consts))
    if isinstance(value, Jaxpr):
        return _inner_program(value, differentiated=differentiated)
    if isinstance(value, (tuple, list)):
        return type(value), tuple(_parameter(item, differentiated) for item in value)
    if isinstance(value, dict):
        return dict, tuple((name, _parameter(item, differentiated)) for name, item in sorted(value.items()))
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


def _custom(equation: JaxprEqn, differentiated: bool) -> Hashable:
    """Return the key of a call of a function with a rule of its own: its program's key, and that of its rule.

    The rule is a new function each time, so that it is traced, as it would be to differentiate. A program that a rule
    runs is not differentiated itself, and its rules do not matter.
    """
    params = equation.params
    plain = _parameter(params["call_jaxpr"], False), params["num_consts"], params["symbolic_zeros"]
    if not differentiated:
        return plain
    if params["symbolic_zeros"]:
        raise UnkeyableError("a rule that is told which tangents are zero")
    rule = _RULES[equation.primitive](equation)
    return (*plain, _inner_program(rule.jaxpr, differentiated=False), tuple(map(_constant, rule.consts)))


def _forward_rule(equation: JaxprEqn) -> ClosedJaxpr:
    def tangents(primals: Sequence[Any], tangents: Sequence[Any]) -> Any:
        return jax.jvp(lambda *given: bind(equation, given), primals, tangents)

    primals = _abstract_inputs(equation)
    return jax.make_jaxpr(tangents)(primals, [_tangent_of(primal) for primal in primals])


def _backward_rule(equation: JaxprEqn) -> ClosedJaxpr:
    def cotangents(primals: Sequence[Any], cotangents: Sequence[Any]) -> Any:
        return jax.vjp(lambda *given: bind(equation, given), *primals)[1](cotangents)

    return jax.make_jaxpr(cotangents)(
        _abstract_inputs(equation), [_tangent_of(variable.aval) for variable in equation.outvars]
    )


def _abstract_inputs(equation: JaxprEqn) -> list[Any]:
    avals: list[Any] = [atom.aval for atom in equation.invars]
    return [_abstract(aval, aval.dtype) for aval in avals]


def _tangent_of(primal: Any) -> Any:
    return _abstract(primal, primal.dtype if jnp.issubdtype(primal.dtype, jnp.inexact) else jax.dtypes.float0)


def _abstract(aval: Any, dtype: Any) -> Any:
    return jax.ShapeDtypeStruct(aval.shape, dtype, weak_type=aval.weak_type)  # type: ignore[no-untyped-call]


_RULES = {custom_jvp_call_p: _forward_rule, custom_vjp_call_p: _backward_rule}
