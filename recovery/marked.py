"""A writer of the applier's, for rows that no direction brings: marked like applied ones, so that nothing of them comes back."""

from __future__ import annotations

from collections.abc import Sequence

from bisync_topology.control import Control
from bisync_topology.errors import LostOwnership, Where
from bisync_topology.ownership import now_us
from consumers.assemble import TopicPartition
from consumers.changes import Change
from consumers.progress import Progress
from consumers.records import ConflictRecorder
from consumers.resolve import Resolution, Resolved
from consumers.target_rows import TargetRows
from schemas.records import TransactionRecord


class MarkerRows(TargetRows):
    """The progress row as a marker alone: rows are written, and the direction stays where it is."""

    def __init__(self, control: Control, source_side: str, stream: str, sequence: int) -> None:
        super().__init__(control, source_side)
        self._stream, self._sequence = stream, sequence

    def move(self, progress: Progress, repeated: int) -> None:
        """Touch the row. Raises LostOwnership where an applier has moved it."""
        place = (self._topology, self._source, self._stream, self._sequence)
        if self._control.matched("touch_applied", now_us(), *place) != 1:
            raise moved(self._source, self._sequence)

    def committed(self, progress: Progress) -> None:
        """The transaction that `move` began is committed."""

    def add_conflicts(self, conflicts: int, already: int) -> None:
        """Count none: they are not those of the direction."""

    def write_offsets(self, positions: dict[TopicPartition, int]) -> None:
        """Write none: the direction stays where it is."""


def moved(source: str, sequence: int) -> LostOwnership:
    """The error for a progress row that is not where it was left."""
    return LostOwnership(
        f"the progress of {source} is not at {sequence} any more: an applier moved it",
        hint="nothing was written; stop the applier, and do it again",
        where=Where(side=source),
    )


class Strict(ConflictRecorder):
    """What does not fit is kept for `check` to raise; with force it is made to fit. Nothing is put on record."""

    def __init__(self, control: Control, source_side: str, target_side: str, *, force: bool) -> None:
        super().__init__(control, source_side, target_side, "")
        self._force = force
        self.overwritten = 0  # changes that did not fit and were forced

    def resolution(self, change: Change) -> Resolution | None:
        """The change wins, if it is to be forced."""
        return "source" if self._force else None

    def add(self, resolved: Resolved) -> None:
        """Keep what was met. Raises ConflictStop where too much does not fit."""
        if resolved.decision.decision == "pending":
            super().add(resolved)
        else:
            self.overwritten += resolved.decision.type is not None

    def write(self) -> None:
        """Put nothing on record."""

    def settle(self, sequence: int) -> tuple[int, int]:
        """Nothing is on record."""
        return 0, 0

    def skipped(self, record: TransactionRecord, tables: tuple[str, ...]) -> None:
        """Nothing is skipped."""

    def told(self, changes: Sequence[Change]) -> bool:
        """Batches first, whatever is forced."""
        return False
