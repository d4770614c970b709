"""What a producer sends, on its way into Kafka: queues by partition, one transaction at a time, topics made when first used."""

from __future__ import annotations

import contextlib
import threading
import time
import warnings
from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from bisync_topology import failpoints
from bisync_topology.error_table import BROKER
from bisync_topology.errors import Unreachable, Where
from bisync_topology.kafka import (
    Pulse,
    admin,
    client_settings,
    create_topics,
    described,
    error_text,
    event_topic_settings,
    existing_topics,
    give_up,
    rule_of,
    topic_ids,
    transaction_settings,
)
from bisync_topology.kafka_access import TOPIC, TRANSACTIONAL_ID, WRITE, Access, denied, is_denied, producer_id
from bisync_topology.restarts import Backoff
from bisync_topology.topology import Topology
from schemas.topics import transactions_topic

_QUEUE_EVENTS = 2000  # handed to the client at once
_QUEUE_BYTES = 4 << 20
_WAITING_BYTES = 16 << 20  # handed on and not confirmed by the broker: beyond it capture waits, so that the client never refuses
_WAITING_EVENTS = 50_000  # likewise
_KNOWN_SECONDS = 60.0  # after a partition's last record; brokers forget a producer a day after it, unless set otherwise
INIT_SECONDS = 60.0  # for older transactions to be settled
CALL_SECONDS = 5.0  # of one call to the client that is repeated, so that a stop is heeded meanwhile
TOPIC_SECONDS = 30.0  # for a new topic to be known to the broker
_SAFE_PART = 0.8  # of that time; beyond it a transaction will not make it, and would be begun again for ever
NO_VALUE_KEY = b"0"  # of a record without a value; compacted topics want a key


class Unconfirmed:
    """What was handed to the client and may not be confirmed by the broker, flush by flush, in about their order."""

    def __init__(self) -> None:
        self.events = self.size = 0
        self._flushes: deque[tuple[int, int]] = deque()

    def add(self, events: int, size: int) -> None:
        """A flush of so many events and bytes."""
        self._flushes.append((events, size))
        self.events += events
        self.size += size

    def leave(self, waiting: int) -> None:
        """So many events still wait, by the client: they are taken for those of the last flushes."""
        while self._flushes and waiting <= self.events - self._flushes[0][0]:
            events, size = self._flushes.popleft()
            self.events -= events
            self.size -= size


class Outbox:
    """One side's transactional producer. Raises KafkaException; what was not committed is lost with it, by intention."""

    def __init__(self, topology: Topology, side: str, *, backoff: Backoff, stop: threading.Event) -> None:
        self._topology = topology
        self._backoff = backoff
        self._stop = stop
        self._admin = admin(topology)
        self._id = producer_id(topology.name, side)
        limits = transaction_settings(topology)
        settings: dict[str, Any] = {
            "transactional.id": self._id,
            **limits,
            "compression.type": "lz4",
            "linger.ms": 5,
            "message.max.bytes": topology.topics.max_message_bytes,
            "queue.buffering.max.messages": 100_000,
            "queue.buffering.max.kbytes": 128 * 1024,  # never reached, see _WAITING_BYTES
        }
        self._trouble: KafkaError | None = None
        self._producer = Producer({**client_settings(topology, settings), "error_cb": self._note})
        self._pulse = Pulse(self._producer.list_topics, transactions_topic(topology.name, side))
        self._queues: dict[tuple[str, int], list[dict[str, Any]]] = defaultdict(list)  # by topic and partition
        self._events = self._bytes = 0  # in the queues
        self._unconfirmed = Unconfirmed()
        self._known: dict[tuple[str, int], float] = {}  # partition → monotonic time at which a record was sent to it last
        self._written: set[str] = set()  # topics of the open transaction
        self._partitions: dict[str, int] = {}
        self._made: dict[str, str] = {}  # the ids of topics that were made here
        self.began = 0.0  # monotonic time at which the open transaction began, 0 without one
        self._away = 0.0  # seconds of it in which the broker confirmed nothing
        self._longest = limits["transaction.timeout.ms"] / 1000 * _SAFE_PART

    def initialize(self) -> None:
        """Fence every older producer of this side and finish what it left open."""
        try:
            _repeated(self._producer.init_transactions, self._stop)
        except KafkaException as error:
            if is_denied(error):
                raise denied(self._topology, [Access(WRITE, TRANSACTIONAL_ID, self._id)]) from error
            raise
        self._partitions = existing_topics(self._admin, self._topology)
        self._trouble = None  # what one of several brokers did before anything was sent leaves nothing hanging

    def begin(self) -> None:
        """Begin a transaction unless one is open."""
        if not self.began:
            self._producer.begin_transaction()
            self.began, self._away = time.monotonic(), 0.0

    @property
    def overdue(self) -> bool:
        """Whether the open transaction has lasted for so long, while it went on, that the broker is about to abort it."""
        return self.began > 0 and time.monotonic() - self.began - self._away > self._longest

    def put(self, topic: str, partition: int, key: bytes | None, value: bytes) -> None:
        """Queue a message of the open transaction."""
        self._queues[topic, partition].append({"key": key, "value": value})
        self._events += 1
        self._bytes += len(value)

    def flush_when_full(self) -> None:
        """Hand the queues to the client once they are long."""
        if self._events >= _QUEUE_EVENTS or self._bytes >= _QUEUE_BYTES:
            self.flush()

    def flush(self) -> None:
        """Hand the queues to the client, waiting while the broker has much to confirm.

        The first record into a partition goes alone, and is confirmed before others follow. A broker that does not know a
        producer takes whatever sequence number comes first: had it refused the first record as it was not the leader yet, and
        taken the second, then the first would be lost, and both it and the client would call it delivered (KAFKA-15591).
        """
        self._await_room()
        self._written |= {topic for topic, _ in self._queues}
        now = time.monotonic()
        new = [key for key in self._queues if now - self._known.get(key, -_KNOWN_SECONDS) >= _KNOWN_SECONDS]
        for key in new:
            self._send(key, self._queues[key][:1])
            del self._queues[key][:1]
        if new:
            self._await_room(all_of_it=True)
        self._unconfirmed.add(self._events, self._bytes)
        for key, messages in self._queues.items():
            self._send(key, messages)
        self._known |= dict.fromkeys(self._queues, now)
        self._queues.clear()
        self._events = self._bytes = 0
        self._producer.poll(0)

    def _send(self, partition: tuple[str, int], messages: list[dict[str, Any]]) -> None:
        rest = messages
        while rest:
            self._producer.produce_batch(partition[0], rest, partition=partition[1])  # a message's own partition is not heeded
            try:
                rest = _not_queued(rest)
            except KafkaException as error:
                if error.args[0].name() == "_STATE":  # the transaction has failed meanwhile; why, its commit says at once
                    self._producer.commit_transaction(CALL_SECONDS)
                raise
            if rest:
                self._producer.poll(0.05)

    def _await_room(self, *, all_of_it: bool = False) -> None:
        """Back pressure: wait until little enough waits for the broker, or nothing. Raises Unreachable when told to stop.

        While the broker confirms nothing at all this is an outage, and said.
        """
        moved, before = time.monotonic(), -1
        while True:
            waiting = len(self._producer)
            self._unconfirmed.leave(waiting)
            room = self._unconfirmed.size <= _WAITING_BYTES and self._unconfirmed.events <= _WAITING_EVENTS
            if not waiting or (room and not all_of_it):
                break
            if waiting != before:
                moved, before = time.monotonic(), waiting
            if time.monotonic() - moved > CALL_SECONDS:
                if self._stop.is_set():
                    raise Unreachable("Kafka does not take what was sent")
                self._backoff.wait("Kafka has not confirmed what was sent", BROKER.advice)
                self._away += time.monotonic() - moved
                moved = time.monotonic()
            self._producer.poll(0.005)
        if before >= 0:
            self._backoff.reset()

    def commit(self) -> None:
        """Commit the open transaction; an outage of the broker is waited out, unless told to stop."""
        self.flush()
        failpoints.reach("producer.before_commit")
        while True:
            try:
                self._producer.commit_transaction(CALL_SECONDS)
                break
            except KafkaException as error:
                if is_denied(error):
                    raise denied(self._topology, [Access(WRITE, TOPIC, topic) for topic in sorted(self._written)]) from error
                if not error.args[0].retriable() or self._stop.is_set():
                    raise
                self._backoff.wait(f"Kafka has not confirmed a commit: {error_text(error)}", rule_of(error).advice)
        self._backoff.reset()
        self._pulse.heard()
        self.began = 0.0
        self._written.clear()
        failpoints.reach("producer.after_commit")

    def end_hanging(self, partitions: Iterable[tuple[str, int]], *, commit: bool) -> None:
        """End what hangs in these partitions (producers/hanging.py), by a record in each and a transaction around them."""
        self.begin()
        for topic, partition in partitions:
            self._queues[topic, partition].append({"key": NO_VALUE_KEY, "value": None})
        if commit:
            self.commit()
            return
        self.flush()
        if self._producer.flush(INIT_SECONDS):  # aborting takes back what is queued, so that its partition would get no marker
            raise Unreachable("Kafka has not taken the records that end a transaction")
        _repeated(self._producer.abort_transaction, self._stop)
        self.began = 0.0

    @property
    def was_cut_off(self) -> bool:
        """Whether a broker was away since the start: it may have left a transaction of ours hanging."""
        self._producer.poll(0)
        return self._trouble is not None

    def check(self) -> None:
        """Where nothing was heard of the brokers for a while, ask one. Raises KafkaException when none answers."""
        if not self.began:
            self._pulse.check()

    def _note(self, error: KafkaError) -> None:
        if rule_of(error).code == "broker_away":
            self._trouble = error

    def close(self) -> None:
        """Give the client up; an open transaction is left for the next `initialize` to abort."""
        self._producer.purge()
        give_up(self._close)

    def _close(self) -> None:
        with warnings.catch_warnings(), contextlib.suppress(KafkaException):
            warnings.simplefilter("ignore", RuntimeWarning)  # it cannot abort without its broker, or when it was fenced
            self._producer.close()

    def partitions(self, topic: str) -> int:
        """How many partitions a table's topic has; it is made when it is missing."""
        if topic not in self._partitions:
            settings = (self._topology.topics.partitions, event_topic_settings(self._topology))
            create_topics(self._admin, self._topology, {topic: settings})
            self._await(topic)
        return self._partitions[topic]

    def topic_id(self, topic: str) -> str:
        """The id that the broker gave a topic that exists."""
        return self._made.get(topic) or topic_ids(self._admin, [topic])[topic]

    def _await(self, topic: str) -> None:
        """Wait until the broker knows a topic that it has just made: the answer of its controller comes earlier."""
        deadline = time.monotonic() + TOPIC_SECONDS
        while True:
            found = described(self._admin, [topic]).get(topic)  # of this one alone: there may be thousands
            if found is not None:
                self._partitions[topic] = found.partitions
                self._made[topic] = found.identity
                return
            if time.monotonic() > deadline:
                raise Unreachable(
                    f"topic {topic} was created, but the broker does not know it after {TOPIC_SECONDS:.0f} s",
                    where=Where(topic=topic),
                )
            time.sleep(0.05)


def _repeated(call: Callable[[float], None], stop: threading.Event) -> None:
    """Make a call that goes on where it was when it is repeated, for INIT_SECONDS or until told to stop."""
    deadline = time.monotonic() + INIT_SECONDS
    while True:
        try:
            call(CALL_SECONDS)
            return
        except KafkaException as error:
            if error.args[0].name() != "_TIMED_OUT" or time.monotonic() > deadline or stop.is_set():
                raise


def _not_queued(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The messages for which the client's queue had no room.

    Raises KafkaException for one that it refused, Unreachable where a later one was taken: it would overtake the earlier one.
    """
    left = []
    for message in messages:
        error = message.pop("_error", None)
        if error is not None:
            if error.name() != "_QUEUE_FULL":
                raise KafkaException(error)
            left.append(message)
        elif left:
            raise Unreachable("the Kafka client's queue was full for a moment, in which events would have overtaken others")
    return left
