"""Backends with a fault on purpose, of each kind in turn: a scenario for this fault rejects them."""

import contextlib
import threading
import warnings
from collections.abc import Sequence
from contextvars import Context, copy_context
from os import environ
from typing import Any

import pytest
import torch
from tests.conformance.broken import Broken
from tests.conformance.broken_loops import FAULTS_IN_LOOPS

import anyjac
from anyjac import Backend
from anyjac_conformance import all_scenarios, check_backend
from anyjac_plugins import OutputRows, StagedResult, lost_derivatives


class Transposed(Broken):
    """Transposes each square block."""

    def pullback_rows(self, linear_map: Any, vectors: Sequence[Any]) -> list[Any]:
        rows = self.real.pullback_rows(linear_map, vectors)
        square = [row is not None and row.ndim == 2 and row.shape[0] == row.shape[1] for row in rows]
        return [row.T if yes else row for row, yes in zip(rows, square, strict=True)]


class Conjugated(Broken):
    """Gives the conjugate of every complex derivative."""

    def pullback_rows(self, linear_map: Any, vectors: Sequence[Any]) -> list[Any]:
        conj = self.real.namespace.conj
        rows = self.real.pullback_rows(linear_map, vectors)
        return [row if row is None or "complex" not in str(row.dtype) else conj(row) for row in rows]


class Zeros(Broken):
    """Gives zeros for everything."""

    def pullback_rows(self, linear_map: Any, vectors: Sequence[Any]) -> list[Any]:
        return [None if row is None else row * 0 for row in self.real.pullback_rows(linear_map, vectors)]


class SwappedRows(Broken):
    """Gives the rows of a chunk in reverse order."""

    def pullback_rows(self, linear_map: Any, vectors: Sequence[Any]) -> list[Any]:
        flip = self.real.namespace.flip
        return [None if row is None else flip(row, axis=0) for row in self.real.pullback_rows(linear_map, vectors)]


class SwappedPrimals(Broken):
    """Gives the derivatives of the primals in reverse order."""

    def vjp(self, fun: Any, primals: Any) -> Any:
        outputs, pullback, aux = self.real.vjp(lambda *reversed_: fun(*reversed(reversed_)), list(reversed(primals)))
        return outputs, pullback, aux


class Single(Broken):
    """Computes in float32, in spite of float64 inputs."""

    def pullback_rows(self, linear_map: Any, vectors: Sequence[Any]) -> list[Any]:
        xp = self.real.namespace
        rows = self.real.pullback_rows(linear_map, vectors)
        return [row if row is None or row.dtype != xp.float64 else xp.astype(row, xp.float32) for row in rows]


class Truncated(Broken):
    """Computes in float32 and calls it float64."""

    def pullback_rows(self, linear_map: Any, vectors: Sequence[Any]) -> list[Any]:
        xp = self.real.namespace
        rows = self.real.pullback_rows(linear_map, vectors)
        return [
            row if row is None or row.dtype != xp.float64 else xp.astype(xp.astype(row, xp.float32), xp.float64)
            for row in rows
        ]


class OffByOneAtSeams(Broken):
    """Begins each chunk but the first with the last row of the one before."""

    def seeds(self, like: Any, start: int, stop: int) -> Any:
        shift = 1 if start else 0
        return self.real.seeds(like, start - shift, stop - shift)


class DtypeOfTheOutput(Broken):
    """Gives blocks the dtype of the output."""

    def pullback_rows(self, linear_map: Any, vectors: Sequence[Any]) -> list[Any]:
        of_output = next(vector.dtype for vector in vectors if vector is not None)
        rows = self.real.pullback_rows(linear_map, vectors)
        return [row if row is None else self.real.namespace.astype(row, of_output) for row in rows]


class SharesMemory(Broken):
    """Hands Variables' own arrays to functions, which may write them."""

    def copy(self, array: Any) -> Any:
        return array

    def constant(self, array: Any) -> Any:
        return array


class RoundsTheValue(Broken):
    """Gives the right Jacobian and a rounded value."""

    def vjp(self, fun: Any, primals: Any) -> Any:
        outputs, pullback, aux = self.real.vjp(fun, primals)
        return [self.real.namespace.round(output) for output in outputs], pullback, aux


class ForgetsTheOuterLevel(Broken):
    """Makes constants of arrays that an enclosing differentiation traces."""

    def vjp(self, fun: Any, primals: Any) -> Any:
        outputs, pullback, aux = self.real.vjp(fun, primals)

        def forgetful(cotangents: Any) -> Any:
            return [x if x is None else self.real.stop_gradient(x) for x in pullback(cotangents)]

        return outputs, forgetful, aux

    def pullback_rows(self, linear_map: Any, vectors: Sequence[Any]) -> list[Any]:
        return Backend.pullback_rows(self, linear_map, vectors)


class RunsTwice(Broken):
    """Runs the function once too often."""

    def vjp(self, fun: Any, primals: Any) -> Any:
        fun(*primals)
        return self.real.vjp(fun, primals)


class DropsAux(Broken):
    """Gives zeros for the aux arrays."""

    def vjp(self, fun: Any, primals: Any) -> Any:
        outputs, pullback, aux = self.real.vjp(fun, primals)
        return outputs, pullback, [array * 0 for array in aux]


class LeavesTracers(Broken):
    """Returns aux arrays traced, as they were inside the function."""

    def vjp(self, fun: Any, primals: Any) -> Any:
        inside: list[Any] = []

        def spied(*arrays: Any) -> Any:
            outputs, aux = fun(*arrays)
            inside.extend(aux)
            return outputs, aux

        outputs, pullback, _ = self.real.vjp(spied, primals)
        return outputs, pullback, inside


class Transparent(Broken):
    """Does not see that a value is traced."""

    def vjp(self, fun: Any, primals: Any) -> Any:
        return LeavesTracers.vjp(self, fun, primals)  # type: ignore[arg-type]

    def is_traced(self, value: Any) -> bool:
        return False


class IgnoresDevices(Broken):
    """Leaves every array where it is."""

    def asarray(self, value: Any, *, dtype: Any = None, device: Any = None) -> Any:
        return self.real.asarray(value, dtype=dtype)

    def device_scope(self, device: Any) -> Any:
        return contextlib.nullcontext()


class KeepsTheFirstNote(Broken):
    """Compiles, and keeps one note for all kinds of arrays, such as which Variables were written."""

    def stage(self, fun: Any) -> Any:
        staged, notes = self.real.stage(fun), []

        def run(*arrays: Any) -> StagedResult:
            noted = staged(*arrays)
            notes.append(noted.note)
            return StagedResult(notes[0], noted.arrays)

        return run


class RunsNothingAgain(Broken):
    """Gives the results of a compiled function's first call for ever."""

    def stage(self, fun: Any) -> Any:
        staged, results = self.real.stage(fun), []

        def run(*arrays: Any) -> StagedResult:
            if not results:
                results.append(staged(*arrays))
            return results[0]

        return run


class ScalesTangents(Broken):
    """Gives twice the derivative along a direction."""

    def jvp(self, fun: Any, primals: Any, tangents: Any) -> Any:
        outputs, pushed, aux = self.real.jvp(fun, primals, tangents)
        return outputs, [None if each is None else 2 * each for each in pushed], aux


class PushesTheFirstPrimal(Broken):
    """Drops the tangents of all primals but the first."""

    def linearize(self, fun: Any, primals: Any) -> Any:
        outputs, push, aux = self.real.linearize(fun, primals)
        return outputs, lambda tangents: push([tangents[0], *[None] * (len(tangents) - 1)]), aux


class ReversesColumns(Broken):
    """Gives the columns of a Jacobian in forward mode in reverse order."""

    def linearize(self, fun: Any, primals: Any) -> Any:
        outputs, push, aux = self.real.linearize(fun, primals)
        flip = self.real.namespace.flip
        return outputs, lambda tangents: push([None if each is None else flip(each) for each in tangents]), aux


class ConjugatesColumns(Broken):
    """Has the conjugates of complex columns."""

    def jacobian(self, *args: Any, **kwargs: Any) -> Any:
        found = self.real.jacobian(*args, **kwargs)
        xp = self.real.namespace
        complex_ones = [[self.real.dtype_kind(block.dtype) == "complex floating" for block in row] for row in found[1]]
        blocks = [
            [xp.conj(block) if yes else block for block, yes in zip(row, of_row, strict=True)]
            for row, of_row in zip(found[1], complex_ones, strict=True)
        ]
        return found._replace(blocks=blocks)


class LosesTheUpperTriangle(Broken):
    """Gives matrices whose upper triangle is zero, so that a Hessian is not symmetric."""

    def jacobian(self, fun: Any, primals: Any, chunk_size: int | None = None, mode: str = "rev") -> Any:
        found = Backend.jacobian(self, fun, primals, chunk_size, mode)
        tril = self.real.namespace.tril
        return found._replace(blocks=[[tril(b) if b.ndim == 2 else b for b in row] for row in found.blocks])


class PullsBackTwos(Broken):
    """Gives twice the gradient of a scalar, and Jacobians as they are."""

    def output_rows(self, wanted: OutputRows) -> Any:
        rows = self.real.output_rows(wanted)
        return rows if wanted.output.ndim else [2 * row for row in rows]


class TakesNanForZero(Broken):
    """Leaves the derivatives zero that are NaN row by row, in all chunks of several rows."""

    def pullback_rows(self, linear_map: Any, vectors: Sequence[Any]) -> list[Any]:
        xp = self.real.namespace
        rows = self.real.pullback_rows(linear_map, vectors)
        return [
            row if row is None or row.shape[0] == 1 else xp.where(xp.isnan(row), xp.zeros_like(row), row)
            for row in rows
        ]


class LeaksWritesOfMaps(SharesMemory):
    """Lets mapped functions write to the arrays that Variables hold."""


class MapsTheFirstRow(Broken):
    """Gives the results of the first example for all."""

    def map_chunks(self, fun: Any, chunks: Any, randomness: Any) -> list[Any]:
        xp = self.real.namespace
        found = self.real.map_chunks(fun, chunks, randomness)
        return [[xp.stack([array[0, ...]] * array.shape[0]) for array in of_one] for of_one in found]


class UnderstatesItself(Broken):
    """Has the vectorising map without declaring it."""

    def __init__(self, real: Backend) -> None:
        super().__init__(real)
        self.capabilities = real.capabilities - {"vmap"}


class LosesDerivativesInSilence(Broken):
    """Keeps warnings to itself."""

    def vjp(self, fun: Any, primals: Any) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return self.real.vjp(fun, primals)


class LosesDerivativesInStrictCalls(Broken):
    """Watches strict calls as it does all others."""

    def vjp(self, fun: Any, primals: Any) -> Any:
        return Context().run(self._unwatched, fun, primals)

    def _unwatched(self, fun: Any, primals: Any) -> Any:
        with lost_derivatives.watching(strict=False):
            return self.real.vjp(fun, primals)


class WritesConstants(Broken):
    """Adds traced numbers to its arrays as constants."""

    def vjp(self, fun: Any, primals: Any) -> Any:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(torch.Tensor, "__iadd__", _add_constant)
            return self.real.vjp(fun, primals)


def _add_constant(array: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    array.data.add_(other.detach())
    return array


class TellsNothingOfTraces(Broken):
    """Returns arrays of traces that have ended."""

    def unshared(self, arrays: Any, others: Any) -> Any:
        return list(arrays)


class HandsNumbersToNumpy(Broken):
    """Lets NumPy read traced arrays, whose numbers count as constants then."""

    def vjp(self, fun: Any, primals: Any) -> Any:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(torch.Tensor, "__array__", lambda self, dtype=None: self.detach().numpy())
            return self.real.vjp(fun, primals)


class TakesProtocolsForItsOwn(Broken):
    """Takes objects that are arrays by protocol for its own arrays."""

    def is_array(self, value: object) -> bool:
        return self.real.is_array(value) or hasattr(value, "__array__")


class AddsAbandonedWrites(Broken):
    """Begins functions again, and adds what the abandoned run has written."""

    def vjp(self, fun: Any, primals: Any) -> Any:
        _, _, abandoned = self.real.vjp(fun, primals)
        outputs, pullback, aux = self.real.vjp(fun, primals)
        return outputs, pullback, [one + two for one, two in zip(abandoned, aux, strict=True)]


class CarriesTheCallIntoThreads(Broken):
    """Lets a thread that a function starts run in the context of the call, and at once."""

    def vjp(self, fun: Any, primals: Any) -> Any:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(threading.Thread, "start", lambda thread: copy_context().run(thread.run))
            patch.setattr(threading.Thread, "join", lambda thread: None)
            return self.real.vjp(fun, primals)


class KeepsTheFirstKeys(Broken):
    """Compiles, and takes functions whose arrays are alike for one."""

    def __init__(self, real: Backend) -> None:
        super().__init__(real)
        self.first: Any = None

    def stage(self, fun: Any) -> Any:
        self.first = self.first or self.real.stage(fun)
        return self.first


class LosesDerivativesByTheEnvironment(LosesDerivativesInStrictCalls):
    """Does not look at the environment."""

    def vjp(self, fun: Any, primals: Any) -> Any:
        if environ.get("ANYJAC_STRICT") != "1":
            return self.real.vjp(fun, primals)
        return super().vjp(fun, primals)


FAULTS: dict[type[Broken], tuple[str, str]] = {
    # backend          framework, clause that rejects it
    Transposed: ("torch", "packing/block"),
    Conjugated: ("torch", "dtypes/complex-input"),
    Zeros: ("torch", "dtypes/scalars"),
    SwappedRows: ("torch", "composition/chunks"),
    SwappedPrimals: ("torch", "packing/arg-grads"),
    Single: ("torch", "dtypes/real"),
    Truncated: ("autograd", "packing/block"),
    OffByOneAtSeams: ("torch", "composition/chunks"),
    DtypeOfTheOutput: ("torch", "dtypes/real"),
    SharesMemory: ("autograd", "variables/restored"),
    RoundsTheValue: ("torch", "packing/loss-value"),
    ForgetsTheOuterLevel: ("jax", "composition/nested"),
    RunsTwice: ("torch", "composition/once"),
    DropsAux: ("autograd", "packing/aux-untouched"),
    LeavesTracers: ("autograd", "packing/aux-untouched"),
    Transparent: ("torch", "variables/no-tracer"),
    IgnoresDevices: ("jax", "devices/argument"),
    KeepsTheFirstNote: ("torch", "jit/variables"),
    RunsNothingAgain: ("jax", "jit/results"),
    ScalesTangents: ("torch", "jvp/product"),
    PushesTheFirstPrimal: ("torch", "linearize/product"),
    ConjugatesColumns: ("autograd", "dtypes/complex-of-real"),
    ReversesColumns: ("autograd", "jacfwd/blocks"),
    LosesTheUpperTriangle: ("torch", "hessian/blocks"),
    PullsBackTwos: ("autograd", "grad/packing"),
    TakesNanForZero: ("torch", "composition/nonfinite"),
    LeaksWritesOfMaps: ("autograd", "vmap/writes"),
    MapsTheFirstRow: ("torch", "vmap/results"),
    UnderstatesItself: ("jax", "composition/native-vmap"),
    LosesDerivativesInSilence: ("torch", "trust/lost-derivative"),
    LosesDerivativesInStrictCalls: ("torch", "trust/lost-derivative"),
    LosesDerivativesByTheEnvironment: ("torch", "trust/lost-derivative"),
    WritesConstants: ("torch", "trust/writes-in-place"),
    TellsNothingOfTraces: ("jax", "trust/ended-traces"),
    HandsNumbersToNumpy: ("torch", "trust/foreign-functions"),
    TakesProtocolsForItsOwn: ("autograd", "arguments/protocols"),
    AddsAbandonedWrites: ("torch", "composition/restarts"),
    KeepsTheFirstKeys: ("jax", "jit/keys"),
    CarriesTheCallIntoThreads: ("torch", "variables/threads"),
    **FAULTS_IN_LOOPS,
}


@pytest.mark.parametrize(
    ("kind", "framework", "clause"),
    [(kind, *fault) for kind, fault in FAULTS.items()],
    ids=lambda x: getattr(x, "__name__", x),
)
def test_a_broken_backend_is_rejected_by_the_scenario_meant_for_it(
    kind: type[Broken], framework: str, clause: str
) -> None:
    meant = [scenario for scenario in all_scenarios() if scenario.clause == clause]
    results = check_backend(kind(anyjac.get_backend(framework)), scenarios=meant, on_fail="collect")
    assert any(result.bad for result in results)


@pytest.mark.parametrize(("framework", "clause"), sorted(set(FAULTS.values())))
def test_what_merely_passes_everything_on_is_not_rejected(framework: str, clause: str) -> None:
    meant = [scenario for scenario in all_scenarios() if scenario.clause == clause]
    results = check_backend(Broken(anyjac.get_backend(framework)), scenarios=meant, on_fail="collect")
    assert [(r.scenario.id, r.faults) for r in results if r.bad] == []
