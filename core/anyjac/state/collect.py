"""Finding the Variables of an object: through attributes, containers, closures and bound objects."""

from __future__ import annotations

import functools
import inspect
import sys
import types
from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any

from ..callables.wrapper import bound_to_its_class, signature_of
from .bound import bound_variable, bound_variables
from .variable import Variable

_OPAQUE = (str, bytes, bytearray, int, float, complex, type, types.ModuleType, types.CodeType, type(None))


def variables(obj: Any) -> dict[str, Variable]:
    """Collect the Variables that an object holds.

    Looks through attributes, dicts, lists, tuples, sets, nested objects, bound methods, partials, and what functions
    refer to. Each Variable is listed once, under the first path that leads to it; cycles are allowed. The parameters,
    buffers and states of a model of another library, such as a `torch.nn.Module`, are among them, under the names that
    the library gives them.

    Parameters
    ----------
    obj
        Any object: a model, a function, a container.

    Returns
    -------
    dict
        Maps paths such as ``layers[0].weight`` to Variables, in the order in which they are found; ready for
        ``grad_vars``.

    Examples
    --------
    >>> import anyjac
    >>> class Cell:
    ...     def __init__(self):
    ...         self.gate = anyjac.TrainVar(1.0)
    ...         self.states = [anyjac.Variable(0.0)]
    >>> list(anyjac.variables(Cell()))
    ['gate', 'states[0]']
    """
    found: dict[str, Variable] = {}
    listed: set[int] = set()
    for path, variable in _walk(obj, "", {}):
        if id(variable) not in listed:
            listed.add(id(variable))
            found[path] = variable
    return found


def train_vars(obj: Any) -> dict[str, Variable]:
    """Collect those Variables of an object that are trained: instances of `TrainVar`, and parameters of models.

    Parameters
    ----------
    obj
        Any object, as for `variables`.

    Returns
    -------
    dict
        Maps paths to Variables.

    Examples
    --------
    >>> import anyjac
    >>> anyjac.train_vars({"w": anyjac.TrainVar(1.0), "count": anyjac.Variable(0)})
    {"['w']": TrainVar(array(1.))}
    """
    return {path: variable for path, variable in variables(obj).items() if variable.trainable}


def _walk(obj: Any, path: str, seen: dict[int, Any], *, in_model: bool = False) -> Iterator[tuple[str, Variable]]:
    if isinstance(obj, Variable):
        yield path or "value", obj
        return
    if isinstance(obj, _OPAQUE) or id(obj) in seen:
        return
    seen[id(obj)] = obj  # and keep it, lest another that is made meanwhile has its identity
    if not in_model:
        alone = bound_variable(obj)
        if alone is not None:
            yield path or "value", alone
            return
        parts = bound_variables(obj)
        in_model = parts is not None
        for step, variable in (parts or {}).items():
            yield (step if not path else path + step if step.startswith("[") else f"{path}.{step}"), variable
    for step, child in _children(obj):
        yield from _walk(child, _extend(path, step), seen, in_model=in_model)


def _children(obj: Any) -> Iterator[tuple[str, Any]]:
    """Yield the steps that lead out of an object; a step is ``[key]`` or ``.attribute``."""
    if isinstance(obj, Mapping):
        yield from ((f"[{key!r}]", value) for key, value in obj.items())
    elif isinstance(obj, (Sequence, Set)):
        names = getattr(obj, "_fields", None)
        steps = (f".{name}" for name in names) if names else (f"[{i}]" for i in range(len(obj)))
        yield from zip(steps, obj, strict=False)
    elif isinstance(obj, functools.partial):
        yield from ((".func", obj.func), (".args", obj.args), (".keywords", obj.keywords))
    elif isinstance(obj, types.MethodType) and bound_to_its_class(obj) is not obj:
        yield ".__wrapped__", bound_to_its_class(obj).__wrapped__
    elif isinstance(obj, types.MethodType):
        yield from ((".__self__", obj.__self__), (".__func__", obj.__func__))
    elif isinstance(obj, types.FunctionType):
        yield from ((f".{name}", value) for name, value in _referred(obj).items())
    elif hasattr(obj, "__wrapped__"):
        yield ".__wrapped__", obj.__wrapped__
    if _is_users(obj):
        yield from ((f".{name}", value) for name, value in _attributes(obj).items())


def _referred(function: types.FunctionType) -> dict[str, Any]:
    """Return the closed-over and global objects that a function's code names, and its defaults."""
    try:
        names = inspect.getclosurevars(function)
    except ValueError:  # a cell that is not filled yet
        return {}
    defaults = {
        name: parameter.default
        for name, parameter in signature_of(function).parameters.items()
        if parameter.default is not inspect.Parameter.empty
    }
    return {**names.nonlocals, **names.globals, **defaults}


def _attributes(obj: Any) -> dict[str, Any]:
    slots = {
        name: getattr(obj, name)
        for cls in type(obj).__mro__
        for name in _slot_names(cls)
        if not name.startswith("__") and hasattr(obj, name)
    }
    return {**slots, **getattr(obj, "__dict__", {})}


def _slot_names(cls: type) -> tuple[str, ...]:
    slots = cls.__dict__.get("__slots__", ())
    return (slots,) if isinstance(slots, str) else tuple(slots)


def _is_users(obj: Any) -> bool:
    """Return whether an object's attributes are worth a look: not those of the standard library's own types."""
    return type(obj).__module__.partition(".")[0] not in sys.stdlib_module_names or type(obj).__module__ == "__main__"


def _extend(path: str, step: str) -> str:
    return path + step if path else step.removeprefix(".")
