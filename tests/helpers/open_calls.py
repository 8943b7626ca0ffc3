"""Checks that a call has ended: no scope is open, and no Variable is owned."""

import contextvars

import pytest

from anyjac import Variable
from anyjac.state.context import current_scope
from anyjac.state.ownership import owner_of


def is_open() -> bool:
    """Return whether a call is open in this thread or task."""
    return current_scope() is not None


def is_owned(variable: Variable) -> bool:
    """Return whether a running call owns a Variable."""
    return owner_of(variable) is not None


def waiting_at(variable: Variable) -> int:
    """Return the number of locks at the call that owns a Variable: one for each waiting call."""
    owner = owner_of(variable)
    return 0 if owner is None else len(owner.waiters)


def assert_nothing_open(*variables: Variable) -> None:
    """Check that no call has left anything in the context, or owns any of the Variables."""
    assert not is_open()
    here = contextvars.copy_context().items()
    assert {variable.name: value for variable, value in here if variable.name.startswith("anyjac_") and value} == {}
    assert [variable for variable in variables if is_owned(variable)] == []


def make_impatient(monkeypatch: pytest.MonkeyPatch, patience_s: float = 0.1) -> None:
    """Let whatever waits for a call whose thread waits itself do so no longer than a moment."""
    monkeypatch.setattr("anyjac.state.ownership.PATIENCE_S", patience_s)
    monkeypatch.setattr("anyjac.state.ownership.LONGEST_PATIENCE_S", max(patience_s, 1.0))
