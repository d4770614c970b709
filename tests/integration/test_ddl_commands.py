"""`ddl list`, `show`, `approve` and `skip` over rows as appliers write them, on real servers."""

import signal
from typing import Any

import pytest
from topologies import World, eventually

from bisync_topology.control import Control
from bisync_topology.mysql import connect
from bisync_topology.sql_modes import MODES
from bisync_topology.topology_file import load
from sandbox.accounts import create_accounts
from sandbox.instances import Sandbox
from schemas.list_records import encode_ddl
from schemas.records import DdlEvent

pytestmark = pytest.mark.servers
FIELDS = ("id", "at", "origin", "statement", "state", "why")
STATEMENT = "ALTER TABLE item /* who knows */ FROBNICATE"
EVENT = DdlEvent(
    sequence=1,
    order=0,
    statement=STATEMENT,
    default_db="shop",
    sql_mode=4 | 1 << 30,
    time_zone="SYSTEM",
    charset=(8, 8, 255),
    tables=("shop.item",),
    flags=1 << 26,
)


@pytest.fixture
def stopped(world: World) -> World:
    """A topology that has run, and whose processes have ended: nothing acts on what is decided."""
    up = world.up()
    up.send_signal(signal.SIGTERM)
    assert up.wait(60) == 0
    return world


def plant(world: World, side: str, source: str, state: str, **more: Any) -> str:
    """A row as an applier writes it; gives its id as users see it."""
    topology = load(world.file, {})
    with connect(topology.sides[side].mysql) as connection:
        control = Control(connection, topology)
        stream = {row[0]: row[1] for row in control.execute("read_applied", topology.name)}[source]
        row = {"stream": stream, "sequence": 1, "at": 1_700_000_000_000_000, "statement": STATEMENT, "why": f"it is {state}"}
        row |= {"gtid": "3e11fa47-71ca-11e1-9e33-c80aa9429562:7", "tables": None, "event": None, "connection_id": None, **more}
        control.execute(
            "write_ddl",
            topology.name,
            source,
            *(row[name] for name in ("stream", "sequence", "at", "statement")),
            state,
            *(row[name] for name in ("why", "gtid", "tables", "event", "connection_id")),
            None,
        )
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT MAX(id) FROM {world.control}.ddl_log")
            return f"{side}-{cursor.fetchone()[0]}"


def listed(world: World, *arguments: str) -> list[dict[str, Any]]:
    """What `ddl list -o json` prints."""
    found: list[dict[str, Any]] = world.json("ddl", "list", *arguments)
    return found


def decision(world: World, identity: str) -> Any:
    """What is stored about a row."""
    side, _, number = identity.partition("-")
    return world.sql(side, f"SELECT decision, why FROM {world.control}.ddl_log WHERE id = {number}")[0]


def test_what_is_listed_and_shown(stopped: World) -> None:
    """Both sides, newest first, the fields of the interface; filters; one whole with its session; what is wrong is said."""
    world = stopped
    assert "no DDL" in world.run("ddl", "list") and listed(world) == []
    first = plant(world, "west", "east", "held", event=encode_ddl(EVENT), tables='["shop.item", "shop.other"]')
    second = plant(world, "east", "west", "drift", at=1_700_000_000_000_001)
    third = plant(world, "west", "east", "running", sequence=2, at=1_700_000_000_000_002, connection_id=77, why="")
    fourth = plant(world, "west", "east", "applied", sequence=3, at=1_700_000_000_000_003, statement="CREATE TABLE t (id INT)")
    found = listed(world)
    assert [each["id"] for each in found] == [fourth, third, second, first]
    assert all(tuple(each) == FIELDS for each in found)
    assert [each["state"] for each in found] == ["applied", "held", "drift", "held"]
    assert found[1]["why"] == "it is being applied, in session 77 of west"
    assert found[3] == {
        "id": first,
        "at": "2023-11-14T22:13:20.000000Z",
        "origin": "east",
        "statement": STATEMENT,
        "state": "held",
        "why": "it is held",
    }
    assert [each["id"] for each in listed(world, "--state", "held", "--state", "drift")] == [third, second, first]
    assert [each["id"] for each in listed(world, "--from", "west")] == [second]
    assert [each["id"] for each in listed(world, "--to", "west", "--limit", "2")] == [fourth, third]
    said = world.run("ddl", "list")
    assert all(name in said for name in (first, second, third, fourth, "drift"))
    one = world.json("ddl", "show", first)
    assert one["statement"] == STATEMENT and one["holds_back"] == ["shop.item", "shop.other"] and one["decision"] is None
    assert one["context"] == {
        "default_db": "shop",
        "sql_mode": "ANSI_QUOTES,NO_ENGINE_SUBSTITUTION",
        "time_zone": "SYSTEM",
        "character_set_client": "latin1",
        "collation_connection": "latin1_swedish_ci",
        "collation_server": "utf8mb4_0900_ai_ci",
        "foreign_key_checks": False,
        "unique_checks": True,
    }
    said = world.run("ddl", "show", first)
    assert STATEMENT in said and f"ddl approve {first}" in said and "shop.item, shop.other" in said and "resume east west" in said
    assert "approve" not in world.run("ddl", "show", fourth)
    assert "ddl list" in world.run("ddl", "show", "west-99", expect=1)
    assert "west-17" in world.run("ddl", "show", "17", expect=2)
    assert "one of east, west" in world.run("ddl", "list", "--to", "north", expect=2)


def test_what_is_decided(stopped: World) -> None:
    """It is stored in the row of a held one, the last word counts; the next command is said, with `resume` where it is needed."""
    world = stopped
    held = plant(world, "west", "east", "held")
    said = world.run("ddl", "approve", held)
    assert f"{held}: approve" in said and f"ddl show {held}" in said and "resume" not in said
    assert decision(world, held) == ("approve", "it is held")
    assert "approve" in world.run("ddl", "show", held)
    world.sql("west", f"UPDATE {world.control}.directions SET error = '{{}}' WHERE source_side = 'east'")
    said = world.run("ddl", "skip", held, "--reason", "made by hand")
    assert "east to west has failed" in said and "bisync-topology resume east west" in said
    assert decision(world, held) == ("skip", "it is held\nreason to skip: made by hand")
    world.run("ddl", "skip", held, "--reason", "of no use")
    assert decision(world, held) == ("skip", "it is held\nreason to skip: of no use")
    world.sql("west", f"UPDATE {world.control}.directions SET error = NULL, wanted = 'paused' WHERE source_side = 'east'")
    assert "is paused" in world.run("ddl", "approve", held)
    assert decision(world, held) == ("approve", "it is held")


def test_only_a_held_one_is_decided_about(stopped: World) -> None:
    """For others it is an error of usage that says what state it is in and what to do; one of an older stream nothing acts on."""
    world = stopped
    states = {"running": "being applied", "applied": "applied already", "ignored": "a kind that is not carried"}
    states |= {"drift": "drift", "skipped": "skipped already"}
    for number, (state, words) in enumerate(states.items()):
        identity = plant(world, "west", "east", state, connection_id=5, sequence=number)
        said = world.run("ddl", "skip" if number % 2 else "approve", identity, expect=2)
        assert words in said and "hint:" in said
        assert decision(world, identity)[0] is None
    assert "no DDL west-99" in world.run("ddl", "approve", "west-99", expect=1)
    identity = plant(world, "west", "east", "held", stream="older")
    assert "begun anew" in world.run("ddl", "approve", identity, expect=1)
    assert decision(world, identity)[0] is None


def test_what_is_decided_is_done(world: World) -> None:
    """A refused statement is held; one that was approved runs where its cause is mended, one that was skipped does not."""
    for server in world.sides.values():
        with server.connect() as connection:
            create_accounts(connection, world.databases, world.control, world.user, "secret", ddl=True)
    world.topology["directions"][0]["ddl"] = True
    table, other = world.table(), world.table("other")
    world.up()
    here = "SET sql_log_bin = 0"
    world.sql("west", here, f"ALTER TABLE {table} ADD price INT", f"ALTER TABLE {other} ADD price INT")
    world.sql("east", f"ALTER TABLE {table} ADD price BIGINT", f"ALTER TABLE {other} ADD price INT")
    eventually(lambda: len(listed(world, "--state", "held", "--to", "west")) == 2, world.said)
    second, first = listed(world, "--state", "held", "--to", "west")
    assert "price" in first["why"] and f"ddl approve {first['id']}" in world.run("ddl", "show", first["id"])
    world.sql("west", here, f"ALTER TABLE {table} DROP price")
    world.run("ddl", "approve", first["id"])
    world.run("ddl", "skip", second["id"], "--reason", "it is there")
    eventually(lambda: not listed(world, "--state", "held"), world.said)
    states = {each["id"]: (each["state"], each["why"]) for each in listed(world)}
    assert states[first["id"]][0] == "applied" and states[second["id"]][0] == "skipped"
    assert "it is there" in states[second["id"]][1]
    world.sql("east", f"INSERT INTO {table} VALUES (1, 1, 1 << 40)", f"INSERT INTO {other} VALUES (2, 2, 2)")
    world.run("wait")
    assert world.sql("west", f"SELECT price FROM {table}") == ((1 << 40,),)
    assert world.sql("west", f"SELECT price FROM {other}") == ((2,),)
    assert "applied already" in world.run("ddl", "skip", first["id"], expect=2)


def test_modes_are_those_of_the_server(servers: Sandbox) -> None:
    """Each bit of sql_mode that has a name is the server's mode of that name."""
    with servers.east.connect() as connection, connection.cursor() as cursor:
        for name, bit in MODES.items():
            cursor.execute(f"SET SESSION sql_mode = {1 << bit}")
            cursor.execute("SELECT @@sql_mode")
            assert name in cursor.fetchone()[0].split(",")
