"""The same binlog read twice: by mysql-replication as its users use it, and by our capture.

What the library gives is asserted beside what we give, so that test_hazards_*.py say when a newer version mends something.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from capturing import Capture, here
from pymysqlreplication import BinLogStreamReader, binlogstream
from pymysqlreplication.gtid import GtidSet as LibraryGtidSet
from pymysqlreplication.row_event import DeleteRowsEvent, PartialUpdateRowsEvent, UpdateRowsEvent, WriteRowsEvent

from bisync_topology.errors import CaptureError
from producers.capture import Position
from producers.gtids import GtidSet
from producers.transactions import Item, Rows
from sandbox.mysql import MySQLServer
from schemas.records import Row

SERVER_ID = 78_000_001  # not capture's: a server ends the older of two streams with the same number
OPS = {WriteRowsEvent: "c", UpdateRowsEvent: "u", DeleteRowsEvent: "d", PartialUpdateRowsEvent: "u"}
Change = tuple[str, str, Any]  # table, op, {column: value}, of updates (before, after)
Ours = str | list[tuple[str, str, list[Row]]]  # an error's code, or (table, op, images)


@contextmanager
def library(server: MySQLServer, position: Position, **options: Any) -> Iterator[Any]:
    """The library's reader from a position on. It ends at the server's present end, unless it is told to block."""
    start = {"auto_position": position.gtid_set} if position.gtid_set else {"log_file": position.file, "log_pos": position.pos}
    settings = {"host": server.host, "port": server.port, "user": "root", "password": ""}
    wanted = {"connection_settings": settings, "server_id": SERVER_ID, "resume_stream": True, "enable_logging": False}
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # utcfromtimestamp, from Python 3.12 on
        patch.setattr(binlogstream, "GtidSet", LibraryGtidSet)  # producers/capture.py has put its own in its place
        reader = BinLogStreamReader(**{**wanted, **start, **options})
        try:
            yield reader
        finally:
            reader.close()


def library_events(server: MySQLServer, position: Position, **options: Any) -> list[Any]:
    """Every event that the library gives, up to the server's present end."""
    with library(server, position, **options) as reader:
        return list(reader)


def library_changes(server: MySQLServer, position: Position, **options: Any) -> list[Change]:
    """The row changes that the library gives to one who asks for rows alone."""
    found: list[Change] = []
    for event in library_events(server, position, only_events=list(OPS), **options):
        for row in event.rows:
            image = (row["before_values"], row["after_values"]) if "after_values" in row else row["values"]
            found.append((event.table, OPS[type(event)], image))
    return found


def captured(server: MySQLServer, position: Position, objects: Sequence[str], done: str | None = None) -> list[Item]:
    """Our items from a position on. done: the GTID set at it, where it has none.

    Raises CaptureError.
    """
    with Capture(server, objects, position) as capture:
        if done is not None:
            capture._done = GtidSet(done)
        return capture.items()


def ours(server: MySQLServer, position: Position, objects: Sequence[str], done: str | None = None) -> Ours:
    """Our row changes, or the code of the error that capture stops with."""
    try:
        items = captured(server, position, objects, done)
    except CaptureError as error:
        assert error.hint
        return error.code
    return [(item.table.name, item.op, list(item.images)) for item in items if isinstance(item, Rows)]


class Values:
    """One row (1, value) in a table of its own for each (SQL type, value), read in one pass each."""

    def __init__(self, server: MySQLServer, database: str, cases: Sequence[tuple[str, str]]) -> None:
        """Values are SQL expressions, also over the columns of a table `held`."""
        names = {case: f"t{n}" for n, case in enumerate(dict.fromkeys(cases))}
        with server.connect() as connection, connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE IF EXISTS {database}")
            cursor.execute(f"CREATE DATABASE {database} CHARACTER SET utf8mb4")
            cursor.execute(f"USE {database}")
            cursor.execute("SET sql_mode = 'ALLOW_INVALID_DATES', time_zone = '+00:00'")
            cursor.execute("CREATE TABLE held (ts TIMESTAMP NULL, bi BIT(9), bl BLOB)")
            for (sql_type, _), name in names.items():
                cursor.execute(f"CREATE TABLE {name} (id INT PRIMARY KEY, v {sql_type})")
            position = here(server)
            cursor.execute("INSERT INTO held VALUES ('2015-01-15 01:02:03', 257, X'00ff')")
            for (_, value), name in names.items():
                cursor.execute(f"INSERT INTO {name} SELECT 1, {value} FROM held")
        self._library = self._library_values(server, position, database)
        self._ours = dict(self._our_values(captured(server, position, [database, f"!{database}.held"])))
        self._names = names
        with server.connect() as connection, connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE {database}")

    def library(self, sql_type: str, value: str) -> object:
        """What the library gives: a value, or the error that it raises in place of the row."""
        return self._library[self._names[sql_type, value]]

    def ours(self, sql_type: str, value: str) -> object:
        """What capture gives."""
        return self._ours[self._names[sql_type, value]]

    @staticmethod
    def _library_values(server: MySQLServer, position: Position, database: str) -> Mapping[str, object]:
        found: dict[str, object] = {}
        for event in library_events(server, position, only_events=[WriteRowsEvent], only_schemas=[database]):
            try:
                found[event.table] = event.rows[0]["values"].get("v")
            except Exception as error:  # noqa: BLE001  whatever the library raises is what is recorded
                found[event.table] = error
        return found

    @staticmethod
    def _our_values(items: Sequence[Item]) -> Iterator[tuple[str, object]]:
        for item in items:
            if isinstance(item, Rows):
                yield item.table.name, item.images[0][1]
