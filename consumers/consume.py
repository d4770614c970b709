"""Kafka → fetched records: one consumer, assigned by hand, that reads committed records only.

Positions come from the target's rows, never from the consumer group, and an offset that does not exist is an error.
"""

from collections.abc import Iterable
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from bisync_topology.kafka import Pulse, admin, client_settings, give_up, rule_of
from bisync_topology.kafka_access import GROUP, READ, TOPIC, Access, denied, is_denied
from bisync_topology.kafka_records import end_offset
from bisync_topology.topology import Topology
from schemas.topics import consumer_group, transactions_topic

Partition = tuple[str, int]
FETCH_RECORDS = 10_000  # given at once
_PAUSE_ABOVE_BYTES = 24 << 20  # of all partitions, beyond which only those go on that the next piece needs
_PAUSE_ABOVE = 20_000  # records of one partition that wait in the assembler; more than a piece of a transaction has
_RESUME_BELOW = 5_000


class Fetcher:
    """The records of the partitions of one source side."""

    def __init__(self, topology: Topology, side: str) -> None:
        settings: dict[str, Any] = {
            "group.id": consumer_group(topology.name, side),
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 100,
            "fetch.queue.backoff.ms": 5,
            "queued.min.messages": 20_000,
            "queued.max.messages.kbytes": 16 * 1024,
            # of each partition, compressed: all of it is unpacked at once, to 255 times as much. A larger one comes all the same
            "max.partition.fetch.bytes": 64 << 10,
        }
        self._topology, self._group = topology, settings["group.id"]
        self.trouble: KafkaError | None = None  # what the client last said of its brokers, until one answers again
        self._consumer = Consumer({**client_settings(topology, settings), "error_cb": self._note})
        self._pulse = Pulse(self._consumer.list_topics, transactions_topic(topology.name, topology.other(side)))
        self._admin = admin(topology)
        self._paused: set[Partition] = set()
        self._ends: dict[Partition, int] = {}  # partition → offset at which its end was last met
        self._given: dict[Partition, int] = {}  # partition → offset behind the last record that `fetch` gave
        self._applied: dict[Partition, int] = {}  # what `commit` was told
        self._shown: dict[Partition, int] = {}  # what the consumer group was told

    def assign(self, positions: Iterable[tuple[Partition, int]]) -> None:
        """Fetch these partitions too, from the given offsets on."""
        partitions = [TopicPartition(topic, number, offset) for (topic, number), offset in positions]
        if partitions:
            self._consumer.incremental_assign(partitions)
            starts = {(p.topic, p.partition): p.offset for p in partitions}
            self._given |= starts
            self._applied |= starts

    def fetch(self, timeout: float) -> dict[Partition, list[tuple[int, bytes]]]:
        """(offset, value) of what has arrived, by partition; waits up to timeout seconds for the first record.

        Raises KafkaException for every error that the client does not mend by itself, CheckFailed for a missing ACL.
        """
        first = self._consumer.poll(timeout)
        if first is None:
            return {}
        self._pulse.heard()
        messages = [first, *self._consumer.consume(FETCH_RECORDS, 0)]
        fetched: dict[Partition, list[tuple[int, bytes]]] = {}
        message: Any
        for message in messages:
            error = message.error()
            key = (message.topic(), message.partition())
            if error is None:
                value = message.value()
                if value is None:  # it only ended a Kafka transaction (producers/hanging.py)
                    continue
                found = fetched.get(key)
                if found is None:
                    found = fetched[key] = []
                found.append((message.offset(), value))
            elif error.name() == "_PARTITION_EOF":
                self._ends[key] = message.offset()
            elif is_denied(error):
                raise denied(self._topology, [self._needed(error, message.topic())])
            elif not error.retriable() and error.name() not in ("_TRANSPORT", "_ALL_BROKERS_DOWN", "_RESOLVE"):
                raise KafkaException(error)
        for key, records in fetched.items():
            self._given[key] = records[-1][0] + 1
        return fetched

    def _needed(self, error: KafkaError, topic: str | None) -> Access:
        if error.name().startswith("GROUP") or topic is None:
            return Access(READ, GROUP, self._group)
        return Access(READ, TOPIC, topic)

    def check(self) -> None:
        """Where the client has said that brokers are away, or nothing is heard of them, ask one.

        Raises KafkaException when none answers.
        """
        if self.trouble is not None:
            self._consumer.list_topics(timeout=5.0)
            self.trouble = None
        self._pulse.check()

    def _note(self, error: KafkaError) -> None:
        if rule_of(error).code == "broker_away":
            self.trouble = error

    def reached_end(self, partition: Partition) -> int | None:
        """The partition's high watermark, asked for now, if everything before it has been fetched; else None.

        The consumer itself is told the end of what is committed, which may lie before events that are listed already: commit
        markers reach each partition at a moment of its own. So the admin client is asked, for uncommitted records too.
        """
        high = end_offset(self._admin, partition)
        return high if self._ends.get(partition, -1) >= high else None

    def hold_back(self, waiting: dict[Partition, int], waiting_bytes: int, needed: set[Partition]) -> None:
        """Back pressure: stop fetching partitions of which much waits, never one that the next piece needs.

        waiting: records of each partition. waiting_bytes: of all of them together; where they are too many, all wait.
        """
        most = _PAUSE_ABOVE if waiting_bytes < _PAUSE_ABOVE_BYTES else 0
        least = _RESUME_BELOW if waiting_bytes < _PAUSE_ABOVE_BYTES // 2 else 0
        pause = {p for p, number in waiting.items() if number > most and p not in needed} - self._paused
        resume = {p for p in self._paused if p in needed or waiting.get(p, 0) < least}
        if pause:
            self._consumer.pause([TopicPartition(*p) for p in pause])
        if resume:
            self._consumer.resume([TopicPartition(*p) for p in resume])
        self._paused = (self._paused | pause) - resume

    def commit(self, positions: dict[Partition, int]) -> None:
        """Show applied positions in the consumer group; nothing depends on them, so it is not waited for."""
        self._applied |= positions
        self._show(positions)

    def commit_ends(self) -> None:
        """Where everything is applied, show the end: behind the last record lies its transaction's commit marker."""
        self._show({p: end for p, end in self._ends.items() if end > self._applied[p] == self._given[p]})

    def _show(self, positions: dict[Partition, int]) -> None:
        news = {p: offset for p, offset in positions.items() if offset > self._shown.get(p, -1)}
        if news:
            self._shown |= news
            offsets = [TopicPartition(topic, number, offset) for (topic, number), offset in news.items()]
            self._consumer.commit(offsets=offsets, asynchronous=True)

    def close(self) -> None:
        """Close the consumer."""
        give_up(self._consumer.close)
