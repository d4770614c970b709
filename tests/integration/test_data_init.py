"""Rows that the source has already are copied while it is written to: exactly once each, equal, and told to nobody."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pymysql.err
import pytest
from comparing import assert_table_equal
from random_tables import RandomTable
from test_large import in_little_memory
from topologies import World
from topologies import eventually as soon

from sandbox.accounts import create_accounts
from sandbox.instances import Sandbox
from schemas.literals import quote_text

pytestmark = pytest.mark.servers

ROWS = 400
LARGE_ROWS = int(os.environ.get("BISYNC_TEST_INIT_ROWS", "20000"))
LONG_BYTES = int(os.environ.get("BISYNC_TEST_LARGE_ROW_BYTES", str(4 << 20)))
FAILPOINTS = ("init.after_snapshot", "init.after_read", "init.after_high", "init.before_commit", "init.after_commit")
KILLED = FAILPOINTS if os.environ.get("BISYNC_TEST_KILLS") else ("init.after_high",)

# Tables with keys of several kinds → the expressions that make the values of row n; see `Writes`.
TABLES: dict[str, tuple[str, tuple[str, ...]]] = {
    "numbers": ("id BIGINT UNSIGNED PRIMARY KEY, v VARCHAR(60), u INT, UNIQUE (u)", ("{n}", "CONCAT('v', {n})", "{n}")),
    "words": ("w VARCHAR(30) PRIMARY KEY, v INT", ("CONCAT(IF({n} % 2, 'é', 'Key'), {n})", "{n}")),
    "pairs": (
        "a VARCHAR(8) CHARACTER SET latin1, b DATE, c ENUM('z', 'm', 'a'), v JSON, PRIMARY KEY (a, c, b)",
        ("CONCAT('ä', {n} % 7)", "'2024-01-01' + INTERVAL {n} DAY", "1 + {n} % 3", 'JSON_OBJECT("n", {n}, "d", 1.5)'),
    ),
    "bytes": ("k BINARY(4) PRIMARY KEY, v DOUBLE", ("UNHEX(LPAD(HEX({n} * 7919 % 65536), 8, '0'))", "{n} / 3")),
    "child": ("id INT PRIMARY KEY, parent BIGINT UNSIGNED, FOREIGN KEY (parent) REFERENCES {db}.numbers (id)", ("{n}", "NULL")),
}


eventually = partial(soon, seconds=240)  # a copy under writes, with everything on two busy cores


def copying(servers: Sandbox, folder: Path, **settings: int) -> World:
    """A topology that copies from east to west, in small chunks; settings: more of `initialization`."""
    world = World(servers, folder)
    world.topology["directions"][0] |= {"initialize": ["data"], "ddl": True}
    for server in world.sides.values():
        with server.connect() as connection:
            create_accounts(connection, world.databases, world.control, world.user, "secret", ddl=True)
    world.topology["initialization"] = {"chunk_rows": 30, **settings}
    return world


@pytest.fixture(scope="module")
def world(servers: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A topology that copies."""
    world = copying(servers, tmp_path_factory.mktemp("data-init"))
    yield world
    world.close()


@pytest.fixture(autouse=True)
def _nothing_runs_behind_a_test(world: World) -> Iterator[None]:
    """What a test that failed has left running would be in the way of the next one."""
    yield
    world.end_all()


def make(world: World, name: str, definition: str, *fill: str) -> str:
    """A table on both sides, with rows at east that no stream carries; gives its full name."""
    for side in world.sides:
        world.sql(side, "SET sql_log_bin = 0", f"CREATE TABLE {world.db}.{name} ({definition.format(db=world.db)})")
    world.sql("east", "SET sql_log_bin = 0", *(statement.format(t=f"{world.db}.{name}") for statement in fill))
    return f"{world.db}.{name}"


def numbers(rows: int, values: str) -> str:
    """An INSERT of so many rows, whose values say {n} for their number."""
    made = f"WITH RECURSIVE n AS (SELECT 1 AS k UNION ALL SELECT k + 1 FROM n WHERE k < {rows})"
    return f"INSERT INTO {{t}} {made} SELECT {values.replace('{n}', 'k')} FROM n"


def ended(up: subprocess.Popen[str]) -> None:
    """Stop `up`, which drains."""
    up.send_signal(signal.SIGTERM)
    assert up.wait(90) == 0


def copied(world: World) -> None:
    """Wait until everything is copied, and what was written meanwhile has arrived."""
    eventually(lambda: world.direction()["state"] == "syncing", world.said)
    found = world.direction()["initialization"]
    assert (found["tables_done"], found["rows_done"]) == (found["tables"], found["rows"])
    world.run("wait")


def equal(world: World, *tables: str) -> None:
    """Fail where the sides differ in a byte of these tables."""
    sides: dict[str, Callable[..., Any]] = {side: partial(world.sql, side) for side in world.sides}
    for table in tables:
        assert_table_equal(sides["east"], sides["west"], world.db, table)


class Writes:
    """A thread that writes to the source's tables: ahead of the copy and behind it, with changes of keys."""

    def __init__(self, world: World, seed: int) -> None:
        self._world = world
        self._random = Random(seed)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.done = 0
        self.failure: BaseException | None = None

    def __enter__(self) -> Writes:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        if self.failure is not None:
            raise self.failure

    def _run(self) -> None:
        try:
            with self._world.sides["east"].connect() as connection, connection.cursor() as cursor:
                while not self._stop.wait(0.002):
                    try:
                        for _ in range(self._random.randint(1, 3)):
                            cursor.execute(self._statement())
                        connection.commit()
                        self.done += 1
                    except pymysql.err.IntegrityError:
                        connection.rollback()
        except BaseException as error:  # noqa: BLE001  the test raises it
            self.failure = error

    def _statement(self) -> str:
        name = self._random.choice(list(TABLES))
        table, values = f"{self._world.db}.{name}", TABLES[name][1]
        old, new = self._random.randint(1, ROWS), self._random.randint(ROWS + 1, 2 * ROWS)
        columns = [line.split()[0] for line in _columns(TABLES[name][0])]
        keys = len(columns) - 1 if name != "numbers" else 1
        at = " AND ".join(f"{column} = {value.format(n=old)}" for column, value in zip(columns[:keys], values, strict=False))
        what = self._random.randrange(6)
        if what == 0:
            return f"DELETE FROM {table} WHERE {at}"
        if what == 1:
            return f"INSERT INTO {table} VALUES ({', '.join(value.format(n=new) for value in values)})"
        if what == 2 and name != "child":  # another key, far ahead or behind
            moved = ", ".join(f"{column} = {value.format(n=new)}" for column, value in zip(columns[:keys], values, strict=False))
            return f"UPDATE {table} SET {moved} WHERE {at}"
        if what == 3 and name == "words":  # a key that its collation holds equal
            return f"UPDATE {table} SET w = IF(BINARY w = UPPER(w), LOWER(w), UPPER(w)) WHERE {at}"
        if name == "child":
            return f"UPDATE {table} SET parent = (SELECT MAX(id) FROM {self._world.db}.numbers WHERE id < {new}) WHERE {at}"
        if name == "pairs":
            return f"UPDATE {table} SET v = JSON_SET(v, '$.n', {new}) WHERE {at}"
        return f"UPDATE {table} SET v = {new} WHERE {at}"


class OwnRows(Writes):
    """A thread that writes rows of the target's own, and changes them again before the source has them for long."""

    def __init__(self, world: World) -> None:
        super().__init__(world, 3)

    def _run(self) -> None:
        try:
            with self._world.sides["west"].connect() as connection, connection.cursor() as cursor:
                table, number = f"{self._world.db}.numbers", 100_000
                while not self._stop.wait(0.02):
                    number += self._random.randint(0, 1)
                    write = f"INSERT INTO {table} VALUES ({number}, 'west', {number}) AS f ON DUPLICATE KEY UPDATE v = UUID()"
                    cursor.execute(write)
                    connection.commit()
                    self.done += 1
        except BaseException as error:  # noqa: BLE001  the test raises it
            self.failure = error


def _columns(definition: str) -> list[str]:
    found = definition.replace("ENUM('z', 'm', 'a')", "ENUM").split(", ")
    return [line for line in found if line.split()[0].islower()]


def test_rows_are_copied_under_writes(world: World) -> None:
    """Keys of every kind, random types, and changes ahead of and behind the copy: equal, without a conflict or an echo."""
    for name, (definition, values) in TABLES.items():
        make(world, name, definition, numbers(ROWS, ", ".join(values)))
    random, names = Random(7), list(TABLES)
    for number in range(6):
        table = RandomTable(f"random{number}", random)
        statements: dict[str, str] = {}
        for side, server in world.sides.items():
            with server.connect(database=world.db) as connection, connection.cursor() as cursor:
                cursor.execute("SET SESSION sql_log_bin = 0, sql_mode = 'NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES'")
                if side == "east":
                    statements[side] = table.create(cursor)
                    table.fill(cursor, 60)
                    connection.commit()
                else:
                    cursor.execute(statements["east"])
        names.append(table.name)
    world.topology["initialization"]["max_rows_per_second"] = 500
    up = world.start("up")
    own = OwnRows(world)
    with Writes(world, 11) as writes:
        eventually(lambda: world.states()["east"] == "initializing" and _done(world) > 0, world.said)
        with own:  # what the target's side writes is carried from here on
            eventually(lambda: world.direction()["state"] == "syncing", world.said)
    print("transactions meanwhile:", writes.done, own.done)
    copied(world)
    equal(world, *names)
    there, back = world.direction("east"), world.direction("west")
    assert (there["conflicts"], back["conflicts"], back["applied_transactions"]) == (0, 0, own.done)
    ended(up)


def _done(world: World) -> int:
    return int(world.direction()["initialization"]["rows_done"])


@pytest.mark.parametrize("failpoint", KILLED)
def test_a_copy_goes_on_after_a_kill(world: World, failpoint: str) -> None:
    """A new table is copied when the processes start; its applier dies there, and goes on at the chunk."""
    name = f"killed_{failpoint.rpartition('.')[2]}"
    make(world, name, "id INT PRIMARY KEY, v TEXT", numbers(300, "{n}, REPEAT('x', 100)"))
    world.topology["initialization"]["max_rows_per_second"] = 0
    before = len(world.said())
    up = world.start("up", BISYNC_FAILPOINT=f"{failpoint}:5")
    _copied_anew(world, name)
    assert "applier west ended by SIGKILL" in world.said()[before:]
    equal(world, name)
    chunks = world.sql("west", f"SELECT rows_done, chunks_done FROM {world.control}.initialization WHERE object_name = '{name}'")
    assert chunks == ((300, 11),)
    assert world.direction()["conflicts"] == 0
    ended(up)


def test_statements_while_tables_are_copied(world: World) -> None:
    """A table that is renamed, emptied, dropped, or given another key: each is as at the source, and the others go on."""
    fill = numbers(200, "{n}, {n} % 7")
    names = ("renamed", "emptied", "dropped", "altered")
    for name in names:
        make(world, name, "id INT PRIMARY KEY, v INT NOT NULL", fill)
    world.topology["initialization"]["max_rows_per_second"] = 60
    up = world.start("up")
    begun = f"SELECT rows_done > 0 FROM {world.control}.initialization WHERE object_name = 'altered'"
    eventually(lambda: _noted(world) and world.sql("west", begun) == ((1,),), world.said)
    world.sql(
        "east",
        f"USE {world.db}",
        "ALTER TABLE altered DROP PRIMARY KEY, ADD PRIMARY KEY (v, id), ADD COLUMN x INT DEFAULT 3",
        "RENAME TABLE renamed TO other_name",
        "TRUNCATE TABLE emptied",
        "INSERT INTO emptied VALUES (7, 7)",
        "DROP TABLE dropped",
        "CREATE TABLE fresh (id INT PRIMARY KEY)",
        "INSERT INTO fresh VALUES (1), (2)",
        "UPDATE altered SET x = 5 WHERE id % 50 = 0",
    )
    world.topology["initialization"]["max_rows_per_second"] = 0
    copied(world)
    equal(world, "altered", "other_name", "emptied", "fresh")
    assert not world.sql("west", f"SHOW TABLES FROM {world.db} WHERE Tables_in_{world.db} IN ('renamed', 'dropped')")
    states = dict(world.sql("west", f"SELECT object_name, state FROM {world.control}.initialization"))
    wanted = {"other_name": "done", "altered": "done", "emptied": "done", "fresh": "done", "renamed": "gone", "dropped": "gone"}
    assert states | wanted == states
    assert world.direction()["conflicts"] == world.direction("west")["conflicts"]
    ended(up)


def test_init_copies_and_ends(world: World) -> None:
    """It runs everything until all is copied, says how far it is, and exits 0; once more, there is nothing to do."""
    make(world, "by_command", "id INT PRIMARY KEY", numbers(100, "{n}"))
    said = world.run("init", seconds=300)
    assert '"event": "initialized"' in said
    equal(world, "by_command")
    assert set(world.states().values()) == {"stopped"}
    assert "copying rows" not in world.run("init", seconds=300)
    world.run("init", "--reset", "east", "west")
    assert not world.sql("west", f"SELECT * FROM {world.control}.initialization")
    make(world, "anew", "id INT PRIMARY KEY", numbers(100, "{n}"))
    world.run("init", seconds=300)
    equal(world, "by_command", "anew")
    assert world.direction()["initialization"]["rows_done"] >= 200


@pytest.mark.long
def test_a_broker_that_restarts(world: World) -> None:
    """The copy waits for it, and goes on."""
    make(world, "outage", "id INT PRIMARY KEY, v TEXT", numbers(300, "{n}, REPEAT('x', 100)"))
    world.topology["initialization"]["max_rows_per_second"] = 50
    up = world.start("up")
    eventually(lambda: _noted(world) and bool(world.sql("west", _rows_of(world, "outage"))), world.said)
    world.servers.kafka.kill()
    world.servers.kafka.start()
    _copied_anew(world, "outage")
    equal(world, "outage")
    assert world.sql("west", _rows_of(world, "outage")) == ((300,),)
    ended(up)


def _rows_of(world: World, name: str) -> str:
    return f"SELECT rows_done FROM {world.control}.initialization WHERE rows_done > 0 AND object_name = '{name}'"


def test_values_that_a_list_would_lose(world: World) -> None:
    """Types inside of documents, and long values, arrive as they are, beside short ones in the same chunk."""
    typed = [
        "JSON_OBJECT('d', CAST('1.10' AS DECIMAL(5, 2)), 'n', CAST(7 AS DECIMAL(10, 0)), 'day', CAST('2024-02-29' AS DATE))",
        "JSON_ARRAY(CAST('-12:00:00.5' AS TIME(1)), TIMESTAMP '2024-01-01 00:00:00.25', X'00ff', b'101', 1.5e0, 1, 'x', NULL)",
        """JSON_OBJECT('a "b"', JSON_ARRAY(JSON_OBJECT('é', CAST('0.5' AS DECIMAL(3, 1)))), 'plain', '1.5')""",
        "CAST(CAST('3.00' AS DECIMAL(5, 2)) AS JSON)",
        "NULL",
    ]
    make(world, "documents", "id INT PRIMARY KEY, j JSON", *(f"INSERT INTO {{t}} VALUES ({n}, {v})" for n, v in enumerate(typed)))
    half = LONG_BYTES // 2
    wide = [
        "(1, 'short', X'00')",
        f"(2, REPEAT('é€', {half // 4}), REPEAT(X'00ff80', {half // 3}))",
        f"(3, REPEAT('x', {half}), NULL)",
        "(4, NULL, X'01')",
        f"(5, 'short', REPEAT(X'fe', {half}))",
    ]
    make(world, "wide", "id INT PRIMARY KEY, v LONGTEXT, b LONGBLOB", *(f"INSERT INTO {{t}} VALUES {values}" for values in wide))
    up = world.start("up")
    _copied_anew(world, "documents", "wide")
    equal(world, "documents", "wide")
    paths = [(0, "$.d"), (0, "$.n"), (0, "$.day"), *((1, f"$[{n}]") for n in range(8)), (2, '$."a \\"b\\""[0]."é"')]
    for number, path in [*paths, (3, "$")]:
        asked = f"SELECT JSON_TYPE(JSON_EXTRACT(j, {quote_text(path)})) FROM {world.db}.documents WHERE id = {number}"
        assert world.sql("west", asked) == world.sql("east", asked)
    assert world.sql("west", f"SELECT JSON_TYPE(j->'$.d'), JSON_TYPE(j->'$.day') FROM {world.db}.documents WHERE id = 0") == (
        ("DECIMAL", "DATE"),
    )
    if LONG_BYTES > 1 << 24:
        in_little_memory(world)
    ended(up)


@contextmanager
def small_packets(world: World, side: str) -> Iterator[None]:
    """Let a server make no string of more than 4 MiB, and take none, for those who connect meanwhile."""
    before = world.sql(side, "SELECT @@GLOBAL.max_allowed_packet")[0][0]
    world.sql(side, "SET GLOBAL max_allowed_packet = 4194304")
    try:
        yield
    finally:
        world.sql(side, f"SET GLOBAL max_allowed_packet = {before}")


def test_a_value_whose_literal_is_too_long_for_its_source(world: World) -> None:
    """Half of what the source's max_allowed_packet allows is too much for its literal, which is NULL then: no row says NULL."""
    values = ("(1, REPEAT(X'fe', 3 << 20), REPEAT('\\'', 3 << 20))", "(2, NULL, NULL)", "(3, X'fe', 'short')")
    rows = f"INSERT INTO {{t}} VALUES {', '.join(values)}"
    make(world, "halves", "id INT PRIMARY KEY, b LONGBLOB, t LONGTEXT", rows)
    with small_packets(world, "east"):
        up = world.start("up")
        _copied_anew(world, "halves")
    found = world.sql("west", f"SELECT id, LENGTH(b), LENGTH(t) FROM {world.db}.halves")
    assert found == ((1, 3 << 20, 3 << 20), (2, None, None), (3, 1, 5))
    equal(world, "halves")
    ended(up)


def test_a_document_that_its_source_cannot_print(world: World) -> None:
    """Its text is longer than the source's max_allowed_packet allows: that is said, and no empty one is written."""
    quotes = """REPEAT('"', 900000)"""
    make(world, "printed", "id INT PRIMARY KEY, j JSON", f"INSERT INTO {{t}} VALUES (1, JSON_ARRAY({', '.join([quotes] * 3)}))")
    with small_packets(world, "east"):
        up = world.start("up")
        eventually(lambda: world.states()["east"] == "failed", world.said)
        error = world.direction()["error"]
    assert (error["code"], f"{world.db}.printed" in error["message"]) == ("packet_too_large", True), error
    world.run("resume", "east", "west")
    _copied_anew(world, "printed")
    equal(world, "printed")
    ended(up)


def test_rows_that_are_there_already(world: World) -> None:
    """One that is equal is no conflict; others are decided by the policy, once somebody has where it says so."""
    world.run("init", seconds=300)  # else precheck would want empty tables
    rows = numbers(100, "{n}, 0, -0.0037")  # which is not quite what DOUBLE(20, 4) holds
    for name in ("taken", "kept"):
        make(world, name, "id INT PRIMARY KEY, v INT, d DOUBLE(20, 4)", rows)
        world.sql("west", "SET sql_log_bin = 0", f"INSERT INTO {world.db}.{name} VALUES (1, 0, -0.0037), (50, 5, 0), (200, 7, 0)")
    world.topology["directions"][0]["tables"] = {f"{world.db}.taken": {"on_conflict": "overwrite"}}
    already = _already(world)
    up = world.start("up")
    eventually(lambda: world.states()["east"] == "failed", world.said)
    error = world.direction()["error"]
    assert error["code"] == "conflict"
    assert f"insert_exists in {world.db}.kept at id=50" in error["message"]
    world.run("conflicts", "resolve", error["conflict_id"], "--use", "target")
    world.run("resume", "east", "west")
    _copied_anew(world, "taken", "kept")
    found = {each["table"]: each for each in world.json("conflicts", "list")}
    decisions = {table.partition(".")[2]: each["decision"] for table, each in found.items()}
    assert decisions == {"taken": "source", "kept": "target"}
    assert world.sql("west", f"SELECT id, v FROM {world.db}.taken WHERE v") == ((200, 7),)
    assert world.sql("west", f"SELECT id, v FROM {world.db}.kept WHERE v") == ((50, 5), (200, 7))
    assert world.sql("west", f"SELECT COUNT(*) FROM {world.db}.kept") == ((101,),)
    assert _already(world) == already + 2
    ended(up)


def _already(world: World) -> int:
    if not world.sql("west", f"SHOW DATABASES LIKE '{world.control}'"):
        return 0
    return int(world.sql("west", f"SELECT already_applied FROM {world.control}.applied")[0][0])


def _copied_anew(world: World, *names: str) -> None:
    """Wait until these new tables are copied."""
    eventually(lambda: all(_is_copied(world, name) for name in names), world.said)
    world.run("wait")


def _noted(world: World) -> bool:
    there = f"SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = '{world.control}' AND TABLE_NAME = 'initialization'"
    return bool(world.sql("west", there))


def _is_copied(world: World, name: str) -> bool:
    if not _noted(world):
        return False
    return world.sql("west", f"SELECT state FROM {world.control}.initialization WHERE object_name = '{name}'") == (("done",),)


@pytest.fixture
def new_world(servers: Sandbox, tmp_path: Path) -> Iterator[World]:
    """A topology that has never run: what the target gets by hand before its first start is not in its stream."""
    world = copying(servers, tmp_path)
    yield world
    world.close()


def test_a_table_that_comes_later_is_to_be_empty(new_world: World) -> None:
    """In a direction that has begun, precheck names the table that is new in `objects` and has rows; after a reset, none."""
    world = new_world
    here, back = world.topology["directions"]
    here["objects"] = back["objects"] = [f"{world.db}.first", f"{world.db}.made_*"]
    make(world, "first", "id INT PRIMARY KEY", numbers(3, "{n}"))
    world.run("init", seconds=300)
    for name in ("made_since", "later"):
        make(world, name, "id INT PRIMARY KEY", numbers(3, "{n}"))
        world.sql("west", "SET sql_log_bin = 0", f"INSERT INTO {world.db}.{name} VALUES (2), (7)")
    assert _has_rows(world) == []
    here["objects"] = [*here["objects"], f"{world.db}.later"]
    assert _has_rows(world) == [f"east to west: {world.db}.later has rows on west already"]
    world.run("init", "--reset", "east", "west")
    assert _has_rows(world) == []


def _has_rows(world: World) -> list[str]:
    """What precheck says of tables that are to be empty."""
    items, _ = json.JSONDecoder().raw_decode(world.run("precheck", "-o", "json", expect=None))
    return [item["seen"] for item in items if (item["item"], item["result"]) == ("target_empty", "fail")]


def test_a_large_table(new_world: World) -> None:
    """Rows of 220 bytes, in little memory; in full size beside what `mysqldump | mysql` takes for them in the same run."""
    world = new_world
    definition = "id BIGINT AUTO_INCREMENT PRIMARY KEY, a VARCHAR(200) NOT NULL, b INT, c DECIMAL(10, 2), d DATETIME(6), KEY (b)"
    values = "{n}, REPEAT(SHA2({n}, 256), 2), {n} % 1000, {n} / 7, '2024-01-01 00:00:00.5'"
    table = make(world, "large", definition, "SET cte_max_recursion_depth = 4294967295", numbers(LARGE_ROWS, values))
    world.topology["initialization"] = {}
    if "BISYNC_TEST_INIT_ROWS" in os.environ:
        seconds = dumped(world, "large")
        print(f"mysqldump | mysql: {LARGE_ROWS / seconds:,.0f} rows/s")
        world.sql("west", "SET sql_log_bin = 0", f"TRUNCATE TABLE {table}")
    before = len(world.said())
    up = world.start("up")
    eventually(lambda: world.direction()["state"] == "initializing", world.said)
    world.run("wait", "--timeout", "1800", seconds=1900)
    assert _is_copied(world, "large"), "what was there before is waited for too"
    at = {event: _at(world.said()[before:], event) for event in ("copying rows", "all rows are copied")}
    print(f"copied: {LARGE_ROWS / (at['all rows are copied'] - at['copying rows']):,.0f} rows/s")
    digest = f"SELECT COUNT(*), SUM(CRC32(CONCAT_WS('#', id, a, b, c, d))) FROM {table}"
    assert world.sql("west", digest) == world.sql("east", digest)
    in_little_memory(world)
    ended(up)


def dumped(world: World, table: str) -> float:
    """The seconds that the way by hand takes."""
    dump, load = (
        [program, "-h127.0.0.1", f"-P{world.sides[side].port}", "-uroot", *more, world.db]
        for program, side, *more in (
            ("mysqldump", "east", "--single-transaction", "--no-tablespaces", "--no-create-info"),
            ("mysql", "west"),
        )
    )
    began = time.monotonic()
    with subprocess.Popen([*dump, table], stdout=subprocess.PIPE) as writing:
        subprocess.run(load, stdin=writing.stdout, check=True)
    assert writing.returncode == 0
    return time.monotonic() - began


def _at(said: str, event: str) -> float:
    line = next(line for line in reversed(said.splitlines()) if f'"event": "{event}"' in line)
    return datetime.fromisoformat(json.loads(line)["timestamp"]).timestamp()
