"""Which running call owns which Variable: a call owns each Variable that it touches until it has finished.

This is two-phase locking with one condition for the whole process. Calls that touch the same Variable run one after
the other, so that none loses a write; calls that share no Variable run side by side. Two calls that wait for each
other are found out, and one is refused. Knows owners and owned things only as objects with two attributes.
"""

from __future__ import annotations

import threading
from typing import Protocol

from anyjac_plugins.errors import ConcurrencyError


class Owned(Protocol):
    """Something that one running call at a time may use."""

    _owner: Owner | None

    def label(self) -> str:
        """Return how messages call it, without using it."""
        ...


class Owner(Protocol):
    """The outermost scope of a running call."""

    owned: list[Owned]
    waits_for: Owned | None


_changed = threading.Condition()


def acquire(owner: Owner, thing: Owned) -> None:
    """Wait until no other call owns `thing`, then own it.

    Raises
    ------
    ConcurrencyError
        If the call that owns it waits, directly or by way of others, for something that `owner` owns.
    """
    if thing._owner is owner:
        return
    with _changed:
        while thing._owner is not None:
            if _leads_back(thing._owner, owner):
                raise ConcurrencyError(
                    f"two concurrent calls touch the same Variables in different orders and wait for each other, the "
                    f"second one at {thing.label()}; give them one order, or run the calls one after the other"
                )
            owner.waits_for = thing
            try:
                _changed.wait()
            finally:
                owner.waits_for = None
        thing._owner = owner
        owner.owned.append(thing)


def release_all(owner: Owner) -> None:
    """Give up everything that `owner` owns and wake whoever waits."""
    if not owner.owned:
        return
    with _changed:
        for thing in owner.owned:
            thing._owner = None
        owner.owned.clear()
        _changed.notify_all()


def _leads_back(holder: Owner, owner: Owner) -> bool:
    current: Owner | None = holder
    while current is not None and current.waits_for is not None:
        current = current.waits_for._owner
        if current is owner:
            return True
    return False
