"""`wait`: returns once everything committed on every side before the call has been applied on the other.

A barrier is a number in the source's heartbeat row. Its producer lists the commit that raises it behind everything committed
before, and its applier writes the number into the target's progress row when it has come as far. What the arbiter of a
convergent policy answers to the other side's changes is behind its first barrier, and needs a second one.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from bisync_topology.errors import BisyncError, CheckFailed, DirectionFailed, Unreachable
from bisync_topology.ownership import Wanted
from bisync_topology.scope import policies
from bisync_topology.sides import SideControl, connect_control, direction_rows, raise_barrier
from bisync_topology.topology import Topology

STEP_SECONDS = 0.05
_AWAY_SECONDS = 0.5  # between two tries while a server is away
Key = tuple[str, str]  # from, to


@dataclass(frozen=True, kw_only=True)
class Reached:
    """How far a direction has come: the barrier that has arrived, and its row on either side."""

    barrier: int
    rows: tuple[Wanted, ...]


def wait(
    topology: Topology,
    timeout: float,
    explain: Callable[[Key], str],
    initializing: Callable[[], Iterable[Key]] = tuple,
) -> float:
    """Wait until every direction has applied what was committed before the call; gives the seconds that it took.

    initializing: which directions have rows to copy yet, as those were committed before the call too. explain: says where a
    direction stands that has not come in time. Raises DirectionFailed at once for a failed direction, CheckFailed for a paused
    one and when time is up, Unreachable for a server that is away at the start or still is at the end.
    """
    began = time.monotonic()
    sides = Barriers(topology)
    try:
        rounds = [[(direction.from_, direction.to) for direction in topology.directions]]
        if any(policy.converges for policy in policies(topology)):
            rounds.append([(direction.from_, direction.to) for direction in topology.directions_from(topology.arbiter)])
        left = sides.raise_barriers(rounds.pop(0))
        copying: dict[Key, int] = {}
        while True:
            away = None
            try:
                left = judge(sides.look(left), left)
                if not left and rounds:
                    left = sides.raise_barriers(rounds[0])
                    rounds.pop(0)
                if not left and not rounds:
                    copying = dict.fromkeys(initializing(), sys.maxsize)  # no barrier says that
                    if not judge(sides.look(copying), copying):
                        return time.monotonic() - began
            except Unreachable as error:
                away = error
                sides.close()
            if time.monotonic() - began >= timeout:
                raise away or _late(left or copying, timeout, explain)
            time.sleep(_AWAY_SECONDS if away or copying else STEP_SECONDS)
    finally:
        sides.close()


def judge(reached: Mapping[Key, Reached], numbers: Mapping[Key, int]) -> dict[Key, int]:
    """Give the directions whose barrier has not arrived. Raises DirectionFailed or CheckFailed where it will not."""
    left = {key: number for key, number in numbers.items() if reached[key].barrier < number}
    paused = None
    for source, target in left:
        for row in reached[source, target].rows:
            if row.error is not None:
                raise DirectionFailed(
                    f"{source} to {target} has failed: {row.error.get('message')}",
                    code=row.error.get("code"),
                    hint=row.error.get("hint") or f"`bisync-topology resume {source} {target}` tries again",
                )
            if row.paused:
                paused = paused or CheckFailed(
                    f"{source} to {target} is paused", hint=f"`bisync-topology resume {source} {target}`", code="paused"
                )
    if paused is not None:
        raise paused
    return left


def _late(left: Iterable[Key], timeout: float, explain: Callable[[Key], str]) -> BisyncError:
    text = "; ".join(f"{source} to {target}: {explain((source, target))}" for source, target in left)
    return CheckFailed(
        f"not everything was applied within {timeout:g} s: {text}",
        hint="`bisync-topology status` shows the processes and what they wait for; --timeout gives it longer",
        code="timeout",
    )


@dataclass
class Barriers:
    """Both sides' control tables, connected while they can be."""

    topology: Topology
    _open: dict[str, SideControl] = field(default_factory=dict)

    def look(self, keys: Iterable[Key]) -> dict[Key, Reached]:
        """Read how far directions have come. Raises Unreachable."""
        rows = {side: direction_rows(self._control(side)) for side in self.topology.sides}
        barriers = {
            (row[0], target): int(row[6])
            for target in self.topology.sides
            for row in self._control(target).execute("read_applied", self.topology.name)
        }
        return {key: Reached(barrier=barriers.get(key, 0), rows=tuple(rows[side][key] for side in key)) for key in keys}

    def raise_barriers(self, keys: Iterable[Key]) -> dict[Key, int]:
        """Raise every source's number; gives what each direction must come to."""
        keys = list(keys)
        numbers = {side: raise_barrier(self._control(side), side) for side in dict.fromkeys(source for source, _ in keys)}
        return {key: numbers[key[0]] for key in keys}

    def close(self) -> None:
        """Give the connections up; they are made again when needed."""
        for control in self._open.values():
            if control.connection.open:
                control.connection.close()
        self._open.clear()

    def _control(self, side: str) -> SideControl:
        if side not in self._open:
            self._open[side] = connect_control(self.topology, side)
        return self._open[side]
