"""The ground floor of anyjac: what the author of a backend imports.

A backend is a module with one hook, `anyjac_backend`, that returns a `BackendSpec`, and a subclass of `Backend` that
the spec's factory makes. An entry point of the group ``anyjac`` announces the module. Nothing here imports anything
else of anyjac.
"""

from . import lost_derivatives
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
from .backend.framework_transforms import FrameworkTransforms
from .backend.types import (
    Array,
    CacheInfo,
    FlatFunction,
    FlatUserFunction,
    FunctionRun,
    Jacobian,
    LinearMap,
    LinearMapCall,
    OpenedNode,
    OutputRows,
    Pullback,
    Pushforward,
    Randomness,
    Resumption,
    StageableFunction,
    StagedAgainError,
    StagedFunction,
    StagedResult,
)
from .errors import (
    AnyjacError,
    BackendUnavailableError,
    ConcurrencyError,
    DeletedArrayError,
    DeviceError,
    DtypeError,
    ForwardRuleError,
    InputTypeError,
    InputValueError,
    LostDerivativeError,
    LostDerivativeWarning,
    MixedBackendsError,
    NotSupportedError,
    OutputError,
    PluginError,
    PluginWarning,
    RandomnessError,
    TracerLeakError,
    UncompiledWarning,
    UnknownBackendError,
    UnknownEnvironmentVariableWarning,
    UnmappedWarning,
    VariableWriteError,
)
from .loading.backends import BackendInfo, BackendRegistry
from .loading.hookspecs import hookimpl
from .loading.retired import GUIDE as _GUIDE
from .loading.retired import NAMES as _RETIRED
from .loading.spec import INTERFACE_VERSION, BackendSpec
from .models import Adopt, Holder, ModelLibrary, Session
from .paths import Paths

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
    "DeletedArrayError",
    "DeviceError",
    "DtypeError",
    "FlatFunction",
    "FlatUserFunction",
    "ForwardRuleError",
    "FrameworkTransforms",
    "FunctionRun",
    "Holder",
    "InputTypeError",
    "InputValueError",
    "Jacobian",
    "LinearMap",
    "LinearMapCall",
    "LostDerivativeError",
    "LostDerivativeWarning",
    "MixedBackendsError",
    "ModelLibrary",
    "NotSupportedError",
    "OpenedNode",
    "OutputError",
    "OutputRows",
    "Paths",
    "PluginError",
    "PluginWarning",
    "Pullback",
    "Pushforward",
    "Randomness",
    "RandomnessError",
    "Resumption",
    "Session",
    "StageableFunction",
    "StagedAgainError",
    "StagedFunction",
    "StagedResult",
    "TracerLeakError",
    "UncompiledWarning",
    "UnknownBackendError",
    "UnknownEnvironmentVariableWarning",
    "UnmappedWarning",
    "VariableWriteError",
    "hookimpl",
    "lost_derivatives",
]

for _found in (BackendInfo, BackendSpec, CacheInfo):
    _found.__module__ = __name__  # where pickles are to find it, in whichever file it stands


def __getattr__(name: str) -> object:
    """Refuse a name of an earlier interface version with the one that stands in its place."""
    if name in _RETIRED:
        raise ImportError(f"{__name__}.{name} is now {_RETIRED[name]}; see {_GUIDE}", name=__name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__path__.append(f"{__path__[0]}/old_pickles")  # where pickles find the modules of then
