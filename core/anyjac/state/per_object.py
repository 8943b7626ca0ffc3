"""A store that keeps one value for each of some objects, for as long as the object lives."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any, Generic, TypeVar

Value = TypeVar("Value")


class PerObject(Generic[Value]):
    """Values by the identity of objects, which need be neither hashable nor comparable, and are not kept alive.

    Examples
    --------
    >>> from anyjac.state.per_object import PerObject
    >>> class Model: ...
    >>> model, store = Model(), PerObject()
    >>> store.of(model, lambda find: []) is store.of(model, lambda find: [])
    True
    >>> del model
    >>> len(store)
    0
    """

    def __init__(self) -> None:
        self._values: dict[int, tuple[weakref.ref[Any], Value]] = {}

    def of(self, instance: object, make: Callable[[Callable[[], Any]], Value]) -> Value:
        """Return the value of an object, made on first use.

        `make` is given a function that finds the object again without keeping it alive. An object that knows no weak
        references is kept alive by its value, and has a new one each time.
        """
        found = self._values.get(id(instance))
        if found is not None and found[0]() is instance:
            return found[1]
        key, values = id(instance), self._values
        try:
            reference = weakref.ref(instance, lambda _: values.pop(key, None))
        except TypeError:
            return make(lambda: instance)
        values[key] = made = (reference, make(reference))
        return made[1]

    def __len__(self) -> int:
        return len(self._values)
