"""The schema of sakila_like.sql beside this file, made on a server; and both sides' schemas as the servers print them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pymysql.connections import Connection
from pymysql.constants import CLIENT

from sandbox.mysql import MySQLServer

FILE = Path(__file__).with_suffix(".sql")
TABLES = 18


def make(server: MySQLServer, database: str, **more: Any) -> None:
    """Run the file in a database that is there. Each part goes in the character set that its SET NAMES says."""
    with server.connect(database=database, client_flag=CLIENT.MULTI_STATEMENTS, **more) as connection:
        for part in re.split(r"^(?=SET NAMES )", FILE.read_text(encoding="utf-8"), flags=re.MULTILINE):
            charset = re.match(r"SET NAMES (\w+)", part)
            with connection.cursor() as cursor:
                cursor.execute(part.encode("latin1" if charset and charset[1] == "latin1" else "utf-8"))
                while cursor.nextset():
                    pass


class Shown:
    """What `ddl.schema_differences` asks of a cluster."""

    def __init__(self, servers: Mapping[str, MySQLServer]) -> None:
        self._servers = servers

    def connect(self, side: str) -> Connection[Any]:
        """A connection as root."""
        return self._servers[side].connect()

    def sql(self, side: str, statement: str, *arguments: object) -> list[tuple[Any, ...]]:
        """Run one statement as root; gives its rows."""
        with self.connect(side) as connection, connection.cursor() as cursor:
            cursor.execute(statement, arguments)
            return list(cursor.fetchall())
