"""Links that die without a word: found within twice the heartbeat, made again, nothing lost; damage on the way is refused."""

import json
import os
import socket
import sys
import time
from collections.abc import Iterator
from datetime import datetime

import pytest
from links import Link
from secured import SecuredBroker
from topologies import World, eventually

from bisync_topology.mysql import DEAD_SECONDS, HEARTBEAT_SECONDS, connect
from bisync_topology.topology import MySQL

pytestmark = [pytest.mark.servers, pytest.mark.timeout(180)]
HEARTBEAT = float(os.environ.get("BISYNC_TEST_HEARTBEAT", "2"))  # seconds, instead of 5
SLACK = 3.0  # seconds, in which what was found is also told, on a busy machine


@pytest.fixture
def east(world: World) -> Iterator[Link]:
    """The way to east."""
    link = Link(world.servers.east.port)
    world.topology["sides"]["east"]["mysql"]["port"] = link.port
    yield link
    link.close()


def exchanged(world: World, table: str, number: int) -> None:
    """A change each way arrives, and both sides are equal."""
    world.sql("east", f"INSERT INTO {table} VALUES ({number}, 1, 'east')")
    world.sql("west", f"INSERT INTO {table} VALUES ({-number}, 2, 'west')")
    world.run("wait")
    rows = [world.sql(side, f"SELECT * FROM {table} ORDER BY id") for side in world.sides]
    assert rows[0] == rows[1]
    assert {(number, 1, "east"), (-number, 2, "west")} <= set(rows[0])


def found_dead(world: World, link: Link, names: set[str]) -> dict[str, float]:
    """Let the link vanish, and wait until each process has logged that it waits: after how many seconds, by the log."""
    before, began = len(world.said()), time.time()
    link.vanish()
    found: dict[str, float] = {}

    def all_say() -> bool:
        for line in world.said()[before:].splitlines():
            if '"event": "waiting"' in line or "a broker was away" in line:
                told = json.loads(line)
                if told["process"] in names - found.keys():
                    found[told["process"]] = round(datetime.fromisoformat(told["timestamp"]).timestamp() - began, 1)
        return names == found.keys()

    eventually(all_say, world.said, 60)
    print("found dead after", found)
    assert max(found.values()) < 2 * HEARTBEAT + SLACK
    return found


def test_silent_links(world: World, east: Link, secured: SecuredBroker) -> None:
    """All connections to east, and then to the broker, stay open and are dead: who waits for them says so, and goes on later.

    Stream, control and apply connections are in use when that happens; the lock that the server still holds for the lost
    connection is no hindrance. One damaged byte on the way is noticed by the checksum, and read once more.
    """
    for side in world.topology["sides"].values():
        side["mysql"]["ssl"] = {"mode": "disabled"}  # else damage would end the connection
    world.topology["kafka"] = {"bootstrap.servers": f"127.0.0.1:{secured.link.port}"}
    table = world.table(columns="id INT PRIMARY KEY, qty INT, v VARCHAR(40)")
    world.up(BISYNC_TEST_HEARTBEAT=str(HEARTBEAT))
    exchanged(world, table, 1)
    for side, link, names in (
        ("east", east, {"producer east", "applier east"}),
        ("kafka", secured.link, {"producer east", "applier east", "producer west", "applier west"}),
    ):
        world.sql("west", f"INSERT INTO {table} VALUES ({3 + len(side)}, 5, 'meanwhile')")
        found_dead(world, link, names)
        link.restore()
        began = time.monotonic()
        exchanged(world, table, 2 + len(side) * 10)
        print(f"{side}: equal again {time.monotonic() - began:.1f} s after the link was back")

    east.damage(b"on its way")
    world.sql("east", f"INSERT INTO {table} VALUES (1000, 1, 'a byte is damaged on its way')")
    eventually(lambda: east.damaged, world.said)
    exchanged(world, table, 1001)
    assert world.direction()["error"] is None


def test_every_connection_is_watched(world: World) -> None:
    """The kernel ends a link to MySQL whose other end acknowledges nothing, within twice the heartbeat."""
    settings = MySQL.model_validate(world.topology["sides"]["east"]["mysql"])
    with connect(settings) as connection:
        link = connection._sock  # type: ignore[attr-defined]
        assert link.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        if sys.platform == "linux":
            assert link.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == int(DEAD_SECONDS * 1000)
            assert link.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == HEARTBEAT_SECONDS
