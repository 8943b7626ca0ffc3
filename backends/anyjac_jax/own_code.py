"""Whether a program runs nothing but JAX's own code, when it is computed and when it is differentiated.

Primitives, rules of derivatives and functions in parameters are looked at; nothing is run. Code of somebody else may
read what has changed since, needs the settings under which it was called, and keeps alive what it closes over: a
program with such code is not kept.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from types import FunctionType
from typing import Any

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Primitive, primitives

_PRIMITIVES = frozenset(value for value in vars(primitives).values() if isinstance(value, Primitive))

_MORE_PRIMITIVES = frozenset(
    {
        "broadcast_to", "cholesky_update", "dimension_size", "empty", "geqp3", "geqrf", "iota_2x32_shape",
        "layout_constraint", "lu_pivots_to_permutation", "mulhi", "optimization_barrier", "ormqr", "pbroadcast",
        "psum_invariant", "pvary", "ragged_dot_general", "random_clone", "random_unwrap", "random_wrap", "reshard",
        "scatter-sub", "shard_map", "split", "stack", "symmetric_product", "tile", "unstack", "zeros_like",
    }
)  # fmt: skip
"""Names of JAX's primitives which have no public name, or had none in an earlier version."""

CUSTOM_CALLS = frozenset({primitives.custom_jvp_call_p, primitives.custom_vjp_call_p})
"""The primitives that call functions with derivative rules."""

_SOURCES = os.path.join(os.path.dirname(jax.__file__), "_src")

_LIBRARIES = tuple(
    os.path.join(_SOURCES, *parts)
    for parts in (("nn", ""), ("numpy", ""), ("scipy", ""), ("third_party", ""), ("lax", "other.py"))
)
"""Where JAX defines functions with derivative rules, none of which is given a function of a user's."""

_DECORATORS = os.path.join(_SOURCES, "custom_derivatives.py")

_OF_SEVERAL_RULES = frozenset({"log1mexp", "logit", "relu", "relu6"})
"""Functions of JAX's libraries whose rules `jax.custom_jvp.defjvps` has put together, so that its file is theirs."""

CALLBACKS = frozenset({"debug_callback", "debug_print", "io_callback", "pure_callback"})
"""Primitives that call a function of a user's when they are computed, and have no derivative."""

_MODULES = frozenset({"builtins", "enum", "functools", "jax", "jaxlib", "ml_dtypes", "numpy"})
"""Packages whose objects, unless they are functions, hold no function of a user's as a parameter of an equation."""


_POLICIES = {
    type(policy)
    for policy in (
        jax.checkpoint_policies.dots_saveable,
        jax.checkpoint_policies.save_only_these_names("name"),
        jax.checkpoint_policies.save_any_names_but_these("name"),
    )
} - {FunctionType}
"""Types of JAX's policies for `jax.checkpoint`, which were functions before JAX 0.10."""


class ForeignCodeError(Exception):
    """A program runs code that is not JAX's own when it is differentiated."""


def refuse_foreign(equation: JaxprEqn) -> None:
    """Refuse an equation that may run code which is not JAX's; programs in its parameters are not looked at.

    Raises
    ------
    ForeignCodeError
        If it does.
    """
    primitive: Any = equation.primitive
    if primitive in CUSTOM_CALLS:
        called, rule = equation.params["call_jaxpr"].jaxpr, equation.params.get("jvp_jaxpr_fun")
        if not has_own_rule(called, rule) or (_is_put_together(rule) and _calls_custom(called)):
            raise ForeignCodeError(f"a rule of {primitive.name!r}")
    elif primitive.name not in CALLBACKS:
        if not (primitive in _PRIMITIVES or primitive.name in _MORE_PRIMITIVES):
            raise ForeignCodeError(f"the primitive {primitive.name!r}")
        for name, value in equation.params.items():
            _refuse_foreign_value(name, value)


def _refuse_foreign_value(name: str, value: Any) -> None:
    if isinstance(value, (tuple, list)):
        for item in value:
            _refuse_foreign_value(name, item)
    elif isinstance(value, dict):
        for item in value.values():
            _refuse_foreign_value(name, item)
    elif not isinstance(value, _PLAIN) and not _is_own(value):
        raise ForeignCodeError(f"the parameter {name!r} of type {type(value).__qualname__}")


_PLAIN = (type(None), bool, int, float, complex, str, bytes, np.dtype, np.ndarray, np.generic, ClosedJaxpr, Jaxpr)
"""Types of most parameters; of programs among them each equation is looked at by itself."""


def has_own_rule(called: Any, rule: Any) -> bool:
    """Return whether a function with a derivative rule is one of JAX's libraries, as `jax.nn.relu` is.

    Whoever gives such a function another rule by `defjvps` has it called within a function of its name.

    Parameters
    ----------
    called, rule
        The function and its rule, traced or to be traced.
    """
    (file, name), (file_of_rule, _) = _source(called), _source(rule)
    named = _is_put_together(rule) and name in _OF_SEVERAL_RULES
    return file.startswith(_LIBRARIES) and (file_of_rule.startswith(_LIBRARIES) or named)


def name_of_own_rule(equation: JaxprEqn) -> str | None:
    """Return the name of JAX's function that says which derivative rule it has; None where more is to be known.

    A function whose rule is put together has no arguments on which the rule could depend but arrays.
    """
    _, name = _source(equation.params["call_jaxpr"].jaxpr)
    return name if _is_put_together(equation.params["jvp_jaxpr_fun"]) else None


def _is_put_together(rule: Any) -> bool:
    return _source(rule)[0] == _DECORATORS


def _source(traced: Any) -> tuple[str, str]:
    """Return file and name of the function that was traced, or is going to be; empty where they are not known."""
    information = getattr(traced, "debug_info", None)
    return getattr(information, "func_filename", None) or "", getattr(information, "func_name", "")


def _calls_custom(jaxpr: Jaxpr) -> bool:
    return any(equation.primitive in CUSTOM_CALLS for equation in equations_within(jaxpr))


def equations_within(value: Any) -> Iterator[JaxprEqn]:
    """Yield the equations of a program, each before those of programs in its parameters; of other values none."""
    if isinstance(value, (ClosedJaxpr, Jaxpr)):
        for equation in value.eqns:
            yield equation
            yield from equations_within(list(equation.params.values()))
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from equations_within(item)


def _is_own(value: Any) -> bool:
    """Return whether a parameter holds no function but those of JAX's modules."""
    if type(value).__module__.partition(".")[0] not in _MODULES:
        return False
    if not callable(value) or isinstance(value, (type, jax.sharding.Mesh)):
        return True
    return type(value) in _POLICIES or _is_of_a_module(value)


def _is_of_a_module(function: Any) -> bool:
    """Return whether a function is one of JAX's modules, and closes over nothing."""
    module, name = getattr(function, "__module__", None) or "", getattr(function, "__qualname__", "<locals>")
    return module.startswith("jax.") and "<locals>" not in name and getattr(function, "__closure__", ()) is None
