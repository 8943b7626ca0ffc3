"""`Lab`: the backend under test, and the ways in which a scenario makes its arrays."""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from os import environ
from types import FunctionType
from typing import Any

import numpy as np

from anyjac import Backend, NotSupportedError
from anyjac_plugins import GRAD, JIT, VMAP

from .framework_transforms import framework_transform


@dataclass(frozen=True)
class Lab:
    """The backend under test.

    Attributes
    ----------
    backend
        The backend; inside a scenario it is the chosen one, by `anyjac.use_backend`.
    device
        Where arrays are made; None for the backend's default.
    """

    backend: Backend
    device: Any = None

    @property
    def xp(self) -> Any:
        """The backend's array namespace."""
        return self.backend.namespace

    def array(self, values: Any, dtype: str = "float64") -> Any:
        """Make an array of the backend, of a dtype given by name."""
        if not hasattr(self.xp, dtype):
            raise NotSupportedError(f"the namespace of backend {self.backend.name!r} has no dtype {dtype}")
        wide = np.asarray(values, dtype=dtype if hasattr(np, dtype) else None)
        return self.backend.asarray(wide, dtype=getattr(self.xp, dtype), device=self.device)

    def compile(self, fun: Callable[..., Any]) -> Any:
        """Compile a copy of a function, with a code object of its own, by the framework's own compiler.

        Functions that one line of source makes share a code object. A compiler that keeps its programs by code object
        would run out of room for them, and leave later functions uncompiled.
        """
        assert isinstance(fun, FunctionType)
        own = FunctionType(fun.__code__.replace(), fun.__globals__, fun.__name__, fun.__defaults__, fun.__closure__)
        return self.native_jit(own)

    def native_grad(self, fun: Callable[..., Any]) -> Any:
        """Return the framework's own gradient of a function."""
        return framework_transform(self.backend, GRAD)(fun)

    def native_jit(self, fun: Callable[..., Any]) -> Any:
        """Compile a function, or a transform, by the framework's own compiler."""
        return framework_transform(self.backend, JIT)(fun)

    def native_vmap(self, fun: Callable[..., Any]) -> Any:
        """Map a function by the framework's own means."""
        return framework_transform(self.backend, VMAP)(fun)

    @property
    def last_device(self) -> Any:
        """The last device of the backend, far from the default one."""
        return list(self.backend.devices())[-1]

    @property
    def device_names(self) -> list[str]:
        """The names of all devices of the backend."""
        return [self.backend.device_name(device) for device in self.backend.devices()]

    @property
    def last_device_name(self) -> str:
        """The name of the last device of the backend."""
        return self.backend.device_name(self.last_device)

    @property
    def device_name(self) -> str:
        """The name of the device on which arrays are made."""
        return self.first_device_name if self.device is None else self.backend.device_name(self.device)

    @property
    def first_device_name(self) -> str:
        """The name of the backend's default device."""
        return self.backend.device_name(self.backend.devices()[0])

    def unnamed(self, do: Callable[[], Any]) -> Any:
        """Call `do` in a context that names no backend."""
        return contextvars.Context().run(do)

    @contextmanager
    def chosen_device(self) -> Iterator[None]:
        """Let work be done on `device` for a block of code, where it is not None."""
        with self.environment() if self.device is None else self.environment(ANYJAC_DEVICE=self.device_name):
            yield

    @contextmanager
    def environment(self, **variables: str) -> Iterator[None]:
        """Set variables of the environment for a block of code."""
        before = {name: environ.get(name) for name in variables}
        environ.update(variables)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    del environ[name]
                else:
                    environ[name] = value
