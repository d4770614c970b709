"""Every cell of the conflict table on a real server: in a batch of changes that fit, in a batch of its own, and as one row.

What `consumers/decision_table.py` says, and docs/conflicts.md shows, is compared with the rows left, the record and what the
arbiter sends back. Each cell is a transaction that is undone, but for the records of conflicts that stop a direction.
"""

import json
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple, cast

import pytest
from pymysql.constants import CLIENT
from pymysql.cursors import Cursor

from bisync_topology.control import Control
from bisync_topology.errors import ConflictStop
from bisync_topology.scope import settings_for
from bisync_topology.topology import Policy, Topology
from consumers.apply import Writer
from consumers.changes import Change
from consumers.conflict import decide
from consumers.decision_table import (
    COLUMNS,
    CONVERGENT,
    DELTAS,
    FORCED,
    ID,
    KEYS,
    ONE_SIDE,
    SITUATIONS,
    VERSION,
    Column,
    Outcome,
    Situation,
    done,
    found,
    outcome,
    variants,
)
from consumers.progress import Progress
from consumers.records import ConflictRecorder
from consumers.refresh import SendBack
from consumers.resolve import resolve
from consumers.rules import rules_of
from consumers.statements import Statements
from consumers.tables import AppliedTable
from consumers.target import JUDGING_STATEMENT, SESSION_STATEMENTS, plan, read_table
from consumers.target_rows import TargetRows
from sandbox.accounts import create_accounts
from sandbox.instances import Sandbox
from schemas.envelope import RowDecoder
from schemas.images import ABSENT, MARK, PRESENT, read_image
from schemas.records import REFRESH, Row, RowEvent, TransactionRecord
from schemas.tables import Table

pytestmark = pytest.mark.servers

EAST, WEST = "east", "west"  # east is the arbiter
STREAM = "stream"
RECORD = TransactionRecord(1, 0, True, "rows", STREAM, "gtid", 7, None, 0, 0, 0, True, 0, ())
FIRST, LAST = ((n, n, "old", "", 1, 5, 0, None) for n in (100, 101))  # rows that no situation touches
DEFINITION = """
    id INT PRIMARY KEY, code INT UNIQUE, name VARCHAR(9), note VARCHAR(9), version INT, qty INT, sold INT,
    parent INT, FOREIGN KEY (parent) REFERENCES item (id)"""
KEYED = {n for key in KEYS for n in key}


class Seen(NamedTuple):
    """What a cell left behind. conflicts, already: as the progress row would count them."""

    rows: list[Row]
    records: list[tuple[Any, ...]]
    told: list[tuple[str, Row]]
    conflicts: int
    already: int


@cache
def topology(column: Column, *, deltas: bool = False) -> Topology:
    """Both ways, with a column's settings."""
    settings: dict[str, Any] = {"on_conflict": str(column.policy), "deletes": str(column.deletes)}
    if column.policy is Policy.NEWEST:
        settings["version_column"] = COLUMNS[VERSION]
    if deltas:
        settings["delta_columns"] = [COLUMNS[n] for n in DELTAS]
    mysql = {"host": "127.0.0.1", "user": "cells", "password": "cells"}
    return Topology.model_validate(
        {
            "name": "cells",
            "kafka": {"bootstrap.servers": "127.0.0.1:1"},
            "control_schema": "cells_control",
            "sides": {EAST: {"mysql": mysql | {"port": 1}}, WEST: {"mysql": mysql | {"port": 2}}},
            "directions": [
                {"from": one, "to": two, "objects": ["cells"], "tables": {"cells.item": settings}}
                for one, two in ((EAST, WEST), (WEST, EAST))
            ],
        }
    )


class Applier:
    """One direction's writer on a connection of its own, as the pipeline makes it."""

    def __init__(self, servers: Sandbox, source: str, target: str) -> None:
        self.connection = servers.east.connect(
            "cells", "cells", client_flag=CLIENT.FOUND_ROWS, database="cells_control", autocommit=False
        )
        for statement in SESSION_STATEMENTS:
            self.connection.query(statement)
        if target == EAST:
            self.connection.query(JUDGING_STATEMENT)
        control = Control(self.connection, topology(ONE_SIDE[0]))
        rows = TargetRows(control, source)
        rows.read()
        rows.begin(STREAM)
        self.conflicts = ConflictRecorder(control, source, target, STREAM)
        self.send_back = SendBack(control)
        self.writer = Writer(self.connection, rows, self.conflicts, self.send_back)
        target_table = read_table(self.connection, "cells", "item")
        columns, key = target_table.columns, target_table.key
        self.statements = Statements(plan(Table(db="cells", name="item", columns=columns, key=key), target_table))
        self.ends = source, target

    def table(self, situation: Situation, column: Column) -> AppliedTable:
        """The table with a column's settings."""
        configured = topology(column, deltas=situation.deltas)
        settings = settings_for(configured.direction(*self.ends), "cells", "item")
        rules = rules_of(settings, self.statements.plan, forced=self.ends[0] == configured.arbiter)
        decoder = cast("RowDecoder", None)
        return AppliedTable(name="cells.item", decoder=decoder, settings=settings, rules=rules, statements=self.statements)

    def fetch(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows of a SELECT."""
        with self.connection.cursor(Cursor) as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall())

    def try_cell(self, cell: Outcome, table: AppliedTable, path: str) -> Seen:
        """Apply a cell's change where its rows are; what was there is so again afterwards."""
        event = cell.event
        around = neighbours(event) if path == "batch" else []
        first, last = around[:1], around[1:]
        events = [each._replace(order=n) for n, each in enumerate([*first, event, *last])]
        rows = [*cell.met, *(each.before for each in around if each.before is not None)]
        if rows:
            self.connection.query(self.statements.insert(rows))
        self.writer.begin(Progress(sequence=1, transactions=1), 0, fk_checks=True)
        changes = [Change(table, each, RECORD, 3) for each in events]
        if path == "row":
            resolved = resolve(self.connection, changes[0], lambda sql: None, self.send_back)
            assert resolved.decision._replace(actions=()) == cell.decision._replace(actions=())
            self.conflicts.add(resolved)
            self.conflicts.write()
        else:
            self.writer.write(changes)
        left = [tuple(row) for row in self.fetch(f"SELECT {', '.join(COLUMNS)} FROM cells.item ORDER BY id")]
        told = [(role, read_image(table.statements.plan.target, image)) for role, image in self.fetch(TOLD)]  # type: ignore[union-attr]
        records = self.fetch(RECORDS)
        conflicts, already = self.conflicts.settle(1)
        try:
            self.conflicts.check()
        except ConflictStop as stop:
            assert not records
            self.writer.rollback()
            self.conflicts.record_pending(stop)  # commits
            records = self.fetch(RECORDS)
            self.connection.query("DELETE FROM cells_control.conflicts")
            self.connection.commit()
        self.writer.rollback()
        self.conflicts.committed(1)
        return Seen(left, records, told, conflicts, already)

    def close(self) -> None:
        """End the connection; what is open is undone."""
        self.connection.close()


TOLD = "SELECT role, image FROM cells_control.refreshes"
RECORDS = """
    SELECT type, policy, decision, source_side, target_side, table_name, row_key, before_image, incoming_image, local_rows,
    sequence, event_order, list_offset FROM cells_control.conflicts"""


@pytest.fixture(scope="module")
def appliers(servers: Sandbox) -> Iterator[dict[str, Applier]]:
    """By the side that is written to: the arbiter's judges."""
    with servers.east.connect() as admin, admin.cursor() as cursor:
        cursor.execute("CREATE DATABASE cells")
        cursor.execute(f"CREATE TABLE cells.item ({DEFINITION})")
        create_accounts(admin, ["cells"], "cells_control", "cells", "cells")
        Control(admin, topology(ONE_SIDE[0])).create()
        admin.commit()
    made = {EAST: Applier(servers, WEST, EAST), WEST: Applier(servers, EAST, WEST)}
    yield made
    for each in made.values():
        each.close()


def neighbours(event: RowEvent) -> list[RowEvent]:
    """Two changes of the same kind that meet no other row, and fit."""
    made = []
    for row in (FIRST, LAST):
        after = (*row[:2], "new", *row[3:])
        before = None if event.before is None else row
        made.append(RowEvent(1, 0, event.op, before, None if event.after is None else after))
    return made


def named(row: Row) -> dict[str, object]:
    """A row as it is on record."""
    return dict(zip(COLUMNS, row, strict=True))


def sent(cell: Outcome) -> list[tuple[str, Row]]:
    """What the arbiter's producer is to find; of rows that change, or are not there, the values of keys alone count."""
    if cell.told is None:
        return []
    roles = [(MARK, cell.told.marked), (ABSENT, cell.told.absent)]
    keyed = [(role, tuple(v if n in KEYED else None for n, v in enumerate(row))) for role, rows in roles for row in rows]
    return [*keyed, *((PRESENT, row) for row in cell.told.present)]


def recorded(cell: Outcome, column: Column, applier: Applier, order: int) -> list[tuple[Any, ...]]:
    """The record of a cell, as `Seen` has it; its local rows in any order."""
    before, after, decision = cell.event.before, cell.event.after, cell.decision
    if decision.type is None:
        return []
    key = before or after
    assert key is not None
    local = sorted((named(each.row) for each in cell.local), key=str)
    images = [None if image is None else named(image) for image in (before, after)]
    kind = (str(decision.type), str(column.policy), decision.decision)
    return [(*kind, *applier.ends, "cells.item", {"id": key[0]}, *images, local, 1, order, 3)]


def plain(record: Sequence[Any]) -> tuple[Any, ...]:
    """A record as read, its JSON as values."""
    key, *images, local = (None if value is None else json.loads(value) for value in record[6:10])
    return (*record[:6], key, *images, sorted(local, key=str), *record[10:])


def named_by(situation: Situation) -> str:
    """A test's name."""
    return f"{situation.change}: {situation.here}".replace(" ", "_")


@pytest.mark.parametrize("path", ["batch", "alone", "row"])
@pytest.mark.parametrize("situation", SITUATIONS, ids=named_by)
def test_cell(appliers: dict[str, Applier], situation: Situation, path: str) -> None:
    """Under every policy: the rows left, those beside them, the record, what is sent back, and the counters."""
    for column in [variant for each in (*ONE_SIDE, *CONVERGENT) for variant in variants(each)]:
        applier = appliers[EAST if column.judging else WEST]
        cell = outcome(situation, column)
        seen = applier.try_cell(cell, applier.table(situation, column), path)
        around = [each.after for each in neighbours(cell.event) if each.after is not None] if path == "batch" else []
        assert seen.rows == [*cell.rows, *around], column
        assert [plain(each) for each in seen.records] == recorded(cell, column, applier, int(path == "batch")), column
        assert sorted(seen.told, key=str) == sorted(sent(cell), key=str), column
        decided = cell.decision.type is not None and cell.decision.decision != "pending"
        assert (seen.conflicts, seen.already) == (int(decided), int(cell.decision.already)), column


@pytest.mark.parametrize("situation", SITUATIONS, ids=named_by)
def test_what_the_arbiter_sends_back(appliers: dict[str, Applier], situation: Situation) -> None:
    """The state of a row, there or absent, is taken by force whatever the rows here, and nothing is put on record."""
    applier, cell = appliers[WEST], outcome(situation, FORCED)
    table = applier.table(situation, FORCED)
    for before, after in ((cell.event.before, None), (None, cell.event.after)):
        if before is not None or after is not None:
            event = RowEvent(1, 0, REFRESH, before, after)
            local = found(event, cell.met)
            decision = decide(event, local, FORCED.rules(situation))
            left = done(cell.met, decision)
            key = (before or after or ())[ID]
            assert [row for row in left if row[ID] == key] == ([] if after is None else [after])
            seen = applier.try_cell(Outcome(event, cell.met, local, decision, left, None), table, "alone")
            assert seen == Seen(list(left), [], [], 0, 0)
