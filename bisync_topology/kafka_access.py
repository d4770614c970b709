"""What each process must be allowed to do at the broker, and which of it is missing: asked at its start, and named.

Kafka says of a denied request that it was denied, and of a topic that may not be seen nothing at all. So a process asks what it
is allowed before it begins, and the error names the operation and the resource, with the command that grants it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from bisync_topology.errors import CheckFailed
from bisync_topology.topology import Topology
from schemas.topics import (
    checkpoints_topic,
    conflicts_topic,
    consumer_group,
    ddl_topic,
    schemas_topic,
    side_prefix,
    transactions_topic,
)

READ, WRITE, CREATE, DESCRIBE = "Read", "Write", "Create", "Describe"
TOPIC, GROUP, TRANSACTIONAL_ID = "topic", "group", "transactional-id"
DENIED = frozenset(f"{kind}_AUTHORIZATION_FAILED" for kind in ("TOPIC", "GROUP", "TRANSACTIONAL_ID", "CLUSTER"))
ALL = frozenset({"READ", "WRITE", "DESCRIBE"})
ASK_SECONDS = 15.0
_GROUP_TRIES = 5
# A topic that is not there yet; a group whose broker is not ready to speak of it, which it is not before it is first asked.
_UNKNOWN = ("UNKNOWN_TOPIC_OR_PART", "COORDINATOR_LOAD_IN_PROGRESS", "COORDINATOR_NOT_AVAILABLE", "NOT_COORDINATOR")


@dataclass(frozen=True)
class Access:
    """One ACL. prefixed: on every resource whose name begins so."""

    operation: str
    kind: str
    name: str
    prefixed: bool = False

    def __str__(self) -> str:
        """Give `Read on topic shop.east.transactions`."""
        return f"{self.operation} on {self.kind} {self.name}{'*' if self.prefixed else ''}"


def reader_group(name: str) -> str:
    """The group of those who read a few records and commit no position."""
    return f"{name}.reader"


def producer_id(name: str, side: str) -> str:
    """A producer's transactional id."""
    return f"{name}.{side}.producer"


def producer_access(topology: Topology, side: str) -> list[Access]:
    """What `producer SIDE` needs; `init --reset SIDE OTHER` too."""
    name = topology.name
    topics = _side_topics(name, side, conflicts_topic(name))
    own = [Access(operation, *place) for place in topics for operation in (CREATE, WRITE, READ)]
    return [*own, Access(DESCRIBE, GROUP, reader_group(name)), Access(WRITE, TRANSACTIONAL_ID, producer_id(name, side))]


def applier_access(topology: Topology, side: str) -> list[Access]:
    """What `applier SIDE` needs."""
    name = topology.name
    read = [Access(READ, *place) for place in _side_topics(name, topology.other(side))]
    read.append(Access(READ, TOPIC, ddl_topic(name, side)))  # what its own side's statements change
    return [*read, Access(DESCRIBE, GROUP, reader_group(name)), Access(READ, GROUP, consumer_group(name, side))]


def reader_access(topology: Topology) -> list[Access]:
    """What `precheck`, `status` and a late `wait` need; `up` creates topics beside, and its children have what it has."""
    name = topology.name
    lists = [Access(READ, TOPIC, transactions_topic(name, side)) for side in topology.sides]
    see = Access(DESCRIBE, TOPIC, f"{name}.", prefixed=True)
    return [Access(READ, TOPIC, checkpoints_topic(name)), *lists, see, Access(DESCRIBE, GROUP, reader_group(name))]


def _side_topics(name: str, side: str, *more: str) -> Iterator[tuple[str, str, bool]]:
    """(kind, name, prefixed) of the topics of a side's changes, and of more topics."""
    for topic in (checkpoints_topic(name), schemas_topic(name), *more):
        yield TOPIC, topic, False
    yield TOPIC, f"{side_prefix(name, side)}.", True
    yield TOPIC, ddl_topic(name, side), False


def missing_access(
    client: AdminClient, topology: Topology, needed: Sequence[Access], *, fresh: Callable[[], AdminClient]
) -> list[Access]:
    """Ask the broker what we may do; gives what is missing of it. fresh: makes another client. Raises KafkaException.

    Topics that are not there yet, and transactional ids, cannot be asked for: their refusal is named when it comes.
    """
    lists = [transactions_topic(topology.name, side) for side in topology.sides]
    stands = {
        access: _asked(access, lists) for access in needed if access.kind != TRANSACTIONAL_ID and access.operation != CREATE
    }
    topics = TopicCollection(sorted({name for access, name in stands.items() if access.kind == TOPIC}))
    asked: dict[str, Any] = dict(client.describe_topics(topics, include_authorized_operations=True, request_timeout=ASK_SECONDS))
    allowed = {name: _operations(future) for name, future in asked.items()}
    for group in {access.name for access in stands if access.kind == GROUP}:
        allowed[group] = group_operations(fresh, group)
    return [access for access, name in stands.items() if access.operation.upper() not in allowed[name]]


def _asked(access: Access, lists: Sequence[str]) -> str:
    """The resource that is asked for: where all that begin with a name are meant, a side's list stands for them.

    To see them all is asked of one that is not there: it is denied, or unknown.
    """
    if not access.prefixed:
        return access.name
    if access.operation == DESCRIBE:
        return f"{access.name}any"
    return next(name for name in lists if name.startswith(access.name))


def group_operations(fresh: Callable[[], AdminClient], group: str) -> frozenset[str]:
    """The same of a group; a client describes one at a time.

    The first question about any group has a new cluster make their topic, and may get no answer: it is asked again. By
    another client each time: one whose question was not answered in time kills its process when the broker comes to it after
    all (an assertion of librdkafka 2.16), so it is given up at once.
    """
    seconds, tried = ASK_SECONDS / _GROUP_TRIES, 0
    while True:
        client = fresh()
        (future,) = client.describe_consumer_groups([group], include_authorized_operations=True, request_timeout=seconds).values()
        try:
            return _operations(future)
        except KafkaException as error:
            tried += 1
            if tried == _GROUP_TRIES or error.args[0].name() != "_TIMED_OUT":
                raise
        finally:
            del client


def _operations(future: Any) -> frozenset[str]:
    """The operations that a broker allows; all where it does not say. Raises KafkaException where it does not answer."""
    try:
        found = future.result().authorized_operations
    except KafkaException as error:
        if error.args[0].name() in DENIED:
            return frozenset()
        if error.args[0].name() in _UNKNOWN:
            return ALL
        raise
    return frozenset(operation.name for operation in found) if found else ALL


def is_denied(error: KafkaException | KafkaError) -> bool:
    """Whether the broker lacks an ACL for it."""
    inner = error.args[0] if isinstance(error, KafkaException) else error
    return isinstance(inner, KafkaError) and inner.name() in DENIED


def denied(topology: Topology, missing: Iterable[Access], doing: str = "") -> CheckFailed:
    """The error that names what is missing and the commands that grant it. doing: words that go before."""
    missing = list(dict.fromkeys(missing))
    text = ", ".join(map(str, missing))
    return CheckFailed(
        f"{doing}Kafka denies us {text} (AUTHORIZATION_FAILED)",
        hint=f"grant the Kafka principal what it lacks: {'; '.join(_command(topology.kafka, access) for access in missing)}",
        code="kafka_denied",
    )


def _command(kafka: Mapping[str, str], access: Access) -> str:
    principal = kafka.get("sasl.username", "CN=…")
    prefixed = " --resource-pattern-type prefixed" if access.prefixed else ""
    return (
        f"`kafka-acls.sh --bootstrap-server {kafka.get('bootstrap.servers', '…')} --add --allow-principal 'User:{principal}'"
        f" --operation {access.operation} --{access.kind} {access.name}{prefixed}`"
    )
