"""What the arbiter sends back: the present state of every row that a change touched or that was in its way.

`refresh_of` says what is to be sent, from what was read under locks. It goes into the control table `refreshes` before the
change's own statements, in their transaction, so that this side's producer finds it in the binlog ahead of them and publishes it
as this side's own (producers/refresh.py). Rows that the decision leaves alone travel in full; of those that it is about to change
the key values are marked, and what the binlog then says of them is sent back as it comes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import NamedTuple

from pymysql.cursors import Cursor

from bisync_topology.control import Control
from consumers.changes import Change
from consumers.conflict import Decision, Insert, LocalRow
from consumers.long_rows import Long
from consumers.statements import Statements
from schemas.images import ABSENT, DOCUMENT, MARK, PRESENT, WILD, image_writer
from schemas.literals import quote_text
from schemas.records import Row, RowEvent
from schemas.tables import Column


class Refresh(NamedTuple):
    """What is to be sent back of one change.

    marked: images with the key values of rows that change from here on. present: rows that stay as they are.
    absent: images whose primary key no row has.
    """

    marked: tuple[Row, ...]
    present: tuple[Row, ...]
    absent: tuple[Row, ...]


def refresh_of(event: RowEvent, local: Sequence[LocalRow], decision: Decision) -> Refresh:
    """What the other side has to be told about a change that was not clean."""
    changing = [action.local for action in decision.actions if not isinstance(action, Insert)]
    images = [image for image in (event.before, event.after) if image is not None]
    absent = []
    if event.before is not None and not any(found.at_before for found in local):
        absent.append(event.before)
    if event.after is not None and decision.decision != "source" and not any(found.at_after for found in local):
        absent.append(event.after)
    return Refresh(
        marked=(*images, *changing) if decision.actions else (),
        present=tuple(found.row for found in local if found.row not in changing),
        absent=tuple(absent),
    )


class SendBack:
    """Writes what is to be sent back, of one direction's target transactions."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._sequence = self._number = 0

    def begin(self, sequence: int) -> None:
        """Another target transaction begins: its rows replace those of the one before, which nobody needs any more.

        sequence: of the last source transaction in it. A row that is put again is logged only where it is another one.
        """
        self._sequence, self._number = sequence, 0

    def write(self, change: Change, refresh: Refresh, check_size: Callable[[str], None]) -> None:
        """Write one change's. check_size: see resolve. Raises ApplyError, pymysql.err.MySQLError."""
        statements = change.table.statements
        assert statements is not None
        plan = statements.plan
        columns, write = _described(plan.columns, plan.key), image_writer(tuple(column.kind for column in plan.columns))
        told = ", ".join(map(quote_text, (plan.target.db, plan.target.name)))
        for role, image in self._images(statements, refresh):
            if role == PRESENT and image is not None:
                for n, column in enumerate(plan.columns):
                    if column.kind == "json" and image[n] is not None:
                        place = f"{self._place()}, {told}, '{DOCUMENT}', '{n}', NULL"
                        self._write(statements.read_column(image, n, place), check_size)
            written = "NULL" if image is None else f"X'{write(image).hex()}'"
            self._write(f"VALUES ({self._place()}, {told}, '{role}', {quote_text(columns)}, {written}, NULL)", check_size)

    def _place(self) -> str:
        self._number += 1
        return f"{quote_text(self._control.topology.name)}, {self._number}, {self._sequence}"

    def _write(self, values: str, check_size: Callable[[str], None]) -> None:
        sql = f"{self._control.plain('write_refresh')} {values}"
        check_size(sql)
        self._control.connection.query(sql)

    def _images(self, statements: Statements, refresh: Refresh) -> Iterator[tuple[str, Row | None]]:
        keyed = {position for key in statements.plan.unique_keys for position in key}
        for role, images in ((MARK, refresh.marked), (ABSENT, refresh.absent)):
            for image in images:
                long = any(isinstance(image[n], Long) for n in keyed)
                if long:  # a prefix of it is a key: all keys may be meant
                    yield WILD, None
                if role == ABSENT or not long:
                    yield role, tuple(value if n in keyed else None for n, value in enumerate(image))
        for row in refresh.present:
            yield PRESENT, self._whole(statements, row) if statements.shortens else row

    def _whole(self, statements: Statements, row: Row) -> Row:
        with self._control.connection.cursor(Cursor) as cursor:
            cursor.execute(statements.read_whole(row))
            (values,) = cursor.fetchall()
        return statements.canonical(values)


@cache
def _described(columns: tuple[Column, ...], key: tuple[int, ...]) -> str:
    """A table for its producer."""
    facts = [[column.name, column.kind, column.sql_type, column.charset] for column in columns]
    return json.dumps({"columns": facts, "key": key}, separators=(",", ":"))
