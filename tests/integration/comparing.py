"""Two sides beside each other, in bytes."""

from collections.abc import Callable
from functools import partial
from typing import Any

from faults.compare import in_bytes, quoted
from topologies import World

from schemas.literals import quote_text

Sql = Callable[..., tuple[tuple[Any, ...], ...]]  # runs statements on one side, gives the rows of the last


def tables(world: World, database: str, side: str = "east") -> list[str]:
    """The tables of a database."""
    wanted = f"TABLE_SCHEMA = '{database}' AND TABLE_TYPE = 'BASE TABLE'"
    return [name for (name,) in world.sql(side, f"SELECT TABLE_NAME FROM information_schema.TABLES WHERE {wanted} ORDER BY 1")]


def columns_of(sql: Sql, database: str, table: str) -> list[tuple[str, str]]:
    """(name, data type) of each column."""
    found = sql(
        "SELECT COLUMN_NAME, DATA_TYPE FROM information_schema.COLUMNS"
        f" WHERE TABLE_SCHEMA = '{database}' AND TABLE_NAME = {quote_text(table)} ORDER BY ORDINAL_POSITION",
    )
    return [(str(name), str(data_type)) for name, data_type in found]


def contents(sql: Sql, database: str, table: str) -> list[tuple[object, ...]]:
    """Every row in bytes; documents also with the types of what they hold."""
    found = columns_of(sql, database, table)
    columns = [in_bytes(quoted(name), data_type) for name, data_type in found]
    # a number that was UNSIGNED where it was made prints, and compares, as any other integer
    columns += [f"REPLACE(JSON_TYPE({quoted(name)}), 'UNSIGNED ', '')" for name, data_type in found if data_type == "json"]
    select = f"SELECT {', '.join(columns)} FROM {quoted(database, table)}"
    return sorted(sql("SET time_zone = '+00:00'", select), key=repr)


def assert_table_equal(east: Sql, west: Sql, database: str, table: str) -> int:
    """Fail where the sides' rows of a table differ in a byte; gives the number of rows compared."""
    ours, theirs = (contents(sql, database, table) for sql in (east, west))
    differing = [(one, other) for one, other in zip(ours, theirs, strict=False) if one != other]
    assert (len(ours), differing[:3]) == (len(theirs), []), f"{database}.{table}"
    return len(ours)


def assert_equal(world: World, database: str) -> int:
    """The same for every table of a database."""
    names = tables(world, database)
    assert names == tables(world, database, "west")
    east, west = (partial(world.sql, side) for side in world.sides)
    return sum(assert_table_equal(east, west, database, table) for table in names)
