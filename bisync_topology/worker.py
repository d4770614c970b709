"""The life of a producer or applier process: own the work, do it, and decide what an error leads to.

Both processes live alike: an outage is waited out for as long as it lasts; what cannot be carried or applied becomes the
failed state of the directions and waits for `resume` or `skip`; lost ownership and defects end the process.
"""

from __future__ import annotations

import gc
import threading
from typing import Protocol

import pymysql.err
import structlog
from confluent_kafka import KafkaException

from bisync_topology import failpoints
from bisync_topology.error_table import Category, Rule
from bisync_topology.errors import BisyncError, DirectionFailed, LostOwnership, Where, rule_for, words
from bisync_topology.kafka import error_text, rule_of
from bisync_topology.ownership import Ownership, Wanted
from bisync_topology.restarts import Backoff

log = structlog.get_logger()
_RETRY_SECONDS = 2.0
_POLL_SECONDS = 0.2
_GARBAGE_OBJECTS = 100_000  # new ones between two searches for cycles


class Work(Protocol):
    """What a process does while it owns it."""

    directions: list[tuple[str, str]]  # whose failed state an error becomes
    pausable: bool  # whether `pause` stops it

    def work(self, backoff: Backoff) -> None:
        """From the start order behind the lock to a stop, a pause or an error; resets backoff once it works."""

    def interrupt(self) -> None:
        """From another thread: the side may not answer any more, so let work find its connection lost rather than wait on it."""

    def close(self) -> None:
        """Give up everything that work opened."""


def run_worker(kind: str, work: Work, ownership: Ownership, stop: threading.Event) -> None:
    """Run until told to stop. kind: producer or applier.

    Raises LostOwnership, InternalError and what else is a defect.
    """
    gc.freeze()
    gc.set_threshold(_GARBAGE_OBJECTS)  # rows in flight make no cycles: looking through them every 700 took a seventh of the time
    ownership.on_lost = work.interrupt
    ownership.start_watching()
    backoff = Backoff(stop, what=ownership.process, report=ownership.report)
    while not stop.is_set():
        try:
            if not (ownership.held or ownership.acquire()):
                break
            failpoints.reach(f"{kind}.after_lock")
            if wait_until_wanted(work, ownership, stop):
                work.work(backoff)
        except (BisyncError, pymysql.err.MySQLError, OSError, KafkaException) as error:
            _after(error, work, ownership, stop, backoff)
        finally:
            work.close()
            gc.collect()  # clients of Kafka live on, with threads, in cycles
    ownership.finish()


def wait_until_wanted(work: Work, ownership: Ownership, stop: threading.Event) -> bool:
    """Stay here while a direction has failed or is paused; False when told to stop meanwhile."""
    report = ownership.report
    while not stop.is_set():
        rows = [row for direction in work.directions if (row := ownership.wanted.get(direction)) is not None]
        if not any(is_halted(row, work) for row in rows):
            return True
        errors = [row.error for row in rows if row.error is not None]
        report.state = "failed" if errors else "paused"
        report.detail = {"error": errors[0]} if errors else {}
        stop.wait(_POLL_SECONDS)
        ownership.check()
        ownership.beat()
    return False


def is_halted(row: Wanted | None, work: Work) -> bool:
    """Whether a direction's row says that this work is not to go on."""
    return row is not None and (row.error is not None or (row.paused and work.pausable))


def _after(
    error: BisyncError | pymysql.err.MySQLError | OSError | KafkaException,
    work: Work,
    ownership: Ownership,
    stop: threading.Event,
    backoff: Backoff,
) -> None:
    """Do what the error policy says (error_table.py)."""
    rule = rule_of(error) if isinstance(error, KafkaException) else rule_for(error)
    text = error_text(error) if isinstance(error, KafkaException) else str(error)
    if isinstance(error, LostOwnership) or rule.category is Category.INTERNAL:
        raise error
    if rule.category is Category.STOP:
        _record(error, rule, text, work, ownership, stop, backoff)
        return
    if rule.category is Category.FENCED:
        log.warning("the Kafka transaction was fenced; looking at the lock", process=ownership.process, error=text)
        try:
            ownership.check()  # LostOwnership, the way out when another process has it, goes on from here
        except pymysql.err.MySQLError as away:
            log.warning("the lock's connection is lost too", error=str(away))
    backoff.wait(text, rule.advice)


def _record(
    error: Exception, rule: Rule, text: str, work: Work, ownership: Ownership, stop: threading.Event, backoff: Backoff
) -> None:
    log.error("stopped by an error", process=ownership.process, error=text, code=rule.code, hint=rule.advice)
    if not isinstance(error, DirectionFailed):
        error = DirectionFailed(text, code=rule.code, hint=rule.advice, where=Where(side=ownership.side))
    try:
        ownership.fail(error, work.directions, getattr(error, "conflict_id", None))
    except pymysql.err.MySQLError as away:
        log.warning("the failed state could not be recorded; the error will show again", error=str(away))
        backoff.wait(f"{ownership.side} to take the failed state ({words(away)}): {words(error)}", rule.advice)
        return
    if not ownership.held:
        stop.wait(_RETRY_SECONDS)  # nobody waits for `resume` yet
