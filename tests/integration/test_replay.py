"""`replay` on real servers: what was applied is compared with the target from a point on, and written again."""

import json
import signal
from typing import Any

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from topologies import World, eventually

from bisync_topology.errors import CheckFailed
from bisync_topology.topology_file import load
from recovery.latest import Latest
from recovery.replay import replay
from sandbox.accounts import create_accounts

pytestmark = [pytest.mark.servers, pytest.mark.timeout(240)]


def replayed(world: World, *arguments: str, expect: int = 0) -> dict[str, Any]:
    """What `replay east west -o json` prints."""
    text = world.run("replay", "east", "west", *arguments, "-o", "json", expect=expect)
    found: dict[str, Any] = json.JSONDecoder().raw_decode(text)[0]
    return found


def rows(world: World, side: str, table: str) -> dict[int, int]:
    """The table's rows."""
    return dict(world.sql(side, f"SELECT id, qty FROM {table}"))


def test_what_was_damaged_at_the_target_is_found_and_written_again(world: World) -> None:
    """Rows changed, lost and put back by hand at the target are told apart by a dry run that changes nothing; with --force they
    are as they were sent, nothing of it comes back, and what was not applied yet is left to `resume`.
    """
    table = world.table()
    world.up()
    assert "is required" in world.run("replay", "east", "west", expect=2)
    assert "pause east west" in world.run("replay", "east", "west", "--to-earliest", expect=1)
    values = ", ".join(f"({n}, 0)" for n in range(1, 51))
    world.sql(
        "east", f"INSERT INTO {table} VALUES {values}", f"UPDATE {table} SET qty = id", f"DELETE FROM {table} WHERE id > 45"
    )
    world.sql("east", f"UPDATE {table} SET id = 60 WHERE id = 40")
    world.run("wait")
    world.sql("west", f"UPDATE {table} SET qty = 77 WHERE id = 9")
    world.run("wait")
    moment = world.sql("east", "SELECT DATE_FORMAT(UTC_TIMESTAMP(6), '%Y-%m-%dT%H:%i:%s.%fZ')")[0][0]
    world.sql("east", f"UPDATE {table} SET qty = 1000 WHERE id IN (1, 2)")
    world.run("wait")
    world.run("pause", "east", "west")
    eventually(lambda: world.states()["east"] == "paused", world.said)
    world.sql("east", f"INSERT INTO {table} VALUES (100, 0)", f"INSERT INTO {table} VALUES (101, 0)")
    by_hand = (
        f"UPDATE {table} SET qty = -1 WHERE id IN (2, 3)",
        f"DELETE FROM {table} WHERE id IN (4, 60)",
        f"INSERT INTO {table} VALUES (46, 5)",
    )
    world.sql("west", "SET SESSION sql_log_bin = 0", *by_hand)
    eventually(lambda: world.direction()["lag_events"] == 2, world.said)

    found = replayed(world, "--to-earliest")
    assert found["start"]["sequence"] == 1
    barriers = 3  # of `wait`
    assert found["compared"] == {"transactions": 6 + barriers, "events": 50 + 50 + 5 + 2 + 1 + 2, "tables": 1}
    assert found["to_apply"] == {"transactions": 2, "events": 2, "tables": 1}
    (one,) = found["tables"]
    assert (one["table"], one["equal"], one["differing"], one["missing"], one["extra"]) == (table, 51 - 5, 2, 2, 1)
    assert {(each["kind"], each["key"]["id"]) for each in one["examples"]} == {
        ("differing", 2),
        ("differing", 3),
        ("missing", 4),
        ("missing", 60),
        ("extra", 46),
    }
    later = replayed(world, "--to-datetime", moment)
    assert (later["compared"]["transactions"], later["to_apply"]["transactions"]) == (1 + 1, 2)
    assert [(each["equal"], each["differing"]) for each in later["tables"]] == [(1, 1)]
    assert replayed(world, "--to-offset", str(later["start"]["offset"])) == later
    assert "no such transaction" in world.run("replay", "east", "west", "--to-datetime", "2099-01-01", expect=2)
    assert replayed(world, "--to-earliest", "--execute", expect=1)["written"] == 0
    before = world.direction("west")["lag_events"]
    assert "5 rows were written" in world.run("replay", "east", "west", "--to-earliest", "--execute", "--force")
    assert replayed(world, "--to-earliest", "--execute")["equal"]
    world.run("resume", "east", "west")
    world.run("wait")
    assert before == 0
    assert rows(world, "west", table) == rows(world, "east", table)
    assert rows(world, "west", table)[9] == 77
    assert world.direction("west")["conflicts"] == 0, "nothing of it came back"


def test_what_kafka_has_no_more_is_named(world: World) -> None:
    """Events that retention has taken: the earliest transaction is the first of which, and of all behind it, everything is there;
    an earlier one is refused with what is gone, and so is a start behind the target's progress.
    """
    world.topology["topics"] = {"partitions": 1}
    table = world.table()
    running = world.up()
    for n in range(1, 7):
        world.sql("east", f"INSERT INTO {table} VALUES ({2 * n}, 0), ({2 * n + 1}, 0)")
    world.run("wait")
    running.send_signal(signal.SIGTERM)
    assert running.wait(60) == 0
    topic = next(name for name in world.topics() if name.endswith(".item") and ".east." in name)
    client = AdminClient({"bootstrap.servers": world.servers.kafka.bootstrap})
    whole = replayed(world, "--to-earliest")
    assert whole["start"]["sequence"] == 1

    # the first event of the third transaction is gone, the second is there: an offset a transaction is its marker's
    client.delete_records([TopicPartition(topic, 0, cut(world, topic, 5))])
    eventually(lambda: replayed(world, "--to-earliest")["start"]["sequence"] == 4)
    said = world.run("replay", "east", "west", "--to-offset", str(whole["start"]["offset"]), expect=1)
    assert "transactions 1 to 3" in said and "--to-earliest" in said, said
    world.sql("west", f"UPDATE {world.control}.applied SET sequence = 1")
    said = world.run("replay", "east", "west", "--to-earliest", expect=1)
    assert "transactions 2 to 3 would be left out" in said and "init --reset" in said, said


def test_rows_of_an_emptied_partition_stay_gone(world: World) -> None:
    """No row event tells of them, so they are not taken for missing; other tables are compared as ever."""
    world.topology["directions"][0]["ddl"] = True
    for server in world.sides.values():
        with server.connect() as connection:
            create_accounts(connection, world.databases, world.control, world.user, "secret", ddl=True)
    parts = "PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (10), PARTITION p1 VALUES LESS THAN (20))"
    table, other = world.table(), world.table("other")
    for side in world.sides:
        world.sql(side, f"ALTER TABLE {table} {parts}")
    world.up()
    world.sql("east", *(f"INSERT INTO {name} VALUES (1, 1), (2, 2), (11, 11)" for name in (table, other)))
    world.run("wait")
    world.sql("east", f"ALTER TABLE {table} TRUNCATE PARTITION p0", f"ALTER TABLE {other} ADD COLUMN price INT DEFAULT 7")
    world.sql("east", f"INSERT INTO {table} VALUES (2, 22)")
    world.run("wait")
    world.run("pause", "east", "west")
    eventually(lambda: world.states()["east"] == "paused", world.said)
    world.sql("west", "SET SESSION sql_log_bin = 0", f"DELETE FROM {other} WHERE id = 1", f"DELETE FROM {table} WHERE id = 2")

    found = replayed(world, "--to-earliest", "--execute", "--force")
    assert found["written"] == 2
    assert {each["table"]: (each["equal"], each["missing"]) for each in found["tables"]} == {table: (0, 1), other: (2, 1)}
    assert rows(world, "west", table) == rows(world, "east", table) == {2: 22, 11: 11}
    assert world.sql("west", f"SELECT * FROM {other}") == world.sql("east", f"SELECT * FROM {other}")


def test_a_replay_right_after_a_pause_waits_for_what_is_being_applied(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """`pause` is a wish: the applier finishes what it has begun, and until then the target moves. A replay waits for it, and
    refuses where it takes too long; so it does where the target has moved under it all the same.
    """
    table = world.table()
    world.up()
    world.sql("east", f"INSERT INTO {table} VALUES (1, 0)")
    world.run("wait")
    topology = load(world.file, {})
    said: list[str] = []
    with world.sides["west"].connect(autocommit=False) as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {table} WHERE id = 1 FOR UPDATE")
        world.sql("east", f"UPDATE {table} SET qty = 7")
        eventually(lambda: bool(world.sql("west", "SELECT 1 FROM performance_schema.data_lock_waits")), world.said)
        world.run("pause", "east", "west")
        with monkeypatch.context() as patched, pytest.raises(CheckFailed, match="finishes what it has begun") as caught:
            patched.setattr("recovery.halted._HALT_SECONDS", 1.0)
            replay(topology, "east", "west", None, said.append, execute=True, force=True)
        assert caught.value.code == "not_paused" and len(said) == 1
        running = world.start("replay", "east", "west", "--to-earliest", "-o", "json")
        eventually(lambda: "finishes what it has begun" in world.said(), world.said)
        assert running.poll() is None
        connection.rollback()
    found = json.loads(running.communicate(timeout=60)[0])
    assert running.returncode == 0 and found["equal"]
    assert (found["compared"]["events"], found["to_apply"]["transactions"]) == (2, 0)

    world.run("resume", "east", "west")
    world.sql("east", *(f"INSERT INTO {table} VALUES ({n}, 0)" for n in range(2, 300)), f"UPDATE {table} SET qty = id")
    world.run("pause", "east", "west")
    found = replayed(world, "--to-earliest")
    assert found["equal"] and found["applied_up_to"] == world.direction()["last_applied"]["sequence"]

    compare = Latest.compare

    def moving(latest: Latest) -> None:
        compare(latest)
        world.sql("west", f"UPDATE {world.control}.applied SET sequence = sequence + 1")

    monkeypatch.setattr(Latest, "compare", moving)
    with pytest.raises(CheckFailed, match="was applied further meanwhile") as caught:
        replay(topology, "east", "west", None, said.append, execute=False, force=False)
    assert caught.value.code == "not_paused"


def cut(world: World, topic: str, records: int) -> int:
    """The offset behind so many records of a topic's only partition."""
    from bisync_topology.kafka_records import read

    found = [record.offset for record in read(load(world.file, {}), {(topic, 0): 0})]
    return found[records - 1] + 1
