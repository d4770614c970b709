"""The load of one side: a process of its own, with a few clerks at work on as many connections."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import sys
import threading
import time
from dataclasses import dataclass
from typing import Any

import pymysql
import pymysql.err

from demo.orders import Clerk

CLERKS = 3  # connections a side
_UNDONE = (1205, 1213)  # lock wait time-out, deadlock: the server undid it, the shop goes on
_SPAWN = multiprocessing.get_context("spawn")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What one side's load is to be. rate: transactions a second of all clerks together, 0 for as many as go."""

    side: str
    port: int
    rate: float
    seed: int


class Load:
    """A side's load: started, watched from outside, stopped."""

    def __init__(self, plan: Plan) -> None:
        self.side = plan.side
        self._stop = _SPAWN.Event()
        self._counts = _SPAWN.Array("q", [0, 0])
        self._process = _SPAWN.Process(target=_run, args=(plan, self._stop, self._counts, os.getpid()), daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._process.start()

    def end(self) -> None:
        """Ask it to finish the transactions that were begun, and end."""
        self._stop.set()

    def join(self) -> None:
        """Wait for its end, however it has to be brought about."""
        if self._process.pid is not None:
            self._process.join(10)
            if self._process.is_alive():
                self._process.kill()
                self._process.join()

    @property
    def failed(self) -> bool:
        """Whether it ended by itself; what it said is on standard error."""
        return self._process.exitcode not in (None, 0)

    @property
    def transactions(self) -> int:
        """Committed so far."""
        return int(self._counts[0])

    @property
    def rows(self) -> int:
        """Changed by them."""
        return int(self._counts[1])


def _run(plan: Plan, stop: Any, counts: Any, parent: int) -> None:
    """The process: Ctrl-C is for the demo itself, which stops this one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    shift = _Shift(plan, stop)
    threads = [threading.Thread(target=shift.work, args=(number,)) for number in range(CLERKS)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        if os.getppid() != parent:
            stop.set()
        shift.count(counts)
        time.sleep(0.05)
    shift.count(counts)
    if shift.failures:
        print(f"the load of {plan.side} ended: {shift.failures[0]}", file=sys.stderr)  # noqa: T201  a process of its own
        sys.exit(1)


class _Shift:
    """The clerks of one side. The first one stocks the catalogue; then all of them take orders."""

    def __init__(self, plan: Plan, stop: Any) -> None:
        self.failures: list[BaseException] = []
        self._plan = plan
        self._stop = stop
        self._stocked = threading.Event()
        self._clerks: list[Clerk] = []

    def work(self, number: int) -> None:
        """Be one of the clerks, until told to stop."""
        try:
            with _connect(self._plan.port) as connection:
                dice = random.Random(f"{self._plan.seed} {self._plan.side} {number}")  # noqa: S311  a shop's day, not a secret
                clerk = Clerk(connection, self._plan.side, dice)
                self._clerks.append(clerk)
                if number == 0:
                    clerk.stock_catalogue()
                    self._stocked.set()
                while not self._stocked.wait(0.05) and not self._stop.is_set():
                    pass
                clerk.read_catalogue()
                self._take_orders(clerk, self._plan.rate / CLERKS)
        except (pymysql.err.MySQLError, OSError) as error:
            self.failures.append(error)
            self._stop.set()

    def _take_orders(self, clerk: Clerk, rate: float) -> None:
        due = time.monotonic()
        while not self._stop.is_set():
            try:
                clerk.work()
            except pymysql.err.OperationalError as error:
                if error.args[0] not in _UNDONE:
                    raise
                clerk.connection.rollback()
            if rate:
                due = max(due + clerk.dice.expovariate(rate), time.monotonic() - 1)
                time.sleep(max(0.0, due - time.monotonic()))

    def count(self, counts: Any) -> None:
        """Tell the demo how much was done."""
        counts[0] = sum(clerk.transactions for clerk in self._clerks)
        counts[1] = sum(clerk.rows for clerk in self._clerks)


def _connect(port: int) -> Any:
    settings: dict[str, Any] = {"user": "root", "database": "shop", "charset": "utf8mb4", "autocommit": False}
    return pymysql.connect(host="127.0.0.1", port=port, **settings)
