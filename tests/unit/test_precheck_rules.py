"""Rules of the precheck that a server cannot easily be made to show, without servers: facts in, items out."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_precheck import GRANTS, TABLE, VARIABLES, results, side, topology

from bisync_topology.errors import CaptureError
from bisync_topology.grants import Grants
from bisync_topology.kafka_access import TOPIC, WRITE, Access
from bisync_topology.precheck import Results
from bisync_topology.precheck_connection import APPLIER, OTHERS, PRODUCER
from bisync_topology.precheck_item import FAIL, PASS, WARN, Item
from bisync_topology.precheck_seen import (
    ColumnFacts,
    Definer,
    Facts,
    KafkaFacts,
    Reference,
    SideFacts,
    TableFacts,
    TopicFacts,
)
from bisync_topology.precheck_sides import disjoint
from bisync_topology.precheck_structure import alter, differences
from bisync_topology.topology import Topology
from schemas.topics import table_topic, transactions_topic

THERE, BACK = {"from": "east", "to": "west", "objects": ["shop"]}, {"from": "west", "to": "east", "objects": ["shop"]}
INT = ColumnFacts(type="int", nullable=False)


def found(name: str, at: str | None = "west", of: Topology | None = None, kafka: KafkaFacts | None = None, **facts: Any) -> Item:
    """The item of that name about a side whose facts these are; the other side is as it should be."""
    sides = {} if at is None else {at: side(at, **facts)}
    made = results(**sides, kafka=kafka, of=of).items
    (item,) = (each for each in made if each.item == name and each.side in (at, None))
    assert item.result == PASS or (item.why and item.fix), item
    return item


@pytest.mark.parametrize(
    ("version", "result", "seen"),
    [
        ("8.0.18", FAIL, "MySQL 8.0.18 is older than 8.0.19"),
        ("5.7.44-log", FAIL, "older than 8.0.19"),
        ("11.8.9-MariaDB-deb12", FAIL, "MariaDB is not supported yet"),
        ("8.0.19", PASS, "MySQL 8.0.19"),
        ("9.7.4-debug", PASS, "MySQL 9.7.4-debug"),
    ],
)
def test_versions(version: str, result: str, seen: str) -> None:
    """MySQL from 8.0.19 on. Of another server nothing but the version is judged, as it was asked nothing else."""
    made = results(
        west=SideFacts(variables={"version": version}) if result == FAIL else side("west", variables={"version": version})
    )
    (item,) = (each for each in made.items if (each.item, each.side) == ("version", "west"))
    assert item.result == result and seen in item.seen
    if result == FAIL:
        assert [each.item for each in made.items if each.side == "west"] == ["reachable", "login", "version"]
        assert "structure" not in {each.item for each in made.items}


def secured(host: str, mode: str) -> Topology:
    """West is reached at a host, with a mode of TLS."""
    server = {"user": "bisync", "password": "secret", "ssl": {"mode": mode}}
    sides = {"east": {"mysql": {**server, "host": "127.0.0.1"}}, "west": {"mysql": {**server, "host": host, "port": "3307"}}}
    return topology(sides=sides)


@pytest.mark.parametrize(
    ("host", "mode", "tls", "result", "seen"),
    [
        ("db", "verify_identity", "TLSv1.3 AES", PASS, "TLSv1.3 AES, ssl.mode verify_identity: verified"),
        ("db", "required", "TLSv1.3 AES", PASS, "the server is not verified"),
        ("db", "disabled", "", WARN, "over the network to db"),
        ("localhost", "disabled", "", PASS, "on this machine"),
        ("db", "preferred", "", WARN, "the connection is in the clear"),
        ("127.0.0.1", "preferred", "", WARN, "the connection is in the clear"),
    ],
)
def test_tls_as_configured(host: str, mode: str, tls: str, result: str, seen: str) -> None:
    """What was wanted and what came of it; in the clear by intention is fine on one machine only."""
    item = found("tls", of=secured(host, mode), tls=tls)
    assert item.result == result and seen in item.seen


@pytest.mark.parametrize(
    ("threads", "own", "result"), [(84, 0, PASS), (85, 0, FAIL), (95, 12, PASS), (100, 16, PASS), (98, 13, FAIL)]
)
def test_free_connections(threads: int, own: int, result: str) -> None:
    """Of 100, with 16 needed: what the account has open already counts."""
    assert PRODUCER + APPLIER + OTHERS == 16
    assert found("connections", variables={"max_connections": "100"}, threads=threads, own=own).result == result


def test_a_side_that_is_only_read_needs_fewer_connections() -> None:
    """No applier runs there."""
    facts: dict[str, Any] = {"variables": {"max_connections": "100"}, "threads": 90}
    assert found("connections", "east", of=topology(THERE), **facts).result == PASS
    assert found("connections", "east", of=topology(THERE, BACK), **facts).result == FAIL


def test_log_replica_updates() -> None:
    """OFF loses what MySQL's own replication brings; where there is none it is a warning. Older servers name it otherwise."""
    off = {"log_replica_updates": "OFF"}
    assert found("log_replica_updates", variables=off).result == WARN
    assert found("log_replica_updates", variables=off, channels=1).result == FAIL
    item = found("log_replica_updates", variables={"log_slave_updates": "OFF"}, channels=1)
    assert str(item.fix).startswith("SET PERSIST_ONLY log_slave_updates = ON;")


@pytest.mark.parametrize(("code", "result"), [("binlog_purged", FAIL), ("gtid_mode", FAIL), ("server_restored", WARN)])
def test_a_place_that_is_gone(code: str, result: str) -> None:
    """A server that was set back does not keep `up` from starting: its applier brings it to the present."""
    item = found("position", position=CaptureError("it is gone", code=code, hint="init --reset"), captured=True)
    assert (item.result, item.seen, item.fix) == (result, "it is gone", "init --reset")


@pytest.mark.parametrize(
    ("seconds", "purge", "retention", "result"),
    [
        ("0", "ON", "7d", PASS),
        ("3600", "OFF", "7d", PASS),
        ("604800", "ON", "7d", PASS),
        ("604799", "ON", "7d", WARN),
        ("604800", "ON", "forever", PASS),
        ("86400", "ON", "forever", WARN),
    ],
)
def test_how_long_binlogs_are_kept(seconds: str, purge: str, retention: str, result: str) -> None:
    """As long as topics, or a week where those are kept for ever."""
    variables = {"binlog_expire_logs_seconds": seconds, "binlog_expire_logs_auto_purge": purge}
    item = found("binlog_retention", of=topology(topics={"retention": retention}), variables=variables)
    assert item.result == result
    assert result == PASS or item.fix == "SET PERSIST binlog_expire_logs_seconds = 604800;"


NUMBERS = st.integers(1, 12)


@given(NUMBERS, NUMBERS, NUMBERS, NUMBERS)
def test_numbers_that_never_meet(step: int, start: int, other_step: int, other_start: int) -> None:
    """What `disjoint` says, by writing the numbers down."""
    if start <= step and other_start <= other_step:
        meet = set(range(start, 500, step)) & set(range(other_start, 500, other_step))
        assert disjoint((step, start), (other_step, other_start)) is not bool(meet)
    else:  # the server ignores such an offset
        assert not disjoint((step, start), (other_step, other_start))


def test_auto_increment_one_way() -> None:
    """Numbers may meet where one side alone gives them."""
    counting = {("shop", "item"): replace(TABLE, auto_increment=True)}
    assert found("auto_increment", of=topology(THERE), tables=counting).result == PASS
    assert found("auto_increment", of=topology(THERE, BACK), tables=counting).result == WARN


CREATE = """CREATE TABLE `item` (
  `id` int NOT NULL,
  `a` varchar(10) DEFAULT 'x,y',
  `g` int GENERATED ALWAYS AS ((`id` + 1)) STORED,
  PRIMARY KEY (`id`),
  UNIQUE KEY `u` (`a`),
  CONSTRAINT `f` FOREIGN KEY (`id`) REFERENCES `p` (`id`) ON DELETE CASCADE
) ENGINE=InnoDB"""
PARENT = Reference(
    name="f", columns=("id",), parent=("shop", "p"), parent_columns=("id",), on_update="NO ACTION", on_delete="CASCADE"
)
SOURCE = TableFacts(
    engine="InnoDB",
    create=CREATE,
    columns={
        "id": INT,
        "a": ColumnFacts(type="varchar(10)", collation="utf8mb4_bin"),
        "g": ColumnFacts(type="int", generated="id + 1"),
    },
    unique={"PRIMARY": ("id",), "u": ("a",)},
    references=(PARENT,),
)


def test_differences_and_the_statement_that_ends_them() -> None:
    """What the target lacks is added, what it has otherwise is changed, what it has beside stays."""
    target = TableFacts(
        engine="InnoDB",
        columns={"ID": INT, "a": ColumnFacts(type="varchar(9)", collation="utf8mb4_bin"), "more": INT},
        unique={"PRIMARY": ("ID",), "u": ("id", "a")},
        references=(replace(PARENT, on_delete="RESTRICT"),),
    )
    assert list(differences(SOURCE, SOURCE)) == []
    made = list(differences(SOURCE, target))
    assert [each.words for each in made] == [
        "a is varchar(10) COLLATE utf8mb4_bin there and varchar(9) COLLATE utf8mb4_bin here",
        "g is missing",
        "the unique key u (a) is missing",
        "the foreign key (id) to shop.p ON UPDATE NO ACTION ON DELETE CASCADE is missing",
    ]
    assert alter(("shop", "item"), CREATE, made) == (
        "ALTER TABLE `shop`.`item` MODIFY COLUMN `a` varchar(10) DEFAULT 'x,y', "
        "ADD COLUMN `g` int GENERATED ALWAYS AS ((`id` + 1)) STORED, DROP INDEX `u`, ADD UNIQUE KEY `u` (`a`), "
        "DROP FOREIGN KEY `f`, ADD CONSTRAINT `f` FOREIGN KEY (`id`) REFERENCES `p` (`id`) ON DELETE CASCADE;"
    )
    assert list(differences(replace(SOURCE, references=()), replace(SOURCE, references=()))) == []
    restrict = replace(SOURCE, references=(replace(PARENT, on_delete="RESTRICT"),))
    assert list(differences(restrict, replace(SOURCE, references=(replace(PARENT, on_delete="NO ACTION", name="x"),)))) == []


def test_a_table_that_rows_do_not_fit() -> None:
    """It fails at a first start. One that has begun may have the statement on its way, and stops by itself if it has not."""
    unlike = {("shop", "item"): replace(SOURCE, columns={"id": INT}, refused={"east": "no column a"})}
    for begun, result in ((frozenset(), FAIL), (frozenset({("east", "west")}), WARN)):
        facts = Facts(
            sides={"east": side("east", tables={("shop", "item"): SOURCE}), "west": side("west", tables=unlike, begun=begun)},
            kafka=KafkaFacts(brokers=1),
        )
        (item,) = (each for each in Results.of(topology(THERE), facts).items if each.item == "structure")
        assert item.result == result and "no column a" in item.why and "ADD COLUMN `a`" in str(item.fix)


@pytest.mark.parametrize(
    ("direction", "begun", "result"),
    [
        ({}, False, FAIL),
        ({}, True, FAIL),
        ({"ddl": True}, False, FAIL),
        ({"ddl": True}, True, WARN),
        ({"initialize": ["structure"]}, False, PASS),
    ],
)
def test_a_table_that_is_missing(direction: Mapping[str, Any], begun: bool, result: str) -> None:
    """With ddl its CREATE may be on its way, once the direction has begun; with structure it is to be made."""
    of = topology({**THERE, **direction}, BACK)
    facts: dict[str, Any] = {"tables": {}, "begun": frozenset({("east", "west")} if begun else ())}
    assert found("tables", of=of, **facts).result == result
    clash = results(west=side("west", views=frozenset({("shop", "item")}), **facts), of=of)
    assert FAIL in {each.result for each in clash.items if (each.item, each.side) == ("tables", "west")}


def test_a_target_with_rows() -> None:
    """Data is copied into empty tables: at a first start, and by the direction that is first in the file."""
    both = topology({**THERE, "initialize": ["data"]}, {**BACK, "initialize": ["data"]})
    rows = frozenset({("shop", "item")})
    assert found("target_empty", "west", of=both, filled=rows).result == FAIL
    assert found("target_empty", "west", of=both, filled=rows, begun=frozenset({("east", "west")})).result == PASS
    assert found("target_empty", "east", of=both, filled=rows).result == PASS, "the first direction fills west, from here"


@pytest.mark.parametrize(
    ("noted", "objects", "result"),
    [
        ([("shop", "item")], (), PASS),
        ([("shop", "other")], ("shop.other",), FAIL),
        ([("shop", "other")], ("shop",), PASS),
        ([], (), PASS),
    ],
    ids=["copied", "new in objects", "made since", "begun anew"],
)
def test_a_table_with_rows_in_a_direction_that_has_begun(
    noted: list[tuple[str, str]], objects: tuple[str, ...], result: str
) -> None:
    """It is to be empty if it comes into `objects` later; not if it is on record, was carried all the time, or after a reset."""
    of, key = topology({**THERE, "initialize": ["data"]}, BACK), ("east", "west")
    west = side("west", filled=frozenset({("shop", "item")}), begun=frozenset({key}), noted={key: frozenset(noted)})
    made = results(east=side("east", objects=objects), west=west, of=of)
    (item,) = (each for each in made.items if (each.item, each.side) == ("target_empty", "west"))
    assert item.result == result
    assert result == PASS or str(item.fix).startswith("SET sql_log_bin = 0; TRUNCATE TABLE `shop`.`item`;"), item


@pytest.mark.parametrize(
    ("newest", "skew", "result"), [(False, 59.0, PASS), (False, 61.0, WARN), (True, 0.9, PASS), (True, -1.1, WARN)]
)
def test_clocks(newest: bool, skew: float, result: str) -> None:
    """A minute, and a second where they decide; whichever is ahead."""
    policy = {"tables": {"shop.item": {"on_conflict": "newest", "version_column": "at"}}} if newest else {}
    assert found("clocks", of=topology({**THERE, **policy}, {**BACK, **policy}), clock=skew).result == result


def test_definers() -> None:
    """Of triggers that applied rows fire, and of what is to be made here. Where accounts may not be read, nothing is said."""
    gone = Definer(kind="view", db="shop", name="v", account="nobody@here")
    assert found("definers", definers=(gone,)).result == PASS
    assert found("definers", definers=(gone,), accounts=frozenset({"nobody@here"})).result == PASS
    assert "view shop.v, does not exist on west" in found("definers", definers=(gone,), accounts=frozenset()).seen
    elsewhere = replace(gone, kind="trigger")
    assert found("definers", definers=(elsewhere,), accounts=frozenset()).result == PASS, "not on a table that is written here"
    facts = Facts(
        sides={"east": side("east", definers=(gone,)), "west": side("west", accounts=frozenset())}, kafka=KafkaFacts(brokers=1)
    )
    made = Results.of(topology({**THERE, "ddl": True}), facts).items
    assert [each.result for each in made if (each.item, each.side) == ("definers", "west")] == [WARN]


def test_events() -> None:
    """Two that run are one too many, unless a scheduler is off."""
    both = {"events": {("shop", "e"): True}}
    facts = Facts(sides={"east": side("east", **both), "west": side("west", **both)}, kafka=KafkaFacts(brokers=1))
    (item,) = (each for each in Results.of(topology(), facts).items if each.item == "events")
    assert (item.result, item.side, item.fix) == (WARN, "west", "ALTER EVENT `shop`.`e` DISABLE;")
    off = side("west", variables={"event_scheduler": "OFF"}, **both)
    (item,) = (
        each for each in Results.of(topology(), replace(facts, sides={**facts.sides, "west": off})).items if each.item == "events"
    )
    assert item.result == PASS and "event_scheduler of west is not ON" in item.seen


@pytest.mark.parametrize(("version", "native", "result"), [("8.0.36", None, FAIL), ("9.7.4", "ON", FAIL), ("9.7.4", "OFF", PASS)])
def test_cascades_by_version(version: str, native: str | None, result: str) -> None:
    """What is not logged is made by the target itself, if it has the same foreign key; what is logged arrives."""
    variables = {"version": version, **({"innodb_native_foreign_keys": native} if native else {})}
    facts = Facts(
        sides={
            "east": side("east", variables=variables, tables={("shop", "item"): SOURCE, ("shop", "p"): TABLE}),
            "west": side("west", tables={("shop", "item"): replace(SOURCE, references=()), ("shop", "p"): TABLE}),
        },
        kafka=KafkaFacts(brokers=1),
    )
    items = {each.item: each for each in Results.of(topology(THERE), facts).items if each.side == "west"}
    assert items["cascades"].result == result
    assert items["structure"].result == (WARN if result == PASS else PASS), "it is told once"


def with_topics(copies: int = 1, brokers: int = 1, **settings: str) -> KafkaFacts:
    """A broker with a list and a table's topic."""
    facts = TopicFacts(partitions=3, copies=copies, settings={name.replace("_", "."): value for name, value in settings.items()})
    return KafkaFacts(
        brokers=brokers,
        details={transactions_topic("shop", "east"): facts, table_topic("shop", "east", "shop", "item"): facts},
    )


@pytest.mark.parametrize(
    ("item", "kafka", "result", "seen"),
    [
        ("min_insync_replicas", with_topics(3, 3, min_insync_replicas="2"), PASS, "2 in sync"),
        ("min_insync_replicas", with_topics(3, 3, min_insync_replicas="1"), WARN, "has 3 copies and needs 1"),
        ("min_insync_replicas", with_topics(), PASS, "not to be seen"),
        ("replication_factor", KafkaFacts(brokers=5, broker={"default.replication.factor": "3"}), PASS, "3, on 5 brokers"),
        ("replication_factor", KafkaFacts(brokers=5, broker={"default.replication.factor": "1"}), WARN, "made with 1 copy on 5"),
        ("replication_factor", KafkaFacts(brokers=2, refused="topic x: POLICY_VIOLATION: no"), FAIL, "POLICY_VIOLATION"),
        ("retention", with_topics(retention_ms="-1"), PASS, "7 days"),
        ("transactional_id", KafkaFacts(brokers=1, used=frozenset({"east"})), PASS, "in use by the producer of east"),
        ("transactional_id", KafkaFacts(brokers=1, transactions={"east": "INVALID_TRANSACTION_TIMEOUT"}), FAIL, "no transaction"),
    ],
)
def test_kafka(item: str, kafka: KafkaFacts, result: str, seen: str) -> None:
    """What a single broker cannot be made to show."""
    made = found(item, None, kafka=kafka) if result != FAIL or item != "transactional_id" else found(item, "east", kafka=kafka)
    assert made.result == result and seen in made.seen, made


def test_a_transaction_that_may_not_last_so_long() -> None:
    """The brokers have to allow what the file says, or else our own 15 minutes."""
    refused = KafkaFacts(brokers=1, transactions={"east": "INVALID_TRANSACTION_TIMEOUT"})
    for kafka, wanted in (({}, "=900000 "), ({"transaction.timeout.ms": "1000000"}, "=1000000 ")):
        of = topology(kafka={"bootstrap.servers": "127.0.0.1:9092", **kafka})
        fix = str(found("transactional_id", "east", of=of, kafka=refused).fix)
        assert f"transaction.max.timeout.ms{wanted}" in fix and "lower transaction.timeout.ms" in fix


def test_fewer_copies_than_the_file_says() -> None:
    """Topics that exist keep what they have."""
    made = found("replication_factor", None, of=topology(topics={"replication_factor": "3"}), kafka=with_topics(1, 3))
    assert made.result == WARN and "has 1, topics.replication_factor is 3" in made.seen


def test_missing_acls_under_up() -> None:
    """A warning for whoever has a principal for each process; under `up`, which has one for all, a failure."""
    kafka = KafkaFacts(brokers=1, denied=(Access(WRITE, TOPIC, "shop.east"),))
    facts = Facts(sides={"east": side("east"), "west": side("west")}, kafka=kafka)
    for runs, result in ((False, WARN), (True, FAIL)):
        (item,) = (each for each in Results.of(topology(), replace(facts, runs=runs)).items if each.item == "acls")
        assert item.result == result and "--operation Write --topic shop.east" in str(item.fix)


def test_names_of_mariadb() -> None:
    """What MariaDB calls privileges since 10.5 is what MySQL calls otherwise."""
    grants = Grants(["GRANT BINLOG MONITOR, REPLICATION REPLICA ON *.* TO `u`@`%` IDENTIFIED BY PASSWORD '*1' WITH GRANT OPTION"])
    assert grants.everywhere("REPLICATION CLIENT") and grants.everywhere("REPLICATION SLAVE")
    assert not grants.everywhere("SELECT")


def test_roles() -> None:
    """A role that sessions do not begin with is the one remedy, in place of what it would grant."""
    made = results(west=side("west", grants=GRANTS[:2], roles=("`writer`@`%`",)))
    (item,) = made.failed
    assert (item.item, item.fix) == ("privileges", "SET DEFAULT ROLE ALL TO 'bisync'@'%';")
    assert VARIABLES["log_bin"] == "ON"
