"""Kafka → a side's transaction list, where its partitions begin, and where in them a transaction's events are looked for."""

from __future__ import annotations

from collections.abc import Iterator

from bisync_topology.errors import CheckFailed, Where
from bisync_topology.kafka import admin, existing_topics, side_partitions
from bisync_topology.kafka_records import heads, low_offsets, offsets_at, read
from bisync_topology.topology import Topology
from producers.checkpoint import read_checkpoint
from recovery.listing import Boundary, Extent, Head, Item, Partition
from schemas.framing import peek_sequence
from schemas.list_records import transaction_decoder
from schemas.records import TransactionRecord
from schemas.topics import transactions_topic

_EARLIER_MS = 3_600_000  # by which clocks of a server and a producer may differ: events that come too early are recognized


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


def look(topology: Topology, side: str) -> Extent:
    """Ask Kafka where a side's partitions of events begin. Raises Unreachable, KafkaException."""
    client = admin(topology)
    listed = (transactions_topic(topology.name, side), 0)
    low = low_offsets(client, side_partitions(topology, side, existing_topics(client, topology)))
    cut = [partition for partition, offset in low.items() if offset and partition != listed]
    begins = heads(topology, cut, peek_sequence) if cut else {}
    return Extent(low=low, heads={partition: Head(*head) for partition, head in begins.items()})


def starts(topology: Topology, side: str, extent: Extent, record: TransactionRecord, boundary: Boundary) -> dict[Partition, int]:
    """Where to begin in each partition of events to get those of a transaction and all behind it. Raises KafkaException."""
    listed = (transactions_topic(topology.name, side), 0)
    since = max(record.committed_at // 1000 - _EARLIER_MS, boundary.timestamp)
    found = offsets_at(admin(topology), [partition for partition in extent.low if partition != listed], since)
    return {partition: max(offset, extent.low[partition]) for partition, offset in found.items()}
