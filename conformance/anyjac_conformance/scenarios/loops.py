"""Scenarios: loops and branches, each way to write one, differentiated, compiled and mapped in every way.

All ways compute the sum of a geometric series, ``1 + a + ... + a**(n - 1)``, whose value and derivatives are sums too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from anyjac import (
    NotSupportedError,
    Variable,
    cond,
    for_loop,
    fori_loop,
    grad,
    ifelse,
    jacfwd,
    jacrev,
    jit,
    jvp,
    scan,
    switch,
    vjp,
    vmap,
    while_loop,
)

from ..answers import Either, Raises
from ..lab import Lab
from ..scenario import Collection, Scenario

scenario = Collection()

STEPS = 5
POINT = 0.75
POINTS = np.array([0.75, -1.25, 0.5])


def series(a: Any) -> Any:
    """Return the sum of the powers of a number."""
    return sum(a**n for n in range(STEPS))


def slope(a: Any) -> Any:
    """Return the derivative of `series`."""
    return sum(n * a ** (n - 1) for n in range(1, STEPS))


def curvature(a: Any) -> Any:
    """Return the second derivative of `series`."""
    return sum(n * (n - 1) * a ** (n - 2) for n in range(2, STEPS))


# ---- ways to write the sum -----------------------------------------------------------------------------------------


def _scan(lab: Lab, a: Any) -> Any:
    return scan(lambda s, _: (a * s + 1.0, None), 0.0, length=STEPS)[0]


def _scan_of_rows(lab: Lab, a: Any) -> Any:
    rows = {"one": lab.xp.ones_like(lab.xp.stack([a] * STEPS))}
    return scan(lambda s, row: (a * s + row["one"], s), lab.xp.zeros_like(a), rows)[0]


def _scan_of_powers(lab: Lab, a: Any) -> Any:
    return lab.xp.sum(scan(lambda power, _: (a * power, power), 1.0, length=STEPS)[1])


def _scan_of_a_tree(lab: Lab, a: Any) -> Any:
    def step(carry: Any, _: Any) -> Any:
        (power, _), sums = carry["power"], carry["sum"]
        return {"sum": [sums[0] + power], "power": (a * power, None)}, ()

    return scan(step, {"power": (1.0, None), "sum": [0.0]}, length=STEPS)[0]["sum"][0]


def _reversed_scan(lab: Lab, a: Any) -> Any:
    steps = lab.array(np.arange(STEPS), "int64")
    powers = scan(lambda power, _: (a * power, power), 1.0, steps, reverse=True)[1]
    return lab.xp.sum(powers) + 0.0 * powers[-1]


def _for_loop(lab: Lab, a: Any) -> Any:
    total = Variable(lab.xp.zeros_like(a))

    def step() -> Any:
        total.value = a * total + 1.0
        return total.value

    return for_loop(step, length=STEPS)[-1]


def _for_loop_that_returns_nothing(lab: Lab, a: Any) -> Any:
    total = Variable({"sum": lab.xp.zeros_like(a)})

    def step(_: Any) -> None:
        total.value = {"sum": a * total.value["sum"] + 1.0}

    for_loop(step, lab.array(np.zeros((STEPS, 0))))
    return total.value["sum"]


def _fori_loop(lab: Lab, a: Any) -> Any:
    return fori_loop(0, STEPS, lambda i, s: s + a ** lab.xp.astype(i, lab.xp.float32), lab.xp.zeros_like(a))


def _fori_loop_that_counts(lab: Lab, a: Any) -> Any:
    return fori_loop(-2, STEPS - 2, lambda i, s: a * s + 1.0, 0.0)


def _while_loop(lab: Lab, a: Any) -> Any:
    carry = 0, lab.xp.zeros_like(a)
    return while_loop(lambda c: c[0] < STEPS, lambda c: (c[0] + 1, a * c[1] + 1.0), carry, max_steps=STEPS)[1]


def _while_loop_with_room(lab: Lab, a: Any) -> Any:
    total, count = Variable(lab.xp.zeros_like(a)), Variable(lab.array(0, "int64"))

    def body(_: Any) -> None:
        total.value = a * total + 1.0
        count.value = count + 1

    while_loop(lambda _: count < STEPS, body, None, max_steps=2 * STEPS)
    return total.value


def _loop_in_a_loop(lab: Lab, a: Any) -> Any:
    def power(i: Any, s: Any) -> Any:
        return s + fori_loop(0, STEPS, lambda j, p: cond(j < i, lambda: a * p, lambda: p), lab.xp.ones_like(a))

    return fori_loop(0, STEPS, power, lab.xp.zeros_like(a))


def _cond_in_a_loop(lab: Lab, a: Any) -> Any:
    def step(s: Any, forward: Any) -> Any:
        return cond(forward, lambda s: a * s + 1.0, lambda s: s, s), None

    flags = lab.array([True, False] * STEPS, "bool")
    return scan(step, lab.xp.zeros_like(a), flags)[0]


def _switch_in_a_loop(lab: Lab, a: Any) -> Any:
    branches = [lambda s: s, lambda s: a * s, lambda s: s + 1.0]
    numbers = lab.array([-3, *[2, 1] * (STEPS - 1), 7, 0], "int64")
    return scan(lambda s, n: (switch(n, branches, s), None), lab.xp.zeros_like(a), numbers)[0]


def _ifelse_in_a_loop(lab: Lab, a: Any) -> Any:
    total = Variable(lab.xp.zeros_like(a))

    def add() -> None:
        total.value = total + 1.0

    def multiply() -> None:
        total.value = a * total

    numbers = lab.array([2, *[1, 2] * (STEPS - 1), 3], "int64")
    for_loop(lambda n: ifelse([n == 1, n < 3], [multiply, add, lambda: None]), numbers)
    return total.value


@dataclass(frozen=True)
class Way:
    """A way to write the sum.

    Attributes
    ----------
    clause
        The clause of the loop that it is made of.
    sum
        Computes the sum on a backend.
    decides
        Whether a value decides how it goes on, which not every compiler can put off until the value is there.
    """

    clause: str
    sum: Callable[[Lab, Any], Any]
    decides: bool = False


WAYS: dict[str, Way] = {
    "a scan": Way("loops/scan", _scan),
    "a scan of rows": Way("loops/scan", _scan_of_rows),
    "a scan of powers": Way("loops/scan", _scan_of_powers),
    "a scan of a tree": Way("loops/scan", _scan_of_a_tree),
    "a reversed scan": Way("loops/scan", _reversed_scan),
    "a for_loop": Way("loops/for-loop", _for_loop),
    "a for_loop that returns nothing": Way("loops/for-loop", _for_loop_that_returns_nothing),
    "a fori_loop": Way("loops/fori-loop", _fori_loop),
    "a fori_loop that counts": Way("loops/fori-loop", _fori_loop_that_counts),
    "a while_loop": Way("loops/while-loop", _while_loop, decides=True),
    "a while_loop with room": Way("loops/while-loop", _while_loop_with_room, decides=True),
    "a loop in a loop": Way("loops/fori-loop", _loop_in_a_loop, decides=True),
    "a cond in a loop": Way("loops/cond", _cond_in_a_loop, decides=True),
    "a switch in a loop": Way("loops/switch", _switch_in_a_loop, decides=True),
    "an ifelse in a loop": Way("loops/ifelse", _ifelse_in_a_loop, decides=True),
}


# ---- what is done with it ------------------------------------------------------------------------------------------

Sum = Callable[[Any], Any]


def _values(lab: Lab, f: Sum) -> Any:
    return f(lab.array(POINT)), vmap(f)(lab.array(POINTS))


def _gradients(lab: Lab, f: Sum) -> Any:
    a = Variable(lab.array(POINT))
    by_argument = grad(lambda tree: f(tree["a"]))({"a": lab.array(POINT)})
    return by_argument, grad(lambda: f(a.value), a)(), vjp(f)(lab.array(POINT))(lab.array(1.0))


def _in_forward_mode(lab: Lab, f: Sum) -> Any:
    return jvp(f)(lab.array(1.0), lab.array(POINT))


def _second(lab: Lab, f: Sum) -> Any:
    return jacfwd(jacrev(f))(lab.array(POINT))


def _compiled(lab: Lab, f: Sum) -> Any:
    x = lab.array(POINT)
    return jit(f)(x), jit(grad(f))(x)


def _mapped(lab: Lab, f: Sum) -> Any:
    return grad(lambda batch: lab.xp.sum(vmap(f)(batch)))(lab.array(POINTS))


def _in_single_precision(lab: Lab, f: Sum) -> Any:
    return grad(f)(lab.array(POINT, "float32"))


def _in_a_loop(lab: Lab, f: Sum) -> Any:
    return for_loop(grad(f), lab.array(POINTS))


def _in_their_gradient(lab: Lab, f: Sum) -> Any:
    return lab.native_grad(grad(f))(lab.array(POINT))


def _in_their_map(lab: Lab, f: Sum) -> Any:
    return lab.native_vmap(grad(f))(lab.array(POINTS))


def _in_their_compiler(lab: Lab, f: Sum) -> Any:
    return lab.compile(lambda x: grad(f)(x))(lab.array(POINT))


@dataclass(frozen=True)
class Use:
    """What is done with the sum.

    Attributes
    ----------
    do
        Does it.
    answer
        The right result.
    requires
        Capabilities that a backend needs for it.
    """

    do: Callable[[Lab, Sum], Any]
    answer: Any
    requires: tuple[str, ...] = ()

    def scenario(self, name: str, way: Way) -> Scenario:
        """Return the scenario of one way to write the sum."""
        refusal = Raises(NotSupportedError, "while backend", "records a program", "uncompiled")
        answer = Either(refusal, self.answer) if way.decides and self.do is _compiled else self.answer
        return Scenario(name, way.clause, partial(_used, way, self.do), answer, frozenset(self.requires))


def _used(way: Way, use: Callable[[Lab, Sum], Any], lab: Lab) -> Any:
    return use(lab, partial(way.sum, lab))


SLOPE, SLOPES, CURVATURE = np.array(slope(POINT)), slope(POINTS), np.array(curvature(POINT))

USES: dict[str, Use] = {
    "its value": Use(_values, (np.array(series(POINT)), series(POINTS))),
    "its gradients": Use(_gradients, ({"a": SLOPE}, SLOPE, SLOPE)),
    "in forward mode": Use(_in_forward_mode, SLOPE, ("forward",)),
    "its second derivatives": Use(_second, CURVATURE, ("nested", "forward")),
    "compiled": Use(_compiled, (np.array(series(POINT)), SLOPE)),
    "mapped": Use(_mapped, SLOPES),
    "in single precision": Use(_in_single_precision, np.array(slope(POINT), np.float32)),
    "in a loop": Use(_in_a_loop, SLOPES),
    "in the gradient of the framework": Use(_in_their_gradient, CURVATURE, ("grad", "nested")),
    "in the map of the framework": Use(_in_their_map, SLOPES, ("vmap",)),
}
"""What is done with each way to write the sum."""

COMPILED_BY_THE_FRAMEWORK = ("a scan of rows", "a for_loop")
"""Ways whose gradients the framework's own compiler is given as well, which takes its time."""

for _way, _each in WAYS.items():
    for _name, _use in USES.items():
        scenario.add(_use.scenario(f"{_way} {_name}", _each))

for _way in COMPILED_BY_THE_FRAMEWORK:
    _use = Use(_in_their_compiler, SLOPE, ("jit",))
    scenario.add(_use.scenario(f"{_way} in the compiler of the framework", WAYS[_way]))
