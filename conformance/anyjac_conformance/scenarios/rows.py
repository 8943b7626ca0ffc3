"""Scenarios: Jacobians in blocks of rows, and products with them in both directions."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from anyjac import Backend, TracerLeakError, Variable, jacrev

from ..answers import Raises
from ..lab import Lab
from ..scenario import Collection

scenario = Collection()

PATIENCE_S = 60.0
"""How long a call in another thread may take before it counts as waiting for ever."""

MATRIX = np.arange(1.0, 11.0).reshape(5, 2)


def _observed(rows: Any) -> list[Any]:
    return [(each.path, each.start, each.stop, each.block) for each in rows]


# ---- blocks --------------------------------------------------------------------------------------------------------


@scenario("rows/blocks", answer=[("", 0, 2, MATRIX[:2]), ("", 2, 4, MATRIX[2:4]), ("", 4, 5, MATRIX[4:])])
def of_a_matrix(lab: Lab) -> Any:
    return _observed(jacrev(lambda x: lab.array(MATRIX) @ x, chunk_size=2).rows(lab.array([1.0, 2.0])))


@scenario(
    "rows/blocks",
    answer=[
        ("['b']", 0, 2, ({"w": np.array([1.0, 2.0])}, (np.diag([3.0, 3.0]),))),
        ("['a'][0]", 0, 1, ({"w": np.array([0.0])}, (np.array([[1.0, 1.0]]),))),
        ("['a'][1]", 0, 1, ({"w": np.array([0.0])}, (np.array([[0.0, 0.0]]),))),
    ],
)
def of_leaves_in_their_order_in_the_trees_of_the_contract(lab: Lab) -> Any:
    w = Variable(lab.array(3.0))
    f = lambda x: {"b": w * x, "a": (lab.xp.sum(x), 1.5)}  # noqa: E731
    return _observed(jacrev(f, {"w": w}, argnums=(0,)).rows(lab.array([1.0, 2.0])))


@scenario("rows/blocks", answer=[("", 0, 2, np.diag([2 + 2j, 4.0]))], requires=("complex",))
def of_a_holomorphic_function(lab: Lab) -> Any:
    return _observed(jacrev(lambda z: z * z, holomorphic=True).rows(lab.array([1 + 1j, 2.0], "complex128")))


@scenario("rows/blocks", answer=np.diag([6.0, 12.0]), requires=("nested",))
def within_another_transform(lab: Lab) -> Any:
    def slopes(x: Any) -> Any:
        return lab.xp.sum(lab.xp.concat([each.block for each in jacrev(lambda x: x**3, chunk_size=1).rows(x)]), axis=0)

    return jacrev(slopes)(lab.array([1.0, 2.0]))


# ---- the run -------------------------------------------------------------------------------------------------------


@scenario(
    "rows/run",
    answer={
        "runs": 1,
        "value": np.array([1.0, 4.0]),
        "rows": [np.array([[6.0, 0.0]]), np.array([[0.0, 12.0]])],
        "released": True,
    },
)
def once_with_its_writes_stored_before_the_first_row(lab: Lab) -> Any:
    v, runs = Variable(lab.array([1.0, 2.0])), []

    def f() -> Any:
        runs.append(1)
        v.value = v * v
        return 3.0 * v.value

    rows = jacrev(f, v, chunk_size=1).rows()
    stored = v.value
    blocks = [each.block for each in rows]
    return {"runs": len(runs), "value": stored, "rows": blocks, "released": _is_free(v, lab)}


def _is_free(v: Variable, lab: Lab) -> bool:
    """Return whether a call in another thread gets a Variable at once, since no call owns it."""
    done = threading.Event()

    def call() -> None:
        jacrev(lambda x: v * x, backend=lab.backend)(lab.array(1.0))
        done.set()

    threading.Thread(target=call, daemon=True).start()
    return done.wait(PATIENCE_S)


@scenario("rows/run", answer=(np.array([1.0, 4.0]), ("text", np.array(3.0))))
def with_value_and_aux_beside_the_rows(lab: Lab) -> Any:
    rows = jacrev(lambda x: (x * x, ("text", lab.xp.sum(x))), has_aux=True).rows(lab.array([1.0, 2.0]))
    rows.close()
    return rows.value, rows.aux


@scenario("rows/run", answer=Raises(TracerLeakError, "a call of a transform that has ended"), requires=("nested",))
def outlived_by_its_rows_is_refused(lab: Lab) -> Any:
    kept = []
    jacrev(lambda x: kept.append(jacrev(lambda y: y * y).rows(x)) or x)(lab.array(3.0))  # type: ignore[func-returns-value]
    return next(kept[0])


@scenario("rows/into", answer=[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0], [9.0, 10.0]])
def an_array_of_numpy(lab: Lab) -> Any:
    rows = jacrev(lambda x: lab.array(MATRIX) @ x, chunk_size=2).rows(lab.array([1.0, 2.0]))
    return rows.into(np.zeros((5, 2))).tolist()


# ---- products ------------------------------------------------------------------------------------------------------

# f(x, y, unused) = (A x, x y) has the differential (A dx, y dx + x dy).
POINTS = ([2.0, 3.0], [4.0, 5.0], [6.0])


def _transposed(lab: Lab, fun: Any, primals: list[Any]) -> tuple[Backend, Any]:
    backend = lab.backend
    outputs, pullback, _ = backend.vjp(lambda *arrays: (fun(*arrays), []), primals)
    return backend, backend.transpose(pullback, outputs, primals)


@scenario("rows/transpose", answer=(MATRIX @ [1.0, 1.0], np.array([24.0, 35.0])), requires=("nested",))
def of_several_inputs_and_outputs(lab: Lab) -> Any:
    _, push = _transposed(lab, lambda x, y, unused: (lab.array(MATRIX) @ x, x * y), [lab.array(p) for p in POINTS])
    return tuple(push([lab.array([1.0, 1.0]), lab.array([10.0, 10.0]), None]))


@scenario("rows/transpose", answer=MATRIX.T, requires=("nested",))
def for_many_tangents_at_once(lab: Lab) -> Any:
    backend, push = _transposed(lab, lambda x: (lab.array(MATRIX) @ x,), [lab.array([1.0, 2.0])])
    (products,) = backend.pullback_rows(push, [lab.array(np.eye(2))])
    return products


@scenario("rows/transpose", answer=np.array([(2 + 2j) * 1j, 4 - 4j]), requires=("nested", "complex"))
def of_a_holomorphic_function_without_a_conjugate(lab: Lab) -> Any:
    _, push = _transposed(lab, lambda z: (z * z,), [lab.array([1 + 1j, 2.0], "complex128")])
    (product,) = push([lab.array([1j, 1 - 1j], "complex128")])
    return product
