"""Data initialization, as the applier does it: chunks of the source's rows, put between two transactions of its stream.

Why that is consistent is told in chunks.py. A chunk is written, in code order, in one target transaction:
1. the progress row, which is the origin marker, and then the table's row of `initialization`, by which this side's producer knows
   that what follows are rows of a copy, and which says where to go on;
2. the rows (chunk_puts.py): as a list, as the source gave them, where no key in it was touched and none is there already; else
   one by one, as inserts by the decision table, without those that were touched;
3. as any other transaction ends (apply.py).

Until all tables of the direction are copied its session checks no foreign keys, and no change is looked at for them: rows come
before those that they refer to.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import pymysql.err
import structlog

from bisync_topology import failpoints
from bisync_topology.control import Control
from bisync_topology.errors import Category, ConflictStop, classify, rule_for
from bisync_topology.initialization import COPYING, DONE, GONE, LEFT, WAITING, copied_elsewhere, read_tables
from bisync_topology.scope import Scope, splits
from bisync_topology.topology import Direction, Step, Topology
from consumers.apply import Writer, refused
from consumers.changes import Change
from consumers.chunk_plan import Plan
from consumers.chunk_puts import ChunkPuts, MisfitError, ReplacesError
from consumers.chunk_readers import Readers
from consumers.chunk_sql import Bound
from consumers.chunks import Chunk, Chunks, Key, Name
from consumers.initial_tables import add_tables
from consumers.passing import Passing
from consumers.records import ways_out
from consumers.tables import AppliedTables
from schemas.records import Row, TransactionRecord

log = structlog.get_logger()

ASK_KEYS = 5000  # that the stream has touched, and of which the server says whether they are of a chunk
LIST_SECONDS = 10.0  # between two tries to find what is to be copied, while the source is away
AHEAD = 2  # chunks on their way for each reader
RETRY_SECONDS = 20.0  # how long a table that does not fit waits for statements that are on their way


class Loading:
    """What of one direction is still to be copied, from the start of its applier on."""

    def __init__(
        self,
        topology: Topology,
        direction: Direction,
        control: Control,
        writer: Writer,
        passing: Passing,
        stream: str,
    ) -> None:
        """stream: the source's present one."""
        self._topology = topology
        self._direction = direction
        self._control = control
        self._writer = writer
        self._tables: AppliedTables
        self._passing = passing
        self._chunks = Chunks(AHEAD * topology.initialization.readers)
        self._readers: Readers | None = None
        self._left: dict[Name, Bound | None] = {}  # tables that are not copied, in order, and up to where they are
        self._puts = ChunkPuts(topology, direction, writer, passing, stream)
        self._failing: dict[Name, float] = {}  # since when a table does not fit
        self._wants = Step.DATA in direction.initialize
        self._list_at: float | None = None  # when the source is asked again for its tables

    def begin(self, tables: AppliedTables) -> None:
        """Find what is to be copied, and start to. Raises as a connection to the source does, ApplyError."""
        self._tables = tables
        self._puts.begin(tables)
        if self._wants:
            self._find()
            self._left = self._read_left()
        self._start()

    def _find(self) -> None:
        """Note what the source has. Where it is away, and nothing is known yet, that is an outage."""
        self._list_at = None
        try:
            add_tables(self._topology, self._direction, self._control)
        except (pymysql.err.MySQLError, OSError) as error:
            known = read_tables(self._control, self._direction.from_, self._direction.to)
            self._control.connection.commit()
            if classify(error) is not Category.RECONNECT or not known:
                raise
            log.warning("the source is away: what is known already is gone on with", error=str(error))
            self._list_at = time.monotonic() + LIST_SECONDS

    def _list_when_due(self) -> None:
        if self._list_at is None or time.monotonic() < self._list_at:
            return
        self._find()
        if self._list_at is None:
            self._tables.forget()  # rows of some may be missing now
            if self._readers is not None:
                self.structure_changed()
            else:
                self._left = self._read_left()
                self._start()

    def _start(self) -> None:
        self._writer.loading = bool(self._left)
        if self._left:
            log.info("copying rows", tables=len(self._left), direction=str(self._direction))
            self._readers = Readers(self._topology, self._direction, self._chunks, self._plan)

    @property
    def active(self) -> bool:
        """Whether anything is left."""
        return bool(self._left)

    def includes(self, db: str, name: str) -> bool:
        """Whether a table's rows may not be there yet."""
        return (db, name) in self._left

    def note(self, changes: Sequence[Change]) -> None:
        """The stream changes rows: those of chunks on their way are not to be put back."""
        if not self._left:
            return
        with self._chunks.lock:
            touched = self._chunks.touched
            by_table: dict[Name, list[tuple[object, ...]]] = {}
            for change in changes:
                statements = change.table.statements
                assert statements is not None
                plan = statements.plan
                if touched.watches(name := (plan.source.db, plan.source.name)):
                    keys = by_table.setdefault(name, [])
                    keys += [_key(plan.key, image) for image in (change.event.before, change.event.after) if image is not None]
            for name, keys in by_table.items():
                touched.add(name, keys)

    def passed(self, record: TransactionRecord) -> None:
        """A transaction of the stream is applied."""
        if self._left:
            self._chunks.seen = record.seen
            if record.barrier:
                self._chunks.passed(record.barrier)

    def altered(self, tables: Iterable[str], at_its_place: bool) -> None:
        """A statement of the source on these tables is judged: to be called in the transaction that says so.

        One that is not copied yet begins anew, as its key may be another one, and under another name, which may have been
        another table's. at_its_place: it is applied there; what it makes of others has all its rows from the stream.
        """
        if not self._wants:
            return
        scope = Scope(self._direction.objects, control_schema=self._topology.control_schema)
        named = [name for table in tables for name in splits(table) if scope.includes(*name)]
        left = any(name in self._left for name in named)
        where = (self._topology.name, self._direction.from_, self._direction.to)
        for name in named:
            if copied_elsewhere(self._topology, self._direction, *name) is not None:
                continue
            if left:
                self._control.execute("begin_initialization", *where, *name)
                self._control.execute("add_initialization", *where, *name, WAITING, 0)
            elif at_its_place:
                self._control.execute("add_initialization", *where, *name, DONE, 0)

    def structure_changed(self) -> None:
        """Tables have changed here: what was read before may not fit, nor may what is known of them."""
        self._puts.forget()
        if self._readers is not None:
            with self._chunks.lock:
                self._left = self._read_left()
                self._readers.begin_again()
                self._chunks.clear()

    def _read_left(self) -> dict[Name, Bound | None]:
        found = read_tables(self._control, self._direction.from_, self._direction.to)
        self._control.connection.commit()
        return {table.name: table.frontier for table in found if table.state in LEFT}

    @property
    def due(self) -> bool:
        """Whether there is a chunk to be put now."""
        return self._readers is not None and (self._readers.failure is not None or self._chunks.ready() is not None)

    def put(self) -> None:
        """Put the next chunk, if it has come. Only between two transactions.

        Raises ConflictStop, ApplyError where the direction has to stop, pymysql.err.MySQLError for an outage.
        """
        self._list_when_due()
        if self._readers is None:
            return
        if self._readers.failure is not None:
            raise self._readers.failure
        chunk = self._chunks.ready()
        if chunk is None:
            return
        if chunk.error is not None:
            self._does_not_fit(chunk, chunk.error)
        elif chunk.gone:
            self._write(chunk, lambda: None)
        elif not self._chunks.touched.known_since(chunk.table, chunk.since):
            self._chunks.again(chunk, whole=False)
        else:
            self._failing.pop(chunk.table, None)
            self._put(chunk)

    def close(self) -> None:
        """End the readers."""
        if self._readers is not None:
            self._readers.close()
            self._readers = None

    def _plan(self) -> Plan:
        return Plan(list(self._left.items()), self._topology.initialization.chunk_rows)

    def _does_not_fit(self, chunk: Chunk, error: Exception) -> None:
        """Statements that are on their way may make the tables alike; else the direction stops."""
        since = self._failing.setdefault(chunk.table, time.monotonic())
        if time.monotonic() - since > RETRY_SECONDS or getattr(error, "code", "") in ("no_key", "unsupported_type", "engine"):
            raise error
        self.structure_changed()

    def _put(self, chunk: Chunk) -> None:
        touched = self._chunks.touched.since(chunk.table, chunk.since)
        if chunk.whole:
            while rows := self._put_whole(chunk, touched):
                with _naming(chunk):
                    self._passing.repeat(partial(self._puts.as_own, chunk, rows))
                touched |= {_key(chunk.sql.plan.key, row) for row in rows}
        elif touched and self._touches(chunk, touched):
            self._chunks.again(chunk, whole=True)
        else:
            try:
                self._write(chunk, partial(self._puts.as_list, chunk))
            except MisfitError:
                self._writer.rollback()
                self._chunks.again(chunk, whole=True)

    def _put_whole(self, chunk: Chunk, left_out: set[Key]) -> list[Row]:
        """Put a chunk's rows by themselves, or have it read again. What has to go as the target's own first is given instead."""
        rows = [row for row in chunk.images if _key(chunk.sql.plan.key, row) not in left_out]
        try:
            self._write(chunk, partial(self._puts.one_by_one, chunk, rows))
        except ReplacesError as found:
            self._writer.rollback()
            return [rows[n] for n in found.places]
        except MisfitError:
            self._writer.rollback()
            chunk.looks += 1
            self._chunks.again(chunk, whole=True)
        return []

    def _touches(self, chunk: Chunk, keys: set[Key]) -> bool:
        """Whether any of the keys may be of a chunk: that is the server's to say."""
        question = chunk.sql.touches(keys, chunk.low, chunk.high) if len(keys) <= ASK_KEYS else None
        return question is None or bool(self._writer.ask(question))

    def _write(self, chunk: Chunk, write: Callable[[], None]) -> None:
        """One target transaction: what is known of the table's copy, and its rows."""
        db, name = chunk.table
        state = GONE if chunk.gone else DONE if chunk.high is None else COPYING
        frontier = None if chunk.high is None else json.dumps(chunk.high)

        def all_of_it() -> None:
            where = (self._topology.name, self._direction.from_, self._direction.to, db, name)
            self._control.execute("move_initialization", state, chunk.rows, frontier, *where)
            write()
            failpoints.reach("init.before_commit")

        try:
            with _naming(chunk):
                self._passing.write(self._passing.here(chunk.seen), all_of_it, fk_checks=True)
        except ConflictStop as error:
            self._writer.rollback()
            source, target = self._direction.from_, self._direction.to
            error.conflict_id = self._writer.conflicts.record_pending(error)
            error.hint = ways_out(error.conflict_id, source, target, others=len(error.pending) > 1)
            raise
        failpoints.reach("init.after_commit")
        self._chunks.take(chunk)
        if chunk.high is not None and not chunk.gone:
            self._left[chunk.table] = chunk.high
            return
        del self._left[chunk.table]
        self._puts.forget(chunk.table)
        self._tables.forget()
        if state == GONE:
            self.structure_changed()  # others of its chunks may be on their way
        log.info("table copied" if state == DONE else "table is gone", table=".".join(chunk.table), left=len(self._left))
        if not self._left:
            self._end()

    def _end(self) -> None:
        self.close()
        self._writer.loading = False
        self._writer.conflicts.all_copied()
        log.info("all rows are copied", direction=str(self._direction))


@contextmanager
def _naming(chunk: Chunk) -> Iterator[None]:
    """What the target's server refuses for good is an ApplyError that names the table."""
    try:
        yield
    except pymysql.err.MySQLError as error:
        if classify(error) is not Category.STOP:
            raise
        raise refused(error, (), rule_for(error), ".".join(chunk.table)) from error


def _key(positions: Sequence[int], row: Row) -> tuple[object, ...]:
    return tuple(row[n] for n in positions)
