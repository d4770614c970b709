"""A target transaction that is done again, without servers: what its process says of it, and when it gives way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from unittest.mock import Mock

import pymysql.err
import pytest

from bisync_topology.errors import LostOwnership, Repeat
from bisync_topology.ownership import Report
from consumers import passing
from consumers.passing import Passing

LOCKED = pymysql.err.OperationalError(1205, "Lock wait timeout exceeded; try restarting transaction")
DEADLOCK = pymysql.err.OperationalError(1213, "Deadlock found when trying to get lock; try restarting transaction")


class World:
    """One direction's passing, beside fakes."""

    def __init__(self) -> None:
        self.writer = Mock()
        self.report = Report(state="running", detail={"held": 1})
        self.ownership: Any = Mock(report=self.report, held=True, process="applier west")
        self.halted = False
        self.passing = Passing(self.writer, Mock(repeated=0), Mock(), self.ownership, lambda: self.halted)
        self.seen: list[dict[str, Any]] = []  # what the report said when an attempt began

    def run(self, *outcomes: Exception | None) -> None:
        """Do a transaction whose attempts end so."""
        rest: Iterator[Exception | None] = iter(outcomes)

        def attempt() -> None:
            self.seen.append(dict(self.report.detail))
            if (error := next(rest)) is not None:
                raise error

        self.passing.repeat(attempt)


@pytest.fixture
def world() -> World:
    """A world."""
    return World()


@pytest.fixture
def long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything takes long enough to be said."""
    monkeypatch.setattr(passing, "QUIET_SECONDS", 0.0)


@pytest.mark.usefixtures("long")
def test_a_held_lock_is_said_until_it_is_free(world: World) -> None:
    """The report names the error, its advice and the attempt, beside what it says anyway; then it is taken back at once."""
    world.run(LOCKED, LOCKED, None)
    words = {"waits_for": LOCKED.args[1], "hint": "another session holds the row; repeated by itself"}
    assert world.seen == [{"held": 1}, *({"held": 1, "repeats": {**words, "attempt": attempt}} for attempt in (1, 2))]
    assert world.report == Report(state="running", detail={"held": 1}, urgent=True)
    assert world.writer.rollback.call_count == 2


def test_a_quick_deadlock_is_not_said(world: World) -> None:
    """The second attempt succeeds: nothing flickers, and not even a stop undoes it."""
    world.halted = True
    world.run(DEADLOCK, None)
    assert world.seen == [{"held": 1}] * 2
    assert not world.report.urgent


@pytest.mark.usefixtures("long")
def test_a_pause_is_heard_while_a_lock_is_held(world: World) -> None:
    """The transaction is undone, and left to the next start."""
    world.halted = True
    with pytest.raises(Repeat):
        world.run(LOCKED)
    assert world.writer.rollback.call_count == 1
    assert world.report.detail == {"held": 1}


@pytest.mark.usefixtures("long")
def test_a_lost_lock_of_ours_is_seen_while_a_row_is_locked(world: World) -> None:
    """Another process may own the work by now."""
    world.ownership.held = False
    world.ownership.check.side_effect = LostOwnership("x")
    with pytest.raises(LostOwnership):
        world.run(LOCKED)


@pytest.mark.usefixtures("long")
def test_what_is_given_up_is_not_said_any_more(world: World) -> None:
    """Another error ends it: it is said in its own place."""
    with pytest.raises(pymysql.err.OperationalError, match="gone away"):
        world.run(LOCKED, pymysql.err.OperationalError(2006, "MySQL server has gone away"))
    assert world.report.detail == {"held": 1}
