"""Functions and classes that the pickles of `test_pickles.py` name, so that neither they nor this module may move."""

from __future__ import annotations

from typing import Any

import numpy as np

import anyjac
from anyjac_plugins import Holder, ModelLibrary


def cube(x: Any) -> Any:
    return x**3


def shares(x: Any, y: Any) -> Any:
    return x * y, {"sum": x + y}


@anyjac.grad(argnums=1)
def slope(x: Any, y: Any) -> Any:
    return x * y**2


class Weights(anyjac.Variable):
    """A Variable of a user's own kind."""


class Spring:
    """A model with Variables, and with a wrapper of each kind in the place of a method."""

    def __init__(self) -> None:
        self.stiffness = anyjac.TrainVar(3.0, name="stiffness")
        self.rest = [Weights(np.array([1.0, 2.0]))]

    def energy(self, x: Any) -> Any:
        return (self.stiffness * (x - self.rest[0]) ** 2).sum()

    @anyjac.grad
    def force(self, x: Any) -> Any:
        return (self.stiffness * (x - self.rest[0]) ** 2).sum()

    @anyjac.jit
    def compiled(self, x: Any) -> Any:
        return self.stiffness * x

    @anyjac.vmap
    def mapped(self, x: Any) -> Any:
        return self.stiffness * x

    @classmethod
    @anyjac.grad
    def of_class(cls, x: Any) -> Any:
        return x**3


class Layer:
    """A model of another library, whose arrays are no Variables."""

    def __init__(self) -> None:
        self.weight = np.array([1.0, 2.0])

    def __repr__(self) -> str:
        return "Layer()"

    def loss(self) -> Any:
        return (self.weight**2).sum()


class Box(Layer):
    """A single array of another library."""

    def __repr__(self) -> str:
        return "Box()"


class Weight(Holder):
    """The slot of an array in a `Layer`."""

    backend = "numpy"
    trainable = True

    def __init__(self, layer: Layer):
        self.anchor = layer

    def content(self) -> Any:
        return self.anchor.weight

    def put(self, content: Any) -> None:
        self.anchor.weight = content


class Layers(ModelLibrary):
    """The library of models that knows a `Layer`."""

    def holder(self, obj: object) -> Holder | None:
        return Weight(obj) if isinstance(obj, Box) else None

    def holders(self, obj: object) -> dict[str, Holder] | None:
        return {"weight": Weight(obj)} if type(obj) is Layer else None
