"""Batches that do not fit, on a real server: split, they end as if each change had been looked at alone."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import pymysql.err
import pytest
from appliers import Applier

from bisync_topology.scope import TableRules
from bisync_topology.topology import Direction, Policy
from consumers.batches import Batches
from consumers.changes import Change, runs
from consumers.conflict import LocalRow, Rules
from consumers.orphans import Orphans, Refusals
from consumers.resolve import Resolved, resolve
from consumers.statements import Pair, Statements
from consumers.tables import AppliedTable
from schemas.envelope import RowDecoder
from schemas.records import Row, RowEvent, TransactionRecord

pytestmark = pytest.mark.servers

DIRECTION = Direction.model_validate({"from": "east", "to": "west", "objects": ["guard"]})
CODES = ["a", "A", "b", "B", "ä", "c", "d", None]  # some are one to a collation
COLUMNS = "id varchar(9) PRIMARY KEY, code varchar(9) UNIQUE, n int"
Found = tuple[int, str | None, str, tuple[LocalRow, ...]]


def changes_of(made: Statements, policy: str, events: Sequence[tuple[str, Row | None, Row | None]]) -> list[Change]:
    """Changes of one transaction."""
    settings = replace(TableRules(DIRECTION).settings("guard", "t"), on_conflict=Policy(policy))
    rules = Rules(Policy(policy))
    table = AppliedTable(name="guard.t", decoder=cast("RowDecoder", None), settings=settings, rules=rules, statements=made)
    record = cast("TransactionRecord", SimpleNamespace(unchecked=False, fk_checks=False))
    return [Change(table, RowEvent(1, n, op, before, after), record, 0) for n, (op, before, after) in enumerate(events)]


def told(met: Sequence[Resolved]) -> list[Found]:
    """The conflicts among what was met, each with all that was found of it, in the order of the changes."""
    return [
        (each.change.event.order, each.decision.type, each.decision.decision, each.local)
        for each in sorted(met, key=lambda each: each.change.event.order)
        if each.decision.type is not None
    ]


def ready(applier: Applier) -> tuple[Batches, list[Resolved]]:
    """Batches on the applier's connection, and what is met by them."""
    met: list[Resolved] = []
    connection = applier.cursor.connection

    def alone(change: Change, found: tuple[LocalRow, ...] | None) -> None:
        met.append(resolve(connection, change, lambda sql: None, None, found))

    return Batches(connection, lambda sql: None, alone, Orphans(connection, lambda sql: None, Refusals())), met


def split(applier: Applier, changes: Sequence[Change], batches: tuple[Batches, list[Resolved]] | None = None) -> list[Found]:
    """Apply changes as the pipeline does; gives the conflicts."""
    applied, met = batches or ready(applier)
    met.clear()
    for table, op, run in runs(changes):
        applied.apply(table, op, run)
    return told(met)


def random_events(dice: random.Random, rows: dict[str, Row]) -> Iterator[tuple[str, Row | None, Row | None]]:
    """What a source may have done, in runs of a kind; it has no unique key on `code`, so that anything can be met here."""
    for _ in range(dice.randrange(1, 5)):
        op = dice.choice("cud")
        for _ in range(dice.randrange(1, 9)):
            free = [key for key in map(str, range(12)) if key not in rows]
            before = rows.get(dice.choice([*rows, ""]))
            if op == "c" and free:
                after: Row = (dice.choice(free), dice.choice(CODES), 0)
                rows[str(after[0])] = after
                yield op, None, after
            elif op == "u" and before is not None:
                key = dice.choice(free) if free and not dice.randrange(4) else before[0]
                after = (key, dice.choice([before[1], *CODES]), dice.randrange(3))
                del rows[str(before[0])]
                rows[str(key)] = after
                yield op, before, after
            elif op == "d" and before is not None:
                yield op, rows.pop(str(before[0])), None


@pytest.mark.parametrize("policy", ["task_failed", "ignore", "overwrite"])
def test_as_if_each_change_came_alone(applier: Applier, policy: str) -> None:
    """Random changes on random rows: the same rows in the end, and the same conflicts with the same rows, as one by one."""
    made = applier.statements(COLUMNS)
    split_at_all = 0
    for seed in range(60):
        dice = random.Random(f"{policy} {seed}")
        base: dict[str, Row] = {str(n): (str(n), f"x{n}", 0) for n in range(8)}
        here = [row if dice.randrange(5) else (row[0], row[1], 9) for row in base.values() if dice.randrange(6)]
        changes = changes_of(made, policy, list(random_events(dice, dict(base))))
        ends = []
        for way in ("one by one", "split"):
            applier.run("SAVEPOINT seed")
            if here:
                applier.run(made.insert(here))
            if way == "split":
                found = split(applier, changes)
            else:
                found = told([resolve(applier.cursor.connection, change, lambda sql: None) for change in changes])
            ends.append((found, applier.rows(made)))
            applier.run("ROLLBACK TO SAVEPOINT seed")
        assert ends[0] == ends[1], seed
        split_at_all += bool(ends[0][0])
    assert split_at_all > 30


def test_unique_values_that_move_within_a_batch(applier: Applier) -> None:
    """A value that a row of the batch frees and another takes, beside a row that differs: no false conflict."""
    made = applier.statements(COLUMNS)
    rows: list[Row] = [(str(n), f"x{n}", 0) for n in range(6)]
    applier.run(made.insert([*rows[:5], ("5", "x5", 7)]))
    pairs: list[Pair] = [(rows[0], ("0", None, 0)), *((rows[n], (str(n), f"x{n - 1}", 0)) for n in range(1, 6))]
    found = split(applier, changes_of(made, "ignore", [("u", *pair) for pair in pairs]))
    assert [each[:2] for each in found] == [(5, "update_differs")]
    assert [row[1] for row in applier.rows(made)] == [None, "x0", "x1", "x2", "x3", "x5"]


def test_a_row_that_gives_way_to_an_earlier_one_of_its_batch(applier: Applier) -> None:
    """A misfit under `overwrite` takes a row away that a later one wants to change: that one is missing then, as one by one."""
    made = applier.statements("id varchar(9) PRIMARY KEY, code varchar(9) UNIQUE, n int")
    rows: list[Row] = [(str(n), f"x{n}", 0) for n in range(9)]
    applier.run(made.insert([*rows[:6], ("6", "new", 0), *rows[7:]]))
    wanted: list[Row] = [("1", "new", 1), *((str(n), f"x{n}", 1) for n in range(2, 6)), ("6", "six", 1), ("7", "x7", 1)]
    events = [("u", rows[int(str(row[0]))], row) for row in wanted]
    events[5] = ("u", ("6", "new", 0), wanted[5])
    found = split(applier, changes_of(made, "overwrite", events))
    assert [each[:2] for each in found] == [(0, "update_unique"), (5, "update_missing")]
    assert applier.rows(made) == [rows[0], *wanted, rows[8]]


def test_the_look_finds_what_another_session_committed(applier: Applier) -> None:
    """Rows that another session changed, in a transaction that has read the table already, are found, and no others."""
    made = applier.statements(COLUMNS)
    name = f"guard.{made.plan.target.name}"
    rows: list[Row] = [(f"{n:03}", f"x{n}", 0) for n in range(300)]
    applier.run(made.insert(rows))
    applier.cursor.connection.commit()
    assert len(applier.rows(made)) == 300
    applier.as_admin(f"UPDATE {name} SET n = 5 WHERE id IN ('007', '150')")
    applier.as_admin(f"DELETE FROM {name} WHERE id = '299'")
    batches = ready(applier)
    for op, value in (("u", 1), ("u", 2), ("d", 3)):
        events = [(op, (row[0], row[1], value - 1), None if op == "d" else (row[0], row[1], value)) for row in rows]
        kinds = ("delete_differs", "delete_missing") if op == "d" else ("update_differs", "update_missing")
        found = split(applier, changes_of(made, "ignore", events), batches)
        there = {7: kinds[0], 150: kinds[0]} | ({299: kinds[1]} if value == 1 else {})
        assert {order: type_ for order, type_, *_ in found} == there
    assert [row[0] for row in applier.rows(made)] == ["007", "150"]


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("bigint unsigned", [n << 40 for n in range(40)]),
        ("varchar(20) CHARACTER SET latin1", [f"é{n}" for n in range(40)]),
        ("varchar(20)", [f"é{n}" for n in range(40)]),
        ("varbinary(20)", [bytes([200, n]) for n in range(40)]),
        ("decimal(10,2)", [f"{n}.50" for n in range(40)]),
        ("datetime(3)", [f"2024-01-01 00:00:{n:02}.500" for n in range(40)]),
        ("double", [n / 8 for n in range(40)]),
        ("float", [n / 8 for n in range(40)]),
    ],
)
def test_a_look_reads_through_the_index(applier: Applier, column: str, values: list[object]) -> None:
    """Whatever the type of a key: each row of the list is one look-up, and what is taken is found."""
    made = applier.statements(f"id int PRIMARY KEY, u {column} UNIQUE")
    rows: list[Row] = [(n, value) for n, value in enumerate(values)]
    applier.run(made.insert(rows[:30]))
    wanted: list[Row] = [*((100 + n, value) for n, (_, value) in enumerate(rows[20:])), (5, None)]
    taken = made.look_taken([None] * len(wanted), wanted)
    assert taken is not None
    equal = made.look_equal([*rows[:29], (29, None), (30, values[30])])
    for look in (taken, equal):
        plans = str(applier.fetch(f"EXPLAIN FORMAT=TREE {look}"))
        assert "scan on t" not in plans and "lookup on t" in plans, plans
    assert sorted(int(row[0]) for row in applier.fetch(taken)) == [*range(10), 20]
    assert sorted(int(row[0]) for row in applier.fetch(equal)) == [*range(29)]
    befores: list[Row | None] = [*rows[:2]]
    assert made.look_taken(befores, [(0, values[0]), (1, None)]) is None


def test_what_a_look_found_equal_is_locked(applier: Applier) -> None:
    """Another session waits for the rows that a look found to be as they should: from then on their keys alone name them."""
    made = applier.statements("id int PRIMARY KEY, n int")
    applier.run(made.insert([(1, 1), (2, 2)]))
    applier.cursor.connection.commit()
    table = made.plan.target.name
    try:
        assert [int(row[0]) for row in applier.fetch(made.look_equal([(1, 1), (2, 9)]))] == [0]
        with pytest.raises(pymysql.err.OperationalError, match="3572"):
            applier.as_admin(f"SELECT * FROM guard.{table} WHERE id = 1 FOR UPDATE NOWAIT")
        assert applier.run(made.update([((1, 1), (1, 5))], looked_at=True)) == 1
        assert applier.rows(made) == [(1, 5), (2, 2)]
    finally:
        applier.cursor.connection.rollback()
        applier.as_admin(f"DROP TABLE guard.{table}")
