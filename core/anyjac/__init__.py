"""Jacobians of stateful Python code, on any array backend, with one contract.

`jacrev` differentiates a function with respect to its arguments and to the Variables that it uses. Everything here is
imported when it is first used, so that ``import anyjac`` costs next to nothing and imports no framework.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .lazy import lazily as _lazily

if TYPE_CHECKING:
    from anyjac_plugins import Backend, BackendInfo, BackendSpec, CacheInfo
    from anyjac_plugins.errors import (
        AnyjacError,
        BackendUnavailableError,
        ConcurrencyError,
        DerivativeMismatchError,
        DeviceError,
        DtypeError,
        InconclusiveCheckError,
        InputTypeError,
        InputValueError,
        MissingExtraError,
        MixedBackendsError,
        NonFiniteError,
        NotSupportedError,
        OutputError,
        PluginError,
        TracerLeakError,
        UncompiledWarning,
        UnknownBackendError,
        UnknownEnvironmentVariableWarning,
        VariableWriteError,
    )

    from .arrays.elements import at
    from .arrays.helpers import device, size, stop_gradient, to_device
    from .arrays.namespaces import array_namespace
    from .calls.dtypes import float0
    from .checks.check_derivative import DerivativeCheck, check_derivative
    from .derivatives.gradients import derivative, grad, value_and_grad, vector_grad
    from .derivatives.hessians import hessian, hvp
    from .derivatives.jacobians import jacfwd, jacobian, jacrev
    from .derivatives.linear_maps import Pullback, Pushforward
    from .derivatives.products import jvp, linearize, vjp
    from .derivatives.rows import RowBlock, Rows
    from .derivatives.transform import GradientTransform
    from .programs.jit import Jitted, jit
    from .programs.vmap import Mapped, vmap
    from .selection.caches import cache_clear, cache_info
    from .selection.public import (
        backends,
        devices,
        get_backend,
        register_backend,
        set_default_backend,
        unregister_backend,
        use_backend,
    )
    from .state.bound import BoundVariable, register_models, unregister_models
    from .state.collect import train_vars, variables
    from .state.variable import TrainVar, Variable

__version__ = "0.1.0"

_HOMES = {
    "anyjac.arrays.helpers": ("device", "size", "stop_gradient", "to_device"),
    "anyjac.state.bound": ("BoundVariable", "register_models", "unregister_models"),
    "anyjac.selection.caches": ("cache_clear", "cache_info"),
    "anyjac.checks.check_derivative": ("DerivativeCheck", "check_derivative"),
    "anyjac.state.collect": ("train_vars", "variables"),
    "anyjac.calls.dtypes": ("float0",),
    "anyjac.arrays.elements": ("at",),
    "anyjac.derivatives.gradients": ("derivative", "grad", "value_and_grad", "vector_grad"),
    "anyjac.derivatives.hessians": ("hessian", "hvp"),
    "anyjac.derivatives.jacobians": ("jacfwd", "jacobian", "jacrev"),
    "anyjac.programs.jit": ("Jitted", "jit"),
    "anyjac.programs.vmap": ("Mapped", "vmap"),
    "anyjac.arrays.namespaces": ("array_namespace",),
    "anyjac.derivatives.linear_maps": ("Pullback", "Pushforward"),
    "anyjac.derivatives.products": ("jvp", "linearize", "vjp"),
    "anyjac.derivatives.rows": ("RowBlock", "Rows"),
    "anyjac.selection.public": (
        "backends",
        "devices",
        "get_backend",
        "register_backend",
        "set_default_backend",
        "unregister_backend",
        "use_backend",
    ),
    "anyjac.derivatives.transform": ("GradientTransform",),
    "anyjac.state.variable": ("TrainVar", "Variable"),
    "anyjac_plugins": ("Backend", "BackendInfo", "BackendSpec", "CacheInfo"),
    "anyjac_plugins.errors": (
        "AnyjacError",
        "BackendUnavailableError",
        "ConcurrencyError",
        "DerivativeMismatchError",
        "DeviceError",
        "DtypeError",
        "InconclusiveCheckError",
        "InputTypeError",
        "InputValueError",
        "MissingExtraError",
        "MixedBackendsError",
        "NonFiniteError",
        "NotSupportedError",
        "OutputError",
        "PluginError",
        "TracerLeakError",
        "UnknownBackendError",
        "UncompiledWarning",
        "UnknownEnvironmentVariableWarning",
        "VariableWriteError",
    ),
}
__all__ = [
    "AnyjacError",
    "Backend",
    "BackendInfo",
    "BackendSpec",
    "BackendUnavailableError",
    "BoundVariable",
    "CacheInfo",
    "ConcurrencyError",
    "DerivativeCheck",
    "DerivativeMismatchError",
    "DeviceError",
    "DtypeError",
    "GradientTransform",
    "InconclusiveCheckError",
    "InputTypeError",
    "InputValueError",
    "Jitted",
    "Mapped",
    "MissingExtraError",
    "MixedBackendsError",
    "NonFiniteError",
    "NotSupportedError",
    "OutputError",
    "PluginError",
    "Pullback",
    "Pushforward",
    "RowBlock",
    "Rows",
    "TracerLeakError",
    "TrainVar",
    "UncompiledWarning",
    "UnknownBackendError",
    "UnknownEnvironmentVariableWarning",
    "Variable",
    "VariableWriteError",
    "array_namespace",
    "at",
    "backends",
    "cache_clear",
    "cache_info",
    "check_derivative",
    "derivative",
    "device",
    "devices",
    "float0",
    "get_backend",
    "grad",
    "hessian",
    "hvp",
    "jacfwd",
    "jacobian",
    "jacrev",
    "jit",
    "jvp",
    "linearize",
    "register_backend",
    "register_models",
    "set_default_backend",
    "size",
    "stop_gradient",
    "to_device",
    "train_vars",
    "unregister_backend",
    "unregister_models",
    "use_backend",
    "value_and_grad",
    "variables",
    "vector_grad",
    "vjp",
    "vmap",
]

__getattr__, __dir__ = _lazily(globals(), _HOMES)

__path__.append(f"{__path__[0]}/old_pickles")  # where pickles find the modules of then
