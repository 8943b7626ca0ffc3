"""Scenarios: what no loop and no branch can be made of, each refused by name, with Variables as they were."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import anyjac
from anyjac import (
    AnyjacError,
    InputTypeError,
    InputValueError,
    NotSupportedError,
    OutputError,
    Variable,
    VariableWriteError,
    grad,
    jit,
)

from ..lab import Lab
from ..scenario import Collection, Scenario

scenario = Collection()

# Of any type, since the calls below are those that types forbid.
cond: Any = anyjac.cond
for_loop: Any = anyjac.for_loop
fori_loop: Any = anyjac.fori_loop
ifelse: Any = anyjac.ifelse
scan: Any = anyjac.scan
switch: Any = anyjac.switch
while_loop: Any = anyjac.while_loop


class Bench:
    """What the cases below are made of.

    Attributes
    ----------
    lab
        The backend under test.
    one, two, three
        Arrays of one, two and three elements; the first has no axis.
    wide
        A number in single precision.
    v
        A Variable, which `write` changes.
    """

    def __init__(self, lab: Lab):
        self.lab = lab
        self.one, self.two, self.three = lab.array(1.0), lab.array([1.0, 2.0]), lab.array([1.0, 2.0, 3.0])
        self.single = lab.array(1.0, "float32")
        self.v = Variable(lab.array(1.0), name="v")

    def write(self, result: Any = None) -> Any:
        """Write the Variable, and return what is given."""
        self.v.value = self.v + 1.0
        return result

    def always(self, result: Any) -> Callable[..., Any]:
        """Return a function of any arguments, which writes the Variable and returns the result."""
        return lambda *_: self.write(result)

    def by_each(self, result: Any, init: Any) -> dict[str, Callable[[], Any]]:
        """Return the loops whose carry begins as `init` and goes on as `result`."""
        return {
            "scan": lambda: scan(self.always((result, None)), init, length=2),
            "fori_loop": lambda: fori_loop(0, 2, self.always(result), init),
            "while_loop": lambda: while_loop(lambda _: self.v < 3.0, self.always(result), init),
            "while_loop of few steps": lambda: while_loop(
                lambda _: self.v < 3.0, self.always(result), init, max_steps=3
            ),
        }


Case = Callable[[Bench], Any]

CARRIES: dict[str, tuple[Callable[[Bench], tuple[Any, Any]], tuple[str, ...]]] = {
    # what changes: how the carry begins and goes on; what the message says
    "structure": (lambda b: ({"a": b.one}, (b.one,)), ("init", "structure", "'a'", "(*,)")),
    "key": (lambda b: ({"a": b.one}, {"b": b.one}), ("init", "structure", "'a'", "'b'")),
    "length of a list": (lambda b: ([b.one], [b.one, b.one]), ("init", "structure")),
    "None": (lambda b: (b.one, None), ("init", "structure", "None")),
    "shape": (lambda b: ({"a": (b.two,)}, {"a": (b.three,)}), ("['a'][0]", "init['a'][0]", "float64[2]", "float64[3]")),
    "dtype": (lambda b: ([b.one, b.one], [b.one, b.single]), ("[1]", "init[1]", "float64[]", "float32[]")),
    "integer": (lambda b: (b.lab.array(1, "int64"), b.one), ("init", "int64[]", "float64[]")),
    "number of Python that gets an axis": (lambda b: (0.0, b.two), ("init", "float64[2]")),
    "number of Python that cannot be one": (lambda b: (0.5, b.lab.array(1, "int64")), ("init", "0.5", "int64")),
    "array to text": (lambda b: ({"a": b.one}, {"a": "text"}), ("['a']", "'text'")),
}
"""Carries that change from step to step."""

BEGINNINGS: dict[str, tuple[Callable[[Bench], Any], tuple[str, ...]]] = {
    "text": (lambda b: {"a": "text"}, ("init['a']", "'text'")),
    "an object": (lambda b: [object()], ("init[0]", "object")),
    "a function": (lambda b: (print,), ("init[0]", "print")),
}
"""Carries that are none."""

TYPE: tuple[type[AnyjacError], ...] = (InputTypeError,)
VALUE: tuple[type[AnyjacError], ...] = (InputValueError,)
OUTPUT: tuple[type[AnyjacError], ...] = (OutputError,)

CASES: dict[str, tuple[Case, tuple[type[AnyjacError], ...], tuple[str, ...]]] = {
    # ---- what loops go along ----
    "rows of different lengths": (
        lambda b: scan(b.always((None, None)), None, {"a": b.two, "b": [b.three]}),
        VALUE,
        ("xs['b'][0]", "3", "xs['a']", "2"),
    ),
    "arrays of different lengths": (
        lambda b: for_loop(b.always(None), b.two, b.three),
        VALUE,
        ("xs[1]", "3", "xs[0]", "2"),
    ),
    "a length at odds with the rows": (
        lambda b: scan(b.always((None, None)), None, {"a": b.two}, length=3),
        VALUE,
        ("xs['a']", "2", "length is 3"),
    ),
    "a length at odds with an array": (
        lambda b: for_loop(b.always(None), b.two, length=1),
        VALUE,
        ("xs[0]", "2", "length is 1"),
    ),
    "rows without an axis": (lambda b: for_loop(b.always(None), b.two, b.one), VALUE, ("xs[1]", "axis")),
    "a number to go along": (lambda b: scan(b.always((None, None)), None, (3.0,)), VALUE, ("xs[0]", "axis")),
    "text to go along": (lambda b: for_loop(b.always(None), {"a": "text"}), TYPE, ("xs[0]['a']", "'text'")),
    "nothing to go along": (lambda b: scan(b.always((None, None)), None), VALUE, ("length",)),
    "no arrays and no length": (lambda b: for_loop(b.always(None)), VALUE, ("length",)),
    "a negative length": (lambda b: for_loop(b.always(None), length=-1), VALUE, ("length", "-1")),
    "a length that is no int": (
        lambda b: scan(b.always((None, None)), None, length=2.0),
        TYPE,
        ("length", "2.0", "float"),
    ),
    "a length that is a bool": (lambda b: for_loop(b.always(None), length=True), TYPE, ("length", "True", "bool")),
    "a direction that is no bool": (
        lambda b: for_loop(b.always(None), b.two, reverse="yes"),
        TYPE,
        ("reverse", "'yes'"),
    ),
    "a direction that is a number": (
        lambda b: scan(b.always((None, None)), None, b.two, reverse=1),
        TYPE,
        ("reverse", "1", "int"),
    ),
    "steps at once that are none": (lambda b: for_loop(b.always(None), b.two, unroll=0), VALUE, ("unroll", "0")),
    "steps at once that are no int": (
        lambda b: scan(b.always((None, None)), None, b.two, unroll="all"),
        TYPE,
        ("unroll",),
    ),
    # ---- functions ----
    "a scan of no function": (lambda b: scan(None, b.one, b.two), TYPE, ("scan", "None", "callable")),
    "a for_loop of no function": (lambda b: for_loop(b.two, b.two), TYPE, ("for_loop", "callable")),
    "a fori_loop of no function": (lambda b: fori_loop(0, 2, 3, b.one), TYPE, ("fori_loop", "3", "callable")),
    "a while_loop of no condition": (
        lambda b: while_loop(True, lambda x: x, b.one),
        TYPE,
        ("while_loop", "cond", "True"),
    ),
    "a while_loop of no body": (
        lambda b: while_loop(lambda x: False, None, b.one),
        TYPE,
        ("while_loop", "body", "None"),
    ),
    "a cond of a constant": (lambda b: cond(True, 1.0, b.always(2.0)), TYPE, ("cond", "1.0")),
    "a switch of a constant": (lambda b: switch(0, [b.always(2.0), 3.0]), TYPE, ("switch", "3.0")),
    "a switch of one function": (lambda b: switch(0, b.always(2.0)), TYPE, ("switch", "branches")),
    "a switch of nothing": (lambda b: switch(0, []), VALUE, ("switch", "no functions")),
    "an ifelse of constants": (lambda b: ifelse([True], [1, 2]), TYPE, ("ifelse", "1")),
    "an ifelse of one condition": (
        lambda b: ifelse(True, [b.always(1.0), b.always(2.0)]),
        TYPE,
        ("ifelse", "conditions"),
    ),
    "an ifelse of one function": (lambda b: ifelse([], b.always(1.0)), TYPE, ("ifelse", "branches")),
    "an ifelse of too few functions": (
        lambda b: ifelse([True, False], [b.always(1.0)] * 2),
        VALUE,
        ("2 conditions", "2 functions"),
    ),
    "an ifelse of too many functions": (
        lambda b: ifelse([True], [b.always(1.0)] * 3),
        VALUE,
        ("1 condition", "3 functions"),
    ),
    "an ifelse of nothing": (lambda b: ifelse([], []), VALUE, ("ifelse", "0 functions")),
    # ---- results ----
    "a step that returns no pair": (lambda b: scan(b.always(b.one), b.one, length=2), OUTPUT, ("scan", "pair")),
    "a step that returns nothing": (lambda b: scan(b.always(None), b.one, length=2), OUTPUT, ("scan", "pair", "None")),
    "a step that returns three": (
        lambda b: scan(b.always((b.one,) * 3), b.one, length=2),
        OUTPUT,
        ("scan", "pair", "3"),
    ),
    "a step that returns a dict": (
        lambda b: scan(b.always({"carry": b.one, "y": b.one}), b.one, length=2),
        OUTPUT,
        ("scan", "pair", "dict"),
    ),
    "a result that is text": (
        lambda b: scan(b.always((b.one, {"a": ["text"]})), b.one, length=2),
        OUTPUT,
        ("['a'][0]", "'text'"),
    ),
    "a result that is an object": (
        lambda b: for_loop(b.always({"a": object()}), length=2),
        OUTPUT,
        ("['a']", "object"),
    ),
    "a branch that returns text": (
        lambda b: cond(True, b.always({"a": "text"}), b.always(b.one)),
        OUTPUT,
        ("['a']", "'text'"),
    ),
    "a branch that is given text": (
        lambda b: switch(0, [b.always(b.one)], {"a": "text"}),
        TYPE,
        ("operands[0]['a']", "'text'"),
    ),
    # ---- numbers ----
    "a lower bound that is no int": (
        lambda b: fori_loop(0.0, 2, b.always(b.one), b.one),
        TYPE,
        ("lower", "0.0", "float"),
    ),
    "an upper bound that is an array": (
        lambda b: fori_loop(0, b.lab.array(2, "int64"), b.always(b.one), b.one),
        TYPE,
        ("upper", "while_loop"),
    ),
    "a bound that is a bool": (lambda b: fori_loop(0, True, b.always(b.one), b.one), TYPE, ("upper", "True", "bool")),
    "a greatest number of steps that is no int": (
        lambda b: while_loop(lambda _: b.v < 3.0, b.always(b.one), b.one, max_steps=2.0),
        TYPE,
        ("max_steps", "2.0", "float"),
    ),
    "a negative greatest number of steps": (
        lambda b: while_loop(lambda _: b.v < 3.0, b.always(b.one), b.one, max_steps=-1),
        VALUE,
        ("max_steps", "-1"),
    ),
    "a condition that writes": (
        lambda b: while_loop(lambda x: b.write(x < 3.0), lambda x: x + 1.0, b.one),
        (VariableWriteError,),
        ("condition of while_loop", "'v'"),
    ),
}
"""For each case, who calls what, the kind of error, and parts of the message."""

FLAGS: dict[str, tuple[Callable[[Bench], Any], tuple[str, ...]]] = {
    "a number": (lambda b: b.one, ("float64[]", "boolean")),
    "an integer": (lambda b: b.lab.array(1, "int64"), ("int64[]", "boolean")),
    "an int of Python": (lambda b: 1, ("boolean",)),
    "booleans": (lambda b: b.two > 1.0, ("bool[2]", "boolean")),
    "one boolean with an axis": (lambda b: b.two[:1] > 1.0, ("bool[1]", "boolean")),
    "None": (lambda b: None, ("None", "boolean")),
    "text": (lambda b: "yes", ("'yes'", "boolean")),
}
"""What is no boolean without axes, and parts of the message."""

INDICES: dict[str, tuple[Callable[[Bench], Any], tuple[str, ...]]] = {
    "a number": (lambda b: b.one, ("float64[]", "integer")),
    "a boolean": (lambda b: b.one > 0.0, ("bool[]", "integer")),
    "integers": (lambda b: b.lab.array([0, 1], "int64"), ("int64[2]", "integer")),
    "a float of Python": (lambda b: 1.0, ("integer",)),
    "None": (lambda b: None, ("None", "integer")),
    "text": (lambda b: "first", ("'first'", "integer")),
}
"""What is no integer without axes, and parts of the message."""


def _by_flag(b: Bench, flag: Any) -> dict[str, Callable[[], Any]]:
    """Return the calls that a flag decides, by the name of the flag in their messages."""
    return {
        "pred": lambda: cond(flag, b.always(b.one), b.always(b.one)),
        "conditions[1]": lambda: ifelse([False, flag], [b.always(b.one)] * 3),
        "the condition of while_loop": lambda: while_loop(lambda _: flag, b.always(b.one), b.one, max_steps=3),
    }


Refusal = tuple[str, Callable[[Bench], Callable[[], Any]], tuple[type[AnyjacError], ...], tuple[str, ...]]


def _refusals() -> list[Refusal]:
    found: list[Refusal] = []
    for name, (case, kinds, parts) in CASES.items():
        found.append((name, lambda b, case=case: partial(case, b), kinds, parts))  # type: ignore[misc]
    for name, (make, parts) in CARRIES.items():
        for member in ("scan", "fori_loop", "while_loop", "while_loop of few steps"):
            changed = lambda b, make=make, member=member: b.by_each(*reversed(make(b)))[member]  # noqa: E731
            kinds = (InputTypeError,) if name == "number of Python that cannot be one" else (OutputError,)
            found.append((f"another {name} in {member}", changed, kinds, parts))
    for name, (begin, parts) in BEGINNINGS.items():
        for member in ("scan", "fori_loop", "while_loop"):
            begun = lambda b, begin=begin, member=member: b.by_each(b.one, begin(b))[member]  # noqa: E731
            found.append((f"{name} in the carry of {member}", begun, (InputTypeError,), parts))
    for name, (make_flag, parts) in FLAGS.items():
        for label in ("pred", "conditions[1]", "the condition of while_loop"):
            flagged = lambda b, make=make_flag, label=label: _by_flag(b, make(b))[label]  # noqa: E731
            found.append((f"{name} as {label}", flagged, (InputTypeError, OutputError), (label, *parts)))
    for name, (make_index, parts) in INDICES.items():
        indexed = lambda b, make=make_index: partial(switch, make(b), [b.always(b.one)] * 2)  # noqa: E731
        found.append((f"{name} as index", indexed, (InputTypeError,), ("index", *parts)))
    return found


WRAPS: dict[str, Callable[[Bench, Callable[[], Any]], Any]] = {
    "plain": lambda b, call: call(),
    "in a gradient": lambda b, call: grad(lambda x: [call(), x][1])(b.one),
}
"""Where a refused call stands."""


def _refused(
    make: Callable[[Bench], Callable[[], Any]], kinds: tuple[type[AnyjacError], ...], parts: tuple[str, ...], lab: Lab
) -> Any:
    bench = Bench(lab)
    lacking = {}
    for where, wrap in WRAPS.items():
        try:
            wrap(bench, make(bench))
            lacking[where] = ["an error"]
        except kinds as error:
            lacking[where] = [part for part in parts if part not in str(error)] and [*parts, f"in: {error}"]
    return lacking, bench.v.value


for _name, _make, _kinds, _parts in _refusals():
    scenario.add(
        Scenario(
            _name,
            "loops/bad-input",
            partial(_refused, _make, _kinds, _parts),
            ({where: [] for where in WRAPS}, np.array(1.0)),
        )
    )


# ---- branches that differ ------------------------------------------------------------------------------------------


BRANCHES: dict[str, tuple[Callable[[Bench], tuple[Any, Any]], tuple[str, ...]]] = {
    "structure": (lambda b: ({"a": b.one}, [b.one]), ("structure", "'a'")),
    "shape": (lambda b: ({"a": b.two}, {"a": b.three}), ("['a']", "float64[2]", "float64[3]")),
    "dtype": (lambda b: ((b.one, b.one), (b.one, b.single)), ("[1]", "float64[]", "float32[]")),
}
"""What two branches return, and parts of the message where both are recorded."""


def _differing(make: Callable[[Bench], tuple[Any, Any]], parts: tuple[str, ...], lab: Lab) -> Any:
    bench = Bench(lab)
    first, second = (bench.always(result) for result in make(bench))
    calls = {
        "cond": lambda x: cond(x > 0.0, first, second),
        "switch": lambda x: switch(lab.xp.astype(x, lab.xp.int64), [first, first, second]),
        "ifelse": lambda x: ifelse([x > 0.0, x > 1.0], [first, first, second]),
    }
    told: dict[str, list[str]] = {}
    for member, call in calls.items():
        before = float(bench.v.value)
        try:
            jit(lambda x, call=call: [call(x), x][1])(bench.one)
            told[member] = []  # the backend knows which branch is taken, and has run this one alone
        except OutputError as error:
            told[member] = [part for part in parts if part not in str(error)]
            assert float(bench.v.value) == before
        except NotSupportedError:
            told[member] = []  # the backend refuses to put off the choice
    return told


for _name, (_pair, _parts) in BRANCHES.items():
    scenario.add(
        Scenario(
            f"another {_name} in another branch",
            "loops/bad-input",
            partial(_differing, _pair, _parts),
            {"cond": [], "switch": [], "ifelse": []},
        )
    )
