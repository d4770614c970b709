"""A producer whose place in the binlog is gone (purged, reset) stops and names the gap; a server that went on is told apart."""

import signal
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from topologies import World, eventually

pytestmark = [pytest.mark.servers, pytest.mark.timeout(180)]


@pytest.fixture(params=["ON", "OFF"])
def mode(request: pytest.FixtureRequest, world: World) -> Iterator[str]:
    """gtid_mode of east, which all tests share: as it was afterwards."""
    way = ("ON_PERMISSIVE", "OFF_PERMISSIVE", "OFF")
    if request.param == "OFF":
        world.sql("east", *(f"SET GLOBAL gtid_mode = {step}" for step in way))
    yield request.param
    if request.param == "OFF":
        world.sql("east", *(f"SET GLOBAL gtid_mode = {step}" for step in (*way[1::-1], "ON")))


class Capturing:
    """One producer, started and stopped."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._running: subprocess.Popen[str] | None = None

    def state(self) -> str:
        """What it says of itself."""
        return next(str(each["state"]) for each in self._world.status()["processes"] if each["name"] == "producer east")

    def start(self, state: str = "running") -> dict[str, Any] | None:
        """Start it and wait for a state; gives the error of its direction."""
        self._running = self._world.start("producer", "east")
        return self.reaches(state)

    def reaches(self, state: str) -> dict[str, Any] | None:
        """Wait for a state; gives the error of its direction."""
        eventually(lambda: self.state() == state, self._world.said)
        error: dict[str, Any] | None = self._world.direction()["error"]
        return error

    def stop(self) -> None:
        """Let it drain and end."""
        assert self._running is not None
        self._running.send_signal(signal.SIGTERM)
        assert self._running.wait(30) == 0

    def begin_anew(self, error: dict[str, Any] | None) -> None:
        """Stop it, do what the error's hint says, and start it."""
        assert error is not None
        command = "bisync-topology init --reset east west"
        assert command in error["hint"]
        self.stop()
        self._world.run(*command.split()[1:])
        assert self.start() is None


def test_a_place_that_is_gone(world: World, mode: str) -> None:
    """One producer's life: rotations and purges of what it has captured pass; a purge of what it has not, a reset while it is
    connected, and a reset behind its back whose new log has grown beyond its place each stop it, and `init --reset` leads on.
    """
    table, capturing = world.table(), Capturing(world)
    ids = iter(range(1, 1000))

    def insert(count: int = 1) -> None:
        world.sql("east", *(f"INSERT INTO {table} VALUES ({next(ids)}, 0)" for _ in range(count)))

    def here() -> tuple[Any, ...]:
        return world.sql("east", "SHOW BINARY LOG STATUS")[0]

    assert capturing.start() is None
    insert(2)
    world.sql("east", "FLUSH BINARY LOGS")
    insert()
    capturing.stop()
    world.sql("east", "FLUSH BINARY LOGS", "SET GLOBAL binlog_checksum = NONE", "SET GLOBAL binlog_checksum = CRC32")
    insert()
    assert capturing.start() is None, "it merely went on, in other files"
    eventually(lambda: world.direction()["lag_events"] == 4, world.said)
    capturing.stop()
    file = here()[0]

    insert()
    world.sql("east", "FLUSH BINARY LOGS")
    world.sql("east", f"PURGE BINARY LOGS TO '{here()[0]}'")
    error = capturing.start("failed")
    assert error is not None and error["code"] == "binlog_purged", error
    gap = error["message"].partition("not captured yet: ")[2]
    uuid = world.sql("east", "SELECT @@server_uuid")[0][0]
    assert gap.startswith(f"transactions {uuid}:" if mode == "ON" else f"from {file}:"), error
    assert here()[0] in gap
    capturing.begin_anew(error)

    insert()
    world.sql("east", "RESET BINARY LOGS AND GTIDS")
    insert()
    error = capturing.reaches("failed")
    assert error is not None and error["code"] == "server_restored", error
    assert "RESET BINARY LOGS AND GTIDS" in error["message"]
    capturing.begin_anew(error)

    insert()
    eventually(lambda: world.direction()["lag_events"] == 1, world.said)
    capturing.stop()
    place = here()
    world.sql("east", "RESET BINARY LOGS AND GTIDS")
    while here()[1] <= place[1]:
        insert(10)
    insert(20)
    error = capturing.start("failed")
    assert error is not None and error["code"] == "server_restored", error
    assert f"{place[0]} was captured up to" in error["message"] and "is another file now" in error["message"], error
    assert "init --reset east west" in error["hint"]
