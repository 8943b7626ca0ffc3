"""Modes of PyTorch around the current code: the one that records a graph, and inference mode.

In inference mode tensors have neither graphs nor versions: computations that need them leave the mode.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

from anyjac_plugins import Array

from .private import recording_mode


def is_recording() -> bool:
    """Return whether operators are being recorded as a graph, in which each chunk of rows is spelled out."""
    return recording_mode() is not None


@contextlib.contextmanager
def outside_inference_mode() -> Iterator[None]:
    """Leave inference mode, if it is on; whether gradients are recorded stays as it is."""
    if not torch.is_inference_mode_enabled():
        yield
        return
    recorded = torch.is_grad_enabled()
    with torch.inference_mode(False), torch.set_grad_enabled(recorded):
        yield


def copied(array: Array) -> Array:
    """Return a copy with a version, which counts the writes to the copy."""
    if not torch.is_inference_mode_enabled():
        return array.clone()
    with outside_inference_mode():
        return array.clone()
