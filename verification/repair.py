"""Rows of TO made like those of FROM, through the marked path: TO's producer tells them to be FROM's, so that nothing comes back.

Of a few rows at a time, in this order:
1. FROM's rows are locked, and what is missing there is kept missing;
2. a barrier from FROM arrives at TO: no change of these rows is on its way there;
3. on TO the progress row of the direction is touched, which is the origin marker and keeps the applier out; TO's rows are locked;
4. a barrier from TO arrives at FROM: no change of these rows is on its way back. It would wait at FROM's locks, and the barrier
   would not come: then all is let go, and begun again a little later;
5. what differs still is written, and TO commits;
6. FROM's locks are given up.

Foreign keys are not checked, as FROM's rows keep to them; nor do they cascade. A row of TO that has a unique value which a
row of FROM wants is repaired together with that one, as it must differ from its own like.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import pymysql.err
import structlog

from bisync_topology.barrier import Barriers
from bisync_topology.control import Control
from bisync_topology.errors import ApplyError, BisyncError, CheckFailed
from bisync_topology.ownership import now_us
from bisync_topology.sides import explained
from bisync_topology.topology import Topology
from consumers.conflict import Delete, Insert, Set
from consumers.statements import Statements
from consumers.target import TablePlan, plan
from schemas.records import Row
from verification.barriers import arrives
from verification.keys import KeyValues
from verification.rows import Reader
from verification.sessions import Session, number_of, opened
from verification.tables import Pair

BATCH_ROWS = 50  # that are locked at once
_ATTEMPTS = 8
_THERE_SECONDS = 15.0  # for a barrier from FROM, with FROM's rows locked
_BACK_SECONDS = 4.0  # for one from TO, which a change of these rows holds up
_PAUSE_SECONDS = 0.2
_AGAIN = (1205, 1213)  # lock wait time-out, deadlock
_DUPLICATE = 1062

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class Actions:
    """What is to be done on TO. Rows in the order of FROM's columns."""

    delete: tuple[Row, ...]
    change: tuple[Set, ...]
    insert: tuple[Row, ...]

    @property
    def number(self) -> int:
        """How many rows it is about."""
        return len(self.delete) + len(self.change) + len(self.insert)


def actions(here: dict[KeyValues, Row], there: dict[KeyValues, Row], written: TablePlan) -> Actions:
    """What makes TO's rows of some keys like FROM's. Pure. here, there: FROM's and TO's, by what tells them apart."""
    change = []
    for identity in here.keys() & there.keys():
        mine, other = here[identity], there[identity]
        columns = {n for n in written.written if mine[n] != other[n]}
        if columns:
            change.append(Set(other, mine, tuple(columns | (written.always_set & set(written.written)))))
    return Actions(
        delete=tuple(there[identity] for identity in there.keys() - here.keys()),
        change=tuple(change),
        insert=tuple(here[identity] for identity in here.keys() - there.keys()),
    )


class Repair:
    """Repairs rows of one table after another."""

    def __init__(self, topology: Topology, from_: str, to: str) -> None:
        self._topology = topology
        self._from, self._to = from_, to
        self._back = (to, from_) if any((d.from_, d.to) == (to, from_) for d in topology.directions) else None

    def rows(self, pair: Pair, keys: Sequence[KeyValues]) -> int:
        """Make TO's rows of these keys like FROM's; gives how many were written.

        Raises CheckFailed where the direction does not run, or rows stay locked or on their way; ApplyError where the tables
        differ so that values would not survive, or a row is too large for TO; UsageError where TO refuses them.
        """
        written = 0
        with opened(self._topology, self._from, self._to, writes=True) as (source, target):
            target.rows("SET SESSION foreign_key_checks = 0")
            work = _Work(pair, source, target)
            for start in range(0, len(keys), BATCH_ROWS):
                written += self._batch(work, list(keys[start : start + BATCH_ROWS]))
        return written

    def _batch(self, work: _Work, keys: list[KeyValues]) -> int:
        why = "rows are locked by others, or change all the time"
        for attempt in range(_ATTEMPTS):
            if attempt:
                time.sleep(_PAUSE_SECONDS * attempt)
            barriers = Barriers(self._topology)
            try:
                done = self._attempt(work, keys, barriers)
            except (BisyncError, pymysql.err.MySQLError) as error:
                if number_of(error) not in _AGAIN:
                    raise
                done = None
            finally:
                barriers.close()
                work.undo()
            if done is not None:
                return done
        raise CheckFailed(f"{work.pair.name[1]}: {why}", hint="run it again", code="not_repaired")

    def _attempt(self, work: _Work, keys: list[KeyValues], barriers: Barriers) -> int | None:
        work.source.connection.begin()
        here = work.here.read(keys, lock=True)
        if not arrives(barriers, (self._from, self._to), _THERE_SECONDS):
            return None
        work.target.connection.begin()
        self._mark(work.target)
        there = work.there.read(keys, lock=True)
        if self._back is not None and not arrives(barriers, self._back, _BACK_SECONDS):
            return None
        wanted = actions(here, there, work.plan)
        in_the_way = self._written(work, wanted) if wanted.number else []
        if in_the_way:
            keys += in_the_way  # and begin again with them
            return None
        if not wanted.number:
            return 0
        work.target.connection.commit()
        log.info(
            "repaired",
            table=".".join(work.pair.name),
            source=self._from,
            target=self._to,
            changed=len(wanted.change),
            inserted=len(wanted.insert),
            deleted=len(wanted.delete),
        )
        return wanted.number

    def _written(self, work: _Work, wanted: Actions) -> list[KeyValues]:
        """See _Work.write. What TO refuses, by a CHECK or a trigger of its own, is an error of this table."""
        try:
            return list(work.write(wanted))
        except pymysql.err.MySQLError as error:
            raise explained(self._topology, self._to, error) from error

    def _mark(self, target: Session) -> None:
        control = Control(target.connection, self._topology)
        if not control.matched("mark_repair", now_us(), self._topology.name, self._from):
            raise CheckFailed(
                f"{self._from} to {self._to} has applied nothing yet, so that there is no progress to mark a repair with",
                hint="`bisync-topology up` first",
                code="never_ran",
            )


class _Work:
    """One table on a pair of connections."""

    def __init__(self, pair: Pair, source: Session, target: Session) -> None:
        self.pair = pair
        self.source = source
        self.target = target
        here, there = pair.halves
        self.plan = plan(here.table, there.table)
        self.statements = Statements(self.plan)
        self.here = Reader(session=source, half=here, columns=here.table.columns)
        self.there = Reader(session=target, half=there, columns=self.plan.columns)

    def undo(self) -> None:
        """Give up what is not committed, and the locks; what is committed stays."""
        for session in (self.target, self.source):
            if session.connection.open:
                session.connection.rollback()

    def write(self, wanted: Actions) -> Iterator[KeyValues]:
        """Write it; gives keys of rows in the way, with which nothing was written."""
        self._query("SAVEPOINT before_rows")
        try:
            self._all(wanted.delete, wanted.change, wanted.insert)
        except pymysql.err.IntegrityError as error:
            if error.args[0] != _DUPLICATE:
                raise
            self._query("ROLLBACK TO SAVEPOINT before_rows")
            yield from self._anew(wanted)

    def _anew(self, wanted: Actions) -> Iterator[KeyValues]:
        """Rows that exchange unique values: all of them go first, and come again."""
        rows = [*(change.row for change in wanted.change), *wanted.insert]
        self._delete([*wanted.delete, *(change.local for change in wanted.change)])
        found: dict[KeyValues, None] = {}
        for row in rows:
            taken = self.target.rows(self.statements.lock_rows(None, row))
            found |= dict.fromkeys(self._key(local.row) for local in self.statements.local_rows(taken))
        if not found:
            self._insert(rows)
        yield from found

    def _key(self, row: Row) -> KeyValues:
        """What a row's key is read as (keys.py), of the canonical values of all columns."""
        position = {column.name.casefold(): n for n, column in enumerate(self.plan.columns)}
        columns = self.pair.halves[0].key.columns
        numbered = any(column.kind in ("enum", "set") for column in columns)
        if numbered:
            raise ApplyError("a row of another key has a unique value that is wanted, and keys of ENUM or SET are not followed")
        return tuple(row[position[column.name.casefold()]] for column in columns)

    def _all(self, delete: Iterable[Row], change: Iterable[Set], insert: Sequence[Row]) -> None:
        self._delete(delete)
        for each in change:
            self._query(self.statements.action(each))
        self._insert(insert)

    def _delete(self, rows: Iterable[Row]) -> None:
        for row in rows:
            self._query(self.statements.action(Delete(row)))

    def _insert(self, rows: Iterable[Row]) -> None:
        for row in rows:
            self._query(self.statements.action(Insert(row)))

    def _query(self, sql: str) -> None:
        self.target.write(sql)
