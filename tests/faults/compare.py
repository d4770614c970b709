"""Both sides, row by row and column by column in bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from faults.harness import SIDES, Cluster

Rows = list[tuple[Any, ...]]


def tables(cluster: Cluster, side: str, schemas: Sequence[str]) -> list[tuple[str, str]]:
    """Every table of these schemas on a side."""
    marks = ", ".join(["%s"] * len(schemas))
    found = cluster.sql(
        side,
        "SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES"
        f" WHERE TABLE_TYPE = 'BASE TABLE' AND TABLE_SCHEMA IN ({marks}) ORDER BY 1, 2",
        *schemas,
    )
    return [(str(db), str(name)) for db, name in found]


def quoted(*names: str) -> str:
    """`db`.`table`."""
    return ".".join("`" + name.replace("`", "``") + "`" for name in names)


def rows(cluster: Cluster, side: str, db: str, name: str) -> Rows:
    """Every row of a table, each column as the bytes that it holds, in the order of the rows' own bytes."""
    with cluster.connect(side) as connection, connection.cursor() as cursor:
        cursor.execute("SET SESSION time_zone = '+00:00', sql_mode = ''")
        cursor.execute(
            "SELECT COLUMN_NAME, DATA_TYPE FROM information_schema.COLUMNS"
            " WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s ORDER BY ORDINAL_POSITION",
            (db, name),
        )
        columns = ", ".join(in_bytes(quoted(column), data_type) for column, data_type in cursor.fetchall())
        cursor.execute(f"SELECT {columns.replace('%', '%%')} FROM {quoted(db, name).replace('%', '%%')}", ())
        return sorted(cursor.fetchall(), key=repr)


def in_bytes(column: str, data_type: str) -> str:
    """The expression of what a column holds, whatever its type prints."""
    if data_type == "float":  # printed with six digits, it would hide the rest
        return f"HEX(CAST(CAST({column} AS DOUBLE) AS BINARY))"
    if data_type in ("enum", "set", "bit"):
        return f"CONCAT(HEX({column} + 0), ':', HEX(CAST({column} AS BINARY)))"
    return f"HEX(CAST({column} AS BINARY))"


def differences(cluster: Cluster, schemas: Sequence[str]) -> list[str]:
    """What differs between the sides, at most ten lines a table; empty when they are equal."""
    east, west = (tables(cluster, side, schemas) for side in SIDES)
    if east != west:
        return [f"tables: east {east}, west {west}"]
    found: list[str] = []
    for db, name in east:
        ours, theirs = rows(cluster, "east", db, name), rows(cluster, "west", db, name)
        if ours != theirs:
            only_east, only_west = sorted(set(ours) - set(theirs)), sorted(set(theirs) - set(ours))
            found.append(f"{db}.{name}: {len(ours)} rows at east, {len(theirs)} at west")
            found += [f"  only at east: {row}" for row in only_east[:5]] + [f"  only at west: {row}" for row in only_west[:5]]
    return found


def assert_equal(cluster: Cluster, *schemas: str) -> int:
    """Fail where the sides differ; gives the number of rows that were compared."""
    found = differences(cluster, schemas)
    assert not found, "\n".join([*found, cluster.logs()])
    number = sum(
        int(cluster.sql("east", f"SELECT COUNT(*) FROM {quoted(db, name)}")[0][0])
        for db, name in tables(cluster, "east", schemas)
    )
    assert number > 0, "nothing was compared"
    return number
