"""Plugins installed for a single test, and backends registered at run time for as long."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from anyjac_minimal.backend import MinimalBackend
from fakes import Site

import anyjac
from anyjac_plugins import Backend, BackendSpec


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A folder on the path of this process; what is imported from it is forgotten afterwards."""
    monkeypatch.syspath_prepend(tmp_path / "site")
    site = Site(tmp_path / "site")
    yield site
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None)).startswith(str(site.path)):
            del sys.modules[name]


@pytest.fixture
def register() -> Iterator[Callable[..., None]]:
    """`anyjac.register_backend`, undone after the test."""
    names = []

    def register(backend: Backend | BackendSpec, **options: bool) -> None:
        anyjac.register_backend(backend, **options)
        names.append(backend.name)

    yield register
    for name in dict.fromkeys(names):
        anyjac.unregister_backend(name)


@pytest.fixture
def minimal() -> MinimalBackend:
    """A new object of the third-party backend."""
    return MinimalBackend()
