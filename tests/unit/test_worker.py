"""What a process does with an error, without servers."""

from __future__ import annotations

import threading
from typing import Any, cast
from unittest.mock import Mock

import pymysql.err
import pytest

from bisync_topology import worker
from bisync_topology.errors import CaptureError
from bisync_topology.ownership import Ownership, Report
from bisync_topology.restarts import Backoff

READ_ONLY = pymysql.err.OperationalError(1290, "The MySQL server is running with the --read-only option")


class Stop(threading.Event):
    """Passes every pause at once, and notes it; the third one is the last."""

    def __init__(self) -> None:
        super().__init__()
        self.pauses: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        """Note it."""
        self.pauses.append(timeout or 0.0)
        if len(self.pauses) == 3:
            self.set()
        return self.is_set()


class Fails:
    """Work that meets the same change each time."""

    pausable = False

    def __init__(self, stop: threading.Event) -> None:
        self.directions = [("east", "west")]
        self.calls = 0
        self._stop = stop

    def work(self, _: Backoff) -> None:
        """Fail; where nobody pauses it, do not go on for ever."""
        self.calls += 1
        if self.calls == 100:
            self._stop.set()
        raise CaptureError("the table has no key", code="no_key", hint="add one")

    def interrupt(self) -> None:
        """Nothing waits."""

    def close(self) -> None:
        """Nothing is open."""


def test_an_error_that_cannot_be_recorded_is_met_after_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lock is held and its side takes no write: work is not begun again at once, and the report says what it waits for."""
    monkeypatch.setattr(worker, "gc", Mock())
    stop, report = Stop(), Report()
    owner: Any = Mock(process="producer east", side="east", held=True, wanted={}, report=report)
    owner.fail.side_effect = READ_ONLY
    work = Fails(stop)
    worker.run_worker("producer", work, cast("Ownership", owner), stop)
    assert work.calls == 3 and all(pause > 0 for pause in stop.pauses)
    assert stop.pauses == sorted(stop.pauses), "they grow"
    assert report.state == "waiting"
    assert "no key" in report.detail["waits_for"] and "read-only" in report.detail["waits_for"]
    assert report.detail["hint"] == "add one"
