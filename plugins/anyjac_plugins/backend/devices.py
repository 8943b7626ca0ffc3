"""Devices: their names, work on one of them, and arrays of other frameworks.

==================  ===============================================================================================
member              override it where
==================  ===============================================================================================
``device_name``     ``str(device)`` is no name that users would type, such as ``cpu`` or ``cuda:0``
``device_scope``    there is more than one device; by default arrays are made on the framework's own choice
``resolve_device``  the framework knows more spellings of a device
``import_array``    the framework takes arrays of others in another way than DLPack and NumPy's protocol
==================  ===============================================================================================
"""

from __future__ import annotations

import contextlib
from typing import Any, Final

import numpy as np

from ..errors import DeviceError
from .required import RequiredMembers
from .types import Array

HOST_DEVICE_CODES: Final = (1, 3, 13)
"""DLPack's device types whose memory the host reads: CPU, pinned CUDA memory, managed CUDA memory."""


class DeviceMembers(RequiredMembers):
    """The part of a backend that knows devices."""

    def device_name(self, device: Any) -> str:
        """Return the name under which users ask for `device`, such as ``"cpu"`` or ``"cuda:0"``."""
        return str(device)

    def device_scope(self, device: Any) -> contextlib.AbstractContextManager[Any]:
        """Return a context in which arrays that a function creates are put on `device`.

        Each call enters the context, with None where nobody asked for a device. So whatever a framework needs around
        all its computations, such as a stream for the thread, belongs here.
        """
        return contextlib.nullcontext()

    def resolve_device(self, device: Any) -> Any:
        """Return the framework's object for `device`, given as that object or as a string.

        A platform without a number means its first device; ``gpu`` and ``cuda`` mean the same.

        Raises
        ------
        DeviceError
            Listing the devices that are present.
        """
        present = list(self.devices())
        if not isinstance(device, str):
            if device in present:
                return device
        else:
            wanted = _spellings(device)
            for candidate in present:
                if wanted & _spellings(self.device_name(candidate)):
                    return candidate
        names = ", ".join(self.device_name(d) for d in present)
        raise DeviceError(f"backend {self.name!r} has no device {device!r}; present: {names}")

    def import_array(self, value: Any, device: Any = None) -> Array:
        """Convert an array of any framework that implements DLPack or NumPy's protocol.

        Raises
        ------
        DeviceError
            If the array lies on an accelerator, this framework cannot take it there, and no device was asked for.
        """
        value = value.detach() if hasattr(value, "detach") else value
        if on_host(value):
            return self.asarray(_host_copy(self.namespace, value), device=device)
        try:
            imported = self.namespace.from_dlpack(value)
        except Exception as error:
            raise DeviceError(
                f"a {type(value).__module__}.{type(value).__qualname__} on device {getattr(value, 'device', '?')} "
                f"cannot be handed to backend {self.name!r} where it is ({error}); move it to the host first"
            ) from error
        return imported if device is None else self.asarray(imported, device=device)


def on_host(value: Any) -> bool:
    """Return whether NumPy can read `value` where it lies, by DLPack's device code (True where it has none)."""
    report = getattr(value, "__dlpack_device__", None)
    return report is None or report()[0] in HOST_DEVICE_CODES


def _host_copy(namespace: Any, value: Any) -> Any:
    try:
        return np.asarray(value).copy()
    except TypeError:  # a dtype that NumPy lacks, such as torch's bfloat16
        return namespace.from_dlpack(value)


def _spellings(name: str) -> frozenset[str]:
    """Return the ways to write a device: with and without number 0, gpu for cuda and the reverse."""
    platform, _, number = name.strip().lower().partition(":")
    platforms = {"gpu", "cuda"} if platform in ("gpu", "cuda") else {platform}
    return frozenset(f"{p}:{number or 0}" for p in platforms)
