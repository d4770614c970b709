"""A run of changes → guarded batches on the target. A batch is the check: it finds as many rows as it has, or is undone.

Where it does not fit, a look says which of its rows do not, and split.py does the rest. A look is a locking read, since those
see what is committed last. After a batch of a table that did not fit, the next one of its kind is looked at first.
"""

from __future__ import annotations

from collections import Counter
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
        self.in_order = False  # where the server checks foreign keys with each statement: rows may refer to each other
        self._doubtful: set[tuple[str, str]] = set()  # tables and kinds whose last batch did not fit

    def apply(self, table: AppliedTable, op: str, run: Sequence[Change]) -> None:
        """Apply a run of one table and kind. Raises what `alone` raises, ApplyError, pymysql.err.MySQLError."""
        assert table.statements is not None
        start = 0
        for number, sql in _whole(table.statements, op, run, build=(table.name, op) not in self._doubtful):
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
            equal = self._numbers(statements, statements.look_equal([_one(some[n]) for n in present])) if present else None
            fits = {present[n] for n in equal or ()}
            self._one_by_one(statements, [change for n, change in enumerate(some) if n not in fits])

    def _one_batch(self, table: AppliedTable, op: str, changes: Sequence[Change], sql: str | None) -> None:
        """sql: of the whole; None: it is built when it is wanted."""
        statements, kind = table.statements, (table.name, op)
        assert statements is not None
        whole = len(changes)
        equal: set[int] = set()  # rows that a look has found to be as their source saw them, and holds the locks of

        def batch(rows: Sequence[int]) -> bool:
            part = [changes[n] for n in rows]
            if self._orphans.suspects(part):
                return False
            if sql is not None and len(part) == whole and not equal:
                text = sql
            else:
                text = _statement(statements, op, part, looked_at=equal.issuperset(rows))
                if len(part) > 1 and not _small(statements, text):
                    return False
            fits = self._fits(op, len(part), text)
            if fits:
                self._orphans.applied(part)
            return fits

        def misfits(rows: Sequence[int]) -> set[int]:
            part = [changes[n] for n in rows]
            found = self._orphans.suspects(part)
            if op != "c":
                same = self._numbers(statements, statements.look_equal([_before(change) for change in part]))
                if same is not None:
                    equal.update(rows[n] for n in same)
                    found |= set(range(len(part))) - same
            if op != "d":
                look = statements.look_taken([change.event.before for change in part], [_after(change) for change in part])
                found |= (self._numbers(statements, look) if look is not None else None) or set()
            return {rows[n] for n in found}

        def apart(rows: Sequence[int], chosen: Sequence[int]) -> bool:
            return not self.in_order and statements.apart([_images(changes[n]) for n in rows], [rows.index(n) for n in chosen])

        def alone(rows: Sequence[int]) -> None:
            self._one_by_one(statements, [changes[n] for n in rows])

        looked = kind in self._doubtful
        if apply_split(whole, look_first=looked, batch=batch, misfits=misfits, apart=apart, alone=alone):
            self._doubtful.add(kind)
        else:
            self._doubtful.discard(kind)

    def _one_by_one(self, statements: Statements, changes: Sequence[Change]) -> None:
        """Changes that are apart, whatever they meet; their rows are read, and locked, some at a time.

        A change can give a row no key value that is not in its images, so that no other of them meets a row because of it.
        """
        for start in range(0, len(changes), _READ_TOGETHER):
            some = changes[start : start + _READ_TOGETHER]
            look = statements.lock_all([_images(change) for change in some]) if len(some) > 1 else ""
            found: list[tuple[LocalRow, ...] | None] = [None] * len(some)
            if look and len(look) < statements.max_bytes // 4:
                with self._connection.cursor(Cursor) as cursor:
                    cursor.execute(look)
                    rows = cursor.fetchall()
                read = [statements.local_rows(row[1:] for row in rows if int(row[0]) == n) for n in range(len(some))]
                met = Counter(local.row for each in read for local in each)
                # a row that two of them meet is another one for the second: it looks again
                found = [each if all(met[local.row] == 1 for local in each) else None for each in read]
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

    def _numbers(self, statements: Statements, look: str) -> set[int] | None:
        """What a look finds; None where it is larger than a batch may be."""
        if not _small(statements, look):
            return None
        with self._connection.cursor(Cursor) as cursor:
            cursor.execute(look)
            return {int(row[0]) for row in cursor.fetchall()}


def _small(statements: Statements, text: str) -> bool:
    return len(text) <= statements.max_bytes // 4 or len(text.encode()) <= statements.max_bytes


def _whole(statements: Statements, op: str, run: Sequence[Change], *, build: bool) -> Iterator[tuple[int, str | None]]:
    """The batches of a run, as large as they may be: how many rows each has, and its statement, if it is to be built."""
    if not build and not statements.long:
        if op == "u":
            yield from ((len(part), None) for part in statements.update_parts([_both(change) for change in run]))
        else:
            for start in range(0, len(run), statements.max_rows):
                yield min(statements.max_rows, len(run) - start), None
        return
    if op == "u":
        parts: Iterator[tuple[Sequence[Any], str]] = statements.update_batches([_both(change) for change in run])
    else:
        cut = statements.insert_batches if op == "c" else statements.delete_batches
        parts = cut([_one(change) for change in run])
    yield from ((len(part), sql) for part, sql in parts)


def _statement(statements: Statements, op: str, changes: Sequence[Change], *, looked_at: bool) -> str:
    """The statement of a batch, or of a part of it. looked_at: see Statements.update."""
    if op == "u":
        return statements.update([_both(change) for change in changes], looked_at=looked_at)
    rows = [_one(change) for change in changes]
    return statements.insert(rows) if op == "c" else statements.delete(rows, looked_at=looked_at)


def _before(change: Change) -> Row:
    assert change.event.before is not None
    return change.event.before


def _after(change: Change) -> Row:
    assert change.event.after is not None
    return change.event.after


def _images(change: Change) -> tuple[Row | None, Row | None]:
    return change.event.before, change.event.after


def _one(change: Change) -> Row:
    row = change.event.after if change.event.before is None else change.event.before
    assert row is not None
    return row


def _both(change: Change) -> tuple[Row, Row]:
    return _before(change), _after(change)
