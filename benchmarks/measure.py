"""Taking the time: of a backlog that is caught up with, and of single rows while nothing else goes on."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from benchmarks.backlog import SCHEMA, TABLE, Writer
from benchmarks.contenders import Contender
from benchmarks.processes import Usage, spent
from sandbox import MySQLServer, SandboxError

POLL_SECONDS = 0.01
PATIENCE_SECONDS = 900.0
WARM_UP_ROWS = 20
_PAUSE_SECONDS = 0.02  # the longest between two rows: at random, so that no timer of anybody's is met in step


@dataclass(kw_only=True)
class CatchUp:
    """One contender and one backlog. Rates are taken from the first progress to the last."""

    transactions: int
    rows: int
    seconds: float
    seconds_with_start: float
    measured: int  # transactions applied in `seconds`
    costs: dict[str, Usage] = field(default_factory=dict)

    @property
    def transactions_per_second(self) -> float:
        """Between the first progress and the last."""
        return self.measured / self.seconds

    @property
    def rows_per_second(self) -> float:
        """The same in rows, of which each transaction has as many."""
        return self.transactions_per_second * self.rows / self.transactions


def catch_up(contender: Contender, transactions: int, rows: int) -> CatchUp:
    """Start a contender that is behind by a backlog, and stop it when it has caught up. Raises SandboxError if it does not."""
    base = contender.progress()
    before = contender.costs()
    began = time.perf_counter()
    contender.start()
    try:
        first_at, first = _await(lambda: contender.progress() - base, 1, began)
        last_at, _ = _await(lambda: contender.progress() - base, transactions, began)
        costs = spent(before, contender.costs())
    finally:
        contender.stop()
    if first >= transactions:  # it came at once
        first, first_at = 0, began
    return CatchUp(
        transactions=transactions,
        rows=rows,
        seconds=last_at - first_at,
        seconds_with_start=last_at - began,
        measured=transactions - first,
        costs=costs,
    )


def _await(progress: Callable[[], int], goal: int, began: float) -> tuple[float, int]:
    while (found := progress()) < goal:
        if time.perf_counter() - began > PATIENCE_SECONDS:
            raise SandboxError(f"only {found} of {goal} transactions were applied in {PATIENCE_SECONDS:.0f} s")
        time.sleep(POLL_SECONDS)
    return time.perf_counter(), found


def latency(contender: Contender, writer: Writer, source: MySQLServer, rows: int) -> list[float]:
    """Seconds from a row's commit at the source until it can be read at the target, for each of so many, one at a time."""
    dice = random.Random(rows)
    seconds = []
    with source.connect() as here, contender.target.connect(database=SCHEMA) as there, there.cursor() as cursor:
        for _ in range(WARM_UP_ROWS + rows):
            number = writer.insert_one(here)
            committed = time.perf_counter()
            while not cursor.execute(f"SELECT 1 FROM {TABLE} WHERE id = {number}"):
                if time.perf_counter() - committed > PATIENCE_SECONDS:
                    raise SandboxError(f"a row had not arrived after {PATIENCE_SECONDS:.0f} s")
            seconds.append(time.perf_counter() - committed)
            time.sleep(dice.uniform(0, _PAUSE_SECONDS))
    return seconds[WARM_UP_ROWS:]
