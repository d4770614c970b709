"""Foreign keys of the target that its session does not check, between two real servers that log what they cascade."""

from itertools import product
from typing import Any

import pytest
from test_conflicts import both_paused, failed, listed
from topologies import World, eventually

pytestmark = pytest.mark.servers

ACTIONS = ("", "ON DELETE CASCADE ON UPDATE CASCADE", "ON DELETE SET NULL ON UPDATE SET NULL")


def family(world: World, action: str = "", *, policy: str | None = None, **others: str) -> tuple[str, str]:
    """A parent with rows 1, 2, 3 and its children on both sides, in step; both directions are paused.

    others: columns of more tables.
    """
    if policy is not None:
        for direction in world.topology["directions"]:
            direction["on_conflict"] = policy
    parent = world.table("parent", "id INT PRIMARY KEY, n INT")
    child = world.table("child", f"id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES parent (id) {action}")
    for name, columns in {"mark": "id INT PRIMARY KEY AUTO_INCREMENT", **others}.items():
        world.table(name, columns)
    world.up()
    world.sql("east", f"INSERT INTO {parent} VALUES (1, 0), (2, 0), (3, 0)", f"INSERT INTO {child} VALUES (10, 1)")
    world.run("wait")
    both_paused(world)
    return parent, child


def rows(world: World, table: str, side: str = "west") -> tuple[tuple[Any, ...], ...]:
    """All rows of a table at one side."""
    return world.sql(side, f"SELECT * FROM {table} ORDER BY 1")


def found(world: World, side: str = "west") -> list[tuple[object, ...]]:
    """The conflicts on record of the direction into a side, oldest first."""
    return [(each["table"], each["key"], each["type"], each["decision"]) for each in reversed(listed(world, "--to", side))]


def resumed(world: World, source: str = "east", target: str = "west") -> None:
    """One direction goes on, until all that was written at its source has arrived; the other is paused."""
    world.run("resume", source, target)
    arrived(world, source, target)


def arrived(world: World, source: str = "east", target: str = "west") -> None:
    """Wait until all that was written at a side has arrived at the other."""
    mark = f"{world.db}.mark"
    ((last,),) = world.sql(source, f"INSERT INTO {mark} () VALUES ()", "SELECT LAST_INSERT_ID()")
    eventually(lambda: world.sql(target, f"SELECT COUNT(*) FROM {mark} WHERE id = {last}") == ((1,),), world.said)


def test_a_parent_goes_while_a_child_comes(world: World) -> None:
    """East takes parents' keys away, west adds children of them: neither side has a row without its parent afterwards.

    Whatever the foreign key does at the source, a child that its source did not see stays, and its parent with it.
    """
    pairs = {}
    for n, action in enumerate(ACTIONS):
        parent = world.table(f"parent{n}", "id INT PRIMARY KEY, n INT")
        pairs[parent] = world.table(f"child{n}", f"id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES {parent} (id) {action}")
    family(world, policy="ignore")
    for parent, child in pairs.items():
        world.sql("east", f"INSERT INTO {parent} VALUES (1, 0), (2, 0), (3, 0)", f"INSERT INTO {child} VALUES (10, 1)")
    resumed(world)
    both_paused(world)
    for parent, child in pairs.items():
        world.sql("east", f"DELETE FROM {parent} WHERE id = 2", f"UPDATE {parent} SET id = 30 WHERE id = 3")
        world.sql("east", f"UPDATE {parent} SET n = 7 WHERE id = 1")
        world.sql("west", f"INSERT INTO {child} VALUES (11, 2)", f"INSERT INTO {child} VALUES (12, 3)")
    resumed(world)
    refused = [(parent, {"id": key}, "foreign_key", "target") for parent in pairs for key in (2, 3)]
    assert found(world) == refused
    both_paused(world)
    resumed(world, "west", "east")
    assert found(world, "east") == [(child, {"id": key}, "foreign_key", "target") for child in pairs.values() for key in (11, 12)]
    for parent, child in pairs.items():
        assert rows(world, child) == ((10, 1), (11, 2), (12, 3)) and rows(world, parent) == ((1, 7), (2, 0), (3, 0))
        assert rows(world, child, "east") == ((10, 1),) and rows(world, parent, "east") == ((1, 7), (30, 0))


@pytest.mark.parametrize("policy", [None, pytest.param("overwrite", marks=pytest.mark.long)])
def test_the_direction_stops(world: World, policy: str | None) -> None:
    """The source cannot win: the direction stops before the transaction, and goes on once the parent is back."""
    parent, child = family(world, policy=policy)
    world.sql("east", f"UPDATE {parent} SET n = 5 WHERE id = 3", f"INSERT INTO {child} VALUES (11, 2), (12, 3), (13, 2)")
    world.sql("west", f"DELETE FROM {parent} WHERE id = 2")
    world.run("resume", "east", "west")
    error = failed(world)
    assert "conflict foreign_key" in str(error["message"]) and "it refers to a row that is not here" in str(error["message"])
    assert rows(world, child) == ((10, 1),) and rows(world, parent) == ((1, 0), (3, 5)), "what comes before it is applied"
    pending = [(child, {"id": 11}, "foreign_key", "pending"), (child, {"id": 13}, "foreign_key", "pending")]
    assert found(world) == pending
    world.sql("west", "SET SESSION sql_log_bin = 0", f"INSERT INTO {parent} VALUES (2, 0)")
    resumed(world)
    assert rows(world, child) == ((10, 1), (11, 2), (12, 3), (13, 2))
    assert [each[-1] for each in found(world)] == ["source", "source"]


@pytest.mark.long
def test_the_conflict_stops_a_delete(world: World) -> None:
    """A parent that has a child here is not deleted, and what is on record says why."""
    parent, child = family(world, "ON DELETE CASCADE")
    world.sql("west", f"INSERT INTO {child} VALUES (11, 1)")
    world.sql("east", f"DELETE FROM {parent} WHERE id = 1")
    world.run("resume", "east", "west")
    assert "a row here refers to it" in str(failed(world)["message"])
    assert rows(world, child) == ((10, 1), (11, 1)) and rows(world, parent) == ((1, 0), (2, 0), (3, 0))
    assert found(world) == [(parent, {"id": 1}, "foreign_key", "pending")]
    world.sql("west", f"DELETE FROM {child} WHERE id = 11")
    resumed(world)
    assert rows(world, child) == () and rows(world, parent) == ((2, 0), (3, 0))


def test_cascades_that_fit(world: World) -> None:
    """What a source cascades, moves or deletes in one transaction arrives, child first or not; nothing is a conflict."""
    tables = []
    for n, action in enumerate(ACTIONS[1:]):
        parent = world.table(f"parent{n}", "id INT PRIMARY KEY, n INT")
        child = world.table(f"child{n}", f"id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES {parent} (id) {action}")
        tables.append((parent, child))
    tables.append(family(world))
    cascaded = (
        "INSERT INTO {p} VALUES (11, 0), (12, 0)",
        "INSERT INTO {c} VALUES (19, 11), (20, 12)",
        "UPDATE {p} SET id = 100 WHERE id = 11",
        "DELETE FROM {p} WHERE id = 12",
    )
    in_one = (
        "BEGIN",
        "INSERT INTO {p} VALUES (5, 5), (6, 6)",
        "INSERT INTO {c} VALUES (30, 5), (31, NULL)",
        "UPDATE {c} SET p = 6 WHERE id = 30",
        "DELETE FROM {p} WHERE id = 5",
        "INSERT INTO {p} VALUES (5, 6)",
        "COMMIT",
    )
    for parent, child in tables:
        plain = (parent, child) == tables[-1]
        world.sql("east", *(each.format(p=parent, c=child) for each in (() if plain else cascaded) + in_one))
    resumed(world)
    for table in (table for pair in tables for table in pair):
        assert rows(world, table) == rows(world, table, "east") != ()
    assert rows(world, tables[0][1]) == ((19, 100), (30, 6), (31, None)), "nothing was left out at the source either"
    assert found(world) == []


def test_what_a_refused_change_leaves_without_a_parent(world: World) -> None:
    """A refused row is the parent of others, also of itself: each is refused and on record; the rest is applied."""
    parent, child = family(
        world,
        policy="ignore",
        grandchild="id INT PRIMARY KEY, c INT, FOREIGN KEY (c) REFERENCES child (id)",
        tree="id INT PRIMARY KEY, up INT, FOREIGN KEY (up) REFERENCES tree (id)",
    )
    grandchild, tree = f"{world.db}.grandchild", f"{world.db}.tree"
    world.sql("east", f"INSERT INTO {tree} VALUES (1, NULL), (2, 1)")
    resumed(world)
    both_paused(world)
    world.sql("west", f"DELETE FROM {parent} WHERE id = 2", f"DELETE FROM {tree} WHERE id = 2")
    world.sql("east", f"INSERT INTO {child} VALUES (11, 2), (12, 3)", f"INSERT INTO {grandchild} VALUES (21, 11), (22, 12)")
    world.sql("east", f"INSERT INTO {tree} VALUES (4, 2), (5, 4), (6, 1), (7, 7)")
    resumed(world)
    assert rows(world, child) == ((10, 1), (12, 3)) and rows(world, grandchild) == ((22, 12),)
    assert rows(world, tree) == ((1, None), (6, 1), (7, 7))
    refused = [(child, 11), (grandchild, 21), (tree, 4), (tree, 5)]
    assert found(world) == [(table, {"id": key}, "foreign_key", "target") for table, key in refused]


@pytest.mark.long
def test_text_and_composite_keys(world: World) -> None:
    """Keys are compared as the parent's collation does; a NULL in a key refers to nothing; a parent's key need not be unique."""
    columns = "id INT PRIMARY KEY, land VARCHAR(9) COLLATE utf8mb4_0900_ai_ci, town VARCHAR(9)"
    place = world.table("place", f"{columns}, KEY (land, town)")
    for side in world.sides:
        world.sql(
            side,
            "SET SESSION restrict_fk_on_non_standard_key = OFF",
            f"CREATE TABLE {world.db}.house ({columns}, FOREIGN KEY (land, town) REFERENCES {place} (land, town))",
        )
    house = f"{world.db}.house"
    family(world, policy="ignore")
    world.sql("east", f"INSERT INTO {place} VALUES (1, 'Österr', 'Wien'), (2, 'österr', 'wien'), (3, 'DE', 'Ulm')")
    resumed(world)
    both_paused(world)
    world.sql("west", f"DELETE FROM {place} WHERE id = 3", f"INSERT INTO {house} VALUES (50, 'OSTERR', 'WIEN')")
    world.sql("east", f"INSERT INTO {house} VALUES (1, 'OSTERR', 'wien'), (2, 'DE', NULL), (3, 'de', 'ulm'), (4, NULL, 'x')")
    world.sql("east", f"DELETE FROM {house} WHERE id = 1", f"DELETE FROM {place} WHERE id = 1")
    world.sql("east", f"DELETE FROM {place} WHERE id = 2")
    resumed(world)
    assert rows(world, house) == ((2, "DE", None), (4, None, "x"), (50, "OSTERR", "WIEN"))
    assert {(each[0], str(each[1])) for each in found(world)} >= {(house, "{'id': 3}"), (place, "{'id': 2}")}
    assert {each[2:] for each in found(world)} == {("foreign_key", "target")}
    assert world.sql("west", f"SELECT COUNT(*) > 0 FROM {place} WHERE land = 'osterr'") == ((1,),)


def test_sides_that_converge(world: World) -> None:
    """The arbiter refuses what would leave a row of it without its parent, and sends back what it has: both sides end equal."""
    for direction in world.topology["directions"]:
        direction["on_conflict"] = "site_priority"
    parent, child = family(world, "ON DELETE CASCADE")
    world.sql("east", f"INSERT INTO {child} VALUES (20, 2), (30, 3)")
    resumed(world)
    both_paused(world)
    world.sql("east", f"DELETE FROM {parent} WHERE id = 2", f"INSERT INTO {child} VALUES (31, 3)")
    world.sql(
        "west", f"DELETE FROM {parent} WHERE id = 3", *(f"INSERT INTO {child} VALUES ({row})" for row in ("21, 2", "11, 1"))
    )
    world.run("resume", "west", "east")
    world.run("resume", "east", "west")
    world.run("wait")
    assert rows(world, parent) == rows(world, parent, "east") == ((1, 0), (3, 0))
    assert rows(world, child) == rows(world, child, "east") == ((10, 1), (11, 1), (31, 3))
    assert found(world, "east") == [(parent, {"id": 3}, "foreign_key", "target"), (child, {"id": 21}, "foreign_key", "target")]


@pytest.mark.long
def test_a_row_that_gives_way_has_children(world: World) -> None:
    """A row that `overwrite` would take out of the way is a parent here: that too is refused."""
    family(
        world,
        policy="overwrite",
        code="id INT PRIMARY KEY, code VARCHAR(9) UNIQUE",
        user="id INT PRIMARY KEY, code INT, FOREIGN KEY (code) REFERENCES code (id)",
    )
    code, user = f"{world.db}.code", f"{world.db}.user"
    world.sql("west", f"INSERT INTO {code} VALUES (1, 'a'), (2, 'b')", f"INSERT INTO {user} VALUES (1, 1)")
    world.sql("east", f"INSERT INTO {code} VALUES (20, 'b')", f"INSERT INTO {code} VALUES (10, 'a')")
    world.run("resume", "east", "west")
    assert "foreign_key" in str(failed(world)["message"])
    assert rows(world, code) == ((1, "a"), (20, "b")) and rows(world, user) == ((1, 1),)
    assert found(world) == [(code, {"id": 20}, "insert_unique", "source"), (code, {"id": 10}, "foreign_key", "pending")]


@pytest.mark.parametrize("policy", [pytest.param(None, marks=pytest.mark.long), "ignore"])
def test_a_transaction_in_pieces(world: World, policy: str | None) -> None:
    """More rows than a piece has: what is refused at its end is known when all of it is read and done again."""
    parent, child = family(world, "ON UPDATE CASCADE", policy=policy)
    numbers = "WITH RECURSIVE s AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM s WHERE n < 5000) SELECT"
    depth = "SET SESSION cte_max_recursion_depth = 10000"
    world.sql("west", f"DELETE FROM {parent} WHERE id = 2")
    world.sql(
        "east",
        depth,
        "BEGIN",
        f"INSERT INTO {parent} {numbers} 1000 + n, 0 FROM s",
        f"INSERT INTO {child} {numbers} 1000 + n, IF(n = 777, 2, 1000 + n) FROM s",
        f"UPDATE {parent} SET id = id + 100000 WHERE id > 1000",
        "COMMIT",
    )
    world.run("resume", "east", "west")
    if policy is None:
        assert f"conflict foreign_key in {child} at id=1777" in str(failed(world)["message"])
        assert rows(world, child) == ((10, 1),)
        assert found(world) == [(child, {"id": 1777}, "foreign_key", "pending")]
        return
    arrived(world)
    assert found(world) == [(child, {"id": 1777}, "foreign_key", "target")]
    difference = world.sql("east", f"SELECT * FROM {child} WHERE id <> 1777 ORDER BY id")
    assert rows(world, child) == difference and rows(world, parent)[2:] == rows(world, parent, "east")[3:]


def test_a_local_session_at_the_same_time(world: World) -> None:
    """A session of the target has its half of the conflict done, uncommitted, when ours comes: ours waits and then sees it."""
    parent, child = family(world, policy="ignore")
    waiting = "SELECT COUNT(*) FROM performance_schema.data_lock_waits AS w JOIN performance_schema.data_locks AS l"
    waiting += f" ON l.engine_lock_id = w.requesting_engine_lock_id WHERE l.object_schema = '{world.db}'"
    expected = []
    for n, (isolation, at_west) in enumerate(product(("READ COMMITTED", "REPEATABLE READ"), ("child", "parent")), 2):
        halves = {"child": f"INSERT INTO {child} VALUES ({n}, {n})", "parent": f"DELETE FROM {parent} WHERE id = {n}"}
        world.sql("east", f"INSERT IGNORE INTO {parent} VALUES ({n}, 0)")
        resumed(world)
        world.run("pause", "east", "west")
        eventually(lambda: world.direction()["state"] == "paused", world.said)
        world.sql("east", halves["parent" if at_west == "child" else "child"])
        with world.sides["west"].connect() as connection, connection.cursor() as cursor:
            cursor.execute(f"SET SESSION TRANSACTION ISOLATION LEVEL {isolation}")
            cursor.execute("BEGIN")
            cursor.execute(halves[at_west])
            world.run("resume", "east", "west")
            eventually(lambda: world.sql("west", waiting) != ((0,),), world.said)
            connection.commit()
        arrived(world)
        expected.append((parent if at_west == "child" else child, {"id": n}, "foreign_key", "target"))
        assert found(world) == expected
        orphans = f"SELECT COUNT(*) FROM {child} AS c LEFT JOIN {parent} AS p ON p.id = c.p WHERE p.id IS NULL"
        assert world.sql("west", orphans) == ((0,),)
