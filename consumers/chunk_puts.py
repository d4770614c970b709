"""A chunk's rows are put at the target, between the head and the end of a transaction of the applier (loading.py).

As a list they go as the source gave them, where none is there already. Else one by one, as inserts of a transaction each, by the
decision table. A row that differs may have been changed by users of the target just now, while the source has not got that yet:
it is looked at again later (MisfitError). In the end the arbiter's row takes its place by a write of the target's own (`as_own`).
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

import pymysql.err

from bisync_topology.errors import Category, ConflictStop, classify
from bisync_topology.scope import UnionScope
from bisync_topology.topology import Direction, Topology
from consumers.apply import Writer
from consumers.changes import Change
from consumers.chunks import Chunk, Name, Pieces
from consumers.long_rows import Long
from consumers.passing import Passing
from consumers.tables import AppliedTable, AppliedTables
from schemas.records import Row, RowEvent, TransactionRecord

LOOKS = 3  # at rows that differ, each once the source has what the target had written before


class MisfitError(Exception):
    """Rows cannot be put as a list, or differ where the target may have changed them just now: nothing may be committed."""


class ReplacesError(Exception):
    """Rows of the target would give way to those at these places of the list, and the arbiter not hear of it."""

    def __init__(self, places: list[int]) -> None:
        super().__init__(f"{len(places)} rows")
        self.places = places


class ChunkPuts:
    """Of one direction, in the applier's session."""

    def __init__(self, topology: Topology, direction: Direction, writer: Writer, passing: Passing, stream: str) -> None:
        """stream: the source's present one."""
        self._back = UnionScope(topology.directions_from(direction.to), control_schema=topology.control_schema)
        self._writer = writer
        self._passing = passing
        self._stream = stream
        self._tables: AppliedTables
        self._described: dict[Name, tuple[object, AppliedTable]] = {}

    def begin(self, tables: AppliedTables) -> None:
        """tables: what is known of the target's."""
        self._tables = tables

    def forget(self, name: Name | None = None) -> None:
        """A table has changed here, or is copied; None: any may have changed."""
        if name is None:
            self._described.clear()
        else:
            self._described.pop(name, None)

    def as_list(self, chunk: Chunk) -> None:
        """The rows as the source listed them, if each of them is new here."""
        if not chunk.rows:
            return
        try:
            put = self._writer.put_list(chunk.sql.insert + chunk.values)
        except pymysql.err.MySQLError as error:
            if classify(error) is not Category.STOP and not isinstance(error, pymysql.err.IntegrityError):
                raise
            raise MisfitError from error  # by themselves, rows say what is wrong with them
        if put != chunk.rows:
            raise MisfitError

    def one_by_one(self, chunk: Chunk, rows: Sequence[Row]) -> None:
        """As inserts of a transaction each; a conflict is known again by the number that its table and key give.

        Rows that differ may be those that the target has changed, and the source has not got yet: they are looked at again.
        """
        back = self._back.includes(*chunk.table)
        changes = self._changes(chunk, rows)
        try:
            self._writer.write(changes)
            differ = self._writer.conflicts.undecided
        except ConflictStop:
            differ = True
            if chunk.looks >= LOOKS or not back:
                raise
        if differ and back:
            if chunk.looks < LOOKS:
                raise MisfitError
            if self._table(chunk).rules.forced and (places := self._writer.conflicts.replaced(changes)):
                raise ReplacesError(places)

    def as_own(self, chunk: Chunk, rows: Sequence[Row]) -> None:
        """Put rows of the arbiter in place of other ones, as this side's own writes, which are carried back.

        The arbiter has no change of these rows under way, so it would take what users of this side have written to them for news,
        while here it is gone. So it has to hear of that too, in this side's order. Killed behind this, the copy finds equal rows.
        """
        self._writer.write_as_own(self._changes(chunk, rows))  # made anew: long values were in the session for one transaction

    def _changes(self, chunk: Chunk, rows: Sequence[Row]) -> list[Change]:
        """Rows as inserts, each of a transaction of its own."""
        table, at = self._table(chunk), self._passing.here(chunk.seen)
        changes = []
        for row in rows:
            number = _number(table, row)
            record = TransactionRecord(
                *(number, 0, True, "rows", self._stream, at.gtid, at.committed_at), None, 0, 0, chunk.seen, False, 0, ()
            )
            of, kept = table, row
            if any(isinstance(value, Pieces) for value in row):
                of, kept = table.for_long_rows, self._kept(table, row)
            changes.append(Change(of, RowEvent(number, 0, "c", None, kept), record, 0))
        return changes

    def _kept(self, table: AppliedTable, row: Row) -> Row:
        """A row with its long values in the target's session."""
        assert table.statements is not None
        values = list(row)
        for n, value in enumerate(values):
            if isinstance(value, Pieces):
                length = sum(map(len, value))
                keep = self._writer.keep(table.name, table.statements.plan.columns[n], length)
                digest = sha256()
                names = []
                for piece in value:
                    digest.update(piece)
                    names.append(keep(piece))
                values[n] = Long(length=length, digest=digest.hexdigest(), pieces=tuple(names))
        return tuple(values)

    def _table(self, chunk: Chunk) -> AppliedTable:
        known = self._described.get(chunk.table)
        if known is None or known[0] is not chunk.sql:
            known = self._described[chunk.table] = chunk.sql, self._tables.of_plan(chunk.sql.plan)
        return known[1]


def _number(table: AppliedTable, row: Row) -> int:
    """Less than zero, which no sequence is, and the same whenever the row is read."""
    assert table.statements is not None
    plan = table.statements.plan
    text = repr((table.name, [row[n] for n in plan.key]))
    return -1 - (int.from_bytes(sha256(text.encode("utf-8", "surrogatepass")).digest()[:8]) >> 2)
