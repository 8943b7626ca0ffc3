"""Equinox as a library of models: its modules are pytrees of JAX, to be differentiated as arguments.

Of a module, arrays of floating or complex dtype are differentiated, as by `equinox.filter_grad`, and all else is not.
Its arrays cannot be replaced, so that it has no slot for a Variable.
"""

from __future__ import annotations

from collections.abc import Mapping

import equinox

from anyjac_plugins import Holder, ModelLibrary, hookimpl


@hookimpl
def anyjac_models() -> ModelLibrary:
    """Describe Equinox."""
    return EquinoxModels()


class EquinoxModels(ModelLibrary):
    """Modules as arguments."""

    interface_version = 2

    def holder(self, obj: object) -> Holder | None:
        return None

    def holders(self, obj: object) -> Mapping[str, Holder] | None:
        return None

    def holds_back(self, leaf: object, container: object) -> bool:
        return not equinox.is_inexact_array(leaf)
