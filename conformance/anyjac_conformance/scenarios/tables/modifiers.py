"""The ways in which every function of the table is differentiated, as one table of modifiers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from anyjac import Variable, jacrev

from ...answers import Array
from ...lab import Lab
from ...scenario import Scenario
from .functions import Function, Values

COMPLEX_STEP: Final = 0.25 - 0.5j
"""The number that is added to the points of holomorphic functions."""


@dataclass(frozen=True)
class Modifier:
    """One way to ask for a Jacobian.

    Attributes
    ----------
    name
        The part of a scenario's name that follows the function's.
    clause
        The clause that the modifier documents.
    observe
        Differentiates a function in this way.
    answer
        Returns the right result.
    requires
        Capabilities that a backend needs for it.
    """

    name: str
    clause: str
    observe: Callable[[Function, Lab], Any]
    answer: Callable[[Function, Lab], Any]
    requires: tuple[str, ...] = ()

    def scenario(self, function: Function) -> Scenario:
        """Return the scenario of one function."""
        return Scenario(
            name=f"{function.name} {self.name}",
            clause=self.clause,
            observe=lambda lab: self.observe(function, lab),
            answer=lambda lab: self.answer(function, lab),
            requires=frozenset(self.requires),
        )


# ---- pieces --------------------------------------------------------------------------------------------------------


def _arrays(function: Function, lab: Lab, dtype: str = "float64") -> list[Any]:
    return [lab.array(x, dtype) for x in _point(function, dtype)]


def _point(function: Function, dtype: str = "float64") -> tuple[Values, ...]:
    return tuple(x + COMPLEX_STEP for x in function.point) if dtype.startswith("complex") else function.point


def _every(function: Function) -> tuple[int, ...]:
    return tuple(range(len(function.point)))


def _bound(function: Function, lab: Lab) -> Callable[..., Any]:
    return lambda *arrays: function.function(lab.xp, *arrays)


def _value(function: Function) -> Values:
    return np.asarray(function.function(np, *function.point))


def _blocks(function: Function, lab: Lab, dtype: str = "float64", device: str | None = None) -> tuple[Array, ...]:
    return tuple(Array(block, dtype, device) for block in function.blocks(*_point(function, dtype)))


# ---- arguments, Variables, returns -----------------------------------------------------------------------------------


def _plain(function: Function, lab: Lab, **settings: Any) -> Any:
    return jacrev(_bound(function, lab), argnums=_every(function), **settings)(*_arrays(function, lab))


def _in_a_pytree(function: Function, lab: Lab) -> Any:
    inputs = {"in": _arrays(function, lab), "none": None}
    return jacrev(lambda tree: {"out": [function.function(lab.xp, *tree["in"])]})(inputs)


def _through_variables(function: Function, lab: Lab) -> Any:
    variables = [Variable(x) for x in _arrays(function, lab)]
    return jacrev(lambda: function.function(lab.xp, *(v.value for v in variables)), variables)()


def _by_keyword(function: Function, lab: Lab) -> Any:
    first, *rest = _arrays(function, lab)
    return jacrev(lambda x, *, others: function.function(lab.xp, x, *others))(first, others=rest)


def _with_aux(function: Function, lab: Lab, **settings: Any) -> Any:
    def f(*arrays: Any) -> Any:
        return function.function(lab.xp, *arrays), ("said", arrays[0])

    return jacrev(f, argnums=_every(function), has_aux=True, **settings)(*_arrays(function, lab))


def _aux(function: Function) -> tuple[str, Array]:
    return "said", Array(function.point[0])


# ---- composition ---------------------------------------------------------------------------------------------------


def _compiled(function: Function, lab: Lab) -> Any:
    transform = jacrev(_bound(function, lab), argnums=_every(function))
    return lab.compile(lambda *arrays: transform(*arrays))(*_arrays(function, lab))


def _mapped(function: Function, lab: Lab) -> Any:
    transform = jacrev(_bound(function, lab))
    first, *rest = _arrays(function, lab)
    return lab.native_vmap(lambda x: transform(x, *rest))(lab.xp.stack([first, first + 1]))


def _mapped_answer(function: Function, lab: Lab) -> Values:
    first, *rest = function.point
    return np.stack([function.blocks(x, *rest)[0] for x in (first, first + 1)])


def _nested(function: Function, lab: Lab) -> Any:
    return jacrev(jacrev(_bound(function, lab)))(*_arrays(function, lab))


# ---- the table -----------------------------------------------------------------------------------------------------


def _of_dtype(dtype: str) -> Callable[[Function, Lab], Any]:
    def observe(function: Function, lab: Lab) -> Any:
        transform = jacrev(_bound(function, lab), argnums=_every(function), holomorphic=dtype.startswith("complex"))
        return transform(*_arrays(function, lab, dtype))

    return observe


def _dtypes() -> Iterator[Modifier]:
    for dtype, clause, requires in (
        ("float32", "dtypes/real", ()),
        ("float16", "dtypes/real", ("float16",)),
        ("bfloat16", "dtypes/real", ("bfloat16",)),
        ("complex64", "dtypes/holomorphic", ("complex",)),
        ("complex128", "dtypes/holomorphic", ("complex",)),
    ):
        yield Modifier(
            f"in {dtype}",
            clause,
            _of_dtype(dtype),
            lambda function, lab, dtype=dtype: _blocks(function, lab, dtype),  # type: ignore[misc]
            requires,
        )


MODIFIERS: Final = (
    Modifier("of arguments", "packing/block", _plain, _blocks),
    Modifier(
        "in a pytree",
        "packing/nesting",
        _in_a_pytree,
        lambda function, lab: {"out": [{"in": list(_blocks(function, lab)), "none": None}]},
    ),
    Modifier(
        "through Variables",
        "packing/var-grads",
        _through_variables,
        lambda function, lab: list(_blocks(function, lab)),
    ),
    Modifier(
        "with keyword arguments",
        "arguments/untouched",
        _by_keyword,
        lambda function, lab: _blocks(function, lab)[0],
    ),
    Modifier("with aux", "packing/returns", _with_aux, lambda function, lab: (_blocks(function, lab), _aux(function))),
    Modifier(
        "with value",
        "packing/loss-value",
        lambda function, lab: _plain(function, lab, return_value=True),
        lambda function, lab: (_blocks(function, lab), Array(_value(function))),
    ),
    Modifier(
        "with value and aux",
        "packing/returns",
        lambda function, lab: _with_aux(function, lab, return_value=True),
        lambda function, lab: (_blocks(function, lab), Array(_value(function)), _aux(function)),
    ),
    Modifier("under jit", "composition/native-jit", _compiled, _blocks, ("jit",)),
    Modifier("under vmap", "composition/native-vmap", _mapped, _mapped_answer, ("vmap",)),
    Modifier(
        "nested",
        "composition/nested",
        _nested,
        lambda function, lab: np.asarray(function.curvature(*function.point)),
        ("nested",),
    ),
    *(
        Modifier(
            f"in chunks of {size}",
            "composition/chunks",
            lambda function, lab, size=size: _plain(function, lab, chunk_size=size),  # type: ignore[misc]
            _blocks,
        )
        for size in (1, 2)
    ),
    *_dtypes(),
    Modifier(
        "on each device",
        "devices/argument",
        lambda function, lab: {name: _plain(function, lab, device=name) for name in lab.device_names},
        lambda function, lab: {name: _blocks(function, lab, device=name) for name in lab.device_names},
    ),
)
"""Each with the clause that it documents."""
