"""The interface of backends: the seven required members first, two ways to rows, and what an older plugin is told."""

import inspect
import pydoc
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from anyjac_minimal.backend import MinimalBackend
from fakes import Site

import anyjac
import anyjac_plugins
from anyjac import InputValueError, PluginError
from anyjac_conformance import check_backend, select
from anyjac_plugins import (
    INTERFACE_VERSION,
    Backend,
    BackendRegistry,
    FlatFunction,
    FlatUserFunction,
    FrameworkTransforms,
    FunctionRun,
    LinearMapCall,
    OutputRows,
    Paths,
    StageableFunction,
)
from anyjac_plugins.failed_functions import code_of, origin_of

REQUIRED = {"namespace", "is_array", "asarray", "devices", "device_of", "vjp"}
PARTS = [base for base in Backend.__mro__ if base.__module__.startswith("anyjac_plugins.") and base is not Backend]


# ---- what an author reads ------------------------------------------------------------------------------------------


def test_help_shows_the_required_members_first() -> None:
    assert Backend.__abstractmethods__ == REQUIRED
    assert {name for name, member in vars(Backend).items() if callable(member) and name[0] != "_"} < REQUIRED
    shown = pydoc.plain(pydoc.render_doc(Backend))
    first = {name: shown.index(f" {name}", shown.index("Methods defined here")) for name in REQUIRED}
    assert max(first.values()) < shown.index("Methods inherited from")


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.__name__)
def test_a_part_is_one_page_whose_table_has_its_members(part: type) -> None:
    module = inspect.getmodule(part)
    assert module is not None
    assert len(inspect.getsource(module).splitlines()) < 220
    members = {name for name in vars(part) if not name.startswith("_")}
    if part.__name__ != "RequiredMembers":
        assert {name for name in members if f"``{name}``" in (module.__doc__ or "")} == members


def test_the_core_s_own_transforms_and_the_paths_are_no_members() -> None:
    gone = {"grad", "compile", "vmap", "paths", "forced_path", "pullback_blocks", "pullback_identity", "identity_rows"}
    assert not gone & set(dir(Backend))


# ---- rows ----------------------------------------------------------------------------------------------------------


class Spying(MinimalBackend):
    """A backend that notes which rows it is asked for."""

    name = "spying"

    def __init__(self) -> None:
        self.asked: list[tuple[int, int] | None] = []

    def output_rows(self, wanted: OutputRows) -> list[Any]:
        self.asked.append(wanted.span)
        return super().output_rows(wanted)


def _wanted(backend: Backend, **options: Any) -> OutputRows:
    primals = [np.array([[1.0, 2.0]]), np.array(3.0)]
    outputs, pullback, _ = backend.vjp(lambda x, k: ([x * 2.0, x * k], []), primals)
    return OutputRows(pullback, outputs, 1, primals, **options)


def test_all_rows_of_an_output_are_its_blocks_and_come_in_spans() -> None:
    backend = Spying()
    by_x, by_k = backend.output_rows(_wanted(backend, chunk_size=1))
    assert by_x.tolist() == [[[[3.0, 0.0]], [[0.0, 3.0]]]]
    assert by_k.tolist() == [[1.0, 2.0]]
    assert backend.asked == [None, (0, 1), (1, 2)]


def test_a_span_is_computed_at_once_and_has_one_leading_axis() -> None:
    wanted = _wanted(Spying(), chunk_size=1, span=(1, 2))
    assert wanted.shape == (1,)
    assert wanted.output.tolist() == [[3.0, 6.0]]
    by_x, by_k = Spying().output_rows(wanted)
    assert (by_x.tolist(), by_k.tolist()) == ([[[0.0, 3.0]]], [2.0])


@pytest.mark.parametrize("name", ["autograd", "jax", "torch"])
@pytest.mark.parametrize("span", [None, (0, 2), (1, 3)])
def test_every_backend_gives_the_shapes_that_are_promised(name: str, span: tuple[int, int] | None) -> None:
    backend = anyjac.get_backend(name)
    primals = [backend.asarray(np.array([1.0, 2.0, 3.0])), backend.asarray(np.array(2.0))]
    outputs, pullback, _ = backend.vjp(lambda x, k: ([x * x], []), primals)
    wanted = OutputRows(pullback, outputs, 0, primals, span=span)
    by_x, by_k = backend.output_rows(wanted)
    rows = np.diag([2.0, 4.0, 6.0])[slice(*span) if span else slice(None)]
    np.testing.assert_allclose(backend.to_numpy(by_x), rows)
    assert tuple(by_k.shape) == wanted.shape
    assert not backend.to_numpy(by_k).any()


# ---- functions -----------------------------------------------------------------------------------------------------


class Watching(MinimalBackend):
    """A backend that keeps the functions it is given."""

    name = "watching"

    def __init__(self) -> None:
        self.given: list[Any] = []

    def vjp(self, fun: FlatFunction, primals: Any) -> Any:
        self.given.append(fun)
        return super().vjp(fun, primals)

    def stage(self, fun: StageableFunction) -> Any:
        self.given.append(fun)
        return fun


def square(x: Any) -> Any:
    return x * x


def test_a_flat_function_knows_the_user_s_and_a_plain_one_stands_for_itself() -> None:
    backend = Watching()
    anyjac.grad(square, backend=backend)(3.0)
    given: FlatUserFunction = backend.given[0]
    assert given.origin is origin_of(given) is square
    assert origin_of(square) is square
    assert code_of(given) == code_of(square) == square.__code__


def test_a_staged_function_can_be_run_as_it_is(register: Callable[..., None]) -> None:
    backend = Watching()
    backend.capabilities = frozenset({"jit"})
    register(backend)
    assert anyjac.jit(square, backend="watching")(np.array(3.0)) == 9.0
    (staged,) = [fun for fun in backend.given if hasattr(fun, "as_it_is")]
    assert callable(staged.as_it_is)


class Asked(MinimalBackend):
    """A backend that notes the questions about numbers that are not finite."""

    name = "asked"

    def __init__(self) -> None:
        self.computations: list[FunctionRun | LinearMapCall] = []

    def find_nonfinite(self, computation: Any, *, number: int, index: tuple[int, ...], nan: bool) -> str:
        self.computations.append(computation)
        return f"operator {number} {index} {nan}"


def nowhere(x: Any) -> Any:
    return x * np.array([1.0, np.inf])


def test_one_member_is_asked_of_runs_and_of_linear_maps() -> None:
    backend = Asked()
    x = np.array([1.0, 2.0])
    with np.errstate(all="ignore"), pytest.raises(anyjac.NonFiniteError, match=r"operator 0 \(1,\) False"):
        anyjac.jacrev(nowhere, backend=backend, debug_nan=True)(x)
    (run,) = backend.computations
    assert isinstance(run, FunctionRun)
    assert (run.cotangents, run.tangents, len(run.primals)) == (None, None, 1)

    def steep(x: Any) -> Any:
        return x ** np.array([0.5, 1.0])

    backend.computations.clear()
    pullback = anyjac.vjp(steep, backend=backend, debug_nan=True)(np.array([0.0, 2.0]))
    with np.errstate(all="ignore"), pytest.raises(anyjac.NonFiniteError, match=r"operator 0 \(0,\)"):
        pullback(np.array([1.0, 1.0]))
    (call,) = backend.computations
    assert isinstance(call, LinearMapCall)
    assert [vector.tolist() for vector in call.vectors] == [[1.0, 1.0]]


# ---- the framework's own transforms --------------------------------------------------------------------------------


class Boasting(MinimalBackend):
    """A backend that declares the framework's own gradient and offers none."""

    name = "boasting"
    capabilities = frozenset({"grad", "nested"})


def test_a_transform_that_is_declared_and_not_offered_is_named_by_the_suite() -> None:
    meant = select(["composition/native-grad"])
    results = check_backend(Boasting(), scenarios=meant, on_fail="collect")
    assert len(results) == len(meant) > 1
    said = "declares 'grad' and does not offer .* FrameworkTransforms(grad=...) on Boasting"
    for result in results:
        assert all(part in result.faults[0] for part in said.split(" .* ")), result.faults


def test_one_that_is_neither_declared_nor_offered_is_refused_as_documented() -> None:
    results = check_backend(MinimalBackend(), scenarios=select(["composition/native-vmap"]))
    assert {result.status for result in results} == {"not declared"}


def test_own_backends_offer_what_they_declare() -> None:
    fields = {"grad": "grad", "jit": "compile", "vmap": "vmap"}
    for name in ("autograd", "jax", "torch"):
        backend = anyjac.get_backend(name)
        offered = {capability for capability, field in fields.items() if getattr(backend.framework_transforms, field)}
        assert offered == backend.capabilities & fields.keys()
    assert Backend.framework_transforms == FrameworkTransforms()


# ---- paths ---------------------------------------------------------------------------------------------------------


def test_a_path_is_forced_by_the_environment_or_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANYJAC_FORCE_PATH", "mine=loop")
    paths = Paths("mine", "batched", "loop")
    assert paths.forced == "loop"
    paths.force("batched")
    assert paths.forced == "batched"
    paths.force(None)
    assert paths.forced is None
    with pytest.raises(InputValueError, match="'mine' has no path 'lop'; it has batched, loop"):
        paths.force("lop")


# ---- plugins of an earlier version ---------------------------------------------------------------------------------

OVERRIDES = {
    # member of version 1     what the author is told
    "pullback_blocks": "pullback_blocks -> output_rows",
    "pullback_identity": "pullback_identity -> output_rows",
    "identity_rows": "identity_rows -> seeds",
    "find_nonfinite_in_map": "find_nonfinite_in_map -> find_nonfinite",
    "grad": "grad -> framework_transforms",
    "compile": "compile -> framework_transforms",
    "vmap": "vmap -> framework_transforms",
    "paths": "paths -> Paths",
    "forced_path": "forced_path -> Paths",
}


@pytest.mark.parametrize("member", OVERRIDES)
def test_a_member_that_is_gone_is_refused_by_name_wherever_it_stands(member: str) -> None:
    base = type("Base", (), {member: lambda self: None})
    old = type("Old", (base, MinimalBackend), {})
    with pytest.raises(PluginError) as raised:
        anyjac.register_backend(old())
    message = str(raised.value)
    assert message.startswith(f"backend 'minimal' overrides members that are gone from interface version {2}")
    assert OVERRIDES[member] in message
    assert message.endswith("see 'Coming from version 1' in docs/write-a-backend.rst")


def test_find_nonfinite_with_the_arguments_of_version_1_is_refused() -> None:
    class Old(MinimalBackend):
        def find_nonfinite(self, fun: Any, primals: Any, **question: Any) -> str | None:  # type: ignore[override]
            return None

    with pytest.raises(PluginError, match=r"find_nonfinite\(fun, primals\) -> find_nonfinite\(computation\)"):
        anyjac.register_backend(Old())


def test_paths_of_the_present_kind_are_no_member_that_is_gone(register: Callable[..., None]) -> None:
    class Several(MinimalBackend):
        name = "several"
        paths = Paths("several", "loop")

    register(Several())
    assert anyjac.get_backend("several").paths.names == ("loop",)  # type: ignore[attr-defined]


OLD = """
@hookimpl
def anyjac_backend():
    return BackendSpec(name={name!r}, factory=int{version})
"""


@pytest.mark.parametrize("version", ["", ", interface_version=1"], ids=["not stated", "stated"])
def test_a_plugin_of_version_1_is_told_what_has_moved_where(site: Site, version: str) -> None:
    site.add("old", OLD.format(name="old", version=version))
    error = BackendRegistry().info("old").error
    assert error is not None
    assert error.startswith("plugin 'old' (fake_old) is written for interface version 1, this anyjac speaks version 2;")
    for moved in ("pullback_blocks, pullback_identity -> output_rows", "grad, compile, vmap -> framework_transforms"):
        assert moved in error
    assert error.endswith("see 'Coming from version 1' in docs/write-a-backend.rst")


def test_a_plugin_that_imports_a_name_that_is_gone_is_told_the_new_one(site: Site) -> None:
    site.add("noting", "from anyjac_plugins import Noted")
    error = BackendRegistry().info("noting").error
    assert error is not None
    assert "cannot be imported: ImportError: anyjac_plugins.Noted is now StagedResult; see 'Coming from" in error
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = anyjac_plugins.Nothing  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "place",
    [
        "conformance/anyjac_conformance/templates/skeleton/hook.py.jinja",
        "docs/own-models.rst",
        "examples/anyjac-mlx/anyjac_mlx/__init__.py",
    ],
)
def test_the_version_that_is_shown_to_authors_is_the_present_one(place: str) -> None:
    shown = re.findall(r"interface_version ?= ?(\d+)", (Path(__file__).parents[2] / place).read_text())
    assert shown == [str(INTERFACE_VERSION)]


def test_the_page_has_a_table_of_all_that_has_moved() -> None:
    page = (Path(__file__).parents[2] / "docs" / "write-a-backend.rst").read_text()
    section = page.split("Coming from version 1\n---")[1]
    assert INTERFACE_VERSION == 2
    assert [name for name in (*OVERRIDES, "Noted") if f"``{name}``" not in section] == []


@pytest.mark.parametrize(
    ("text", "name"),
    [("float32", None), ("framework.float32", None), ("<dtype: 'float32'>", "float32"), ("<float32>", None)],
)
def test_the_name_of_a_dtype_is_the_end_of_its_text_or_its_own(text: str, name: str | None) -> None:
    class Dtype:
        def __str__(self) -> str:
            return text

    dtype = Dtype()
    if name is not None:
        dtype.name = name  # type: ignore[attr-defined]
    expected = "<float32>" if name is None and "<" in text else "float32"
    assert Backend.dtype_name(anyjac.get_backend("numpy"), dtype) == expected
