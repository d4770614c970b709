"""The target's own statements, as its producer publishes them: what they change makes what is known of its tables old."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence

from bisync_topology.errors import ApplyError, Where
from bisync_topology.kafka_records import read
from bisync_topology.topology import Topology
from consumers.assemble import TopicPartition
from consumers.drift import History
from producers.checkpoint import read_checkpoint
from schemas.list_records import decode_ddl
from schemas.records import DdlEvent, TransactionRecord
from schemas.topics import ddl_topic

_PAUSE_SECONDS = 0.1


class OwnStatements:
    """Reads the DDL topic of the applier's own side; of its present stream, as another one counts from 1 anew."""

    def __init__(self, topology: Topology, side: str) -> None:
        self._topology = topology
        self._side = side
        self.partition: TopicPartition = (ddl_topic(topology.name, side), 0)
        self.offset = 0  # where to go on
        self.assigned = False  # new ones come by themselves
        self.history = History()
        # what the source gets and will run, its rows know of by its `seen`; of anything else they never will
        self.carried = any(direction.ddl for direction in topology.directions_from(side))
        self._stream: str | None = None  # None: the side's producer has never run
        self._met = (0, 0)  # the last transaction's sequence, and what it had seen
        self._waits = (0, 0.0)  # the sequence of one that does not fit, and since when: also over new starts of the applier

    def begin(self) -> None:
        """The applier starts, and goes on from where its target stands. Raises Unreachable."""
        self.assigned = False
        self._met = (0, 0)
        if self.carried:
            self._look_at_stream()

    def take(self, records: Sequence[tuple[int, bytes]]) -> bool:
        """(offset, value) of new ones; tells whether there are any.

        Raises Unreachable, ApplyError for what another version wrote.
        """
        return self._add((offset, value) for offset, value in records if offset >= self.offset)

    def catch_up(self) -> bool:
        """Read to the end; tells whether there was anything. Waits a moment where not. Raises as `take`."""
        if self.assigned and self._add(self._read()):
            return True
        time.sleep(_PAUSE_SECONDS)
        return False

    def meet(self, record: TransactionRecord) -> bool:
        """A transaction of the source comes, and says what it has seen; tells whether other statements are known now.

        Where it has seen less than the one before, our side's stream was begun anew while we run. Raises as `take`.
        """
        sequence, seen = self._met
        if record.sequence <= sequence:
            return False
        self._met = record.sequence, record.seen
        if not self.carried or record.seen >= seen or not self._look_at_stream():
            return False
        if self.assigned:
            self._add(self._read())
        return True

    def waited(self, record: TransactionRecord) -> float:
        """For how many seconds a transaction has waited for what makes it fit; 0 at the first time."""
        sequence, since = self._waits
        if sequence == record.sequence:
            return time.monotonic() - since
        self._waits = record.sequence, time.monotonic()
        return 0.0

    def give_up(self) -> None:
        """It waits no more: when it comes again, somebody has done something about it."""
        self._waits = (0, 0.0)

    def _look_at_stream(self) -> bool:
        """Find out which stream our side's is; tells whether it is another one, for which everything is to be read again."""
        checkpoint = read_checkpoint(self._topology, self._side)
        stream = None if checkpoint is None else checkpoint.stream
        if stream == self._stream:
            return False
        self._stream = stream
        self.history.begin(stream or "")
        self.offset = 0
        return True

    def _read(self) -> Iterator[tuple[int, bytes]]:
        return ((record.offset, record.value) for record in read(self._topology, {self.partition: self.offset}))

    def _add(self, records: Iterable[tuple[int, bytes]]) -> bool:
        stream, found = self._stream, False
        for offset, value in records:
            self.offset, found = offset + 1, True
            if self.carried:
                event = self._decoded(offset, value)
                stream = event.stream
                if stream == self._stream:
                    self.history.add(event)
        if stream != self._stream and self._look_at_stream():  # theirs is the present one, or an older one
            self._add(self._read())
        return found

    def _decoded(self, offset: int, value: bytes) -> DdlEvent:
        try:
            return decode_ddl(value)
        except ValueError as error:
            topic, partition = self.partition
            raise ApplyError(
                str(error),
                code="undecodable",
                hint="run producers and appliers of one version",
                where=Where(side=self._side, topic=topic, partition=partition, offset=offset),
            ) from error
