"""`verify` on real servers: what was planted is found, and nothing else, while both sides are written to; `--repair` mends it.

`make verify-large` does it in full size, a million rows with 100 differences, and compares the time with that of a bare checksum.
"""

import json
import os
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from random import Random
from typing import Any

import pytest
from comparing import assert_table_equal, columns_of, contents
from faults.compare import in_bytes, quoted
from random_tables import RandomTable
from topologies import World, eventually

from bisync_topology import barrier, operate
from bisync_topology.object_patterns import parse
from bisync_topology.topology_file import load as load_topology
from sandbox.accounts import all_of
from sandbox.instances import Sandbox
from verification.run import Options, verify

pytestmark = pytest.mark.servers

ROWS = int(os.environ.get("BISYNC_TEST_VERIFY_ROWS", "20000"))
TABLES = int(os.environ.get("BISYNC_TEST_TABLES", "4"))  # with random columns
PLANTED = 100 if ROWS >= 1_000_000 else 30
BOTH = (("east", "west"), ("west", "east"))
NO_LOG = "SET SESSION sql_log_bin = 0"
LONG = "SET SESSION cte_max_recursion_depth = 100000000"
# a column of each kind, and another value for it
COLUMNS = {
    "i": ("INT", "-7"),
    "u": ("BIGINT UNSIGNED", "18446744073709551615"),
    "d": ("DECIMAL(20,6)", "0.000001"),
    "f": ("FLOAT", "1.1"),
    "g": ("DOUBLE", "1e-300"),
    "day": ("DATE", "'2024-02-31'"),
    "clock": ("TIME(6)", "'-00:00:00.000001'"),
    "moment": ("DATETIME(6)", "'2024-02-29 12:00:00.000001'"),
    "stamp": ("TIMESTAMP(3) NULL", "'2024-02-29 12:00:00.001'"),
    "y": ("YEAR", "0"),
    "v": ("VARCHAR(200)", "'ÄB'"),
    "c": ("CHAR(10) CHARACTER SET latin1", "_latin1 X'e981'"),
    "s": ("VARCHAR(20) CHARACTER SET sjis", "_sjis X'815f'"),
    "t": ("LONGTEXT", "REPEAT('long ', 20000)"),
    "b": ("VARBINARY(40)", "X'00ff00'"),
    "p": ("BINARY(4)", "X'0100'"),
    "l": ("LONGBLOB", "REPEAT(X'00', 70000)"),
    "e": ("ENUM('a','b','c d')", "3"),
    "m": ("SET('x','y','z')", "5"),
    "n": ("BIT(12)", "4095"),
    "j": ("JSON", """'{"b": [1, 2], "a": null}'"""),
    "q": ("POINT", "ST_GeomFromText('POINT(1 2)', 4326)"),
    "w": ("VECTOR(3)", "X'0000803f0000803f'"),
}
ALIKE = "'text ', n, ' ', REPEAT('x', 100)"


@pytest.fixture(scope="module")
def syncing(servers: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A topology that runs, and has carried a change each way."""
    world = World(servers, tmp_path_factory.mktemp("verify"))
    world.exchange()
    yield world
    world.close()


def filled(world: World, name: str, rows: int) -> str:
    """A table with a column of each kind and some rows, the same on both sides; gives its full name."""
    table = f"{world.db}.{name}"
    columns = ", ".join(f"{column} {kind}" for column, (kind, _) in COLUMNS.items())
    numbers = (
        f"WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {rows}) SELECT n * 10, n, CONCAT({ALIKE})"
    )
    for side in world.sides:
        made = f"CREATE TABLE {table} (id INT PRIMARY KEY, {columns})"
        world.sql(side, NO_LOG, LONG, made, f"INSERT INTO {table} (id, i, v) {numbers} FROM n")
    return table


def plant(world: World, table: str, number: int, rows: int) -> dict[str, list[int]]:
    """Differences in west alone, spread over the table; gives the keys of rows that are changed, missing, in excess."""
    step = max(1, rows // number)
    found: dict[str, list[int]] = {"differing": [], "only_from": [], "only_to": []}
    statements = []
    for n in range(number):
        key = (n * step + step // 2) // 4 * 40  # of rows that `writing` leaves alone
        kind = ("differing", "differing", "only_from", "only_to")[n % 4]
        column, (_, value) = list(COLUMNS.items())[n % len(COLUMNS)]
        if kind == "differing":
            statements.append(f"UPDATE {table} SET {column} = {value} WHERE id = {key}")
        elif kind == "only_from":
            statements.append(f"DELETE FROM {table} WHERE id = {key}")
        else:
            key += 5
            statements.append(f"INSERT INTO {table} (id, {column}) VALUES ({key}, {value})")
        found[kind].append(key)
    world.sql(
        "west",
        NO_LOG,
        "SET SESSION sql_mode = 'ALLOW_INVALID_DATES', SESSION time_zone = '+00:00'",
        "BEGIN",
        *statements,
        "COMMIT",
    )
    return found


@contextmanager
def writing(world: World, table: str, rows: int) -> Iterator[dict[str, int]]:
    """Write at both sides, at the same time, to rows where nothing is planted: changes back and forth, inserts, deletes."""
    stop, counts = threading.Event(), dict.fromkeys(world.sides, 0)

    def write(side: str, number: int) -> None:
        with world.sides[side].connect() as connection, connection.cursor() as cursor:
            while not stop.is_set():
                n = counts[side]
                key = (
                    (n * 37) % (rows // 4) * 4 + 1 + 2 * number
                ) * 10  # a quarter of the rows is one side's, another the other's
                if n % 7:
                    cursor.execute(f"UPDATE {table} SET i = {n % 2}, v = NULL WHERE id = {key}")
                elif n % 14:
                    cursor.execute(f"INSERT IGNORE INTO {table} (id, i, v) VALUES ({key + 2}, 1, 'new')")
                else:
                    cursor.execute(f"DELETE FROM {table} WHERE id = {key + 2}")
                connection.commit()
                counts[side] += 1
                time.sleep(0.003)

    threads = [threading.Thread(target=write, args=(side, n)) for n, side in enumerate(world.sides)]
    for thread in threads:
        thread.start()
    try:
        yield counts
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def waited(world: World) -> None:
    """What `wait` does, without the time that a process takes to start."""
    barrier.wait(load_topology(world.file, {}), 120, str)


class Unshown:
    """Progress that nobody sees."""

    def begin(self, rows: int) -> None:
        """See verification.run.Progress."""

    def passed(self, rows: int) -> None:
        """See verification.run.Progress."""


def verified(world: World, *tables: str, repair: tuple[str, str] | None = None, examples: int = 10) -> dict[str, Any]:
    """What `verify -o json` prints, without the time that a process takes to start."""
    from_, to = repair or ("east", "west")
    only = [parse(table) for table in tables]
    options = Options(from_=from_, to=to, repairs=repair is not None, only=only, examples=examples)
    report = verify(load_topology(world.file, {}), options, Unshown()).as_json()
    assert json.loads(json.dumps(report)) == report
    return report


def of(report: dict[str, Any], table: str) -> dict[str, Any]:
    """One table's part."""
    found: dict[str, Any] = next(each for each in report["tables"] if each["table"] == table)
    return found


def test_planted_differences_are_found_and_mended(syncing: World) -> None:
    """Each planted row is found under its kind, in a column of every type, and no other, while both sides are written to.

    `--repair` mends each, also under load; then the sides are equal by the test's own comparison, and no change was in conflict.
    """
    world = syncing
    table = filled(world, "every", ROWS)
    planted = plant(world, table, PLANTED, ROWS)
    number = sum(map(len, planted.values()))
    with writing(world, table, ROWS) as counts:
        eventually(lambda: min(counts.values()) > 20)
        report = verified(world, table, examples=1000)
        found = of(report, table)
        keys: dict[str, list[int]] = {"differing": [], "only_from": [], "only_to": []}
        for example in found["examples"]:
            kind = "only_to" if example["from"] is None else "only_from" if example["to"] is None else "differing"
            keys[kind].append(example["key"]["id"])
        assert {kind: sorted(each) for kind, each in keys.items()} == planted
        assert {kind: found[kind] for kind in planted} == {kind: len(each) for kind, each in planted.items()}
        assert (report["equal"], report["unsettled"]) == (False, None)
        said = world.start("verify", "-o", "json", "--table", table, "--repair", "east", "west")
        output, _ = said.communicate(timeout=1200)
        assert said.returncode == 0, output + world.said()
        mended = of(json.loads(output), table)
        assert mended["repaired"] == number
        before = dict(counts)
        eventually(lambda: all(counts[side] > before[side] for side in counts))
        assert verified(world, table)["equal"] is True
    waited(world)
    assert rows_compared(world, "every") >= ROWS - PLANTED
    assert [each["conflicts"] for each in world.status()["directions"]] == [0, 0]
    if ROWS >= 1_000_000:
        compare_speed(world, table)


def rows_compared(world: World, name: str) -> int:
    """Compare both sides in bytes, some rows at a time, without a checksum; gives how many rows there are."""
    columns = ", ".join(in_bytes(quoted(column), kind) for column, kind in columns_of(partial(world.sql, "east"), world.db, name))
    rows = 0
    for start in range(0, ROWS * 10 + 100, 100_000):
        part = f"SELECT {columns} FROM {world.db}.{name} WHERE id >= {start} AND id < {start + 100_000} ORDER BY id"
        east, west = (world.sql(side, "SET time_zone = '+00:00'", part) for side in world.sides)
        assert east == west
        rows += len(east)
    return rows


def compare_speed(world: World, table: str) -> None:
    """Print how long verify takes of equal tables, beside a bare checksum of both sides."""
    columns = ", ".join(["id", *COLUMNS]).replace("w", "CAST(w AS BINARY)")  # 1210 otherwise
    bare = f"SELECT COUNT(*), SUM(CRC32(CONCAT_WS('#', {columns}))) FROM {table}"
    times = []
    for _ in range(3):
        began = time.monotonic()
        both = [threading.Thread(target=world.sql, args=(side, bare)) for side in world.sides]
        for thread in both:
            thread.start()
        for thread in both:
            thread.join()
        times.append(time.monotonic() - began)
    seconds = min(float(str(verified(world, table)["seconds"])) for _ in range(3))
    print(
        f"verify of {ROWS:,} rows: {seconds:.2f} s, bare checksums of both sides {min(times):.2f} s: {seconds / min(times):.2f}"
    )


def test_a_repair_comes_back_nowhere(syncing: World) -> None:
    """What a repair writes is the source's to its producer: the other direction drops it, and neither side applies a row."""
    world = syncing
    table = filled(world, "echo", 100)
    planted = plant(world, table, 12, 100)
    waited(world)
    before = {side: world.direction(side)["applied_rows"] for side in world.sides}
    report = of(verified(world, table, repair=("west", "east")), table)
    assert report["repaired"] == sum(map(len, planted.values()))
    assert (report["only_from"], report["only_to"]) == (len(planted["only_to"]), len(planted["only_from"]))
    waited(world)
    assert {side: world.direction(side)["applied_rows"] for side in world.sides} == before
    assert assert_table_equal(partial(world.sql, "east"), partial(world.sql, "west"), world.db, "echo") > 0
    kept = world.sql("east", f"SELECT COUNT(*) FROM {table} WHERE id IN ({', '.join(map(str, planted['only_to']))})")
    assert kept == ((len(planted["only_to"]),),)
    world.sql("east", f"UPDATE {table} SET i = 99")
    waited(world)
    assert world.sql("west", f"SELECT COUNT(*) FROM {table} WHERE i = 99") == world.sql("east", f"SELECT COUNT(*) FROM {table}")


def test_what_a_repair_has_in_its_way(syncing: World) -> None:
    """Unique values that rows exchange, texts that are one key, keys of several columns or over a prefix, orphans."""
    world = syncing
    tables = {
        "swapped": ("id INT PRIMARY KEY, code VARCHAR(9) UNIQUE", "(1,'a'), (2,'b'), (3,'c')", "(1,'b'), (2,'a'), (9,'c')"),
        "texts": ("k VARCHAR(9) PRIMARY KEY, n INT", "('abc',1), ('ö',2), ('z',3)", "('ABC',1), ('o',2), ('z ',3)"),
        "several": (
            "a ENUM('q','b') NOT NULL, k CHAR(3) CHARACTER SET latin1 NOT NULL, d DATE, n INT, PRIMARY KEY (a, k)",
            "('q','x','2024-01-01',1), ('b','é',NULL,2), ('b','y',NULL,3)",
            "('q','x','2024-01-01',1), ('b','é',NULL,7), ('q','y',NULL,3)",
        ),
        "prefix": ("k VARCHAR(90) NOT NULL, n INT, UNIQUE (k(3))", "('abcd',1), ('x',2)", "('abce',1), ('y',2)"),
        "parent": ("id INT PRIMARY KEY", "(1), (2)", "(2), (3)"),
        "child": (
            f"id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES {world.db}.parent (id) ON DELETE CASCADE",
            "(1,1), (2,2)",
            "(2,2), (3,3)",
        ),
    }
    for name, (columns, here, there) in tables.items():
        for side, rows in (("east", here), ("west", there)):
            made = f"CREATE TABLE {world.db}.{name} ({columns})"
            world.sql(side, NO_LOG, made, f"INSERT INTO {world.db}.{name} VALUES {rows}")
    chosen = [f"{world.db}.{name}" for name in tables]
    report = verified(world, *chosen, repair=("east", "west"))
    assert report["equal"] is True, report
    for name in tables:
        assert assert_table_equal(partial(world.sql, "east"), partial(world.sql, "west"), world.db, name) > 1
    assert verified(world, *chosen)["equal"] is True
    assert [each["state"] for each in world.status()["directions"]] == ["syncing", "syncing"]


def test_a_row_that_the_target_refuses_is_said_and_the_other_tables_are_repaired(syncing: World) -> None:
    """A CHECK of the target alone refuses a row: its table says so, and the next one is repaired all the same."""
    world = syncing
    for name, check in (("refusing", ", CHECK (n < 10)"), ("taking", "")):
        world.sql("east", NO_LOG, f"CREATE TABLE {world.db}.{name} (id INT PRIMARY KEY, n INT)")
        world.sql("west", NO_LOG, f"CREATE TABLE {world.db}.{name} (id INT PRIMARY KEY, n INT{check})")
        world.sql("east", NO_LOG, f"INSERT INTO {world.db}.{name} VALUES (1, 10)")
    report = verified(world, f"{world.db}.refusing", f"{world.db}.taking", repair=("east", "west"))
    refusing, taking = (of(report, f"{world.db}.{name}") for name in ("refusing", "taking"))
    assert "west" in refusing["not_repaired"] and "refusing_chk_1" in refusing["not_repaired"]
    assert refusing["repaired"] == 0 and report["equal"] is False
    assert taking["not_repaired"] is None and taking["repaired"] == 1
    world.sql("west", NO_LOG, f"DROP TABLE {world.db}.refusing")
    world.sql("east", NO_LOG, f"DROP TABLE {world.db}.refusing")


def test_a_row_too_large_for_the_target_is_said_and_the_other_tables_are_repaired(syncing: World) -> None:
    """Its statement is not sent, as the server would hang up. Two documents too large for one are compared all the same."""
    world = syncing
    large, other, documents = (f"{world.db}.{name}" for name in ("large", "mended", "numbers_in"))
    numbers = "CONCAT('[', {}, ', \"', REPEAT('x', 3 << 20), '\"]')"
    for n, side in enumerate(world.sides):
        world.sql(
            side,
            NO_LOG,
            f"CREATE TABLE {large} (id INT PRIMARY KEY, b LONGBLOB)",
            f"CREATE TABLE {other} (id INT PRIMARY KEY, n INT)",
            f"CREATE TABLE {documents} (id INT PRIMARY KEY, j JSON)",
            f"INSERT INTO {documents} VALUES (1, {numbers.format(('1', '1.0')[n])})",
        )
    world.sql("east", NO_LOG, f"INSERT INTO {large} VALUES (1, REPEAT(X'fe', 3000000))", f"INSERT INTO {other} VALUES (1, 10)")
    with small_packets(world, "east", "west"):
        report = verified(world, large, other, documents, repair=("east", "west"))
    found = {table: of(report, table) for table in (large, other, documents)}
    assert "max_allowed_packet is 4194304" in found[large]["not_repaired"] and found[large]["repaired"] == 0
    assert (found[other]["not_repaired"], found[other]["repaired"]) == (None, 1)
    assert (found[documents]["differing"], found[documents]["not_compared"], report["equal"]) == (0, None, False)
    assert of(verified(world, large, repair=("east", "west")), large)["repaired"] == 1


def test_a_table_that_may_not_be_written_to_is_said_and_the_other_tables_are_repaired(syncing: World) -> None:
    """The account has no INSERT there: its table says so, and the next one is repaired all the same."""
    world = syncing
    denied, other = (f"{world.db}.{name}" for name in ("denied", "granted"))
    for side in world.sides:
        world.sql(side, NO_LOG, *(f"CREATE TABLE {table} (id INT PRIMARY KEY, n INT)" for table in (denied, other)))
    world.sql("east", NO_LOG, *(f"INSERT INTO {table} VALUES (1, 10)" for table in (denied, other)))
    everywhere = f"INSERT ON {all_of(world.db)}"
    world.sql("west", f"REVOKE {everywhere} FROM {world.user}", f"GRANT INSERT ON {other} TO {world.user}")
    try:
        report = verified(world, denied, other, repair=("east", "west"))
    finally:
        world.sql("west", f"GRANT {everywhere} TO {world.user}", f"REVOKE INSERT ON {other} FROM {world.user}")
    assert "INSERT command denied" in of(report, denied)["not_repaired"]
    assert (of(report, other)["not_repaired"], of(report, other)["repaired"]) == (None, 1)
    assert verified(world, denied, repair=("east", "west"))["equal"] is True


def test_equal_values_in_another_form_are_equal(syncing: World) -> None:
    """Columns in another order, of another type or character set, documents of another text: the structure differs, no row."""
    world = syncing
    forms = {
        "east": (
            "id INT PRIMARY KEY, i INT, z INT(8) ZEROFILL, d DECIMAL(10,2), f FLOAT, t VARCHAR(20) CHARACTER SET latin1,"
            " m DATETIME, e ENUM('a','b'), j JSON, h DOUBLE, g INT AS (i + 1) STORED",
            """id, i, z, d, f, t, m, e, j, h) VALUES (1, 5, 7, 1.5, 0.25, 'é', '2024-01-02 03:04:05', 'b',"""
            """ '{"b": 1, "a": 1.0}', -0e0), (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL""",
        ),
        "west": (
            "g INT AS (i + 1) VIRTUAL, h DOUBLE, j JSON, e ENUM('x','b','a'), m DATETIME(6), t VARCHAR(20), f DOUBLE,"
            " d DECIMAL(14,5), z BIGINT UNSIGNED, i BIGINT, id INT PRIMARY KEY",
            """id, i, z, d, f, t, m, e, j, h) VALUES (1, 5, 7, 1.5, 0.25, 'é', '2024-01-02 03:04:05', 'b',"""
            """ '{"a": 1, "b": 1.0}', 0e0), (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL""",
        ),
    }
    for side, (columns, values) in forms.items():
        world.sql(side, NO_LOG, f"CREATE TABLE {world.db}.forms ({columns})", f"INSERT INTO {world.db}.forms ({values})")
    found = of(verified(world, f"{world.db}.forms"), f"{world.db}.forms")
    assert (found["equal"], found["differing"], found["only_from"], found["only_to"]) == (2, 0, 0, 0)
    assert any("`e` enum" in line for line in found["schema"])
    assert not any("`id` int" in line for line in found["schema"])
    world.sql("west", NO_LOG, f"UPDATE {world.db}.forms SET d = 1.50001 WHERE id = 1")
    found = of(verified(world, f"{world.db}.forms"), f"{world.db}.forms")
    assert found["differing"] == 1


def test_nulls_and_lengths_tell_rows_apart(syncing: World) -> None:
    """Values that would be one text one after the other: NULL beside another column's value, a separator inside of a value."""
    world = syncing
    rows = [
        ("(NULL, 'a', 1, NULL)", "('a', NULL, 1, NULL)"),
        ("('a#1', 'b', 1, NULL)", "('a', '1#b', 1, NULL)"),
        ("('', NULL, NULL, 1)", "(NULL, '', 1, NULL)"),
        ("('A', 'a', 0, 0)", "('a', 'A', 0, 0)"),
        ("('same', 'same', 1, 2)", "('same', 'same', 1, 2)"),
    ]
    for n, side in enumerate(world.sides):
        values = ", ".join(f"({m}, {each[n][1:]}" for m, each in enumerate(rows))
        made = f"CREATE TABLE {world.db}.texts_ (id INT PRIMARY KEY, a TEXT, b TEXT, c INT, d INT)"
        world.sql(side, NO_LOG, made, f"INSERT INTO {world.db}.texts_ VALUES {values}")
    found = of(verified(world, f"{world.db}.texts_"), f"{world.db}.texts_")
    assert (found["differing"], found["equal"]) == (4, 1)


def test_what_cannot_be_compared_is_named(syncing: World) -> None:
    """A table on one side alone, one without a key, one whose key has another order: named with the reason, and not equal."""
    world = syncing
    made = {
        "alone": ("id INT PRIMARY KEY", None),
        "keyless": ("id INT", "id INT"),
        "ordered": ("k VARCHAR(9) COLLATE utf8mb4_bin PRIMARY KEY", "k VARCHAR(9) COLLATE utf8mb4_0900_ai_ci PRIMARY KEY"),
    }
    try:
        for name, both in made.items():
            for side, columns in zip(world.sides, both, strict=True):
                if columns is not None:
                    world.sql(side, NO_LOG, f"CREATE TABLE {world.db}.{name} ({columns})")
        said = world.run("verify", *(word for name in made for word in ("--table", f"{world.db}.{name}")), expect=1)
        assert "it is on east alone" in said
        assert "neither a primary key nor a unique key" in said
        assert "is another one on either side" in said
        mistaken = world.run("verify", "--table", f"{world.db}.alone", "--table", f"{world.db}.alnoe", expect=2)
        assert f"`{world.db}.alnoe`" in mistaken and f"`{world.db}.alone`" not in mistaken
    finally:
        for side in world.sides:
            world.sql(side, NO_LOG, *(f"DROP TABLE IF EXISTS {world.db}.{name}" for name in made))


@contextmanager
def small_packets(world: World, *sides: str) -> Iterator[None]:
    """Let servers make no string of more than 4 MiB, and take none, for those who connect meanwhile."""
    before = {side: world.sql(side, "SELECT @@GLOBAL.max_allowed_packet")[0][0] for side in sides}
    try:
        for side in sides:
            world.sql(side, "SET GLOBAL max_allowed_packet = 4194304")
        yield
    finally:
        for side, size in before.items():
            world.sql(side, f"SET GLOBAL max_allowed_packet = {size}")


def test_values_whose_text_the_servers_leave_out_are_not_equal(syncing: World) -> None:
    """Documents of less than max_allowed_packet, whose text has more, print as nothing: they are not called equal."""
    world = syncing
    table = world.table("printed", "id INT PRIMARY KEY, j JSON")
    quotes = """REPEAT('"', 900000)"""
    for n, side in enumerate(world.sides):
        world.sql(side, NO_LOG, f"INSERT INTO {table} VALUES (1, JSON_ARRAY({n}, {', '.join([quotes] * 3)}))")
    with small_packets(world, *world.sides):
        report = verified(world, table)
    assert report["equal"] is False
    assert "max_allowed_packet (4194304)" in of(report, table)["not_compared"]
    assert of(verified(world, table), table)["differing"] == 1
    world.sql("east", f"DROP TABLE {table}")
    world.sql("west", NO_LOG, f"DROP TABLE {table}")


def test_with_a_direction_paused(syncing: World) -> None:
    """What is on its way cannot be told from what differs: that is said, and a repair is refused. Once it runs, all is equal."""
    world = syncing
    table = world.table("paused")
    world.sql("east", f"INSERT INTO {table} VALUES (1, 1), (2, 2)")
    waited(world)
    topology = load_topology(world.file, {})
    for source, target in BOTH:
        operate.pause(topology, source, target)
    eventually(lambda: set(world.states().values()) == {"paused"}, world.said)
    world.sql("east", f"UPDATE {table} SET qty = 7 WHERE id = 1", f"INSERT INTO {table} VALUES (3, 3)")
    report = verified(world, table)
    found = of(report, table)
    assert "paused" in str(report["unsettled"])
    assert (found["differing"], found["only_from"], found["only_to"]) == (1, 1, 0)
    assert "paused" in world.run("verify", "--table", table, "--repair", "east", "west", expect=1)
    for source, target in BOTH:
        operate.resume(topology, source, target)
    eventually(lambda: set(world.states().values()) == {"syncing"}, world.said)
    assert verified(world, table)["equal"] is True


def test_skipped_transactions_mark_their_tables(syncing: World) -> None:
    """A table that `skip` has passed a change of is named, until it is found equal."""
    world = syncing
    table = world.table("skipped")
    world.sql("west", f"INSERT INTO {table} VALUES (1, 1)")
    waited(world)
    world.sql("west", NO_LOG, f"UPDATE {table} SET qty = 5")
    world.sql("east", f"UPDATE {table} SET qty = 2")
    eventually(lambda: world.states()["east"] == "failed", world.said)
    gtid = str(world.direction("east")["error"]["gtid"])
    operate.skip(load_topology(world.file, {}), "east", "west", gtid, "for a test")
    eventually(lambda: world.states()["east"] == "syncing", world.said)
    waited(world)
    report = verified(world, table)
    assert of(report, table)["skipped"] == [gtid]
    assert "is still marked" in world.run("verify", "--table", table, expect=1)
    assert of(verified(world, table, repair=("west", "east")), table)["skipped"] == [gtid]
    assert of(verified(world, table), table)["skipped"] == []


def test_in_the_background(syncing: World) -> None:
    """What `up` starts where topology.yaml has `verify`: status has what it found, again and again; told to stop, it ends."""
    world = syncing
    table = world.table("watched")
    world.topology["verify"] = {"every": "1s", "max_rows_per_second": 1_000_000}
    try:
        running = world.start("verifier", "east")
        eventually(lambda: world.told()["verification"] is not None, world.said)
        world.sql("west", NO_LOG, f"INSERT INTO {table} VALUES (1, 1)")
        eventually(lambda: table in world.told()["verification"]["different"], world.said)
        assert "verify compared" in world.run("status")
        running.terminate()
        assert running.wait(60) == 0
    finally:
        del world.topology["verify"]


def test_random_types(syncing: World) -> None:
    """Random columns: of rows that are written alike on both sides, those are found that are then changed in west, and mended."""
    world = syncing
    tables = [f"random{n}" for n in range(TABLES)]
    for name in tables:
        for side in world.sides:
            random = Random(name)
            with world.sides[side].connect() as connection, connection.cursor() as cursor:
                cursor.execute("SET NAMES utf8mb4")
                cursor.execute("SET SESSION time_zone = '+00:00', sql_mode = 'ALLOW_INVALID_DATES', sql_log_bin = 0")
                cursor.execute(f"USE {world.db}")
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # of values that the server cuts
                    table = RandomTable(name, random)
                    table.create(cursor)
                    table.fill(cursor, 40)
                    if side == "west":
                        connection.commit()
                        changed = by_id(world, "west", name)
                        table.update(cursor, 12)
                        connection.commit()
                connection.commit()
        before, after = by_id(world, "east", name), by_id(world, "west", name)
        assert before == changed
        expected = sorted(id_ for id_ in before if before[id_] != after[id_])
        found = of(verified(world, f"{world.db}.{name}", examples=1000), f"{world.db}.{name}")
        assert sorted(example["key"]["id"] for example in found["examples"]) == expected, name
        assert (found["differing"], found["only_from"], found["only_to"]) == (len(expected), 0, 0)
        mended = of(verified(world, f"{world.db}.{name}", repair=("east", "west")), f"{world.db}.{name}")
        assert mended["repaired"] == len(expected)
        assert by_id(world, "west", name) == before


def by_id(world: World, side: str, name: str) -> dict[int, tuple[object, ...]]:
    """Every row in bytes, by its key; of zero without its sign, which no comparison sees."""
    at = [column for column, _ in columns_of(partial(world.sql, side), world.db, name)].index("id")
    rows = contents(partial(world.sql, side), world.db, name)
    plain = [tuple("30" if value == "2D30" else value for value in row) for row in rows]
    return {int(bytes.fromhex(str(row[at]))): row for row in plain}
