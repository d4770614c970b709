"""Every type on its way from one server to the other: SQL of others, and random tables, equal in bytes at both ends."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pymysql.err
import pytest
from capturing import printing
from faults.compare import in_bytes, quoted
from pymysql.cursors import Cursor
from random_tables import RandomTable
from sql_files import SQL_FILES, statements
from topologies import World

from sandbox.instances import Sandbox
from schemas.literals import quote_text

pytestmark = pytest.mark.servers

TABLES = int(os.environ.get("BISYNC_TEST_TABLES", "25"))
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


def tables(world: World, database: str, side: str = "east") -> list[str]:
    """The tables of a database."""
    wanted = f"TABLE_SCHEMA = '{database}' AND TABLE_TYPE = 'BASE TABLE'"
    return [name for (name,) in world.sql(side, f"SELECT TABLE_NAME FROM information_schema.TABLES WHERE {wanted} ORDER BY 1")]


def contents(world: World, side: str, database: str, table: str) -> list[tuple[object, ...]]:
    """Every row in bytes; documents also with the types of what they hold."""
    found = world.sql(
        side,
        "SELECT COLUMN_NAME, DATA_TYPE FROM information_schema.COLUMNS"
        f" WHERE TABLE_SCHEMA = '{database}' AND TABLE_NAME = {quote_text(table)} ORDER BY ORDINAL_POSITION",
    )
    columns = [in_bytes(quoted(name), data_type) for name, data_type in found]
    # a number that was UNSIGNED where it was made prints, and compares, as any other integer
    columns += [f"REPLACE(JSON_TYPE({quoted(name)}), 'UNSIGNED ', '')" for name, data_type in found if data_type == "json"]
    select = f"SELECT {', '.join(columns)} FROM {quoted(database, table)}"
    return sorted(world.sql(side, "SET time_zone = '+00:00'", select), key=repr)


def assert_equal(world: World, database: str) -> int:
    """Fail where the sides differ in a byte; gives the number of rows compared."""
    rows = 0
    names = tables(world, database)
    assert names == tables(world, database, "west")
    for table in names:
        east, west = (contents(world, side, database, table) for side in world.sides)
        differing = [(ours, theirs) for ours, theirs in zip(east, west, strict=False) if ours != theirs]
        assert (len(east), differing[:3]) == (len(west), []), f"{database}.{table}"
        rows += len(east)
    return rows


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


def write(world: World, side: str, made: list[RandomTable], step: Callable[[RandomTable, Cursor, int], None]) -> None:
    """Do a step of every table's at a side, and wait until it has arrived."""
    with printing(world.sides[side]) as connection, connection.cursor() as cursor:
        cursor.execute(f"USE {world.db}")
        for table in made:
            step(table, cursor, ROWS)
    world.run("wait", "--timeout", "600")


def test_random_tables_arrive_in_bytes(world: World) -> None:
    """Inserts at east, updates at west, deletes at east: rows of every type and character set end equal in bytes."""
    made = [RandomTable(f"r{n}", Random(7_000_003 + n)) for n in range(TABLES)]
    with printing(world.servers.east) as connection, connection.cursor() as cursor:
        cursor.execute(f"USE {world.db}")
        for table in made:
            world.sql("west", f"USE {world.db}", _SESSION, table.create(cursor))
    world.up()
    write(world, "east", made, RandomTable.fill)
    assert assert_equal(world, world.db) == TABLES * ROWS
    write(world, "west", made, RandomTable.update)
    assert assert_equal(world, world.db) == TABLES * ROWS
    for table in made:
        world.sql("east", f"DELETE FROM {quoted(world.db, table.name)} WHERE id % 2 = 0")
    world.run("wait", "--timeout", "600")
    assert assert_equal(world, world.db) == TABLES * (ROWS - ROWS // 2)
    assert {each["conflicts"] for each in world.status()["directions"]} == {0}
