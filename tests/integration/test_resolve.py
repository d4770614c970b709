"""Conflicts that somebody decides: stored, applied by `resume`, over kills, on record and in their topic; on real servers."""

import signal
import subprocess
import threading
from types import SimpleNamespace
from typing import Any, cast

import pytest
from appliers import Applier
from topologies import World, both_paused, eventually, failed, listed

from bisync_topology.conflicts import Filter, find
from bisync_topology.control import Control
from bisync_topology.kafka import admin, side_partition
from bisync_topology.kafka_records import end_offset, read_partition
from bisync_topology.mysql import connect
from bisync_topology.scope import TableRules
from bisync_topology.topology import Direction, Topology
from bisync_topology.topology_file import load
from consumers.changes import Change
from consumers.conflict import ConflictType
from consumers.resolve import Resolution, Resolved, resolve
from consumers.rules import rules_of
from consumers.statements import Statements
from consumers.tables import AppliedTable
from producers.checkpoint import read_checkpoint
from schemas.envelope import RowDecoder
from schemas.records import Row, RowEvent, TransactionRecord
from schemas.topics import conflicts_topic, transactions_topic

pytestmark = pytest.mark.servers
DIRECTION = Direction.model_validate({"from": "east", "to": "west", "objects": ["guard"]})
WORKERS = ("producer east", "producer west", "applier east", "applier west")

RECORD = cast("TransactionRecord", SimpleNamespace(unchecked=False, fk_checks=False))  # of changes that come from none


def items(world: World) -> str:
    """A table on both sides, made before anything runs."""
    return world.table(columns="id INT PRIMARY KEY, qty INT, code VARCHAR(10) UNIQUE")


def conflicting(world: World, table: str) -> None:
    """A direction that has stopped at three conflicts of three types in one transaction, with transactions around it.

    The other direction is paused, so that what stays at west is not carried.
    """
    world.sql("east", f"INSERT INTO {table} VALUES (1, 1, 'a'), (2, 2, 'b'), (3, 3, 'c'), (4, 4, 'd')")
    world.run("wait")
    both_paused(world)
    world.sql(
        "west",
        f"UPDATE {table} SET qty = -2 WHERE id = 2",
        f"UPDATE {table} SET qty = -3 WHERE id = 3",
        f"INSERT INTO {table} VALUES (5, -5, 'e')",
    )
    world.sql("east", f"UPDATE {table} SET qty = 11 WHERE id = 1")
    world.sql(
        "east",
        "BEGIN",
        f"UPDATE {table} SET qty = 22 WHERE id = 2",
        f"UPDATE {table} SET qty = 44 WHERE id = 4",
        f"DELETE FROM {table} WHERE id = 3",
        f"INSERT INTO {table} VALUES (5, 55, 'e')",
        "COMMIT",
    )
    world.sql("east", f"INSERT INTO {table} VALUES (6, 66, 'f')", f"UPDATE {table} SET qty = qty + 100 WHERE id = 1")
    world.run("resume", "east", "west")
    failed(world)


def quantities(world: World, table: str, side: str = "west") -> dict[int, int]:
    """id → qty."""
    return {row[0]: row[1] for row in world.sql(side, f"SELECT id, qty FROM {table}")}


def caught_up(world: World) -> bool:
    """Whether all of east's transactions are applied."""
    return world.direction("east")["lag_events"] == 0


def of_type(world: World, kind: str) -> dict[str, Any]:
    """The conflict of that type."""
    (found,) = listed(world, "--type", kind)
    return found


BEFORE = {1: 11, 2: -2, 3: -3, 4: 4, 5: -5}  # at west, when the direction has stopped
BY_SOURCE = {1: 111, 2: 22, 4: 44, 5: 55, 6: 66}
BY_TARGET = {1: 111, 2: -2, 3: -3, 4: 44, 5: -5, 6: 66}


@pytest.mark.long
def test_each_by_its_id(world: World) -> None:
    """Exactly what was before the transaction is applied; what is resolved is stored at once, shown, and applied by `resume`.

    While some of the transaction's conflicts are open the direction stops again, with these; asking again changes what is stored.
    """
    table = items(world)
    world.up()
    conflicting(world, table)
    assert quantities(world, table) == BEFORE
    hint = str(failed(world)["hint"])
    for words in ("conflicts show west-1", "conflicts resolve west-1 --use source|target", "resume east west", "skip east west"):
        assert words in hint
    differs, gone, there = (str(of_type(world, kind)["id"]) for kind in ("update_differs", "delete_differs", "insert_exists"))
    assert f"conflicts resolve {differs} --use source" in world.run("conflicts", "show", differs)
    assert "resume east west" in world.run("conflicts", "resolve", differs, "--use", "target")
    world.run("conflicts", "resolve", differs, "--use", "source")
    world.run("conflicts", "resolve", gone, "--use", "target")
    assert quantities(world, table) == BEFORE and world.direction()["state"] == "failed", "it is stored, not applied"
    assert {str(each["id"]): (each["decision"], each["resolution"]) for each in listed(world)} == {
        differs: ("pending", "source"),
        gone: ("pending", "target"),
        there: ("pending", None),
    }
    said = world.run("conflicts", "show", differs)
    assert "not applied yet: source" in said and "--use target" in said and "pending: source" in world.run("conflicts", "list")
    world.run("resume", "east", "west")
    eventually(lambda: (world.direction("east")["error"] or {}).get("conflict_id") == there, world.said)
    assert quantities(world, table) == BEFORE, "the transaction stays whole"
    assert len(listed(world)) == 3
    world.run("conflicts", "resolve", there, "--use", "target")
    world.run("resume", "east", "west")
    eventually(lambda: caught_up(world), world.said)
    assert quantities(world, table) == BY_SOURCE | {3: -3, 5: -5}
    assert {str(each["id"]): (each["decision"], each["policy"]) for each in listed(world)} == {
        differs: ("source", "task_failed"),
        gone: ("target", "task_failed"),
        there: ("target", "task_failed"),
    }
    assert world.direction("east")["conflicts"] == 3
    assert "settled already: source" in world.run("conflicts", "resolve", differs, "--use", "target", expect=1)
    assert "conflicts list" in world.run("conflicts", "resolve", "west-99", "--use", "target", expect=1)
    assert "west-17" in world.run("conflicts", "resolve", "17", "--use", "target", expect=2)


@pytest.mark.parametrize(("use", "left"), [("source", BY_SOURCE), pytest.param("target", BY_TARGET, marks=pytest.mark.long)])
def test_in_bulk(world: World, use: str, left: dict[int, int]) -> None:
    """By the filters of `conflicts list`: how many were stored is said, and conflicts that do not fit are left alone."""
    table = items(world)
    world.up()
    conflicting(world, table)
    assert "1 stored" in world.run("conflicts", "resolve", "--all", "--type", "insert_exists", "--use", use)
    assert "no pending conflict" in world.run("conflicts", "resolve", "--all", "--from", "west", "--use", use, expect=1)
    assert "no pending conflict" in world.run("conflicts", "resolve", "--all", "--table", "other.*", "--use", use, expect=1)
    assert "--all" in world.run("conflicts", "resolve", "--use", use, expect=2)
    assert "--all" in world.run("conflicts", "resolve", "west-1", "--type", "insert_exists", "--use", use, expect=2)
    assert [each["resolution"] for each in listed(world) if each["resolution"]] == [use]
    assert "3 stored" in world.run("conflicts", "resolve", "--all", "--table", table, "--to", "west", "--use", use)
    world.run("resume", "east", "west")
    eventually(lambda: caught_up(world), world.said)
    assert quantities(world, table) == left
    assert [each["decision"] for each in listed(world)] == [use] * 3
    assert world.direction("east")["applied_transactions"] == 5, "each of the source's once"


def decided(world: World, source: str, target: str, use: str) -> None:
    """Decide a direction's conflicts, transaction by transaction, until it has none."""
    while world.run("wait", expect=None).find(f"{source} to {target} has failed") >= 0:
        world.run("conflicts", "resolve", "--all", "--from", source, "--use", use)
        world.run("resume", source, target)
        eventually(lambda: world.direction(source)["lag_events"] == 0 or world.direction(source)["error"] is not None, world.said)


@pytest.mark.parametrize(
    ("use", "other", "left"),
    [pytest.param("source", "target", BY_SOURCE, marks=pytest.mark.long), ("target", "source", BY_TARGET)],
)
def test_both_sides_hold_the_chosen_rows(world: World, use: str, other: str, left: dict[int, int]) -> None:
    """Decided for the target, its rows are sent back: whichever side is right, both end with its rows, and no conflict is left.

    Both directions have stopped, as each side's changes meet the other's; they are decided alike.
    """
    table = items(world)
    world.up()
    conflicting(world, table)
    world.run("resume", "west", "east")
    eventually(lambda: world.direction("west")["state"] == "failed", world.said)
    decided(world, "east", "west", use)
    decided(world, "west", "east", other)
    for _ in range(2):  # what is sent back comes behind what stopped
        world.run("wait")
    for (
        side
    ) in world.sides:  # but for row 3, which the one deleted and the other updated: a missing row is put whatever is decided
        assert {n: qty for n, qty in quantities(world, table, side).items() if n != 3} == {n: left[n] for n in left if n != 3}


def holding(world: World, table: str) -> list[dict[int, tuple[object, ...]]]:
    """id → row, of each side, once all has arrived; and answers come to an end: of a `wait` nothing but its barrier is listed."""
    for _ in range(2):  # what is sent back comes behind what was decided
        world.run("wait")
    before = sequences(world)
    world.run("wait")
    assert sequences(world) == [sequence + 1 for sequence in before]
    return [{row[0]: row for row in world.sql(side, f"SELECT * FROM {table}")} for side in world.sides]


def sequences(world: World) -> list[int]:
    """How many transactions each side has listed."""
    topology = load(world.file, {})
    found = [read_checkpoint(topology, side) for side in world.sides]
    return [0 if checkpoint is None else checkpoint.sequence for checkpoint in found]


def stopped_and_decided(world: World, use: str) -> None:
    """Decide about the one change that has stopped the direction into west, and let it go on."""
    failed(world)
    assert "1 stored" in world.run("conflicts", "resolve", "--all", "--from", "east", "--use", use)
    world.run("resume", "east", "west")


def test_a_queued_change_puts_what_the_target_does_not_have(world: World) -> None:
    """Decided for the target; the source's next change of the row, made before it knew, is put: both sides hold that."""
    table = items(world)
    world.up()
    both_paused(world)
    world.sql("west", f"INSERT INTO {table} VALUES (1, 1, 'ten')")
    world.sql("east", f"INSERT INTO {table} VALUES (2, 2, 'ten')", f"UPDATE {table} SET code = 'eleven' WHERE id = 2")
    world.run("resume", "west", "east")
    world.run("resume", "east", "west")
    stopped_and_decided(world, "target")
    east, west = holding(world, table)
    assert east == west == {1: (1, 1, "ten"), 2: (2, 2, "eleven")}
    decisions = {each["type"]: each["decision"] for each in listed(world)}
    assert decisions == {"insert_unique": "target", "update_missing": "source"}


@pytest.mark.parametrize("killed", [pytest.param(False, marks=pytest.mark.long), True], ids=["", "killed"])
def test_a_queued_change_decided_for_the_source(world: World, killed: bool) -> None:
    """Of two changes the first is decided for the target and the second for the source: both sides hold the second's row.

    Also where the target's producer and applier are killed between the two, and around their commits.
    """
    table = items(world)
    processes = Apart(world)
    world.sql("east", f"INSERT INTO {table} VALUES (1, 1, 'a'), (2, 2, 'b')")
    world.run("wait")
    world.sql("west", "SET SESSION sql_log_bin = 0", f"UPDATE {table} SET qty = 9 WHERE id = 1")
    world.run("pause", "east", "west")
    eventually(lambda: world.states()["east"] == "paused", world.said)
    for statement in ("SET qty = 2 WHERE id = 1", "SET qty = 3 WHERE id = 1", "SET qty = 22 WHERE id = 2"):
        world.sql("east", f"UPDATE {table} {statement}")
    world.run("resume", "east", "west")
    stopped_and_decided(world, "target")
    eventually(lambda: quantities(world, table, "east")[1] == 9, world.said)
    failed(world)
    if killed:
        for name in ("producer west", "applier west"):
            processes.kill(name)
    stopped_and_decided(world, "source")
    if killed:
        for name in ("applier", "producer"):
            for point in ("before_commit", "after_commit"):
                processes.start_until(f"{name}.{point}", f"{name} west")
        processes.start("applier west", "producer west")
    east, west = holding(world, table)
    assert east == west == {1: (1, 3, "a"), 2: (2, 22, "b")}


def test_decided_for_the_target_on_both_sides(world: World) -> None:
    """Each side is to keep its own row, which cannot be: both end with one of them, and do not go on answering each other."""
    table = items(world)
    world.up()
    world.sql("east", f"INSERT INTO {table} VALUES (1, 1, 'a')")
    world.run("wait")
    both_paused(world)
    world.sql("east", f"UPDATE {table} SET qty = 2 WHERE id = 1")
    world.sql("west", f"UPDATE {table} SET qty = 3 WHERE id = 1")
    world.run("resume", "east", "west")
    world.run("resume", "west", "east")
    eventually(lambda: set(world.states().values()) == {"failed"}, world.said)
    world.run("conflicts", "resolve", "--all", "--use", "target")
    for ends in (("east", "west"), ("west", "east")):
        world.run("resume", *ends)
    east, west = holding(world, table)
    assert east == west and east[1][1] in (2, 3)


@pytest.mark.long
def test_a_way_back_there_is_none(world: World) -> None:
    """Where no direction carries the table back, deciding for the target is refused, with what to do by hand."""
    table = items(world)
    world.topology["directions"][1]["objects"] = [f"{world.db}.other"]
    world.up()
    world.sql("east", f"INSERT INTO {table} VALUES (1, 1, 'a')")
    world.run("wait")
    world.sql("west", f"UPDATE {table} SET qty = 5 WHERE id = 1")
    world.sql("east", f"UPDATE {table} SET qty = 2 WHERE id = 1")
    eventually(lambda: world.direction("east")["state"] == "failed", world.said)
    for named in (("west-1",), ("--all",)):
        assert "cannot be sent back" in world.run("conflicts", "resolve", *named, "--use", "target", expect=1)
    world.run("conflicts", "resolve", "west-1", "--use", "source")
    world.run("resume", "east", "west")
    eventually(lambda: quantities(world, table) == {1: 2}, world.said)


@pytest.mark.long
def test_rows_that_were_mended_meanwhile(world: World) -> None:
    """A repair by hand followed by `resume` works; and what was resolved holds although the change would fit by then."""
    table = items(world)
    world.up()
    conflicting(world, table)
    target = str(of_type(world, "update_differs")["id"])
    world.run("conflicts", "resolve", target, "--use", "target")
    world.run("conflicts", "resolve", str(of_type(world, "delete_differs")["id"]), "--use", "source")
    world.sql(
        "west",
        f"UPDATE {table} SET qty = 2 WHERE id = 2",
        f"UPDATE {table} SET qty = 3 WHERE id = 3",
        f"DELETE FROM {table} WHERE id = 5",
    )
    world.run("resume", "east", "west")
    eventually(lambda: caught_up(world), world.said)
    assert quantities(world, table) == BY_SOURCE | {2: 2}
    assert {each["type"]: each["decision"] for each in listed(world)} == {
        "update_differs": "target",
        "delete_differs": "source",
        "insert_exists": "source",
    }
    (kept,) = (each for each in listed(world) if each["id"] == target)
    assert kept["local"] == [{"id": 2, "qty": 2, "code": "b"}], "the record has the row that stayed"


class Apart:
    """The four processes of a topology, each started by itself."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.running: dict[str, subprocess.Popen[str]] = {}
        self.start(*WORKERS)

    def start(self, *names: str) -> None:
        """Start processes, and wait until they are there."""
        for name in names:
            self.running[name] = self.world.start(*name.split())

        def there() -> bool:
            assert all(self.running[name].poll() is None for name in names), self.world.said()
            rows = {each["name"]: each for each in self.world.status()["processes"]}
            at_work = ("running", "failed", "paused")
            return all(rows[name]["pid"] == self.running[name].pid and rows[name]["state"] in at_work for name in names)

        eventually(there, self.world.said)

    def start_until(self, failpoint: str, name: str) -> None:
        """Start a process that dies at a failpoint, and wait until it has."""
        process = self.world.start(*name.split(), BISYNC_FAILPOINT=failpoint)
        assert process.wait(90) == -signal.SIGKILL, self.world.said()

    def kill(self, name: str) -> None:
        """SIGKILL."""
        self.running[name].kill()
        self.running[name].wait()


@pytest.mark.parametrize(
    "failpoints",
    [
        ("applier.after_marker", "applier.mid_rows", "applier.before_commit"),
        pytest.param(("applier.after_assign", "applier.after_commit"), marks=pytest.mark.long),
    ],
    ids=["before the commit", "around it"],
)
def test_killed_between_resolve_and_resume_and_while_applying(world: World, failpoints: tuple[str, ...]) -> None:
    """What is stored survives kill -9 of the applier at each point; nothing is lost, and nothing is applied twice."""
    table = items(world)
    processes = Apart(world)
    conflicting(world, table)
    assert "3 stored" in world.run("conflicts", "resolve", "--all", "--use", "source")
    processes.kill("applier west")
    processes.start("applier west")
    eventually(lambda: world.direction("east")["state"] == "failed", world.said)
    assert quantities(world, table) == BEFORE, "it is not applied before `resume`"
    processes.kill("applier west")
    world.run("resume", "east", "west")
    for failpoint in failpoints:
        processes.start_until(failpoint, "applier west")
    processes.start("applier west")
    eventually(lambda: caught_up(world), world.said)
    assert quantities(world, table) == BY_SOURCE
    assert [(each["decision"], each["resolution"]) for each in listed(world)] == [("source", "source")] * 3
    assert world.direction("east")["applied_transactions"] == 5 and world.direction("east")["conflicts"] == 3


def published(world: World, side: str = "west") -> list[tuple[str, dict[str, Any]]]:
    """Keys and values of the topic of conflicts, of a side's partition."""
    topology = load(world.file, {})
    return read_partition(topology, conflicts_topic(topology.name), side_partition(topology, side))


def list_end(world: World, side: str) -> int:
    """Where a side's list of transactions ends."""
    topology = load(world.file, {})
    return end_offset(admin(topology), (transactions_topic(topology.name, side), 0))


def test_the_topic(world: World) -> None:
    """Each state of each conflict is published once, also of a stopped direction, also what a killed producer had sent.

    The last value of a key is what `conflicts list` has. A transaction that writes conflicts alone is not listed for it.
    """
    table = items(world)
    processes = Apart(world)
    conflicting(world, table)
    eventually(lambda: len(published(world)) == 3, world.said)
    end = list_end(world, "west")
    assert [value for _, value in published(world)] == listed(world)[::-1]
    processes.kill("producer west")
    world.run("conflicts", "resolve", "--all", "--use", "source")
    for failpoint in ("producer.before_commit", "producer.after_commit"):
        processes.start_until(failpoint, "producer west")
    processes.start("producer west")
    eventually(lambda: len(published(world)) == 6, world.said)
    assert list_end(world, "west") == end
    world.run("resume", "east", "west")
    eventually(lambda: len(published(world)) >= 9, world.said)
    last = listed(world, "--to", "west")
    assert len(last) == 3 and quantities(world, table) == BY_SOURCE
    found = [(key, value["decision"], value["resolution"]) for key, value in published(world)]
    states = (("pending", None), ("pending", "source"), ("source", "source"))
    assert sorted(found, key=str) == sorted(((str(each["id"]), *state) for each in last for state in states), key=str)
    assert {value["id"]: value for _, value in published(world)} == {each["id"]: each for each in last}


def test_large_conflicts_in_the_topic(world: World) -> None:
    """What is larger than a record may be is clipped in its rows, and says so; with nothing lost of the rest."""
    world.topology["topics"] = {**world.topology.get("topics", {}), "max_message_bytes": 50_000}
    for direction in world.topology["directions"]:
        direction["on_conflict"] = "ignore"
    wide = [f"c{n}" for n in range(20)]
    table = world.table(columns=", ".join(["id INT PRIMARY KEY", "v TEXT", *(f"{name} TEXT" for name in wide)]))
    world.up()
    both_paused(world)
    for side in world.sides:
        world.sql(
            side,
            f"INSERT INTO {table} (id, v) VALUES (2, '{side}')",
            f"INSERT INTO {table} VALUES (1, REPEAT('{side}', 10000), {', '.join(['REPEAT(1, 60000)'] * len(wide))})",
        )
    world.run("resume", "east", "west")
    eventually(lambda: len(published(world)) == 2, world.said)
    small, large = sorted((value for _, value in published(world)), key=lambda value: value.get("clipped", False))
    assert small["incoming"] == {"id": 2, "v": "east", **dict.fromkeys(wide)}
    assert large["incoming"]["v"].startswith("easteast") and large["incoming"]["v"].endswith("(40000 characters)")
    assert large["local"][0]["v"].startswith("westwest")
    (whole,) = (each for each in listed(world, "--to", "west") if each["key"] == {"id": 1})
    assert {**large, "incoming": 0, "local": 0} == {**whole, "incoming": 0, "local": 0, "clipped": True}
    assert len(str(cast("Any", whole["incoming"])["v"])) == 40_000, "the table has all of it"


def test_old_conflicts_are_deleted(world: World) -> None:
    """Settled ones that are older than `conflicts.retention`, never a pending one; nothing is published or listed for it."""
    table = items(world)
    running = world.up()
    conflicting(world, table)
    world.run("conflicts", "resolve", "--all", "--use", "source")
    world.run("resume", "east", "west")
    eventually(lambda: caught_up(world), world.said)
    running.send_signal(signal.SIGTERM)
    running.wait(60)
    kept = str(of_type(world, "update_differs")["id"])
    world.sql("west", f"UPDATE {world.control}.conflicts SET decision = 'pending' WHERE id = {kept.removeprefix('west-')}")
    world.topology["conflicts"] = {"retention": "1s"}
    end = list_end(world, "west")
    world.start("up")  # the other direction stays paused
    eventually(lambda: [each["id"] for each in find(load(world.file, {}), Filter())] == [kept], world.said)
    eventually(lambda: len(published(world)) >= 10, world.said)
    assert len(published(world)) == 10, "three in three states, and one that is pending once more"
    assert list_end(world, "west") == end


def test_a_control_schema_of_an_older_version(world: World) -> None:
    """Columns that came later are added, by whichever of several processes is first, with what precheck asks for."""
    topology = load(world.file, {})
    Control(west(topology), topology).create()
    before = world.sql("west", f"SHOW CREATE TABLE {world.control}.conflicts")
    world.sql("west", f"ALTER TABLE {world.control}.conflicts DROP COLUMN resolution, DROP KEY aged")
    schema = world.control.replace("_", r"\_")
    for privilege in ("DROP", "INDEX"):
        world.sql("west", f"REVOKE {privilege} ON `{schema}`.* FROM {world.user}@'%'")
    started = threading.Barrier(4)
    errors: list[Exception] = []

    def create() -> None:
        connection = west(topology)
        started.wait()
        try:
            Control(connection, topology).create()
            Control(connection, topology).upgrade()
        except Exception as error:  # noqa: BLE001  told below, as a thread's own is not
            errors.append(error)
        connection.close()

    threads = [threading.Thread(target=create) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert world.sql("west", f"SHOW CREATE TABLE {world.control}.conflicts") == before


def west(topology: Topology) -> Any:
    """A connection to west as a process has it."""
    return connect(topology.sides["west"].mysql)


def test_a_foreign_key_that_refuses(applier: Applier) -> None:
    """Decided for the source, the change is tried, and stays pending as long as the server refuses it."""
    parents = applier.statements("id int PRIMARY KEY")
    name = parents.plan.target.name
    applier.cursor.connection.commit()  # a table that is in use cannot be referred to by a new one
    children = applier.statements(f"id int PRIMARY KEY, p int NOT NULL, FOREIGN KEY (p) REFERENCES guard.{name} (id)")

    def decided(resolution: Resolution, after: Row) -> Resolved:
        return resolve(applier.cursor.connection, change(children, after), lambda sql: None, resolution=resolution)

    refused = decided("source", (10, 1))
    assert (refused.decision.type, refused.decision.decision) == (ConflictType.FOREIGN_KEY, "pending")
    assert applier.rows(children) == []
    kept = decided("target", (10, 1))
    assert (kept.decision.decision, kept.decided) == ("target", True) and applier.rows(children) == []
    applier.run(parents.insert([(1,)]))
    assert decided("source", (10, 1)).decision.decision == "source"
    assert applier.rows(children) == [(10, 1)]


def change(made: Statements, after: Row) -> Change:
    """The insert of a row."""
    settings = TableRules(DIRECTION).settings("guard", "t")
    rules = rules_of(settings, made.plan, forced=False)
    table = AppliedTable(name="guard.t", decoder=cast("RowDecoder", None), settings=settings, rules=rules, statements=made)
    return Change(
        table, RowEvent(1, 0, "c", None, after), cast("TransactionRecord", SimpleNamespace(unchecked=False, fk_checks=False)), 0
    )
