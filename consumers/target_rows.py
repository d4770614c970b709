"""The target's progress rows: read at the start, moved at the head of each transaction, offsets at its end."""

from __future__ import annotations

from dataclasses import dataclass

from bisync_topology.control import Control
from bisync_topology.errors import LostOwnership, Where
from bisync_topology.ownership import now_us
from consumers.assemble import TopicPartition
from consumers.progress import Progress


@dataclass(frozen=True, kw_only=True)
class Standing:
    """Where a direction stands on its target. stream None: it never began."""

    stream: str | None
    sequence: int
    offsets: dict[TopicPartition, int]
    gtid: str = ""  # of the last transaction that was applied


class TargetRows:
    """`applied` and `applied_offsets` of one direction."""

    def __init__(self, control: Control, source_side: str) -> None:
        self._control = control
        self._source = source_side
        self._topology = control.topology.name
        self._arbiter = control.topology.arbiter != source_side
        self._stream: str | None = None
        self._sequence = 0  # as committed
        self._barrier = 0  # likewise

    def read(self) -> Standing:
        """Read where the direction stands."""
        rows = {row[0]: row for row in self._control.execute("read_applied", self._topology)}
        offsets = self._control.execute("read_offsets", self._topology, self._source)
        self._control.connection.commit()
        row = rows.get(self._source)
        if row is not None:
            self._stream, self._sequence, self._barrier = row[1], row[2], row[6]
        return Standing(
            stream=self._stream,
            sequence=self._sequence,
            offsets={(topic, int(partition)): int(offset) for topic, partition, offset in offsets},
            gtid="" if row is None else row[3],
        )

    def begin(self, stream: str) -> None:
        """Write the direction's first row, once its stream is known."""
        if self._stream is None:
            self._control.execute("insert_applied", self._topology, self._source, stream, now_us())
            self._control.connection.commit()
            self._stream = stream

    def move(self, progress: Progress, repeated: int) -> None:
        """Move the progress row: the first statement of a transaction, by which this side's producer knows its origin.

        Raises LostOwnership when the row is not where this process left it.
        """
        matched = self._control.matched(
            "move_applied",
            self._sequence + 1,
            progress.sequence,
            progress.transactions,
            progress.gtid,
            progress.committed_at,
            now_us(),
            progress.barrier,
            progress.seen_by(arbiter=self._arbiter),
            progress.transactions,
            progress.rows,
            progress.dropped,
            repeated,
            self._topology,
            self._source,
            self._stream,
            self._sequence,
        )
        if matched != 1:
            raise self._lost()

    def hold(self) -> None:
        """Lock the progress row, so that nothing is begun where another applier has moved it. Raises LostOwnership."""
        if not self._control.execute("hold_place", self._topology, self._source, self._stream, self._sequence):
            self._control.connection.rollback()
            raise self._lost()

    def _lost(self) -> LostOwnership:
        return LostOwnership(
            f"the progress of {self._source} is not at {self._sequence} any more: another applier moved it",
            hint="nothing was written; nothing is to be done when another applier runs",
            where=Where(side=self._source),
        )

    def committed(self, progress: Progress) -> None:
        """The transaction that `move` began is committed."""
        self._sequence = progress.sequence
        self._barrier = max(self._barrier, progress.barrier)

    @property
    def sequence(self) -> int:
        """How far the direction has come, as committed."""
        return self._sequence

    @property
    def barrier(self) -> int:
        """The last barrier of the source that has arrived, as committed."""
        return self._barrier

    def add_rows(self, rows: int) -> None:
        """Count rows that were not known when the progress row was moved."""
        self._control.execute("add_rows", rows, self._topology, self._source)

    def add_conflicts(self, conflicts: int, already: int) -> None:
        """Count conflicts, and changes that were there already."""
        if conflicts or already:
            self._control.execute("add_conflicts", conflicts, already, self._topology, self._source)

    def write_offsets(self, positions: dict[TopicPartition, int]) -> None:
        """Write the touched partitions' positions, one statement for all."""
        if not positions:
            return
        with self._control.connection.cursor() as cursor:
            text = self._control.text("write_offset")
            cursor.executemany(text, [(self._topology, self._source, *key, offset) for key, offset in positions.items()])
