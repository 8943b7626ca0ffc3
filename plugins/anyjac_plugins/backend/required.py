"""What every part of a backend may ask of the framework: the required members, and what the backend declares.

`Backend` says what the required members promise. This file names them for the parts, each of which is a page on what a
backend can override: arrays, devices, containers, linear maps, rows, Jacobians, programs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from ..errors import NotSupportedError
from .capabilities import CAPABILITIES
from .types import Array, FlatFunction, Pullback


class RequiredMembers(ABC):
    """The members that the defaults of all others stand on."""

    name: str
    version: str = ""
    capabilities: frozenset[str] = frozenset()

    @property
    @abstractmethod
    def namespace(self) -> Any: ...

    @abstractmethod
    def is_array(self, value: object) -> bool: ...

    @abstractmethod
    def asarray(self, value: Any, *, dtype: Any = None, device: Any = None) -> Array: ...

    @abstractmethod
    def devices(self) -> Sequence[Any]: ...

    @abstractmethod
    def device_of(self, array: Array) -> Any: ...

    @abstractmethod
    def vjp(self, fun: FlatFunction, primals: Sequence[Array]) -> tuple[list[Array], Pullback, list[Array]]: ...

    def supports(self, capability: str) -> bool:
        """Return whether the backend declares `capability`."""
        return capability in self.capabilities

    def unsupported(self, capability: str) -> NotSupportedError:
        """Return the error for a capability that this backend lacks; the caller raises it."""
        what = CAPABILITIES.get(capability)
        return NotSupportedError(
            f"backend {self.name!r} does not support {capability!r}" + (f" ({what})" if what else "")
        )

    def __repr__(self) -> str:
        return f"<anyjac backend {self.name!r} {self.version}>"
