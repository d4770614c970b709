"""Changes → the target, in one transaction with the progress that they make.

The commit, in code order:
1. the progress row is moved, compare and set: it is the origin marker, and whoever else moved it has taken over;
2. each run of changes goes as guarded batches (consumers/batches.py); a batch that finds fewer rows than it has, a duplicate
   key or a foreign key that refuses, is undone and split (consumers/split.py): rows that do not fit are decided one by one
   under locks (consumers/conflict.py), conflicts recorded beside them. A conflict that stops the direction does so at the end
   of its transaction, so that all of them are known;
3. where the session does not check foreign keys, what was done is looked at now (consumers/orphans.py);
4. the positions of every partition touched are written;
5. the target commits. Only then is Kafka told (consumers/pipeline.py).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import pymysql.err
from pymysql.connections import Connection
from pymysql.cursors import Cursor

from bisync_topology import failpoints
from bisync_topology.error_table import Rule
from bisync_topology.errors import ApplyError, Where
from bisync_topology.ownership import LOCK_TIMEOUT
from consumers.batches import Batches
from consumers.changes import Change, runs
from consumers.conflict import LocalRow
from consumers.orphans import Orphans, Refusals
from consumers.progress import Progress
from consumers.records import ConflictRecorder
from consumers.refresh import SendBack
from consumers.resolve import resolve
from consumers.target_rows import TargetRows
from schemas.records import REFRESH
from schemas.tables import Column

_SURE_BYTES = 200_000  # of a statement: a target that takes less than 1 MB is not looked for
KEEP_ALIVE_SECONDS = LOCK_TIMEOUT / 3


class Writer:
    """Writes one direction's transactions on one connection."""

    def __init__(
        self,
        connection: Connection[Any],
        rows: TargetRows,
        conflicts: ConflictRecorder,
        send_back: SendBack,
        refusals: Refusals | None = None,
    ) -> None:
        """refusals: what a transaction of an earlier writer, if it is to be repeated, is to refuse."""
        self._connection = connection
        self._rows = rows
        self.conflicts = conflicts
        self._send_back = send_back
        self.orphans = Orphans(connection, self._check_size, refusals or Refusals())
        self._batches = Batches(connection, self._check_size, self._resolve, self.orphans)
        self._fk_checks: bool | None = None
        self.loading = False  # tables are still being copied: rows come before those that they refer to
        self._used = time.monotonic()
        self._kept: list[str] = []  # user variables with pieces of the row in parts that comes
        self._packet = 0  # the most bytes of a statement and of a value; 0: not asked for yet

    def begin(self, progress: Progress, repeated: int, *, fk_checks: bool) -> None:
        """Step 1. progress: what the transaction will have passed at its end."""
        checks = fk_checks and not self.loading
        if checks != self._fk_checks:
            self._fk_checks = None
            self._query(f"SET SESSION foreign_key_checks = {int(checks)}")
            self._fk_checks = checks
        self._used = time.monotonic()
        self._batches.in_order = checks
        self._send_back.begin(progress.sequence)
        self.orphans.begin(progress.sequence, fk_checks=fk_checks or self.loading)
        self._rows.move(progress, repeated)
        failpoints.reach("applier.after_marker")

    def write(self, changes: Sequence[Change]) -> None:
        """Step 2, for as many changes as are at hand.

        Raises ConflictStop where more conflicts wait for a decision than are kept, pymysql.err.MySQLError.
        """
        self.conflicts.passing(changes)
        for table, op, run in runs(changes):
            if op == REFRESH:
                self._batches.refresh(table, run)
            elif self.conflicts.told(run):
                for change in run:
                    self._resolve(change, None)
            else:
                self._batches.apply(table, op, run)
            failpoints.reach("applier.mid_rows")
        self.conflicts.write()
        self.orphans.relieve()
        if changes:
            self._free_kept()

    def write_as_own(self, changes: Sequence[Change]) -> None:
        """Apply changes in a transaction of their own, without a marker: to this side's producer it is a user's, and is carried.

        Raises as `write` and `commit` do. Its conflicts are counted by the next commit, since the count is in the marker's row.
        """
        for change in changes:
            self._resolve(change, None)
        self.conflicts.check()
        self.conflicts.write()
        self._free_kept()
        self._connection.commit()
        self.conflicts.committed_as_own()
        failpoints.reach("init.after_own_commit")

    def put_list(self, sql: bytes) -> int:
        """Insert rows that their source has written as a list; gives how many. Raises pymysql.err.MySQLError."""
        if len(sql) >= self._max_packet():
            return 0
        return int(self._connection.query(sql))

    def ask(self, sql: str) -> Any:
        """The one value that a question to the target gives."""
        with self._connection.cursor(Cursor) as cursor:
            cursor.execute(sql)
            return cursor.fetchall()[0][0]

    def keep(self, table: str, column: Column, length: int) -> Callable[[bytes], str]:
        """Make room for a long value on the target: what is given takes a piece into user variables, and gives their names.

        Raises ApplyError where the target takes no value of that length.
        """
        most = self._max_packet()
        if length > most:
            raise too_large(f"column {column.name} has a value of {length} bytes", length, most, table)

        def take(piece: bytes) -> str:
            names = []
            for start in range(0, len(piece), most // 4):
                names.append(f"@bisync_{len(self._kept)}")
                self._kept.append(names[-1])
                self._query(f"SET {names[-1]} = X'{piece[start : start + most // 4].hex()}'")
            return ", ".join(names)

        return take

    def commit(self, progress: Progress) -> None:
        """Steps 3 to 5. Raises ConflictStop where the policy wants the direction to stop, Repeat where orphans are found."""
        if self.orphans.refusing:
            self.conflicts.check()  # what was refused may wait for a decision: nothing more is looked for
        self.orphans.check()
        self.conflicts.check()
        self._rows.add_conflicts(*self.conflicts.settle(progress.sequence))
        self._rows.write_offsets(progress.positions)
        failpoints.reach("applier.before_commit")
        self._connection.commit()
        self._rows.committed(progress)
        self.conflicts.committed(progress.sequence)
        self.orphans.forget()
        failpoints.reach("applier.after_commit")

    def keep_alive(self) -> None:
        """Say a word on a quiet connection, which the server would close to free the locks of a frozen process.

        Raises pymysql.err.MySQLError when it is lost.
        """
        if time.monotonic() - self._used > KEEP_ALIVE_SECONDS:
            self._used = time.monotonic()
            self._connection.ping(reconnect=False)

    def rollback(self) -> None:
        """Undo the transaction that `begin` began."""
        self.conflicts.clear()
        self._kept.clear()
        self._fk_checks = None  # a statement that was forced may have failed between the two settings
        self._connection.rollback()

    def _resolve(self, change: Change, found: tuple[LocalRow, ...] | None) -> None:
        resolution = self.conflicts.resolution(change)
        if change.event.op == REFRESH:  # of that the arbiter has the record, and nothing of it is refused
            resolve(self._connection, change, self._check_size, self._send_back, found, resolution)
            return
        refuses = self.orphans.refuses
        resolved = resolve(self._connection, change, self._check_size, self._send_back, found, resolution, refuses)
        self.orphans.acted(change, resolved.decision.actions)
        self.conflicts.add(resolved)

    def _free_kept(self) -> None:
        if self._kept:
            self._query("SET " + ", ".join(f"{name} = NULL" for name in self._kept))
            self._kept.clear()

    def _query(self, sql: str) -> int:
        self._check_size(sql)
        return int(self._connection.query(sql))

    def _check_size(self, sql: str) -> None:
        """Raise ApplyError for a statement of which the server would only hang up."""
        if size := refused_size(sql, self._max_packet):
            raise too_large(f"a statement of {size} bytes", size, self._max_packet())

    def _max_packet(self) -> int:
        if not self._packet:
            self._packet = max_packet(self._connection)
        return self._packet


def max_packet(connection: Connection[Any]) -> int:
    """The target's max_allowed_packet, as this session has it."""
    with connection.cursor(Cursor) as cursor:
        cursor.execute("SELECT @@max_allowed_packet")
        return int(cursor.fetchall()[0][0])


def refused_size(sql: str, most: Callable[[], int]) -> int:
    """The bytes of a statement of which a server would only hang up, else 0. most: asks for its max_allowed_packet."""
    return size if len(sql) > _SURE_BYTES and (size := len(sql.encode())) >= most() else 0


def too_large(what: str, size: int, most: int, table: str | None = None) -> ApplyError:
    """The error for what max_allowed_packet does not let through."""
    megabytes = -(-size // (1 << 20)) + 1
    return ApplyError(
        f"{what}, and the target's max_allowed_packet is {most}",
        code="packet_too_large",
        hint=f"`SET PERSIST max_allowed_packet = {megabytes} * 1024 * 1024` on the target (1 GB at most), then `resume`",
        where=Where(table=table),
    )


def refused(error: pymysql.err.MySQLError, changes: Sequence[Change], rule: Rule, *named: str) -> ApplyError:
    """A server's refusal as ours, with the tables that it concerns: those of changes, or those that are named."""
    tables = sorted({*named, *(change.table.name for change in changes)})
    number, text = (error.args[0], error.args[-1]) if error.args else (0, str(error))
    return ApplyError(
        f"the target refused the change: ({number}) {text}",
        code=rule.code,
        hint=rule.advice,
        where=Where(table=", ".join(tables[:3]) or None),
    )
