"""Connections that compare: they read what is committed, hold no locks, and see values in the one form that both sides share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pymysql.err
from pymysql.connections import Connection
from pymysql.cursors import Cursor

from bisync_topology.errors import ApplyError
from bisync_topology.mysql import connect
from bisync_topology.sides import explained
from bisync_topology.topology import Topology
from consumers.apply import max_packet, refused_size
from consumers.left_out import check_whole
from consumers.target import SESSION_STATEMENTS

_STATEMENT_SECONDS = 6 * 3600.0  # of one statement; a dead link is found sooner (bisync_topology/mysql.py)
_READ = ("SET SESSION autocommit = 1", "SET SESSION net_write_timeout = 600")
# Locked rows, and what is found missing, stay as they are up to the end: gap locks see to it.
_WRITE = ("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ", "SET SESSION innodb_lock_wait_timeout = 5")


@dataclass(frozen=True)
class Session:
    """A connection to one side."""

    topology: Topology
    side: str
    connection: Connection[Any]

    def rows(self, sql: str) -> tuple[tuple[Any, ...], ...]:
        """Run a statement without parameters; gives its rows.

        Raises Unreachable, UsageError, CheckFailed, see `number_of`; ApplyError for a statement that is too large, and where the
        server has left values out.
        """
        try:
            self._check_size(sql)
            with self.connection.cursor(Cursor) as cursor:
                cursor.execute(sql)
                found = tuple(cursor.fetchall())
                check_whole(cursor, self.side)
                return found
        except (pymysql.err.MySQLError, OSError) as error:
            raise explained(self.topology, self.side, error) from error

    def write(self, sql: str) -> None:
        """Run a statement that gives no rows. Raises pymysql.err.MySQLError; ApplyError for one that is too large."""
        self._check_size(sql)
        self.connection.query(sql)

    @cached_property
    def _max_packet(self) -> int:
        return max_packet(self.connection)

    def _check_size(self, sql: str) -> None:
        """Of a statement that is too large the server would only hang up."""
        if size := refused_size(sql, lambda: self._max_packet):
            raise ApplyError(
                f"{self.side} takes no statement of {size} bytes, as its max_allowed_packet is {self._max_packet}",
                code="packet_too_large",
                hint=f"raise max_allowed_packet on {self.side} (SET PERSIST), to 1 GB at most",
            )


def number_of(error: BaseException | None) -> int:
    """The server's number of what a session has raised; 0 where it has none."""
    while error is not None and not isinstance(error, pymysql.err.MySQLError):
        error = error.__cause__
    return int(error.args[0]) if error is not None and error.args and isinstance(error.args[0], int) else 0


@contextmanager
def opened(topology: Topology, *sides: str, writes: bool = False) -> Iterator[tuple[Session, ...]]:
    """A session to each of the sides. writes: for transactions of a repair. Raises Unreachable, UsageError, CheckFailed."""
    sessions: list[Session] = []
    try:
        for side in sides:
            try:
                sessions.append(Session(topology, side, connect(topology.sides[side].mysql, read_timeout=_STATEMENT_SECONDS)))
                for statement in (*SESSION_STATEMENTS, *(_WRITE if writes else _READ)):
                    sessions[-1].connection.query(statement)
            except (pymysql.err.MySQLError, OSError) as error:
                raise explained(topology, side, error) from error
        yield tuple(sessions)
    finally:
        for session in sessions:
            if session.connection.open:
                session.connection.close()
