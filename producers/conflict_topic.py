"""Rows of the table `conflicts` → records of `<name>.conflicts`: JSON by the conflict's id, as `conflicts list -o json` has it.

A row that changes (decided, settled) is published again under the same key; one that is deleted for its age is not.
"""

from __future__ import annotations

from collections.abc import Mapping

from bisync_topology.conflict_json import conflict_json, encoded
from bisync_topology.kafka import side_partition
from bisync_topology.topology import Topology
from schemas.topics import conflicts_topic

_ROOM = 256  # bytes of a record beside its value: its key, its head, the head of its batch


class ConflictTopic:
    """What one side's producer writes there."""

    def __init__(self, topology: Topology, side: str) -> None:
        self._topic = conflicts_topic(topology.name)
        self._partition = side_partition(topology, side)
        self._most = topology.topics.max_message_bytes - _ROOM

    def record(self, row: Mapping[str, object]) -> tuple[str, int, bytes, bytes]:
        """(topic, partition, key, value) of a row, by the names of its columns."""
        conflict = conflict_json(row)
        return self._topic, self._partition, conflict["id"].encode(), encoded(conflict, self._most)
