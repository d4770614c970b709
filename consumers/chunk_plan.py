"""Which chunks there are: each table in turn, from where it is copied up to, in ranges of so many rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pymysql.err
from pymysql.connections import Connection
from pymysql.cursors import Cursor

from bisync_topology.errors import ApplyError
from consumers.chunk_sql import Bound, ChunkSql
from consumers.chunks import Chunk, Name
from consumers.left_out import check_whole
from consumers.target import plan, read_table
from schemas.tables import Table

AIM_BYTES = 2 << 20  # about as large is a chunk to be, by the rows' average length
CHANGED = (1412, 1054)  # the table's definition has changed since the snapshot, or since it was described
GONE = (1146, 1049)  # there is no such table, or database
_NOTHING: Any = None  # the SQL of a chunk that cannot be read


class Plan:
    """What is left of some tables. For one thread at a time."""

    def __init__(self, tables: list[tuple[Name, Bound | None]], chunk_rows: int) -> None:
        self._tables = tables
        self._chunk_rows = chunk_rows
        self._sql: ChunkSql | None = None
        self._rows = chunk_rows  # of a chunk of the present table

    def next(self, source: Connection[Any], target: Callable[[], Connection[Any]]) -> Chunk | None:
        """Find where the next chunk ends; None: there are no more."""
        if not self._tables:
            return None
        name, low = self._tables[0]
        try:
            if self._sql is None:
                try:
                    found = read_table(source, *name, written=False)
                except ApplyError as error:
                    if error.code != "table_missing":
                        raise
                    return self._ended(Chunk(table=name, low=low, high=None, since=0, sql=_NOTHING, gone=True))
                fitting = Table(db=found.db, name=found.name, columns=found.columns, key=found.key)
                self._sql = ChunkSql(found, plan(fitting, read_table(target(), *name)))
                self._rows = self._rows_of(source, name)
                if low is not None and len(low) != len(found.key):  # the key is another one, which the stream will tell
                    low = None
            with source.cursor(Cursor) as cursor:
                cursor.execute(self._sql.end(low, self._rows))
                line = cursor.fetchone()
                check_whole(cursor, "the source", ".".join(name))
        except ApplyError as error:
            return self._ended(Chunk(table=name, low=low, high=None, since=0, sql=_NOTHING, error=error))
        except pymysql.err.MySQLError as error:
            if error.args[0] in GONE:
                return self._ended(Chunk(table=name, low=low, high=None, since=0, sql=_NOTHING, gone=True))
            if error.args[0] in CHANGED:
                self._sql = None
            raise
        high = None if line is None else tuple(str(value) for value in line)
        chunk = Chunk(table=name, low=low, high=high, since=0, sql=self._sql, whole=not self._sql.fast)
        if high is None:
            return self._ended(chunk)
        self._tables[0] = name, high
        return chunk

    def _ended(self, chunk: Chunk) -> Chunk:
        self._tables.pop(0)
        self._sql = None
        return chunk

    def _rows_of(self, source: Connection[Any], name: Name) -> int:
        with source.cursor(Cursor) as cursor:
            cursor.execute(
                "SELECT AVG_ROW_LENGTH FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s", name
            )
            line = cursor.fetchone()
        length = int(line[0] or 0) if line is not None else 0
        return max(1, min(self._chunk_rows, AIM_BYTES // max(length, 1)))
