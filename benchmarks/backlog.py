"""What is written at east while nothing replicates it: the table of sysbench, rows of 220 bytes."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pymysql.connections import Connection
from pymysql.constants import CLIENT

from sandbox import MySQLServer

SCHEMA, TABLE = "bench", "sbtest"
ROWS_OF_TRANSACTION = 1000
_STATEMENTS_AT_ONCE = 200
_CREATE = f"""
CREATE TABLE {SCHEMA}.{TABLE} (
  id BIGINT NOT NULL PRIMARY KEY,
  k INT NOT NULL,
  c CHAR(120) NOT NULL,
  pad CHAR(60) NOT NULL,
  KEY (k)
) CHARACTER SET utf8mb4
"""


def create(server: MySQLServer) -> None:
    """Create the table."""
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute(_CREATE)


class Writer:
    """One connection at east that writes backlogs; rows are numbered from 1 on."""

    def __init__(self, server: MySQLServer, seed: int) -> None:
        self._server = server
        self._dice = random.Random(seed)
        self.rows = 0

    def insert(self, rows: int) -> int:
        """Insert rows in transactions of ROWS_OF_TRANSACTION; gives the number of transactions."""
        transactions = 0
        with self._quick() as connection, connection.cursor() as cursor:
            end = self.rows + rows
            while self.rows < end:
                number = min(ROWS_OF_TRANSACTION, end - self.rows)
                values = ",".join(self._values(self.rows + n + 1) for n in range(number))
                cursor.execute(f"INSERT INTO {TABLE} VALUES {values}")
                self.rows += number
                transactions += 1
        return transactions

    def update(self, number: int) -> int:
        """Update one row a transaction, chosen at random; gives the number of transactions."""
        with self._quick() as connection, connection.cursor() as cursor:
            for start in range(0, number, _STATEMENTS_AT_ONCE):
                count = min(_STATEMENTS_AT_ONCE, number - start)
                cursor.execute(";".join(self._update() for _ in range(count)))
                while cursor.nextset():
                    pass
        return number

    def insert_one(self, connection: Connection[Any]) -> int:
        """Insert and commit one row; gives its id."""
        self.rows += 1
        with connection.cursor() as cursor:
            cursor.execute(f"INSERT INTO {SCHEMA}.{TABLE} VALUES {self._values(self.rows)}")
        return self.rows

    def _values(self, number: int) -> str:
        return f"({number},{self._dice.getrandbits(30)},'{self._text(120)}','{self._text(60)}')"

    def _update(self) -> str:
        return f"UPDATE {TABLE} SET k = k ^ 1, c = '{self._text(120)}' WHERE id = {self._dice.randint(1, self.rows)}"

    def _text(self, length: int) -> str:
        """Random digits, which hardly compress."""
        return f"{self._dice.getrandbits(length * 33 // 10):0{length}d}"

    @contextmanager
    def _quick(self) -> Iterator[Connection[Any]]:
        """A connection in autocommit mode, while the server does not wait for its disk: the backlog is not what is measured."""
        durable = ("SET GLOBAL sync_binlog = {}", "SET GLOBAL innodb_flush_log_at_trx_commit = {}")
        with self._server.connect(database=SCHEMA, client_flag=CLIENT.MULTI_STATEMENTS) as connection:
            with connection.cursor() as cursor:
                for setting in durable:
                    cursor.execute(setting.format(0))
            yield connection
            with connection.cursor() as cursor:
                for setting in durable:
                    cursor.execute(setting.format(1))
                cursor.execute("FLUSH BINARY LOGS")


def digest(server: MySQLServer) -> tuple[int, int]:
    """The number of rows, and a number that depends on every byte of them."""
    with server.connect(database=SCHEMA) as connection, connection.cursor() as cursor:
        row = "CONCAT_WS('#', id, k, CAST(c AS BINARY), CAST(pad AS BINARY))"
        cursor.execute(f"SELECT COUNT(*), COALESCE(SUM(CONV(LEFT(SHA2({row}, 256), 12), 16, 10)), 0) FROM {TABLE}")
        found = cursor.fetchone()
        assert found is not None
        return int(found[0]), int(found[1])
