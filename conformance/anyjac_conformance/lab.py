"""`Lab`: what a scenario works with. One backend, and the ways to make its arrays."""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from os import environ
from typing import Any

import numpy as np

from anyjac import Backend, NotSupportedError


@dataclass(frozen=True)
class Lab:
    """The backend under test.

    Attributes
    ----------
    backend
        The backend; inside a scenario it is the chosen one, by `anyjac.use_backend`.
    """

    backend: Backend

    @property
    def xp(self) -> Any:
        """The backend's array namespace."""
        return self.backend.namespace

    def array(self, values: Any, dtype: str = "float64") -> Any:
        """Make an array of the backend, of a dtype given by name."""
        if not hasattr(self.xp, dtype):
            raise NotSupportedError(f"the namespace of backend {self.backend.name!r} has no dtype {dtype}")
        wide = np.asarray(values, dtype=dtype if hasattr(np, dtype) else None)
        return self.backend.asarray(wide, dtype=getattr(self.xp, dtype))

    @property
    def last_device(self) -> Any:
        """The device of the backend that is farthest from the default one."""
        return list(self.backend.devices())[-1]

    @property
    def last_device_name(self) -> str:
        """Its name."""
        return self.backend.device_name(self.last_device)

    @property
    def first_device_name(self) -> str:
        """The name of the backend's default device."""
        return self.backend.device_name(self.backend.devices()[0])

    def unnamed(self, do: Callable[[], Any]) -> Any:
        """Call `do` where no context names a backend."""
        return contextvars.Context().run(do)

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
