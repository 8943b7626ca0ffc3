"""Keeps PyTorch from generating code, which takes seconds for each function, in tests of other things."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def recorded_graphs(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the graphs that PyTorch records uncompiled, except in tests marked ``needs("compiler")``."""
    if not any("compiler" in marker.args for marker in request.node.iter_markers("needs")):
        from anyjac_torch import code_generation

        monkeypatch.setattr(code_generation, "is_possible", lambda: False)
