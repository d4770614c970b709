"""A direction that stands still: what its target has is compared, and must not move meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from bisync_topology.errors import CheckFailed
from bisync_topology.kafka import admin, check_access
from bisync_topology.kafka_access import applier_access
from bisync_topology.ownership import lock_name
from bisync_topology.sides import SideControl, direction_rows, open_control
from bisync_topology.status import FAILED, PAUSED, STOPPED
from bisync_topology.topology import Direction, Topology
from recovery.kafka_lists import present_stream

_HALT_SECONDS = 15.0  # for what an applier has begun when it is told to pause
_POLL_SECONDS = 0.2


@dataclass(frozen=True, kw_only=True)
class Halted:
    """Where a direction stands."""

    direction: Direction
    control: SideControl  # of its target
    stream: str
    progress: int  # sequence up to which it has applied

    def check(self) -> None:
        """Raise CheckFailed where it has been applied further."""
        _, progress = _applied(self.control, self.direction.from_, self.stream)
        if progress != self.progress:
            raise CheckFailed(
                f"{self.direction} was applied further meanwhile, from {self.progress} to {progress}: what was compared is no "
                "single state of its target",
                hint=f"`bisync-topology pause {self.direction.from_} {self.direction.to}` first",
                code="not_paused",
            )


@contextmanager
def halted(topology: Topology, direction: Direction, tell: Callable[[str], object]) -> Iterator[Halted]:
    """The direction, once it is paused or has failed. Raises CheckFailed where it is not, or does not come to halt."""
    check_access(admin(topology), topology, applier_access(topology, direction.to))
    stream = present_stream(topology, direction.from_)
    with open_control(topology, direction.to) as control:
        _wait(control, direction, tell)
        known, progress = _applied(control, direction.from_, stream)
        if known != stream:
            raise CheckFailed(
                f"{direction.from_} writes stream {stream}, what was applied so far is of {known}: it was begun anew",
                code="stream_changed",
                hint=f"`bisync-topology init --reset {direction.from_} {direction.to}` begins this direction anew too",
            )
        yield Halted(direction=direction, control=control, stream=stream, progress=progress)


def _wait(control: SideControl, direction: Direction, tell: Callable[[str], object]) -> None:
    """`pause` says what is wanted; the applier finishes what it has begun, and then says that it has paused."""
    finishes = f"{direction} is to halt, and its applier finishes what it has begun"
    deadline = time.monotonic() + _HALT_SECONDS
    told = False
    while not _stands(control, direction):
        if time.monotonic() >= deadline:
            raise CheckFailed(
                f"{finishes}, for more than {_HALT_SECONDS:.0f} s",
                hint="run this again once `bisync-topology status` says that the direction is paused",
                code="not_paused",
            )
        if not told:
            tell(f"{finishes}: waiting")
            told = True
        time.sleep(_POLL_SECONDS)


def _stands(control: SideControl, direction: Direction) -> bool:
    """Whether nobody applies it. Raises CheckFailed where nobody wants it to halt."""
    name, topology = f"applier {direction.to}", control.topology.name
    runs = control.execute("lock_holder", lock_name(topology, name))[0][0] is not None
    row = direction_rows(control)[direction.from_, direction.to]
    if not runs:
        return True
    if not row.paused and row.error is None:
        raise CheckFailed(
            f"{direction} runs", hint=f"`bisync-topology pause {direction.from_} {direction.to}` first", code="not_paused"
        )
    states = {row[0]: row[1] for row in control.execute("read_processes", topology)}
    return states.get(name) in (PAUSED, FAILED, STOPPED)


def _applied(control: SideControl, source: str, stream: str) -> tuple[str, int]:
    """Stream and sequence up to which a source was applied; nothing of `stream`, where nothing was."""
    rows = {row[0]: (row[1], int(row[2])) for row in control.execute("read_applied", control.topology.name)}
    return rows.get(source, (stream, 0))
