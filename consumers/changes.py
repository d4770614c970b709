"""Pieces of transactions → changes in source order, in runs of one table and one kind. Pure but for the tables' look-up.

An event in parts has pieces of its own, which no other event shares (producers/publish.py).
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import groupby
from typing import NamedTuple

from bisync_topology.errors import ApplyError, Where
from consumers.assemble import Assembled
from consumers.long_rows import Keep, LongRow
from consumers.tables import AppliedTable
from schemas.framing import HEADER_BYTES, framed_id
from schemas.parts import decode_part
from schemas.records import KIND_REFRESH, REFRESH, RowEvent, TransactionRecord
from schemas.tables import Column


class Change(NamedTuple):
    """One row's change, with its table and its transaction."""

    table: AppliedTable
    event: RowEvent
    record: TransactionRecord
    offset: int  # of the record in the list


class Unfinished:
    """What of a transaction in pieces a later piece goes on with: an event in parts, the first half of a moved row."""

    def __init__(self, keep: Callable[[str, Column, int], Callable[[bytes], str]]) -> None:
        """keep: Writer.keep, for a table's name."""
        self._keep = keep
        self.table: AppliedTable | None = None  # of the event in parts
        self._row: LongRow | None = None
        self.half: tuple[AppliedTable, RowEvent] | None = None

    def clear(self) -> None:
        """Another transaction begins, or this one again."""
        self.table = self._row = self.half = None

    def add(self, values: list[bytes], table_of: Callable[[int], AppliedTable]) -> Iterator[tuple[AppliedTable, RowEvent]]:
        """Take parts; gives the event that the last of them ends, if the direction carries it."""
        for part in map(decode_part, values):
            if not part.number:
                self.table = table = table_of(framed_id(bytes(part.data[:HEADER_BYTES])))
                self._row = LongRow(table.decoder, self._kept) if table.statements is not None else None
            if self._row is not None and (event := self._row.add(part)) is not None:
                assert self.table is not None
                if self.table.carries(event):
                    yield self.table.for_long_rows, event if self.table.adapted is None else self.table.adapted.event(event)

    def _kept(self, event: RowEvent) -> Keep | None:
        assert self.table is not None
        return partial(self._keep, self.table.name) if self.table.carries(event) else None


def changes_of(piece: Assembled, table_of: Callable[[int], AppliedTable], unfinished: Unfinished | None = None) -> list[Change]:
    """A piece's changes that the direction carries, in the order in which the source made them.

    unfinished: of its transaction, where that comes in pieces.
    Raises ApplyError for an event whose bytes are not as its schema says.
    """
    record = piece.record
    found: list[tuple[AppliedTable, RowEvent]] = []
    identity, table = -1, None
    try:
        if unfinished is not None and piece.in_parts:
            found += unfinished.add(piece.values, table_of)
            return [Change(table, event, record, piece.offset) for table, event in _rejoined(found, unfinished)]
        for value in piece.values:
            if (schema := framed_id(value)) != identity or table is None:
                identity, table = schema, table_of(schema)
            if table.statements is not None:
                event = table.decoder.decode(value)
                if record.kind == KIND_REFRESH:
                    event = event._replace(op=REFRESH)
                if table.carries(event):
                    found.append((table, event if table.adapted is None else table.adapted.event(event)))
    except ValueError as error:
        table = unfinished.table if unfinished is not None and piece.in_parts else table
        where = Where(gtid=record.gtid, table=None if table is None else table.name)
        raise ApplyError(str(error), code="undecodable", where=where) from error
    if len(record.events) > 1:  # partitions hold their own order only
        found.sort(key=_by_order)
    return [Change(table, event, record, piece.offset) for table, event in _rejoined(found, unfinished)]


def _rejoined(
    found: list[tuple[AppliedTable, RowEvent]], unfinished: Unfinished | None
) -> Iterator[tuple[AppliedTable, RowEvent]]:
    """An update that moved its key travels as a delete and an insert, side by side; here it is one update again.

    Only where one of them comes in parts, they may be of two pieces.
    """
    half = unfinished.half if unfinished is not None else None
    for table, event in found:
        if not event.moved:
            yield table, event
        elif event.after is None:
            half = table, event
        else:
            assert half is not None and half[1].order + 1 == event.order
            old_table, old = half
            half = None
            yield old_table if old_table.long else table, event._replace(op="u", before=old.before, moved=False)
    if unfinished is not None:
        unfinished.half = half


def _by_order(item: tuple[AppliedTable, RowEvent]) -> int:
    return item[1].order


def runs(changes: Iterable[Change]) -> Iterator[tuple[AppliedTable, str, list[Change]]]:
    """Neighbours of the same table and kind together: what one statement can do. Nothing is moved past anything."""
    for (_, op), run in groupby(changes, key=lambda change: (id(change.table), change.event.op)):
        listed = list(run)
        yield listed[0].table, op, listed
