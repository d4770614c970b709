"""XA transactions and partial JSON updates from one server to the other, also when the producer dies before the commit."""

import os
import signal
from collections.abc import Iterator

import pytest
from topologies import World, eventually

pytestmark = pytest.mark.servers


@pytest.fixture(autouse=True)
def no_branch_is_left(world: World) -> Iterator[None]:
    """What a failed test has left prepared would hold up the end of its databases."""
    yield
    for side in world.sides:
        for *_, xid in world.sql(side, "XA RECOVER"):
            world.sql(side, f"XA ROLLBACK '{xid}'")


def killed(world: World, name: str) -> None:
    """Kill a process of `up`, and wait until another one runs in its place."""
    pid = next(each["pid"] for each in world.status()["processes"] if each["name"] == name)
    os.kill(pid, signal.SIGKILL)

    def back() -> bool:
        found = next(each for each in world.status()["processes"] if each["name"] == name)
        return bool(found["state"] == "running" and found["pid"] != pid)

    eventually(back, world.said)


def test_prepared_before_the_producer_died(world: World) -> None:
    """Branches of both sides, of few rows and of many, are carried once they are committed, and never when rolled back."""
    table = world.table("item", "id INT PRIMARY KEY, v VARCHAR(200), j JSON")
    world.up()
    many = f"INSERT INTO {table} WITH RECURSIVE n AS (SELECT 1 AS id UNION ALL SELECT id + 1 FROM n WHERE id < 900)"
    many += " SELECT 1000 + id, REPEAT('x', 100), NULL FROM n"
    for xid, change in (
        ("a", f"INSERT INTO {table} VALUES (1, 'a', NULL)"),
        ("b", many),
        ("c", f"INSERT INTO {table} VALUES (3, 'c', NULL)"),
    ):
        world.sql("east", f"XA START '{xid}'", change, f"XA END '{xid}'", f"XA PREPARE '{xid}'")
    world.sql("west", "XA START 'w'", f"INSERT INTO {table} VALUES (2, 'w', NULL)", "XA END 'w'", "XA PREPARE 'w'")
    world.sql("east", f"INSERT INTO {table} VALUES (9, 'between', NULL)")
    world.run("wait")
    assert world.sql("west", f"SELECT id FROM {table}") == ((9,),)
    killed(world, "producer east")
    killed(world, "producer west")
    world.sql("east", "XA COMMIT 'b'", "XA ROLLBACK 'c'")
    world.run("wait")
    assert world.sql("west", f"SELECT COUNT(*) FROM {table}") == ((901,),)
    killed(world, "producer east")
    world.sql("east", "XA COMMIT 'a'")
    world.sql("west", "XA COMMIT 'w'")
    world.run("wait")
    rows = world.sql("west", f"SELECT * FROM {table} ORDER BY id")
    assert rows == world.sql("east", f"SELECT * FROM {table} ORDER BY id")
    assert [row[0] for row in rows[:4]] == [1, 2, 9, 1001]
    assert {world.direction(side)["state"] for side in world.sides} == {"syncing"}
    assert world.direction()["conflicts"] == 0


def test_a_branch_whose_binlog_is_purged(world: World) -> None:
    """Its rows are lost to the stream: the direction stops and says which, and `skip` leads past it."""
    table = world.table()
    running = world.up()
    world.sql("east", "XA START 'p'", f"INSERT INTO {table} VALUES (1, 1)", "XA END 'p'", "XA PREPARE 'p'")
    world.sql("east", "FLUSH BINARY LOGS", f"INSERT INTO {table} VALUES (3, 3)")
    world.run("wait")
    world.sql("east", f"PURGE BINARY LOGS TO '{world.sql('east', 'SHOW BINARY LOG STATUS')[0][0]}'")
    running.terminate()
    assert running.wait(60) == 0
    world.up()
    world.sql("east", "XA COMMIT 'p'", f"INSERT INTO {table} VALUES (2, 2)")
    eventually(lambda: world.direction()["state"] == "failed", world.said)
    error = world.direction()["error"]
    assert error["code"] == "binlog_purged"
    assert "XA transaction that was prepared as" in error["message"]
    world.run("skip", "east", "west", "--gtid", error["gtid"], "--reason", "its rows are put there by hand")
    world.run("wait")
    assert world.sql("west", f"SELECT id FROM {table}") == ((2,), (3,))


def test_partial_json_is_carried_whole(world: World) -> None:
    """Changes of a document arrive as the document, both ways, and the next change finds it as it was."""
    table = world.table("doc", "id INT PRIMARY KEY, j JSON")
    world.up()
    long = "x" * 300
    world.sql("east", f"""INSERT INTO {table} VALUES (1, '{{"a": 1, "list": [1, 2, 3], "pad": "{long}"}}')""")
    world.run("wait")
    world.sql(
        "east", "SET binlog_row_value_options = PARTIAL_JSON", f"UPDATE {table} SET j = JSON_SET(j, '$.a', 2, '$.new', 'ü')"
    )
    world.run("wait")
    world.sql("west", "SET binlog_row_value_options = PARTIAL_JSON", f"UPDATE {table} SET j = JSON_REMOVE(j, '$.list[1]')")
    world.run("wait")
    expected = ((f'{{"a": 2, "new": "ü", "pad": "{long}", "list": [1, 3]}}',),)
    assert world.sql("east", f"SELECT j FROM {table}") == world.sql("west", f"SELECT j FROM {table}") == expected
    assert world.direction()["conflicts"] == world.direction("west")["conflicts"] == 0
