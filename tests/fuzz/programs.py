"""Random programs: straight lines of array functions, reads and writes of a Variable, and numbers of a closure.

A program runs on duals and on arrays of a backend alike; `Machine` is what differs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import hypothesis.strategies as st

SIZE: Final = 3
"""Elements of each vector; few, so that compilers have little to do."""


class Machine(Protocol):
    """Where a program runs: a namespace of arrays, a state, and numbers that the program closes over."""

    xp: Any
    numbers: Sequence[float]

    def read(self) -> Any:
        """Return the state."""

    def write(self, value: Any) -> None:
        """Assign the state."""

    def add(self, value: Any) -> None:
        """Increase the state, in place where that can be written so."""

    def write_element(self, index: int, value: Any) -> None:
        """Write one element of the state."""

    def with_element(self, x: Any, index: int, value: Any, *, added: bool) -> Any:
        """Return a vector with one element written, or increased."""


@dataclass(frozen=True)
class Step:
    """A line of a program: a function, the registers with its arguments, and an integer."""

    function: str
    registers: tuple[int, ...]
    integer: int


@dataclass(frozen=True)
class Program:
    """Lines, each of which appends a vector to the registers; register 0 is the argument.

    The result is a dict of the last vector and of a number made of another one.
    """

    steps: tuple[Step, ...]
    other: int


Function = Callable[[Machine, Sequence[Any], int], Any]


def _outer(m: Machine, a: Any, b: Any) -> Any:
    return m.xp.reshape(a, (SIZE, 1)) * m.xp.reshape(b, (1, SIZE))


def _wrote(m: Machine, write: Callable[[], None]) -> Any:
    write()
    return m.read()


# Each function keeps its result within a few units, so that no program overflows.
FUNCTIONS: Final[dict[str, tuple[int, Function]]] = {
    # name: registers, function
    "sin": (1, lambda m, r, i: m.xp.sin(r[0])),
    "cos": (1, lambda m, r, i: m.xp.cos(r[0])),
    "tanh": (1, lambda m, r, i: m.xp.tanh(r[0])),
    "atan": (1, lambda m, r, i: m.xp.atan(r[0])),
    "bell": (1, lambda m, r, i: m.xp.exp(-m.xp.square(r[0]))),
    "abs": (1, lambda m, r, i: m.xp.abs(r[0])),
    "sum of two": (2, lambda m, r, i: r[0] + r[1] * 0.5),
    "product": (2, lambda m, r, i: m.xp.tanh(r[0] * r[1])),
    "quotient": (2, lambda m, r, i: m.xp.sin(r[0]) / (m.xp.square(r[1]) + 1.0)),
    "number of the closure": (1, lambda m, r, i: r[0] * m.numbers[i % len(m.numbers)] + m.numbers[0]),
    "branch": (2, lambda m, r, i: m.xp.where(m.xp.greater(r[0], 0.1 * i), r[0], r[1] * 2.0)),
    "greater of two": (2, lambda m, r, i: m.xp.maximum(r[0], r[1])),
    "mean": (1, lambda m, r, i: r[0] - m.xp.mean(r[0])),
    "greatest": (1, lambda m, r, i: m.xp.sin(r[0] + m.xp.max(r[0]))),
    "sorted": (1, lambda m, r, i: m.xp.sort(r[0])),
    "running sum": (1, lambda m, r, i: m.xp.tanh(m.xp.cumulative_sum(r[0]))),
    "reversed": (1, lambda m, r, i: m.xp.flip(r[0])),
    "rolled": (1, lambda m, r, i: m.xp.roll(r[0], 1 + i)),
    "taken": (2, lambda m, r, i: m.xp.take(m.xp.concat([r[0], r[1]]), m.indices((i, 4, i)))),
    "outer product": (2, lambda m, r, i: m.xp.sin(m.xp.sum(_outer(m, r[0], r[1]), axis=i % 2))),
    "matrix product": (2, lambda m, r, i: m.xp.tanh(m.xp.matrix_transpose(_outer(m, r[0], r[1])) @ r[0])),
    "slices": (2, lambda m, r, i: m.xp.concat([r[0][:i], r[1][i:]])),
    "stacked": (2, lambda m, r, i: m.xp.stack([r[0][i], r[1][0], m.xp.sum(r[0]) * 0.3])),
    "element set": (2, lambda m, r, i: m.with_element(r[0], i, r[1][0], added=False)),
    "element added": (2, lambda m, r, i: m.with_element(r[0], i, m.xp.sin(r[1][2]), added=True)),
    "state": (1, lambda m, r, i: m.read() * r[0]),
    "state written": (1, lambda m, r, i: _wrote(m, lambda: m.write(m.xp.tanh(m.read() + r[0])))),
    "state added to": (1, lambda m, r, i: _wrote(m, lambda: m.add(m.xp.sin(r[0])))),
    "state element": (1, lambda m, r, i: _wrote(m, lambda: m.write_element(i, m.xp.sin(r[0][i])))),
}


def run(program: Program, machine: Any, x: Any) -> dict[str, Any]:
    """Run a program at a vector."""
    registers = [x]
    for step in program.steps:
        _, function = FUNCTIONS[step.function]
        registers.append(function(machine, [registers[r] for r in step.registers], step.integer))
    return {"vector": registers[-1] * 1.0, "number": machine.xp.sum(registers[program.other] * registers[-1])}


@st.composite
def programs(draw: Any, most: int = 7) -> Program:
    """Generate programs of a few lines."""
    steps: list[Step] = []
    for line in range(draw(st.integers(1, most))):
        name = draw(st.sampled_from([*FUNCTIONS]))
        count, _ = FUNCTIONS[name]
        registers = tuple(draw(st.integers(0, line)) for _ in range(count))
        steps.append(Step(name, registers, draw(st.integers(0, SIZE - 1))))
    return Program(tuple(steps), draw(st.integers(0, len(steps))))
