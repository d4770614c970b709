"""A side's transaction list, read from outside of the main stream, and what of it Kafka still has every event of.

The list may hold transactions of older streams of the side: only those of the present one count, and their sequences alone are
compared. Pure but for `scan` and `look`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from bisync_topology.errors import CheckFailed, Where
from bisync_topology.kafka import admin, existing_topics, side_partitions
from bisync_topology.kafka_records import Head, heads, low_offsets, offsets_at, read
from bisync_topology.topology import Topology
from producers.checkpoint import read_checkpoint
from schemas.framing import peek_sequence
from schemas.list_records import transaction_decoder
from schemas.records import TransactionRecord
from schemas.topics import transactions_topic

Partition = tuple[str, int]
_EARLIER_MS = 3_600_000  # by which clocks of a server and a producer may differ: events that come too early are recognized
_BETWEEN_MS = 1000  # at most, between two streams


class Item(NamedTuple):
    """One record of the list."""

    offset: int
    timestamp: int  # when its producer made it, milliseconds since 1970 UTC
    record: TransactionRecord


def scan(topology: Topology, side: str, offset: int = 0) -> Iterator[Item]:
    """Every record of a side's list from an offset on, older streams' too. Raises Unreachable."""
    decode = transaction_decoder()
    for found in read(topology, {(transactions_topic(topology.name, side), 0): offset}):
        yield Item(found.offset, found.timestamp, decode(found.value))


def present_stream(topology: Topology, side: str) -> str:
    """The stream that a side's producer writes. Raises CheckFailed before its first start."""
    checkpoint = read_checkpoint(topology, side)
    if checkpoint is None:
        raise CheckFailed(
            f"{side} has no stream in Kafka: its producer never ran", hint="`bisync-topology up` first", where=Where(side=side)
        )
    return checkpoint.stream


@dataclass(kw_only=True)
class Boundary:
    """Where the present stream begins in the list, and when."""

    first: Item | None = None  # the first record of it that the list has
    before: Item | None = None  # the last one of an older stream, if the list has any

    @property
    def timestamp(self) -> int:
        """Milliseconds since 1970 UTC: events of the present stream were made later, those of older ones before."""
        if self.before is None or self.first is None:
            return 0
        return self.before.timestamp + min(_BETWEEN_MS, (self.first.timestamp - self.before.timestamp) // 2)


def present(items: Iterable[Item], stream: str, boundary: Boundary) -> Iterator[Item]:
    """The records of the present stream; the boundary is filled in on the way."""
    for item in items:
        if item.record.stream != stream:
            boundary.before, boundary.first = item, None
            continue
        boundary.first = boundary.first or item
        yield item


@dataclass(frozen=True, kw_only=True)
class Extent:
    """What lies in a side's partitions of events: their beginnings, and what those begin with."""

    low: Mapping[Partition, int]
    heads: Mapping[Partition, Head]  # of those whose beginning retention has taken


def look(topology: Topology, side: str) -> Extent:
    """Ask Kafka where a side's partitions of events begin. Raises Unreachable, KafkaException."""
    client = admin(topology)
    listed = (transactions_topic(topology.name, side), 0)
    low = low_offsets(client, side_partitions(topology, side, existing_topics(client, topology)))
    cut = [partition for partition, offset in low.items() if offset and partition != listed]
    return Extent(low=low, heads=heads(topology, cut, peek_sequence) if cut else {})


@dataclass
class Whole:
    """Finds the transactions that lack events, as the list goes by."""

    extent: Extent
    boundary: Boundary
    last: int = 0  # the last transaction of the present stream that lacks an event; 0: none does
    gtid: str = ""  # of it
    _open: Counter[Partition] = field(default_factory=Counter)  # events of the transaction that comes

    def add(self, record: TransactionRecord) -> None:
        """Take the next record of the present stream."""
        if record.piece == 0:
            self._open.clear()
        first = self.boundary.first
        if record.piece and first is not None and first.record.sequence == record.sequence and first.record.piece:
            self.last, self.gtid = record.sequence, record.gtid  # the list begins in the middle of it
        for topic, partition, number in record.events:
            self._open[topic, partition] += number
        if record.last and any(self._lacks(partition, record.sequence) for partition in self._open):
            self.last, self.gtid = record.sequence, record.gtid

    def _lacks(self, partition: Partition, sequence: int) -> bool:
        low = self.extent.low.get(partition)
        if low is None:
            return True  # the topic is gone
        head = self.extent.heads.get(partition)
        if low == 0 or (head is not None and head.timestamp < self.boundary.timestamp):
            return False  # nothing was taken, or not all of an older stream
        if head is None or sequence < head.group:
            return True
        return sequence == head.group and self._open[partition] > head.records


def starts(topology: Topology, side: str, extent: Extent, record: TransactionRecord, boundary: Boundary) -> dict[Partition, int]:
    """Where to begin in each partition of events to get those of a transaction and all behind it. Raises KafkaException."""
    listed = (transactions_topic(topology.name, side), 0)
    since = max(record.committed_at // 1000 - _EARLIER_MS, boundary.timestamp)
    found = offsets_at(admin(topology), [partition for partition in extent.low if partition != listed], since)
    return {partition: max(offset, extent.low[partition]) for partition, offset in found.items()}
