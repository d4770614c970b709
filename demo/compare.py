"""Both sides' rows, beside each other, in bytes.

Values are asked for without any conversion (no character set for results, the text protocol), and compared as they come.
Both sides give a table in the order of its primary key, so neither is held in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pymysql
from pymysql.cursors import SSCursor

from sandbox import MySQLServer

Row = tuple[bytes | None, ...]


@dataclass(kw_only=True)
class Compared:
    """One table. Numbers are those of rows."""

    table: str
    equal: int = 0
    differing: int = 0
    only_first: int = 0
    only_second: int = 0
    bytes: int = 0  # of the values that were compared, of one side

    @property
    def same(self) -> bool:
        """Whether both sides hold the same."""
        return not (self.differing or self.only_first or self.only_second)


def compare(first: MySQLServer, second: MySQLServer, schema: str) -> Iterator[Compared]:
    """Compare every table of a schema, one after the other."""
    tables = sorted(set(_tables(first, schema)) | set(_tables(second, schema)))
    for table in tables:
        key = _key(first, schema, table)
        with _bytes_of(first, schema) as one, _bytes_of(second, schema) as other:
            yield merge(table, len(key), _rows(one, table, key), _rows(other, table, key))


def merge(table: str, key: int, first: Iterator[Row], second: Iterator[Row]) -> Compared:
    """Compare two sides of a table, both ascending by their first `key` values, which are integers."""
    result = Compared(table=table)
    mine, other = next(first, None), next(second, None)
    while mine is not None or other is not None:
        if other is None or (mine is not None and _order(mine, key) < _order(other, key)):
            result.only_first += 1
            mine = next(first, None)
        elif mine is None or _order(other, key) < _order(mine, key):
            result.only_second += 1
            other = next(second, None)
        else:
            result.bytes += sum(len(value) for value in mine if value is not None)
            if mine == other:
                result.equal += 1
            else:
                result.differing += 1
            mine, other = next(first, None), next(second, None)
    return result


def _order(row: Row, key: int) -> list[int]:
    return [int(value or 0) for value in row[:key]]


def _rows(connection: pymysql.Connection[Any], table: str, key: list[str]) -> Iterator[Row]:
    names = ", ".join(f"`{name}`" for name in key)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {names}, t.* FROM `{table}` t ORDER BY {names}")
        yield from cursor


def _bytes_of(server: MySQLServer, schema: str) -> pymysql.Connection[Any]:
    connection: pymysql.Connection[Any] = pymysql.connect(
        host=server.host,
        port=server.port,
        user="root",
        database=schema,
        charset="utf8mb4",
        use_unicode=False,
        conv={},
        autocommit=None,  # as the server has it: to say it, PyMySQL would need a conversion
        cursorclass=SSCursor,
        init_command="SET time_zone = '+00:00', character_set_results = NULL",
    )
    return connection


def _tables(server: MySQLServer, schema: str) -> list[str]:
    return _names(server, "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s", schema)


def _key(server: MySQLServer, schema: str, table: str) -> list[str]:
    return _names(
        server,
        "SELECT COLUMN_NAME FROM information_schema.STATISTICS"
        " WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s AND INDEX_NAME = 'PRIMARY' ORDER BY SEQ_IN_INDEX",
        schema,
        table,
    )


def _names(server: MySQLServer, statement: str, *arguments: str) -> list[str]:
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute(statement, arguments)
        return [str(name) for (name,) in cursor.fetchall()]
