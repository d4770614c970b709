"""Capture up to its items, against a real server: stream, tables, transactions; no Kafka."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pymysql
from pymysql.cursors import Cursor

from bisync_topology.scope import Scope
from bisync_topology.topology import MySQL
from producers.capture import BinlogStream, Position, recall
from producers.events import Event
from producers.gtids import GtidSet
from producers.tables import Tables
from producers.transactions import End, Item, Transactions
from producers.xa import Branch
from sandbox.mysql import MySQLServer

SERVER_ID = 77_000_001


def settings(server: MySQLServer) -> MySQL:
    """How capture reaches the server."""
    return MySQL.model_validate({"host": server.host, "port": server.port, "user": "root", "password": ""})


def here(server: MySQLServer, *, by_gtid: bool = True) -> Position:
    """The server's present end: what is committed from now on comes after it."""
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SHOW BINARY LOG STATUS")
        (row,) = cursor.fetchall()
    return Position(row[4].replace("\n", "") if by_gtid else None, row[0], int(row[1]))


class Capture:
    """A producer of side east up to its items, from a position on (the present end where none is given)."""

    def __init__(
        self,
        server: MySQLServer,
        objects: Sequence[str],
        position: Position | None = None,
        *,
        skips: Sequence[str] = (),
        seen: int = 0,
        prepared: Mapping[str, Branch] | None = None,
    ) -> None:
        self.server = server
        position = position or here(server)
        self._control = server.connect()
        self._done = GtidSet(position.gtid_set or "")
        tables = Tables(
            topology="shop", side="east", control_schema="bisync", in_scope=_InScope(Scope(objects)), connection=self._control
        )
        self.transactions = Transactions(
            topology="shop",
            side="east",
            target="west",
            control_schema="bisync",
            tables=tables,
            file=position.file,
            seen=seen,
            skips=frozenset(skips),
            prepared=prepared or {},
            recall=self._recall,
        )
        self.recalled = 0  # XA branches that were read once more
        self.events: list[Event] = []  # of the last call of items()
        self.stream = BinlogStream(settings(server), SERVER_ID, position)

    def items(self) -> list[Item]:
        """What has been committed since the last call.

        Raises CaptureError; the items before it are in `transactions.items` then.
        """
        with self.server.connect() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT @@gtid_executed")
            wanted = GtidSet(cursor.fetchall()[0][0])
        items = self.transactions.items
        items.clear()
        self.events.clear()
        while wanted.minus(self._done):
            for event in self.stream.read(self.transactions.unpack):
                self.events.append(event)
                before = len(items)
                self.transactions.feed(event)
                for item in items[before:]:
                    if isinstance(item, End):
                        self._done.add(item.head.tsid, item.head.number)
        return list(items)

    def _recall(self, branch: Branch) -> Iterator[Event]:
        self.recalled += 1
        tsid, _, number = branch.gtid.rpartition(":")
        position = Position(self._done.without(tsid, int(number)), branch.file, branch.pos)
        return recall(settings(self.server), SERVER_ID + 1, position, branch.gtid)

    def close(self) -> None:
        """Close both connections."""
        self.stream.close()
        self._control.close()

    def __enter__(self) -> "Capture":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _InScope:
    def __init__(self, scope: Scope) -> None:
        self.includes = scope.includes
        self.includes_database = scope.includes_database
        self.reaches = scope.reaches


def printing(server: MySQLServer, **more: Any) -> "pymysql.Connection[Cursor]":
    """A session in which the server's own print of each value is what comes back: no conversion, UTC."""
    connection = server.connect(conv={}, **more)
    with connection.cursor() as cursor:
        cursor.execute("SET time_zone = '+00:00', sql_mode = 'ALLOW_INVALID_DATES', group_concat_max_len = 1000000")
    return connection
