"""Progress of a recovery, in one commit with its rows: the marker, how far the other direction had come, how far it is itself."""

from __future__ import annotations

from dataclasses import dataclass

from bisync_topology import failpoints
from bisync_topology.control import Control
from bisync_topology.errors import CheckFailed
from bisync_topology.ownership import now_us
from consumers.progress import Progress
from recovery.marked import MarkerRows, moved
from schemas.records import TransactionRecord


@dataclass(kw_only=True)
class Step:
    """What the next commit brings: up to which own transaction, and what of the other side's is in it."""

    sequence: int
    applied: int  # last sequence of the other side that had been applied by then
    transactions: int = 0  # of the other side's
    rows: int = 0

    def add(self, record: TransactionRecord, rows: int, other: str) -> None:
        """Take a transaction, or a piece of it."""
        if record.last:
            self.sequence = record.sequence
        if record.origin == other:
            self.rows += rows
            if record.last:
                self.applied = max(self.applied, record.origin_sequence)
                self.transactions += record.origin_transactions


class OwnRows(MarkerRows):
    """The rows of `applied` and `recoveries` that move with the recovered ones."""

    def __init__(self, control: Control, other: str, *, stream: str, applied: int, own_stream: str, done: int) -> None:
        """stream: of the other side, of which `applied` is a sequence. own_stream: which is recovered, up to `done`."""
        super().__init__(control, other, stream, applied)
        self._own_stream = own_stream
        self._done = done
        self.step = Step(sequence=done, applied=applied)

    def move(self, progress: Progress, repeated: int) -> None:
        """Move both. Raises LostOwnership where somebody else has moved one of them."""
        step, now = self.step, now_us()
        place = (self._topology, self._source, self._stream, self._sequence)
        numbers = (step.applied, step.applied, step.transactions, step.rows)
        if self._control.matched("recover_applied", now, *numbers, *place) != 1:
            raise moved(self._source, self._sequence)
        own = (step.sequence, self._topology, self._own_stream, self._done)
        if self._control.matched("move_recovery", *own) != 1:
            raise CheckFailed("another `recover` has moved the recovery", hint="nothing was written; let one of them run")
        failpoints.reach("recover.after_marker")

    def committed(self, progress: Progress) -> None:
        """The transaction that `move` began is committed."""
        self._sequence, self._done = self.step.applied, self.step.sequence
        self.step = Step(sequence=self._done, applied=self._sequence)
        failpoints.reach("recover.after_commit")

    @property
    def done(self) -> int:
        """The own sequence up to which everything is there again, as committed."""
        return self._done
