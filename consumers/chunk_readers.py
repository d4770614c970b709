"""The threads that read a direction's chunks at its source, each on a connection of its own.

A chunk, in code order: it is registered; the source's barrier is raised, which ends behind all that is logged by then, since the
stream may have brought what a snapshot does not see yet; a snapshot is taken; its rows are read; a barrier is raised, whose
arrival in the stream says that the target has everything that the snapshot has. Nothing is locked at the source.

An outage of the source is waited out here, while what the stream has brought goes on being applied.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pymysql.err
import structlog
from pymysql.connections import Connection
from pymysql.cursors import Cursor

from bisync_topology import failpoints
from bisync_topology.control import Control
from bisync_topology.errors import Category, classify
from bisync_topology.mysql import connect, interrupt
from bisync_topology.sides import raise_barrier
from bisync_topology.topology import Direction, Topology
from consumers.chunk_plan import CHANGED, GONE, Plan
from consumers.chunk_rows import FAST_BYTES, read_rows
from consumers.chunks import Chunk, Chunks
from consumers.target import SESSION_STATEMENTS

log = structlog.get_logger()

ARRIVE_SECONDS = 10.0  # how long the target's own changes may take to the source, where rows differ
PAUSE_SECONDS = 0.5
_LOCK_WAITS = (1205, 1213)

SOURCE_STATEMENTS = (
    *(statement for statement in SESSION_STATEMENTS if "autocommit" not in statement and "ISOLATION" not in statement),
    f"SET SESSION group_concat_max_len = {FAST_BYTES}",
    "SET SESSION wait_timeout = 31536000",
    "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
)


class Readers:
    """The threads, and what they share."""

    def __init__(self, topology: Topology, direction: Direction, chunks: Chunks, make_plan: Callable[[], Plan]) -> None:
        """make_plan: what is to be copied from now on; asked again after `begin_again`."""
        self._topology = topology
        self._direction = direction
        self._settings = topology.initialization
        self._chunks = chunks
        self._make_plan = make_plan
        self._planning = threading.Lock()
        self._plan: Plan | None = make_plan()
        self._stop = threading.Event()
        self._connections: list[Connection[Any]] = []
        self._target: Connection[Any] | None = None
        self._not_before = 0.0  # of the next chunk
        self.failure: BaseException | None = None
        self.waits_for = ""
        self._threads = [
            threading.Thread(target=self._run, name=f"reader {n + 1}", daemon=True) for n in range(self._settings.readers)
        ]
        for thread in self._threads:
            thread.start()

    def begin_again(self) -> None:
        """Structure has changed: what is to be copied is found anew."""
        self._plan = None

    def close(self) -> None:
        """End the threads; what they have read is lost."""
        self._stop.set()
        with self._chunks.lock:
            self._chunks.changed.notify_all()
        for connection in (*self._connections, self._target):
            interrupt(connection)
        for thread in self._threads:
            thread.join(10)
        if self._target is not None and self._target.open:
            self._target.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                with connect(self._topology.sides[self._direction.from_].mysql) as source:
                    self._connections.append(source)
                    with source.cursor() as cursor:
                        for statement in SOURCE_STATEMENTS:
                            cursor.execute(statement)
                    self.waits_for = ""
                    self._read_all(source)
            except (pymysql.err.MySQLError, OSError) as error:
                if self._stop.is_set():
                    return
                if error.args and error.args[0] in CHANGED:
                    self._stop.wait(PAUSE_SECONDS)
                    continue
                if classify(error) not in (Category.RECONNECT, Category.RETRY_TRANSACTION):
                    self.failure = error
                    return
                self.waits_for = f"{self._direction.from_}, to read rows: {error}"
                log.warning("the source cannot be read; trying again", error=str(error))
                self._stop.wait(2.0)
            except BaseException as error:  # noqa: BLE001  the applier raises it
                self.failure = error
                return
            finally:
                self._connections = [each for each in self._connections if each.open]

    def _read_all(self, source: Connection[Any]) -> None:
        while not self._stop.is_set():
            chunk = self._next(source)
            if chunk is None:
                with self._chunks.lock:
                    self._chunks.changed.wait(PAUSE_SECONDS)
                continue
            try:
                self._read(source, chunk)
            except BaseException:
                self._chunks.again(chunk, whole=False)
                raise

    def _next(self, source: Connection[Any]) -> Chunk | None:
        if (chunk := self._chunks.next_unread()) is not None:
            return chunk
        if self._throttled(source):
            return None
        with self._planning:
            if self._chunks.full:
                return None
            with self._chunks.lock:
                made = self._plan
                if made is None:
                    made = self._plan = self._make_plan()
            chunk = made.next(source, self._describing)
            if chunk is not None:
                with self._chunks.lock:
                    if self._plan is not made:  # structure has changed meanwhile
                        return None
                    self._chunks.append(chunk)
            return chunk

    def _describing(self) -> Connection[Any]:
        """A connection to the target on which tables are described."""
        if self._target is None or not self._target.open:
            self._target = connect(self._topology.sides[self._direction.to].mysql)
        return self._target

    def _throttled(self, source: Connection[Any]) -> bool:
        """Whether the target lags too much, or enough was read for now."""
        if self._chunks.lag > self._settings.max_lag_seconds:
            if not self._chunks.measuring:
                self._chunks.probe(*self._raise_barrier(source))
            return True
        return time.monotonic() < self._not_before

    def _let_target_arrive(self, source: Connection[Any]) -> None:
        """Wait until the source has what the target has written up to now, if that comes soon: it may be paused, or away."""
        target, until = self._direction.to, time.monotonic() + ARRIVE_SECONDS
        with self._planning:
            barrier = raise_barrier(Control(self._describing(), self._topology), target)
        at_source = Control(source, self._topology)
        while time.monotonic() < until and not self._stop.wait(0.05):
            rows = at_source.execute("read_applied", self._topology.name)
            if any(row[0] == target and int(row[6]) >= barrier for row in rows):
                return

    def _read(self, source: Connection[Any], chunk: Chunk) -> None:
        if chunk.looks:
            self._let_target_arrive(source)
        self._raise_barrier(source)
        try:
            with source.cursor(Cursor) as cursor:
                cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
                failpoints.reach("init.after_snapshot")
                read = chunk.error is not None or chunk.gone or read_rows(source, self._chunks, chunk)
                cursor.execute("COMMIT")
            if not read:
                return
        except pymysql.err.MySQLError as error:
            code = error.args[0] if error.args else 0
            if code in GONE:
                chunk.forget()
                chunk.gone = chunk.reading = True
            elif code in (*CHANGED, *_LOCK_WAITS):
                source.rollback()
                self._stop.wait(PAUSE_SECONDS)
                self._chunks.again(chunk, whole=False)
                return
            else:
                raise
            source.rollback()
        failpoints.reach("init.after_read")
        barrier, raised_at = self._raise_barrier(source)
        failpoints.reach("init.after_high")
        if most := self._settings.max_rows_per_second:
            self._not_before = max(self._not_before, raised_at) + chunk.rows / most
        with self._chunks.lock:
            chunk.raised_at, chunk.barrier = raised_at, barrier

    def _raise_barrier(self, source: Connection[Any]) -> tuple[int, float]:
        """Gives its number, and when."""
        at = time.monotonic()
        return raise_barrier(Control(source, self._topology), self._direction.from_), at
