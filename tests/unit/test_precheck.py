"""The precheck without servers: facts in, items out."""

from dataclasses import replace
from typing import Any

import pymysql.err
import pytest

from bisync_topology.errors import CaptureError, CheckFailed, Unreachable, UsageError
from bisync_topology.precheck import Results
from bisync_topology.precheck_item import PASS, WARN, Item
from bisync_topology.precheck_seen import Facts, KafkaFacts, SideFacts, TableFacts
from bisync_topology.topology import Topology

VARIABLES = {
    "binlog_format": "ROW",
    "binlog_row_image": "FULL",
    "binlog_row_metadata": "FULL",
    "gtid_mode": "ON",
    "log_bin": "ON",
    "server_id": "7",
    "version": "9.7.4",
}
GRANTS = (
    "GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO `bisync`@`%`",
    "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER ON `bisync`.* TO `bisync`@`%`",
    "GRANT SELECT, INSERT, UPDATE, DELETE, TRIGGER ON `shop`.* TO `bisync`@`%`",
)
NAMES = ("east", "west")
TABLE = TableFacts(engine="InnoDB")


def topology(*directions: dict[str, Any], **more: Any) -> Topology:
    """Two sides; by default both ways for the database shop."""
    both = [{"from": "east", "to": "west", "objects": ["shop"]}, {"from": "west", "to": "east", "objects": ["shop"]}]
    server = {"host": "127.0.0.1", "user": "bisync", "password": "secret"}
    return Topology.model_validate(
        {
            "name": "shop",
            "kafka": {"bootstrap.servers": "127.0.0.1:9092"},
            "sides": {"east": {"mysql": {**server, "port": "3306"}}, "west": {"mysql": {**server, "port": "3307"}}},
            "directions": list(directions) or both,
            **more,
        }
    )


def both_ways(one: str, two: str) -> Topology:
    """Database shop both ways, each with its policy."""
    return topology(
        {"from": "east", "to": "west", "objects": ["shop"], "on_conflict": one},
        {"from": "west", "to": "east", "objects": ["shop"], "on_conflict": two},
    )


def side(name: str = "east", **changes: Any) -> SideFacts:
    """A server as it should be; `variables` are changes of VARIABLES."""
    variables = {
        **VARIABLES,
        "server_uuid": f"uuid of {name}",
        "server_id": str(len(NAMES) + NAMES.index(name)),
        **changes.pop("variables", {}),
    }
    tables = {("shop", "item"): TABLE}
    facts = SideFacts(variables=variables, account="bisync@%", grants=GRANTS, filters=("", ""), tables=tables, tls="TLSv1.3")
    return replace(facts, **changes)


def results(
    east: SideFacts | Exception | None = None,
    west: SideFacts | Exception | None = None,
    kafka: KafkaFacts | Exception | None = None,
    of: Topology | None = None,
) -> Results:
    """Evaluate, with everything in order that is not given."""
    facts = Facts(
        sides={"east": east or side("east"), "west": west or side("west")}, kafka=kafka or KafkaFacts(brokers=1, topics=6)
    )
    return Results.of(of or topology(), facts)


def only_failed(found: Results) -> Item:
    """Give the one item that failed, after checking that it says why and how to mend it."""
    assert len(found.failed) == 1, found.failed
    item = found.failed[0]
    assert item.why and item.fix
    return item


def test_all_in_order() -> None:
    """Servers as they should be pass every item, and nothing keeps the topology from running."""
    found = results(of=both_ways("merge", "merge"))
    assert {item.result for item in found.items} == {PASS}
    assert found.failure() is None
    assert {item.side for item in found.items} == {"east", "west", None}


@pytest.mark.parametrize(
    ("name", "value", "statement"),
    [
        ("binlog_format", "MIXED", "SET PERSIST binlog_format = 'ROW';"),
        ("binlog_format", "STATEMENT", "SET PERSIST binlog_format = 'ROW';"),
        ("binlog_row_image", "MINIMAL", "SET PERSIST binlog_row_image = 'FULL';"),
        ("binlog_row_metadata", "MINIMAL", "SET PERSIST binlog_row_metadata = 'FULL';"),
        ("log_bin", "OFF", "log_bin = binlog"),
        ("server_id", "0", "SET PERSIST server_id = 1;"),
    ],
)
def test_a_setting_that_loses_changes(name: str, value: str, statement: str) -> None:
    """Each setting that would lose changes fails by itself, with the statement that sets it right."""
    item = only_failed(results(west=side("west", variables={name: value})))
    assert (item.item, item.side) == (name, "west")
    assert value in item.seen
    assert statement in (item.fix or "")


def test_settings_of_a_server_that_is_only_written_to() -> None:
    """Nothing is read from the binlog of a side at which no direction begins, so it may be off."""
    one_way = topology({"from": "east", "to": "west", "objects": ["shop"]})
    assert results(west=side("west", variables={"log_bin": "OFF", "server_id": "0"}), of=one_way).failure() is None


def test_no_gtids_is_a_warning() -> None:
    """Without GTIDs it works by file and position, and what that means is said."""
    found = results(west=side("west", variables={"gtid_mode": "OFF"}), of=both_ways("merge", "merge"))
    assert found.failure() is None
    assert [item.item for item in found.warnings] == ["gtid_mode"]


def test_one_server_twice() -> None:
    """Two sides of the same server_uuid are one server, or a copied data folder."""
    assert only_failed(results(west=side("west", variables={"server_uuid": "uuid of east"}))).item == "server_uuid"


def test_missing_privileges() -> None:
    """Exactly what is lacking is named, as one GRANT for each place."""
    grants = ("GRANT REPLICATION SLAVE ON *.* TO `bisync`@`%`", GRANTS[1], "GRANT SELECT ON `shop`.* TO `bisync`@`%`")
    found = results(east=side("east", grants=grants))
    assert {item.fix for item in found.failed} == {
        "GRANT REPLICATION CLIENT ON *.* TO 'bisync'@'%';",
        "GRANT INSERT, UPDATE, DELETE ON `shop`.* TO 'bisync'@'%';",
    }


def test_privileges_of_a_side_that_is_only_read() -> None:
    """A side that no direction ends at needs SELECT on the tables and no more."""
    one_way = topology({"from": "east", "to": "west", "objects": ["shop"]})
    grants = (GRANTS[0], GRANTS[1], "GRANT SELECT ON `shop`.* TO `bisync`@`%`")
    assert results(east=side("east", grants=grants), of=one_way).failure() is None


def test_privileges_for_one_table_and_for_globs() -> None:
    """Table grants are enough for an entry that names the table, and for those that a glob finds."""
    tables = {("crm", "customers"): TABLE, ("log", "day_1"): TABLE}
    granted = ("crm`.`customers", "log`.`day_1")
    grants = (*GRANTS[:2], *(f"GRANT SELECT, INSERT, UPDATE, DELETE ON `{place}` TO `bisync`@`%`" for place in granted))
    objects = ["crm.customers", "log.day_*"]
    of = topology({"from": "east", "to": "west", "objects": objects}, {"from": "west", "to": "east", "objects": objects})
    both = {"grants": grants, "tables": tables}
    assert results(side("east", **both), side("west", **both), of=of).failure() is None
    lacking = {"grants": grants[:3], "tables": tables}
    item = only_failed(results(side("east", **both), side("west", **lacking), of=of))
    assert item.fix == "GRANT SELECT, INSERT, UPDATE, DELETE ON `log`.`day_1` TO 'bisync'@'%';"


def test_no_echo_of_a_missing_privilege() -> None:
    """Tables that the account cannot see are not called missing too: the GRANT is the one remedy."""
    assert only_failed(results(west=side("west", grants=GRANTS[:2], tables={}))).item == "privileges"


@pytest.mark.parametrize(
    ("filters", "hidden", "said"),
    [
        (("", "bisync"), "bisync", "ping-pong"),
        (("shop", ""), "bisync", "ping-pong"),
        (("bisync", ""), "shop", "could not be read"),
        (("bisync,shop", ""), None, ""),
    ],
)
def test_binlog_filters(filters: tuple[str, str], hidden: str | None, said: str) -> None:
    """A filter that hides the control schema or a synced one fails; one that hides neither does not."""
    found = results(east=side("east", filters=filters))
    if hidden is None:
        assert found.failure() is None
    else:
        item = only_failed(found)
        assert item.item == "binlog_filter"
        assert f"database {hidden}" in item.seen and said in item.why


def test_a_table_without_key() -> None:
    """It fails on the side that it is on, with an ALTER of the columns that might do and the entry that leaves it out."""
    tables = {("shop", "item"): TABLE, ("shop", "log"): TableFacts(engine="InnoDB", keyed=False, key_hint=("at", "who"))}
    keyed = {**tables, ("shop", "log"): TABLE}
    item = only_failed(results(east=side("east", tables=tables), west=side("west", tables=keyed)))
    assert item.side == "east"
    assert "ALTER TABLE `shop`.`log` ADD PRIMARY KEY (`at`, `who`);" in (item.fix or "")
    assert '"!shop.log"' in (item.fix or "")


def test_an_engine_without_transactions() -> None:
    """A table of another engine cannot be rolled back with its progress."""
    tables = {("shop", "item"): TableFacts(engine="MyISAM")}
    assert only_failed(results(east=side("east", tables=tables))).fix == "ALTER TABLE `shop`.`item` ENGINE = InnoDB;"


def test_a_table_on_one_side_only() -> None:
    """It fails with the statement that makes it on the other side."""
    create = "CREATE TABLE `new` (`id` int PRIMARY KEY)"
    tables = {("shop", "item"): TABLE, ("shop", "new"): replace(TABLE, create=create)}
    item = only_failed(results(east=side("east", tables=tables)))
    assert (item.item, item.side) == ("tables", "west")
    assert item.fix == f"USE `shop`; {create};"


def test_an_entry_that_means_nothing() -> None:
    """A misspelt entry is a warning: a table may be made later."""
    of = topology({"from": "east", "to": "west", "objects": ["shop", "shop.itm"]})
    found = results(of=of)
    assert found.failure() is None
    assert [(item.item, item.result) for item in found.warnings] == [("objects", WARN)]
    assert "shop.itm" in found.warnings[0].seen


@pytest.mark.parametrize(
    ("one", "two", "why"),
    [
        ("task_failed", "task_failed", "both directions stop"),
        ("task_failed", "overwrite", "east to west stops, and waits for somebody to decide; west to east does not"),
        ("ignore", "task_failed", "west to east stops, and waits for somebody to decide; east to west does not"),
        ("overwrite", "ignore", "may end unequal"),
        ("overwrite", "overwrite", "may end unequal"),
        ("ignore", "ignore", "may end unequal"),
    ],
)
def test_policies_that_do_not_converge(one: str, two: str, why: str) -> None:
    """Each pair of them is warned of where both directions carry a table, with what it does; one direction alone is not."""
    found = results(of=both_ways(one, two))
    assert found.failure() is None
    (item,) = found.warnings
    assert item.item == "policies" and f"{one} east to west, {two} west to east: shop.item" in item.seen
    assert why in item.why and ("end unequal" in item.why) == (one != "task_failed" or two != "task_failed")
    assert "on_conflict: site_priority | newest | merge" in (item.fix or "")
    assert results(of=topology({"from": "east", "to": "west", "objects": ["shop"], "on_conflict": one})).warnings == []


@pytest.mark.parametrize("policy", ["site_priority", "newest", "merge"])
def test_policies_that_converge(policy: str) -> None:
    """No warning of a table that both directions carry under one of them."""
    assert results(of=both_ways(policy, policy)).warnings == []


def test_a_filter_on_a_policy_that_converges() -> None:
    """What a direction leaves out never reaches the other side: warned of, at the side that misses it."""
    common = {"objects": ["shop"], "on_conflict": "merge"}
    of = topology({"from": "east", "to": "west", **common, "dml": ["insert", "update"]}, {"from": "west", "to": "east", **common})
    (item,) = results(of=of).warnings
    assert (item.item, item.side, item.fix) == ("policies", "west", "dml: [insert, update, delete]")
    assert "east to west leaves changes out" in item.seen and "shop.item" in item.seen


def test_each_pair_of_policies_names_its_tables() -> None:
    """Tables of the same pair are one item; a table with settings of its own is another, or none where they converge."""
    tables = {("shop", name): TABLE for name in ("item", "log", "stock", "total")}
    own = {"tables": {"shop.log": {"on_conflict": "ignore"}, "shop.stock": {"on_conflict": "merge"}}}
    of = topology(
        {"from": "east", "to": "west", "objects": ["shop"], **own},
        {"from": "west", "to": "east", "objects": ["shop"], "tables": {"shop.stock": {"on_conflict": "merge"}}},
    )
    seen = [item.seen for item in results(side("east", tables=tables), side("west", tables=tables), of=of).warnings]
    assert seen == [
        "task_failed east to west, task_failed west to east: shop.item and 1 table more",
        "ignore east to west, task_failed west to east: shop.log",
    ]


@pytest.mark.parametrize(("source", "target", "why"), [("east", "west", "never sees"), ("west", "east", "is not carried back")])
def test_a_convergent_policy_one_way(source: str, target: str, why: str) -> None:
    """It needs the way back: where that lacks the table, it is warned of, by what happens at the side that is written to."""
    tables = {"shop.stock": {"on_conflict": "merge"}}
    there = {"from": source, "to": target, "objects": ["shop"], "tables": tables}
    back = {"from": target, "to": source, "objects": ["shop", "!shop.stock"]}
    both = {("shop", "stock"): TABLE}
    for of in (topology(there), topology(there, back)):
        found = results(side("east", tables=both), side("west", tables=both), of=of)
        assert found.failure() is None
        (item,) = (item for item in found.warnings if item.item == "policies")
        assert item.side == target
        assert f"merge {source} to {target}" in item.seen and "shop.stock" in item.seen
        assert why in item.why and f"from {target} to {source}" in (item.fix or "")


def test_a_lost_topic() -> None:
    """A topic that a checkpoint knows and the broker does not fails, with the way out."""
    lost = CaptureError("topic shop.east.shop.item does not exist", hint="init --reset east west")
    item = only_failed(results(kafka=KafkaFacts(brokers=1, topics=5, lost={"east": lost})))
    assert (item.item, item.side, item.fix) == ("topics", "east", "init --reset east west")


def test_more_copies_than_brokers() -> None:
    """A replication factor that the broker would refuse is seen before the first topic is made."""
    found = results(of=topology(topics={"replication_factor": "3"}))
    assert only_failed(found).item == "replication_factor"


def test_exit_codes() -> None:
    """Away is 4, a refused login alone is the file's fault (2), everything else is a check that failed (1)."""
    refused = pymysql.err.OperationalError(1045, "Access denied for user 'bisync'@'localhost' (using password: YES)")
    away = pymysql.err.OperationalError(2003, "Can't connect to MySQL server on '127.0.0.1'")
    bad = side("west", variables={"binlog_format": "MIXED"})
    assert isinstance(results(refused).failure(), UsageError)
    assert isinstance(results(refused, bad).failure(), CheckFailed)
    assert isinstance(results(away, bad).failure(), Unreachable)
    assert isinstance(results(kafka=Unreachable("Kafka at x does not answer")).failure(), Unreachable)
    assert isinstance(results(east=pymysql.err.ProgrammingError(1064, "syntax")).failure(), CheckFailed)


def test_all_failures_are_in_the_message() -> None:
    """One error says everything that is wrong, each with its reason and remedy."""
    found = results(side("east", variables={"binlog_format": "MIXED"}), side("west", variables={"log_bin": "OFF"}))
    text = str(found.failure())
    for item in found.failed:
        assert item.seen in text and item.why in text and (item.fix or "") in text
    assert "nothing was created" in text


def test_json_form() -> None:
    """An item has exactly the keys of interface.md."""
    assert set(results().items[0].as_json()) == {"item", "side", "result", "seen", "why", "fix"}
