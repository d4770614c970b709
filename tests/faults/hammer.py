"""Writers that change the same rows on both sides, and remember what they wrote and what they knew of when they replaced it.

Each write has a tag of its own. A tag that is in no row at the end, and that no writer has read before it replaced or deleted it,
was lost to the other side: the record of conflicts has to have it.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from random import Random
from typing import Any

import pymysql
from pymysql.connections import Connection

from faults.harness import SIDES, Cluster

DATABASE = "hammer"
KEYS = 1000
CODES = 400  # unique values, of which as many rows have one as can
STOCK = 40  # rows whose quantities add up
TABLES = (
    f"CREATE TABLE {DATABASE}.item (id INT PRIMARY KEY, code INT NULL UNIQUE, tag VARCHAR(40) NOT NULL, a INT NOT NULL,"
    " b INT NOT NULL, version TIMESTAMP(6) NOT NULL)",
    f"CREATE TABLE {DATABASE}.stock (id INT PRIMARY KEY, qty BIGINT NOT NULL, note VARCHAR(40) NOT NULL,"
    " version TIMESTAMP(6) NOT NULL)",
)
_REFUSED = (1062, 1205, 1213)  # a taken value, a lock waited for too long, a deadlock: the writer gives the transaction up


class Writer:
    """One thread that writes on one side until it is stopped."""

    def __init__(self, cluster: Cluster, side: str, number: int) -> None:
        self.side = side
        self.written: set[str] = set()  # tags of committed writes
        self.replaced: set[str] = set()  # tags that a committed write knew of
        self.added: Counter[int] = Counter()  # to the quantity of each row
        self.transactions = 0
        self._cluster = cluster
        self._random = Random(f"{side} {number}")
        self._name = f"{side}-{number}"
        self._writes = 0
        self._stop = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the present transaction. Raises what has ended the writer before."""
        self._stop.set()
        self._thread.join(60)
        assert not self._thread.is_alive(), f"{self._name} does not end"
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            with self._cluster.connect(self.side, autocommit=False) as connection:
                while not self._stop.is_set():
                    self._transaction(connection)
        except BaseException as error:  # noqa: BLE001  raised by stop()
            self._error = error

    def _transaction(self, connection: Connection[Any]) -> None:
        written: set[str] = set()
        replaced: set[str] = set()
        added: Counter[int] = Counter()
        try:
            with connection.cursor() as cursor:
                for _ in range(self._random.choice((1, 1, 2, 3))):
                    if self._random.random() < 0.15:
                        self._stock(cursor, added)
                    else:
                        self._item(cursor, written, replaced)
            connection.commit()
        except pymysql.err.MySQLError as error:
            if error.args[0] not in _REFUSED:
                raise
            connection.rollback()
            return
        self.written |= written
        self.replaced |= replaced
        self.added += added
        self.transactions += 1

    def _stock(self, cursor: Any, added: Counter[int]) -> None:
        row, number = self._random.randrange(STOCK), self._random.randint(1, 5)
        note = f", note = '{self._name}'" if self._random.random() < 0.3 else ""
        cursor.execute(f"UPDATE {DATABASE}.stock SET qty = qty + {number}, version = NOW(6){note} WHERE id = {row}")
        added[row] += number

    def _item(self, cursor: Any, written: set[str], replaced: set[str]) -> None:
        self._writes += 1
        tag, row = f"{self._name}-{self._writes}", self._random.randrange(KEYS)
        code = self._random.choice((None, self._random.randrange(CODES)))
        cursor.execute(f"SELECT tag, code FROM {DATABASE}.item WHERE id = {row} FOR UPDATE")
        found = cursor.fetchone()
        if found is None:
            values = (row, code, tag, self._random.randrange(9), self._random.randrange(9))
            cursor.execute(f"INSERT INTO {DATABASE}.item VALUES (%s, %s, %s, %s, %s, NOW(6))", values)
            written.add(tag)
            return
        replaced.add(found[0])
        written.discard(found[0])  # its own, of this transaction
        kind = self._random.random()
        if kind < 0.2:
            cursor.execute(f"DELETE FROM {DATABASE}.item WHERE id = {row}")
            return
        if kind < 0.5:
            changed, arguments = f"{self._random.choice('ab')} = %s", (self._random.randrange(9),)
        elif kind < 0.85:
            changed, arguments = "code = %s", (code,)  # type: ignore[assignment]
        else:
            changed, arguments = "id = %s", (self._random.randrange(KEYS),)
        cursor.execute(f"UPDATE {DATABASE}.item SET tag = %s, version = NOW(6), {changed} WHERE id = %s", (tag, *arguments, row))
        written.add(tag)


def prepare(cluster: Cluster) -> None:
    """The tables on both sides, with the same rows, before anything is carried."""
    cluster.both(f"DROP DATABASE IF EXISTS {DATABASE}", f"CREATE DATABASE {DATABASE}", *TABLES)
    stock = ", ".join(f"({n}, 1000, '', '2020-01-01')" for n in range(STOCK))
    items = ", ".join(f"({n}, NULL, 'first-{n}', 0, 0, '2020-01-01')" for n in range(0, KEYS, 2))
    cluster.both(f"INSERT INTO {DATABASE}.stock VALUES {stock}", f"INSERT INTO {DATABASE}.item VALUES {items}")


def lost(cluster: Cluster, writers: list[Writer]) -> set[str]:
    """The tags that are in no row, though nobody who replaced them knew of them."""
    left = {tag for side in SIDES for (tag,) in cluster.sql(side, f"SELECT tag FROM {DATABASE}.item")}
    written = set.union(*(writer.written for writer in writers))
    return written - left - set.union(*(writer.replaced for writer in writers))


def on_record(cluster: Cluster) -> set[str]:
    """The tags that the records of conflicts name, as what came or as what was there."""
    found: set[str] = set()
    for side in SIDES:
        for incoming, local in cluster.sql(
            side, "SELECT incoming_image, local_rows FROM bisync.conflicts WHERE topology = %s", cluster.name
        ):
            rows = [json.loads(incoming)] if incoming is not None else []
            found |= {str(row["tag"]) for row in rows + json.loads(local) if "tag" in row}
    return found


def sums(cluster: Cluster, side: str) -> dict[int, int]:
    """The quantities on a side."""
    return dict(cluster.sql(side, f"SELECT id, qty FROM {DATABASE}.stock"))
