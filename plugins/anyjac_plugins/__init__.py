"""The ground floor of anyjac: what the author of a backend imports.

A backend is a module with one hook, `anyjac_backend`, that returns a `BackendSpec`, and a subclass of `Backend` that
the spec's factory makes. An entry point of the group ``anyjac`` announces the module. Nothing here imports anything
else of anyjac.
"""

from .backend import Array, Backend, FlatFunction, Noted, OpenedNode, Pullback, Pushforward, StagedFunction
from .capabilities import BFLOAT16, CAPABILITIES, COMPLEX, FLOAT16, FORWARD, GRAD, JIT, NESTED, STOP_GRADIENT, VMAP
from .errors import (
    AnyjacError,
    BackendUnavailableError,
    ConcurrencyError,
    DeviceError,
    DtypeError,
    InputTypeError,
    InputValueError,
    MixedBackendsError,
    NotSupportedError,
    OutputError,
    PluginError,
    TracerLeakError,
    UncompiledWarning,
    UnknownBackendError,
    UnknownEnvironmentVariableWarning,
    VariableWriteError,
)
from .hookspecs import hookimpl
from .jacobian import CacheInfo, Jacobian
from .models import Adopt, Holder, ModelLibrary, Session
from .registry import BackendInfo, BackendRegistry
from .spec import INTERFACE_VERSION, BackendSpec

__all__ = [
    "BFLOAT16",
    "CAPABILITIES",
    "COMPLEX",
    "FLOAT16",
    "FORWARD",
    "GRAD",
    "INTERFACE_VERSION",
    "JIT",
    "NESTED",
    "STOP_GRADIENT",
    "VMAP",
    "Adopt",
    "AnyjacError",
    "Array",
    "Backend",
    "BackendInfo",
    "BackendRegistry",
    "BackendSpec",
    "BackendUnavailableError",
    "CacheInfo",
    "ConcurrencyError",
    "DeviceError",
    "DtypeError",
    "FlatFunction",
    "Holder",
    "InputTypeError",
    "InputValueError",
    "Jacobian",
    "MixedBackendsError",
    "ModelLibrary",
    "NotSupportedError",
    "Noted",
    "OpenedNode",
    "OutputError",
    "PluginError",
    "Pullback",
    "Pushforward",
    "Session",
    "StagedFunction",
    "TracerLeakError",
    "UncompiledWarning",
    "UnknownBackendError",
    "UnknownEnvironmentVariableWarning",
    "VariableWriteError",
    "hookimpl",
]
