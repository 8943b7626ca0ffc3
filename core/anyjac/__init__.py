"""Jacobians of stateful Python code, on any array backend, with one contract.

`jacrev` differentiates a function with respect to its arguments and to the Variables that it uses. Everything here is
imported when it is first used, so that ``import anyjac`` costs next to nothing and imports no framework.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .exports import lazily as _lazily

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

    from .arrays import device, size, stop_gradient, to_device
    from .bound import BoundVariable, register_models, unregister_models
    from .caches import cache_clear, cache_info
    from .checking import DerivativeCheck, check_derivative
    from .collect import train_vars, variables
    from .dtypes import float0
    from .elements import at
    from .gradients import derivative, grad, value_and_grad, vector_grad
    from .hessians import hessian, hvp
    from .jacobians import jacfwd, jacobian, jacrev
    from .jitted import Jitted, jit
    from .linear_maps import Pullback, Pushforward
    from .mapping import Mapped, vmap
    from .namespaces import array_namespace
    from .products import jvp, linearize, vjp
    from .rows import RowBlock, Rows
    from .selection import (
        backends,
        devices,
        get_backend,
        register_backend,
        set_default_backend,
        unregister_backend,
        use_backend,
    )
    from .transform import GradientTransform
    from .variable import TrainVar, Variable

__version__ = "0.1.0"

_HOMES = {
    "anyjac.arrays": ("device", "size", "stop_gradient", "to_device"),
    "anyjac.bound": ("BoundVariable", "register_models", "unregister_models"),
    "anyjac.caches": ("cache_clear", "cache_info"),
    "anyjac.checking": ("DerivativeCheck", "check_derivative"),
    "anyjac.collect": ("train_vars", "variables"),
    "anyjac.dtypes": ("float0",),
    "anyjac.elements": ("at",),
    "anyjac.gradients": ("derivative", "grad", "value_and_grad", "vector_grad"),
    "anyjac.hessians": ("hessian", "hvp"),
    "anyjac.jacobians": ("jacfwd", "jacobian", "jacrev"),
    "anyjac.jitted": ("Jitted", "jit"),
    "anyjac.mapping": ("Mapped", "vmap"),
    "anyjac.namespaces": ("array_namespace",),
    "anyjac.linear_maps": ("Pullback", "Pushforward"),
    "anyjac.products": ("jvp", "linearize", "vjp"),
    "anyjac.rows": ("RowBlock", "Rows"),
    "anyjac.selection": (
        "backends",
        "devices",
        "get_backend",
        "register_backend",
        "set_default_backend",
        "unregister_backend",
        "use_backend",
    ),
    "anyjac.transform": ("GradientTransform",),
    "anyjac.variable": ("TrainVar", "Variable"),
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
