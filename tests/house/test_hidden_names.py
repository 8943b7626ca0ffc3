"""No file uses the hidden names of another: a name with an underscore belongs to the file that defines it.

``ALLOWED`` lists those for which there is no public way, most of them frameworks' own, file by file and with the
reason. An entry that no longer occurs fails as well, so that the table shrinks.
"""

import ast
from collections import defaultdict
from collections.abc import Iterator

import pytest
from tests.helpers.listed_names import assert_listed_alone
from tests.helpers.repository import ROOT

FOLDERS = ("core", "plugins", "backends", "conformance", "benchmarks", "tests")
PUBLIC = {"_asdict", "_current_frames", "_fields", "_getframe", "_make", "_replace", "_repr_html_"}
"""Named tuples, notebooks and the module `sys` document these."""

AUTOGRAD = "autograd has no public names for what its boxes hold, and for what its wrappers wrap"
BRAINSTATE = "a state of brainstate says by these alone what it holds, and in which trace it was made"
FLAX = "an object of NNX says by these alone what it is made of, and in which trace"
JAX = "a tracer of JAX says by this alone whose it is"
MARK = "a mark of our own on a tensor, which another differentiation reads in the same file"
MODULE = "a module holds its tensors in these dicts, which are read and written in place in each call"
OPERATOR = "read in this file alone, for each operator that runs: a function around it would take longer than itself"
PYTHON = "a lock says by this alone whether this thread holds it"
PYTORCH = "PyTorch has no public operator for it"
INHERITED = "a subclass in another file uses what its base keeps for subclasses"
USERS = "users and libraries call these operators of PyTorch by their names; which way was taken shows nowhere else"
WAY = "which way was taken shows nowhere else"

GATHERED = "private.py"
"""The file of a backend in which its framework's hidden names are gathered, see test_private_names."""

ALLOWED: dict[str, tuple[str, str]] = {
    "core/anyjac/derivatives/transform.py": ("_of_class _refuse_without_class", INHERITED),
    "core/anyjac/programs/jit.py": ("_of_class", INHERITED),
    "core/anyjac/programs/vmap.py": ("_of_class", INHERITED),
    "core/anyjac/state/bound.py": ("_type_of", INHERITED),
    "plugins/anyjac_plugins/environment.py": ("_data", "the environment says quickly by this alone what is unset"),
    "plugins/anyjac_plugins/locking.py": ("_is_owned", PYTHON),
    "backends/anyjac_autograd/batched.py": ("_node _trace _value", AUTOGRAD),
    "backends/anyjac_autograd/checkpoints.py": ("_node _value", AUTOGRAD),
    "backends/anyjac_autograd/forward.py": ("_node _trace", AUTOGRAD),
    "backends/anyjac_autograd/linear_maps.py": ("_node _trace _value", AUTOGRAD),
    "backends/anyjac_autograd/rules/dense.py": (
        "_array_from_scalar_or_array _astype _primitive_mean _primitive_std _primitive_var",
        AUTOGRAD,
    ),
    "backends/anyjac_autograd/rules/rows.py": ("_map _subval", AUTOGRAD),
    "backends/anyjac_autograd/rules/shortcuts.py": ("_array_from_scalar_or_array", AUTOGRAD),
    "backends/anyjac_autograd/rules/sparse.py": ("_astype", AUTOGRAD),
    "backends/anyjac_autograd/tracing.py": ("_trace", AUTOGRAD),
    "backends/anyjac_jax/models/brainstate.py": (
        "_invalidate_trace_value _state _trace_state _value _write_value",
        BRAINSTATE,
    ),
    "backends/anyjac_jax/models/nnx_objects.py": (
        "_pytree__has_int_keys _pytree__is_pytree _trace_state _var_metadata",
        FLAX,
    ),
    "backends/anyjac_jax/models/traces.py": ("_trace", JAX),
    "backends/anyjac_jax/programs.py": ("_trace", JAX),
    "backends/anyjac_torch/forward.py": ("_is_owned", PYTHON),
    "backends/anyjac_torch/jit.py": ("_is_owned", PYTHON),
    "backends/anyjac_torch/linear_maps.py": ("_anyjac_depth", MARK),
    "backends/anyjac_torch/models/modules.py": ("_buffers _parameters", MODULE),
    "backends/anyjac_torch/writes.py": ("_cdata _schema", OPERATOR),
    "conformance/anyjac_conformance/pytest_plugin.py": (
        "_arg2fixturedefs",
        "whose fixture a test asks for is known to pytest alone",
    ),
    "tests/backends/test_autograd_paths.py": ("_DENSE_LIMIT _NOT_FOR_BATCHES _one_by_one _together", WAY),
    "tests/backends/test_code_generation.py": ("_said", "a warning that comes once has to come again in each test"),
    "tests/backends/test_forward.py": ("_C _current_level _transposed", WAY),
    "tests/backends/test_torch_operators.py": ("_internal", "PyTorch lists its operators for its own tests alone"),
    "tests/backends/test_torch_paths.py": ("_C _foreach_mul_ _pytree", USERS),
    "tests/core/test_jit.py": ("_foreach_add_ _foreach_addcmul_ _inductor _of_instances", USERS),
    "tests/core/test_rows.py": ("_source", "what rows keep until their end shows nowhere else"),
    "tests/models/test_nnx.py": ("_pytree__state _trace_state _var_metadata", FLAX),
    "tests/models/test_torch_modules.py": (
        "_cache _flat_weights _foreach_mul_ _get_current_function_mode_stack _version",
        PYTORCH,
    ),
    "tests/reliability/test_interrupts.py": (
        "_trace_state",
        "where an interrupt strikes, and what it leaves in a module, shows nowhere else",
    ),
}
"""For each file, the hidden names of others that stand there, and why there is no public way."""


def is_hidden(name: str) -> bool:
    """Return whether the underscore of a name says that the name is nobody else's."""
    return name.startswith("_") and not name.endswith("__") and name != "_" and name not in PUBLIC


def defined_in(tree: ast.AST) -> set[str]:
    """Return the attributes that a file defines: in the body of a class, in its slots, or on `self` and `cls`."""
    found: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id="self" | "cls"), attr=name, ctx=ast.Store()):
                found.add(name)
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id="object"), attr="__setattr__"),
                args=[ast.Name(id="self"), ast.Constant(value=str(name)), *_],
            ):
                found.add(name)
            case ast.ClassDef(body=body):
                for statement in body:
                    found |= _defined_by(statement)
    return found


def _defined_by(statement: ast.stmt) -> set[str]:
    """Return the attributes that one statement in the body of a class defines."""
    match statement:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return {name}
        case ast.AnnAssign(target=ast.Name(id=name)):
            return {name}
        case ast.Assign(targets=[ast.Name(id="__slots__")], value=value):
            return {node.value for node in ast.walk(value) if isinstance(node, ast.Constant)}
        case ast.Assign(targets=targets):
            return {target.id for target in targets if isinstance(target, ast.Name)}
        case _:
            return set()


def hidden_names(text: str) -> Iterator[tuple[int, str]]:
    """Yield the line and the name of whatever hidden name of another file the text of a file uses."""
    tree = ast.parse(text)
    own = defined_in(tree)
    for node in ast.walk(tree):
        for name in _named_in(node):
            if is_hidden(name) and name not in own:
                yield node.lineno, name


def _named_in(node: ast.AST) -> list[str]:
    """Return the names by which one node reaches into other modules and objects.

    What lies behind a hidden name is no further offence: neither the names that come out of a hidden module, nor the
    attributes of a hidden object.
    """
    match node:
        case ast.Import(names=names):
            return [part for alias in names for part in alias.name.split(".")]
        case ast.ImportFrom(module=module, names=names):
            parts = (module or "").split(".")
            return parts if any(map(is_hidden, parts)) else [alias.name for alias in names]
        case ast.Attribute(attr=name, value=value):
            inner = [part.attr for part in ast.walk(value) if isinstance(part, ast.Attribute)]
            return [] if any(map(is_hidden, inner)) else [name]
        case ast.Call(
            func=ast.Name(id="getattr" | "hasattr" | "setattr" | "delattr") | ast.Attribute(attr="setattr" | "delattr"),
            args=args,
        ):
            texts = [arg.value for arg in args[:2] if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
            return [part for text in texts for part in text.split(".")]
        case _:
            return []


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_file_reaches_into_the_hidden_names_of_another(folder: str) -> None:
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for path in sorted((ROOT / folder).rglob("*.py")):
        if path.name == GATHERED:
            continue
        for line, name in hidden_names(path.read_text()):
            found[path.relative_to(ROOT).as_posix()].setdefault(name, line)
    assert_listed_alone(found, ALLOWED, folder, "names that belong to other files:")


@pytest.mark.parametrize(
    "text",
    [
        "from .other import _helper",
        "import other._inner",
        "from other._inner import name",
        "def f(other): return other._value",
        "def f(other): other._value = 1",
        "def f(other): return getattr(other, '_value', None)",
        "def f(patch, other): patch.setattr(other, '_value', 1)",
        "def f(patch): patch.setattr('other._inner.value', 1)",
        "def _value(): ...\ndef f(other): return other._value",
        "class Sub(Base):\n    def f(self): return self._value",
    ],
)
def test_a_hidden_name_of_another_is_found(text: str) -> None:
    assert {name for _, name in hidden_names(text)} < {"_helper", "_inner", "_value"}
    assert list(hidden_names(text)) != []


@pytest.mark.parametrize(
    "text",
    [
        "from other import helper as _helper",
        "import other.inner as _inner",
        "class A:\n    def __init__(self): self._value = 1\n\ndef f(other): return other._value",
        "class A:\n    __slots__ = ('_value',)\n    def f(self): return self._value",
        "class A:\n    _value: int\n    def f(self): return self._value",
        "class A:\n    _value = 1\n    def f(self): return self._value",
        "class A:\n    def _value(self): ...\n    def f(self): return self._value()",
        "class A:\n    def __init__(self): object.__setattr__(self, '_value', 1)\n    def f(self): return self._value",
        "def f(point): return point._fields, point.__dict__",
    ],
)
def test_a_name_that_a_file_defines_or_that_is_documented_is_not(text: str) -> None:
    assert list(hidden_names(text)) == []
