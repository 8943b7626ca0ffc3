"""Variables whose values are held by objects of other libraries: parameters, buffers and states of models.

The libraries are described by plugins, see `anyjac_plugins.models`. Nothing here imports any of them.
"""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Iterator
from typing import Any, Final

from anyjac_plugins import AnyjacError, Holder, ModelLibrary
from anyjac_plugins.loading.models import libraries

from ..pickles import part_of_model
from ..selection.public import get_backend
from ..trees.structure import TreeDef, flatten
from .context import is_expired
from .variable import LeafType, Variable


class _Nothing:
    def __repr__(self) -> str:
        return "<nothing>"


NOTHING: Final = _Nothing()
"""Stands where a slot of a model has no content."""


class BoundVariable(Variable):
    """The Variable for a slot in a model of another library, such as a parameter of a `torch.nn.Module`.

    It reads and writes what the slot holds. While a function runs in a transform, the slot holds what the transform
    gives it, so that the model's own code takes part; what that code writes there is stored when the call has
    succeeded. `variables`, `train_vars` and ``grad_vars`` make these; each slot has one.

    Parameters
    ----------
    library
        What is known of the library that the model comes from.
    holder
        The slot.
    name
        Shown in messages and in the repr: the path in the model, where one is known.

    Examples
    --------
    >>> import numpy as np
    >>> import anyjac
    >>> class Layer:
    ...     def __init__(self):
    ...         self.weight = np.array([1.0, 2.0])
    >>> from anyjac_plugins import Holder, ModelLibrary
    >>> class Weight(Holder):
    ...     backend = "numpy"
    ...     def __init__(self, layer):
    ...         self.anchor = layer
    ...     def content(self):
    ...         return self.anchor.weight
    ...     def put(self, content):
    ...         self.anchor.weight = content
    >>> class Layers(ModelLibrary):
    ...     def holder(self, obj):
    ...         return None
    ...     def holders(self, obj):
    ...         return {"weight": Weight(obj)}
    >>> anyjac.register_models(Layer.__module__, Layers())
    >>> layer = Layer()
    >>> anyjac.grad(lambda: (layer.weight**2).sum(), grad_vars=layer)()
    {'weight': array([2., 4.])}
    >>> anyjac.unregister_models(Layer.__module__)
    """

    __slots__ = ("_models", "holder", "library", "outside")

    library: ModelLibrary
    outside: Any

    def __init__(self, library: ModelLibrary, holder: Holder, name: str | None) -> None:
        self.holder = holder
        self._models: tuple[weakref.ref[Any], ...] = ()
        self.library = library
        self.outside = NOTHING
        self.backend = get_backend(holder.backend)
        self.name = name
        self.allow_reshape = False

    @property
    def trainable(self) -> bool:  # type: ignore[override]
        """Whether `train_vars` collects it."""
        return self.holder.trainable

    # ---- what is fixed about a Variable follows what the slot holds -----------------------------------------------

    def _content(self) -> Any:
        outside = self.outside  # looked at once, for another thread may end its call meanwhile
        return self.holder.content() if outside is NOTHING else outside

    @property
    def _value(self) -> Any:
        return self.holder.value(self._content())

    @_value.setter
    def _value(self, value: Any) -> None:
        if is_expired(value):  # the library knows better what to leave there
            return
        stored = self.holder.stored(self._content(), value)
        if self.outside is NOTHING:
            self.holder.put(stored)
        else:  # another call is showing something there, and will put this back
            self.outside = stored

    def _keep(self) -> Any:
        """Return a value that can be assigned to bring back what the slot holds now."""
        return self.holder.kept(self._content())

    def bring_back(self, kept: Any) -> None:
        """Put a kept value back into the slot, if the slot holds anything else."""
        if self.holder.has_moved(self._content(), kept):
            self._value = kept

    @property
    def _tree(self) -> TreeDef:  # type: ignore[override]
        return flatten(self._value)[1]

    @property
    def _leaf_types(self) -> tuple[LeafType, ...]:  # type: ignore[override]
        return tuple(self._type_of(leaf, self.backend) for leaf in flatten(self._value)[0])

    # ---- the model around it ---------------------------------------------------------------------------------------

    def models(self) -> Iterator[tuple[ModelLibrary, Any]]:
        """Yield the models of which it is known to be a part."""
        for reference in self._models:
            model = reference()
            if model is not None:
                yield self.library, model

    def parts_of(self, model: object) -> list[BoundVariable]:
        """Return the Variables of all slots of a model, in the order in which calls wait for them."""
        return list((bound_variables(model) or {}).values())

    def belongs_to(self, model: object) -> None:
        """Let the other slots of a model take part in calls in which this one does."""
        if all(reference() is not model for reference in self._models):
            alive = [reference for reference in self._models if reference() is not None]
            self._models = (*alive, weakref.ref(model))

    def label(self) -> str:
        """Return how messages call this Variable."""
        kind = type(self.holder.anchor).__name__
        return f"{self.name!r} of a {kind}" if self.name else f"a {kind}"

    # ---- copying and pickling: with the model ----------------------------------------------------------------------

    def __copy__(self) -> BoundVariable:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        for library, model in self.models():
            for path, holder in (library.holders(model) or {}).items():
                if _key(holder) == _key(self.holder):
                    return part_of_model, (model, path)
        if self.library.holder(self.holder.anchor) is None:
            raise TypeError(f"{self.label()} is in no model that is there, so that it cannot be copied or pickled")
        return part_of_model, (self.holder.anchor, None)

    @staticmethod
    def of(model: object, path: str | None = None) -> BoundVariable:
        """Return the Variable for a slot in a model by its path, or for an object that is such a slot."""
        found = bound_variable(model) if path is None else (bound_variables(model) or {})[path]
        assert found is not None
        return found


_variables: weakref.WeakValueDictionary[tuple[int, Any], BoundVariable] = weakref.WeakValueDictionary()
"""The Variable of each slot; a Variable keeps the slot's anchor, so that an identity stands for one object here."""


def _key(holder: Holder) -> tuple[int, Any]:
    return id(holder.anchor), holder.slot


def bind_slot(library: ModelLibrary, holder: Holder, name: str | None = None) -> BoundVariable:
    """Return the Variable of a slot, made on first use."""
    found = _variables.get(_key(holder))
    if found is None:
        made = BoundVariable(library, holder, name)
        found = _variables.setdefault(_key(holder), made)
    if found.holder is not holder:
        found.holder.merge(holder)
    return found


def bound_variable(obj: object) -> BoundVariable | None:
    """Return the Variable that a single foreign object stands for; None for anything else."""
    library = libraries.of(obj)
    holder = None if library is None else library.holder(obj)
    if library is None or holder is None:
        return None
    return bind_slot(library, holder, None)


def bound_variables(model: object) -> dict[str, BoundVariable] | None:
    """Return the Variables of all slots of a foreign model, by their paths; None for what is no such model."""
    library = libraries.of(model)
    holders = None if library is None else library.holders(model)
    if library is None or holders is None:
        return None
    found = {path: bind_slot(library, holder, path) for path, holder in holders.items()}
    for variable in found.values():
        variable.belongs_to(model)
    return found


def add_advice(error: Exception) -> None:
    """Add to an error the advice of the library of models in which the error was raised."""
    with contextlib.suppress(AnyjacError):
        library = libraries.of(error)
        advice = None if library is None else library.advice(error)
        if advice is not None and advice not in getattr(error, "__notes__", ()):
            error.add_note(advice)


def register_models(module: str, library: ModelLibrary, *, replace: bool = False) -> None:
    """Let ``grad_vars`` and `variables` take the models of a library, for this process.

    Parameters
    ----------
    module
        The top-level module in which the library's classes are defined.
    library
        What there is to know of its models.
    replace
        Whether it may take the place of one that is known already.

    Raises
    ------
    PluginError
        If `library` is no `anyjac_plugins.ModelLibrary`, or `module` has one already.

    Examples
    --------
    >>> import anyjac
    >>> from anyjac_plugins import ModelLibrary
    >>> class NoModels(ModelLibrary):
    ...     def holder(self, obj):
    ...         return None
    ...     def holders(self, obj):
    ...         return None
    >>> anyjac.register_models("my_package", NoModels())
    >>> anyjac.unregister_models("my_package")
    """
    libraries.register(module, library, replace=replace)


def unregister_models(module: str) -> None:
    """Forget what `register_models` added; an installed plugin for the same models serves again.

    Parameters
    ----------
    module
        The top-level module that was given there.

    Raises
    ------
    PluginError
        If nothing was.

    Examples
    --------
    >>> import anyjac
    >>> anyjac.unregister_models("my_package")
    Traceback (most recent call last):
    anyjac_plugins.errors.PluginError: no model library is registered for 'my_package'
    """
    libraries.unregister(module)
