"""Models of other libraries: the interface to a library whose parameters and states are to be differentiated.

A `ModelLibrary` finds the slots of a model that hold arrays, each as a `Holder`; the core makes Variables of them.
Knows nothing of Variables, nor of how plugins are found.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Protocol


class Holder(ABC):
    """One slot outside anyjac that holds an array, or a pytree of arrays: a parameter, a buffer, a state.

    While a function runs in a transform, the slot holds what the transform gives it, so that the model's own code
    computes with that; afterwards the very object is put back that was there before.

    Attributes
    ----------
    anchor, slot
        What the slot is: two holders with the same object as `anchor` and an equal `slot` are one Variable.
    backend
        Name of the backend whose arrays the model's code computes with.

    Examples
    --------
    >>> from anyjac_plugins import Holder
    >>> class Weight(Holder):
    ...     backend = "numpy"
    ...     def __init__(self, layer):
    ...         self.anchor = layer
    ...     def content(self):
    ...         return self.anchor.weight
    ...     def put(self, content):
    ...         self.anchor.weight = content
    """

    anchor: object
    slot: Hashable = None
    backend: str

    @property
    def trainable(self) -> bool:
        """Whether `anyjac.train_vars` collects it; True by default."""
        return True

    @abstractmethod
    def content(self) -> Any:
        """Return the very object that the slot holds now."""

    @abstractmethod
    def put(self, content: Any) -> None:
        """Let the slot hold `content`, traced or not, whatever checks the library makes of users' writes."""

    def announce(self, *, running: bool) -> None:  # noqa: B027 - optional
        """Let transformations of the library that run around a call know that the call is about to read the slot.

        `running` says whether the function of the call runs already, so that those within it are not meant.
        """

    def value(self, content: Any) -> Any:
        """Return the array, or the pytree of arrays, in a content, linked to no graph; by default the content."""
        return content

    def stored(self, content: Any, value: Any) -> Any:
        """Write an untraced `value` for good, where `content` was held, and return what the slot is to hold now.

        The default is to hold the value. Override it where `content` is an object that others refer to.
        """
        return value

    def kept(self, content: Any) -> Any:
        """Return what `stored` can bring `content` back from, should a write to several slots be interrupted."""
        return self.value(content)

    def has_moved(self, content: Any, kept: Any) -> bool:
        """Return whether a content has changed since `kept` was taken of it, when the function had run.

        Asked where the call comes to nothing afterwards. False by default: a framework that runs parts of the function
        again to differentiate it, outside of what the function is shown, may have written it.
        """
        return False

    def takes(self, traced: Any) -> bool:
        """Return whether a traced value may be stored, as a transformation of the library around the call expects it.

        False by default: what a slot holds after a call is no tracer.
        """
        return False

    def merge(self, other: Holder) -> None:  # noqa: B027 - optional
        """Learn from another holder of the same slot, which may know more of where else its content stands."""


class Adopt(Protocol):
    """Makes a slot that a library discovers part of the call."""

    def __call__(self, holder: Holder, *, created: bool = False) -> bool:
        """Show a slot before the function reads or writes it, or when the function has `created` it.

        Returns False for what cannot be part of a call, since it holds something besides arrays and numbers.
        """
        ...


class Session:
    """The time in which a function sees the values of a call in its model. The default only puts them into the slots.

    Whatever happens, anyjac puts the content of every slot back, and then calls `end`, perhaps twice, perhaps without
    any call before.
    """

    def begin(self, adopt: Adopt) -> None:
        """Begin to look out for slots that nobody named; called where the library `discovers` them."""

    def attach(self, model: object) -> None:
        """Take note of a model of which some slot is about to be shown."""

    def show(self, holder: Holder, value: Any) -> None:
        """Let the model's code see `value`."""
        holder.put(value)

    def wrote(self, holder: Holder, before: Any, value: Any) -> bool:
        """Return whether `value`, a copy of `before`, was written in place in a way that the backend misses."""
        return False

    def check(self, outputs: list[Any]) -> None:
        """Refuse outputs that were not computed from what was shown.

        Raises
        ------
        AnyjacError
            Naming the slot.
        """

    def end(self) -> str | None:
        """End the session, and name a deed of the function that cannot be committed; None where there is none."""
        return None


class ModelLibrary(ABC):
    """A library of models.

    Attributes
    ----------
    interface_version
        The version of this interface that the plugin was written for, as a number. An installed plugin that names none
        was written for version 1, before there were others; a library that is registered at run time need not name it.
    discovers
        Name of the backend in whose calls a session of this library finds by itself which slots a function uses, so
        that they need not be named; None, the default, where there is no way to.

    Examples
    --------
    >>> from anyjac_plugins import ModelLibrary
    >>> class Layers(ModelLibrary):
    ...     def holder(self, obj):
    ...         return None
    ...     def holders(self, obj):
    ...         return {"weight": Weight(obj)} if hasattr(obj, "weight") else None
    """

    interface_version: int | None = None
    discovers: str | None = None

    @abstractmethod
    def holder(self, obj: object) -> Holder | None:
        """Return the holder that a single object stands for, such as a parameter; None for anything else."""

    @abstractmethod
    def holders(self, obj: object) -> Mapping[str, Holder] | None:
        """Return all slots of a model by their paths, each once; None for what is no model.

        The order is the one in which concurrent calls wait for them.
        """

    def objects(self, model: object) -> Sequence[object]:
        """Return the objects, besides the slots of a model, that a session changes: one call at a time may use each.

        The default is that there are none.
        """
        return ()

    def holds_back(self, leaf: object, container: object) -> bool:
        """Return whether a leaf of a model that is given as an argument is no parameter of it.

        Asked where the model is a pytree that the backend's framework knows, `container` being that in which the leaf
        was found. Such a leaf reaches the function as it is, and None stands in its place in the derivative. The
        default holds back nothing; leaves that are neither arrays nor numbers are held back anyway.
        """
        return False

    def advice(self, error: Exception) -> str | None:
        """Return what to do about an error of the library's own class that a function raised; None by default."""
        return None

    def session(self) -> Session:
        """Return what puts values into slots while a function runs."""
        return Session()
