"""Forward mode of each backend gives the same as reverse mode, whichever rules an operator has."""

import gc
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import autograd.numpy as anp
import jax
import numpy as np
import pytest
import torch
from autograd.extend import defjvp, defvjp, primitive
from autograd.tracer import getval, isbox
from test_autograd_paths import OPERATIONS
from tests.helpers.forced_paths import forced
from tests.helpers.threads import in_another_thread
from tests.helpers.torch_functions import HiddenSquare, tensor
from torch.autograd import forward_ad

import anyjac
from anyjac import Variable, grad, hvp, jacrev, jvp
from anyjac_autograd import forward as autograd_forward
from anyjac_autograd.backend import AutogradBackend
from anyjac_conformance.array_api import TABLE, Body
from anyjac_jax.backend import JaxBackend
from anyjac_plugins import Backend
from anyjac_torch import backend as torch_backend
from anyjac_torch import forward as torch_forward
from anyjac_torch.backend import TorchBackend

F64 = torch.float64


DUALS, TRANSPOSED = forced(TorchBackend, "forward"), forced(TorchBackend, "transposed")
BACKENDS: dict[str, Backend] = {
    "autograd": AutogradBackend(),
    "jax": JaxBackend(),
    "torch": TRANSPOSED,
    "torch by duals": DUALS,
}
every_backend = pytest.mark.parametrize("backend", BACKENDS.values(), ids=BACKENDS)
torch_paths = pytest.mark.parametrize("backend", [DUALS, TRANSPOSED], ids=["duals", "transposed"])


def somewhere(like: np.ndarray) -> np.ndarray:
    random = np.random.default_rng(like.size)
    tangent = random.normal(size=like.shape)
    return tangent + 1j * random.normal(size=like.shape) if like.dtype.kind == "c" else tangent


def assert_modes_agree(backend: Backend, f: Callable[[Any], Any], x: np.ndarray) -> None:
    """Compare `jvp` with the transpose of the pullback."""
    point, tangent = backend.asarray(x), backend.asarray(somewhere(x).astype(x.dtype))
    outputs, expected, _ = transposing(backend).jvp(flat(f), [point], [tangent])
    found_outputs, found, _ = backend.jvp(flat(f), [point], [tangent])
    for mine, theirs, output in zip((*found_outputs, *found), (*outputs, *expected), outputs * 2, strict=True):
        assert mine is None or not backend.is_traced(mine)
        zeros = np.zeros(tuple(output.shape))
        np.testing.assert_allclose(
            zeros if mine is None else backend.to_numpy(mine),
            zeros if theirs is None else backend.to_numpy(theirs),
            rtol=1e-8,
            atol=1e-9,
        )
        assert mine is None or (mine.shape, mine.dtype) == (output.shape, output.dtype)


def transposing(backend: Backend) -> Backend:
    """Return the backend with the linear map that is the transpose of its pullback."""

    class Transposing(type(backend)):  # type: ignore[misc]
        linearize = Backend.linearize
        jvp = Backend.jvp

    return Transposing()


def flat(f: Callable[[Any], Any]) -> Callable[..., Any]:
    return lambda *arrays: ([f(*arrays)], [])


# ---- operations ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", [BACKENDS["autograd"], DUALS], ids=["autograd", "torch by duals"])
@pytest.mark.parametrize("name", TABLE)
def test_functions_of_the_standard_are_pushed_as_they_are_pulled(name: str, backend: Backend) -> None:
    def on_backend(body: Body) -> Callable[[Any], Any]:
        return lambda x: body.function(backend.namespace, x)

    for body in TABLE[name]:
        assert_modes_agree(backend, on_backend(body), np.asarray(body.point))


@pytest.mark.parametrize("name", OPERATIONS)
def test_operations_of_autograd_are_pushed_as_they_are_pulled(name: str) -> None:
    f, x = OPERATIONS[name]
    assert_modes_agree(BACKENDS["autograd"], f, np.asarray(x))


def doubled_until_large(x: Any) -> Any:
    while x[0] < 10:
        x = x * 2 if x[1] < 0 else x * x
    return x


@every_backend
def test_control_flow_by_values(backend: Backend) -> None:
    x, t = backend.asarray(np.array([0.75, -1.0])), backend.asarray(np.array([1.0, 2.0]))
    assert backend.to_numpy(jvp(doubled_until_large, backend=backend)(t, x)).tolist() == [16.0, 32.0]


@every_backend
def test_a_tangent_is_the_analytic_derivative(backend: Backend) -> None:
    xp = backend.namespace
    x, t = backend.asarray(np.array([0.3, 2.0])), backend.asarray(np.array([1.0, -2.0]))
    pushed, value = jvp(lambda x: xp.exp(x[0]) * x, return_value=True, backend=backend)(t, x)
    expected = np.exp(0.3) * (np.array([0.3, 2.0]) + np.array([1.0, -2.0]))
    np.testing.assert_allclose(backend.to_numpy(pushed), expected, rtol=1e-14)
    np.testing.assert_allclose(backend.to_numpy(value), np.exp(0.3) * np.array([0.3, 2.0]), rtol=1e-14)


@every_backend
def test_complex_tangents_are_directional_derivatives(backend: Backend) -> None:
    xp = backend.namespace
    z, t = backend.asarray(np.array([1 + 2j, 3 - 1j])), backend.asarray(np.array([0.5 - 1j, 2j]))
    zs, ts = np.array([1 + 2j, 3 - 1j]), np.array([0.5 - 1j, 2j])
    real = jvp(lambda z: xp.real(z * xp.conj(z)), backend=backend)(t, z)
    np.testing.assert_allclose(backend.to_numpy(real), 2 * (zs.conj() * ts).real, rtol=1e-14)
    holomorphic = jvp(lambda z: z**3, backend=backend, holomorphic=True)(t, z)
    np.testing.assert_allclose(backend.to_numpy(holomorphic), 3 * zs**2 * ts, rtol=1e-14)
    conjugate = jvp(lambda z: xp.conj(z) * z, backend=backend, holomorphic=True)(t, z)
    np.testing.assert_allclose(backend.to_numpy(conjugate), 2 * (zs.conj() * ts).real, atol=1e-14)


@every_backend
def test_a_tangent_that_is_not_there_is_zero_and_touches_no_other(backend: Backend) -> None:
    xp = backend.namespace
    x, y = backend.asarray(np.array([4.0])), backend.asarray(np.array([0.0]))
    _, (pushed, constant), _ = backend.jvp(
        lambda x, y: ([x * x + y**2, xp.asarray([1.0]) * 1], []), [x, y], [backend.asarray(np.array([1.0])), None]
    )
    assert backend.to_numpy(pushed).tolist() == [8.0]
    assert constant is None or backend.to_numpy(constant).tolist() == [0.0]


@every_backend
def test_modes_nest_in_all_orders(backend: Backend) -> None:
    x, t = backend.asarray(np.array([1.0, 2.0])), backend.asarray(np.array([1.0, 0.5]))
    cube = lambda x: x**3  # noqa: E731

    def along(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
        return lambda x: jvp(f, backend=backend)(t, x)

    rows = jacrev(along(cube), backend=backend)(x)
    pushed_rows = jvp(jacrev(cube, backend=backend), backend=backend)(t, x)
    expected = np.diag([6.0, 6.0])  # 6 x t
    np.testing.assert_allclose(backend.to_numpy(rows), expected, rtol=1e-14)
    np.testing.assert_allclose(backend.to_numpy(pushed_rows), expected, rtol=1e-14)
    np.testing.assert_allclose(backend.to_numpy(along(along(cube))(x)), [6.0, 3.0], rtol=1e-14)
    third = jvp(lambda x: jacrev(along(cube), backend=backend)(x), backend=backend)(t, x)
    np.testing.assert_allclose(backend.to_numpy(third), np.diag([6.0, 1.5]), rtol=1e-14)


@every_backend
def test_tangents_of_outer_calls_are_not_confused_with_inner_ones(backend: Backend) -> None:
    one = backend.asarray(1.0)

    def outer(x: Any) -> Any:
        return x * jvp(lambda y: x + y, backend=backend)(one, one)  # whose derivative by y is 1

    assert float(jvp(outer, backend=backend)(one, backend.asarray(3.0))) == 1.0


@every_backend
def test_a_product_with_the_hessian(backend: Backend) -> None:
    x, v = backend.asarray(np.array([1.0, 2.0])), backend.asarray(np.array([1.0, -1.0]))
    found = hvp(lambda x: x[0] ** 2 * x[1] + x[1] ** 3, backend=backend)(v, x)
    np.testing.assert_allclose(backend.to_numpy(found), [4.0 - 2.0, 2.0 - 12.0], rtol=1e-14)


# ---- what comes beside the outputs ---------------------------------------------------------------------------------


@every_backend
def test_writes_and_aux_data_carry_no_tangent(backend: Backend) -> None:
    state = Variable(backend.asarray(np.array([1.0, 2.0])), backend=backend)

    def f(x: Any) -> Any:
        state.value = state * x
        return x**2, {"seen": x * 3}

    x, t = backend.asarray(np.array([3.0, 4.0])), backend.asarray(np.array([1.0, 1.0]))
    pushed, aux = jvp(f, has_aux=True, backend=backend)(t, x)
    assert backend.to_numpy(pushed).tolist() == [6.0, 8.0]
    assert backend.to_numpy(aux["seen"]).tolist() == [9.0, 12.0]
    for array in (pushed, aux["seen"], state.value):
        assert not backend.is_traced(array)
        if isinstance(array, torch.Tensor):
            assert not array.requires_grad
            with forward_ad.dual_level():
                assert forward_ad.unpack_dual(array).tangent is None
    assert backend.to_numpy(state.value).tolist() == [3.0, 8.0]


@every_backend
def test_a_variable_is_pushed_along_and_an_error_leaves_it_alone(backend: Backend) -> None:
    v = Variable(backend.asarray(np.array([1.0, 2.0])), backend=backend)
    t = backend.asarray(np.array([1.0, -1.0]))
    found = jvp(lambda: v * v, v, backend=backend)(t)
    assert backend.to_numpy(found).tolist() == [2.0, -4.0]

    def fail() -> Any:
        v.value = v * 2
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        jvp(fail, v, backend=backend)(t)
    assert backend.to_numpy(v.value).tolist() == [1.0, 2.0]


@pytest.mark.parametrize("name", ["autograd", "torch", "torch by duals"])
def test_the_function_runs_once_and_nothing_is_kept(name: str) -> None:
    backend, runs = BACKENDS[name], []

    class Holder:
        pass

    def make() -> weakref.ref[Any]:
        held = Holder()

        def f(x: Any) -> Any:
            runs.append(held)
            return x * x

        x = backend.asarray(np.array([1.0, 2.0]))
        jvp(f, backend=backend)(x, x)
        return weakref.ref(held)

    kept = make()
    assert len(runs) == 1
    runs.clear()
    gc.collect()
    assert kept() is None


def test_an_identity_returns_a_tangent_of_its_own() -> None:
    tangent = np.array([1.0, 2.0])
    found = jvp(lambda x: x)(tangent, np.zeros(2))
    found += 1
    assert tangent.tolist() == [1.0, 2.0]


@every_backend
def test_calls_in_threads_do_not_disturb_one_another(backend: Backend) -> None:
    start = threading.Barrier(4)
    double = lambda y: y * 2.0  # noqa: E731

    def work(number: int) -> bool:
        def f(x: Any) -> Any:
            for _ in range(5):
                x = x * 1.5 + jvp(double, backend=backend)(t, x) * 0.0
            return x * x

        x, t = backend.asarray(np.array([1.0 + number])), backend.asarray(np.array([1.0]))
        start.wait()
        expected = 2 * (1.0 + number) * 1.5**10
        return all(
            np.allclose(backend.to_numpy(jvp(f, backend=backend)(t, x)), expected, rtol=1e-12) for _ in range(10)
        )

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(4)))


# ---- autograd ------------------------------------------------------------------------------------------------------


def tripled(rule: Callable[[Any], Any] | None, **rules: Any) -> Callable[[Any], Any]:
    """Make a primitive that triples an array, with a rule for cotangents, and perhaps one for tangents."""

    @primitive
    def triple(x: Any) -> Any:
        return 3 * x

    if rule is not None:
        defvjp(triple, lambda ans, x: rule)
    if "tangents" in rules:
        defjvp(triple, rules["tangents"])
    return triple


RULES: dict[str, Callable[[Any], Any]] = {
    "plain": lambda g: 3 * g,
    "the value": lambda g: 3 * getval(g),
    "raw NumPy": lambda g: np.multiply(np.asarray(g), 3.0),
    "a number": lambda g: 3 * g * (1.0 + 0 * float(np.sum(g))),
    "partly the value": lambda g: g + 2 * getval(g),
}


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.complex128])
@pytest.mark.parametrize("name", RULES)
def test_a_primitive_without_a_rule_for_tangents_is_transposed(name: str, dtype: Any) -> None:
    if dtype is np.complex128 and name == "a number":
        pytest.skip("float() of a complex number")
    runs, triple = [], tripled(RULES[name])

    def f(x: Any) -> Any:
        runs.append(1)
        return triple(x * x)

    x = np.array([1.0, 2.0, 3.0]).astype(dtype)
    found = jvp(f, holomorphic=dtype is np.complex128)(np.ones_like(x), x)
    assert (found.tolist(), found.dtype, runs) == ([6.0, 12.0, 18.0], dtype, [1])


def test_a_rule_for_tangents_is_preferred_and_may_be_missing_for_an_argument() -> None:
    assert jvp(tripled(None, tangents=lambda g, ans, x: 3 * g))(1.0, 2.0) == 3.0

    @primitive
    def product(x: Any, y: Any) -> Any:
        return x * y

    defvjp(product, lambda ans, x, y: lambda g: g * y, lambda ans, x, y: lambda g: g * x)
    defjvp(product, lambda g, ans, x, y: g * y)
    assert jvp(product, argnums=(0, 1))((1.0, 1.0), 2.0, 5.0) == 7.0


def test_a_primitive_without_any_rule_says_so() -> None:
    with pytest.raises(NotImplementedError, match="neither JVP nor VJP of triple"):
        jvp(tripled(None))(1.0, 2.0)


def test_a_rule_whose_tangent_does_not_fit_is_left_for_the_transpose() -> None:
    with pytest.raises(NotImplementedError, match="multi-dimensional"):  # autograd's rule for tangents is wrong there
        jvp(anp.sort)(np.ones((2, 2)), np.ones((2, 2)))
    wrong = tripled(lambda g: 3 * g, tangents=lambda g, ans, x: np.ones(7))
    assert jvp(wrong)(np.ones(2), np.ones(2)).tolist() == [3.0, 3.0]


def test_most_operations_of_autograd_are_pushed_by_their_own_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    transposed: set[str] = set()
    original = autograd_forward._transposed

    def counting(value: Any, fun: Any, *rest: Any) -> Any:
        transposed.add(name)
        return original(value, fun, *rest)

    monkeypatch.setattr(autograd_forward, "_transposed", counting)
    for name, (f, x) in OPERATIONS.items():  # noqa: B007 - for what is counted
        BACKENDS["autograd"].jvp(flat(f), [x], [np.ones_like(x)])
    assert len(transposed) < len(OPERATIONS) / 3
    assert {"sort", "max", "pad", "inv"} <= transposed


def test_autograds_own_transforms_around_and_inside() -> None:
    import autograd

    f = lambda x: anp.sin(x) * x  # noqa: E731
    x = np.array(0.7)
    expected = 2 * np.cos(0.7) - 0.7 * np.sin(0.7)
    assert np.isclose(autograd.grad(lambda x: jvp(f)(np.array(1.0), x))(x), expected)
    assert np.isclose(jvp(autograd.grad(f))(np.array(1.0), x), expected)
    assert not isbox(jvp(f)(np.array(1.0), x))


# ---- PyTorch -------------------------------------------------------------------------------------------------------


class WithoutTangents(torch.autograd.Function):
    """A square with a derivative in reverse mode alone."""

    @staticmethod
    def forward(x: torch.Tensor) -> torch.Tensor:
        return x * x

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        (x,) = ctx.saved_tensors
        return 2 * x * gradient


def bare_function(x: torch.Tensor) -> torch.Tensor:
    class Old(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
            return 2 * ctx.saved_tensors[0] * gradient

    return Old.apply(x)


def with_a_hook(x: torch.Tensor) -> torch.Tensor:
    y = x * x
    y.register_hook(lambda gradient: gradient * 1)
    return y * 1


HAVE_NO_TANGENTS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "a custom function": WithoutTangents.apply,
    "an old custom function": bare_function,
    "a hook": with_a_hook,
}


@pytest.mark.parametrize("name", HAVE_NO_TANGENTS)
def test_without_a_rule_the_function_is_run_again_from_its_beginning_and_remembered(name: str) -> None:
    backend, count, runs = forced(TorchBackend, "forward"), Variable(torch.tensor(0)), []

    def f(x: torch.Tensor) -> torch.Tensor:
        runs.append(1)
        count.value = count + 1
        return HAVE_NO_TANGENTS[name](x)

    x, t = tensor([1.0, 2.0]), tensor([1.0, -1.0])
    assert jvp(f, backend=backend)(t, x).tolist() == [2.0, -4.0]
    assert (len(runs), int(count)) == (2, 1)
    assert jvp(f, backend=backend)(t, x).tolist() == [2.0, -4.0]
    assert (len(runs), int(count)) == (3, 2)


def test_an_error_of_the_users_is_raised_and_not_remembered() -> None:
    backend, fails, ways = forced(TorchBackend, "forward"), [True], []

    def f(x: torch.Tensor) -> torch.Tensor:
        ways.append(x.requires_grad)
        if fails[0]:
            raise RuntimeError("mine")
        return x * 2

    with pytest.raises(RuntimeError, match="mine"):
        jvp(f, backend=backend)(tensor(1.0), tensor(1.0))
    fails[0] = False
    ways.clear()
    assert jvp(f, backend=backend)(tensor(1.0), tensor(1.0)).item() == 2.0
    assert ways == [False]  # on dual tensors, not on the graph


def test_dual_tensors_are_for_large_arrays(monkeypatch: pytest.MonkeyPatch) -> None:
    backend, pushed = TorchBackend(), []
    original = torch_forward.jvp
    monkeypatch.setattr(torch_forward, "jvp", lambda *given: pushed.append(1) or original(*given))
    monkeypatch.setattr("anyjac_torch.backend.LARGE", 100)
    for size in (99, 100):
        x = torch.ones(size, dtype=F64)
        assert torch.equal(jvp(lambda x: x * x, backend=backend)(x, x), 2 * x)
        assert len(pushed) == (size == 100)
    torch.func.vmap(jvp(lambda x: x * x, backend=backend))(torch.ones(2, 100), torch.ones(2, 100))
    assert len(pushed) == 1  # within a transform, the way of that transform is taken


@torch_paths
def test_without_gradients_there_are_no_tangents(backend: Backend) -> None:
    def f(x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            scale = x.sum()
            with torch.enable_grad():
                offset = x * 1
        return x * scale + offset + x.detach()

    x = tensor([1.0, 2.0])
    assert jvp(f, backend=backend)(tensor([1.0, 0.0]), x).tolist() == [4.0, 0.0]


@torch_paths
def test_the_users_graph_goes_on_through_tangents(backend: Backend) -> None:
    w, x = torch.tensor(3.0, dtype=F64, requires_grad=True), tensor([1.0, 2.0]).requires_grad_()
    jvp(lambda x: w * x**2, backend=backend)(tensor([1.0, 1.0]), x).sum().backward()
    assert w.grad.item() == 2 * (1 + 2)
    assert x.grad.tolist() == [6.0, 6.0]


@torch_paths
@pytest.mark.parametrize("transform", [torch.func.grad, torch.func.jacrev, torch.func.jacfwd])
def test_transforms_of_torch_func_around_a_push(transform: Any, backend: Backend) -> None:
    result = transform(lambda x: jvp(lambda y: y**3, backend=backend)(torch.ones_like(x), x))(tensor(2.0))
    assert result.item() == 12.0


@torch_paths
def test_transforms_of_torch_func_inside_a_push(backend: Backend) -> None:
    x = tensor([1.0, 2.0])
    found = jvp(lambda x: torch.func.jvp(lambda y: y**3, (x,), (x,))[1], backend=backend)(torch.ones_like(x), x)
    assert found.tolist() == [9.0, 36.0]
    assert jvp(torch.func.grad(lambda x: (x**3).sum()), backend=backend)(x, x).tolist() == [6.0, 24.0]


@torch_paths
def test_a_compiled_push(backend: Backend) -> None:
    compiled = anyjac.jit(jvp(lambda x: torch.sin(x) * x, backend=backend))
    for point in (0.3, 0.9):
        x = tensor([point])
        expected = np.cos(point) * point + np.sin(point)
        assert np.isclose(compiled(torch.ones_like(x), x).item(), expected)


@torch.jit.script
def cubed(x: torch.Tensor) -> torch.Tensor:
    return x * x * x


@pytest.mark.parametrize("grad_enabled", [True, False])
@pytest.mark.parametrize("elements", [4, torch_backend.LARGE])
def test_a_parameter_that_goes_past_the_operators_is_refused_in_forward_mode(elements: int, grad_enabled: bool) -> None:
    w, unused = torch.nn.Parameter(torch.full((elements,), 2.0)), torch.ones(elements, requires_grad=True)
    tangent = torch.ones(elements)
    with torch.set_grad_enabled(grad_enabled):
        with pytest.raises(anyjac.NotSupportedError, match="past PyTorch's operators"):
            jvp(lambda: cubed(w).sum(), w)(tangent)
        value, pushed = jvp(lambda: (w * cubed(unused.detach())).sum(), w, return_value=True)(tangent)[::-1]
        assert (value.item(), pushed.item()) == (2.0 * elements, elements)
        pushed = jvp(lambda: (w * unused).sum(), w)(tangent)
    assert pushed.requires_grad == grad_enabled  # an undifferentiated tensor belongs to the user's graph


def test_the_level_of_dual_tensors_is_left_to_who_has_it() -> None:
    x, t = tensor([1.0, 2.0]), tensor([1.0, 1.0])
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(x.clone(), t)
        assert jvp(lambda x: x**2, backend=DUALS)(t, x).tolist() == [2.0, 4.0]
        assert forward_ad.unpack_dual(dual * 2).tangent.tolist() == [2.0, 2.0]
    assert jvp(lambda x: x**2, backend=DUALS)(t, x).tolist() == [2.0, 4.0]


def test_another_thread_takes_the_other_way_while_one_has_the_level() -> None:
    inside, finished = threading.Event(), threading.Event()
    x, t, ways = tensor([1.0, 2.0]), tensor([1.0, 1.0]), []

    def slow(x: torch.Tensor) -> torch.Tensor:
        y = x * x
        inside.set()
        assert finished.wait(30)
        return y * x  # y has kept its tangent

    def quick(x: torch.Tensor) -> torch.Tensor:
        ways.append(x.requires_grad)
        return x * x

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(lambda: jvp(slow, backend=DUALS)(t, x))
        assert inside.wait(30)
        assert jvp(quick, backend=DUALS)(t, x).tolist() == [2.0, 4.0]
        finished.set()
        assert waiting.result().tolist() == [3.0, 12.0]
    assert ways == [True]  # on the graph
    jvp(quick, backend=DUALS)(t, x)
    assert ways == [True, False]


def runs_on_duals(backend: TorchBackend) -> bool:
    """Return whether a function is run on dual tensors here and now, and not on the graph."""
    ways: list[bool] = []
    jvp(lambda x: ways.append(x.requires_grad) or x * x, backend=backend)(tensor(1.0), tensor(1.0))
    return ways == [False]


def test_an_error_gives_the_level_back() -> None:
    def fail(x: torch.Tensor) -> torch.Tensor:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        jvp(fail, backend=DUALS)(tensor(1.0), tensor(1.0))
    assert in_another_thread(lambda: runs_on_duals(DUALS))
    assert forward_ad._current_level == -1
    assert torch._C._functorch.peek_interpreter_stack() is None


def test_a_backward_that_hides_what_it_computes_is_refused_and_not_taken_for_zero() -> None:
    x = tensor([1.0, 2.0])
    assert jacrev(HiddenSquare.apply)(x).tolist() == [[2.0, 0.0], [0.0, 4.0]]
    for push in (lambda: jvp(HiddenSquare.apply)(x, x), lambda: anyjac.jacfwd(HiddenSquare.apply)(x)):
        with pytest.raises(anyjac.NotSupportedError, match=r"backward of a torch\.autograd\.Function"):
            push()
    assert jvp(WithoutTangents.apply)(x, x).tolist() == [2.0, 8.0]


def test_a_long_run_on_duals_keeps_no_graph() -> None:
    seen: list[Any] = []

    def f(x: torch.Tensor) -> torch.Tensor:
        for _ in range(20):
            x = torch.sin(x)
            seen.append(weakref.ref(x))
            assert sum(reference() is not None for reference in seen) <= 2
        return x

    x = torch.ones(10, dtype=F64)
    jvp(f, backend=DUALS)(x, x)
    assert len(seen) == 20


# ---- JAX -----------------------------------------------------------------------------------------------------------


def test_a_push_inside_and_around_transforms_of_jax() -> None:
    x = jax.numpy.asarray([0.5, 2.0])
    along = lambda x: jvp(lambda y: y**3)(jax.numpy.ones_like(x), x)  # noqa: E731
    assert jax.jit(along)(x).tolist() == (3 * x**2).tolist()
    assert jax.vmap(along)(x).tolist() == (3 * x**2).tolist()
    assert np.allclose(jax.grad(lambda x: along(x).sum())(x), 6 * x)
    assert np.allclose(grad(lambda x: jax.jvp(lambda y: y**3, (x,), (x,))[1].sum())(x), 9 * x**2)


@pytest.mark.parametrize(
    "scattered",
    [
        lambda x: torch.ones(2, dtype=F64).scatter_reduce(0, torch.tensor([0, 0, 1]), x, "prod"),
        lambda x: torch.ones(2, dtype=F64).scatter_reduce_(0, torch.tensor([0, 0, 1]), x, reduce="prod"),
        lambda x: torch.scatter_reduce(torch.ones(2, dtype=F64), 0, torch.tensor([0, 0, 1]), x, reduce="prod"),
    ],
)
def test_products_that_are_scattered_have_a_tangent(scattered: Callable[[Any], Any]) -> None:
    x, v = torch.tensor([2.0, 3.0, 4.0], dtype=F64), torch.tensor([1.0, 10.0, 5.0], dtype=F64)
    for backend in (TRANSPOSED, DUALS):
        assert jvp(scattered, backend=backend)(v, x).tolist() == [3.0 + 20.0, 5.0]


# ---- within the forward mode of PyTorch ------------------------------------------------------------------------------


def _cubes(x: Any) -> Any:
    return (x**3).sum()


WITHIN_DUALS: dict[str, Callable[[Callable[[Any], Any], Any, Any], Any]] = {
    "torch.func.linearize": lambda f, x, v: torch.func.linearize(f, x)[1](v),
    "torch.func.jvp": lambda f, x, v: torch.func.jvp(f, (x,), (v,))[1],
    "a level of dual tensors": lambda f, x, v: _at_a_level(f, x, v),
    "functional.jacobian": lambda f, x, v: (
        torch.autograd.functional.jacobian(f, x, vectorize=True, strategy="forward-mode") @ v
    ),
}


def _at_a_level(f: Callable[[Any], Any], x: Any, v: Any) -> Any:
    with forward_ad.dual_level():
        return forward_ad.unpack_dual(f(forward_ad.make_dual(x, v))).tangent


@pytest.mark.parametrize("how", WITHIN_DUALS)
def test_a_transform_within_the_forward_mode_of_pytorch_has_its_tangent(how: str) -> None:
    x, v = torch.tensor([1.0, 2.0], dtype=F64), torch.tensor([1.0, 10.0], dtype=F64)
    transforms = {
        "grad": grad(_cubes),
        "of a constant": lambda c: grad(lambda y: (c * y**2).sum())(x),
        "jacrev": lambda x: anyjac.jacrev(_cubes)(x),
        "jacfwd": lambda x: anyjac.jacfwd(_cubes)(x),
        "jvp": lambda x: jvp(lambda y: y**3)(torch.ones_like(x), x),
        "hvp": lambda x: anyjac.hvp(lambda y: (y**4).sum())(torch.ones_like(x), x),
        "jit": anyjac.jit(lambda x: 3 * x**2),
        "vmap": anyjac.vmap(lambda x: 3 * x**2),
    }
    for name, transform in transforms.items():
        expected = {"of a constant": 2 * x * v, "hvp": 24 * x * v}.get(name, 6 * x * v)
        torch.testing.assert_close(WITHIN_DUALS[how](transform, x, v), expected, msg=f"{name} within {how}")


def test_a_variable_does_not_keep_a_tangent_of_pytorch() -> None:
    v = Variable(torch.ones(2))

    def write(x: Any) -> Any:
        v.value = x * 2
        return x

    with pytest.raises(anyjac.TracerLeakError):
        _at_a_level(grad(lambda y: write(y).sum()), torch.ones(2), torch.ones(2))
    assert v.tolist() == [1.0, 1.0]


# ---- where a backward formula is not differentiable, though linear ---------------------------------------------------

LINEAR_BUT_WRITTEN_OTHERWISE: dict[str, tuple[Callable[[Any], Any], Any]] = {
    "sinc at zero": (lambda x: torch.sinc(x), [0.0, 0.5]),
    "std of equal numbers": (lambda x: torch.std(x), [1.0, 1.0, 1.0]),
    "logcumsumexp": (lambda x: torch.logcumsumexp(x, 0), [0.1, 0.2, 0.3]),
    "modulus of a spectrum": (lambda x: torch.fft.rfft(x).abs(), [1.0, -1.0, 1.0, -0.5]),
    "an infinite derivative": (lambda x: torch.sqrt(x), [0.0]),
}


@pytest.mark.parametrize("name", LINEAR_BUT_WRITTEN_OTHERWISE)
def test_columns_are_finite_on_pytorch_where_rows_are(name: str) -> None:
    function, values = LINEAR_BUT_WRITTEN_OTHERWISE[name]
    x = torch.tensor(values, dtype=torch.float64)
    rows = anyjac.jacrev(function)(x)
    for found in (
        anyjac.jacfwd(function)(x),
        anyjac.jacfwd(function, chunk_size=1)(x),
        torch.stack([anyjac.jvp(function)(column, x) for column in torch.eye(len(x), dtype=x.dtype)], -1),
        anyjac.jacfwd(lambda x: {"y": function(x), "rest": x[0]})(x)["y"],
    ):
        torch.testing.assert_close(found, rows, equal_nan=True)


@pytest.mark.parametrize("name", ["logcumsumexp", "modulus of a spectrum"])
def test_second_derivatives_are_finite_on_pytorch_by_columns_too(name: str) -> None:
    function, values = LINEAR_BUT_WRITTEN_OTHERWISE[name]
    x = torch.tensor(values, dtype=torch.float64)
    total = lambda x: function(x).square().sum()  # noqa: E731
    expected = anyjac.jacrev(anyjac.jacrev(total))(x)
    direction = torch.ones_like(x)
    torch.testing.assert_close(anyjac.hessian(total)(x), expected)
    torch.testing.assert_close(anyjac.hvp(total)(direction, x), expected @ direction)
