"""Every type on its way from one server to the other: SQL of others, and random tables, equal in bytes at both ends."""

import json
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from random import Random

import pymysql.err
import pytest
from capturing import printing
from comparing import assert_equal, columns_of, tables
from faults.compare import in_bytes, quoted
from pymysql.cursors import Cursor
from random_tables import RandomTable
from sql_files import SQL_FILES, statements
from topologies import World

from sandbox.instances import Sandbox

pytestmark = pytest.mark.servers

TABLES = int(os.environ.get("BISYNC_TEST_TABLES", "12"))
ROWS = int(os.environ.get("BISYNC_TEST_TABLE_ROWS", "12"))
FILES = sorted(SQL_FILES.glob("*.sql"))
_STRUCTURE = ("create", "alter", "drop", "rename", "truncate", "use", "grant", "flush", "set global")
_SESSION = "SET sql_mode = 'ALLOW_INVALID_DATES', foreign_key_checks = 0, sql_generate_invisible_primary_key = ON"


@pytest.fixture
def types_world(servers: Sandbox, tmp_path: Path) -> Iterator[World]:
    """A topology with a database for each file of SQL."""
    world = World(servers, tmp_path, more=tuple(path.stem for path in FILES))
    yield world
    world.close()


def run(cursor: Cursor, database: str, found: list[str]) -> int:
    """Run what this server takes of these statements; gives how many."""
    ran = 0
    cursor.execute(f"USE {database}")
    cursor.execute(_SESSION)
    for statement in found:
        try:
            ran += cursor.execute(statement) >= 0
        except (pymysql.err.MySQLError, ValueError):
            continue  # of another version, by account, or wrong by intention
    return ran


def build(world: World, database: str, found: list[str]) -> None:
    """The tables as they are when a file has run, in a database that is not carried; then on both sides, empty, with a key."""
    scratch = f"x_{database}"
    with printing(world.servers.east) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {scratch}")
        run(cursor, scratch, found)
    for table in tables(world, scratch):
        _, definition = world.sql("east", f"SHOW CREATE TABLE {quoted(scratch, table)}")[0]
        for side in world.sides:
            world.sql(side, f"USE {database}", _SESSION, definition)
    world.sql("east", f"DROP DATABASE {scratch}")


@pytest.mark.skipif(not FILES, reason=f"{SQL_FILES} is absent: real SQL of others is read from there")
def test_sql_of_others_arrives_in_bytes(types_world: World) -> None:
    """Each of Debezium's files over MySQL's types: what it writes at east is at west, in bytes."""
    world = types_world
    files = {f"{world.name}_{path.stem}": list(statements(path.read_text(encoding="utf-8"))) for path in FILES}
    for database, found in files.items():
        build(world, database, found)
    world.up()
    ran = {}
    with printing(world.servers.east) as connection, connection.cursor() as cursor:
        for database, found in files.items():
            ran[database] = run(cursor, database, [each for each in found if not each.lower().startswith(_STRUCTURE)])
    world.run("wait")
    rows = {database: assert_equal(world, database) for database in files}
    print(rows)
    assert [database for database, number in ran.items() if number and not rows[database]] == []
    assert sum(rows.values()) > 100


def make(world: World, seed: int) -> list[RandomTable]:
    """Random tables, the same on both sides."""
    made = [RandomTable(f"r{n}", Random(seed + n)) for n in range(TABLES)]
    with printing(world.servers.east) as connection, connection.cursor() as cursor:
        cursor.execute(f"USE {world.db}")
        for table in made:
            world.sql("west", f"USE {world.db}", _SESSION, table.create(cursor))
    return made


def write(world: World, side: str, made: list[RandomTable], step: Callable[[RandomTable, Cursor, int], None]) -> None:
    """Do a step of every table's at a side, and wait until it has arrived."""
    with printing(world.sides[side]) as connection, connection.cursor() as cursor:
        cursor.execute(f"USE {world.db}")
        for table in made:
            step(table, cursor, ROWS)
    world.run("wait", "--timeout", "900", seconds=960)


def test_random_tables_arrive_in_bytes(world: World) -> None:
    """Inserts at east, updates at west, deletes at east: rows of every type and character set end equal in bytes."""
    made = make(world, 7_000_003)
    world.up()
    write(world, "east", made, RandomTable.fill)
    assert assert_equal(world, world.db) == TABLES * ROWS
    write(world, "west", made, RandomTable.update)
    assert assert_equal(world, world.db) == TABLES * ROWS
    for table in made:
        world.sql("east", f"DELETE FROM {quoted(world.db, table.name)} WHERE id % 2 = 0")
    world.run("wait", "--timeout", "900", seconds=960)
    assert assert_equal(world, world.db) == TABLES * (ROWS - ROWS // 2)
    assert {each["conflicts"] for each in world.status()["directions"]} == {0}


# --- the guard, on rows of every type --------------------------------------------------------------------------------


def equal_to_mysql(data_type: str, one: object, other: object) -> bool:
    """Whether two values, in bytes, are one to a comparison: 0.0 and -0.0, and a document's numbers in other digits."""
    if one == other or one is None or other is None or data_type not in ("float", "double", "json"):
        return one == other
    texts = [bytes.fromhex(str(value)).decode("utf-8", "replace") for value in (one, other)]
    if data_type in ("float", "double"):
        return float(texts[0]) == float(texts[1])
    return bool(by_value(json.loads(texts[0])) == by_value(json.loads(texts[1])))


def by_value(document: object) -> object:
    """A document whose numbers compare by value, and with nothing else: to Python false is 0."""
    if isinstance(document, dict):
        return {name: by_value(value) for name, value in document.items()}
    if isinstance(document, list):
        return [by_value(value) for value in document]
    return (document,) if isinstance(document, bool) else document


Rows = dict[int, tuple[object, ...]]


def by_id(world: World, side: str, table: RandomTable) -> Rows:
    """id → the row in bytes."""
    found = columns_of(partial(world.sql, side), world.db, table.name)
    columns = ", ".join(["id", *(in_bytes(quoted(name), data_type) for name, data_type in found)])
    rows = world.sql(side, "SET time_zone = '+00:00'", f"SELECT {columns} FROM {quoted(world.db, table.name)}")
    return {int(key): tuple(row) for key, *row in rows}


def differing(world: World, table: RandomTable, one: Rows, other: Rows) -> set[int]:
    """The ids of one's rows that a comparison can tell from the other's."""
    types = [data_type for _, data_type in columns_of(partial(world.sql, "west"), world.db, table.name)]
    return {number for number, row in one.items() if not all(map(equal_to_mysql, types, row, other[number]))}


def plant(world: World, table: RandomTable, chance: Random) -> set[int]:
    """Change a column of some rows at west alone; gives the ids of those that now differ."""
    before = by_id(world, "west", table)
    with printing(world.sides["west"]) as connection, connection.cursor() as cursor:
        cursor.execute("SET SESSION sql_log_bin = 0")
        cursor.execute(f"USE {world.db}")
        for number in chance.sample(range(1, ROWS + 1), max(1, ROWS // 4) if table.columns else 0):
            column = chance.choice(table.columns)
            cursor.execute(f"UPDATE {table.name} SET {column.quoted} = {column.literal(chance)} WHERE id = {number}")
    return differing(world, table, before, by_id(world, "west", table))


def test_planted_differences_are_found_and_no_others(world: World) -> None:
    """Rows that differ at the target in one column are conflicts, each once, and rows that do not are none, whatever their types.

    Under `ignore` a row in conflict stays: after a change of every row, and after their deletion, just those that were planted
    are as they were.
    """
    for direction in world.topology["directions"]:
        direction["on_conflict"] = "ignore"
    made = make(world, 9_000_011)
    world.up()
    write(world, "east", made, RandomTable.fill)
    chance = Random(5)
    planted = {table.name: plant(world, table, chance) for table in made}
    west = {table.name: by_id(world, "west", table) for table in made}
    before = {table.name: by_id(world, "east", table) for table in made}
    write(world, "east", made, RandomTable.update)
    expected = set()
    already: dict[str, set[int]] = {}
    for table in made:
        after = by_id(world, "east", table)
        changed = {number for number, row in after.items() if row != before[table.name][number]}
        given = planted[table.name] - differing(world, table, west[table.name], after)  # what east has now: no conflict
        already[table.name] = changed & given
        expected |= {(table.name, number) for number in (changed & planted[table.name]) - given}
        now = by_id(world, "west", table)
        assert differing(world, table, now, after) <= planted[table.name]
        assert all(now[number] == west[table.name][number] for number in planted[table.name])
    found = world.sql("west", f"SELECT table_name, row_key->'$.id', type FROM {world.control}.conflicts")
    assert {(name.partition(".")[2], int(key)) for name, key, _ in found} == expected
    assert {kind for *_, kind in found} == {"update_differs"}
    assert len(found) == len(expected)
    for table in made:
        world.sql("east", f"DELETE FROM {quoted(world.db, table.name)}")
    world.run("wait", "--timeout", "900", seconds=960)
    for table in made:
        left = by_id(world, "west", table)
        assert left.keys() == planted[table.name] - already[table.name]
        assert all(left[number] == west[table.name][number] for number in left)
    print(f"{sum(map(len, planted.values()))} rows of {TABLES * ROWS} were planted and found, twice")


def test_rows_of_every_type_are_sent_back(world: World) -> None:
    """What west changes of rows that differ at east, the arbiter, is refused, and east's row comes back, whatever its types."""
    for direction in world.topology["directions"]:
        direction["on_conflict"] = "site_priority"
    made = make(world, 11_000_027)
    world.up()
    write(world, "east", made, RandomTable.fill)
    chance = Random(6)
    planted = {table.name: plant(world, table, chance) for table in made}
    before = {table.name: by_id(world, "west", table) for table in made}
    write(world, "west", made, RandomTable.update)
    refused = world.sql("east", f"SELECT COUNT(*) FROM {world.control}.conflicts WHERE decision = 'target'")[0][0]
    left = 0  # rows that the update at west gave what they had: there was no change to be carried
    for table in made:
        east, west = (by_id(world, side, table) for side in world.sides)
        assert east.keys() == west.keys()
        still = differing(world, table, east, west)
        assert still == {n for n in planted[table.name] if west[n] == before[table.name][n]}
        left += len(still)
    print(f"{refused} rows that differed were sent back")
    assert 0 < refused <= sum(map(len, planted.values())) - left  # some were given what east has
