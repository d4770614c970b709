"""A topology of its own for each test, on the servers that all tests share, and the commands run on it as a user would."""

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import in_process

from bisync_topology.status import build
from bisync_topology.status_facts import StatusFacts, collect, read_side
from bisync_topology.topology_file import load
from sandbox.accounts import create_accounts
from sandbox.instances import Sandbox
from sandbox.mysql import MySQLServer

HOME = Path(__file__).parent.parent.parent
_numbers = itertools.count(1)


@dataclass
class World:
    """One test's databases, account, control schema and topology.yaml; names that no other test has."""

    servers: Sandbox
    folder: Path
    more: tuple[str, ...] = ()  # ends of the names of further databases
    number: int = field(default_factory=lambda: next(_numbers))
    topology: dict[str, Any] = field(init=False)
    _running: list["subprocess.Popen[str]"] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Make the databases and the account on both sides."""
        self.name = f"t{self.number}"
        self.db, self.control, self.user = f"{self.name}_db", f"{self.name}_ctl", f"{self.name}_user"
        self.databases = [self.db, *(f"{self.name}_{end}" for end in self.more)]
        for side, server in self.sides.items():
            self.sql(side, *(f"CREATE DATABASE {name}" for name in self.databases))
            with server.connect() as connection:
                create_accounts(connection, self.databases, self.control, self.user, "secret")
        both = (("east", "west"), ("west", "east"))
        self.topology = self.servers.topology(
            self.name,
            control_schema=self.control,
            directions=[{"from": source, "to": target, "objects": self.databases} for source, target in both],
        )
        for side in self.topology["sides"].values():
            side["mysql"] |= {"user": self.user, "password": "secret"}

    @property
    def sides(self) -> Mapping[str, MySQLServer]:
        """The servers by the names that the topology gives them."""
        return {"east": self.servers.east, "west": self.servers.west}

    def sql(self, side: str, *statements: str) -> tuple[tuple[Any, ...], ...]:
        """Run statements as root; gives the rows of the last."""
        with self.sides[side].connect() as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            connection.commit()
            return tuple(tuple(row) for row in cursor.fetchall())

    def table(self, name: str = "item", columns: str = "id INT PRIMARY KEY, qty INT") -> str:
        """Make a table on both sides; gives its full name."""
        for side in self.sides:
            self.sql(side, f"CREATE TABLE {self.db}.{name} ({columns})")
        return f"{self.db}.{name}"

    @property
    def file(self) -> Path:
        """The topology.yaml, written as the topology is now."""
        path = self.folder / "topology.yaml"
        text = json.dumps(self.topology, indent=2)
        if not path.exists() or path.read_text() != text:  # a command that has just been started may be reading it
            path.write_text(text)
        return path

    def start(self, *arguments: str, **environ: str) -> "subprocess.Popen[str]":
        """Start a command; what it says goes to the file of `said`."""
        command = [sys.executable, "-m", "bisync_topology.cli", "-f", str(self.file), *arguments]
        kept = {name: value for name, value in os.environ.items() if not name.startswith("BISYNC_")}
        with (self.folder / "said").open("a") as log:
            running = subprocess.Popen(
                command, cwd=HOME, env={**kept, **environ}, stdout=subprocess.PIPE, stderr=log, text=True, process_group=0
            )
        self._running.append(running)
        return running

    def run(self, *arguments: str, expect: int | None = 0, seconds: float = 120, **environ: str) -> str:
        """Run a command to its end; gives what it printed, after checking its exit code."""
        code, output, said = self._ended(arguments, seconds, **environ)
        assert expect is None or code == expect, f"exit code {code}\n{output}\n{said}"
        return output + said

    def json(self, *arguments: str) -> Any:
        """Run a command that prints JSON; gives that, whatever processes say meanwhile."""
        code, output, said = self._ended((*arguments, "-o", "json"), 120)
        assert code == 0, said
        return json.loads(output)

    def _ended(self, arguments: tuple[str, ...], seconds: float, **environ: str) -> tuple[int, str, str]:
        """Exit code, standard output and standard error of a command."""
        if not environ and in_process.fits(arguments):
            return in_process.call(self.file, arguments)
        before = len(self.said())
        running = self.start(*arguments, **environ)
        output, _ = running.communicate(timeout=seconds)
        return running.returncode, output, self.said()[before:]

    def said(self) -> str:
        """What commands have said on standard error."""
        path = self.folder / "said"
        return path.read_text() if path.exists() else ""

    def status(self) -> dict[str, Any]:
        """What `status -o json` prints, without the time that a process takes to start."""
        topology = load(self.file, {})
        return build(topology, collect(topology))

    def told(self) -> dict[str, Any]:
        """The same but for what Kafka says, the lag: of what is asked again and again, that is most of the work."""
        topology = load(self.file, {})
        return build(
            topology,
            StatusFacts(sides={side: read_side(topology, side) for side in self.sides}, sequences=dict.fromkeys(self.sides, 0)),
        )

    def direction(self, source: str = "east") -> dict[str, Any]:
        """One direction's part of the status."""
        return next(each for each in self.status()["directions"] if each["from"] == source)

    def states(self) -> dict[str, str]:
        """The state of each direction, by its source."""
        return {each["from"]: each["state"] for each in self.told()["directions"]}

    def up(self, **environ: str) -> "subprocess.Popen[str]":
        """Start `up` and wait until everything runs."""
        running = self.start("up", **environ)
        eventually(lambda: self._all_run(running), self.said)
        return running

    def exchange(self) -> None:
        """Start `up`, and have a change arrive each way."""
        table = self.table()
        self.up()
        self.sql("east", f"INSERT INTO {table} VALUES (1, 1)")
        self.sql("west", f"INSERT INTO {table} VALUES (2, 2)")
        self.run("wait")
        assert self.sql("east", f"SELECT COUNT(*) FROM {table}") == self.sql("west", f"SELECT COUNT(*) FROM {table}") == ((2,),)

    def _all_run(self, up: "subprocess.Popen[str]") -> bool:
        assert up.poll() is None, self.said()
        processes = self.told()["processes"]
        return len(processes) == 5 and all(each["state"] == "running" for each in processes)

    def untouched(self) -> bool:
        """Whether nothing was made: no control schema on either side, no topic."""
        schemas = [self.sql(side, f"SHOW DATABASES LIKE '{self.control}'") for side in self.sides]
        return not any(schemas) and not self.topics()

    def topics(self) -> list[str]:
        """The topics of this topology."""
        from confluent_kafka.admin import AdminClient

        names = AdminClient({"bootstrap.servers": self.servers.kafka.bootstrap}).list_topics(timeout=30).topics
        return sorted(name for name in names if name.startswith(f"{self.name}."))

    def close(self) -> None:
        """End what the test started, and give its databases up."""
        self.end_all()
        for side in self.sides:
            self.sql(side, *(f"DROP DATABASE IF EXISTS {name}" for name in (*self.databases, self.control)))

    def end_all(self) -> None:
        """End what the test started."""
        for running in self._running:
            if running.poll() is None:
                running.send_signal(signal.SIGTERM)
        for running in self._running:
            try:
                running.wait(60)
            except subprocess.TimeoutExpired:
                running.kill()
                running.wait()
            if running.stdout is not None:
                running.stdout.close()
        self._running.clear()


def eventually(holds: Callable[[], bool], what: Callable[[], str] = str, seconds: float = 90) -> None:
    """Wait until it holds; what: says more when it does not come to."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"it did not come to hold within {seconds:.0f} s: {what()}"
        time.sleep(0.2)


def both_paused(world: World) -> None:
    """What each side writes from now on meets what the other has written."""
    for source, target in (("east", "west"), ("west", "east")):
        world.run("pause", source, target)
    eventually(lambda: set(world.states().values()) == {"paused"}, world.said)


def failed(world: World) -> dict[str, object]:
    """The error of the direction into west, once it has failed."""
    eventually(lambda: world.states()["east"] == "failed", world.said)
    error: dict[str, object] = world.direction("east")["error"]
    return error


def listed(world: World, *arguments: str) -> list[dict[str, object]]:
    """What `conflicts list -o json` prints."""
    found: list[dict[str, object]] = json.loads(world.run("conflicts", "list", "-o", "json", *arguments))
    return found
