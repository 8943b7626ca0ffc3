"""An interrupt at any line or instruction of a call writes all Variables or none, and leaves nothing open."""

import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, Literal

import numpy as np
import pytest
from tests.helpers.open_calls import assert_nothing_open
from tests.helpers.threads import PATIENCE_S, in_another_thread

import anyjac
import anyjac_plugins
from anyjac import Variable, jacrev, jit

from .stateful import AFTER, BEFORE, Model, assert_right, assert_untraced

CORE = Path(anyjac.__file__).parent


def _of_core(*names: str) -> tuple[str, ...]:
    """Return the paths of files of the core, which must exist."""
    assert all((CORE / name).is_file() for name in names)
    return tuple(str(CORE / name) for name in names)


SCOPE = _of_core("state/scope.py", "state/context.py")
STATE_KEEPERS = (*_of_core("calls/call.py", "calls/run.py", "calls/opening.py", "state/ownership.py"), *SCOPE)
"""The modules that open scopes, own Variables and commit."""


CALLS_TO_SETTLE = 5
"""After so many equal calls a backend that compiles has done so, and one call runs the same lines as the next."""


def _package_of(backend: anyjac.Backend) -> str:
    return str(Path(sys.modules[type(backend).__module__].__file__ or "").parent)


class Interrupter:
    """Raises KeyboardInterrupt at the n-th line or instruction that is executed in some files; None: only counts."""

    def __init__(self, files: tuple[str, ...], event: Literal["line", "opcode"], fire_at: int | None = None) -> None:
        self._files = files
        self._event = event
        self._fire_at = fire_at
        self.count = 0

    def __call__(self, frame: FrameType, event: str, argument: Any) -> Any:
        if not frame.f_code.co_filename.startswith(self._files):
            return None
        frame.f_trace_opcodes = self._event == "opcode"
        if event == self._event:
            number, self.count = self.count, self.count + 1
            if number == self._fire_at:
                raise KeyboardInterrupt
        return self

    def interrupts(self, work: Callable[[], Any]) -> bool:
        """Run a function under this trace and return whether it was interrupted."""
        before = sys.gettrace()
        # Python 3.12 reports instructions to a trace alone that begins when a frame has asked for them.
        sys._getframe().f_trace_opcodes = self._event == "opcode"
        sys.settrace(self)
        try:
            work()
        except KeyboardInterrupt:
            return True
        finally:
            sys.settrace(before)
        return False


def _interrupt_everywhere(
    backend: anyjac.Backend, files: tuple[str, ...], event: Literal["line", "opcode"], points: int, last: int
) -> None:
    """Interrupt calls at about `points` steps throughout, and at each of the `last` steps, which commit writes."""
    x = backend.asarray(np.asarray(5.0))
    for _ in range(CALLS_TO_SETTLE):
        Model(backend).transform(x)
    counter, counted = Interrupter(files, event), Model(backend)
    assert not counter.interrupts(lambda: counted.transform(x))
    assert counted.values() == AFTER
    total = counter.count
    assert total > 500
    sample = sorted({*range(0, total, 1 + total // points), *range(total - last, total)})
    outcomes = set()
    for turn, point in enumerate(sample):
        model = Model(backend)
        interrupted = Interrupter(files, event, point).interrupts(lambda model=model: model.transform(x))
        # What the collector of garbage runs is counted too, so that a call may be over a few steps earlier.
        assert interrupted or point >= total - last
        values = model.values()
        assert values in (BEFORE, AFTER), f"{event} {point} of {total}: {values}"
        assert_nothing_open(*model.variables())
        assert_untraced(*model.variables())
        outcomes.add(tuple(values))
        if turn % 25 == 0:
            assert_right(model, x)
    assert tuple(BEFORE) in outcomes
    assert tuple(AFTER) in outcomes, "no interrupt arrived after the commit: the sample misses it"


def test_an_interrupt_at_any_line_writes_all_variables_or_none(backend: anyjac.Backend) -> None:
    files = (str(CORE), str(Path(anyjac_plugins.__file__).parent), _package_of(backend))
    points = 100 if backend.name == "jax" else 400  # a call of JAX takes ten times as long
    _interrupt_everywhere(backend, files, "line", points, last=60)


def test_an_interrupt_at_any_instruction_that_keeps_state_writes_all_variables_or_none() -> None:
    _interrupt_everywhere(anyjac.get_backend("numpy"), STATE_KEEPERS, "opcode", 300, last=300)


def test_an_interrupt_while_a_function_is_recorded_or_mapped_leaves_nothing_in_the_context(
    backend: anyjac.Backend,
) -> None:
    x = backend.asarray(np.ones(2))
    of_backend = Path(_package_of(backend))
    files = tuple(str(of_backend / name) for name in ("programs.py", "linear_maps.py"))
    assert (of_backend / "linear_maps.py").is_file()

    def work() -> None:
        jacrev(lambda x: x * x)(x)  # a new function each time
        anyjac.vmap(lambda x: x * x)(x)
        if backend.name == "jax":
            jit(lambda x: x * x)(x)

    work()
    counter = Interrupter(files, "line")
    counter.interrupts(work)
    for point in range(counter.count):
        Interrupter(files, "line", point).interrupts(work)
        assert_nothing_open()


class Compiled:
    """Two Variables that a compiled function writes together, from (1, 10) to (2, 11) and on."""

    def __init__(self, backend: anyjac.Backend, *, reads: bool) -> None:
        self.a, self.b = (Variable(backend.asarray(np.asarray(start))) for start in (1.0, 10.0))

        def step(x: Any) -> Any:
            self.a.value = self.a + x if reads else x + 1.0
            self.b.value = self.b + x if reads else x + 10.0
            return x * x

        self.step = jit(step)

    def values(self) -> tuple[float, float]:
        return float(self.a), float(self.b)


@pytest.mark.parametrize("reads", [True, False])
@pytest.mark.parametrize("warm", [True, False])
def test_an_interrupt_of_a_compiled_call_writes_all_variables_or_none(
    backend: anyjac.Backend, warm: bool, reads: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if backend.name == "torch":
        # PyTorch's compiler is not on trial.
        monkeypatch.setattr("anyjac_torch.jit.compile_graph", lambda graph, example, compile: graph)
    x = backend.asarray(np.asarray(1.0))
    files = (str(CORE), str(Path(anyjac_plugins.__file__).parent), _package_of(backend))

    def fresh() -> Compiled:
        model = Compiled(backend, reads=reads)
        for _ in range(3 if warm else 0):
            model.step(x)
        model.a.value, model.b.value = (backend.asarray(np.asarray(start)) for start in (1.0, 10.0))
        return model

    counter, counted = Interrupter(files, "line"), fresh()
    assert not counter.interrupts(lambda: counted.step(x))
    assert counted.values() == (2.0, 11.0)
    outcomes = set()
    for point in range(0, counter.count, 1 + counter.count // 80):
        model = fresh()
        Interrupter(files, "line", point).interrupts(lambda model=model: model.step(x))
        assert_nothing_open(model.a, model.b)
        assert_untraced(model.a, model.b)
        outcomes.add(model.values())
        model.a.value, model.b.value = (backend.asarray(np.asarray(start)) for start in (1.0, 10.0))
        assert float(in_another_thread(lambda model=model: model.step(x))) == 1.0
        assert model.values() == (2.0, 11.0)
    assert outcomes <= {(1.0, 10.0), (2.0, 11.0)}
    assert (1.0, 10.0) in outcomes


@pytest.mark.parametrize("event", ["line", "opcode"])
def test_an_interrupt_of_a_call_that_waits_for_a_variable_leaves_it_to_its_owner(
    event: Literal["line", "opcode"],
) -> None:
    v = Variable(1.0)
    owned, waiting = threading.Event(), threading.Event()

    def hold(x: Any) -> Any:
        v.value = v + x
        owned.set()
        assert waiting.wait(PATIENCE_S)
        return x

    def wait(x: Any) -> Any:
        v.value = v * x
        return x

    files = _of_core("state/ownership.py")
    for point in range(0, 120, 3 if event == "line" else 5):
        owned.clear()
        waiting.clear()
        v.value = 1.0
        holder = threading.Thread(target=jacrev(hold), args=(1.0,), daemon=True)
        holder.start()
        assert owned.wait(PATIENCE_S)
        # The call waits, in turns of a fraction of a second, until the interrupt has come.
        assert Interrupter(files, event, point).interrupts(lambda: jacrev(wait)(2.0))
        waiting.set()
        holder.join(PATIENCE_S)
        assert not holder.is_alive(), "the owner hangs"
        assert_nothing_open(v)
        assert float(v) == 2.0
        assert float(in_another_thread(lambda: jacrev(wait)(2.0))) == 1.0
        assert float(v) == 4.0


@pytest.mark.needs("flax")
def test_an_interrupt_at_any_line_leaves_a_module_of_nnx_as_it_was_or_written() -> None:
    from flax import nnx

    from anyjac_jax.models import flax as models

    files = (*SCOPE, *_of_core("state/showing.py"), *_files_of(models.NnxModels, models.ObjectKeeper))
    x = anyjac.get_backend("jax").asarray(np.asarray(1.0))
    module = nnx.Linear(1, 1, rngs=nnx.Rngs(0))
    module.calls = nnx.Variable(0 * x)

    def step(x: Any) -> Any:
        module.calls[...] += x
        return nnx.remat(lambda module, x: module(x).sum())(module, x[None])

    gradient = anyjac.grad(step, grad_vars=module)
    for _ in range(CALLS_TO_SETTLE):
        gradient(x)
    counter = Interrupter(files, "line")
    assert not counter.interrupts(lambda: gradient(x))
    outcomes = set()
    for point in range(0, counter.count, 1 + counter.count // 60):
        module.calls[...] = 0 * x
        attributes, made_in = dict(vars(module)), module.calls._trace_state
        Interrupter(files, "line", point).interrupts(lambda: gradient(x))
        assert list(map(id, vars(module).values())) == list(map(id, attributes.values()))
        assert (list(vars(module)), module.calls._trace_state) == (list(attributes), made_in)
        outcomes.add(float(module.calls[...]))
    assert outcomes <= {0.0, 1.0}
    assert 0.0 in outcomes
    assert_nothing_open(*anyjac.variables(module).values())


def _files_of(*classes: type) -> list[str]:
    return [str(sys.modules[cls.__module__].__file__) for cls in classes]


def test_an_interrupt_at_any_line_leaves_compiled_functions_as_they_are_for_other_threads() -> None:
    torch = pytest.importorskip("torch")
    torch.compile(lambda x: x)  # by which PyTorch's compiler is there, and has a stance
    backend = anyjac.get_backend("torch")
    x = backend.asarray(np.asarray(5.0))
    file = str(Path(_package_of(backend)) / "uncompiled.py")
    number = 0
    while Interrupter((file,), "line", number).interrupts(lambda: anyjac.hessian(lambda x: x * x)(x)):
        number += 1
        thread = threading.Thread(target=lambda: anyjac.hessian(lambda x: x * x)(x), daemon=True)
        thread.start()
        thread.join(30.0)
        assert not thread.is_alive(), number
    assert number > 5
