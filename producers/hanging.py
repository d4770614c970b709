"""Transactions that the broker never ended, although it counts them as complete: found and ended before a checkpoint is read.

Kafka's transaction coordinator ends a transaction by writing a marker into each of its partitions. A partition that has no
leader at that moment it takes for deleted, and leaves out (TransactionMarkerChannelManager, Kafka 4.3). So a broker that dies
or stops right after a commit may leave some or all of a transaction's partitions without a marker, above all where
partitions have one copy only. Readers of committed records wait at such a *hanging transaction* (KIP-664) for ever, or until
its producer's next transaction ends in that partition and takes the old records along: as committed or as undone, as the
next one happens to end. What was committed in one partition could so be undone in another, or be published twice.

After `init_transactions` nothing of a side's producer is open, and nobody else writes to its partitions. A partition whose
committed records end before its high watermark then hangs. Each is ended as the whole was decided:
- what the visible checkpoint includes was committed, and what goes beyond it was not, as every commit holds a checkpoint;
- if the checkpoint hangs itself, any part of the transaction that is visible elsewhere tells that all of it was committed. If
  none is, it is undone and read once more from the binlog.
A record without a value, in a transaction of its own, makes the broker write the marker. No reader is given it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import structlog

from bisync_topology.errors import CaptureError, Unreachable, Where
from bisync_topology.kafka import admin, existing_topics, side_partition, side_partitions
from bisync_topology.kafka_records import TAIL_OFFSETS, Partition, Record, end_offsets, read, read_tail
from bisync_topology.topology import Topology
from producers.checkpoint import POSITION_KEY, Checkpoint, checkpoint_of, read_checkpoint
from producers.outbox import Outbox
from schemas.framing import peek_sequence
from schemas.list_records import transaction_decoder
from schemas.records import TransactionRecord
from schemas.topics import checkpoints_topic, conflicts_topic, schemas_topic, transactions_topic

log = structlog.get_logger()
LATE_SECONDS = 1.0  # how long a marker that was written may be on its way to a partition's copies
END_SECONDS = 30.0  # how long the broker may take to end what we ended


@dataclass
class Hanging:
    """What hangs in one partition: the sequences of its records, None where none bears one."""

    first: int | None = None
    last: int | None = None

    def add(self, sequence: int | None) -> None:
        """Note a record, in their order."""
        if sequence is not None:
            self.first = sequence if self.first is None else self.first
            self.last = sequence


@dataclass
class Found:
    """All that hangs of a side, by partition, with what is needed to decide how it was to end."""

    partitions: dict[Partition, Hanging]
    checkpoint: Checkpoint | None = None  # hangs
    listed: list[TransactionRecord] = field(default_factory=list)  # hang


def settle(topology: Topology, side: str, outbox: Outbox) -> None:
    """End what hangs of a side. To be called between `initialize` and reading the checkpoint.

    Raises KafkaException, Unreachable, CaptureError where one partition holds both what was committed and what was not.
    """
    ends = _hanging_ends(topology, side, LATE_SECONDS)
    if not ends:
        return
    found = _contents(topology, side, ends)
    visible = read_checkpoint(topology, side)
    decided = 0 if visible is None else visible.sequence
    if found.checkpoint is not None and _shows(topology, side, found, decided):
        decided = found.checkpoint.sequence
    committed = to_commit(side, topology.other(side), found.partitions, decided)
    undone = found.partitions.keys() - committed
    log.warning(
        "ending transactions that the broker left open",
        side=side,
        committed=sorted(f"{topic}[{partition}]" for topic, partition in committed),
        undone=sorted(f"{topic}[{partition}]" for topic, partition in undone),
    )
    if undone:
        outbox.end_hanging(undone, commit=False)
    if committed:
        outbox.end_hanging(committed, commit=True)
    left = _hanging_ends(topology, side, END_SECONDS)
    if left:
        topic, partition = min(left)
        raise Unreachable(
            f"Kafka has not ended a transaction within {END_SECONDS:.0f} s",
            hint="`kafka-transactions.sh find-hanging` shows it",
            where=Where(side=side, topic=topic, partition=partition, offset=left[topic, partition]),
        )


def to_commit(side: str, target: str, found: Mapping[Partition, Hanging], decided: int) -> set[Partition]:
    """The partitions whose hanging records were committed: up to the sequence `decided`. The others' were not.

    Records without a sequence are schemas and conflicts, which are true whatever became of their transaction: at worst they are
    published once more, under the same key. Raises CaptureError.
    """
    committed = set()
    for (topic, partition), hanging in found.items():
        if hanging.last is None or hanging.last <= decided:
            committed.add((topic, partition))
        elif hanging.first is not None and hanging.first <= decided:
            raise CaptureError(
                f"Kafka left transactions {hanging.first} to {hanging.last} open, of which those up to {decided} were committed",
                code="transaction_torn",
                hint=f"make both sides alike, then `bisync-topology init --reset {side} {target}` begins the direction anew",
                where=Where(side=side, topic=topic, partition=partition),
            )
    return committed


def _hanging_ends(topology: Topology, side: str, patience: float) -> dict[Partition, int]:
    """Partition → where its committed records end, of those where that is not its end for so many seconds."""
    client = admin(topology)
    number = side_partition(topology, side)
    control = [(topic(topology.name), number) for topic in (checkpoints_topic, schemas_topic, conflicts_topic)]
    partitions = [*control, *side_partitions(topology, side, existing_topics(client, topology))]
    deadline = time.monotonic() + patience
    while True:
        committed = end_offsets(client, partitions, committed=True)
        ends = end_offsets(client, partitions)
        partitions = [partition for partition in partitions if committed[partition] < ends[partition]]
        if not partitions or time.monotonic() > deadline:
            return {partition: committed[partition] for partition in partitions}
        time.sleep(0.05)


def _contents(topology: Topology, side: str, ends: Mapping[Partition, int]) -> Found:
    found = Found({partition: Hanging() for partition in ends})
    decode = transaction_decoder()
    for record in read(topology, ends, committed=False):
        topic = record.partition[0]
        if topic == checkpoints_topic(topology.name):
            if record.key.decode() == POSITION_KEY:
                found.checkpoint = checkpoint_of(json.loads(record.value))
        elif topic == transactions_topic(topology.name, side):
            found.listed.append(decode(record.value))
        found.partitions[record.partition].add(_sequence(topology, record))
    return found


def _sequence(topology: Topology, record: Record) -> int | None:
    topic = record.partition[0]
    if topic in (schemas_topic(topology.name), conflicts_topic(topology.name)):
        return None
    if topic == checkpoints_topic(topology.name):
        return int(json.loads(record.value)["sequence"]) if record.key.decode() == POSITION_KEY else None
    return peek_sequence(record.value)


def _shows(topology: Topology, side: str, found: Found, decided: int) -> bool:
    """Whether a part of the transaction whose checkpoint hangs is visible in a partition that does not hang."""
    assert found.checkpoint is not None
    listed = (transactions_topic(topology.name, side), 0)
    if listed in found.partitions:
        others = {event[:2] for record in found.listed if record.sequence > decided for event in record.events}
        return any(_last_is_visible(topology, others - found.partitions.keys()))
    decode = transaction_decoder()
    tail = [decode(record.value) for record in read_tail(topology, [listed], TAIL_OFFSETS, committed=False)]
    if not tail or tail[-1].stream != found.checkpoint.stream or tail[-1].sequence <= decided:
        return False
    return all(_last_is_visible(topology, [listed]))


def _last_is_visible(topology: Topology, partitions: Iterable[Partition]) -> list[bool]:
    """Of each partition, whether the last record that was written to it is a committed one."""
    partitions = list(partitions)
    written, visible = (
        {record.partition: record.offset for record in read_tail(topology, partitions, TAIL_OFFSETS, committed=committed)}
        for committed in (False, True)
    )
    return [partition in written and written[partition] == visible.get(partition) for partition in partitions]
