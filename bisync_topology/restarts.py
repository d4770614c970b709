"""Waiting out an outage: growing pauses, said once and in `status`, never ending a process."""

import threading
import time

import structlog
from tenacity import RetryCallState, Retrying
from tenacity.wait import wait_exponential_jitter

from bisync_topology.ownership import Report

log = structlog.get_logger()
LONGEST_PAUSE = 10.0  # seconds


class Backoff:
    """Pauses of about 0.2 s, doubled up to LONGEST_PAUSE, until something works again."""

    def __init__(self, stop: threading.Event, *, what: str, report: Report) -> None:
        self._stop = stop
        self._what = what
        self._report = report
        self._pause = wait_exponential_jitter(multiplier=0.2, max=LONGEST_PAUSE, jitter=0.2)
        self._state = RetryCallState(Retrying(), None, (), {})
        self._since = 0.0
        self._said = ""

    def wait(self, why: str, advice: str | None) -> None:
        """Pause once more."""
        if not self._since:
            self._since = time.time()
        self._report.state = "waiting"
        self._report.detail = {"waits_for": why, "since": self._since, "hint": advice}
        if why != self._said:
            log.warning("waiting", process=self._what, why=why, hint=advice)
            self._said = why
        self._stop.wait(self._pause(self._state))
        self._state.attempt_number += 1

    def reset(self) -> None:
        """It works again."""
        if self._since:
            self._report.state, self._report.detail = "running", {}
            log.info("working again", process=self._what, after_seconds=round(time.time() - self._since, 1))
        self._state.attempt_number = 1
        self._since = 0.0
        self._said = ""
