"""The two that catch up with a backlog: MySQL's own replication, and this project. One runs at a time."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any, Protocol

from ruamel.yaml import YAML

from benchmarks.backlog import SCHEMA
from benchmarks.processes import Usage, usage
from bisync_topology.supervisor import create
from bisync_topology.topology_file import load
from sandbox import MySQLServer, Sandbox
from sandbox.process import ServerProcess

_HOME = Path(__file__).parent.parent
_REPLICATION = {
    "skip-replica-start": "",
    "replica-parallel-workers": "4",
    "replica-preserve-commit-order": "ON",
    "relay-log": "relay",
}
_STOP_SECONDS = 90.0


class Contender(Protocol):
    """One way from east to a target."""

    name: str
    target: MySQLServer

    def start(self) -> None:
        """Begin to catch up; returns at once."""

    def stop(self) -> None:
        """End, with everything that was begun."""

    def progress(self) -> int:
        """How many transactions of east's have been applied at the target, ever."""

    def costs(self) -> dict[str, Usage]:
        """Every process that takes part, by name."""


class Native:
    """A third server that is a replica of east: GTID auto-position, four workers, commit order kept, its own binlog."""

    name = "native"

    def __init__(self, servers: Sandbox) -> None:
        self._source = servers.east
        self.target = MySQLServer(servers.root, "replica", _REPLICATION)
        self._connection: Any = None
        self._source_uuid = ""

    def set_up(self) -> None:
        """Start the server and make it a replica; everything of east's goes to it from its first transaction on."""
        with self._source.connect() as east, east.cursor() as cursor:
            cursor.execute("CREATE USER replica IDENTIFIED BY 'replica'")
            cursor.execute("GRANT REPLICATION SLAVE ON *.* TO replica")
            cursor.execute("SELECT @@server_uuid")
            found = cursor.fetchone()
            assert found is not None
            self._source_uuid = found[0]
        self.target.start()
        self._connection = self.target.connect()
        self._do(
            f"CHANGE REPLICATION SOURCE TO SOURCE_HOST = '{self._source.host}', SOURCE_PORT = {self._source.port},"
            " SOURCE_USER = 'replica', SOURCE_PASSWORD = 'replica', SOURCE_AUTO_POSITION = 1, GET_SOURCE_PUBLIC_KEY = 1"
        )

    def start(self) -> None:
        """Begin to catch up."""
        self._do("START REPLICA")

    def stop(self) -> None:
        """End."""
        self._do("STOP REPLICA")

    def progress(self) -> int:
        """Transactions of east's in the replica's gtid_executed."""
        with self._connection.cursor() as cursor:
            cursor.execute("SELECT @@GLOBAL.gtid_executed")
            return transactions_of(cursor.fetchone()[0], self._source_uuid)

    def caught_up(self) -> bool:
        """Whether the replica has all of east's transactions."""
        with self._source.connect() as east, east.cursor() as cursor:
            cursor.execute("SELECT @@GLOBAL.gtid_executed")
            found = cursor.fetchone()
            assert found is not None
            return self.progress() >= transactions_of(found[0], self._source_uuid)

    def costs(self) -> dict[str, Usage]:
        """Both servers."""
        return _costs(("mysqld east", self._source.pid), ("mysqld replica", self.target.pid))

    def close(self) -> None:
        """Stop the server."""
        if self._connection is not None:
            self._connection.close()
        self.target.stop()

    def _do(self, statement: str) -> None:
        with self._connection.cursor() as cursor:
            cursor.execute(statement)


class Ours:
    """A producer and an applier for each side, two-way: what west applies comes back as an echo that east drops."""

    name = "ours"

    def __init__(self, servers: Sandbox) -> None:
        self._servers = servers
        self.target = servers.west
        self.file = servers.root / "topology.yaml"
        self.processes = {
            f"{kind} {side}": ServerProcess(f"{kind} {side}", servers.root / f"{kind}-{side}")
            for kind in ("producer", "applier")
            for side in ("east", "west")
        }
        self._connection: Any = None

    def set_up(self) -> None:
        """Write the topology; make control tables and topics."""
        directions = [{"from": a, "to": b, "objects": [SCHEMA]} for a, b in (("east", "west"), ("west", "east"))]
        with self.file.open("w") as file:
            YAML().dump(self._servers.topology(SCHEMA, directions=directions), file)
        create(load(self.file, os.environ))
        self._connection = self.target.connect(database="bisync")

    def start(self) -> None:
        """Begin to catch up."""
        for name, process in self.processes.items():
            process.log_file.parent.mkdir(exist_ok=True)
            command = [sys.executable, "-P", "-m", "bisync_topology.cli", "-f", str(self.file), *name.split()]
            process.start(command, env={"PYTHONPATH": str(_HOME)})

    def stop(self) -> None:
        """End, drained."""
        for process in self.processes.values():
            process.stop(_STOP_SECONDS)

    def progress(self) -> int:
        """The sequence that west has applied; it counts east's transactions in the schema."""
        with self._connection.cursor() as cursor:
            cursor.execute("SELECT sequence FROM applied WHERE source_side = 'east'")
            found = cursor.fetchone()
            return int(found[0]) if found else 0

    def running(self) -> bool:
        """Whether every process is at work."""
        states = 0
        for server in (self._servers.east, self._servers.west):
            with server.connect(database="bisync") as connection, connection.cursor() as cursor:
                cursor.execute("SELECT pid FROM processes WHERE state = 'running'")
                states += len({pid for (pid,) in cursor.fetchall()} & {process.pid for process in self.processes.values()})
        return states == len(self.processes)

    def costs(self) -> dict[str, Usage]:
        """Our processes, and the servers that they use."""
        ours = [(name, process.pid) for name, process in self.processes.items()]
        servers = [("mysqld east", self._servers.east.pid), ("mysqld west", self._servers.west.pid)]
        return _costs(*ours, *servers, ("kafka", self._servers.kafka.pid))

    def close(self) -> None:
        """Stop what runs."""
        if self._connection is not None:
            self._connection.close()
        self.stop()


def transactions_of(gtid_set: str, uuid: str) -> int:
    """How many transactions of a server a GTID set holds."""
    number = 0
    for part in gtid_set.replace("\n", "").split(","):
        source, _, intervals = part.strip().partition(":")
        if source == uuid:
            for first, last in re.findall(r"(\d+)(?:-(\d+))?", intervals):
                number += int(last or first) - int(first) + 1
    return number


def _costs(*processes: tuple[str, int | None]) -> dict[str, Usage]:
    return {name: usage(pid) for name, pid in processes if pid is not None}
