"""What the arbiter sends back: the present state of every row that a change touched or that was in its way.

`refresh_of` says what is to be sent, from what was read under locks. It goes into the control table `refreshes` before the
change's own statements, in their transaction, so that this side's producer finds it in the binlog ahead of them and publishes it
as this side's own (producers/refresh.py). Rows that the decision leaves alone travel in full; of those that it is about to change
the key values are marked, and what the binlog then says of them is sent back as it comes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import cache
from typing import NamedTuple

from pymysql.cursors import Cursor

from bisync_topology.control import Control
from consumers.changes import Change
from consumers.conflict import Decision, Insert, LocalRow
from consumers.long_rows import Long
from consumers.statements import Statements
from schemas.images import ABSENT, MARK, PRESENT, WILD, image_writer
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
        self._number = 0

    def begin(self) -> None:
        """Another target transaction begins: its rows replace those of the one before, which nobody needs any more."""
        self._number = 0

    def write(self, change: Change, refresh: Refresh) -> None:
        """Write one change's. Raises pymysql.err.MySQLError."""
        statements = change.table.statements
        assert statements is not None
        plan = statements.plan
        columns, write = _described(plan.columns, plan.key), image_writer(tuple(column.kind for column in plan.columns))
        rows = [(role, image if image is None else write(image)) for role, image in self._images(statements, refresh)]
        arguments = []
        for role, image in rows:
            self._number += 1
            topology = self._control.topology.name
            arguments.append((topology, self._number, plan.target.db, plan.target.name, role, columns, image))
        with self._control.connection.cursor() as cursor:
            cursor.executemany(self._control.text("write_refresh"), arguments)

    def _images(self, statements: Statements, refresh: Refresh) -> Iterator[tuple[str, Row | None]]:
        keyed = {position for key in statements.plan.unique_keys for position in key}
        for role, images in ((MARK, refresh.marked), (ABSENT, refresh.absent)):
            for image in images:
                if any(isinstance(image[n], Long) for n in keyed):  # a prefix of it is a key: all keys may be meant
                    yield WILD, None
                if role == ABSENT or not any(isinstance(image[n], Long) for n in keyed):
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
