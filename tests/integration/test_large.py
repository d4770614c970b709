"""Large things in little memory: a huge transaction, wide rows, a backlog, many tables. `make large` does them in full size."""

import os
import signal
import time
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource
from topologies import World, eventually

pytestmark = pytest.mark.servers

ROWS = int(os.environ.get("BISYNC_TEST_LARGE_ROWS", "10000"))
ROW_BYTES = int(os.environ.get("BISYNC_TEST_LARGE_ROW_BYTES", str(4 << 20)))
BACKLOG_BYTES = int(os.environ.get("BISYNC_TEST_LARGE_BACKLOG_BYTES", str(12 << 20)))
TABLES = int(os.environ.get("BISYNC_TEST_LARGE_TABLES", "30"))
MIX = (200, 20_000, 800_000)  # bytes of the rows of a backlog, a third of it each
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
    print(f"{os.environ['PYTEST_CURRENT_TEST'].split('::')[1]}: peaks in kB {found}")
    assert max(found.values()) < LIMIT_KB, found


def arrived(world: World) -> None:
    """Wait until everything is applied, for as long as the full sizes may take."""
    began = time.monotonic()
    world.run("wait", "--timeout", "1800", seconds=1900)
    print(f"arrived after {time.monotonic() - began:.0f} s")


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
    arrived(world)
    assert digest(world, "east", table) == digest(world, "west", table)
    assert digest(world, "west", table)[0] == ROWS
    world.sql("east", f"UPDATE {table} SET v = CONCAT(id, v)")
    arrived(world)
    assert digest(world, "east", table) == digest(world, "west", table)
    world.sql("west", f"DELETE FROM {table} WHERE id % 2")
    arrived(world)
    assert digest(world, "east", table) == digest(world, "west", table)
    in_little_memory(world)


def test_wide_rows(world: World) -> None:
    """Rows of many megabytes: text and bytes, compressible and not, in one value or two; inserted, updated, moved, deleted."""
    table = world.table("wide", "id INT PRIMARY KEY, v LONGTEXT, b LONGBLOB")
    world.up()
    half = ROW_BYTES // 2
    world.sql("east", f"INSERT INTO {table} VALUES (1, REPEAT('x1é', {half // 4}), REPEAT(X'00ff0180', {half // 4}))")
    world.sql("east", f"INSERT INTO {table} VALUES (2, REPEAT('y2😀', {ROW_BYTES // 6}), NULL)")
    pieces = [f"SET @b = CONCAT(@b, X'{os.urandom(1 << 20).hex()}')" for _ in range(ROW_BYTES >> 20)]
    world.sql("east", "SET @b = X''", *pieces, f"INSERT INTO {table} VALUES (3, 'short', @b)")
    compressed = "SET SESSION binlog_transaction_compression = ON"
    world.sql("east", compressed, f"INSERT INTO {table} VALUES (4, REPEAT('z', {half}), REPEAT('z', {half}))")
    arrived(world)
    bytes_ = f"SELECT id, SHA2(v, 256), SHA2(b, 256), LENGTH(v), LENGTH(b) FROM {table} ORDER BY id"
    assert world.sql("west", bytes_) == world.sql("east", bytes_)
    world.sql(
        "west",
        f"UPDATE {table} SET v = CONCAT('changed', v) WHERE id = 1",
        f"UPDATE {table} SET v = 'shorter' WHERE id IN (2, 3)",
    )
    world.sql("west", f"UPDATE {table} SET id = 30, b = LEFT(b, {half}) WHERE id = 3", f"DELETE FROM {table} WHERE id = 2")
    arrived(world)
    assert world.sql("east", bytes_) == world.sql("west", bytes_)
    assert [row[0] for row in world.sql("east", bytes_)] == [1, 4, 30]
    assert world.direction()["applied_rows"] == 4
    assert world.direction("west")["applied_rows"] == 5
    in_little_memory(world)


def test_a_backlog(world: World) -> None:
    """What was written while no process ran is caught up with: small rows, and rows of nearly a megabyte, in numbers."""
    table = world.table("backlog", "id INT PRIMARY KEY AUTO_INCREMENT, v LONGTEXT")
    first = world.up()
    world.run("wait")
    first.send_signal(signal.SIGTERM)
    assert first.wait(60) == 0
    start = world.sql("east", "SHOW BINARY LOG STATUS")[0][:2]
    for size in MIX:
        rows, left = BACKLOG_BYTES // len(MIX) // size, world.sql("east", f"SELECT COUNT(*) FROM {table}")[0][0]
        step = max(1, (4 << 20) // size)  # of a transaction
        numbers = f"WITH RECURSIVE n AS (SELECT 1 AS k UNION ALL SELECT k + 1 FROM n WHERE k < {step})"
        insert = f"INSERT INTO {table} (v) {numbers} SELECT LPAD('', {size}, CONCAT(HEX(RANDOM_BYTES(200)), k)) FROM n"
        world.sql("east", "SET cte_max_recursion_depth = 4294967295", *[insert] * max(1, rows // step))
        assert world.sql("east", f"SELECT COUNT(*) FROM {table}")[0][0] > left
    began = time.monotonic()
    world.up()
    arrived(world)
    print(f"a backlog of {_written(world, start) >> 20} MB took {time.monotonic() - began:.0f} s")
    assert digest(world, "east", table) == digest(world, "west", table)
    in_little_memory(world)


def _written(world: World, start: tuple[object, ...]) -> int:
    """Bytes of east's binlog from (file, position) on."""
    files = {row[0]: row[1] for row in world.sql("east", "SHOW BINARY LOGS")}
    return sum(size for file, size in files.items() if file >= start[0]) - int(str(start[1]))


def test_what_is_too_large_stops_its_direction(world: World) -> None:
    """A value beyond the target's max_allowed_packet, and a record beyond what its topic takes: what, where, and the way out.

    With more room the direction goes on, and nothing is lost.
    """
    table = world.table("wide", "id INT PRIMARY KEY, v LONGBLOB")
    before = world.sql("west", "SELECT @@GLOBAL.max_allowed_packet")[0][0]
    try:
        world.sql("west", "SET GLOBAL max_allowed_packet = 4194304")
        world.up()
        world.sql("east", f"INSERT INTO {table} VALUES (1, 'small')")
        world.sql("east", f"INSERT INTO {table} VALUES (2, REPEAT(X'00', 4194304)), (3, REPEAT(X'00', 4194305))")
        eventually(lambda: world.direction()["state"] == "failed", world.said)
        error = world.direction()["error"]
        assert error["code"] == "packet_too_large"
        assert "column v has a value of 4194305 bytes, and the target's max_allowed_packet is 4194304" in error["message"]
        assert table in error["message"]
        assert "SET PERSIST max_allowed_packet = 6 * 1024 * 1024" in error["hint"]
        assert world.sql("west", f"SELECT id FROM {table}") == ((1,),)
    finally:
        world.sql("west", f"SET GLOBAL max_allowed_packet = {before}")
    world.run("resume", "east", "west")
    world.run("wait")
    assert world.sql("west", f"SELECT id, LENGTH(v) FROM {table}") == ((1, 5), (2, 4194304), (3, 4194305))

    topic = next(name for name in world.topics() if name.endswith(".wide") and ".east." in name)
    _limit(world, topic, 20_000)
    world.sql("east", f"INSERT INTO {table} VALUES (4, HEX(RANDOM_BYTES(1024)))")
    world.sql("east", f"INSERT INTO {table} VALUES (5, CONCAT({', '.join(['HEX(RANDOM_BYTES(1024))'] * 40)}))")
    eventually(lambda: world.direction()["state"] == "failed", world.said)
    error = world.direction()["error"]
    assert error["code"] == "record_too_large"
    assert topic in error["message"]
    assert "max_message_bytes" in error["hint"]
    _limit(world, topic, 2 << 20)
    world.run("resume", "east", "west")
    world.run("wait")
    assert world.sql("west", f"SELECT id, LENGTH(v) FROM {table} WHERE id > 3") == ((4, 2048), (5, 81920))


def _limit(world: World, topic: str, size: int) -> None:
    """Set the largest batch that a topic takes."""
    entry = ConfigEntry("max.message.bytes", str(size), incremental_operation=AlterConfigOpType.SET)
    client = AdminClient({"bootstrap.servers": world.servers.kafka.bootstrap})
    for future in client.incremental_alter_configs([ConfigResource("topic", topic, incremental_configs=[entry])]).values():
        future.result()


def test_many_tables(world: World) -> None:
    """Each has topics, schemas and statements of its own."""
    names = [f"t{n}" for n in range(TABLES)]
    for side in world.sides:
        world.sql(side, f"USE {world.db}", *(f"CREATE TABLE {name} (id INT PRIMARY KEY, v VARCHAR(20))" for name in names))
    world.up()
    world.sql("east", f"USE {world.db}", *(f"INSERT INTO {name} VALUES (1, '{name}'), (2, 'x')" for name in names))
    arrived(world)
    world.sql("west", f"USE {world.db}", *(f"UPDATE {name} SET v = 'west' WHERE id = 2" for name in names))
    arrived(world)
    everything = (
        " UNION ALL ".join(f"SELECT '{name}' AS name, id, v FROM {world.db}.{name}" for name in names) + " ORDER BY name, id"
    )
    assert world.sql("east", everything) == world.sql("west", everything)
    assert world.sql("west", everything) == tuple(row for name in sorted(names) for row in ((name, 1, name), (name, 2, "west")))
    in_little_memory(world)


def test_a_transaction_that_takes_too_long(world: World) -> None:
    """One that cannot be published within a Kafka transaction's time stops its direction and says so; `skip` leads past it."""
    table = world.table("long", "id INT PRIMARY KEY, v VARCHAR(200)")
    world.topology["kafka"]["transaction.timeout.ms"] = "1500"
    world.up()
    numbers = "WITH RECURSIVE n AS (SELECT 1 AS id UNION ALL SELECT id + 1 FROM n WHERE id < 300000)"
    world.sql(
        "east",
        "SET cte_max_recursion_depth = 4294967295",
        f"INSERT INTO {table} VALUES (0, 'before')",
        f"INSERT INTO {table} {numbers} SELECT id, REPEAT(SHA2(id, 256), 3) FROM n",
        f"DELETE FROM {table} WHERE id > 0 LIMIT 5",
    )
    eventually(lambda: world.direction("east")["state"] == "failed", world.said)
    error = world.direction("east")["error"]
    assert error["code"] == "transaction_too_long" and error["gtid"] and "transaction.timeout.ms" in error["hint"]
    eventually(lambda: world.sql("west", f"SELECT COUNT(*) FROM {table}") == ((1,),), world.said)
    world.run("skip", "east", "west", "--gtid", error["gtid"], "--reason", "loaded by hand")
    world.run("wait")
    assert world.sql("west", f"SELECT * FROM {table}") == ((0, "before"),)
