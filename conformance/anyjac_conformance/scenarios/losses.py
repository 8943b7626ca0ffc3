"""Scenarios: traced arrays where a derivative may be lost: in functions of others, in views, after their trace."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from anyjac import Variable, jacrev

from ..answers import Either, Raises
from ..lab import Lab
from ..scenario import Collection, Scenario

scenario = Collection()

ANY_REFUSAL: Final = Raises(Exception)
"""An error of any type, since each framework has its own."""


# ---- functions of NumPy and of other frameworks --------------------------------------------------------------------

_POINT: Final = np.array([2.0, 3.0])
_NORM: Final = np.sqrt(13.0)


def _by_number(number: float, gradient: Any) -> Any:
    """Return the Jacobian at the point of g(a) a, for a number g(a) and its gradient."""
    return number * np.eye(2) + np.outer(_POINT, gradient)


OF_NUMPY: Final[dict[str, tuple[Callable[[Any], Any], Any]]] = {
    "sin": (lambda a: np.sin(a), np.diag(np.cos(_POINT))),
    "sin of an element": (lambda a: np.sin(a[0]) * a, _by_number(np.sin(2.0), [np.cos(2.0), 0.0])),
    "add": (lambda a: np.add(a, a) * a, np.diag(4 * _POINT)),
    "stack": (lambda a: np.stack([a[0] * a[1], a[1]]), np.array([[3.0, 2.0], [0.0, 1.0]])),
    "concatenate": (lambda a: np.concatenate([a[:1] * a[1:], a[1:]]), np.array([[3.0, 2.0], [0.0, 1.0]])),
    "array": (lambda a: np.array([a[0] * a[1], a[1]]), np.array([[3.0, 2.0], [0.0, 1.0]])),
    "where": (lambda a: np.where(a > 2.5, a * a, a), np.diag([1.0, 6.0])),
    "clip": (lambda a: np.clip(a, 0.0, 2.5) * a, np.diag([4.0, 2.5])),
    "sum": (lambda a: np.sum(a) * a, _by_number(5.0, [1.0, 1.0])),
    "add.reduce": (lambda a: np.add.reduce(a) * a, _by_number(5.0, [1.0, 1.0])),
    "cumsum": (lambda a: np.cumsum(a) * a, np.array([[4.0, 0.0], [3.0, 8.0]])),
    "dot": (lambda a: np.dot(a, a) * a, _by_number(13.0, 2 * _POINT)),
    "einsum": (lambda a: np.einsum("i,i->i", a, a), np.diag(2 * _POINT)),
    "linalg.norm": (lambda a: np.linalg.norm(a) * a, _by_number(_NORM, _POINT / _NORM)),
    "interp": (lambda a: np.interp(a, [0.0, 10.0], [0.0, 20.0]) * a, np.diag(4 * _POINT)),
    "ma.multiply": (lambda a: np.ma.multiply(a, a), np.diag(2 * _POINT)),
    "a masked array on the left": (lambda a: np.ma.array([1.0, 2.0]) * a, np.diag([1.0, 2.0])),
    "a masked array on the right": (lambda a: a * np.ma.array([1.0, 2.0]), np.diag([1.0, 2.0])),
    "a masked array with a mask": (lambda a: np.ma.array([1.0, 2.0], mask=[False, True]) * a, np.diag([1.0, 2.0])),
    "an array on the left": (lambda a: np.array([1.0, 2.0]) * a, np.diag([1.0, 2.0])),
    "an array on the right": (lambda a: a * np.array([1.0, 2.0]), np.diag([1.0, 2.0])),
}
"""Functions of NumPy itself, each with the Jacobian at (2, 3)."""

for _name, (_function, _right) in OF_NUMPY.items():
    scenario.add(
        Scenario(
            f"numpy {_name}",
            "trust/foreign-functions",
            lambda lab, function=_function: jacrev(function)(lab.array(_POINT)),  # type: ignore[misc]
            Either(ANY_REFUSAL, _right),
        )
    )


def _squares_by_way_of(lab: Lab, module: str, convert: str) -> Any:
    """Return the Jacobian of squares, of which one factor goes through another framework; ImportError without it."""
    theirs = getattr(importlib.import_module(module), convert)
    return jacrev(lambda a: lab.xp.asarray(theirs(a)) * a)(lab.array(_POINT))


def _negated_by(lab: Lab, module: str) -> Any:
    theirs = importlib.import_module(module).negative
    return jacrev(lambda a: theirs(a) * a)(lab.array(_POINT))


FRAMEWORKS: Final = {"autograd.numpy": "array", "jax.numpy": "asarray", "torch": "as_tensor"}
"""Namespaces of frameworks, each with its way to make an array of anything; what is not installed is an error."""

for _module, _convert in FRAMEWORKS.items():
    scenario.add(
        Scenario(
            f"an array of {_module}",
            "trust/foreign-functions",
            lambda lab, module=_module, convert=_convert: _squares_by_way_of(lab, module, convert),  # type: ignore[misc]
            Either(ANY_REFUSAL, np.diag(2 * _POINT)),
        )
    )
    scenario.add(
        Scenario(
            f"a function of {_module}",
            "trust/foreign-functions",
            lambda lab, module=_module: _negated_by(lab, module),  # type: ignore[misc]
            Either(ANY_REFUSAL, np.diag(-2 * _POINT)),
        )
    )


# ---- writes in place -----------------------------------------------------------------------------------------------


def _add_to_the_value(v: Variable, own: Any, x: Any) -> Any:
    view = v.value
    view += x
    return v.value * x


def _add_to_the_value_and_use_it(v: Variable, own: Any, x: Any) -> Any:
    view = v.value
    view += x
    return view * x


def _add_to_a_part_of_the_value(v: Variable, own: Any, x: Any) -> Any:
    view = v.value[:1]
    view += x[:1]
    return v.value * x


def _write_an_element_of_the_value(v: Variable, own: Any, x: Any) -> Any:
    view = v.value
    view[0] = x[0]
    return v.value * x


def _add_to_an_array(v: Variable, own: Any, x: Any) -> Any:
    view = own
    view += x
    return own * x


def _add_to_a_part_of_an_array(v: Variable, own: Any, x: Any) -> Any:
    view = own[:1]
    view += x[:1]
    return own * x


def _write_an_element_of_an_array(v: Variable, own: Any, x: Any) -> Any:
    own[0] = x[0]
    return own * x


def _write_by_a_function_of_numpy(v: Variable, own: Any, x: Any) -> Any:
    np.add(own, x, out=own)
    return own * x


def _copy_by_a_function_of_numpy(v: Variable, own: Any, x: Any) -> Any:
    np.copyto(own, x)
    return own * x


WRITES: Final[dict[str, Callable[[Variable, Any, Any], Any]]] = {
    "into the value of a Variable": _add_to_the_value,
    "into the value of a Variable, by its name": _add_to_the_value_and_use_it,
    "into a part of the value of a Variable": _add_to_a_part_of_the_value,
    "into an element of the value of a Variable": _write_an_element_of_the_value,
    "into an array": _add_to_an_array,
    "into a part of an array": _add_to_a_part_of_an_array,
    "into an element of an array": _write_an_element_of_an_array,
    "by numpy's add": _write_by_a_function_of_numpy,
    "by numpy's copyto": _copy_by_a_function_of_numpy,
}
"""Functions that write x into what may not be able to record it; each returns h x, with h = x, c, or c + x for c."""


def _is_lost_in_a_write(lab: Lab, write: Callable[[Variable, Any, Any], Any]) -> Any:
    """Return whether the derivative is not that of the value; frameworks differ in whether a view writes its array."""
    start, point = np.array([5.0, 11.0]), np.array([2.0, 3.0])
    v, own = Variable(lab.array(start)), lab.array(start)
    try:
        jacobian, value = jacrev(lambda x: write(v, own, x), return_value=True)(lab.array(point))
    except Exception:  # of any kind: each framework has its own
        return {"lost in silence": False}
    slope_of = {10.0: 5.0, 33.0: 11.0, 14.0: 9.0, 42.0: 17.0, 4.0: 4.0, 9.0: 6.0}  # of c x, (c + x) x and x x
    slopes = [slope_of[float(each)] for each in lab.backend.to_numpy(value)]
    return {"lost in silence": not np.allclose(lab.backend.to_numpy(jacobian), np.diag(slopes))}


for _name, _write in WRITES.items():
    scenario.add(
        Scenario(
            _name,
            "trust/writes-in-place",
            lambda lab, write=_write: _is_lost_in_a_write(lab, write),  # type: ignore[misc]
            {"lost in silence": False},
        )
    )


# ---- traces that have ended ----------------------------------------------------------------------------------------


def _left_behind(lab: Lab) -> Any:
    """Return the array (1, 4) as a function in a call computed it, traced."""
    kept: list[Any] = []

    def f(x: Any) -> Any:
        kept.append(x * x)
        return x * 3.0

    jacrev(f)(lab.array([1.0, 2.0]))
    return kept[0]


def _as_an_argument(lab: Lab) -> Any:
    return jacrev(lambda x: x * 2.0)(_left_behind(lab))


def _as_a_constant_argument(lab: Lab) -> Any:
    return jacrev(lambda x, y: x * y)(lab.array([1.0, 2.0]), _left_behind(lab))


def _as_a_keyword(lab: Lab) -> Any:
    return jacrev(lambda x, *, y: x * y["y"])(lab.array([1.0, 2.0]), y={"y": _left_behind(lab)})


def _as_the_value_of_a_variable(lab: Lab) -> Any:
    v = Variable(_left_behind(lab))
    return jacrev(lambda x: v * x)(lab.array([1.0, 2.0]))


def _as_a_write(lab: Lab) -> Any:
    v = Variable(lab.array([1.0, 2.0]))
    v.value = _left_behind(lab)
    return jacrev(lambda x: v * x)(lab.array([1.0, 2.0]))


def _as_a_write_inside(lab: Lab) -> Any:
    v, left = Variable(lab.array([1.0, 2.0])), _left_behind(lab)

    def f(x: Any) -> Any:
        v.value = left
        return v * x

    return jacrev(f)(lab.array([1.0, 2.0]))


def _in_a_closure(lab: Lab) -> Any:
    left = _left_behind(lab)
    return jacrev(lambda x: left * x)(lab.array([1.0, 2.0]))


_BY_IT: Final = np.diag([1.0, 4.0])

# A tape that is closed leaves plain arrays behind, which are constants.
LEFT: Final[dict[str, tuple[Callable[[Lab], Any], Any]]] = {
    "as an argument": (_as_an_argument, np.diag([2.0, 2.0])),
    "as an argument that is not differentiated": (_as_a_constant_argument, _BY_IT),
    "as a keyword": (_as_a_keyword, _BY_IT),
    "as the value of a Variable": (_as_the_value_of_a_variable, _BY_IT),
    "as a write to a Variable": (_as_a_write, _BY_IT),
    "as a write inside a call": (_as_a_write_inside, _BY_IT),
    "in a closure": (_in_a_closure, _BY_IT),
}

for _name, (_observe, _result) in LEFT.items():
    scenario.add(Scenario(_name, "trust/ended-traces", _observe, Either(ANY_REFUSAL, _result)))


def _read(lab: Lab, array: Any) -> Any:
    """Return an array after a look at its numbers: that is an error where the backend cannot say what is traced."""
    if not lab.backend.is_traced(array):
        lab.backend.to_numpy(array)
    return array


@scenario("trust/ended-traces", answer=Either(ANY_REFUSAL, (np.diag([1.0, 1.0]), {"left": np.array([1.0, 4.0])})))
def as_aux_data(lab: Lab) -> Any:
    left = _left_behind(lab)
    jacobian, aux = jacrev(lambda x: (x, {"left": left}), has_aux=True)(lab.array([1.0, 2.0]))
    return jacobian, {"left": _read(lab, aux["left"])}


@scenario("trust/ended-traces", answer=Either(ANY_REFUSAL, (np.zeros((2, 2)), np.array([1.0, 4.0]))))
def as_the_output(lab: Lab) -> Any:
    left = _left_behind(lab)
    jacobian, value = jacrev(lambda x: left, return_value=True)(lab.array([1.0, 2.0]))
    return jacobian, _read(lab, value)
