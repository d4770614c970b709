"""Kafka's admin side and what is common to its clients: properties, topics with explicit settings, errors as rules."""

import _thread
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from bisync_topology.error_table import AWAY, Category, Rule
from bisync_topology.errors import BisyncError, CheckFailed, Unreachable, UsageError, Where, kafka_rule
from bisync_topology.kafka_access import CREATE, TOPIC, Access, denied, is_denied, missing_access
from bisync_topology.mysql import DEAD_SECONDS, HEARTBEAT_SECONDS
from bisync_topology.topology import Topology
from schemas.topics import checkpoints_topic, conflicts_topic, ddl_topic, schemas_topic, side_prefix, transactions_topic

ADMIN_TIMEOUT = 15.0  # seconds
CLOSE_SECONDS = 3.0  # for a client to end; a commit that waits for a broker that is away would hold it up for a minute
# A broker that does not answer a request for so long counts as away; the client's default is a minute, and for a transactional
# producer as long as a transaction may last.
LINK_TIMEOUT_MS = int(DEAD_SECONDS * 1000)
TRANSACTION_TIMEOUT_MS = 15 * 60 * 1000
_ALREADY_EXISTS = "TOPIC_ALREADY_EXISTS"
_TOO_FEW_BROKERS = "INVALID_REPLICATION_FACTOR"  # said by one that is stopping too, and while others of a cluster are away


def transaction_settings(topology: Topology) -> dict[str, int]:
    """How long a producer's transaction may last, by the file or by us; a socket's time-out has to be shorter."""
    timeout = int(topology.kafka.get("transaction.timeout.ms", TRANSACTION_TIMEOUT_MS))
    return {"transaction.timeout.ms": timeout, "socket.timeout.ms": min(LINK_TIMEOUT_MS, timeout // 2)}


def client_settings(topology: Topology, more: Mapping[str, str | int | bool] | None = None) -> dict[str, Any]:
    """librdkafka properties: ours first, so that the user's win; nothing is logged by the client itself."""
    ours: dict[str, str | int | bool] = {
        "log_level": 0,
        "client.id": f"bisync-{topology.name}",
        "socket.timeout.ms": LINK_TIMEOUT_MS,
        "socket.keepalive.enable": True,
    }
    return {**ours, **(more or {}), **topology.kafka}


def rule_of(error: KafkaException | KafkaError) -> Rule:
    """What to do about a Kafka error."""
    inner = error.args[0] if isinstance(error, KafkaException) else error
    if not isinstance(inner, KafkaError):
        return AWAY
    return kafka_rule(inner.name(), retriable=inner.retriable(), fatal=inner.fatal(), abortable=inner.txn_requires_abort())


def error_text(error: KafkaException | KafkaError) -> str:
    """Name and words of a Kafka error."""
    inner = error.args[0] if isinstance(error, KafkaException) else error
    return f"{inner.name()}: {inner.str()}" if isinstance(inner, KafkaError) else str(error)


class Admin(AdminClient):
    """An admin client that keeps why brokers refuse it: its calls say only that none has answered."""

    def __init__(self, settings: dict[str, Any]) -> None:
        refusals = self._refusals = deque[KafkaError](maxlen=1)  # a method as callback would keep us, and threads, alive

        def note(error: KafkaError) -> None:
            if rule_of(error).code == "kafka_login":
                refusals.append(error)

        more: dict[str, Any] = {"error_cb": note}
        super().__init__(settings | more)

    def __del__(self) -> None:
        """Let another thread drop the last reference, which may wait as said at `give_up`.

        Garbage may be collected at any moment, so nothing of `threading` is used, whose locks may be held then.
        """
        with suppress(RuntimeError):  # the interpreter is about to end, and begins no thread any more
            _thread.start_new_thread(_let_go, ([self],))

    def reason(self, error: KafkaException) -> KafkaException:
        """The refusal behind a call that nobody answered, or the error itself."""
        self.poll(0)
        return KafkaException(self._refusals.pop()) if self._refusals else error


def give_up(close: Callable[[], object], seconds: float = CLOSE_SECONDS) -> None:
    """Close a client, waiting for it so many seconds at most; behind them it is left to a thread of its own.

    A client whose broker has just come back may wait for ever for one of its threads (librdkafka#4519).
    """
    closing = threading.Thread(target=close, name="close", daemon=True)
    closing.start()
    closing.join(seconds)


def _let_go(clients: list[Admin]) -> None:
    """Drop a client's last reference; until a collector that found it in a cycle is done, that has others."""
    while sys.getrefcount(clients[0]) > 2:  # the list's, and the call's own
        time.sleep(0.01)


class Pulse:
    """Asks brokers for a sign of life where none has come for HEARTBEAT_SECONDS, so that a dead link is found in twice that."""

    def __init__(self, ask: Callable[..., object], topic: str) -> None:
        """ask: a client's `list_topics`."""
        self._ask, self._topic = ask, topic
        self._heard = time.monotonic()

    def heard(self) -> None:
        """Something has come."""
        self._heard = time.monotonic()

    def check(self) -> None:
        """Ask, if it is time. Raises KafkaException when no broker answers."""
        if time.monotonic() - self._heard > HEARTBEAT_SECONDS:
            self._ask(self._topic, timeout=DEAD_SECONDS - HEARTBEAT_SECONDS)
            self.heard()


def admin(topology: Topology) -> Admin:
    """An admin client."""
    return Admin(client_settings(topology))


def broker_count(client: Admin, topology: Topology, timeout: float = ADMIN_TIMEOUT) -> int:
    """How many brokers there are.

    Raises Unreachable when none answers within timeout seconds, UsageError when they refuse login or TLS.
    """
    try:
        return len(client.list_topics(timeout=timeout).brokers)
    except KafkaException as error:
        reason = client.reason(error)
        rule, servers = rule_of(reason), topology.kafka.get("bootstrap.servers", "")
        if rule.code == "kafka_login":
            text = f"Kafka at {servers} refuses us: {error_text(reason)}"
            raise UsageError(text, hint=rule.advice, code=rule.code) from error
        raise unreachable(topology, reason) from error


def existing_topics(client: Admin, topology: Topology) -> dict[str, int]:
    """Topic → number of partitions, of the topics with this topology's prefix.

    Raises Unreachable when the broker does not answer, or refuses login or TLS: one of a cluster may do so while it starts.
    """
    try:
        metadata = client.list_topics(timeout=ADMIN_TIMEOUT)
    except KafkaException as error:
        raise unreachable(topology, client.reason(error)) from error
    prefix = f"{topology.name}."
    return {name: len(topic.partitions) for name, topic in metadata.topics.items() if name.startswith(prefix)}


def check_access(client: Admin, topology: Topology, needed: Sequence[Access]) -> None:
    """Ask the broker what we may do. Raises CheckFailed that names all that is missing, Unreachable."""
    try:
        missing = missing_access(client, topology, needed, fresh=partial(admin, topology))
    except KafkaException as error:
        raise unreachable(topology, client.reason(error)) from error
    if missing:
        raise denied(topology, missing)


def unreachable(topology: Topology, error: KafkaException) -> BisyncError:
    """The error as one of ours, with the address."""
    rule = rule_of(error)
    servers = topology.kafka.get("bootstrap.servers", "")
    return Unreachable(f"Kafka at {servers} does not answer: {error_text(error)}", hint=rule.advice, code=rule.code)


def as_ours(error: Exception) -> BisyncError:
    """A KafkaException that nobody expected, for a command that ends with it."""
    assert isinstance(error, KafkaException)
    rule = rule_of(error)
    return _kind(rule)(f"Kafka: {error_text(error)}", hint=rule.advice, code=rule.code)


def _kind(rule: Rule) -> type[Unreachable] | type[CheckFailed]:
    """What passes by itself is waited for."""
    return Unreachable if rule.category in (Category.RECONNECT, Category.RETRY_TRANSACTION) else CheckFailed


def control_topics(topology: Topology, only: str | None = None) -> dict[str, tuple[int, Mapping[str, str]]]:
    """Topics that every topology has → (partitions, settings); only: those of one side.

    Checkpoints, schemas and conflicts have a partition a side: readers see committed records only up to the oldest open
    transaction of the partition, and another side's must not hide ours.
    """
    # small segments, as compaction leaves the one that is written to alone and every start reads all of it
    compacted = {
        "cleanup.policy": "compact",
        "segment.bytes": str(8 << 20),
        "segment.ms": "600000",
        "min.cleanable.dirty.ratio": "0.1",
        "max.message.bytes": str(4 << 20),
    }
    kept = {"retention.ms": str(topology.conflicts.retention_ms)}
    topics: dict[str, tuple[int, Mapping[str, str]]] = {
        checkpoints_topic(topology.name): (len(topology.sides), compacted),
        schemas_topic(topology.name): (len(topology.sides), compacted),
        conflicts_topic(topology.name): (len(topology.sides), event_topic_settings(topology) | kept),
    }
    for side in topology.sides if only is None else (only,):
        topics[transactions_topic(topology.name, side)] = (1, event_topic_settings(topology))
        topics[ddl_topic(topology.name, side)] = (1, event_topic_settings(topology))
    return topics


def event_topic_settings(topology: Topology) -> dict[str, str]:
    """Settings of a topic that holds events."""
    return {
        "cleanup.policy": "delete",
        "retention.ms": str(topology.topics.retention_ms),
        "max.message.bytes": str(topology.topics.max_message_bytes),
    }


def side_partition(topology: Topology, side: str) -> int:
    """A side's partition of the topics of checkpoints, schemas and conflicts."""
    return sorted(topology.sides).index(side)


def side_partitions(topology: Topology, side: str, topics: Mapping[str, int]) -> list[tuple[str, int]]:
    """The partitions of a side's events, its transaction list and its DDL. topics: as existing_topics gives them."""
    prefix = side_prefix(topology.name, side)
    own = ((name, count) for name, count in topics.items() if name == prefix or name.startswith(f"{prefix}."))
    return [(name, number) for name, count in own for number in range(count)]


def create_topics(client: AdminClient, topology: Topology, topics: Mapping[str, tuple[int, Mapping[str, str]]]) -> None:
    """Create topics that are missing; those that exist keep what they have.

    Raises CheckFailed where the broker refuses, Unreachable where it does not answer.
    """
    if not topics:
        return
    factor = topology.topics.replication_factor
    new = [
        NewTopic(name, num_partitions=partitions, replication_factor=factor, config=dict(settings))
        for name, (partitions, settings) in topics.items()
    ]
    for name, future in client.create_topics(new, operation_timeout=ADMIN_TIMEOUT, request_timeout=ADMIN_TIMEOUT).items():
        try:
            future.result()
        except KafkaException as error:
            if error.args[0].name() == _ALREADY_EXISTS:
                continue
            if is_denied(error):
                raise denied(topology, [Access(CREATE, TOPIC, name)], f"topic {name} cannot be created: ") from error
            rule = rule_of(error)
            kind = Unreachable if error.args[0].name() == _TOO_FEW_BROKERS else _kind(rule)
            raise kind(
                f"topic {name} cannot be created: {error_text(error)}", hint=rule.advice, code=rule.code, where=Where(topic=name)
            ) from error


def ensure_control_topics(topology: Topology, side: str | None = None) -> list[str]:
    """Create those of a topology's own topics that are missing, or those that a side's producer writes to; gives their names.

    Raises as create_topics does.
    """
    client = admin(topology)
    present = existing_topics(client, topology)
    missing = {name: how for name, how in control_topics(topology, side).items() if name not in present}
    create_topics(client, topology, missing)
    return list(missing)


class Described(NamedTuple):
    """What a broker says of a topic. identity: that it gave it; a topic that was made anew has another one."""

    identity: str
    partitions: int


def topic_ids(client: AdminClient, names: Iterable[str]) -> dict[str, str]:
    """Topic → its id, of those that exist."""
    return {name: topic.identity for name, topic in described(client, names).items()}


def described(client: AdminClient, names: Iterable[str]) -> dict[str, Described]:
    """Topic → what the broker says of it, of those that exist; others are not asked for. Raises KafkaException."""
    wanted = list(names)
    if not wanted:
        return {}
    found = {}
    for name, future in client.describe_topics(TopicCollection(wanted), request_timeout=ADMIN_TIMEOUT).items():
        try:
            topic = future.result()
            found[name] = Described(str(topic.topic_id), len(topic.partitions))
        except KafkaException as error:
            if error.args[0].name() != "UNKNOWN_TOPIC_OR_PART":
                raise
    return found
