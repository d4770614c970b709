"""What was passed and is not written yet, and the frame of the target transaction that writes it.

What has no rows to write (dropped, out of scope) moves progress lazily, with the next transaction that has some or after a while,
as progress rows of both sides would otherwise answer each other for ever.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import pymysql.err
import structlog
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from bisync_topology import failpoints
from bisync_topology.errors import Category, Repeat, classify, rule_for, words
from bisync_topology.ownership import Ownership
from consumers.apply import Writer
from consumers.assemble import Assembler, TopicPartition
from consumers.progress import Progress

LAZY_SECONDS = 1.0  # how long progress without rows may stay unwritten
QUIET_SECONDS = 0.5  # how long a transaction is repeated unsaid: a deadlock is over by then, a lock-wait time-out is longer

log = structlog.get_logger()


class Passing:
    """One direction's unwritten progress."""

    def __init__(
        self,
        writer: Writer,
        assembler: Assembler,
        on_commit: Callable[[dict[TopicPartition, int]], None],
        ownership: Ownership,
        halted: Callable[[], bool],
    ) -> None:
        """halted: the applier is to stop."""
        self._writer = writer
        self._assembler = assembler
        self._on_commit = on_commit
        self._ownership = ownership
        self._halted = halted
        self._lazy = Progress()
        self._since = 0.0
        self._repeated = 0  # of the assembler's count, what is written
        self._last = Progress()  # what was passed last, written or not

    @property
    def empty(self) -> bool:
        """Everything that was passed is written."""
        return self._lazy.empty

    @property
    def due(self) -> bool:
        """Whether what waits has waited long enough."""
        return not self._lazy.empty and time.monotonic() - self._since > LAZY_SECONDS

    def add(self, progress: Progress) -> None:
        """Pass what writes nothing."""
        if self._lazy.empty:
            self._since = time.monotonic()
        self._lazy.merge(progress)
        self._last = progress

    def total(self, progress: Progress) -> Progress:
        """What a commit of `progress` writes, with what was passed before it."""
        total = Progress()
        for part in (self._lazy, progress):
            if not part.empty:
                total.merge(part)
        return total

    def write(self, progress: Progress, write: Callable[[], None], *, fk_checks: bool) -> None:
        """One target transaction that passes `progress`; see `repeat`."""
        total = self.total(progress)

        def attempt() -> None:
            self.begin(total, fk_checks=fk_checks)
            write()
            self._writer.commit(total)

        self.repeat(attempt)
        self.committed(total)

    def repeat(self, transaction: Callable[[], None]) -> None:
        """Run a target transaction, again as a whole after a deadlock or lock-wait time-out, or to refuse what leaves orphans.

        Raises Repeat where the applier is to stop while it does not come through, LostOwnership.
        """
        retries = Retrying(
            retry=retry_if_exception(_to_be_repeated),
            wait=wait_random_exponential(multiplier=0.02, max=2.0),
            stop=stop_after_attempt(20),
            before_sleep=partial(self._again, time.monotonic()),
            reraise=True,
        )
        report = self._ownership.report
        try:
            for attempt in retries:
                with attempt:
                    transaction()
        finally:
            if report.detail.pop("repeats", None):
                report.urgent = True

    def _again(self, began: float, state: RetryCallState) -> None:
        """Undo an attempt. What goes on, as a lock may be held for hours, is said; and a pause or a stop is heard."""
        self._writer.rollback()
        if time.monotonic() - began < QUIET_SECONDS:
            return
        if not self._ownership.held:
            self._ownership.check()
        if self._halted():
            raise Repeat("a transaction does not come through on the target: the next start does it again")
        assert state.outcome is not None
        error = state.outcome.exception()
        assert error is not None
        report, why, hint = self._ownership.report, words(error), rule_for(error).advice
        if "repeats" not in report.detail:
            log.warning("repeating a transaction", process=self._ownership.process, why=why, hint=hint)
        report.detail["repeats"] = {"waits_for": why, "hint": hint, "attempt": state.attempt_number}
        report.urgent = True

    def here(self, seen: int) -> Progress:
        """Of a transaction that passes nothing: its rows are of no source transaction. seen: see Progress."""
        last = self._last
        return Progress(sequence=last.sequence, gtid=last.gtid, committed_at=last.committed_at, seen=seen)

    def begin(self, total: Progress, *, fk_checks: bool) -> None:
        """See Writer.begin."""
        self._writer.begin(total, self._assembler.repeated - self._repeated, fk_checks=fk_checks)

    def committed(self, total: Progress) -> None:
        """The target has committed it; Kafka is told."""
        self._lazy = Progress()
        self._last = total
        self._repeated = self._assembler.repeated
        self._on_commit(total.positions)
        failpoints.reach("applier.after_kafka_commit")


def _to_be_repeated(error: BaseException) -> bool:
    return isinstance(error, pymysql.err.MySQLError | Repeat) and classify(error) is Category.RETRY_TRANSACTION
