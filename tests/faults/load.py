"""Writes that cannot be done twice unseen, and what they must add up to.

Each worker writes on one side, on keys of its own: counters that are raised, rows with automatic ids that later get another key
or are deleted, and money moved between accounts, in transactions of one to some thousand rows. In the same transaction it raises
its row of `ledger`, so that after a lost connection it can ask whether its last commit held; so what is expected is known
exactly, whatever is killed.
"""

from __future__ import annotations

import contextlib
import itertools
import random
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pymysql
from pymysql.connections import Connection

from faults.compare import assert_equal
from faults.harness import SIDES, Cluster, until

COUNTERS = 40  # a worker
ACCOUNTS = 20  # a worker
BALANCE = 1000  # of each account at first
BIG = ((150, 4500), (40, 300), (1, 1))  # (every so many transactions, rows that it inserts); the first is listed in pieces
DATABASE = "shop"

TABLES = (
    f"CREATE TABLE {DATABASE}.counters (id INT PRIMARY KEY, n BIGINT NOT NULL, touched VARCHAR(40) NOT NULL DEFAULT '')",
    f"CREATE TABLE {DATABASE}.entries (id BIGINT AUTO_INCREMENT PRIMARY KEY, worker INT NOT NULL, number BIGINT NOT NULL,"
    " note VARCHAR(200) NOT NULL, at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6))",
    f"CREATE TABLE {DATABASE}.accounts (id INT PRIMARY KEY, worker INT NOT NULL, balance DECIMAL(12,2) NOT NULL)",
    f"CREATE TABLE {DATABASE}.ledger (worker INT PRIMARY KEY, transactions BIGINT NOT NULL)",
)


@dataclass
class Expected:
    """What one worker has committed."""

    transactions: int = 0
    counters: Counter[int] = field(default_factory=Counter)
    entries: int = 0
    numbers: int = 0  # sum of the entries' numbers
    balances: dict[int, int] = field(default_factory=dict)  # in hundredths
    made: dict[int, int] = field(default_factory=dict)  # id → number of entries made alone, which may be moved or deleted
    gone: list[int] = field(default_factory=list)  # ids of such entries that are no more

    def add(self, other: Expected) -> None:
        """Add a transaction's effects."""
        self.transactions += other.transactions
        self.counters += other.counters
        self.entries += other.entries
        self.numbers += other.numbers
        for account, change in other.balances.items():
            self.balances[account] += change
        self.made |= other.made
        for entry in other.gone:
            del self.made[entry]


class Worker:
    """One thread that writes on one side until it is stopped; outages of its server are waited out."""

    def __init__(self, cluster: Cluster, side: str, number: int, rate: float) -> None:
        self.cluster = cluster
        self.side = side
        self.number = number
        self.expected = Expected()
        self.away = 0  # how often the server was lost
        self.error: BaseException | None = None
        self._pause = 1 / rate
        self._stop = threading.Event()
        self._random = random.Random(number)
        self._first = number * 1000
        self._thread: threading.Thread | None = None

    def rows(self, connection: Connection[Any]) -> None:
        """Put the rows that this worker works on."""
        with connection.cursor() as cursor:
            for n in range(COUNTERS):
                cursor.execute(f"INSERT INTO {DATABASE}.counters (id, n) VALUES (%s, 0)", (self._first + n,))
            for n in range(ACCOUNTS):
                cursor.execute(f"INSERT INTO {DATABASE}.accounts VALUES (%s, %s, %s)", (self._first + n, self.number, BALANCE))
                self.expected.balances[self._first + n] = BALANCE * 100
            cursor.execute(f"INSERT INTO {DATABASE}.ledger VALUES (%s, 0)", (self.number,))

    def start(self) -> None:
        """Begin to write, or go on."""
        self._stop.clear()
        self._thread = threading.Thread(target=self._run, name=f"load {self.side} {self.number}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Finish the present transaction."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(120)
            assert not self._thread.is_alive(), "the load does not end"
        if self.error is not None:
            raise self.error

    def _run(self) -> None:
        connection: Connection[Any] | None = None
        try:
            while not self._stop.is_set():
                try:
                    if connection is None:
                        connection = self._connect()
                    self._transaction(connection)
                except (pymysql.err.OperationalError, pymysql.err.InterfaceError, OSError):
                    self.away += 1
                    connection = None
                    self._settle()
                self._stop.wait(self._pause)
        except BaseException as error:  # noqa: BLE001  raised by stop()
            self.error = error
        finally:
            if connection is not None:
                connection.close()

    def _connect(self) -> Connection[Any]:
        connection = self.cluster.connect(self.side, autocommit=False, read_timeout=60)
        with connection.cursor() as cursor:
            offset = SIDES.index(self.side) + 1
            cursor.execute(f"SET SESSION auto_increment_increment = 2, auto_increment_offset = {offset}, time_zone = '+00:00'")
        return connection

    def _transaction(self, connection: Connection[Any]) -> None:
        effects = self._open = Expected(transactions=1)
        with connection.cursor() as cursor:
            cursor.execute(f"UPDATE {DATABASE}.ledger SET transactions = transactions + 1 WHERE worker = %s", (self.number,))
            for _ in range(self._random.choice((1, 1, 2, 5))):
                row = self._first + self._random.randrange(COUNTERS)
                cursor.execute(f"UPDATE {DATABASE}.counters SET n = n + 1, touched = %s WHERE id = %s", (self.side, row))
                effects.counters[row] += 1
            kind = self._random.random()
            if kind < 0.45 or (self.expected.transactions + 1) % BIG[0][0] == 0:
                self._insert(cursor, effects)
            elif kind < 0.8:
                self._transfer(cursor, effects)
            elif self.expected.made:
                self._change(cursor, effects)
        connection.commit()
        self.expected.add(effects)
        self._open = Expected()

    def _insert(self, cursor: Any, effects: Expected) -> None:
        number = next(rows for every, rows in BIG if (self.expected.transactions + 1) % every == 0)
        values = [(self.number, self._random.randrange(10**9), "größe " * self._random.randrange(20)) for _ in range(number)]
        cursor.executemany(f"INSERT INTO {DATABASE}.entries (worker, number, note) VALUES (%s, %s, %s)", values)
        effects.entries += number
        effects.numbers += sum(value[1] for value in values)
        if number == 1:
            effects.made[cursor.lastrowid] = values[0][1]

    def _change(self, cursor: Any, effects: Expected) -> None:
        """Delete an entry, or give it another key."""
        entry = self._random.choice(list(self.expected.made))
        number = self.expected.made[entry]
        effects.gone.append(entry)
        if self._random.random() < 0.5:
            cursor.execute(f"DELETE FROM {DATABASE}.entries WHERE id = %s", (entry,))
            effects.entries -= 1
            effects.numbers -= number
        else:
            cursor.execute(f"UPDATE {DATABASE}.entries SET id = %s, note = 'moved' WHERE id = %s", (-entry, entry))
            effects.made[-entry] = number
        assert cursor.rowcount == 1

    def _transfer(self, cursor: Any, effects: Expected) -> None:
        payer, payee = self._random.sample(range(self._first, self._first + ACCOUNTS), 2)
        amount = self._random.randrange(1, 5000)
        for account, change in ((payer, -amount), (payee, amount)):
            cursor.execute(
                f"UPDATE {DATABASE}.accounts SET balance = balance + %s WHERE id = %s", (f"{change / 100:.2f}", account)
            )
            effects.balances[account] = change

    def _settle(self) -> None:
        """The connection was lost: wait for the server, and ask whether the last commit held."""

        def ask() -> list[tuple[Any, ...]]:
            return self.cluster.sql(
                self.side, f"SELECT transactions FROM {DATABASE}.ledger WHERE worker = %s", self.number, missing=[]
            )

        held = int(until(ask, f"{self.side} is back")[0][0])
        if held == self.expected.transactions + 1:
            self.expected.add(self._open)
        else:
            assert held == self.expected.transactions, f"worker {self.number}: {held} held, {self.expected.transactions} known"
        self._open = Expected()


class Load:
    """Workers on both sides, two a side."""

    def __init__(self, cluster: Cluster, *, rate: float = 60.0) -> None:
        self.cluster = cluster
        numbers = itertools.count(1)
        self.workers = [Worker(cluster, side, next(numbers), rate) for side in SIDES for _ in range(2)]

    def prepare(self) -> None:
        """Make the tables and the first rows on both sides alike, before any of it is captured."""
        self.cluster.both(*TABLES)
        for side in SIDES:
            with self.cluster.connect(side) as connection:
                with connection.cursor() as cursor:
                    cursor.execute("SET SESSION sql_log_bin = 0")
                for worker in self.workers:
                    worker.rows(connection)

    def start(self) -> None:
        """Let all workers write."""
        for worker in self.workers:
            worker.start()

    def stop(self) -> None:
        """Stop all workers; raises what one of them met."""
        for worker in self.workers:
            worker.stop()

    def __enter__(self) -> Load:
        """Write while the block runs."""
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Stop."""
        self.stop()

    @contextlib.contextmanager
    def alone(self, side: str) -> Iterator[None]:
        """Let the workers of one side write while the block runs."""
        workers = [worker for worker in self.workers if worker.side == side]
        for worker in workers:
            worker.start()
        try:
            yield
        finally:
            for worker in workers:
                worker.stop()

    @property
    def transactions(self) -> int:
        """Committed so far."""
        return sum(worker.expected.transactions for worker in self.workers)

    def wait_for(self, more: int) -> None:
        """Wait until so many more transactions were committed."""
        goal = self.transactions + more

        def reached() -> bool:
            for worker in self.workers:
                if worker.error is not None:
                    raise worker.error
            return self.transactions >= goal

        until(reached, f"{more} more transactions of the load", logs=self.cluster.logs)

    def nothing_lost(self) -> None:
        """Both sides are what was counted, and equal row by row."""
        for side in SIDES:
            self.check(side)
        assert assert_equal(self.cluster, DATABASE) > 200

    def check(self, side: str) -> None:
        """Compare a side with what was counted: nothing lost, nothing twice."""
        counters = dict(self.cluster.sql(side, f"SELECT id, n FROM {DATABASE}.counters"))
        entries = {
            worker: (number, int(total))
            for worker, number, total in self.cluster.sql(
                side, f"SELECT worker, COUNT(*), SUM(number) FROM {DATABASE}.entries GROUP BY worker"
            )
        }
        ledger = dict(self.cluster.sql(side, f"SELECT worker, transactions FROM {DATABASE}.ledger"))
        balances = {
            row: int(balance * 100) for row, balance in self.cluster.sql(side, f"SELECT id, balance FROM {DATABASE}.accounts")
        }
        assert sum(balances.values()) == len(balances) * BALANCE * 100, f"{side}: money was made or lost"
        for worker in self.workers:
            expected = worker.expected
            who = f"{side}: rows of worker {worker.number}, which writes at {worker.side}"
            assert ledger[worker.number] == expected.transactions, f"{who}: transactions"
            assert {row: n for row, n in counters.items() if row // 1000 == worker.number and n} == dict(expected.counters), who
            assert entries.get(worker.number, (0, 0)) == (expected.entries, expected.numbers), f"{who}: entries"
            assert {row: balances[row] for row in expected.balances} == expected.balances, f"{who}: balances"


@contextlib.contextmanager
def running(cluster: Cluster) -> Iterator[tuple[Cluster, Load]]:
    """A configured topology with an empty `shop`, its four processes running, and a load that is not started yet."""
    cluster.both("DROP DATABASE shop", "CREATE DATABASE shop")
    load = Load(cluster)
    load.prepare()
    try:
        cluster.start()
        yield cluster, load
        cluster.stop()
    finally:
        cluster.kill_all()
