"""The ground floor of anyjac: what the author of a backend imports.

A backend is a module with one hook, `anyjac_backend`, that returns a `BackendSpec`, and a subclass of `Backend` that
the spec's factory makes. An entry point of the group ``anyjac`` announces the module. Nothing here imports anything
else of anyjac.
"""

from .backend.backend import Backend
from .backend.capabilities import (
    BFLOAT16,
    CAPABILITIES,
    COMPLEX,
    FLOAT16,
    FORWARD,
    GRAD,
    JIT,
    NESTED,
    STOP_GRADIENT,
    VMAP,
)
from .backend.types import (
    Array,
    CacheInfo,
    FlatFunction,
    Jacobian,
    Noted,
    OpenedNode,
    Pullback,
    Pushforward,
    StagedFunction,
)
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
from .loading.backends import BackendInfo, BackendRegistry
from .loading.hookspecs import hookimpl
from .loading.spec import INTERFACE_VERSION, BackendSpec
from .models import Adopt, Holder, ModelLibrary, Session

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

for _found in (BackendInfo, BackendSpec, CacheInfo):
    _found.__module__ = __name__  # where pickles are to find it, in whichever file it stands

__path__.append(f"{__path__[0]}/old_pickles")  # where pickles find the modules of then
