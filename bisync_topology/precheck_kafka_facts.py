"""What the broker says of itself, of topics that are there, and of what we may do: fetched, not judged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from typing import Any

import pymysql.err
from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka.admin import ConfigResource, NewTopic, ResourceType  # type: ignore[attr-defined]

from bisync_topology import kafka
from bisync_topology.errors import CaptureError
from bisync_topology.kafka_access import (
    CREATE,
    TOPIC,
    TRANSACTIONAL_ID,
    WRITE,
    Access,
    applier_access,
    is_denied,
    missing_access,
    producer_access,
    producer_id,
    reader_access,
)
from bisync_topology.mysql import connect
from bisync_topology.ownership import lock_name
from bisync_topology.precheck_seen import KafkaFacts, TopicFacts
from bisync_topology.topology import Topology
from producers.checkpoint import Checkpoint, check_topics, read_checkpoint
from schemas.topics import checkpoints_topic, ddl_topic

_TRY_SECONDS = 5.0  # for the broker's first answer
TRANSACTION_SECONDS = 30.0  # for the first transactional id, whose topic a new cluster makes then
_AWAY = ("_TIMED_OUT", "_TRANSPORT", "REQUEST_TIMED_OUT")


def read_kafka(topology: Topology, *, runs: bool = False) -> tuple[KafkaFacts, dict[str, Checkpoint]]:
    """Ask the broker; gives the checkpoints too. Raises Unreachable, CheckFailed where ACLs are missing that reading needs.

    runs: the producers are to be started then, so that ids which were used before are not tried.
    """
    client = kafka.admin(topology)
    brokers = kafka.broker_count(client, topology, timeout=_TRY_SECONDS)
    kafka.check_access(client, topology, reader_access(topology))
    topics = kafka.existing_topics(client, topology)
    lost, checkpoints = {}, {}
    if checkpoints_topic(topology.name) in topics:
        for side in topology.sides:
            checkpoint = read_checkpoint(topology, side)
            if checkpoint is None:
                continue
            checkpoints[side] = checkpoint
            try:
                check_topics(topology, side, checkpoint)
            except CaptureError as error:
                lost[side] = error
    try:
        denied = missing_access(client, topology, _work(topology), fresh=partial(kafka.admin, topology))
        refused = _refused(client, topology, topics)
        transactions, used = _transactions(topology, frozenset(checkpoints) if runs else frozenset())
        facts = KafkaFacts(
            brokers=brokers,
            topics=len(topics),
            lost=lost,
            details=_details(client, topics),
            broker=_broker_settings(client),
            denied=tuple(dict.fromkeys((*denied, *refused[0], *transactions[0]))),
            refused=refused[1],
            transactions=transactions[1],
            used=used,
        )
    except KafkaException as error:
        raise kafka.unreachable(topology, client.reason(error)) from error
    return facts, checkpoints


def _work(topology: Topology) -> list[Access]:
    """What all processes need, where one principal runs them, as `up` does."""
    needed = [access for side in topology.sides if topology.directions_from(side) for access in producer_access(topology, side)]
    return needed + [
        access for side in topology.sides if topology.directions_into(side) for access in applier_access(topology, side)
    ]


def _refused(client: kafka.Admin, topology: Topology, topics: Iterable[str]) -> tuple[list[Access], str]:
    """(what is denied of making topics, why else the broker would refuse): it is asked to say so, and makes none."""
    wanted = {name: how for name, how in kafka.control_topics(topology).items() if name not in set(topics)}
    for side in topology.sides:  # that of a table
        if topology.directions_from(side):
            wanted[f"{ddl_topic(topology.name, side)}.precheck"] = (
                topology.topics.partitions,
                kafka.event_topic_settings(topology),
            )
    factor = topology.topics.replication_factor
    new = [
        NewTopic(name, num_partitions=count, replication_factor=factor, config=dict(settings))
        for name, (count, settings) in wanted.items()
    ]
    denied, words = [], ""
    for name, future in client.create_topics(new, validate_only=True, request_timeout=kafka.ADMIN_TIMEOUT).items():
        try:
            future.result()
        except KafkaException as error:
            if is_denied(error):
                side_wide = name.endswith(".precheck")
                denied.append(Access(CREATE, TOPIC, name.removesuffix("precheck"), prefixed=side_wide))
            elif error.args[0].retriable() or error.args[0].name() in _AWAY:
                raise
            elif error.args[0].name() != "TOPIC_ALREADY_EXISTS":
                words = f"topic {name}: {kafka.error_text(error)}"
    return denied, words


def _details(client: kafka.Admin, topics: Iterable[str]) -> dict[str, TopicFacts]:
    metadata = client.list_topics(timeout=kafka.ADMIN_TIMEOUT).topics
    names = [name for name in topics if name in metadata and metadata[name].partitions]
    settings = _settings(client, ResourceType.TOPIC, names)
    return {
        name: TopicFacts(
            partitions=len(metadata[name].partitions),
            copies=min(len(each.replicas) for each in metadata[name].partitions.values()),
            settings=settings.get(name, {}),
        )
        for name in names
    }


def _broker_settings(client: kafka.Admin) -> Mapping[str, str]:
    brokers = [str(number) for number in client.list_topics(timeout=kafka.ADMIN_TIMEOUT).brokers]
    return _settings(client, ResourceType.BROKER, brokers[:1]).get(brokers[0], {}) if brokers else {}


def _settings(client: kafka.Admin, kind: Any, names: Iterable[str]) -> dict[str, dict[str, str]]:
    """Resource → its settings, of those that we may see; no process needs to."""
    wanted = [ConfigResource(kind, name) for name in names]
    if not wanted:
        return {}
    found = {}
    for resource, future in client.describe_configs(wanted, request_timeout=kafka.ADMIN_TIMEOUT).items():
        try:
            found[resource.name] = {name: str(entry.value) for name, entry in future.result().items() if entry.value is not None}
        except KafkaException as error:
            if not is_denied(error):
                raise
    return found


def _transactions(topology: Topology, used: frozenset[str]) -> tuple[tuple[list[Access], dict[str, str]], frozenset[str]]:
    """((denied ids, side → why its id cannot be used), sides whose id was not tried). used: those that need not be.

    It is tried, as nothing else tells: that ends what a dead producer has left open, as the next start does anyway. A producer
    that runs would be fenced, so its id is left alone.
    """
    sides = [side for side in topology.sides if topology.directions_from(side)]
    ids = {side: producer_id(topology.name, side) for side in sides if side not in used and _idle(topology, side)}
    with ThreadPoolExecutor(len(sides) or 1) as pool:
        errors = dict(zip(ids, pool.map(partial(_tried, topology), ids.values()), strict=True))
    denied = [Access(WRITE, TRANSACTIONAL_ID, ids[side]) for side, error in errors.items() if error and is_denied(error)]
    words = {side: kafka.error_text(error) if error and not is_denied(error) else "" for side, error in errors.items()}
    return (denied, words), frozenset(sides) - frozenset(ids)


def _tried(topology: Topology, identity: str) -> KafkaError | None:
    settings: dict[str, str | int | bool] = {"transactional.id": identity, **kafka.transaction_settings(topology)}
    held = [Producer(kafka.client_settings(topology, settings))]
    try:
        held[0].init_transactions(TRANSACTION_SECONDS)
    except KafkaException as error:
        found: KafkaError = error.args[0]
        return found
    finally:
        kafka.give_up(held.clear)
    return None


def _idle(topology: Topology, side: str) -> bool:
    """Whether no producer of the side runs: its lock is free. Where that cannot be asked, one may."""
    try:
        with closing(connect(topology.sides[side].mysql, read_timeout=_TRY_SECONDS)) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT IS_FREE_LOCK(%s)", (lock_name(topology.name, f"producer {side}"),))
            return bool(cursor.fetchall()[0][0])
    except (pymysql.err.MySQLError, OSError):
        return False
