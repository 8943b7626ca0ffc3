"""Names that are PyTorch's own and may move from version to version, each under one name of ours.

No other file of this package imports or reads such a name, but for private attributes of storages, schemas and
modules, each of which one file alone reads. What PyTorch imports late is imported late here too.
Knows nothing of derivatives.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import torch
from torch import overrides
from torch._functorch import eager_transforms, pyfunctorch
from torch.autograd import forward_ad, grad_mode
from torch.autograd import graph as autograd_graph
from torch.fx.experimental import proxy_tensor
from torch.nn.utils import parametrize
from torch.utils import _python_dispatch, _pytree
from torch.utils._python_dispatch import TorchDispatchMode

from anyjac_plugins import Array

_C: Any = torch._C
_functorch: Any = torch._C._functorch
_overrides: Any = overrides
_parametrize: Any = parametrize

# ---- single tensors --------------------------------------------------------------------------------------------------

# Methods of tensors as they are, since a function around one would take as long as the method itself.
is_view: Final[Callable[[Array], bool]] = torch.Tensor._is_view
is_zero_mark: Final[Callable[[Array], bool]] = torch.Tensor._is_zerotensor


class OperatorMode(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """A mode that sees each operator, and under which functions of `torch.compile` are compiled."""

    @classmethod
    def is_infra_mode(cls) -> bool:
        """Return True, as PyTorch's own modes do: under modes of users, Dynamo compiles nothing."""
        return True


def version_of(tensor: Array) -> int:
    """Return how often the memory of a tensor was written, as far as PyTorch counts."""
    version: int = tensor._version
    return version


# ---- graphs of torch.autograd ----------------------------------------------------------------------------------------

AccumulateGrad: Final[Any] = _C._functions.AccumulateGrad
"""The type of a leaf's node, which has the leaf as its ``variable``."""

version_kept: Final[Callable[[Array], contextlib.AbstractContextManager[Any]]] = (
    grad_mode._unsafe_preserve_version_counter
)
"""Makes a context in which writes to a tensor do not count up its version."""

set_grad_enabled: Final[Any] = _C._set_grad_enabled
"""The operator by which `torch.no_grad` and its like are seen in a mode."""

set_tangents_enabled: Final[Callable[[bool], None]] = _C._set_fwd_grad_enabled
"""Switches tangents of dual tensors on or off, as `set_grad_enabled` does graphs."""


def saved(node: Any, name: str) -> Any:
    """Return what a node has saved of its run for its backward pass, under the name of a parameter or a result."""
    return getattr(node, f"_saved_{name}")


def run_backward(
    outputs: Sequence[Array], cotangents: Sequence[Array], roots: Sequence[Array], *, differentiable: bool
) -> tuple[Array | None, ...]:
    """Return what `torch.autograd.grad` does, without its checks, which take a fifth of a small pass."""
    return autograd_graph._engine_run_backward(
        outputs, cotangents, True, differentiable, roots, allow_unreachable=True, accumulate_grad=False
    )


# ---- transforms of torch.func ----------------------------------------------------------------------------------------

innermost_transform: Final[Callable[[], Any]] = _functorch.peek_interpreter_stack
"""Returns the innermost running transform; None outside all of them."""

running_transforms: Final[Callable[[], Sequence[Any] | None]] = _functorch.get_interpreter_stack
"""Returns all running transforms, the outermost first; None outside all of them."""

outside_transforms: Final[Callable[[], contextlib.AbstractContextManager[Any]]] = (
    pyfunctorch.temporarily_clear_interpreter_stack
)
"""Makes a context in which no transform runs."""

JVP: Final[Any] = _functorch.TransformType.Jvp
"""The key of `torch.func.jvp` among the transforms."""

VMAP: Final[Any] = _functorch.TransformType.Vmap
"""The key of `torch.func.vmap`."""

# Tensors that a running transform has wrapped, and those over which a map runs.
is_wrapped: Final[Callable[[Array], bool]] = _functorch.is_functorch_wrapped_tensor
is_mapped: Final[Callable[[Array], bool]] = _functorch.is_batchedtensor
unwrapped: Final[Callable[[Array], Array]] = _functorch.get_unwrapped
level_of: Final[Callable[[Array], int]] = _functorch.maybe_get_level

# A map, and the tensor that stands for each row of a batch within. Arguments are (count, randomness), (batch, axis,
# level) and (row, level, count, axis).
begin_map: Final[Callable[[int, str], int]] = _functorch._vmap_increment_nesting
end_map: Final[Callable[[], int]] = _functorch._vmap_decrement_nesting
row_of_map: Final[Callable[[Array, int, int], Array]] = _functorch._add_batch_dim
batch_from_map: Final[Callable[[Array, int, int, int], Array]] = _functorch._remove_batch_dim

# A differentiation, and tensors within.
begin_gradient: Final[Callable[[], int]] = _functorch._grad_increment_nesting
end_gradient: Final[Callable[[], int]] = _functorch._grad_decrement_nesting
wrap_in_gradient: Final[Callable[[Array, int], Array]] = _functorch._wrap_for_grad
unwrap_from_gradient: Final[Callable[[Array, int], Array]] = _functorch._unwrap_for_grad


def require_gradients(tensors: Sequence[Array]) -> list[Array]:
    """Have tensors differentiated, those too that a transform has wrapped, where PyTorch refuses users to do so."""
    before = _functorch.get_inplace_requires_grad_allowed()
    _functorch.set_inplace_requires_grad_allowed(True)
    try:
        return [tensor.requires_grad_() for tensor in tensors]
    finally:
        _functorch.set_inplace_requires_grad_allowed(before)


# ---- dual tensors ----------------------------------------------------------------------------------------------------


def has_level_of_duals() -> bool:
    """Return whether there is a level of dual tensors, in any thread."""
    return forward_ad._current_level >= 0


def has_jvp_of_func() -> bool:
    """Return whether `torch.func.jvp` runs, in any thread."""
    return bool(eager_transforms.JVP_NESTING)


# ---- modes -----------------------------------------------------------------------------------------------------------

without_overrides: Final[Callable[[], contextlib.AbstractContextManager[Any]]] = _C.DisableTorchFunction
"""Makes a context in which operators are PyTorch's alone: neither modes nor classes of tensors are asked."""

without_dispatch_modes: Final[Callable[[], contextlib.AbstractContextManager[Any]]] = (
    _python_dispatch._disable_current_modes
)
"""Makes a context in which no dispatch mode sees an operator, the one that records a graph neither."""

dispatch_mode_count: Final[Callable[[], int]] = _C._len_torch_dispatch_stack
"""Returns how many dispatch modes there are in this thread."""

dispatch_modes: Final[Callable[[], Sequence[Any]]] = _python_dispatch._get_current_dispatch_mode_stack
"""Returns the dispatch modes of this thread, the outermost first."""

function_modes: Final[Callable[[], list[Any]]] = _overrides._get_current_function_mode_stack
"""Returns the modes of `torch.overrides` in this thread, the outermost first."""


def set_function_modes(modes: Sequence[Any]) -> None:
    """Put modes of `torch.overrides` in the place of those of this thread."""
    while function_modes():
        _overrides._pop_mode()
    for mode in modes:
        _overrides._push_mode(mode)


# ---- recording and compiling -----------------------------------------------------------------------------------------

# The step of a graph is what `make_fx` has recorded for a tensor, if anything.
make_fx: Final[Callable[..., Any]] = proxy_tensor.make_fx
recording_mode: Final[Callable[[], Any]] = proxy_tensor.get_proxy_mode
step_of: Final[Callable[..., Any]] = proxy_tensor.get_proxy_slot
set_step: Final[Callable[..., None]] = proxy_tensor.set_proxy_slot


def recorded_steps() -> int:
    """Return how many steps the graph that is being recorded has; 0 where none is."""
    mode = recording_mode()
    return 0 if mode is None else len(mode.tracer.graph.nodes)


def drop_steps_after(count: int) -> None:
    """Drop the last steps of the graph that is being recorded, those of an attempt that has failed.

    A step that has failed is recorded all the same, and would fail again wherever the graph runs.
    """
    mode = recording_mode()
    if mode is None:
        return
    graph = mode.tracer.graph
    for node in reversed(list(graph.nodes)[count:]):
        if not node.users:
            graph.erase_node(node)


def _bernoulli(probabilities: Array, *, generator: torch.Generator | None = None) -> Array:
    drawn = torch.empty_like(probabilities, memory_format=torch.contiguous_format)
    return torch.Tensor.bernoulli_(drawn, probabilities, generator=generator)


DRAWN_ALIKE: Final[dict[Any, Callable[..., Array]]] = {torch.ops.aten.bernoulli.default: _bernoulli}
"""Operators of which the code generator makes its own, which draw other numbers, and what to record in their place."""

OverloadedOperator: Final[Any] = torch._ops.OpOverload
"""The type of operators as a graph has them, which PyTorch calls itself while it records."""

autocast_is_on: Final[Callable[[], bool]] = _C._is_any_autocast_enabled
autocast_off: Final[Callable[[], contextlib.AbstractContextManager[Any]]] = _C._DisableAutocast


def generate_code(graph: Any, example: Sequence[Array], options: dict[str, Any]) -> Any:
    """Return a recorded graph compiled by PyTorch's code generator, without guards."""
    return torch._inductor.compile(graph, list(example), options=options)


def generator_options(change: Callable[[Any], None], version: str) -> dict[str, Any]:
    """Return options of the code generator with which it changes each graph, and draws random numbers as operators do.

    Parameters
    ----------
    change
        Changes a graph, last before operators become writes.
    version
        Names what `change` does, among the keys of the generator's cache.
    """
    from torch._inductor import config
    from torch._inductor.custom_graph_pass import CustomGraphPass

    of_user: Any = config.post_grad_custom_post_pass

    class Change(CustomGraphPass):
        def __call__(self, graph: Any) -> None:
            change(graph)

        def uuid(self) -> str:
            return version

    passes = Change() if of_user is None else [*(of_user if isinstance(of_user, list | tuple) else [of_user]), Change()]
    return {"post_grad_custom_post_pass": passes, "fallback_random": True}


def compiler_is_loaded() -> bool:
    """Return whether any function can have been compiled by `torch.compile`; its import takes seconds."""
    return "torch._dynamo.eval_frame" in sys.modules


@contextlib.contextmanager
def unseen_by_the_compiler() -> Iterator[None]:
    """Run functions as Python says within a function of `torch.compile`, whose compiler looks at all of them."""
    set_callback = torch._C._dynamo.eval_frame.set_eval_frame
    before = set_callback(None)
    try:
        yield
    finally:
        set_callback(before)


def cuda_is_in_use() -> bool:
    """Return whether anything has run on CUDA; to ask for states of its generators would start it."""
    return bool(torch.cuda.is_initialized())  # type: ignore[no-untyped-call]


def compile_lock() -> Any:
    """Return the lock under which Dynamo compiles, in one thread at a time."""
    from torch._dynamo import convert_frame

    return convert_frame.compile_lock


# ---- trees -----------------------------------------------------------------------------------------------------------

map_leaves: Final[Callable[[Callable[[Any], Any], Any], Any]] = _pytree.tree_map


def registered_container(node: object) -> Any:
    """Return how PyTorch takes a container apart; None for what is none to it."""
    return _pytree.SUPPORTED_NODES.get(type(node))


# ---- parametrizations ------------------------------------------------------------------------------------------------


def parametrizations_are_cached() -> bool:
    """Return whether `torch.nn.utils.parametrize.cached` is on."""
    return bool(_parametrize._cache_enabled)


def parametrization_cache() -> Any:
    """Return the dict in which PyTorch keeps parametrized tensors."""
    return _parametrize._cache


def set_parametrization_cache(cache: Any) -> None:
    """Give PyTorch another dict to keep parametrized tensors in."""
    _parametrize._cache = cache
