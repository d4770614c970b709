"""`verify` again and again, as a child process of `up`: throttled, and nothing is repaired. What it found last is in `status`.

It only reads, so that it may be ended at any moment; told to stop, it ends at once.
"""

from __future__ import annotations

import json
import os
import threading
import time
from typing import Any

import pymysql.err
import structlog

from bisync_topology.control import Control
from bisync_topology.errors import BisyncError, words
from bisync_topology.mysql import connect
from bisync_topology.ownership import Report as ProcessReport
from bisync_topology.ownership import now_us, report_process
from bisync_topology.process import VERIFIER
from bisync_topology.topology import Topology
from verification.chunks import CHUNK_ROWS
from verification.report import Report
from verification.run import Options, verify

_SHOWN = 10  # tables that differ
_RETRY_SECONDS = 30.0  # after a server was away
_POLL_SECONDS = 0.2

log = structlog.get_logger()


class Pace:
    """Goes no faster than so many rows a second, on either side."""

    def __init__(self, rows_per_second: int) -> None:
        self._rows_per_second = rows_per_second
        self._due = 0.0

    def begin(self, rows: int) -> None:
        """See run.Progress."""
        self._due = time.monotonic()

    def passed(self, rows: int) -> None:
        """See run.Progress: wait until as many rows may have been gone through."""
        self._due = self.due(self._due, rows, time.monotonic())
        time.sleep(max(0.0, self._due - time.monotonic()))

    def due(self, before: float, rows: int, now: float) -> float:
        """When the next rows may be read. Time that was not used is not made up for."""
        return max(before, now - 1.0) + rows / self._rows_per_second


def run(topology: Topology, side: str, stop: threading.Event) -> None:
    """Run until told to stop. side: where it keeps what it found."""
    ended: list[BaseException | None] = []
    threading.Thread(target=_guarded, args=(topology, side, ended), name="verify", daemon=True).start()
    while not stop.wait(_POLL_SECONDS):
        if ended and ended[0] is not None:
            raise ended[0]
    os._exit(0)  # not held up by threads that wait for a server


def _guarded(topology: Topology, side: str, ended: list[BaseException | None]) -> None:
    try:
        _go_on(topology, side)
    except BaseException as error:  # noqa: BLE001  raised by the main thread
        ended.append(error)


def _go_on(topology: Topology, side: str) -> None:
    while True:
        try:
            wait = _left(topology, side)
            if wait <= 0:
                found = look(topology)
                _keep(topology, side, found)
                wait = topology.verify.every_ms / 1000
        except (BisyncError, pymysql.err.MySQLError, OSError) as error:
            log.warning("verify could not be run; trying again", error=words(error))
            wait = _RETRY_SECONDS
        time.sleep(min(wait, 3600.0))


def look(topology: Topology) -> dict[str, Any]:
    """Compare both sides once; gives what `status` shows of it. Raises as `verify`."""
    settings, first = topology.verify, topology.directions[0]
    options = Options(
        from_=first.from_,
        to=first.to,
        tables_at_once=1,
        chunk_rows=max(1, min(CHUNK_ROWS, settings.max_rows_per_second)),
    )
    report = verify(topology, options, Pace(settings.max_rows_per_second))
    found = summary(report, now_us())
    say = log.info if report.equal else log.warning
    say("verified", **{name: found[name] for name in ("equal", "tables", "rows", "different", "changing")})
    return found


def summary(report: Report, at: int) -> dict[str, Any]:
    """A report in a few words. Pure. at: microseconds since 1970 UTC."""
    return {
        "at": at,
        "equal": report.equal,
        "seconds": round(report.seconds, 1),
        "tables": len(report.tables),
        "rows": sum(table.rows[0] for table in report.tables),
        "differing": sum(table.different for table in report.tables),
        "different": [table.full_name for table in report.tables if table.differs][:_SHOWN],
        "changing": sum(table.changing for table in report.tables),
        "unsettled": report.unsettled or None,
    }


def _left(topology: Topology, side: str) -> float:
    """Seconds until it is due: another process may have run it."""
    with connect(topology.sides[side].mysql) as connection:
        rows = Control(connection, topology).execute("read_processes", topology.name)
    last: dict[str, Any] = next((json.loads(row[7]) for row in rows if row[0] == VERIFIER), {})
    return 0.0 if "at" not in last else topology.verify.every_ms / 1000 - (now_us() - last["at"]) / 1e6


def _keep(topology: Topology, side: str, found: dict[str, Any]) -> None:
    with connect(topology.sides[side].mysql) as connection:
        report_process(
            Control(connection, topology), VERIFIER, ProcessReport(state="running", detail=found), started_at=found["at"]
        )
