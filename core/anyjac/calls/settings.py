"""The settings of a transform: checked once when it is made, then frozen."""

from __future__ import annotations

import copy
import operator
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, get_args

import numpy as np

from anyjac_plugins import Backend, Randomness
from anyjac_plugins.errors import InputTypeError, InputValueError

from ..pickles import given
from ..selection.choice import kind_of
from ..state.bound import BoundVariable, bound_variable, bound_variables
from ..state.collect import variables as variables_of
from ..state.variable import Variable
from ..trees.structure import TreeDef, flatten
from .dtypes import REAL_ALONE, OutputRule

_FLAGS: Final = ("has_aux", "return_value", "holomorphic", "allow_int", "debug_nan", "strict")
_RANDOMNESS: Final = "'error', 'different' or 'same'"


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that a transform was asked for, but its function.

    Attributes
    ----------
    variables
        The leaves of ``grad_vars``, in order; the same Variable may stand there twice.
    variables_tree
        The structure of ``grad_vars``; None where it is None or holds no Variable.
    argnums
        Positions to differentiate, as given (negative ones count from the end); empty for no argument.
    single_argument
        Whether ``argnums`` was one int, so that its Jacobian comes back bare and not in a tuple.
    models
        The value of ``grad_vars`` with the models in it, before they were resolved to their parts; None where it names
        none.
    companions
        A part of each of these models of which nothing is differentiated, and which takes part all the same.
    outputs
        Which outputs the derivative is taken of.
    """

    variables: tuple[Variable, ...]
    variables_tree: TreeDef | None
    argnums: tuple[int, ...]
    single_argument: bool
    has_aux: bool
    return_value: bool
    holomorphic: bool
    allow_int: bool
    backend: str | Backend | None
    device: Any
    chunk_size: int | None
    debug_nan: bool = False
    strict: bool = False
    models: GradVars | None = None
    companions: tuple[BoundVariable, ...] = ()
    outputs: OutputRule = REAL_ALONE

    def current(self) -> Settings:
        """Return the settings with the parts that the models in ``grad_vars`` have at present."""
        if self.models is None:
            return self
        variables, tree, companions = self.models.resolve()
        if tree == self.variables_tree and all(a is b for a, b in zip(variables, self.variables, strict=True)):
            return self
        argnums, single = (
            _default_argnums(variables) if self.models.default_argnums else (self.argnums, self.single_argument)
        )
        return replace(
            self,
            variables=variables,
            variables_tree=tree,
            argnums=argnums,
            single_argument=single,
            companions=companions,
        )

    def copied(self, memo: dict[int, Any]) -> Settings:
        """Return the settings with deep copies of the Variables and models."""
        models = self.models
        if models is not None:
            models = replace(models, leaves=copy.deepcopy(models.leaves, memo))
        variables, companions = copy.deepcopy((self.variables, self.companions), memo)
        return replace(self, variables=variables, companions=companions, models=models)

    def positions(self, passed: int) -> tuple[int, ...]:
        """Return `argnums` as positions among `passed` positional arguments.

        Raises
        ------
        InputValueError
            If one is out of range, or two name the same argument.
        """
        resolved = tuple(a + passed if a < 0 else a for a in self.argnums)
        for number, position in zip(self.argnums, resolved, strict=True):
            if not 0 <= position < passed:
                raise InputValueError(
                    f"argnums has {number}, and the function was called with {passed} positional "
                    f"argument{'' if passed == 1 else 's'}; pass by position what is to be differentiated, for keyword "
                    f"arguments are not"
                )
        if len(set(resolved)) < len(resolved):
            raise InputValueError(f"argnums={self.argnums} names an argument twice in a call with {passed}")
        return resolved

    def variable_label(self, index: int) -> str:
        """Return where in ``grad_vars`` a Variable stands, for messages."""
        assert self.variables_tree is not None
        name = self.variables[index].name
        return f"grad_vars{self.variables_tree.paths()[index]}" + (f" ({name!r})" if name else "")

    def options(self) -> dict[str, Any]:
        """Return the options that make these settings, where they differ from the defaults."""
        options: dict[str, Any] = {}
        if self.models is not None:
            options["grad_vars"] = self.models.tree.unflatten(self.models.leaves)
        elif self.variables_tree is not None:
            options["grad_vars"] = self.variables_tree.unflatten(self.variables)
        if not self._has_default_argnums():
            options["argnums"] = self.argnums[0] if self.single_argument else self.argnums
        options.update((flag, True) for flag in _FLAGS if getattr(self, flag))
        return options | given(backend=self.backend, device=self.device, chunk_size=self.chunk_size)

    def _has_default_argnums(self) -> bool:
        if self.models is not None:
            return self.models.default_argnums
        return (self.argnums, self.single_argument) == _default_argnums(self.variables)

    def describe(self) -> str:
        """Return the settings that differ from the defaults, as they would be written."""
        shown: dict[str, str] = {}
        if self.variables_tree is not None:
            shown["grad_vars"] = repr(self.variables_tree.unflatten([_Description(v) for v in self.variables]))
        if self.argnums and (self.argnums != (0,) or not self.single_argument or self.variables_tree is not None):
            shown["argnums"] = str(self.argnums[0] if self.single_argument else self.argnums)
        shown.update((flag, "True") for flag in _FLAGS if getattr(self, flag))
        options = ("backend", "device", "chunk_size")
        shown.update((name, repr(getattr(self, name))) for name in options if getattr(self, name) is not None)
        return "".join(f", {name}={text}" for name, text in shown.items())


@dataclass(frozen=True, slots=True)
class GradVars:
    """The value of ``grad_vars`` where models stand in it, whose parts may be replaced by others.

    Attributes
    ----------
    leaves, tree
        The leaves of ``grad_vars``, models among them, and its structure.
    default_argnums
        Whether ``argnums`` was left out, so that it goes by whether there are Variables.
    """

    leaves: tuple[Any, ...]
    tree: TreeDef
    default_argnums: bool

    def resolve(self) -> tuple[tuple[Variable, ...], TreeDef | None, tuple[BoundVariable, ...]]:
        """Return the Variables, their structure, and a part of each model of which none is differentiated."""
        companions: list[BoundVariable] = []
        leaves, tree = flatten(_resolve(self.leaves, self.tree, "", companions))
        return tuple(leaves), tree if leaves else None, tuple(companions)


class _Description:
    """A Variable as it stands in a transform's repr: its name, not its value."""

    def __init__(self, variable: Variable):
        self._text = variable.name or type(variable).__name__

    def __repr__(self) -> str:
        return f"<{self._text}>"


def make_settings(
    *,
    grad_vars: Any,
    argnums: int | Sequence[int] | None,
    has_aux: bool | None,
    return_value: bool = False,
    holomorphic: bool,
    allow_int: bool = False,
    backend: str | Backend | None,
    device: Any,
    chunk_size: int | None = None,
    debug_nan: bool = False,
    strict: bool = False,
    outputs: OutputRule = REAL_ALONE,
) -> Settings:
    """Check the options of a transform and freeze them; each default is for transforms that lack the option.

    Raises
    ------
    InputTypeError, InputValueError
        Naming the value and the argument.
    """
    leaves, tree = flatten(grad_vars)
    models = None
    variables: tuple[Variable, ...] = tuple(leaves)
    variables_tree = tree if leaves else None
    companions: tuple[BoundVariable, ...] = ()
    if not all(isinstance(leaf, Variable) for leaf in leaves):
        models = GradVars(tuple(leaves), tree, argnums is None)
        variables, variables_tree, companions = models.resolve()
    positions, single = _default_argnums(variables) if argnums is None else _check_argnums(argnums)
    return Settings(
        variables=variables,
        variables_tree=variables_tree,
        argnums=positions,
        single_argument=single,
        has_aux=_check_flag("has_aux", False if has_aux is None else has_aux),
        return_value=_check_flag("return_value", return_value),
        holomorphic=_check_flag("holomorphic", holomorphic),
        allow_int=_check_flag("allow_int", allow_int),
        backend=check_backend(backend),
        device=device,
        chunk_size=check_chunk_size(chunk_size),
        debug_nan=_check_flag("debug_nan", debug_nan),
        strict=_check_flag("strict", strict),
        models=models,
        companions=companions,
        outputs=outputs,
    )


def _resolve(leaves: Sequence[Any], tree: TreeDef, path: str, companions: list[BoundVariable]) -> Any:
    """Return a tree with Variables in the place of all that stands for them, and add companions of these."""
    models = [None if isinstance(leaf, Variable) else bound_variables(leaf) for leaf in leaves]  # before their parts
    found = zip(leaves, models, tree.paths(), strict=True)
    return tree.unflatten([_as_variables(leaf, model, path + step, companions) for leaf, model, step in found])


def _as_variables(leaf: Any, model: dict[str, BoundVariable] | None, path: str, companions: list[BoundVariable]) -> Any:
    """Return the Variable that something in ``grad_vars`` stands for, or those of a whole model by their paths.

    A mapping that is no dict, such as libraries collect states in, becomes one.
    """
    if isinstance(leaf, Variable):
        return leaf
    if model is not None:
        found = {path: variable for path, variable in model.items() if variable.trainable}
        companions += [] if found else list(model.values())[:1]
        return found
    variable = bound_variable(leaf)
    if variable is not None:
        return variable
    if isinstance(leaf, Mapping):
        leaves, tree = flatten(dict(leaf))
        return _resolve(leaves, tree, path, companions)
    raise InputTypeError(f"grad_vars{path} is {_short(leaf)}, not a Variable; {_mend(leaf)}")


def _mend(leaf: Any) -> str:
    """Return what to write in ``grad_vars`` in the place of something that is no Variable."""
    if is_int(leaf):
        return f"for the position of an argument write argnums={leaf}"
    if isinstance(leaf, Iterator):
        mend = "make it a list"
    elif kind_of(leaf) is None and (held := variables_of(leaf)):
        function = "train_vars" if any(variable.trainable for variable in held.values()) else "variables"
        mend = f"give the Variables that it holds, which anyjac.{function} collects"
    else:
        mend = "wrap it in anyjac.Variable"
    return f"{mend}, or differentiate an argument with argnums"


def _default_argnums(variables: Sequence[Variable]) -> tuple[tuple[int, ...], bool]:
    return ((), False) if variables else ((0,), True)


def _check_argnums(argnums: Any) -> tuple[tuple[int, ...], bool]:
    if is_int(argnums):
        return (operator.index(argnums),), True
    if isinstance(argnums, np.ndarray) and argnums.ndim == 1:
        argnums = list(argnums)
    if isinstance(argnums, (str, bytes)) or not isinstance(argnums, Sequence):
        raise InputTypeError(f"argnums must be an int or a sequence of ints, not {_short(argnums)}")
    for index, item in enumerate(argnums):
        if not is_int(item):
            raise InputTypeError(f"argnums[{index}] must be an int, not {_short(item)}")
    positions = tuple(operator.index(item) for item in argnums)
    if not positions:
        raise InputValueError("argnums is empty; name at least one argument, or leave argnums out")
    if len(set(positions)) < len(positions):
        raise InputValueError(f"argnums={positions} names an argument twice")
    return positions, False


def is_int(value: Any) -> bool:
    """Return whether a setting is an integer, and no bool."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _check_flag(name: str, value: Any) -> bool:
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    raise InputTypeError(f"{name} must be True or False, not {_short(value)}")


def check_backend(backend: Any) -> str | Backend | None:
    """Return what was given for ``backend``; an InputTypeError for what names none."""
    if backend is None or isinstance(backend, (str, Backend)):
        return backend
    raise InputTypeError(f"backend must be a name or a Backend, not {_short(backend)}")


def check_chunk_size(chunk_size: Any) -> int | None:
    """Return what was given for ``chunk_size``; an error for what is no number of rows."""
    if chunk_size is None:
        return None
    if not is_int(chunk_size):
        raise InputTypeError(f"chunk_size must be a positive int or None, not {_short(chunk_size)}")
    if chunk_size < 1:
        raise InputValueError(f"chunk_size must be a positive int or None, not {chunk_size}")
    return operator.index(chunk_size)


def check_randomness(randomness: Any) -> Randomness:
    """Return what was given for ``randomness``; an error for what is none of its three words."""
    if not isinstance(randomness, str):
        raise InputTypeError(f"randomness must be {_RANDOMNESS}, not {_short(randomness)}")
    for known in get_args(Randomness):
        if randomness == known:
            word: Randomness = known
            return word
    raise InputValueError(f"randomness must be {_RANDOMNESS}, not {randomness!r}")


def _short(value: object) -> str:
    text = repr(value)
    text = text if len(text) <= 60 else text[:57] + "..."
    return f"{text} (of type {type(value).__qualname__})"
