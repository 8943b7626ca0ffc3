"""`Backend`: what anyjac asks of an array framework.

Seven members are required and make a complete backend. All others have defaults in their terms, which a backend
overrides to be faster or to do more; each part of them has a page of its own, in the file of its name.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

from .containers import ContainerMembers
from .devices import DeviceMembers
from .elements import ElementMembers
from .framework_transforms import FrameworkTransforms
from .jacobians import JacobianMembers
from .loops import LoopMembers
from .programs import ProgramMembers
from .types import Array, FlatFunction, Pullback


class Backend(JacobianMembers, ElementMembers, LoopMembers, ProgramMembers, DeviceMembers, ContainerMembers):
    """One array framework, as seen by anyjac.

    Required are `name`, `namespace`, `is_array`, `asarray`, `devices`, `device_of` and `vjp`. The other members have
    defaults, and come in parts: ``help(anyjac_plugins.backend.rows)`` is the page on rows of Jacobians, and so on for
    ``jacobians``, ``linear_maps``, ``arrays``, ``elements``, ``devices``, ``containers``, ``loops`` and ``programs``.

    Attributes
    ----------
    name
        What users write in ``backend=``.
    version
        Version of the framework.
    capabilities
        Names out of `anyjac_plugins.CAPABILITIES`. What is missing here is refused by anyjac with
        `NotSupportedError`.
    array_modules
        Top-level modules of the framework's array types; only needed where the object is registered at run time,
        without a `BackendSpec`.
    array_names
        Parts of the names of its array types, as other frameworks' errors write them.
    framework_transforms
        The framework's own transforms, for the conformance suite.

    Examples
    --------
    The derived members are there for every backend:

    >>> import numpy as np
    >>> import anyjac
    >>> backend = anyjac.get_backend("numpy")
    >>> backend.resolve_device("cpu:0"), backend.supports("jit"), backend.dtype_kind(np.dtype("int8"))
    ('cpu', False, 'integral')
    >>> backend.seeds(np.zeros(3), 1, 3)
    array([[0., 1., 0.],
           [0., 0., 1.]])
    """

    name: str
    version: str = ""
    capabilities: frozenset[str] = frozenset()
    array_modules: ClassVar[tuple[str, ...]] = ()
    array_names: ClassVar[tuple[str, ...]] = ()
    framework_transforms: FrameworkTransforms = FrameworkTransforms()

    @property
    @abstractmethod
    def namespace(self) -> Any:
        """The framework's array-API namespace, whose functions are differentiable."""

    @abstractmethod
    def is_array(self, value: object) -> bool:
        """Return whether `value` is an array of this framework, traced or not."""

    @abstractmethod
    def asarray(self, value: Any, *, dtype: Any = None, device: Any = None) -> Array:
        """Make an array of a number, a NumPy array or one of the framework's own, on `device` if given.

        Differentiable where `value` is traced. With ``dtype=None`` a Python number gets the framework's default dtype.
        """

    @abstractmethod
    def devices(self) -> Sequence[Any]:
        """Return the devices that are present, in the framework's own objects, the default one first."""

    @abstractmethod
    def device_of(self, array: Array) -> Any:
        """Return the device that holds `array`; for a traced array, the device of its computation."""

    @abstractmethod
    def vjp(self, fun: FlatFunction, primals: Sequence[Array]) -> tuple[list[Array], Pullback, list[Array]]:
        """Run `fun` once at `primals` and return how to pull cotangents back through it.

        Parameters
        ----------
        fun
            Takes as many arrays as there are primals and returns ``(outputs, aux)``, two sequences of arrays. Some
            may not depend on the primals at all.
        primals
            Arrays of real or complex floating dtype.

        Returns
        -------
        outputs, pullback, aux
            Outputs and aux without a trace of this differentiation (they may belong to an enclosing one). The pullback
            may be called any number of times; what it returns has each primal's shape, dtype and device, and is
            conjugated as in JAX: seeded with 1, it gives ``dy/dz`` for a holomorphic function and
            ``df/dx - i df/dy`` for a real one.
        """
