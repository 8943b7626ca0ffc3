"""Which running call owns which Variable: from the first touch until the call has finished.

This is two-phase locking. Calls that touch the same Variable run one after the other, so that none loses a write; calls
that share no Variable run side by side. Calls that wait for each other in a ring are found out, and the youngest of
them is refused. Knows owners and owned things only as objects with a few attributes.

Nothing here holds a lock that an interrupt could leave locked: claims are single operations on a dict, which are
atomic, and a waiting call looks again from time to time.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Final, Protocol

from anyjac_plugins.errors import ConcurrencyError

from .waiting_threads import WaitingThread

LOOK_AGAIN_S: Final = 0.05
"""How long a call waits, in seconds, before it looks for a ring of waiting calls again."""

PATIENCE_S = 5.0
"""How long a read or write outside of all scopes waits, in seconds, for a call whose thread is seen to wait too."""

LONGEST_PATIENCE_S = 30.0
"""How long they wait for any call, and how long a call waits for another whose thread is seen to wait."""

_owners: dict[int, Owner] = {}
_ages: Iterator[int] = itertools.count()
_finished = 0


class Owned(Protocol):
    """Something that one running call at a time may use."""

    def label(self) -> str:
        """Return how messages call it, without using it."""
        ...


class Owner:
    """The part of a running call that owns things.

    Attributes
    ----------
    claimed
        What it owns, or was about to.
    waits_for
        What it waits for, if it waits.
    waiters
        Locks that others wait at, to be opened when it has finished.
    age
        A number that grows from call to call.
    missed
        What it could not have at once, while it must not wait; None where it may.
    changed
        Identities of the Variables whose value in the call is another one than outside: differentiated, or written.
    thread
        The thread of the call.
    """

    __slots__ = ("__weakref__", "age", "changed", "claimed", "missed", "thread", "waiters", "waits_for")

    def __init__(self) -> None:
        self.claimed: list[Owned] = []
        self.waits_for: Owned | None = None
        self.waiters: list[threading.Lock] = []
        self.age = next(_ages)
        self.missed: list[Any] | None = None
        self.changed: set[int] = set()
        self.thread = threading.get_ident()


class BusyError(Exception):
    """The wanted thing is owned by another call, for which this call must not wait here."""


def _forget_other_threads() -> None:
    """Give up, in the child of a fork, whatever threads owned that the child does not have."""
    for key, owner in list(_owners.items()):
        if owner.thread != threading.get_ident():
            del _owners[key]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_other_threads)


def owner_of(thing: Owned) -> Owner | None:
    """Return the call that owns `thing` now, if any."""
    return _owners.get(id(thing))


def acquire(owner: Owner, thing: Owned) -> None:
    """Wait until no other call owns `thing`, then own it.

    Raises
    ------
    BusyError
        If another call owns `thing`, and `owner` must not wait; `thing` is added to ``owner.missed`` then.
    ConcurrencyError
        If the calls wait for each other in a ring, directly or by way of others, and `owner` is the youngest of them;
        or if the thread of the other call waits for long, as for a thread that its function has started; or if the
        other is a call around this one in the same thread, which can end only after it.
    """
    if _owners.get(id(thing)) is owner:
        return
    owner.claimed.append(thing)  # before the claim, so that an interrupt in between leaves nothing claimed for ever
    watch: WaitingThread | None = None
    while (holder := _owners.setdefault(id(thing), owner)) is not owner:
        watch = _take_turn(owner, holder, thing, watch)


def wait_to_read(thing: Owned) -> None:
    """Wait, before a read outside of all scopes, for a call of another thread that has another value for a Variable.

    The thread may be one whose end the function of the call waits for. It cannot be told from others, and the value
    outside would be a constant in the call; so the read is refused when it has waited for long.

    Raises
    ------
    ConcurrencyError
        Naming the Variable.
    """
    _wait_beside(
        thing, lambda owner: id(thing) in owner.changed, "read", "What it was before the call, committed() says"
    )


def wait_to_write(thing: Owned) -> None:
    """Wait, before a write outside of all scopes, for a call of another thread that owns a Variable.

    Raises
    ------
    ConcurrencyError
        Naming the Variable, as `wait_to_read` does.
    """
    mend = "Let the thread return the value, and write it afterwards"
    while _wait_beside(thing, lambda owner: True, "written", mend):
        pass  # another call may own it by now


def _wait_beside(thing: Owned, minds: Callable[[Owner], bool], done: str, mend: str) -> bool:
    """Wait for the call that owns a Variable now, if the call minds, and return whether any did.

    What it has stored may be read then, though the next call owns the Variable already.
    """
    owner = _owners.get(id(thing))
    if owner is None or owner.thread == threading.get_ident() or not minds(owner):
        return False
    began, watch = time.monotonic(), WaitingThread(owner.thread)
    while _owners.get(id(thing)) is owner:
        waited = time.monotonic() - began
        if waited > LONGEST_PATIENCE_S or watch.waited_s() > PATIENCE_S:
            raise ConcurrencyError(
                f"{thing.label()} is {done} in a thread, while a transform that uses it has been running in another "
                f"thread for {waited:.1g} s; the thread is outside of that call, which may be waiting for it. Read "
                f"Variables before the thread starts, and hand the values over. {mend}"
            )
        _wait_for(owner, thing)
        watch.look()
    return True


def let_finish(owner: Owner, thing: Owned) -> None:
    """Wait until no other call owns `thing`, without owning it then; the errors are those of `acquire`."""
    watch: WaitingThread | None = None
    while (holder := _owners.get(id(thing), owner)) is not owner:
        watch = _take_turn(owner, holder, thing, watch)


def _take_turn(owner: Owner, holder: Owner, thing: Owned, watch: WaitingThread | None) -> WaitingThread:
    """Wait for a while, unless that is not allowed, or would be for ever, and return the watch on the holder.

    Raises
    ------
    BusyError, ConcurrencyError
        As `acquire` does.
    """
    if owner.missed is not None:
        owner.missed.append(thing)
        raise BusyError(thing.label())
    if holder.thread == threading.get_ident():
        raise ConcurrencyError(
            f"a call uses {thing.label()}, which a call around it in the same thread uses until its end, and runs "
            f"outside of the function of that call, as in a backward pass: it would wait for itself. Read the Variable "
            f"in the function, and hand the value over"
        )
    if watch is None or watch.thread != holder.thread:
        watch = WaitingThread(holder.thread)
    owner.waits_for = thing
    try:
        if _is_youngest_in_ring(owner):
            raise ConcurrencyError(
                f"two concurrent calls touch the same Variables in different orders and wait for each other, this one "
                f"at {thing.label()}; give them one order, or run the calls one after the other"
            )
        if watch.waited_s() > LONGEST_PATIENCE_S:
            raise ConcurrencyError(
                f"a call in this thread uses {thing.label()}, which a call of another thread uses until its end; that "
                f"thread has itself been waiting for {watch.waited_s():.0f} s, perhaps for this one. Let a function "
                f"that is differentiated start no calls in threads on its own Variables: hand values over, or call "
                f"them in the same thread"
            )
        _wait_for(holder, thing)
        watch.look()
    finally:
        owner.waits_for = None
    return watch


def finished_calls() -> int:
    """Return a number that changes whenever a call has given up its Variables."""
    return _finished


def release_all(owner: Owner) -> None:
    """Give up everything that `owner` owns and wake whoever waits; may be repeated."""
    global _finished
    if owner.claimed:
        _finished = next(_ages)
    for thing in owner.claimed:
        if _owners.get(id(thing)) is owner:
            del _owners[id(thing)]
    for gate in list(owner.waiters):
        if gate.locked():
            gate.release()


def _wait_for(holder: Owner, thing: Owned) -> None:
    gate = threading.Lock()
    gate.acquire()
    holder.waiters.append(gate)
    try:
        if _owners.get(id(thing)) is holder:  # otherwise it has finished meanwhile, perhaps without seeing the gate
            gate.acquire(timeout=LOOK_AGAIN_S)
    finally:
        holder.waiters.remove(gate)


def _is_youngest_in_ring(owner: Owner) -> bool:
    ages = [owner.age]
    current: Owner | None = owner
    while current is not None and current.waits_for is not None and len(ages) <= len(_owners) + 1:
        current = _owners.get(id(current.waits_for))
        if current is owner:
            return owner.age == max(ages)
        if current is not None:
            ages.append(current.age)
    return False
