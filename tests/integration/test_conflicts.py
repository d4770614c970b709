"""The record of conflicts, and the commands that show it, between two real servers."""

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import pytest
from appliers import Applier
from topologies import World, both_paused, eventually, failed, listed

from bisync_topology.scope import TableRules
from bisync_topology.topology import Direction, Policy
from consumers.changes import Change
from consumers.conflict import ConflictType, Decision, Rules
from consumers.resolve import resolve
from consumers.statements import Statements
from consumers.tables import AppliedTable
from schemas.envelope import RowDecoder
from schemas.records import Row, RowEvent, TransactionRecord

pytestmark = pytest.mark.servers

DIRECTION = Direction.model_validate({"from": "east", "to": "west", "objects": ["guard"]})
FIELDS = (
    *("id", "at", "from", "to", "table", "key", "type", "policy", "decision", "before", "incoming", "local", "gtid", "offset"),
    *("committed_at", "resolution"),
)


def test_all_conflicts_of_a_transaction_are_recorded_at_once(world: World) -> None:
    """The direction stops at the first; each conflict of its transaction is on record, once, however often it is tried.

    Once the rows are mended, `resume` applies the transaction and closes them; what `skip` passes is closed as skipped.
    """
    table = world.table(columns="id INT PRIMARY KEY, qty INT, code VARCHAR(10) UNIQUE")
    world.up()
    world.sql("east", f"INSERT INTO {table} VALUES (1, 1, 'a'), (2, 2, 'b'), (3, 3, 'c'), (4, 4, 'd')")
    world.run("wait")
    both_paused(world)
    world.sql("west", f"UPDATE {table} SET qty = -qty WHERE id IN (2, 3)", f"INSERT INTO {table} VALUES (40, 40, 'taken')")
    in_one = ("BEGIN", "UPDATE {t} SET qty = 10 * qty", "INSERT INTO {t} VALUES (50, 50, 'taken')", "COMMIT")
    world.sql("east", f"UPDATE {table} SET qty = 100 WHERE id = 4", *(each.format(t=table) for each in in_one))
    world.run("resume", "east", "west")
    error = failed(world)
    assert "update_differs" in str(error["message"]) and "and 2 more" in str(error["message"])
    assert "qty: was 2 there, 20 comes, -2 here" in str(error["message"])
    assert f"conflicts show {error['conflict_id']}" in str(error["hint"])
    assert world.sql("west", f"SELECT id, qty FROM {table} ORDER BY id") == ((1, 1), (2, -2), (3, -3), (4, 100), (40, 40))
    found = listed(world)
    assert [(each["type"], each["key"], each["decision"]) for each in found] == [
        ("insert_unique", {"id": 50}, "pending"),
        ("update_differs", {"id": 3}, "pending"),
        ("update_differs", {"id": 2}, "pending"),
    ]
    assert {each["gtid"] for each in found} == {error["gtid"]} and found[-1]["id"] == error["conflict_id"]
    assert world.direction("east")["conflicts"] == 0, "what is not decided is not counted"
    world.sql("west", f"UPDATE {table} SET qty = 2 WHERE id = 2")
    world.run("resume", "east", "west")
    eventually(lambda: "id=3" in str((world.direction("east")["error"] or {"message": ""})["message"]), world.said)
    assert len(listed(world)) == 3
    world.sql("west", f"UPDATE {table} SET qty = 3 WHERE id = 3", f"DELETE FROM {table} WHERE id = 40")
    world.run("resume", "east", "west")
    eventually(lambda: world.sql("west", f"SELECT SUM(qty) FROM {table}") == ((10 + 20 + 30 + 1000 + 50,),), world.said)
    assert [each["decision"] for each in listed(world)] == ["source"] * 3


@pytest.mark.parametrize(("policy", "decision"), [("task_failed", "pending"), ("ignore", "target"), ("overwrite", "pending")])
def test_a_foreign_key_refuses(applier: Applier, policy: str, decision: str) -> None:
    """A child whose parent is gone here, and a parent that has children here, are conflicts; nothing of the change is done."""
    parents = applier.statements("id int PRIMARY KEY")
    name = parents.plan.target.name
    applier.cursor.connection.commit()  # a table that is in use cannot be referred to by a new one
    children = applier.statements(f"id int PRIMARY KEY, parent int, code int UNIQUE, FOREIGN KEY (parent) REFERENCES {name} (id)")
    applier.as_admin(f"INSERT INTO guard.{name} VALUES (1)")
    applier.run(children.insert([(10, 1, 5)]))

    def resolved(made: Statements, before: Row | None, after: Row | None) -> Decision:
        settings = replace(TableRules(DIRECTION).settings("guard", "t"), on_conflict=Policy(policy))
        rules = Rules(Policy(policy))
        table = AppliedTable(name="guard.t", decoder=cast("RowDecoder", None), settings=settings, rules=rules, statements=made)
        op = "d" if after is None else "u" if before else "c"
        event = RowEvent(1, 0, op, before, after)
        change = Change(table, event, cast("TransactionRecord", SimpleNamespace(unchecked=False, fk_checks=False)), 0)
        return resolve(applier.cursor.connection, change, lambda sql: None).decision

    assert resolved(children, None, (11, 2, 5)).type == (
        ConflictType.FOREIGN_KEY if policy == "overwrite" else ConflictType.INSERT_UNIQUE
    )
    for made, before, after in ((children, None, (12, 2, 6)), (children, (10, 1, 5), (10, 2, 5)), (parents, (1,), None)):
        found = resolved(made, before, after)
        assert (found.type, found.decision, found.actions) == (ConflictType.FOREIGN_KEY, decision, ())
    assert applier.rows(children) == [(10, 1, 5)] and applier.rows(parents) == [(1,)]


def test_what_is_listed_and_shown(world: World) -> None:
    """Filters, the fields of the interface, the rows side by side; a wrong id and a wrong filter say what is right."""
    item, other = world.table(columns="id INT PRIMARY KEY, qty INT"), world.table("o_ther")
    for direction in world.topology["directions"]:
        direction["on_conflict"] = "ignore" if direction["from"] == "east" else "overwrite"
    world.up()
    assert "no conflicts" in world.run("conflicts", "list")
    both_paused(world)
    for side, qty in (("east", 1), ("west", 2)):
        world.sql(side, f"INSERT INTO {item} VALUES (7, {qty})", f"INSERT INTO {other} VALUES (8, {qty})")
    world.run("resume", "east", "west")
    eventually(lambda: world.direction("east")["conflicts"] == 2, world.said)
    world.run("resume", "west", "east")
    world.run("wait")
    found = listed(world)
    assert len(found) == 4 and all(tuple(each) == FIELDS for each in found)
    assert {(each["from"], each["to"], each["decision"]) for each in found} == {
        ("east", "west", "target"),
        ("west", "east", "source"),
    }
    assert sorted((str(each["id"]), each["table"]) for each in listed(world, "--to", "west")) == [
        ("west-1", item),
        ("west-2", other),
    ]
    assert [each["table"] for each in listed(world, "--table", f"{world.db}.o_*", "--from", "west")] == [other]
    assert [each["id"] for each in listed(world, "--decision", "source", "--type", "insert_exists", "--limit", "1")] == ["east-2"]
    assert listed(world, "--type", "delete_differs") == []
    one = json.loads(world.run("conflicts", "show", "west-1", "-o", "json"))
    assert one in found
    assert (one["key"], one["before"], one["incoming"], one["local"]) == (
        {"id": 7},
        None,
        {"id": 7, "qty": 1},
        [{"id": 7, "qty": 2}],
    )
    said = world.run("conflicts", "show", "west-1")
    assert "insert_exists" in said and "≠" in said and "target" in said and str(one["gtid"]) in said
    assert "west-1" in world.run("conflicts", "list") and "east-2" in world.run("conflicts", "list")
    assert "conflicts list" in world.run("conflicts", "show", "west-99", expect=1)
    assert "west-17" in world.run("conflicts", "show", "17", expect=2)
    assert "one of east, west" in world.run("conflicts", "list", "--to", "north", expect=2)
    assert "--table" in world.run("conflicts", "list", "--table", "a.b.c", expect=2)


def test_rows_in_parts(world: World) -> None:
    """A row too large for one record conflicts like any other; its record has the SHA-256 of what is long."""
    table = world.table(columns="id INT PRIMARY KEY, v LONGTEXT, j JSON DEFAULT (JSON_ARRAY(REPEAT('j', 3000000)))")
    for direction in world.topology["directions"]:
        direction["on_conflict"] = "overwrite" if direction["from"] == "east" else "ignore"
    world.up()
    world.sql("east", f"INSERT INTO {table} (id, v) VALUES (2, REPEAT('b', 3000000))")
    world.run("wait")
    both_paused(world)
    for side in world.sides:
        world.sql(side, f"INSERT INTO {table} (id, v) VALUES (1, REPEAT('{side}', 1000000))")
        world.sql(side, f"UPDATE {table} SET v = CONCAT(v, '{side}') WHERE id = 2")
    for source, target in (("east", "west"), ("west", "east")):
        world.run("resume", source, target)
    world.run("wait")
    found = {side: world.sql(side, f"SELECT id, SHA2(v, 256) FROM {table} ORDER BY id") for side in world.sides}
    assert found["east"] == found["west"]
    assert [(each["type"], each["decision"]) for each in listed(world, "--to", "west")] == [
        ("update_differs", "source"),
        ("insert_exists", "source"),
    ]
    assert [each["decision"] for each in listed(world, "--to", "east")] == ["target"] * 2
    document = world.sql("east", f"SELECT SHA2(CAST(j AS CHAR), 256) FROM {table} WHERE id = 1")[0][0]
    assert listed(world, "--to", "west")[1]["incoming"] == {"id": 1, "v": found["east"][0][1], "j": document}
