"""Conflict policies, filters and locks between two real servers."""

import json
import threading
from typing import Any

import pytest
from topologies import World, eventually

pytestmark = pytest.mark.servers

ITEM = "id INT PRIMARY KEY, qty INT, code VARCHAR(10) UNIQUE"
EAST = (  # what east does to rows 1 to 6, which both sides hold as (n, n, 'n')
    "INSERT INTO {t} VALUES (10, 100, 'east')",
    "INSERT INTO {t} VALUES (11, 1, 'same')",
    "UPDATE {t} SET qty = 200 WHERE id = 2",
    "UPDATE {t} SET qty = 300 WHERE id = 3",
    "DELETE FROM {t} WHERE id = 4",
    "DELETE FROM {t} WHERE id = 5",
    "UPDATE {t} SET code = 'taken' WHERE id = 6",
    "UPDATE {t} SET qty = 1000 WHERE id = 1",
)
WEST = (  # what west has done meanwhile
    "INSERT INTO {t} VALUES (10, -100, 'west')",
    "INSERT INTO {t} VALUES (11, 1, 'same')",
    "UPDATE {t} SET qty = -200 WHERE id = 2",
    "DELETE FROM {t} WHERE id IN (3, 4)",
    "UPDATE {t} SET qty = -500 WHERE id = 5",
    "INSERT INTO {t} VALUES (60, 60, 'taken')",
)
WEST_STAYS = ((1, 1000, "1"), (2, -200, "2"), (3, 300, "3"), (5, -500, "5"), (6, 6, "6"), (10, -100, "west"), (11, 1, "same"))
EAST_WINS = ((1, 1000, "1"), (2, 200, "2"), (3, 300, "3"), (6, 6, "taken"), (10, 100, "east"), (11, 1, "same"))
OUTCOMES = {"ignore": (*WEST_STAYS, (60, 60, "taken")), "overwrite": EAST_WINS}


@pytest.mark.parametrize("policy", ["ignore", pytest.param("overwrite", marks=pytest.mark.long)])
def test_plain_cases(world: World, policy: str) -> None:
    """Insert exists, update and delete missing, update and delete differs and a taken unique value end as the policy says.

    They are on record, and counted; an identical insert is no conflict, and counted as such.
    """
    table = world.table(columns=ITEM)
    world.topology["directions"][0]["on_conflict"] = policy
    world.up()
    world.sql("east", f"INSERT INTO {table} VALUES " + ",".join(f"({n}, {n}, '{n}')" for n in range(1, 7)))
    world.run("wait")
    world.run("pause", "east", "west")
    world.run("pause", "west", "east")
    eventually(lambda: {world.direction(side)["state"] for side in world.sides} == {"paused"})
    world.sql("east", *(statement.format(t=table) for statement in EAST))
    world.sql("west", *(statement.format(t=table) for statement in WEST))
    world.run("resume", "east", "west")
    eventually(lambda: world.sql("west", f"SELECT qty FROM {table} WHERE id = 1") == ((1000,),))
    assert world.sql("west", f"SELECT * FROM {table} ORDER BY id") == OUTCOMES[policy]
    found = world.sql("west", f"SELECT type, row_key, policy, decision FROM {world.control}.conflicts ORDER BY id")
    winner = "source" if policy == "overwrite" else "target"
    assert [(kind, json.loads(key)["id"], name, decision) for kind, key, name, decision in found] == [
        ("insert_exists", 10, policy, winner),
        ("update_differs", 2, policy, winner),
        ("update_missing", 3, policy, "source"),
        ("delete_missing", 4, policy, "source"),
        ("delete_differs", 5, policy, winner),
        ("update_unique", 6, policy, winner),
    ]
    assert world.direction("east")["conflicts"] == 6
    assert world.sql("west", f"SELECT already_applied FROM {world.control}.applied WHERE source_side = 'east'") == ((1,),)


def test_task_failed_goes_on_after_the_row_is_mended(world: World) -> None:
    """A conflict stops the direction with the transactions before it applied; once the row is mended, `resume` goes on."""
    table = world.table(columns=ITEM)
    world.up()
    world.sql("east", f"INSERT INTO {table} VALUES (1, 1, 'a'), (2, 2, 'b')")
    world.run("wait")
    world.run("pause", "east", "west")
    world.run("pause", "west", "east")
    eventually(lambda: {world.direction(side)["state"] for side in world.sides} == {"paused"})
    world.sql("west", f"UPDATE {table} SET qty = -2 WHERE id = 2")
    world.sql("east", f"UPDATE {table} SET qty = 10 WHERE id = 1", f"UPDATE {table} SET qty = 20 WHERE id = 2")
    world.sql("east", f"UPDATE {table} SET qty = 11 WHERE id = 1")
    world.run("resume", "east", "west")
    eventually(lambda: world.direction("east")["state"] == "failed")
    error = world.direction("east")["error"]
    assert error["code"] == "conflict" and error["conflict_id"] == "west-1" and "resume east west" in error["hint"]
    assert world.sql("west", f"SELECT qty FROM {table} ORDER BY id") == ((10,), (-2,))
    world.sql("west", f"UPDATE {table} SET qty = 2 WHERE id = 2")
    world.run("resume", "east", "west")
    world.run("resume", "west", "east")
    eventually(lambda: world.sql("west", f"SELECT qty FROM {table} ORDER BY id") == ((11,), (20,)))


def test_filters(world: World) -> None:
    """`objects` with exclusions and `dml` let through what they name, and nothing else; `wait` does not wait for the rest."""
    kept, hidden = world.table("kept"), world.table("tmp_hidden")
    world.topology["directions"][0] |= {"objects": [world.db, f"!{world.db}.tmp_*"], "dml": ["insert", "update"]}
    world.up()
    world.sql("east", f"INSERT INTO {kept} VALUES (1, 1), (2, 2)", f"INSERT INTO {hidden} VALUES (1, 1)")
    world.sql("east", f"UPDATE {kept} SET qty = 5 WHERE id = 1", f"UPDATE {kept} SET id = 7 WHERE id = 2")
    world.sql("east", f"DELETE FROM {kept} WHERE id = 1")
    world.run("wait")
    assert world.sql("west", f"SELECT * FROM {kept} ORDER BY id") == ((1, 5), (7, 2))
    assert world.sql("west", f"SELECT * FROM {hidden}") == ()


def test_a_locked_row_is_waited_for(world: World) -> None:
    """A session that holds a row makes the applier's statement time out: the whole transaction is done again, once.

    Meanwhile `status` says so, and a pause is heard.
    """

    def applier() -> dict[str, Any]:
        return next(each for each in world.told()["processes"] if each["name"] == "applier west")

    table = world.table()
    world.sql("west", "SET GLOBAL innodb_lock_wait_timeout = 1")
    try:
        world.up()
        world.sql("east", f"INSERT INTO {table} VALUES (1, 0), (2, 0)")
        world.run("wait")
        released = threading.Event()
        with world.sides["west"].connect(autocommit=False) as holder, holder.cursor() as cursor:
            cursor.execute(f"SELECT * FROM {table} WHERE id = 2 FOR UPDATE")
            for n in range(5):
                world.sql("east", f"UPDATE {table} SET qty = qty + 1 WHERE id = {n % 2 + 1}")
            waiting = "SELECT COUNT(*) FROM performance_schema.events_errors_summary_global_by_error"
            counted = f"{waiting} WHERE ERROR_NUMBER = 1205 AND SUM_ERROR_RAISED >= 2"
            eventually(lambda: world.sql("west", counted) == ((1,),))
            assert world.direction("east")["state"] == "syncing"
            eventually(lambda: "repeats" in applier())
            shown = applier()
            assert shown["state"] == "running"
            assert shown["repeats"]["hint"] == "another session holds the row; repeated by itself"
            assert "Lock wait timeout exceeded" in world.run("status")
            world.run("pause", "east", "west")
            eventually(lambda: world.states()["east"] == "paused", seconds=20)
            assert "repeats" not in applier()
            world.run("resume", "east", "west")
            eventually(lambda: "repeats" in applier())
            holder.rollback()
            released.set()
        world.run("wait")
        eventually(lambda: applier()["state"] == "running" and "repeats" not in applier())
        assert released.is_set()
        assert world.sql("west", f"SELECT qty FROM {table} ORDER BY id") == ((3,), (2,))
    finally:
        world.sql("west", "SET GLOBAL innodb_lock_wait_timeout = 50")


def test_ddl_and_a_table_without_key(world: World) -> None:
    """DDL in scope is drift where no direction carries it; a row of a table without key stops capture and names the table.

    `skip` leads out, and what comes after flows.
    """
    table = world.table()
    world.up()
    world.sql("east", f"CREATE TABLE {world.db}.nokey (v INT)", f"INSERT INTO {table} VALUES (1, 1)")
    world.run("wait")
    drift = world.sql("west", f"SELECT state, statement FROM {world.control}.ddl_log")
    assert drift == (("drift", f"CREATE TABLE {world.db}.nokey (v INT)"),)
    assert world.sql("west", f"SHOW TABLES FROM {world.db} LIKE 'nokey'") == ()

    world.sql("east", f"INSERT INTO {table} VALUES (2, 2)", f"INSERT INTO {world.db}.nokey VALUES (1)")
    eventually(lambda: world.direction("east")["state"] == "failed")
    error = world.direction("east")["error"]
    assert error["code"] == "no_key" and f"{world.db}.nokey" in error["message"] and "PRIMARY KEY" in error["hint"]
    eventually(lambda: world.sql("west", f"SELECT * FROM {table} ORDER BY id") == ((1, 1), (2, 2)))
    world.run("skip", "east", "west", "--gtid", error["gtid"], "--reason", "no key")
    world.sql("east", f"INSERT INTO {table} VALUES (3, 3)")
    world.run("wait")
    assert world.sql("west", f"SELECT * FROM {table} ORDER BY id") == ((1, 1), (2, 2), (3, 3))
    skipped = world.sql("east", f"SELECT skipped FROM {world.control}.directions WHERE source_side = 'east'")
    assert f"{world.db}.nokey" in skipped[0][0]
