"""Two sides of a `World` beside each other, in bytes."""

from faults.compare import in_bytes, quoted
from topologies import World

from schemas.literals import quote_text


def tables(world: World, database: str, side: str = "east") -> list[str]:
    """The tables of a database."""
    wanted = f"TABLE_SCHEMA = '{database}' AND TABLE_TYPE = 'BASE TABLE'"
    return [name for (name,) in world.sql(side, f"SELECT TABLE_NAME FROM information_schema.TABLES WHERE {wanted} ORDER BY 1")]


def columns_of(world: World, side: str, database: str, table: str) -> list[tuple[str, str]]:
    """(name, data type) of each column."""
    found = world.sql(
        side,
        "SELECT COLUMN_NAME, DATA_TYPE FROM information_schema.COLUMNS"
        f" WHERE TABLE_SCHEMA = '{database}' AND TABLE_NAME = {quote_text(table)} ORDER BY ORDINAL_POSITION",
    )
    return [(str(name), str(data_type)) for name, data_type in found]


def contents(world: World, side: str, database: str, table: str) -> list[tuple[object, ...]]:
    """Every row in bytes; documents also with the types of what they hold."""
    found = columns_of(world, side, database, table)
    columns = [in_bytes(quoted(name), data_type) for name, data_type in found]
    # a number that was UNSIGNED where it was made prints, and compares, as any other integer
    columns += [f"REPLACE(JSON_TYPE({quoted(name)}), 'UNSIGNED ', '')" for name, data_type in found if data_type == "json"]
    select = f"SELECT {', '.join(columns)} FROM {quoted(database, table)}"
    return sorted(world.sql(side, "SET time_zone = '+00:00'", select), key=repr)


def assert_table_equal(world: World, database: str, table: str) -> int:
    """Fail where the sides' rows of a table differ in a byte; gives the number of rows compared."""
    east, west = (contents(world, side, database, table) for side in world.sides)
    differing = [(ours, theirs) for ours, theirs in zip(east, west, strict=False) if ours != theirs]
    assert (len(east), differing[:3]) == (len(west), []), f"{database}.{table}"
    return len(east)


def assert_equal(world: World, database: str) -> int:
    """The same for every table of a database."""
    names = tables(world, database)
    assert names == tables(world, database, "west")
    return sum(assert_table_equal(world, database, table) for table in names)
