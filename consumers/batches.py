"""A run of changes → guarded batches on the target. A batch is the check: it finds as many rows as it has, or is undone.

Where it does not fit, a look says which of its rows do not, and split.py does the rest. A look is a locking read, since those
see what is committed last. After a batch of a table that did not fit, the next one of its kind is looked at first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pymysql.err
from pymysql.connections import Connection
from pymysql.cursors import Cursor

from consumers.changes import Change
from consumers.conflict import LocalRow
from consumers.orphans import Orphans
from consumers.resolve import DUPLICATE_KEY, FOREIGN_KEY
from consumers.split import apply_split
from consumers.statements import Statements
from consumers.tables import AppliedTable
from schemas.records import Row

_READ_TOGETHER = 20  # rows that are done one by one


class Batches:
    """Applies runs on one connection."""

    def __init__(
        self,
        connection: Connection[Any],
        check_size: Callable[[str], None],
        alone: Callable[[Change, tuple[LocalRow, ...] | None], None],
        orphans: Orphans,
    ) -> None:
        """check_size: raises ApplyError for a statement that the server does not take.

        alone: does one change, whatever it meets; its local rows are given where they have been read, and locked.
        orphans: is told of what is done in batches, and says what is not to be done in one.
        """
        self._orphans = orphans
        self._connection = connection
        self._check_size = check_size
        self._alone = alone
        self._doubtful: set[tuple[str, str]] = set()  # tables and kinds whose last batch did not fit

    def apply(self, table: AppliedTable, op: str, run: Sequence[Change]) -> None:
        """Apply a run of one table and kind. Raises what `alone` raises, ApplyError, pymysql.err.MySQLError."""
        assert table.statements is not None
        start = 0
        for number, sql in _whole(table.statements, op, run):
            self._one_batch(table, op, run[start : start + number], sql)
            start += number

    def refresh(self, table: AppliedTable, run: Sequence[Change]) -> None:
        """Let rows be as the arbiter has them, whatever is here; of most of them a look says that they are."""
        statements = table.statements
        assert statements is not None
        for start in range(0, len(run), statements.max_rows):
            some = run[start : start + statements.max_rows]
            if len(some) == 1 or not statements.apart([_images(change) for change in some], range(len(some))):
                for change in some:
                    self._alone(change, None)
                continue
            present = [n for n, change in enumerate(some) if change.event.after is not None]
            look = statements.look_unequal([_one(some[n]) for n in present]) if present else None
            fits = (
                {present[n] for n in self._numbers(statements, look)} ^ set(present) if self._small(statements, look) else set()
            )
            self._one_by_one(statements, [change for n, change in enumerate(some) if n not in fits])

    def _one_batch(self, table: AppliedTable, op: str, changes: Sequence[Change], sql: str) -> None:
        statements, kind = table.statements, (table.name, op)
        assert statements is not None
        whole = len(changes)

        def batch(rows: Sequence[int]) -> bool:
            part = [changes[n] for n in rows]
            if self._orphans.suspects(part):
                return False
            fits = self._fits(op, len(part), sql if len(part) == whole else _statement(statements, op, part))
            if fits:
                self._orphans.applied(part)
            return fits

        def misfits(rows: Sequence[int]) -> set[int]:
            part = [changes[n] for n in rows]
            return {rows[n] for n in self._misfits(statements, op, part) | self._orphans.suspects(part)}

        def apart(rows: Sequence[int], chosen: Sequence[int]) -> bool:
            return statements.apart([_images(changes[n]) for n in rows], [rows.index(n) for n in chosen])

        def alone(rows: Sequence[int]) -> None:
            self._one_by_one(statements, [changes[n] for n in rows])

        looked = kind in self._doubtful
        if apply_split(whole, look_first=looked, batch=batch, misfits=misfits, apart=apart, alone=alone):
            self._doubtful.add(kind)
        else:
            self._doubtful.discard(kind)

    def _one_by_one(self, statements: Statements, changes: Sequence[Change]) -> None:
        """Changes that are apart, whatever they meet; their rows are read, and locked, some at a time."""
        for start in range(0, len(changes), _READ_TOGETHER):
            some = changes[start : start + _READ_TOGETHER]
            look = statements.lock_all([_images(change) for change in some]) if len(some) > 1 else ""
            found: list[tuple[LocalRow, ...] | None] = [None] * len(some)
            if look and len(look) < statements.max_bytes // 4:
                with self._connection.cursor(Cursor) as cursor:
                    cursor.execute(look)
                    rows = cursor.fetchall()
                found = [statements.local_rows(row[1:] for row in rows if int(row[0]) == n) for n in range(len(some))]
            for change, local in zip(some, found, strict=True):
                self._alone(change, local)

    def _fits(self, op: str, number: int, sql: str) -> bool:
        """Run a batch; False where not every row was as its source saw it, with nothing of the batch done."""
        guarded = op != "c" and number > 1  # one statement undoes itself when it fails, and one row is there or is not
        if guarded:
            self._connection.query("SAVEPOINT batch")
        self._check_size(sql)
        try:
            found = int(self._connection.query(sql))
        except pymysql.err.IntegrityError as error:
            if error.args[0] not in (DUPLICATE_KEY, *FOREIGN_KEY):
                raise
            found = -1
        if found == number:
            return True
        if guarded:
            self._connection.query("ROLLBACK TO SAVEPOINT batch")
        return False

    def _misfits(self, statements: Statements, op: str, changes: Sequence[Change]) -> set[int]:
        """Which rows a look finds not to fit."""
        befores, afters = [change.event.before for change in changes], [change.event.after for change in changes]
        found: set[int] = set()
        if op != "c":
            found |= self._numbers(statements, statements.look_unequal([row for row in befores if row is not None]))
        if op != "d":
            found |= self._numbers(statements, statements.look_taken(befores, [row for row in afters if row is not None]))
        return found

    @staticmethod
    def _small(statements: Statements, look: str | None) -> bool:
        return look is not None and (len(look) <= statements.max_bytes // 4 or len(look.encode()) <= statements.max_bytes)

    def _numbers(self, statements: Statements, look: str | None) -> set[int]:
        """What a look finds; nothing where it is larger than a batch may be."""
        if look is None or not self._small(statements, look):
            return set()
        with self._connection.cursor(Cursor) as cursor:
            cursor.execute(look)
            return {int(row[0]) for row in cursor.fetchall()}


def _whole(statements: Statements, op: str, run: Sequence[Change]) -> Iterator[tuple[int, str]]:
    """The batches of a run, as large as they may be: how many rows each has, and its statement."""
    if op == "u":
        parts: Iterator[tuple[Sequence[Any], str]] = statements.update_batches([_both(change) for change in run])
    else:
        cut = statements.insert_batches if op == "c" else statements.delete_batches
        parts = cut([_one(change) for change in run])
    return ((len(part), sql) for part, sql in parts)


def _statement(statements: Statements, op: str, changes: Sequence[Change]) -> str:
    """The statement of a part of a batch, which is no larger."""
    if op == "u":
        return statements.update([_both(change) for change in changes])
    build = statements.insert if op == "c" else statements.delete
    return build([_one(change) for change in changes])


def _images(change: Change) -> tuple[Row | None, Row | None]:
    return change.event.before, change.event.after


def _one(change: Change) -> Row:
    row = change.event.after if change.event.before is None else change.event.before
    assert row is not None
    return row


def _both(change: Change) -> tuple[Row, Row]:
    before, after = change.event.before, change.event.after
    assert before is not None
    assert after is not None
    return before, after
