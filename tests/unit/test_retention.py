"""When old conflicts are looked for, and how many go at a time; told to control tables that note it."""

from types import SimpleNamespace
from typing import Any

import pymysql.err
import pytest

from consumers import retention
from consumers.retention import BATCH, BUSY_SECONDS, IDLE_SECONDS, Retention


class Old:
    """A table with so many conflicts that are old enough."""

    def __init__(self, number: int, *, days: float = 90, error: int = 0) -> None:
        self.number = number
        self.topology = SimpleNamespace(name="shop", conflicts=SimpleNamespace(retention_ms=int(days * 86_400_000)))
        self.done: list[str] = []
        self.connection = SimpleNamespace(
            commit=lambda: self.done.append("commit"), rollback=lambda: self.done.append("rollback")
        )
        self.error = error
        self.before = 0

    def matched(self, name: str, topology: str, source: str, before: int, limit: int) -> int:
        """Delete some."""
        assert (name, topology, source) == ("delete_conflicts", "shop", "east")
        self.done.append("delete")
        if self.error:
            raise pymysql.err.OperationalError(self.error, "locked")
        self.before = before
        gone = min(limit, self.number)
        self.number -= gone
        return gone


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A clock that the test moves."""
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(retention.time, "monotonic", lambda: clock.now)
    return clock


def aging(table: Old) -> Retention:
    """The retention of east to west."""
    control: Any = table
    return Retention(control, "east")


def test_small_batches_while_idle(clock: SimpleNamespace) -> None:
    """One batch a call, each a transaction of its own, until none is left; then not before a minute has passed."""
    table = Old(2 * BATCH + 1)
    kept = aging(table)
    for _ in range(10):
        kept.delete_when_due(idle=True)
    assert table.done == ["delete", "commit"] * 3 and table.number == 0
    clock.now += IDLE_SECONDS
    kept.delete_when_due(idle=True)
    assert table.done == ["delete", "commit"] * 4


def test_seldom_while_busy(clock: SimpleNamespace) -> None:
    """A batch every few minutes, however many are left."""
    table = Old(10 * BATCH)
    kept = aging(table)
    for _ in range(3):
        for _ in range(5):
            kept.delete_when_due(idle=False)
        clock.now += BUSY_SECONDS
    assert table.number == 7 * BATCH


def test_age(clock: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that were settled before the retention's time; `forever` keeps all."""
    monkeypatch.setattr(retention, "now_us", lambda: 100 * 86_400_000_000)
    table = Old(1)
    aging(table).delete_when_due(idle=True)
    assert table.before == 10 * 86_400_000_000
    for_ever = Old(1)
    for_ever.topology.conflicts.retention_ms = -1
    aging(for_ever).delete_when_due(idle=True)
    assert for_ever.done == []


def test_whoever_holds_the_rows_has_them(clock: SimpleNamespace) -> None:
    """A lock that cannot be had does not disturb applying; an outage is for whoever waits it out."""
    table = Old(1, error=1205)
    kept = aging(table)
    kept.delete_when_due(idle=True)
    kept.delete_when_due(idle=True)
    assert table.done == ["delete", "rollback"]
    with pytest.raises(pymysql.err.OperationalError):
        aging(Old(1, error=2013)).delete_when_due(idle=True)
