"""Derivatives that are lost to Python: the calls that are watched, the warnings, and the errors of strict calls."""

import copy
import logging
import math
import pickle
import statistics
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from inspect import currentframe
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from tests.helpers.torch_functions import tensor

import anyjac
from anyjac import LostDerivativeError, LostDerivativeWarning, Variable
from anyjac_plugins import lost_derivatives

X = tensor([1.0, 2.0])


def loses(x: torch.Tensor) -> torch.Tensor:
    return float(x[0]) * x


def loses_a_scalar(x: torch.Tensor) -> torch.Tensor:
    return float(x.sum()) * x.sum()


PERCENT = "%.3f"

LINE = loses.__code__.co_firstlineno + 1


@contextmanager
def losses() -> Iterator[list[str]]:
    """Collect warnings of lost derivatives, as they come: without the memory of Python for lines."""
    messages: list[str] = []
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        yield messages
    messages += [str(each.message) for each in seen if issubclass(each.category, LostDerivativeWarning)]


MEMBERS: dict[str, Callable[..., Any]] = {
    "jacrev": lambda **options: anyjac.jacrev(loses, **options)(X),
    "jacfwd": lambda **options: anyjac.jacfwd(loses, **options)(X),
    "jacobian": lambda **options: anyjac.jacobian(loses, **options)(X),
    "grad": lambda **options: anyjac.grad(loses_a_scalar, **options)(X),
    "value_and_grad": lambda **options: anyjac.value_and_grad(loses_a_scalar, **options)(X),
    "vector_grad": lambda **options: anyjac.vector_grad(loses, **options)(X),
    "derivative": lambda **options: anyjac.derivative(loses_a_scalar, **options)(tensor(2.0)),
    "hessian": lambda **options: anyjac.hessian(loses_a_scalar, **options)(X),
    "hvp": lambda **options: anyjac.hvp(loses_a_scalar, **options)(X, X),
    "vjp": lambda **options: anyjac.vjp(loses, **options)(X),
    "jvp": lambda **options: anyjac.jvp(loses, **options)(X, X),
    "linearize": lambda **options: anyjac.linearize(loses, **options)(X),
    "rows": lambda **options: anyjac.jacrev(loses, **options).rows(X),
    "as_linear_operator": lambda **options: anyjac.jacrev(loses, **options).as_linear_operator(X),
    "a Variable": lambda **options: (lambda v: anyjac.jacrev(lambda: loses(v), v, **options)())(Variable(X)),
    "a decorated method": lambda **options: _Decorated(options).slope(X),
    "within a transform": lambda **options: anyjac.jacrev(lambda x: anyjac.jacrev(loses)(x), **options)(X),
    "of a transform around": lambda **options: anyjac.jacrev(
        lambda x: anyjac.grad(lambda y: (loses(x) * y).sum())(X), **options
    )(X),
    "within torch.func": lambda **options: torch.func.jacrev(lambda x: anyjac.jacrev(loses, **options)(x))(X),
    "around torch.func": lambda **options: anyjac.jacrev(torch.func.grad(loses_a_scalar), **options)(X),
    "in inference mode": lambda **options: torch.inference_mode()(anyjac.jacrev(loses, **options))(X),
    "by dual tensors": lambda **options: anyjac.jvp(loses, **options)(torch.ones(2**20), torch.ones(2**20)),
}


class _Decorated:
    def __init__(self, options: Any) -> None:
        self.scale = 1.0
        self.slope: Any = anyjac.jacrev(self.response, **options)

    def response(self, x: torch.Tensor) -> torch.Tensor:
        return self.scale * loses(x)


@pytest.mark.parametrize("name", MEMBERS)
def test_each_member_warns_of_the_line_and_refuses_it_where_it_is_strict(name: str) -> None:
    with losses() as messages:
        MEMBERS[name]()
    assert messages
    assert any(__file__ in message and "float(x)" in message and "stop_gradient" in message for message in messages)
    with pytest.raises(LostDerivativeError, match=r"float\(x\), or a function of math, in line \d+ of .*test_lost"):
        MEMBERS[name](strict=True)


def test_the_warning_stands_at_the_line_of_the_user() -> None:
    with pytest.warns(LostDerivativeWarning, match=f"in line {LINE} of ") as seen:
        anyjac.jacrev(loses)(X)
    assert [(each.filename, each.lineno) for each in seen if each.category is LostDerivativeWarning] == [
        (__file__, LINE)
    ]


def test_a_line_of_pythons_own_library_is_not_the_users() -> None:
    frame = currentframe()
    assert frame is not None
    with pytest.warns(LostDerivativeWarning, match=f"in line {frame.f_lineno + 1} of .*test_lost_derivatives"):
        anyjac.grad(lambda x: statistics.fmean(x) * x.sum())(X)


def test_the_error_is_a_runtime_error_and_leaves_every_variable_as_it_was() -> None:
    v = Variable(X)

    def f() -> torch.Tensor:
        v.value = v.value * 2
        return loses(v.value)

    with pytest.raises(RuntimeError, match="a derivative is lost"):
        anyjac.jacrev(f, v, strict=True)()
    assert torch.equal(v.value, X)


def test_the_environment_makes_all_calls_strict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANYJAC_STRICT", "1")
    with pytest.raises(LostDerivativeError):
        anyjac.jacrev(loses)(X)
    monkeypatch.setenv("ANYJAC_STRICT", "0")
    with pytest.warns(LostDerivativeWarning):
        anyjac.jacrev(loses)(X)
    monkeypatch.setenv("ANYJAC_STRICT", "yes")
    with pytest.raises(anyjac.InputValueError, match="ANYJAC_STRICT is 'yes'; it can be '1' or '0'"):
        anyjac.jacrev(loses)(X)


def test_calls_are_watched_ever_more_rarely_and_strict_ones_always() -> None:
    slope = anyjac.jacrev(loses)
    watched = []
    for call in range(1, 20):
        with losses() as messages:
            slope(X)
        watched += [call] if messages else []
    assert watched == [1, 2, 4, 8, 16]
    strict = anyjac.jacrev(loses, strict=True)
    for _ in range(3):
        with pytest.raises(LostDerivativeError):
            strict(X)


def test_all_objects_of_a_class_share_the_count_and_a_pickle_begins_anew() -> None:
    class Model:
        @anyjac.jacrev
        def slope(self, x: torch.Tensor) -> torch.Tensor:
            return loses(x)

    with losses() as messages:
        for _ in range(4):
            Model().slope(X)
    assert len(messages) == 3
    slope = anyjac.jacrev(loses)
    for other in (copy.deepcopy(slope), pickle.loads(pickle.dumps(slope))):
        with pytest.warns(LostDerivativeWarning):
            other(X)


def test_python_shows_a_line_once() -> None:
    program = (
        "import anyjac, torch, warnings\n"
        "def f(x):\n"
        "    for i in range(3):\n"
        "        x = x * x[i].item()\n"
        "    return x\n"
        "anyjac.jacrev(f)(torch.ones(3))\n"
        "anyjac.jacrev(f)(torch.ones(3))\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stderr.count("LostDerivativeWarning") == 1
    assert "x.item() in line 4 of <string>" in run.stderr


def test_looking_and_branching_lose_nothing(capsys: pytest.CaptureFixture[str], caplog: Any) -> None:
    weight = torch.nn.Parameter(tensor(3.0))

    def f(x: torch.Tensor) -> torch.Tensor:
        print(x, repr(x), f"{x} {x[0]:.3f}", PERCENT % x[0])
        with caplog.at_level(logging.INFO):
            logging.getLogger(__name__).info("%f of %s", x[0], x)
        loss = x.detach().sum().item()
        with torch.no_grad():
            loss += float(x.sum()) + math.sin(x[0])
        if x[0] > 0 and bool(x[1]) and int(x[1]) == 2 and x.argmax().item() == 1 and torch.allclose(x, x):
            x = 2 * x + torch.zeros_like(x) + (x > 0).to(x.dtype) + x.round()
        assert max(x) is not None
        assert x.new_zeros(3).expand(2, 3).shape == (2, 3)
        return x * float(weight) * anyjac.stop_gradient(x).max().item() * loss**0

    with losses() as messages:
        jacobian = anyjac.jacrev(f, strict=True)(X)
    assert messages == []
    factor = 3 * (2 * 2 + 1 + 2)  # 2 x + 1 + round(x) at x = 2, times the weight
    assert torch.equal(jacobian, factor * 2 * torch.eye(2, dtype=X.dtype))
    assert "1.000" in capsys.readouterr().out
    assert "1.000000 of tensor" in caplog.text


def test_what_is_compiled_is_watched_while_it_is_recorded() -> None:
    def f(x: torch.Tensor) -> torch.Tensor:
        return torch.tensor([x[0], x[1]], dtype=x.dtype) * x

    with pytest.warns(LostDerivativeWarning, match=r"torch\.tensor .*; put tensors together by torch\.stack"):
        anyjac.jit(anyjac.jacrev(f))(X)
    with pytest.raises(LostDerivativeError):
        anyjac.jit(anyjac.jacrev(f, strict=True))(X)


@pytest.mark.parametrize("branches", [False, True], ids=["straight", "with a branch"])
def test_an_item_of_jax_is_seen(branches: bool) -> None:
    x = jnp.array([1.0, 2.0])

    def f(x: jax.Array) -> jax.Array:
        if branches and x[0] < 0:
            return x
        return x[0].item() * x

    for transform in (anyjac.jacrev, anyjac.jacfwd, anyjac.vjp):
        with pytest.warns(LostDerivativeWarning, match=r"x\.item\(\) in line \d+ of .*test_lost_derivatives"):
            transform(f)(x)
        with pytest.raises(LostDerivativeError):
            transform(f, strict=True)(x)
    with losses() as messages:
        anyjac.jacrev(lambda x: anyjac.stop_gradient(x)[0].item() * x)(x)
        assert jax.jacrev(f)(x).shape == (2, 2)
    assert messages == []


@pytest.mark.parametrize("transform", [anyjac.jacrev, anyjac.jacfwd], ids=lambda transform: transform.__name__)
def test_a_deep_copy_keeps_its_derivative_on_jax_and_autograd(transform: Any) -> None:
    for x in (np.array([1.0, 2.0]), jnp.array([1.0, 2.0])):
        assert transform(lambda x: copy.deepcopy({"x": x})["x"] * x)(x).tolist() == [[2.0, 0.0], [0.0, 4.0]]


def test_a_backend_reports_for_the_line_that_is_none_of_its_packages() -> None:
    with (
        lost_derivatives.watching(strict=True),
        lost_derivatives.watching(strict=False),
        pytest.raises(LostDerivativeError, match="in line"),
    ):
        lost_derivatives.report("float(x)", "compute with x", packages=[])
    with losses() as messages:
        lost_derivatives.report("float(x)", "compute with x", packages=[__name__.partition(".")[0]])
    assert Path(__file__).name not in messages[0]
    with pytest.raises(LostDerivativeError):
        lost_derivatives.refuse("a gradient", "compute with x")
