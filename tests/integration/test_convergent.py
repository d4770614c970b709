"""Convergent policies between two real servers: what each side holds afterwards, what is on record, and rows of every size."""

import json

import pytest
from topologies import World, eventually

pytestmark = pytest.mark.servers

ITEM = "id INT PRIMARY KEY, code INT NULL UNIQUE, a INT, b INT, version INT"
FIRST = "INSERT INTO {t} VALUES " + ",".join(f"({n}, {n}, 0, 0, 1)" for n in range(1, 9))
EAST = (
    "INSERT INTO {t} VALUES (20, 20, 1, 1, 5)",
    "UPDATE {t} SET a = 1, version = 5 WHERE id = 1",
    "UPDATE {t} SET a = 1, version = 5 WHERE id = 2",
    "DELETE FROM {t} WHERE id = 3",
    "UPDATE {t} SET a = 1, version = 5 WHERE id = 4",
    "UPDATE {t} SET code = 50, version = 5 WHERE id = 5",
    "UPDATE {t} SET a = 1, version = 5 WHERE id = 7",
)
WEST = (
    "INSERT INTO {t} VALUES (20, 20, 2, 2, 9)",  # exists, newer
    "UPDATE {t} SET b = 2, version = 9 WHERE id = 1",  # another column, newer
    "UPDATE {t} SET a = 2, b = 2, version = 3 WHERE id = 2",  # the same one too, older
    "UPDATE {t} SET b = 2, version = 9 WHERE id = 3",  # deleted there
    "DELETE FROM {t} WHERE id = 4",  # changed there
    "UPDATE {t} SET code = 50, version = 9 WHERE id = 6",  # a unique value that another row has there, newer
    "UPDATE {t} SET id = 70, version = 9 WHERE id = 7",  # moved, newer
)
LAST = (8, 8, 0, 0, 1)
EAST_STAYS = {1: (1, 1, 1, 0, 5), 2: (2, 2, 1, 0, 5), 4: (4, 4, 1, 0, 5), 5: (5, 50, 0, 0, 5), 6: (6, 6, 0, 0, 1)}
EAST_STAYS |= {7: (7, 7, 1, 0, 5), 20: (20, 20, 1, 1, 5)}
OUTCOMES = {
    ("site_priority", "win"): EAST_STAYS,
    ("newest", "win"): {
        **{1: (1, 1, 0, 2, 9), 2: (2, 2, 1, 0, 5), 6: (6, 50, 0, 0, 9), 20: (20, 20, 2, 2, 9)},
        70: (70, 7, 0, 0, 9),
    },
    ("newest", "lose"): {
        **{1: (1, 1, 0, 2, 9), 2: (2, 2, 1, 0, 5), 3: (3, 3, 0, 2, 9), 4: (4, 4, 1, 0, 5), 6: (6, 50, 0, 0, 9)},
        **{20: (20, 20, 2, 2, 9), 70: (70, 7, 0, 0, 9)},
    },
    ("merge", "win"): {
        **{1: (1, 1, 1, 2, 5), 2: (2, 2, 1, 2, 5), 5: (5, 50, 0, 0, 5), 6: (6, 6, 0, 0, 9), 20: (20, 20, 1, 1, 5)},
        70: (70, 7, 1, 0, 5),
    },
    ("merge", "lose"): {
        **{1: (1, 1, 1, 2, 5), 2: (2, 2, 1, 2, 5), 3: (3, 3, 0, 2, 9), 4: (4, 4, 1, 0, 5), 5: (5, 50, 0, 0, 5)},
        **{6: (6, 6, 0, 0, 9), 20: (20, 20, 1, 1, 5), 70: (70, 7, 1, 0, 5)},
    },
}


def at_once(world: World, table: str, east: tuple[str, ...], west: tuple[str, ...]) -> None:
    """Let both sides write without knowing of each other, then carry it."""
    for source, target in (("east", "west"), ("west", "east")):
        world.run("pause", source, target)
    eventually(lambda: {world.direction(side)["state"] for side in world.sides} == {"paused"})
    for side, statements in (("east", east), ("west", west)):
        world.sql(side, *(statement.format(t=table) for statement in statements))
    for source, target in (("west", "east"), ("east", "west")):
        world.run("resume", source, target)
    world.run("wait")


def rows(world: World, table: str) -> dict[int, tuple[object, ...]]:
    """id → row, which both sides must agree on."""
    found = [world.sql(side, f"SELECT * FROM {table} ORDER BY 1") for side in world.sides]
    assert found[0] == found[1]
    return {row[0]: row for row in found[0]}


@pytest.mark.parametrize(
    ("policy", "deletes"),
    [
        ("site_priority", "win"),
        ("newest", "win"),
        pytest.param("newest", "lose", marks=pytest.mark.long),
        pytest.param("merge", "win", marks=pytest.mark.long),
        ("merge", "lose"),
    ],
)
def test_outcomes(world: World, policy: str, deletes: str) -> None:
    """Each kind of concurrent change ends on both sides as the policy says, and every row that was overwritten is on record."""
    table = world.table(columns=ITEM)
    settings = {"on_conflict": policy, **({"version_column": "version"} if policy == "newest" else {})}
    for direction in world.topology["directions"]:
        direction["tables"] = {table: {**settings, **({} if policy == "site_priority" else {"deletes": deletes})}}
    world.up()
    world.sql("east", FIRST.format(t=table))
    world.run("wait")
    at_once(world, table, EAST, WEST)
    assert rows(world, table) == OUTCOMES[policy, deletes] | {8: LAST}
    found = world.sql("east", f"SELECT type, row_key, policy, decision FROM {world.control}.conflicts ORDER BY id")
    assert [(kind, json.loads(key)["id"]) for kind, key, *_ in found] == [
        ("insert_exists", 20),
        ("update_differs", 1),
        ("update_differs", 2),
        ("update_missing", 3),
        ("delete_differs", 4),
        ("update_unique", 6),
        ("update_differs", 7),
    ]
    assert {named for _, _, named, _ in found} == {policy}
    forced = world.sql("west", f"SELECT decision FROM {world.control}.conflicts")
    assert {decision for (decision,) in forced} == {"source"}
    assert {each["error"] for each in world.status()["directions"]} == {None}


def test_long_rows(world: World) -> None:
    """A row whose values are held nowhere whole is sent back all the same: one that stays, one that is merged, one in parts."""
    table = world.table(columns="id INT PRIMARY KEY, n INT, t LONGTEXT, b LONGBLOB")
    world.topology["topics"] = {**world.topology.get("topics", {}), "max_message_bytes": "2MiB"}
    for direction in world.topology["directions"]:
        direction["tables"] = {table: {"on_conflict": "merge"}}
    world.up()
    world.sql("east", f"INSERT INTO {table} SELECT n, 0, REPEAT('ä', 100000), REPEAT('x', 3000000) FROM"
              " (VALUES ROW(1), ROW(2), ROW(3)) AS v (n)")  # fmt: skip
    world.run("wait")
    at_once(
        world,
        table,
        (
            "UPDATE {t} SET t = REPEAT('e', 150000), b = REPEAT('e', 3500000) WHERE id IN (1, 2)",
            "UPDATE {t} SET n = 5 WHERE id = 3",
        ),
        (
            "UPDATE {t} SET t = REPEAT('w', 160000), b = REPEAT('w', 3600000) WHERE id = 1",
            "UPDATE {t} SET n = 7 WHERE id = 2",
            "UPDATE {t} SET b = REPEAT('w', 3600000) WHERE id = 3",
        ),
    )
    found = rows(world, table)
    assert found[1] == (1, 0, "e" * 150_000, b"e" * 3_500_000)
    assert found[2] == (2, 7, "e" * 150_000, b"e" * 3_500_000)
    assert found[3] == (3, 5, "ä" * 100_000, b"w" * 3_600_000)
    decisions = world.sql("east", f"SELECT decision FROM {world.control}.conflicts ORDER BY id")
    assert decisions == (("target",), ("merged",), ("merged",))


def test_generated_columns(world: World) -> None:
    """What the server makes of a column that both sides changed is not taken alone; of one that adds up it is no conflict."""
    columns = "id INT PRIMARY KEY, a INT, b INT, qty INT, big INT AS (a > 100), much INT AS (qty > 10) STORED"
    table = world.table(columns=columns)
    for direction in world.topology["directions"]:
        direction["tables"] = {table: {"on_conflict": "merge", "delta_columns": ["qty"]}}
    world.up()
    world.sql("east", f"INSERT INTO {table} (id, a, b, qty) VALUES (1, 0, 0, 0), (2, 0, 0, 0), (3, 0, 0, 0)")
    world.run("wait")
    at_once(
        world,
        table,
        ("UPDATE {t} SET a = 1 WHERE id < 3", "UPDATE {t} SET qty = 20 WHERE id = 3"),
        (
            "UPDATE {t} SET a = 200 WHERE id = 1",
            "UPDATE {t} SET a = 200, b = 2 WHERE id = 2",
            "UPDATE {t} SET qty = 2 WHERE id = 3",
        ),
    )
    assert rows(world, table) == {1: (1, 1, 0, 0, 0, 0), 2: (2, 1, 2, 0, 0, 0), 3: (3, 0, 0, 22, 0, 1)}
    decisions = world.sql("east", f"SELECT row_key, decision FROM {world.control}.conflicts ORDER BY id")
    assert [(json.loads(key)["id"], decision) for key, decision in decisions] == [(1, "target"), (2, "merged")]
    assert {each["error"] for each in world.status()["directions"]} == {None}


def test_a_merged_row_that_the_server_refuses(world: World) -> None:
    """Each side's row is valid and the two merged are not: the arbiter's stays on both sides, is on record, and nothing stops."""
    columns = "id INT PRIMARY KEY, a INT, b INT, starts INT, ends INT, qty INT, UNIQUE (a, b), CHECK (starts < ends)"
    table = world.table(columns=columns)
    for direction in world.topology["directions"]:
        direction["tables"] = {table: {"on_conflict": "merge", "delta_columns": ["qty"]}}
    plain = world.table("plain", "id INT PRIMARY KEY, starts INT, ends INT, CHECK (starts < ends)")
    for direction in world.topology["directions"]:
        direction["tables"][plain] = {"on_conflict": "merge"}
    world.up()
    world.sql(
        "east",
        f"INSERT INTO {table} VALUES (1, 1, 1, 10, 20, 5), (2, 2, 2, 10, 20, 5), (3, 3, 3, 10, 20, 5), (4, 4, 4, 10, 20, 5)",
        f"INSERT INTO {plain} VALUES (1, 10, 20), (2, 10, 20)",
    )
    world.run("wait")
    at_once(
        world,
        table,
        (
            "INSERT INTO {t} VALUES (9, 7, 8, 1, 2, 0)",
            "UPDATE {t} SET a = 7 WHERE id IN (1, 2)",
            "UPDATE {t} SET starts = 15 WHERE id IN (3, 4)",
            f"UPDATE {plain} SET starts = 15",
        ),
        (
            "UPDATE {t} SET b = 8 WHERE id = 1",
            "UPDATE {t} SET b = 8, qty = qty + 1 WHERE id = 2",
            "UPDATE {t} SET ends = 12 WHERE id = 3",
            "UPDATE {t} SET ends = 12, qty = qty + 1 WHERE id = 4",
            f"UPDATE {plain} SET ends = 12 WHERE id = 1",
            f"UPDATE {plain} SET ends = 30 WHERE id = 2",
        ),
    )
    assert rows(world, table) == {
        **{1: (1, 7, 1, 10, 20, 5), 2: (2, 7, 2, 10, 20, 6), 3: (3, 3, 3, 15, 20, 5), 4: (4, 4, 4, 15, 20, 6)},
        9: (9, 7, 8, 1, 2, 0),
    }
    assert rows(world, plain) == {1: (1, 15, 20), 2: (2, 15, 30)}
    found = world.sql("east", f"SELECT type, policy, decision FROM {world.control}.conflicts ORDER BY id")
    assert {(kind, policy) for kind, policy, _ in found} == {("update_differs", "merge")}
    assert [decision for *_, decision in found] == ["target", "merged", "target", "merged", "target", "merged"]
    assert {each["error"] for each in world.status()["directions"]} == {None}


def test_a_column_that_is_none(world: World) -> None:
    """A version column that the table has not stops the direction, and the error says which and where."""
    table = world.table()
    for direction in world.topology["directions"]:
        direction["tables"] = {table: {"on_conflict": "newest", "version_column": "changed_at"}}
    world.up()
    world.sql("east", f"INSERT INTO {table} VALUES (1, 1)")
    eventually(lambda: world.direction()["state"] == "failed")
    error = world.direction()["error"]
    assert (error["code"], "changed_at" in error["message"], "version_column" in error["hint"]) == ("unfit_column", True, True)


def test_documents_keep_the_types_of_their_values(world: World) -> None:
    """A DECIMAL, a DATETIME or binary inside a JSON document is not its text: the row that is sent back has them as they were."""
    table = world.table(columns="id INT PRIMARY KEY, n INT, `a document` JSON, d JSON")
    for direction in world.topology["directions"]:
        direction["tables"] = {table: {"on_conflict": "site_priority"}}
    world.up()
    number, moment = "CAST('12345678901234567890.123' AS DECIMAL(30,3))", "CAST('2026-01-02 03:04:05' AS DATETIME)"
    document = f"JSON_OBJECT('d', {number}, 't', {moment}, 'x', 1)"
    world.sql("east", f"INSERT INTO {table} VALUES (1, 0, {document}, NULL), (2, 0, NULL, '[1, 2.5]')")
    world.run("wait")
    at_once(world, table, ("UPDATE {t} SET n = 1",), ("UPDATE {t} SET n = 2, `a document` = NULL, d = NULL",))
    types = (
        f"SELECT id, n, JSON_TYPE(`a document`->'$.d'), JSON_TYPE(`a document`->'$.t'), `a document`, d FROM {table} ORDER BY id"
    )
    assert world.sql("west", types) == world.sql("east", types)
    assert world.sql("west", types)[0][1:4] == (1, "DECIMAL", "DATETIME")


def test_a_sum_that_the_column_does_not_hold(world: World) -> None:
    """Both sides take from a stock what is there once: the arbiter's stays, the other's is on record, and nothing stops."""
    table = world.table(columns="id INT PRIMARY KEY, qty INT UNSIGNED, note VARCHAR(9)")
    for direction in world.topology["directions"]:
        direction["tables"] = {table: {"on_conflict": "merge", "delta_columns": ["qty"]}}
    world.up()
    world.sql("east", f"INSERT INTO {table} VALUES (1, 5, ''), (2, 5, '')")
    world.run("wait")
    west = ("UPDATE {t} SET qty = qty - 4 WHERE id = 1", "UPDATE {t} SET qty = qty + 4 WHERE id = 2")
    at_once(world, table, ("UPDATE {t} SET qty = qty - 3",), west)
    assert rows(world, table) == {1: (1, 2, ""), 2: (2, 6, "")}
    found = world.sql("east", f"SELECT type, decision FROM {world.control}.conflicts")
    assert found == (("update_differs", "target"),)
    assert {each["error"] for each in world.status()["directions"]} == {None}


def test_the_same_answer_twice(world: World) -> None:
    """What is sent back again, in the very same words, is sent: a key that a row was moved to, and is not there."""
    table = world.table(columns=ITEM)
    for direction in world.topology["directions"]:
        direction["tables"] = {table: {"on_conflict": "site_priority"}}
    world.up()
    world.sql("east", f"INSERT INTO {table} VALUES (1, 1, 0, 0, 1)")
    world.run("wait")
    for turn in (1, 2, 3):
        at_once(world, table, (f"UPDATE {{t}} SET a = {turn}",), ("UPDATE {t} SET id = 50",))
        assert rows(world, table) == {1: (1, 1, turn, 0, 1)}
