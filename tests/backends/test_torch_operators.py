"""Every operator of PyTorch with a backward pass: rows in a batch as rows one by one, and forward mode as reverse mode.

The operators and their samples are those of PyTorch's own tests.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import optree
import pytest
import torch
from tests.helpers.forced_paths import forced
from torch.testing._internal.common_methods_invocations import op_db

import anyjac
from anyjac_torch.backend import TorchBackend

pytestmark = pytest.mark.sweep

F64 = torch.float64
ONE_BY_ONE, DUALS = forced(TorchBackend, "rows"), forced(TorchBackend, "forward")
SAMPLES = 10
"""How many samples of an operator are tried, from all over its list."""
LOOKED_AT = 400
"""How long that list may be: some operators have thousands."""
LARGEST = 60
"""Elements of the inputs, or of the outputs, of a sample."""

EXCEPTIONS: dict[str, str] = {
    "as_strided": "asks where elements are in memory, and a sample goes past its end",
    "as_strided_scatter": "some samples write several elements to one place, in no order",
    "native_group_norm": "its statistics are outputs, of which reverse mode has no derivative",
    "native_layer_norm": "its statistics are outputs, of which PyTorch has no derivative",
    "nn.functional.linear_cross_entropy": "a part of its backward pass refuses to be differentiated",
    "sparse.mm": "takes sparse tensors, of which our arrays are none",
    "sparse.sampled_addmm": "takes sparse tensors, of which our arrays are none",
}
"""Operators that are left out, and why."""

OPERATORS = {
    f"{operator.name} {operator.variant_test_name}".strip(): operator
    for operator in op_db
    if operator.supports_autograd and F64 in operator.supported_dtypes("cpu") and operator.name not in EXCEPTIONS
}

Arrays = list[torch.Tensor]


class Sample:
    """An operator with arguments, as a function of those that are differentiated."""

    def __init__(self, operator: Any, sample: Any):
        self._operator = operator
        self._sample = sample
        leaves, self._tree = optree.tree_flatten((sample.input, sample.args, sample.kwargs))
        self._leaves = leaves
        self._where = [k for k, x in enumerate(leaves) if isinstance(x, torch.Tensor) and x.requires_grad]
        self.point: Arrays = [leaves[k].detach().clone() for k in self._where]

    @property
    def fits(self) -> bool:
        """Whether it is small, of real numbers, and finite."""
        if not 0 < sum(x.numel() for x in self.point) <= LARGEST or any(x.dtype != F64 for x in self.point):
            return False
        values = self(*self.point)
        return 0 < sum(y.numel() for y in values) <= LARGEST and all(bool(y.isfinite().all()) for y in values)

    def __call__(self, *arrays: torch.Tensor) -> Arrays:
        """Run the operator, with the same random numbers each time."""
        torch.manual_seed(0)
        leaves = [x.detach().clone() if isinstance(x, torch.Tensor) else x for x in self._leaves]
        for k, x in zip(self._where, arrays, strict=True):
            leaves[k] = x.clone()  # some operators write to what they are given
        first, args, kwargs = optree.tree_unflatten(self._tree, leaves)
        result = self._operator.op(first, *args, **kwargs)
        if self._sample.output_process_fn_grad is not None:
            result = self._sample.output_process_fn_grad(result)
        found = optree.tree_leaves(result)
        return [y for y in found if isinstance(y, torch.Tensor) and y.dtype == F64]

    def jacobian(self, transform: Callable[..., Any], **options: Any) -> Arrays:
        """Return the blocks of the Jacobian."""
        blocks = transform(self, argnums=tuple(range(len(self.point))), **options)(*self.point)
        return [block for of_output in blocks for block in of_output]

    def tangents(self, backend: Any = None) -> Arrays:
        """Return the products of the Jacobian with `directions`."""
        push = anyjac.jvp(self, argnums=tuple(range(len(self.point))), backend=backend)
        return list(push(tuple(self.directions), *self.point))

    @property
    def directions(self) -> Arrays:
        """One tangent for each input."""
        return [torch.cos(torch.arange(x.numel(), dtype=F64) + 1.0).reshape(x.shape) for x in self.point]

    def products(self, blocks: Arrays) -> Arrays:
        """Return the products of given blocks with `directions`."""
        count = len(self.point)
        rows = [blocks[start : start + count] for start in range(0, len(blocks), count)]
        return [sum(_product(block, t) for block, t in zip(row, self.directions, strict=True)) for row in rows]


def _product(block: torch.Tensor, tangent: torch.Tensor) -> torch.Tensor:
    return torch.tensordot(block, tangent, dims=tangent.ndim)


def samples(operator: Any) -> Iterator[Sample]:
    found = itertools.islice(operator.sample_inputs("cpu", F64, requires_grad=True), LOOKED_AT)
    small = [sample for sample in (Sample(operator, given) for given in found) if sample.fits]
    yield from small[:: max(1, len(small) // SAMPLES)]


def assert_same(found: Sequence[torch.Tensor], expected: Sequence[torch.Tensor]) -> None:
    assert len(found) == len(expected)
    for mine, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-7, atol=1e-8, equal_nan=True)


def test_the_exceptions_are_operators_that_there_are() -> None:
    assert set(EXCEPTIONS) <= {operator.name for operator in op_db}
    assert len(OPERATORS) > 450


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", OPERATORS)
def test_an_operator_has_one_jacobian_in_every_mode(name: str) -> None:
    for sample in samples(OPERATORS[name]):
        expected = sample.jacobian(anyjac.jacrev, backend=ONE_BY_ONE)
        assert_same(sample.jacobian(anyjac.jacrev), expected)
        assert_same(sample.jacobian(anyjac.jacrev, chunk_size=1), expected)
        assert_same(sample.jacobian(anyjac.jacfwd), expected)
        for backend in (None, DUALS):
            assert_same(sample.tangents(backend), sample.products(expected))
