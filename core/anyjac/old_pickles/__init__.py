"""Names that stand in pickles made before the modules stood in rooms. Reads public names; nobody else imports it.

`anyjac` looks for its modules in this folder too, so that each file here is found under the name of a module of then,
such as ``anyjac.variable``. What such a pickle holds is turned into what `anyjac.pickles` makes today.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from anyjac.pickles import make


def forgotten(*_: Any, **__: Any) -> None:
    """Stand for a function by which a derivative was computed, which its name says too."""


class Derivative:
    """A member of the family, as it was pickled."""

    name: str
    options: dict[str, str]

    def __setstate__(self, state: list[Any]) -> None:
        self.name, options = state[0], state[3]
        self.options = {"mode": options.partition("=")[2].strip("'")} if options else {}


class Settings:
    """The settings of a transform, as they were pickled."""

    def __setstate__(self, state: list[Any]) -> None:
        (
            self.variables,
            self.variables_tree,
            self.argnums,
            self.single_argument,
            self.has_aux,
            self.return_value,
            self.holomorphic,
            self.allow_int,
            self.backend,
            self.device,
            self.chunk_size,
            self.debug_nan,
            self.named,
            _,
        ) = state

    def options(self) -> dict[str, Any]:
        """Return the public options that make these settings."""
        names = ("has_aux", "return_value", "holomorphic", "allow_int", "backend", "device", "chunk_size", "debug_nan")
        stored = {name: getattr(self, name) for name in names}
        options = {name: value for name, value in stored.items() if value is not None and value is not False}
        if self.named is not None:
            options["grad_vars"] = self.named.tree.unflatten(self.named.leaves)
        elif self.variables_tree is not None:
            options["grad_vars"] = self.variables_tree.unflatten(self.variables)
        if self.argnums and not (self.named is not None and self.named.default):
            options["argnums"] = self.argnums[0] if self.single_argument else self.argnums
        return options


class Named:
    """Models among the settings of a transform, as they were pickled."""

    def __setstate__(self, state: list[Any]) -> None:
        self.leaves, self.tree, self.default = state


class MapOptions:
    """The options of `vmap`, as they were pickled."""

    def __setstate__(self, state: list[Any]) -> None:
        self.axes, self.backend, self.device, self.chunk_size = state


class MapAxes:
    """The axes of `vmap`, as they were pickled."""

    def __setstate__(self, state: list[Any]) -> None:
        self.inward, self.outward = state


def transformed(func: Callable[..., Any], derivative: Derivative, settings: Settings) -> Any:
    """Make the transform of a function."""
    return make(derivative.name, (func,), settings.options() | derivative.options)


def mapped(func: Callable[..., Any], options: MapOptions) -> Any:
    """Make the mapped function."""
    axes = options.axes
    return make(
        "vmap",
        (func, axes.inward, axes.outward),
        {"backend": options.backend, "device": options.device, "chunk_size": options.chunk_size},
    )
