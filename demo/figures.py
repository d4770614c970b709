"""How far each direction is, a few times a second: `status`, the load's own counts and the pulses, side by side."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bisync_topology import status, status_facts
from bisync_topology.topology import Topology
from demo.load import Load
from demo.pulse import Pulse

EVERY_SECONDS = 0.4
_WINDOW_SECONDS = 1.0  # of a rate
_HISTORY = 24


@dataclass(frozen=True, kw_only=True)
class Figures:
    """One direction at one moment. Times in seconds, None where they are not known yet."""

    source: str
    target: str
    state: str = "starting"
    written: int = 0  # rows that the load has committed at the source
    applied: int = 0  # rows
    transactions: int = 0
    rate: float = 0.0  # rows applied a second
    peak: float = 0.0
    history: tuple[float, ...] = ()  # of rates, oldest first
    lag: float | None = None
    latency: float | None = None  # median of the last pulses
    latency_p50: float | None = None  # of all pulses
    latency_p99: float | None = None
    conflicts: int = 0
    dropped: int = 0  # transactions that had begun at the target's side
    error: str = ""

    @property
    def name(self) -> str:
        """`east → west`."""
        return f"{self.source} → {self.target}"


@dataclass
class _Course:
    """What is remembered of a direction to tell its rate."""

    samples: deque[tuple[float, int]] = field(default_factory=deque)  # (clock, rows applied)
    history: deque[float] = field(default_factory=lambda: deque(maxlen=_HISTORY))
    peak: float = 0.0

    def rate(self, now: float, rows: int) -> float:
        """Rows a second over the last second or so."""
        self.samples.append((now, rows))
        while len(self.samples) > 2 and now - self.samples[1][0] >= _WINDOW_SECONDS:
            self.samples.popleft()
        before, rows_before = self.samples[0]
        rate = (rows - rows_before) / (now - before) if now > before else 0.0
        self.history.append(rate)
        self.peak = max(self.peak, rate)
        return rate


class Watch:
    """Reads the figures of every direction in a thread; `now` gives the last ones."""

    def __init__(self, topology: Topology, loads: Mapping[str, Load], pulses: Mapping[str, Pulse]) -> None:
        self._topology = topology
        self._loads = loads
        self._pulses = pulses
        self._courses = {(d.from_, d.to): _Course() for d in topology.directions}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self.now = [Figures(source=d.from_, target=d.to) for d in topology.directions]

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def end(self) -> None:
        """Read no more."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(10)

    def read(self) -> list[Figures]:
        """Read now. Parts that cannot be had are as they were."""
        found = status.build(self._topology, status_facts.collect(self._topology))
        clock = time.monotonic()
        self.now = [
            self._figures(direction, before, clock) for direction, before in zip(found["directions"], self.now, strict=True)
        ]
        return self.now

    def _run(self) -> None:
        while not self._stop.wait(EVERY_SECONDS):
            self.read()

    def _figures(self, direction: Mapping[str, Any], before: Figures, clock: float) -> Figures:
        source = before.source
        course, pulse = self._courses[source, before.target], self._pulses[source]
        applied = before.applied if direction["applied_rows"] is None else int(direction["applied_rows"])
        rate = course.rate(clock, applied)
        error = direction["error"] or {}
        return Figures(
            source=source,
            target=before.target,
            state=direction["state"],
            written=self._loads[source].rows + pulse.written,
            applied=applied,
            transactions=direction["applied_transactions"] or before.transactions,
            rate=rate,
            peak=course.peak,
            history=tuple(course.history),
            lag=direction["lag_seconds"],
            latency=pulse.percentile(0.5, last=10),
            latency_p50=pulse.percentile(0.5),
            latency_p99=pulse.percentile(0.99),
            conflicts=direction["conflicts"] or 0,
            dropped=direction["dropped_own_origin"] or 0,
            error=str(error.get("message") or ""),
        )
