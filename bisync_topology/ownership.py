"""Who owns a producer or an applier, and what its process says of itself.

Ownership is a `GET_LOCK` on the process's own side, held by a connection of its own that a thread watches: the server gives
the lock back when that connection ends, or after LOCK_TIMEOUT without a word, as when the process is frozen. The same thread
writes the process's row every REPORT_SECONDS and reads what is wanted of its directions.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pymysql.err
import structlog
from pymysql.connections import Connection

from bisync_topology.control import Control
from bisync_topology.errors import Category, DirectionFailed, LostOwnership, rule_for, words
from bisync_topology.mysql import DEAD_SECONDS, connect
from bisync_topology.topology import Topology

# seconds; wait_timeout of the connection that holds the lock (the variable is for tests that freeze a process)
LOCK_TIMEOUT = int(os.environ.get("BISYNC_TEST_LOCK_TIMEOUT", "30"))
REPORT_SECONDS = 5.0  # the only writes of an idle topology: one row a process
WATCH_SECONDS = 1.0
_SAME_START = 3.0  # seconds by which two looks at when a server started may differ, as it counts whole ones
_NO_SUCH_THREAD = 1094

log = structlog.get_logger()


def now_us() -> int:
    """Microseconds since 1970 UTC."""
    return time.time_ns() // 1000


def lock_name(topology: str, process: str) -> str:
    """A lock's name of at most 64 characters."""
    name = f"bisync:{topology}:{process}"
    return name if len(name) <= 64 else f"bisync:{hashlib.sha256(name.encode()).hexdigest()[:48]}"


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A direction's row on one side: what its users want of it."""

    paused: bool
    error: dict[str, Any] | None
    skips: list[dict[str, Any]]
    skipped: list[dict[str, Any]]

    @property
    def passed(self) -> frozenset[str]:
        """GTIDs of its passes, used ones too: what was not committed then is read once more."""
        return frozenset(each["gtid"] for each in (*self.skips, *self.skipped) if "reset_at" not in each)


@dataclass(kw_only=True)
class Report:
    """What the process says of itself; written by the thread, set by the work."""

    state: str = "starting"
    detail: dict[str, Any] = field(default_factory=dict)
    urgent: bool = False  # to be written with the next beat, about a second later at most


class Ownership:
    """The lock, the report and the wanted state of one process."""

    def __init__(self, topology: Topology, side: str, process: str, stop: threading.Event) -> None:
        self.topology = topology
        self.side = side
        self.process = process
        self.stop = stop
        self.report = Report()
        self.wanted: dict[tuple[str, str], Wanted] = {}
        self._lock = lock_name(topology.name, process)
        self._connection: Connection[Any] | None = None
        self._mutex = threading.Lock()  # the connection serves the thread and the work in turn
        self._started_at = now_us()
        self._reported = 0.0
        self._reported_state = ""
        self._held = False
        self._server_begun = 0.0  # when the server started, seconds since 1970
        self._finished = threading.Event()
        self.on_lost: Callable[[], None] | None = None  # called by the thread when the lock's connection is lost
        self.on_beat: Callable[[], None] | None = None  # called by the thread before each report

    def acquire(self) -> bool:
        """Wait until this process is the owner; False when told to stop meanwhile. Raises MySQLError when the side is away."""
        former, begun = self.release(), self._server_begun
        connection = connect(self.topology.sides[self.side].mysql, read_timeout=min(LOCK_TIMEOUT, DEAD_SECONDS))
        with self._mutex:
            self._connection = connection
            with connection.cursor() as cursor:
                cursor.execute(f"SET SESSION wait_timeout = {LOCK_TIMEOUT}")
            control = Control(connection, self.topology)
            control.create()
            self._server_begun = time.time() - int(control.execute("uptime")[0][1])
            if abs(self._server_begun - begun) > _SAME_START:  # it gives its connections other numbers since
                former = None
        while not self.stop.is_set():
            with self._mutex:
                if control.execute("get_lock", self._lock, 1)[0][0] == 1:
                    self._held = True
            if self._held:
                self.beat(force=True)
                with self._mutex:
                    control.upgrade()
                return True
            with self._mutex:
                if former is not None and control.execute("lock_holder", self._lock)[0][0] == former:
                    _end_connection(control, former)  # our own, lost on the way: the server does not know it yet
                    former = None
                    continue
            self.report.state = "standby"
            log.info("another process owns this work; waiting", process=self.process)
            self.stop.wait(2.0)
        return False

    def release(self) -> int | None:
        """Give the lock up by closing its connection; gives the server's number of that connection."""
        with self._mutex:
            self._held = False
            connection, self._connection = self._connection, None
            if connection is None:
                return None
            if connection.open:
                connection.close()
            return int(connection.thread_id())  # type: ignore[no-untyped-call]

    def finish(self) -> None:
        """Say that the process has stopped as it was told to, and give the lock up."""
        self._finished.set()
        self.report.state, self.report.detail = "stopped", {}
        try:
            self.beat(force=True)
        except pymysql.err.MySQLError as error:
            log.info("the side is away, so the last report is not written", error=str(error))
        self.release()

    def check(self) -> None:
        """Ask the server whether the lock is still ours. Raises LostOwnership, or MySQLError when it cannot be asked."""
        with self._mutex:
            self._held = False
            if not Control(self._live(), self.topology).execute("lock_is_held", self._lock)[0][0]:
                raise LostOwnership(
                    f"{self.process} of {self.topology.name} lost its lock on {self.side}: another process owns it now",
                    hint="nothing is to be done when another one runs; else start it again",
                )
            self._held = True

    def start_watching(self) -> threading.Thread:
        """Begin the thread that keeps the lock's connection alive, also while the process drains."""
        thread = threading.Thread(target=self._watch, name="ownership", daemon=True)
        thread.start()
        return thread

    def _watch(self) -> None:
        while not self._finished.wait(WATCH_SECONDS):
            try:
                self.beat()
            except pymysql.err.MySQLError as error:
                # the work's own connections meet the same outage and wait it out; the lock is taken again there
                log.debug("the lock's connection is away", error=str(error))
                self._held = False
                if self.on_lost is not None:
                    self.on_lost()

    @property
    def held(self) -> bool:
        """Whether the lock was ours when the server was last asked."""
        return self._held

    def beat(self, *, force: bool = False) -> None:
        """Read what is wanted; write the process's row when it is time."""
        with self._mutex:
            if self._connection is None or not self._held:
                return
            control = Control(self._connection, self.topology)
            self.wanted = read_wanted(control)
            changed = self.report.state != self._reported_state
            if force or changed or self.report.urgent or time.monotonic() - self._reported >= REPORT_SECONDS:
                self._reported_state, self.report.urgent = self.report.state, False
                if self.on_beat is not None:
                    self.on_beat()
                report_process(control, self.process, self.report, started_at=self._started_at)
                self._reported = time.monotonic()

    def fail(self, error: BaseException, directions: list[tuple[str, str]], conflict_id: str | None = None) -> None:
        """Record an error as the failed state of directions. Raises MySQLError when the side is away."""
        record = error_record(error, conflict_id)
        with self._mutex:
            control = Control(self._live(), self.topology)
            for direction in directions:
                control.execute("set_error", json.dumps(record), self.topology.name, *direction)
            self.wanted = read_wanted(control)

    def use_skips(self, direction: tuple[str, str], gtid: str, tables: tuple[str, ...]) -> None:
        """Note that a pass was used, and for which tables."""
        with self._mutex:
            connection = self._live()
            control = Control(connection, self.topology)
            connection.begin()
            try:
                use_skip(control, direction, gtid, tables)
                connection.commit()
            finally:
                connection.rollback()  # what was refused leaves no lock
            self.wanted = read_wanted(control)

    def _live(self) -> Connection[Any]:
        if self._connection is None:
            raise pymysql.err.InterfaceError(0, "the connection that holds the lock is closed")
        return self._connection


def _end_connection(control: Control, number: int) -> None:
    try:
        control.execute("end_connection", number)
    except pymysql.err.MySQLError as error:
        if error.args[0] != _NO_SUCH_THREAD:  # the server has found out meanwhile
            raise


def error_record(error: BaseException, conflict_id: str | None = None) -> dict[str, Any]:
    """The `error` of `status -o json`."""
    rule = rule_for(error)
    message = words(error) if isinstance(error, DirectionFailed) else str(error)
    gtid = error.where.gtid if isinstance(error, DirectionFailed) else None
    return {"code": rule.code, "message": message, "hint": rule.advice, "conflict_id": conflict_id, "gtid": gtid}


def read_wanted(control: Control) -> dict[tuple[str, str], Wanted]:
    """(from, to) → its row."""
    return {
        (source, target): Wanted(
            paused=wanted == "paused",
            error=None if error is None else json.loads(error),
            skips=json.loads(skips),
            skipped=json.loads(skipped),
        )
        for source, target, wanted, error, skips, skipped in control.execute("read_directions", control.topology.name)
    }


def use_skip(control: Control, direction: tuple[str, str], gtid: str, tables: tuple[str, ...]) -> None:
    """Move a pass from those to be used to those that were, in a transaction of the caller's: a `skip` of that moment waits."""
    ((skips, skipped),) = (map(json.loads, row) for row in control.execute("lock_skips", control.topology.name, *direction))
    used = [{**skip, "tables": list(tables)} for skip in skips if skip["gtid"] == gtid]
    left = [skip for skip in skips if skip["gtid"] != gtid]
    if used:
        control.execute("set_skips", json.dumps(left), json.dumps([*skipped, *used]), control.topology.name, *direction)


def leave_skips(control: Control, direction: tuple[str, str]) -> None:
    """A direction begins anew: its passes are void, used ones stay on record.

    A server that was reset gives the same GTIDs again: a transaction would be passed in silence that nobody has spoken of.
    """
    row = read_wanted(control)[direction]
    skipped = [{"reset_at": now_us(), **used} for used in row.skipped]
    control.execute("set_skips", "[]", json.dumps(skipped), control.topology.name, *direction)


def report_process(control: Control, name: str, report: Report, *, started_at: int, restarts: int = 0) -> None:
    """Write a process's row."""
    restarts = restarts or int(os.environ.get("BISYNC_RESTARTS", "0"))
    control.execute(
        "report_process",
        control.topology.name,
        name,
        report.state,
        socket.gethostname(),
        os.getpid(),
        restarts,
        started_at,
        now_us(),
        json.dumps(report.detail),
    )


def waits_out(error: BaseException) -> bool:
    """Whether a running process waits for this to pass rather than failing."""
    return rule_for(error).category in (Category.RECONNECT, Category.RETRY_TRANSACTION)
