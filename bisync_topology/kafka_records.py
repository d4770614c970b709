"""What lies in Kafka's partitions, read outside of the main stream: ends, tails, whole compacted partitions.

A record without a value carries nothing: it only ended a Kafka transaction (producers/hanging.py). It is given to nobody.
"""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from confluent_kafka import Consumer, IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]

from bisync_topology.error_table import BROKER
from bisync_topology.errors import Unreachable, Where
from bisync_topology.kafka import ADMIN_TIMEOUT, client_settings, give_up, rule_of, unreachable
from bisync_topology.kafka_access import DESCRIBE, GROUP, READ, TOPIC, Access, denied, is_denied, reader_group
from bisync_topology.topology import Topology

Partition = tuple[str, int]  # topic and number
TAIL_OFFSETS = 64  # in which a partition's last record is looked for: commits take offsets too, and undone ones all of theirs


class Record(NamedTuple):
    """One record, with its place."""

    partition: Partition
    offset: int
    key: bytes
    value: bytes
    timestamp: int = 0  # when its producer made it, milliseconds since 1970 UTC


def low_offsets(client: AdminClient, partitions: Iterable[Partition]) -> dict[Partition, int]:
    """Each partition's beginning: the first offset that retention has left. Raises KafkaException, Unreachable."""
    spec = OffsetSpec.earliest()  # type: ignore[no-untyped-call]
    return _offsets(client, dict.fromkeys(partitions, spec), IsolationLevel.READ_UNCOMMITTED)


def offsets_at(client: AdminClient, partitions: Iterable[Partition], timestamp: int) -> dict[Partition, int]:
    """Each partition's first offset whose record was made at a time or later (milliseconds since 1970 UTC), or its end."""
    partitions = list(partitions)
    spec = OffsetSpec.for_timestamp(timestamp)
    found = _offsets(client, dict.fromkeys(partitions, spec), IsolationLevel.READ_UNCOMMITTED)
    later = end_offsets(client, [partition for partition, offset in found.items() if offset < 0])
    return {**found, **later}


def heads(
    topology: Topology, partitions: Iterable[Partition], group_of: Callable[[bytes], int]
) -> dict[Partition, tuple[int, int, int]]:
    """What each partition begins with: a group, how many records of it, and when the first was made (milliseconds since 1970).

    Empty partitions are left out. Raises Unreachable.
    """
    found: dict[Partition, tuple[int, int, int]] = {}
    with _reader(topology, committed=True) as consumer:
        left = set(partitions)
        low = {partition: consumer.get_watermark_offsets(TopicPartition(*partition), timeout=30.0)[0] for partition in left}
        for record in _to_the_end(topology, consumer, low, 30.0, left=left):
            group, known = group_of(record.value), found.get(record.partition)
            if known is None:
                found[record.partition] = group, 1, record.timestamp
            elif known[0] == group:
                found[record.partition] = group, known[1] + 1, known[2]
            else:
                left.discard(record.partition)
                consumer.pause([TopicPartition(*record.partition)])
    return found


def end_offsets(client: AdminClient, partitions: Iterable[Partition], *, committed: bool = False) -> dict[Partition, int]:
    """Each partition's end: the high watermark, or that of what is committed, where its oldest open transaction begins.

    Raises KafkaException, Unreachable where a broker does not know a topic yet.
    """
    level = IsolationLevel.READ_COMMITTED if committed else IsolationLevel.READ_UNCOMMITTED
    return _offsets(client, dict.fromkeys(partitions, OffsetSpec.latest()), level)  # type: ignore[no-untyped-call]


def _offsets(client: AdminClient, specs: Mapping[Partition, Any], level: IsolationLevel) -> dict[Partition, int]:
    wanted = {TopicPartition(*partition): spec for partition, spec in specs.items()}
    if not wanted:
        return {}
    found = {}
    for where, future in client.list_offsets(wanted, isolation_level=level, request_timeout=ADMIN_TIMEOUT).items():
        try:
            found[where.topic, where.partition] = int(future.result().offset)
        except KafkaException as error:
            if error.args[0].name() != "UNKNOWN_TOPIC_OR_PART":
                raise
            # whoever asks has made or seen it: brokers come to know a new topic one after the other
            raise Unreachable(f"Kafka does not know topic {where.topic} yet", where=Where(topic=where.topic)) from error
    return found


def end_offset(client: AdminClient, partition: Partition) -> int:
    """A partition's high watermark, behind uncommitted records too. Raises KafkaException, Unreachable."""
    return end_offsets(client, [partition])[partition]


def read_partition(topology: Topology, topic: str, partition: int, timeout: float = 30.0) -> list[tuple[str, Any]]:
    """(key, JSON value) of every committed record of a small compacted partition, oldest first.

    Raises Unreachable when its end is not reached within timeout seconds.
    """
    records = read(topology, {(topic, partition): 0}, timeout=timeout)
    return [(record.key.decode(), json.loads(record.value)) for record in records]


def read_tails(
    topology: Topology, topic: str, partitions: Iterable[int], offsets: int, timeout: float = 30.0
) -> dict[int, list[tuple[str, Any]]]:
    """The same of the last so many offsets of each partition; they hold fewer records, as commits take offsets too."""
    tails: dict[int, list[tuple[str, Any]]] = {partition: [] for partition in partitions}
    for record in read_tail(topology, [(topic, partition) for partition in tails], offsets, timeout=timeout):
        tails[record.partition[1]].append((record.key.decode(), json.loads(record.value)))
    return tails


def read_tail(
    topology: Topology, partitions: Iterable[Partition], offsets: int, *, committed: bool = True, timeout: float = 30.0
) -> Iterator[Record]:
    """The records in the last so many offsets of each partition. Raises Unreachable."""
    with _reader(topology, committed=committed) as consumer:
        starts = {}
        for partition in partitions:
            low, high = consumer.get_watermark_offsets(TopicPartition(*partition), timeout=timeout, cached=False)
            starts[partition] = max(low, high - offsets)
        yield from _to_the_end(topology, consumer, starts, timeout)


def read(
    topology: Topology, starts: Mapping[Partition, int], *, committed: bool = True, timeout: float = 30.0
) -> Iterator[Record]:
    """Every record from an offset on to the end of each partition; committed: without what is not, or not yet.

    Raises Unreachable when the ends are not reached within timeout seconds of silence.
    """
    with _reader(topology, committed=committed) as consumer:
        yield from _to_the_end(topology, consumer, starts, timeout)


def first_record(topology: Topology, topic: str, partition: int, offset: int, timeout: float = 5.0) -> bytes | None:
    """The value of the first committed record at or behind an offset; None when there is none, or not in time."""
    with _reader(topology, committed=True) as consumer:
        return next((record.value for record in _to_the_end(topology, consumer, {(topic, partition): offset}, timeout)), None)


@contextmanager
def _reader(topology: Topology, *, committed: bool) -> Iterator[Consumer]:
    """A consumer that commits nothing and notices ends at once. KafkaException becomes Unreachable."""
    settings: dict[str, str | int | bool] = {
        "group.id": reader_group(topology.name),
        "enable.auto.commit": False,
        "isolation.level": "read_committed" if committed else "read_uncommitted",
        "enable.partition.eof": True,
        "auto.offset.reset": "earliest",
        "fetch.wait.max.ms": 10,  # an end is told by an empty answer: half a second otherwise
    }
    consumer = Consumer(client_settings(topology, settings))
    try:
        yield consumer
    except KafkaException as error:
        if is_denied(error):  # of a topic it is said in its place, in _to_the_end
            raise denied(topology, [Access(DESCRIBE, GROUP, reader_group(topology.name))]) from error
        raise unreachable(topology, error) from error
    finally:
        give_up(consumer.close)


def _to_the_end(
    topology: Topology,
    consumer: Consumer,
    starts: Mapping[Partition, int],
    timeout: float,
    *,
    left: set[Partition] | None = None,
) -> Iterator[Record]:
    """left: the partitions that are to be read to their end; the caller may take some out meanwhile."""
    left = set(starts) if left is None else left
    if left:
        consumer.assign([TopicPartition(*partition, offset) for partition, offset in starts.items()])
    deadline = time.monotonic() + timeout
    while left:
        message: Any = consumer.poll(min(0.5, timeout))
        if message is None:
            if time.monotonic() > deadline:
                raise Unreachable(
                    f"topic {min(left)[0]} could not be read to its end within {timeout:.0f} s",
                    hint=BROKER.advice,
                    where=Where(topic=min(left)[0]),
                )
            continue
        deadline = time.monotonic() + timeout
        error, partition = message.error(), (message.topic(), message.partition())
        if error is None:
            if message.value() is not None:
                yield Record(partition, message.offset(), message.key() or b"", message.value(), message.timestamp()[1])
        elif error.name() == "_PARTITION_EOF":
            left.discard(partition)
        elif is_denied(error) and error.name().startswith("TOPIC"):
            raise denied(topology, [Access(READ, TOPIC, message.topic())])
        elif not error.retriable() and rule_of(error).code != "broker_away":
            raise KafkaException(error)
