"""The commands on real servers: `up` and its children, status, wait, pause, resume, skip, precheck."""

import json
import os
import signal

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec
from topologies import World, eventually

from schemas.topics import consumer_group

pytestmark = pytest.mark.servers


def rows(world: World, side: str, table: str) -> tuple[tuple[object, ...], ...]:
    """A table's rows in the order of the key."""
    return world.sql(side, f"SELECT * FROM {table} ORDER BY 1")


def group_lags(world: World, side: str) -> set[int]:
    """The lags of the partitions of an applier's consumer group, as kafka-consumer-groups tells them."""
    broker = AdminClient({"bootstrap.servers": world.servers.kafka.bootstrap})
    group = consumer_group(world.name, side)
    shown = broker.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])[group].result().topic_partitions
    ends = broker.list_offsets({TopicPartition(each.topic, each.partition): OffsetSpec.latest() for each in shown})
    latest = {(each.topic, each.partition): result.result().offset for each, result in ends.items()}
    return {latest[each.topic, each.partition] - each.offset for each in shown}


def test_both_ways(world: World) -> None:
    """`up` carries changes both ways; `wait` returns when they have arrived; `status` counts them; SIGTERM ends it with 0."""
    table = world.table()
    running = world.up()
    world.sql("east", f"INSERT INTO {table} VALUES (1, 10), (2, 20)")
    world.sql("west", f"INSERT INTO {table} VALUES (3, 30)")
    assert "both sides have everything" in world.run("wait")
    assert rows(world, "east", table) == rows(world, "west", table) == ((1, 10), (2, 20), (3, 30))
    assert json.loads(world.run("status", "-o", "json"))["topology"] == world.name
    eastward, westward = world.direction("east"), world.direction("west")
    assert (eastward["state"], eastward["applied_transactions"], eastward["applied_rows"]) == ("syncing", 1, 2)
    assert (westward["state"], westward["applied_transactions"], westward["applied_rows"]) == ("syncing", 1, 1)
    eventually(lambda: all(world.direction(side)["dropped_own_origin"] == 1 for side in world.sides))
    eventually(lambda: {each["lag_events"] for each in world.status()["directions"]} == {0})
    assert {each["lag_seconds"] for each in world.status()["directions"]} == {0}
    for side in world.sides:
        eventually(lambda side=side: group_lags(world, side) == {0})
    assert eastward["last_applied"]["gtid"] and eastward["last_applied"]["committed_at"].endswith("Z")
    running.send_signal(signal.SIGTERM)
    assert running.wait(60) == 0
    status = world.status()
    assert {each["state"] for each in status["directions"]} == {"stopped"}
    assert {each["state"] for each in status["processes"]} == {"stopped"}


def test_what_is_killed_comes_back(world: World) -> None:
    """A child killed outright is started again and goes on; its restart is counted."""
    table = world.table()
    world.up()
    for name in ("producer east", "applier west"):
        pid = next(each["pid"] for each in world.status()["processes"] if each["name"] == name)
        os.kill(pid, signal.SIGKILL)
        world.sql("east", f"INSERT INTO {table} SELECT COALESCE(MAX(id), 0) + 1, 1 FROM {table} AS t")
        world.run("wait", "--timeout", "90")
        back = next(each for each in world.status()["processes"] if each["name"] == name)
        assert back["restarts"] == 1 and back["pid"] != pid
    assert rows(world, "west", table) == ((1, 1), (2, 1))
    assert "ended by SIGKILL; starting it again" in world.said()


def test_one_up_a_host(world: World) -> None:
    """A second `up` of the same topology is refused with the pid of the first."""
    world.table()
    running = world.up()
    assert f"(pid {running.pid})" in world.run("up", expect=1)
    assert running.poll() is None


def test_pause_and_resume(world: World) -> None:
    """A paused direction applies nothing, `wait` says so with 1, the other direction goes on; `resume` brings what was missed."""
    table = world.table()
    world.up()
    world.run("pause", "east", "west")
    eventually(lambda: world.direction("east")["state"] == "paused")
    eventually(lambda: {"name": "applier west", "state": "paused"}.items() <= {**world.status()["processes"][3]}.items())
    world.sql("east", f"INSERT INTO {table} VALUES (1, 1)")
    world.sql("west", f"INSERT INTO {table} VALUES (2, 2)")
    assert "east to west is paused" in world.run("wait", expect=1)
    eventually(lambda: rows(world, "east", table) == ((1, 1), (2, 2)))
    assert rows(world, "west", table) == ((2, 2),)
    eventually(lambda: world.status()["directions"][0]["lag_events"] > 0)
    assert world.status()["directions"][0]["lag_seconds"] > 0
    world.run("resume", "east", "west")
    world.run("wait")
    assert rows(world, "west", table) == ((1, 1), (2, 2))


def test_failed_then_skipped(world: World) -> None:
    """A conflict under task_failed fails the direction: status and `wait` exit with 3 and say how to go on; `skip` passes it."""
    table = world.table()
    world.up()
    world.run("pause", "east", "west")
    world.run("pause", "west", "east")
    world.sql("east", f"INSERT INTO {table} VALUES (1, 100)")
    world.sql("west", f"INSERT INTO {table} VALUES (1, 200)")
    world.run("resume", "east", "west")
    eventually(lambda: world.direction("east")["state"] == "failed", world.said)
    error = world.direction("east")["error"]
    assert error["code"] == "conflict" and error["gtid"] and error["conflict_id"]
    assert error["message"] in world.run("status", expect=3)
    assert "east to west has failed" in world.run("wait", expect=3)
    world.sql("east", f"INSERT INTO {table} VALUES (5, 5)")
    said = world.run("skip", "east", "west", "--gtid", error["gtid"], "--reason", "the west's row is right")
    assert "failed state on west is cleared" in said and "verify" in said
    eventually(lambda: rows(world, "west", table) == ((1, 200), (5, 5)), world.said)
    assert world.direction("east")["error"] is None
    recorded = world.sql("west", f"SELECT skipped FROM {world.control}.directions WHERE source_side = 'east'")[0][0]
    assert json.loads(recorded)[0] | {"at": 0} == {
        "gtid": error["gtid"],
        "reason": "the west's row is right",
        "at": 0,
        "tables": [table],
    }
    assert "has passed" in world.run("skip", "east", "west", "--gtid", error["gtid"], "--reason", "again", expect=1)


def test_a_skip_that_is_not_the_failure(world: World) -> None:
    """A skip of another transaction leaves the failed state, and says that `resume` is needed."""
    table = world.table()
    world.sql("west", f"INSERT INTO {table} VALUES (1, 200)")
    world.up()
    world.sql("east", f"INSERT INTO {table} VALUES (1, 100)")
    eventually(lambda: world.direction("east")["state"] == "failed", world.said)
    other = "3e11fa47-71ca-11e1-9e33-c80aa9429562:7"
    assert "`bisync-topology resume east west` is needed too" in world.run(
        "skip", "east", "west", "--gtid", other, "--reason", "x"
    )
    assert world.direction("east")["state"] == "failed"


def test_wait_runs_out(world: World) -> None:
    """Without processes nothing arrives: `wait` ends with 1 and names the direction and the process that is missing."""
    world.table()
    running = world.up()
    running.terminate()
    assert running.wait(60) == 0
    said = world.run("wait", "--timeout", "0.5", expect=1)
    assert "east to west: stopped" in said and "producer east is stopped" in said


def test_before_the_first_up(world: World) -> None:
    """Commands on a topology that has never run say so; `status` shows that everything is stopped."""
    for words in (["wait"], ["pause", "east", "west"], ["resume", "east", "west"]):
        assert "`bisync-topology up` first" in world.run(*words, expect=1)
    assert {each["state"] for each in world.status()["directions"]} == {"stopped"}
    assert world.untouched()


def test_precheck(world: World) -> None:
    """`precheck` lists every item, changes nothing, and exits with 1 when one fails; the JSON has the fixed keys."""
    world.table()
    items = json.loads(world.run("precheck", "-o", "json"))
    assert [item["item"] for item in items if item["result"] != "pass"] == ["policies"]  # task_failed both ways: a warning
    assert all(set(item) == {"item", "side", "result", "seen", "why", "fix"} for item in items)
    world.sql("east", f"CREATE TABLE {world.db}.bare (a INT)")
    items = json.loads(world.run("precheck", "-o", "json", expect=1))
    assert [item["side"] for item in items if item["result"] == "fail"] == ["east", "west"]
    assert "ADD PRIMARY KEY (`a`)" in world.run("precheck", expect=1)
    assert world.untouched()


def test_a_side_that_is_away(world: World) -> None:
    """A server that is away is waited for; status shows what is known and exits with 0, `pause` needs both sides: 4."""
    world.table()
    world.up()
    world.topology["sides"]["west"]["mysql"]["port"] = 1
    status = world.status()
    assert status["directions"][0]["applied_rows"] is None
    assert {each["state"] for each in status["processes"] if each["name"].endswith("west")} == {"unknown"}
    assert "no answer from west (127.0.0.1:1)" in world.run("status")
    assert "west (127.0.0.1:1) cannot be reached" in world.run("pause", "east", "west", expect=4)
    del world.topology["sides"]["west"]["mysql"]["port"]
    world.topology["sides"]["west"]["mysql"]["port"] = world.servers.west.port
    assert world.direction("east")["state"] == "syncing"


def test_single_processes(world: World) -> None:
    """`producer` and `applier` run by themselves, a second one waits as a standby and takes over when the first ends."""
    table = world.table()
    first = world.start("producer", "east")
    world.start("applier", "west")
    eventually(lambda: world.status()["processes"][0]["state"] == "running", world.said)
    world.start("producer", "east")
    eventually(lambda: "another process owns this work" in world.said(), world.said)
    first.send_signal(signal.SIGTERM)
    assert first.wait(60) == 0
    eventually(lambda: world.status()["processes"][0]["pid"] not in (None, first.pid), world.said)
    world.sql("east", f"INSERT INTO {table} VALUES (1, 1)")
    eventually(lambda: rows(world, "west", table) == ((1, 1),), world.said)
