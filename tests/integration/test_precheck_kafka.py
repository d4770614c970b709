"""Each item of the precheck about Kafka, on real brokers: made to fail, its words read, its remedy done, and then it passes."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import (
    AclOperation,
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourcePatternType,
    ResourceType,
)
from prechecking import Prechecking
from secured import Grant, SecuredBroker
from topologies import World

from bisync_topology import precheck_kafka_facts
from bisync_topology.kafka_access import reader_access
from bisync_topology.precheck_item import FAIL, PASS, WARN, Item
from bisync_topology.supervisor import create
from sandbox import install
from sandbox.instances import Sandbox
from sandbox.kafka import TOOL_OPTIONS, KafkaBroker
from sandbox.programs import run
from schemas.topics import checkpoints_topic, table_topic, transactions_topic

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def precheck(servers: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prechecking]:
    """A topology whose control topics are there, and one of a table."""
    world = World(servers, tmp_path_factory.mktemp("precheck-kafka"))
    world.table()
    found = Prechecking(world)
    create(found.topology)
    yield found
    world.close()


def client(precheck: Prechecking) -> AdminClient:
    """The administrator of the shared broker."""
    return AdminClient({"bootstrap.servers": precheck.world.servers.kafka.bootstrap})


def configure(admin: AdminClient, topic: str, setting: str, value: object) -> None:
    """Set a topic's setting."""
    entry = ConfigEntry(setting, str(value), incremental_operation=AlterConfigOpType.SET)
    for done in admin.incremental_alter_configs(
        [ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])]
    ).values():
        done.result()


def do(admin: AdminClient, item: Item) -> None:
    """What `kafka-configs.sh` would do with the options that are printed."""
    words = shlex.split(str(item.fix))
    assert words[0] == "kafka-configs.sh" and "--alter" in words
    topic = words[words.index("--entity-name") + 1]
    setting, _, value = words[words.index("--add-config") + 1].partition("=")
    configure(admin, topic, setting, value)


def test_all_in_order(precheck: Prechecking) -> None:
    """Topics as `up` makes them, and ids of transactions that can be used, pass."""
    assert precheck.items("broker", None, whole=True) == []
    found = {item.item: item for item in precheck.results(whole=True).items if item.side is None}
    assert found["topics"].seen.startswith("7 of this topology")
    assert found["transactional_id"].seen == "usable for east, west"
    for name in ("acls", "replication_factor", "min_insync_replicas", "max_message_bytes", "retention", "cleanup_policy"):
        assert found[name].result == PASS, found[name]


@pytest.mark.parametrize(
    ("name", "setting", "value", "result", "seen"),
    [
        ("min_insync_replicas", "min.insync.replicas", 2, FAIL, "2 of 1 copies"),
        ("max_message_bytes", "max.message.bytes", 1000, WARN, "takes 1,000 bytes, topics.max_message_bytes is 67,108,864"),
        ("retention", "retention.ms", 3_600_000, WARN, "keeps changes for 1 hour, topics.retention is 7 days"),
        ("cleanup_policy", "cleanup.policy", "compact", FAIL, "compact; it must be delete"),
    ],
)
def test_a_setting_of_a_topic(precheck: Prechecking, name: str, setting: str, value: object, result: str, seen: str) -> None:
    """A topic that is there keeps what it has: what does not fit the file is named, with the command that sets it."""
    topic, admin = transactions_topic(precheck.world.name, "east"), client(precheck)
    configure(admin, topic, setting, value)
    item = precheck.one(name, None, result, f"{topic}", f"--entity-name {topic} --add-config {setting}=", whole=True)
    assert seen in item.seen
    do(admin, item)
    precheck.mended(name, None, whole=True)


def test_checkpoints_that_would_be_deleted(precheck: Prechecking) -> None:
    """The topic of the checkpoints is compacted, or what a start reads would be gone with time."""
    topic, admin = checkpoints_topic(precheck.world.name), client(precheck)
    configure(admin, topic, "cleanup.policy", "delete")
    do(
        admin,
        precheck.one("cleanup_policy", None, FAIL, f"{topic}: delete; it must be compact", "cleanup.policy=compact", whole=True),
    )
    precheck.mended("cleanup_policy", None, whole=True)


def test_partitions(precheck: Prechecking) -> None:
    """A table's topic has another number than the file: the setting is for new ones, and is made to say what is."""
    world, admin = precheck.world, client(precheck)
    topic = table_topic(world.name, "east", world.db, "item")
    for made in admin.create_topics([NewTopic(topic, num_partitions=2, replication_factor=1)]).values():
        made.result()
    item = precheck.one("partitions", None, WARN, f"{topic} has 2, topics.partitions is 3", "topics: {partitions: 2}", whole=True)
    world.topology["topics"] |= {"partitions": int(re.findall(r"\d+", str(item.fix))[0])}
    precheck.mended("partitions", None, whole=True)


def test_more_copies_than_brokers(precheck: Prechecking) -> None:
    """A factor that the broker would refuse, or a topic that it would for another reason, is seen before the first is made."""
    precheck.world.topology["topics"] |= {"replication_factor": 3}
    precheck.one("replication_factor", None, FAIL, "is 3, there are 1 brokers", "replication_factor: 1}", whole=True)
    precheck.world.topology["topics"] |= {"replication_factor": 1}
    precheck.mended("replication_factor", None, whole=True)


def granted(fix: str) -> list[Grant]:
    """The ACLs of the `kafka-acls.sh` commands of a remedy."""
    found: list[Grant] = []
    for command in re.findall(r"`(.*?)`", fix):
        words = shlex.split(command)
        assert words[0] == "kafka-acls.sh" and "--add" in words
        operation = AclOperation[words[words.index("--operation") + 1].upper()]
        kind = next(word for word in ("--topic", "--group", "--transactional-id") if word in words)
        pattern = ResourcePatternType.PREFIXED if "prefixed" in words else ResourcePatternType.LITERAL
        resource = ResourceType[kind.removeprefix("--").upper().replace("-", "_")]
        found.append((resource, words[words.index(kind) + 1], pattern, (operation,)))
    return found


def test_acls(servers: Sandbox, secured: SecuredBroker, tmp_path: Path) -> None:
    """Every operation that is used is asked for: what is missing is in the commands, after which nothing is missing."""
    world = World(servers, tmp_path)
    try:
        precheck, user = Prechecking(world), f"{world.name}-precheck"
        secured.add_user(user, "secret")
        world.topology["kafka"] = dict(secured.by_password(user, "secret"))
        reading = [(access.operation, access.kind, access.name, access.prefixed) for access in reader_access(precheck.topology)]
        kinds = {"topic": ResourceType.TOPIC, "group": ResourceType.GROUP}
        patterns = {True: ResourcePatternType.PREFIXED, False: ResourcePatternType.LITERAL}
        grants = [(kinds[kind], name, patterns[wide], (AclOperation[what.upper()],)) for what, kind, name, wide in reading]
        secured.grant(f"User:{user}", grants)
        name = world.name
        first = [
            f"Create on topic {checkpoints_topic(name)}",
            f"Create on topic {name}.east.*",
            f"Read on group {name}.west.applier",
        ]
        first += [f"Write on transactional-id {name}.{side}.producer" for side in world.sides]
        for missing in (first, [f"Write on topic {name}.east", f"Read on topic {name}.schemas", f"Write on topic {name}.west"]):
            item = precheck.one("acls", None, WARN, "Kafka denies us", "kafka-acls.sh", whole=True)
            assert [each for each in missing if each not in item.seen] == [], item.seen
            grants += granted(str(item.fix))
            secured.grant(f"User:{user}", grants)
            create(precheck.topology)  # of a topic that is not there, only Create can be asked for
        precheck.mended("acls", None, whole=True)
        precheck.mended("transactional_id", None, whole=True)
    finally:
        world.close()


def test_a_broker_that_is_not_set_up(servers: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Defaults for a cluster on a single broker: no transaction begins, new topics would take nothing, requests are too small."""
    monkeypatch.setattr(precheck_kafka_facts, "TRANSACTION_SECONDS", 4.0)
    bad = {
        "transaction.state.log.replication.factor": "3",
        "transaction.state.log.min.isr": "2",
        "min.insync.replicas": "2",
        "socket.request.max.bytes": "20000000",
    }
    world, broker = World(servers, tmp_path), KafkaBroker(tmp_path, bad)
    try:
        broker.start()
        world.topology["kafka"] = {"bootstrap.servers": broker.bootstrap}
        precheck = Prechecking(world)
        found = {item.item: item for item in precheck.results(whole=True).items if item.side in (None, "east")}
        transactions, size = found["transactional_id"], found["max_message_bytes"]
        assert (transactions.result, size.result, found["min_insync_replicas"].result) == (FAIL, WARN, FAIL), found
        assert "no transaction can be begun" in transactions.seen and "requests of 20,000,000 bytes" in size.seen
        assert "default is 2, topics.replication_factor is 1" in found["min_insync_replicas"].seen
        settings = dict(re.findall(r"^(\S+)=(\d+)", str(transactions.fix), re.MULTILINE))
        assert settings == {"transaction.state.log.replication.factor": "1", "transaction.state.log.min.isr": "1"}
        program, (_, *options) = install.kafka(), shlex.split(str(found["min_insync_replicas"].fix))
        command = [program.java, *TOOL_OPTIONS, "-cp", f"{program.jars}/*", "kafka.admin.ConfigCommand", *options]
        run(command, what="kafka-configs.sh failed")  # which is this class
        broker.overrides = {**bad, **settings}
        broker.restart()
        world.topology["topics"] |= {"max_message_bytes": int(re.findall(r"\d+", str(size.fix))[0])}
        monkeypatch.undo()
        for name in ("transactional_id", "max_message_bytes", "min_insync_replicas"):
            precheck.mended(name, None, whole=True)
    finally:
        broker.stop()
        world.close()
