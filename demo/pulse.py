"""Latency as an application sees it: a row is committed at one side, and looked for at the other until it is there."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Sequence

import pymysql
import pymysql.err

from demo.orders import INCREMENT, OFFSETS
from sandbox import MySQLServer

PAUSE_SECONDS = 0.15  # between two pulses
POLL_SECONDS = 0.002  # between two looks


class Pulse:
    """Pulses from one side to the other, in a thread."""

    def __init__(self, source: MySQLServer, target: MySQLServer) -> None:
        self.seconds: list[float] = []  # of every pulse that arrived
        self.written = 0
        self._source, self._target = source, target
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"pulse {source.name}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def end(self) -> None:
        """Write no more."""
        self._stop.set()

    def join(self) -> None:
        """Wait until the last one has arrived, or was given up."""
        if self._thread.ident is not None:
            self._thread.join(15)

    def percentile(self, share: float, last: int = 0) -> float | None:
        """Seconds that this share of the pulses did not exceed, of the last so many or of all; None before the first."""
        return percentile(self.seconds[-last:], share)

    def _run(self) -> None:
        try:
            settings = f"SET SESSION auto_increment_increment = {INCREMENT}, auto_increment_offset = {OFFSETS[self._source.name]}"
            with (
                self._source.connect(database="shop", init_command=settings) as source,
                self._target.connect(database="shop") as target,
                source.cursor() as writer,
                target.cursor() as reader,
            ):
                while not self._stop.wait(PAUSE_SECONDS):
                    self._one(writer, reader)
        except (pymysql.err.MySQLError, OSError):
            return  # a server was stopped: the demo is over

    def _one(self, writer: pymysql.cursors.Cursor, reader: pymysql.cursors.Cursor) -> None:
        writer.execute("INSERT INTO pulses (written_at) VALUES (NOW(6))")
        committed = time.perf_counter()
        self.written += 1
        number = writer.lastrowid
        while not reader.execute("SELECT 1 FROM pulses WHERE id = %s", (number,)):
            if self._stop.is_set() and time.perf_counter() - committed > 10:
                return
            time.sleep(POLL_SECONDS)
        self.seconds.append(time.perf_counter() - committed)


def percentile(seconds: Sequence[float], share: float) -> float | None:
    """The value that this share of them does not exceed; None of nothing."""
    if not seconds:
        return None
    if len(seconds) == 1:
        return seconds[0]
    return statistics.quantiles(seconds, n=1000, method="inclusive")[round(share * 1000) - 1]
