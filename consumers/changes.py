"""Pieces of transactions → changes in source order, in runs of one table and one kind. Pure but for the tables' look-up."""

from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from typing import NamedTuple

from bisync_topology.errors import ApplyError, Where
from consumers.assemble import Assembled
from consumers.tables import AppliedTable
from schemas.framing import framed_id
from schemas.records import RowEvent, TransactionRecord


class Change(NamedTuple):
    """One row's change, with its table and its transaction."""

    table: AppliedTable
    event: RowEvent
    record: TransactionRecord
    offset: int  # of the record in the list


def changes_of(piece: Assembled, table_of: Callable[[int], AppliedTable]) -> list[Change]:
    """A piece's changes that the direction carries, in the order in which the source made them.

    Raises ApplyError for an event whose bytes are not as its schema says.
    """
    record = piece.record
    found = []
    identity, table = -1, None
    try:
        for value in piece.values:
            if (schema := framed_id(value)) != identity or table is None:
                identity, table = schema, table_of(schema)
            if table.statements is not None:
                event = table.decoder.decode(value)
                if table.carries(event):
                    found.append((table, event))
    except ValueError as error:
        where = Where(gtid=record.gtid, table=None if table is None else table.name)
        raise ApplyError(str(error), code="undecodable", where=where) from error
    if len(record.events) > 1:  # partitions hold their own order only
        found.sort(key=_by_order)
    return [Change(table, event, record, piece.offset) for table, event in _rejoined(found)]


def _rejoined(found: list[tuple[AppliedTable, RowEvent]]) -> Iterator[tuple[AppliedTable, RowEvent]]:
    """An update that moved its key travels as a delete and an insert, side by side; here it is one update again."""
    old: RowEvent | None = None
    for table, event in found:
        if not event.moved:
            yield table, event
        elif event.after is None:
            old = event
        else:
            assert old is not None and old.order + 1 == event.order
            yield table, event._replace(op="u", before=old.before, moved=False)


def _by_order(item: tuple[AppliedTable, RowEvent]) -> int:
    return item[1].order


def runs(changes: Iterable[Change]) -> Iterator[tuple[AppliedTable, str, list[Change]]]:
    """Neighbours of the same table and kind together: what one statement can do. Nothing is moved past anything."""
    for (_, op), run in groupby(changes, key=lambda change: (id(change.table), change.event.op)):
        listed = list(run)
        yield listed[0].table, op, listed
