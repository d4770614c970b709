"""The precheck of the broker: reachable, what we may do there, topics as the file says and able to take what comes. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from bisync_topology.errors import rule_for, words
from bisync_topology.kafka_access import denied, producer_id
from bisync_topology.ownership import waits_out
from bisync_topology.precheck_item import BROKER, FAIL, LOGIN, PASS, WARN, Item
from bisync_topology.precheck_seen import KafkaFacts
from bisync_topology.precheck_server import span
from bisync_topology.topology import RETENTION_FOREVER, Topology
from schemas.topics import checkpoints_topic, conflicts_topic, ddl_topic, schemas_topic, side_prefix, transactions_topic

SAFE_COPIES = 3  # where there are brokers enough


def evaluate(topology: Topology, found: KafkaFacts | Exception, *, runs: bool = False) -> Iterator[Item]:
    """Give the items. runs: this principal is to run every process, so that what one of them lacks is a failure."""
    if not isinstance(found, KafkaFacts):
        away, rule = waits_out(found), rule_for(found)
        item = LOGIN if rule.code == "kafka_login" else BROKER
        yield Item(item, None, FAIL, words(found), "changes travel through Kafka", rule.advice, away=away)
        return
    servers = topology.kafka.get("bootstrap.servers")
    yield Item(BROKER, None, PASS, f"{servers} answers: {found.brokers} broker{'s' * (found.brokers != 1)}")
    yield _access(topology, found, runs=runs)
    yield _transactions(topology, found)
    yield from _copies(topology, found)
    yield from _in_sync(topology, found)
    yield from _sizes(topology, found)
    yield from _retention(topology, found)
    yield _policy(topology, found)
    yield _partitions(topology, found)
    for side, lost in found.lost.items():
        yield Item("topics", side, FAIL, lost.message, "a gap would be passed in silence", lost.hint)
    if not found.lost:
        seen = f"{found.topics} of this topology, as the checkpoints know them" if found.topics else "none yet: a first start"
        yield Item("topics", None, PASS, seen)


def _access(topology: Topology, found: KafkaFacts, *, runs: bool) -> Item:
    if not found.denied:
        return Item("acls", None, PASS, "none is missing for producers, appliers and commands")
    error = denied(topology, found.denied)
    why = "`up` runs every process under this principal; those with one of their own ask for themselves"
    return Item("acls", None, FAIL if runs else WARN, error.message, why, error.hint)


def _transactions(topology: Topology, found: KafkaFacts) -> Item:
    bad = {side: said for side, said in found.transactions.items() if said}
    if not bad:
        ids = {access.name for access in found.denied}
        usable = [side for side in found.transactions if producer_id(topology.name, side) not in ids]
        seen = [f"usable for {', '.join(usable)}"] if usable else []
        seen += [f"in use by the producer of {', '.join(sorted(found.used))}"] if found.used else []
        return Item("transactional_id", None, PASS, "; ".join(seen) or "denied, as said above")
    side, said = next(iter(bad.items()))
    why = "changes and their position are written in Kafka's transactions, so that none comes twice"
    if "TRANSACTION_TIMEOUT" in said:
        timeout = topology.kafka.get("transaction.timeout.ms", 900_000)
        fix = (
            f"transaction.max.timeout.ms={timeout}    # in server.properties of each broker, which is then restarted;"
            " or lower transaction.timeout.ms below `kafka` in topology.yaml"
        )
    else:
        fix = (
            f"transaction.state.log.replication.factor={min(found.brokers, SAFE_COPIES)}\n"
            f"transaction.state.log.min.isr={max(1, min(found.brokers, SAFE_COPIES) - 1)}"
            "    # in server.properties of each broker, which is then restarted"
        )
    return Item("transactional_id", side, FAIL, f"no transaction can be begun: {said}", why, fix)


def _copies(topology: Topology, found: KafkaFacts) -> Iterator[Item]:
    factor = topology.topics.replication_factor
    if factor > found.brokers:
        seen = f"topics.replication_factor is {factor}, there are {found.brokers} brokers"
        why = "the broker refuses to create topics with more copies than brokers"
        yield Item("replication_factor", None, FAIL, seen, why, f"topics: {{replication_factor: {found.brokers}}}")
        return
    if found.refused:
        why = "the first change of a table makes its topic"
        yield Item(
            "replication_factor", None, FAIL, f"the broker refuses: {found.refused}", why, "mend what it says, or change `topics`"
        )
        return
    number = factor if factor > 0 else int(found.broker.get("default.replication.factor", found.brokers))
    wanted = min(found.brokers, SAFE_COPIES)
    few = [name for name, topic in sorted(found.details.items()) if topic.copies < (factor if factor > 0 else 1)]
    if few:
        seen = f"{_such_as(few)} has {found.details[few[0]].copies}, topics.replication_factor is {factor}"
        why = "topics that exist keep what they have; with its broker a copy is lost"
        fix = f"kafka-reassign-partitions.sh --execute    # with {factor} replicas for each partition of {', '.join(few[:3])}"
        yield Item("replication_factor", None, WARN, seen, why, fix)
    elif number < wanted:
        seen = f"topics are made with {number} cop{'ies' if number != 1 else 'y'} on {found.brokers} brokers"
        why = "a broker that is lost takes changes with it that were acknowledged"
        yield Item("replication_factor", None, WARN, seen, why, f"topics: {{replication_factor: {wanted}}}")
    else:
        yield Item("replication_factor", None, PASS, f"{number}, on {found.brokers} broker{'s' * (found.brokers != 1)}")


def _in_sync(topology: Topology, found: KafkaFacts) -> Iterator[Item]:
    """A topic with fewer copies than must be in sync takes no record; with one of many, an acknowledged one may be lost."""
    wanted = {
        name: int(topic.settings["min.insync.replicas"])
        for name, topic in found.details.items()
        if "min.insync.replicas" in topic.settings
    }
    stuck = sorted(name for name, number in wanted.items() if number > found.details[name].copies)
    why = "a record counts as written when so many copies have it"
    for name in stuck:
        copies = found.details[name].copies
        yield Item(
            "min_insync_replicas",
            None,
            FAIL,
            f"{name}: {wanted[name]} of {copies} copies",
            why,
            _set(topology, name, "min.insync.replicas", copies),
        )
    factor = topology.topics.replication_factor
    default = int(found.broker.get("min.insync.replicas", "0"))
    if default and 0 < factor < default:
        seen = f"the broker's default is {default}, topics.replication_factor is {factor}: new topics would take no record"
        fix = f"topics: {{replication_factor: {min(found.brokers, default + 1)}}}"
        if found.brokers < default:
            fix = _configs(topology, f"--entity-type brokers --entity-default --add-config min.insync.replicas={factor}")
        yield Item("min_insync_replicas", None, FAIL, seen, why, fix)
    elif not stuck:
        weak = sorted(name for name, number in wanted.items() if number < 2 and found.details[name].copies >= SAFE_COPIES)
        if weak:
            seen = f"{_such_as(weak)} has {found.details[weak[0]].copies} copies and needs 1 in sync"
            fix = _set(topology, weak[0], "min.insync.replicas", 2)
            yield Item("min_insync_replicas", None, WARN, seen, "the one copy that has a record may be the one that is lost", fix)
        else:
            yield Item(
                "min_insync_replicas",
                None,
                PASS,
                _seen(found, "min.insync.replicas") or f"{default or 'not to be seen'} by default",
            )


def _sizes(topology: Topology, found: KafkaFacts) -> Iterator[Item]:
    wanted = topology.topics.max_message_bytes
    small = _less(topology, found, "max.message.bytes", wanted)
    why = "a change of a long row is refused there, and stops the direction"
    for name in small:
        taken = int(found.details[name].settings["max.message.bytes"])
        seen = f"{name} takes {taken:,} bytes, topics.max_message_bytes is {wanted:,}"
        yield Item("max_message_bytes", None, WARN, seen, why, _set(topology, name, "max.message.bytes", wanted))
    request = int(found.broker.get("socket.request.max.bytes", "0"))
    if 0 < request < wanted:
        seen = f"the broker takes requests of {request:,} bytes, topics.max_message_bytes is {wanted:,}"
        yield Item("max_message_bytes", None, WARN, seen, why, f"topics: {{max_message_bytes: {request - 65_536}}}")
    elif not small:
        yield Item("max_message_bytes", None, PASS, f"{wanted:,} bytes, of each topic")


def _retention(topology: Topology, found: KafkaFacts) -> Iterator[Item]:
    wanted = topology.topics.retention_ms
    short = _less(topology, found, "retention.ms", wanted)
    for name in short:
        kept = span(int(found.details[name].settings["retention.ms"]) // 1000)
        seen = f"{name} keeps changes for {kept}, topics.retention is {_lasting(wanted)}"
        why = "topics that exist keep what they have; an applier that is away for longer cannot go on from where it was"
        yield Item("retention", None, WARN, seen, why, _set(topology, name, "retention.ms", wanted))
    if not short:
        yield Item("retention", None, PASS, f"{_lasting(wanted)}: an applier may be away for so long")


def _policy(topology: Topology, found: KafkaFacts) -> Item:
    """Checkpoints and schemas are to stay; events are not to be compacted, as each is listed."""
    name = topology.name
    for topic, facts in sorted(found.details.items()):
        wanted = "compact" if topic in (checkpoints_topic(name), schemas_topic(name)) else "delete"
        policy = facts.settings.get("cleanup.policy", wanted)
        if policy != wanted:
            why = (
                "what a start reads would be deleted with time" if wanted == "compact" else "events that are listed would be gone"
            )
            fix = _set(topology, topic, "cleanup.policy", wanted)
            return Item("cleanup_policy", None, FAIL, f"{topic}: {policy}; it must be {wanted}", why, fix)
    return Item("cleanup_policy", None, PASS, "compact for checkpoints and schemas, delete for events")


def _partitions(topology: Topology, found: KafkaFacts) -> Item:
    wanted = topology.topics.partitions
    others = sorted(
        name for name, facts in found.details.items() if facts.partitions != wanted and name in _of_tables(topology, found)
    )
    if not others:
        return Item("partitions", None, PASS, f"{wanted}, of a table's topic")
    count = found.details[others[0]].partitions
    seen = f"{_such_as(others)} has {count}, topics.partitions is {wanted}"
    why = "topics that exist keep what they have: the setting holds for new ones only"
    return Item("partitions", None, WARN, seen, why, f"topics: {{partitions: {count}}}")


def _less(topology: Topology, found: KafkaFacts, setting: str, wanted: int) -> list[str]:
    """Topics of events in which a setting is less than the file says; -1 is without end."""
    own = {checkpoints_topic(topology.name), schemas_topic(topology.name), conflicts_topic(topology.name)}
    values = {
        name: int(facts.settings[setting])
        for name, facts in found.details.items()
        if setting in facts.settings and name not in own
    }
    endless = RETENTION_FOREVER
    return sorted(name for name, value in values.items() if value != endless and (wanted == endless or value < wanted))


def _of_tables(topology: Topology, found: KafkaFacts) -> set[str]:
    sides = [side_prefix(topology.name, side) for side in topology.sides]
    lists = {transactions_topic(topology.name, side) for side in topology.sides}
    lists |= {ddl_topic(topology.name, side) for side in topology.sides}
    return {name for name in found.details if name not in lists and any(name.startswith(f"{prefix}.") for prefix in sides)}


def _set(topology: Topology, topic: str, setting: str, value: object) -> str:
    return _configs(topology, f"--entity-type topics --entity-name {topic} --add-config {setting}={value}")


def _configs(topology: Topology, what: str) -> str:
    return f"kafka-configs.sh --bootstrap-server {topology.kafka.get('bootstrap.servers', '…')} --alter {what}"


def _seen(found: KafkaFacts, setting: str) -> str:
    values = sorted({facts.settings[setting] for facts in found.details.values() if setting in facts.settings})
    return f"{' or '.join(values)} in sync, of each topic" if values else ""


def _lasting(milliseconds: int) -> str:
    return "without end" if milliseconds == RETENTION_FOREVER else span(milliseconds // 1000)


def _such_as(names: list[str]) -> str:
    return names[0] + (f" and {len(names) - 1} more" if len(names) > 1 else "")
