"""Large things in little memory: a huge transaction, wide rows, many tables. `make large` does them in full size."""

import os
from pathlib import Path

import pytest
from topologies import World

pytestmark = pytest.mark.servers

ROWS = int(os.environ.get("BISYNC_TEST_LARGE_ROWS", "50000"))
ROW_BYTES = int(os.environ.get("BISYNC_TEST_LARGE_ROW_BYTES", str(12 << 20)))
TABLES = int(os.environ.get("BISYNC_TEST_LARGE_TABLES", "60"))
SECONDS = str(60 + ROWS // 1000)
LIMIT_KB = 300_000  # of each process, at its peak


def peaks(world: World) -> dict[str, int]:
    """Process → the most memory that it has had, in kB."""
    found = {}
    for each in world.status()["processes"]:
        status = (Path("/proc") / str(each["pid"]) / "status").read_text()
        found[each["name"]] = int(status.partition("VmHWM:")[2].split()[0])
    return found


def in_little_memory(world: World) -> None:
    """Every process stays below the limit."""
    found = peaks(world)
    print(found)
    assert max(found.values()) < LIMIT_KB, found


def digest(world: World, side: str, table: str) -> tuple[object, ...]:
    """Number of rows, and a sum over all their bytes."""
    return world.sql(side, f"SELECT COUNT(*), SUM(CRC32(CONCAT_WS('#', id, v))) FROM {table}")[0]


def test_a_transaction_of_many_rows(world: World) -> None:
    """Inserted, updated and deleted in one transaction each; carried in pieces, applied as one."""
    table = world.table("big", "id INT PRIMARY KEY, v VARCHAR(200)")
    world.up()
    numbers = f"WITH RECURSIVE n AS (SELECT 1 AS id UNION ALL SELECT id + 1 FROM n WHERE id < {ROWS})"
    world.sql(
        "east",
        "SET cte_max_recursion_depth = 4294967295",
        f"INSERT INTO {table} {numbers} SELECT id, REPEAT(SHA2(id, 256), 3) FROM n",
    )
    world.run("wait", "--timeout", SECONDS)
    assert digest(world, "east", table) == digest(world, "west", table)
    assert digest(world, "west", table)[0] == ROWS
    world.sql("east", f"UPDATE {table} SET v = CONCAT(id, v)")
    world.run("wait", "--timeout", SECONDS)
    assert digest(world, "east", table) == digest(world, "west", table)
    world.sql("west", f"DELETE FROM {table} WHERE id % 2")
    world.run("wait", "--timeout", SECONDS)
    assert digest(world, "east", table) == digest(world, "west", table)
    in_little_memory(world)


def test_wide_rows(world: World) -> None:
    """Rows of megabytes, text and bytes, inserted, updated and deleted."""
    table = world.table("wide", "id INT PRIMARY KEY, v LONGTEXT, b LONGBLOB")
    world.up()
    half = ROW_BYTES // 2
    for n in range(1, 5):
        world.sql("east", f"INSERT INTO {table} VALUES ({n}, REPEAT('x{n}é', {half // 4}), REPEAT(X'00ff0{n}80', {half // 4}))")
    world.run("wait", "--timeout", SECONDS)
    in_little_memory(world)
    bytes_ = f"SELECT id, SHA2(v, 256), SHA2(b, 256), LENGTH(v), LENGTH(b) FROM {table}"
    assert world.sql("west", bytes_) == world.sql("east", bytes_)
    world.sql("west", f"UPDATE {table} SET v = CONCAT('changed', v) WHERE id < 3", f"DELETE FROM {table} WHERE id = 4")
    world.run("wait", "--timeout", SECONDS)
    assert world.sql("east", bytes_) == world.sql("west", bytes_)
    assert len(world.sql("east", bytes_)) == 3
    in_little_memory(world)


def test_many_tables(world: World) -> None:
    """Each has topics, schemas and statements of its own."""
    names = [f"t{n}" for n in range(TABLES)]
    for side in world.sides:
        world.sql(side, f"USE {world.db}", *(f"CREATE TABLE {name} (id INT PRIMARY KEY, v VARCHAR(20))" for name in names))
    world.up()
    world.sql("east", f"USE {world.db}", *(f"INSERT INTO {name} VALUES (1, '{name}'), (2, 'x')" for name in names))
    world.run("wait", "--timeout", str(60 + TABLES))
    world.sql("west", f"USE {world.db}", *(f"UPDATE {name} SET v = 'west' WHERE id = 2" for name in names))
    world.run("wait", "--timeout", str(60 + TABLES))
    for name in names:
        rows = world.sql("east", f"SELECT * FROM {world.db}.{name} ORDER BY id")
        assert rows == world.sql("west", f"SELECT * FROM {world.db}.{name} ORDER BY id") == ((1, name), (2, "west"))
    in_little_memory(world)
