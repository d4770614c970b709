"""The target's own statements, as its producer publishes them: what they change makes what is known of its tables old."""

from __future__ import annotations

import time
from collections.abc import Sequence

from bisync_topology.kafka_records import read
from bisync_topology.topology import Topology
from consumers.assemble import TopicPartition
from consumers.drift import History
from schemas.list_records import decode_ddl
from schemas.topics import ddl_topic

_PAUSE_SECONDS = 0.1


class OwnStatements:
    """Reads the DDL topic of the applier's own side."""

    def __init__(self, topology: Topology, side: str) -> None:
        self._topology = topology
        self.partition: TopicPartition = (ddl_topic(topology.name, side), 0)
        self.offset = 0  # where to go on
        self.assigned = False  # new ones come by themselves
        self.history = History()
        # what the source gets and will run, its rows know of by its `seen`; of anything else they never will
        self.carried = any(direction.ddl for direction in topology.directions_from(side))

    def take(self, records: Sequence[tuple[int, bytes]]) -> bool:
        """(offset, value) of new ones; tells whether there are any. Raises ValueError for what another version wrote."""
        news = [(offset, value) for offset, value in records if offset >= self.offset]
        for offset, value in news:
            self.offset = offset + 1
            if self.carried:
                self.history.add(decode_ddl(value))
        return bool(news)

    def catch_up(self) -> bool:
        """Read to the end; tells whether there was anything. Waits a moment where not. Raises Unreachable, ValueError."""
        found = [(record.offset, record.value) for record in read(self._topology, {self.partition: self.offset})]
        if not self.take(found):
            time.sleep(_PAUSE_SECONDS)
            return False
        return True
