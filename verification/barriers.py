"""Barriers for verify: until what is committed by now has been applied, and why that cannot be told where it cannot."""

from __future__ import annotations

import threading
import time

from bisync_topology import barrier
from bisync_topology.errors import CheckFailed, DirectionFailed, Unreachable, words
from bisync_topology.topology import Topology

WAIT_SECONDS = 60.0  # for the lag, whatever it is
Key = tuple[str, str]


class Settling:
    """A barrier in every direction. Once one did not arrive, none is waited for any more."""

    def __init__(self, topology: Topology, seconds: float = WAIT_SECONDS) -> None:
        self._topology = topology
        self._seconds = seconds
        self._lock = threading.Lock()
        self.why_not = ""

    def __call__(self) -> bool:
        """Wait until everything that is committed by now has been applied; False where that cannot be told."""
        if self.why_not:
            return False
        try:
            barrier.wait(self._topology, self._seconds, lambda key: "its changes have not arrived")
        except (CheckFailed, DirectionFailed, Unreachable) as error:
            with self._lock:
                self.why_not = self.why_not or words(error)
            return False
        return True


def arrives(barriers: barrier.Barriers, key: Key, seconds: float) -> bool:
    """Raise a direction's barrier and wait for it; False when it has not come in time.

    Raises DirectionFailed, CheckFailed (paused), Unreachable.
    """
    left = barriers.raise_barriers([key])
    deadline = time.monotonic() + seconds
    while left := barrier.judge(barriers.look(left), left):
        if time.monotonic() > deadline:
            return False
        time.sleep(barrier.STEP_SECONDS / 5)
    return True
