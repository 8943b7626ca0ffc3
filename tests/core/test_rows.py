"""`GradientTransform.rows`: the Jacobian in blocks of rows, on every backend, against analytic answers."""

import weakref
from collections import OrderedDict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import optree
import pytest
from tests.helpers.memory import Thing, collector_off
from tests.helpers.open_calls import assert_nothing_open, is_owned
from tests.helpers.threads import in_another_thread, run_in_threads

import anyjac
from anyjac import Backend, Variable, jacrev

POINT = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
CUBES = np.diag(3 * POINT**2)


def cube(x: Any) -> Any:
    return x**3


def spans(rows: anyjac.Rows) -> list[tuple[str, int, int]]:
    return [(each.path, each.start, each.stop) for each in rows]


# ---- blocks --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chunk_size", [1, 2, 3, 5, 6, None])
def test_the_blocks_together_are_the_jacobian(backend: Backend, array: Any, chunk_size: int | None) -> None:
    rows = jacrev(cube, chunk_size=chunk_size).rows(array(POINT))
    count = len(rows)
    blocks = list(rows)
    assert len(blocks) == count == -(-5 // (chunk_size or 5))
    assert [b.start for b in blocks[1:]] == [b.stop for b in blocks[:-1]]
    assert np.array_equal(np.concatenate([backend.to_numpy(b.block) for b in blocks]), CUBES)
    assert all(backend.is_array(b.block) and not backend.is_traced(b.block) for b in blocks)
    assert all(b.block.shape == (b.stop - b.start, 5) for b in blocks)


def test_the_length_stays_while_blocks_are_taken(array: Any) -> None:
    rows = jacrev(cube, chunk_size=2).rows(array(POINT))
    next(rows)
    assert len(rows) == 3
    assert iter(rows) is rows
    assert len(list(rows)) == 2
    assert len(rows) == 3


def test_without_a_chunk_size_a_block_has_as_many_rows_as_the_backend_computes_at_once(
    backend: Backend, array: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(type(backend), "rows_at_once", lambda self, width: asked.append(width) or 4)
    assert spans(jacrev(lambda x: x[:3] * 1.0).rows(array(POINT))) == [("", 0, 3)]
    assert spans(jacrev(cube).rows(array(POINT))) == [("", 0, 4), ("", 4, 5)]
    assert asked == [5, 5]


def test_rows_are_those_of_the_flattened_output_and_blocks_have_the_input_s_shape(backend: Backend, array: Any) -> None:
    matrix = np.arange(1.0, 7.0).reshape(2, 3)
    (first, second) = jacrev(lambda x: x * x, chunk_size=4).rows(array(matrix))
    expected = np.diag(2 * matrix.ravel()).reshape(6, 2, 3)
    assert np.array_equal(backend.to_numpy(first.block), expected[:4])
    assert np.array_equal(backend.to_numpy(second.block), expected[4:])


def test_a_scalar_has_one_row(backend: Backend, array: Any) -> None:
    (only,) = jacrev(cube).rows(array(2.0))
    assert (only.path, only.start, only.stop, backend.to_numpy(only.block).tolist()) == ("", 0, 1, [12.0])


def test_leaves_of_the_output_follow_one_another_and_share_no_block(backend: Backend, array: Any) -> None:
    def f(x: Any) -> Any:
        return OrderedDict(z=x[:3] ** 2, constant=1.5, a=(x[:2] * 3.0, None), fixed=np.array([1.0, 2.0]))

    rows = jacrev(f, chunk_size=2).rows(array(POINT))
    assert len(rows) == 5
    blocks = list(rows)
    assert [(b.path, b.start, b.stop) for b in blocks] == [
        ("['z']", 0, 2),
        ("['z']", 2, 3),
        ("['constant']", 0, 1),
        ("['a'][0]", 0, 2),
        ("['fixed']", 0, 2),
    ]
    found = np.concatenate([backend.to_numpy(b.block) for b in blocks])
    expected = np.zeros((8, 5))
    expected[[0, 1, 2], [0, 1, 2]] = [2.0, 4.0, 6.0]
    expected[[4, 5], [0, 1]] = 3.0
    assert np.array_equal(found, expected)


class Pair(NamedTuple):
    """A container of two."""

    a: Any
    b: Any


def test_blocks_have_the_trees_of_the_contract(backend: Backend, array: Any) -> None:
    x, y = array(POINT), array([2.0])
    v, w = Variable(array([1.0, 1.0])), Variable(array(3.0))

    def f(x: Any, p: Any) -> Any:
        return w * p.a * x

    def shapes(rows: anyjac.Rows) -> Any:
        return optree.tree_map(lambda leaf: tuple(leaf.shape), next(rows).block)

    pair = Pair(y, {"c": y})
    several = Pair((2, 1), {"c": (2, 1)})
    assert shapes(jacrev(f, chunk_size=2).rows(x, pair)) == (2, 5)
    assert shapes(jacrev(f, argnums=(1,), chunk_size=2).rows(x, pair)) == (several,)
    assert shapes(jacrev(f, argnums=[1, 0], chunk_size=2).rows(x, pair)) == (several, (2, 5))
    assert shapes(jacrev(f, {"v": [v], "w": w}, chunk_size=2).rows(x, pair)) == {"v": [(2, 2)], "w": (2,)}
    assert shapes(jacrev(f, w, 0, chunk_size=2).rows(x, pair)) == ((2,), (2, 5))
    (var_grads, arg_grads) = next(jacrev(f, w, 0).rows(x, pair)).block
    assert np.array_equal(backend.to_numpy(var_grads), 2 * POINT)
    assert np.array_equal(backend.to_numpy(arg_grads), 6 * np.eye(5))


def test_integers_that_are_let_through_have_rows_of_float0(backend: Backend, array: Any) -> None:
    rows = jacrev(lambda x, n: x * 2.0, argnums=(0, 1), allow_int=True, chunk_size=3).rows(array(POINT), np.arange(4))
    of_x, of_n = next(rows).block
    assert backend.to_numpy(of_x).tolist() == (2 * np.eye(5)[:3]).tolist()
    assert (of_n.dtype, of_n.shape) == (anyjac.float0, (3, 4))
    (only,) = jacrev(lambda n: array([1.0, 2.0]), allow_int=True).rows(backend.asarray(np.array(3)))
    assert (only.block.dtype, only.block.shape) == (anyjac.float0, (2,))


def test_an_empty_output_has_no_blocks_and_an_empty_input_has_empty_ones(backend: Backend, array: Any) -> None:
    nothing = jacrev(lambda x: x[:0] * 2.0).rows(array(POINT))
    assert (len(nothing), list(nothing), nothing.value.shape) == (0, [], (0,))
    rows = jacrev(lambda x: x.sum() + array([1.0, 2.0, 3.0]), chunk_size=2).rows(array(np.zeros((0, 4))))
    assert [(b.start, b.stop, tuple(b.block.shape)) for b in rows] == [(0, 2, (2, 0, 4)), (2, 3, (1, 0, 4))]


def test_holomorphic_rows_are_dy_dz_and_real_functions_give_the_conjugate(backend: Backend) -> None:
    z = backend.asarray(np.array([1 + 1j, 2 - 1j]))
    (holomorphic,) = jacrev(lambda z: z**2, holomorphic=True).rows(z)
    assert np.allclose(backend.to_numpy(holomorphic.block), np.diag([2 + 2j, 4 - 2j]), rtol=1e-14)
    (real,) = jacrev(lambda z: abs(z) ** 2).rows(z)
    assert np.allclose(backend.to_numpy(real.block), np.diag([2 - 2j, 4 + 2j]), rtol=1e-14)


def test_single_precision_stays_single(backend: Backend) -> None:
    (only,) = jacrev(cube).rows(backend.asarray(np.array([2.0], np.float32)))
    assert backend.dtype_name(only.block.dtype) == "float32"
    assert backend.to_numpy(only.block).tolist() == [[12.0]]


# ---- the run -------------------------------------------------------------------------------------------------------


def test_the_function_runs_once_when_rows_is_called(array: Any) -> None:
    runs = []
    rows = jacrev(lambda x: runs.append(1) or cube(x), chunk_size=1).rows(array(POINT))
    assert runs == [1]
    list(rows)
    assert runs == [1]


def test_value_and_aux_are_there_untraced_whatever_has_been_taken(backend: Backend, array: Any) -> None:
    rows = jacrev(lambda x, scale: ({"y": scale * x}, ("text", x * x)), has_aux=True).rows(array(POINT), scale=2.0)
    for _ in range(2):
        assert backend.to_numpy(rows.value["y"]).tolist() == (2 * POINT).tolist()
        assert rows.aux[0] == "text"
        assert backend.to_numpy(rows.aux[1]).tolist() == (POINT**2).tolist()
        assert not backend.is_traced(rows.value["y"])
        assert not backend.is_traced(rows.aux[1])
        list(rows)
    assert jacrev(cube).rows(array(1.0)).aux is None


def test_methods_bind_self(backend: Backend, array: Any) -> None:
    class Spring:
        def __init__(self) -> None:
            self.stiffness = Variable(array(4.0))

        @jacrev
        def force(self, stretch: Any) -> Any:
            return self.stiffness * stretch

    (only,) = Spring().force.rows(array([1.0, 2.0]))
    assert np.array_equal(backend.to_numpy(only.block), 4 * np.eye(2))


def test_what_is_changed_in_place_later_does_not_reach_the_rows(array: Any) -> None:
    x = POINT.copy()
    rows = jacrev(lambda x: (x * x, x), has_aux=True, backend="autograd", chunk_size=2).rows(x)
    x[:] = rows.value[:] = rows.aux[:] = 0.0
    assert np.array_equal(np.concatenate([b.block for b in rows]), np.diag(2 * POINT))


def test_writes_are_stored_before_the_first_row_and_the_jacobian_is_at_entry(backend: Backend, array: Any) -> None:
    v = Variable(array([1.0, 2.0]))

    def f() -> Any:
        v.value = v * v
        return 3.0 * v.value

    rows = jacrev(f, v, chunk_size=1).rows()
    assert backend.to_numpy(v.value).tolist() == [1.0, 4.0]
    v.value = array([7.0, 7.0])
    assert [backend.to_numpy(b.block).tolist() for b in rows] == [[[6.0, 0.0]], [[0.0, 12.0]]]
    assert backend.to_numpy(v.value).tolist() == [7.0, 7.0]


@pytest.mark.parametrize("result", ["raises", "integer", "nothing"])
def test_after_an_error_every_variable_is_as_it_was(backend: Backend, array: Any, result: str) -> None:
    v = Variable(array(1.0))

    def f(x: Any) -> Any:
        v.value = v + 1.0
        if result == "raises":
            raise ZeroDivisionError
        return backend.asarray(np.array([1])) if result == "integer" else None

    with pytest.raises((ZeroDivisionError, anyjac.DtypeError, anyjac.OutputError)):
        jacrev(f).rows(array(1.0))
    assert float(v) == 1.0
    assert_nothing_open(v)


def test_settings_are_checked_as_in_a_call(array: Any) -> None:
    with pytest.raises(anyjac.DtypeError, match="argument 0 is int64"):
        jacrev(cube).rows(np.arange(3))
    with pytest.raises(anyjac.InputValueError, match="argnums has 3"):
        jacrev(cube, argnums=3).rows(array(1.0))


# ---- the life of an iterator ---------------------------------------------------------------------------------------


def test_a_half_consumed_iterator_owns_no_variable(backend: Backend, array: Any) -> None:
    v = Variable(array([1.0, 2.0]))

    def f(x: Any) -> Any:
        v.value = v + 1.0
        return v * x

    rows = jacrev(f, v, 0, chunk_size=1).rows(array([1.0, 2.0]))
    next(rows)
    assert not is_owned(v)
    in_another_thread(lambda: jacrev(f, v, 0)(array([1.0, 2.0])))
    assert backend.to_numpy(v.value).tolist() == [3.0, 4.0]
    of_v, of_x = next(rows).block
    assert backend.to_numpy(of_v).tolist() == [[0.0, 2.0]]
    assert backend.to_numpy(of_x).tolist() == [[0.0, 3.0]]


@pytest.mark.parametrize("end", ["exhausted", "closed", "left"])
def test_what_the_function_used_is_let_go_at_the_end(array: Any, end: str) -> None:
    with collector_off():
        thing = Thing()
        gone = weakref.ref(thing)
        # After its run the function is not needed; a copy of the point lives on.
        rows = jacrev(lambda x, thing: x * x, chunk_size=1).rows(array(POINT), thing)
        del thing
        assert gone() is None
        source = weakref.ref(rows._source)
        assert source() is not None
        if end == "exhausted":
            for _ in range(5):
                next(rows)
        elif end == "closed":
            next(rows)
            rows.close()
            rows.close()
        else:
            with pytest.raises(ZeroDivisionError), rows:
                raise ZeroDivisionError
        assert source() is None
        assert list(rows) == []
        assert rows.value.shape == (5,)


def test_a_block_that_failed_is_tried_again(backend: Backend, array: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = jacrev(cube, chunk_size=2).rows(array(POINT))
    next(rows)
    with monkeypatch.context() as patch:
        patch.setattr(type(backend), "output_rows", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            next(rows)
    assert next(rows).start == 2


def test_threads_that_share_an_iterator_get_each_block_once(backend: Backend, array: Any) -> None:
    rows = jacrev(cube, chunk_size=1).rows(array(np.tile(POINT, 20)))
    found: list[anyjac.RowBlock] = []
    run_in_threads([lambda: found.extend(rows)] * 4)
    assert sorted(block.start for block in found) == list(range(100))
    for block in found:
        row = backend.to_numpy(block.block)[0]
        assert row[block.start] == 3 * POINT[block.start % 5] ** 2
        assert np.count_nonzero(row) == 1


# ---- within other transforms ---------------------------------------------------------------------------------------


def test_rows_within_another_transform_are_differentiated(backend: Backend, array: Any) -> None:
    def slopes(x: Any) -> Any:
        blocks = [rows.block for rows in jacrev(cube, chunk_size=2).rows(x)]
        return backend.namespace.sum(backend.namespace.concat(blocks), axis=0)

    assert np.allclose(backend.to_numpy(jacrev(slopes)(array(POINT))), np.diag(6 * POINT), rtol=1e-14)
    streamed = [backend.to_numpy(rows.block) for rows in jacrev(slopes, chunk_size=2).rows(array(POINT))]
    assert np.allclose(np.concatenate(streamed), np.diag(6 * POINT), rtol=1e-14)


def test_writes_within_another_transform_belong_to_that_one(array: Any) -> None:
    v = Variable(array(1.0))

    def inner(x: Any) -> Any:
        v.value = v + 1.0
        return x * x

    def outer(x: Any) -> Any:
        next(jacrev(inner).rows(x))
        if float(v.value) != 2.0:
            raise AssertionError
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        jacrev(outer)(array(3.0))
    assert float(v) == 1.0


def test_rows_that_outlive_the_call_around_them_are_refused(array: Any) -> None:
    kept = []

    def outer(x: Any) -> Any:
        kept.append(jacrev(cube).rows(x))
        return x

    jacrev(outer)(array(3.0))
    with pytest.raises(anyjac.TracerLeakError, match="made inside a call of a transform that has ended"):
        next(kept[0])


def test_rows_are_compiled_with_what_is_around_them() -> None:
    import jax

    @jax.jit
    def diagonal(x: Any) -> Any:
        return sum((rows.block[0] for rows in jacrev(cube, chunk_size=1).rows(x)), start=0.0)

    assert np.array_equal(diagonal(POINT), 3 * POINT**2)


# ---- progress ------------------------------------------------------------------------------------------------------


def test_progress_is_told_in_rows_of_all_leaves(array: Any) -> None:
    told: list[tuple[int, int]] = []
    rows = jacrev(lambda x: (x * x, 2.0 * x[:2]), chunk_size=3).rows(array(POINT))
    assert rows.on_progress(lambda done, total: told.append((done, total))) is rows
    assert told == []
    next(rows)
    assert told == [(3, 7)]
    list(rows)
    assert told == [(3, 7), (5, 7), (7, 7)]


def test_a_progress_callback_may_close_the_iterator(array: Any) -> None:
    rows = jacrev(cube, chunk_size=1).rows(array(POINT))
    rows.on_progress(lambda done, total: rows.close() if done == 2 else None)
    assert len(list(rows)) == 2


def test_a_progress_callback_that_cannot_be_called_is_refused(array: Any) -> None:
    with pytest.raises(anyjac.InputTypeError, match=r"on_progress needs a callable .* not 3"):
        jacrev(cube).rows(array(POINT)).on_progress(3)  # type: ignore[arg-type]


# ---- into memory that is there -------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(6, 4), (2, 3, 2, 2), (6, 2, 2)])
def test_all_rows_are_written_into_an_array_of_each_fitting_shape(array: Any, shape: tuple[int, ...]) -> None:
    matrix = np.arange(24.0).reshape(6, 4)
    f = jacrev(lambda x: (array(matrix) @ x.reshape(4)).reshape(2, 3), chunk_size=4)
    out = np.full(shape, np.nan)
    assert f.rows(array(np.ones((2, 2)))).into(out) is out
    assert np.array_equal(out, matrix.reshape(shape))


def test_scalars_are_written_too(array: Any) -> None:
    assert jacrev(cube).rows(array(2.0)).into(np.zeros(())).tolist() == 12.0
    assert jacrev(lambda x: (x**2).sum()).rows(array([1.0, 2.0])).into(np.zeros(2)).tolist() == [2.0, 4.0]


def test_a_memory_map_holds_the_jacobian_on_disk(array: Any, tmp_path: Path) -> None:
    path = tmp_path / "jacobian"
    out = np.memmap(path, np.float32, "w+", shape=(5, 5))
    told = []
    rows = jacrev(cube, chunk_size=2).rows(array(POINT))
    rows.on_progress(lambda done, total: told.append((done, np.count_nonzero(out)))).into(out)
    out.flush()
    assert np.array_equal(np.fromfile(path, np.float32).reshape(5, 5), CUBES)
    assert told == [(2, 2), (4, 4), (5, 5)]


class Recorder:
    """An array-like with a shape and assignment to slices alone."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape
        self.written: list[tuple[slice, Any]] = []

    def __setitem__(self, index: slice, values: Any) -> None:
        self.written.append((index, values))


def test_anything_with_assignment_to_slices_takes_the_rows_as_numpy_arrays(array: Any) -> None:
    out = jacrev(cube, chunk_size=3).rows(array(POINT)).into(Recorder((5, 5)))
    assert [index for index, _ in out.written] == [slice(0, 3), slice(3, 5)]
    assert all(isinstance(values, np.ndarray) for _, values in out.written)
    assert np.array_equal(np.concatenate([values for _, values in out.written]), CUBES)


def test_nothing_is_written_for_an_empty_output(array: Any) -> None:
    out = Recorder((0, 5))
    assert jacrev(lambda x: x[:0] * 1.0).rows(array(POINT)).into(out).written == []


def test_what_cannot_hold_the_jacobian_is_refused(backend: Backend, array: Any) -> None:
    def refused(error: type[Exception], match: str, rows: anyjac.Rows, out: Any) -> None:
        with pytest.raises(error, match=match):
            rows.into(out)

    x = array(POINT)
    refused(anyjac.InputValueError, r"shape \(5, 4\), and the Jacobian needs \(5, 5\)", *_of(x), np.zeros((5, 4)))
    refused(anyjac.InputTypeError, "needs an array with a shape", *_of(x), [[0.0] * 5] * 5)
    refused(anyjac.DtypeError, "array of int64, which cannot hold rows of float64", *_of(x), np.zeros((5, 5), int))
    z = jacrev(cube, holomorphic=True).rows(backend.asarray(np.array([1j])))
    refused(anyjac.DtypeError, "cannot hold rows of complex128", z, np.zeros((1, 1)))
    several = jacrev(lambda x, y: (x * y, x), argnums=(0, 1)).rows(x, x)
    refused(anyjac.InputValueError, "one output leaf and one input leaf, and here are 2 and 2", several, np.zeros(5))
    taken = jacrev(cube, chunk_size=2).rows(x)
    next(taken)
    refused(anyjac.InputValueError, "1 of 3 blocks have been taken", taken, np.zeros((5, 5)))
    closed = jacrev(cube, chunk_size=2).rows(x)
    closed.on_progress(lambda *_: closed.close())
    refused(anyjac.InputValueError, "closed when 1 of 3 blocks had been written", closed, np.zeros((5, 5)))


def _of(x: Any) -> tuple[anyjac.Rows]:
    return (jacrev(cube).rows(x),)


def test_rows_that_are_traced_are_not_written(backend: Backend, array: Any) -> None:
    def outer(x: Any) -> Any:
        jacrev(cube).rows(x).into(np.zeros((5, 5)))
        return x

    with pytest.raises(anyjac.TracerLeakError, match=f"belongs to a trace of {backend.name}"):
        jacrev(outer)(array(POINT))


# ---- devices -------------------------------------------------------------------------------------------------------


def test_rows_are_computed_on_the_device_that_was_asked_for() -> None:
    backend = anyjac.get_backend("jax")
    last = backend.devices()[-1]
    rows = jacrev(lambda x: (x * x, 1.5), backend="jax", device=last, chunk_size=2).rows(POINT)
    assert backend.device_of(rows.value[0]) == last
    assert [backend.device_of(each.block) for each in rows] == [last] * 4
