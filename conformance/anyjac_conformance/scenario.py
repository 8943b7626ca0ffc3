"""`Scenario`: one documented behaviour as data, and `Collection`, which gathers the scenarios of one subject."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from .lab import Lab

Observation = Callable[[Lab], Any]


@dataclass(frozen=True)
class Scenario:
    """A check with a known answer: a piece of work on a backend, and its right result.

    Attributes
    ----------
    name
        A sentence, unique within its clause.
    clause
        The clause of the contract that it documents, a key of `CLAUSES`.
    observe
        Does the work, and returns the observed result.
    answer
        The right result: a tree as `answers` describes, known analytically; `Raises`, `Either`; or a function of the
        lab that returns one of these, where the answer depends on the backend (its devices, its name).
    requires
        Capabilities that a backend must declare; a backend without them must refuse the scenario.
    """

    name: str
    clause: str
    observe: Observation
    answer: Any
    requires: frozenset[str] = field(default_factory=frozenset)

    @property
    def id(self) -> str:
        """The clause and the name, as one word for reports and command lines."""
        return f"{self.clause}:{self.name.replace(' ', '-')}"


class Collection:
    """The scenarios of one subject, in the order in which they are written.

    Examples
    --------
    >>> import numpy as np
    >>> import anyjac
    >>> from anyjac_conformance.scenario import Collection
    >>> scenario = Collection()
    >>> @scenario("dtypes/scalars", answer=np.array(6.0))
    ... def the_square_of_a_scalar(lab):
    ...     return anyjac.jacrev(lambda x: x * x)(lab.array(3.0))
    >>> [one.id for one in scenario]
    ['dtypes/scalars:the-square-of-a-scalar']
    """

    def __init__(self) -> None:
        self._scenarios: list[Scenario] = []

    def __call__(
        self, clause: str, *, answer: Any, requires: tuple[str, ...] = ()
    ) -> Callable[[Observation], Observation]:
        """Add the decorated function as a scenario with the function's name."""

        def add(observe: Observation) -> Observation:
            self.add(Scenario(observe.__name__.replace("_", " "), clause, observe, answer, frozenset(requires)))
            return observe

        return add

    def add(self, scenario: Scenario) -> None:
        """Add a scenario that was made from a table."""
        self._scenarios.append(scenario)

    def __iter__(self) -> Iterator[Scenario]:
        return iter(self._scenarios)
