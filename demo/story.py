"""The demo, in order: servers up, one schema on both sides, `up`, load on both sides, `wait`, the sides compared.

Everything is new at each run, so that what is seen is what this run did. Everything is stopped at the end, whatever the end.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.live import Live
from ruamel.yaml import YAML

from bisync_topology import status, status_facts
from bisync_topology.topology import Topology
from bisync_topology.topology_file import load as load_topology
from demo import screen
from demo.compare import Compared, compare
from demo.figures import Figures, Watch
from demo.load import Load, Plan
from demo.pulse import Pulse
from sandbox import MySQLServer, Sandbox, SandboxError
from sandbox.cache import locked
from sandbox.process import ServerProcess

SCHEMA = "shop"
START_SECONDS = 180.0  # until every process of `up` runs; much less on a machine that does nothing else
WAIT_SECONDS = 120
STOP_SECONDS = 75.0  # longer than `up` gives its children
_HOME = Path(__file__).parent.parent


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a user may choose. rate: transactions a second and side, 0 for as many as go."""

    root: Path
    seconds: float
    rate: float
    seed: int
    keep: bool


class Story:
    """One run. `equal` tells how it ended."""

    def __init__(self, options: Options, console: Console) -> None:
        self.options = options
        self.console = console
        self.equal = False
        self.tables: list[Compared] = []
        self.directions: list[Figures] = []
        self._file = options.root / "topology.yaml"
        self._up = ServerProcess("up", options.root)

    def tell(self) -> None:
        """All of it. Raises SandboxError where it cannot go on."""
        began = time.monotonic()
        with locked(self.options.root / "lock"), ExitStack() as stack:
            servers = self._servers(stack)
            topology = self._topology(servers)
            with self._step("processes: a producer and an applier for each side"):
                stack.callback(self._up.stop, STOP_SECONDS)
                self._up.start([*_cli(self._file), "up"], env={"PYTHONPATH": str(_HOME)})
                self._up.wait(_running(topology), START_SECONDS)
            self.console.print()
            self._write(servers, topology)
            with self._step("comparing both sides, row by row, in bytes"):
                self.tables = list(compare(servers.east, servers.west, SCHEMA))
            self.equal = all(table.same for table in self.tables)
            self.console.print(screen.comparison(self.tables, "east", "west"))
            if self.options.keep:
                self._keep(servers)
            with self._step("stopping everything"):
                stack.close()
        if self.equal:
            shutil.rmtree(self.options.root)
        self.console.print()
        self.console.print(screen.summary(self.directions, self.tables, time.monotonic() - began))

    def _servers(self, stack: ExitStack) -> Sandbox:
        """Two MySQL servers and a broker, without anything of an earlier run."""
        with self._step("servers: two MySQL, one Kafka broker"):
            self._up.stop(STOP_SECONDS)
            for server in (old := Sandbox(self.options.root)).servers:
                server.kill()
                shutil.rmtree(server.folder)
            del old
            servers = Sandbox(self.options.root)
            stack.callback(servers.stop)
            servers.start()
        with self._step("schema: an order-processing database, on both sides"):
            servers.prepare((SCHEMA,), ddl=False)
            for server in (servers.east, servers.west):
                _create_schema(server)
        return servers

    def _topology(self, servers: Sandbox) -> Topology:
        # the default policy: the first conflict would stop a direction, and this demo
        directions = [{"from": a, "to": b, "objects": [SCHEMA]} for a, b in (("east", "west"), ("west", "east"))]
        with self._file.open("w") as file:
            YAML().dump(servers.topology(SCHEMA, directions=directions), file)
        return load_topology(self._file, os.environ)

    def _write(self, servers: Sandbox, topology: Topology) -> None:
        """Load on both sides at once, then everything that is still on its way."""
        options = self.options
        sides = (servers.east, servers.west)
        loads = {s.name: Load(Plan(side=s.name, port=s.port, rate=options.rate, seed=options.seed)) for s in sides}
        pulses = {a.name: Pulse(a, b) for a, b in (sides, sides[::-1])}
        watch = Watch(topology, loads, pulses)
        with ExitStack() as stack, self._screen() as show:
            stack.callback(watch.end)
            writers: list[Load | Pulse] = [*loads.values(), *pulses.values()]
            for writer in writers:
                stack.callback(writer.join)
                stack.callback(writer.end)
                writer.start()
            watch.start()
            began = time.monotonic()
            while (seconds := time.monotonic() - began) < options.seconds:
                if not all(load.rows for load in loads.values()):
                    began = time.monotonic()
                show("writing", seconds, watch.now)
                _check(loads, watch.now)
                time.sleep(0.2)
            for writer in writers:
                writer.end()
            for load in loads.values():
                load.join()
            command = [*_cli(self._file), "wait", "--timeout", str(WAIT_SECONDS)]
            waiting = subprocess.Popen(command, env=_environ(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            stack.callback(_end, waiting)
            while waiting.poll() is None:
                show("draining", options.seconds, watch.now)
                time.sleep(0.1)
            for pulse in pulses.values():
                pulse.join()
            watch.end()
            self.directions = watch.read()
            show("done", options.seconds, self.directions)
        if waiting.returncode != 0:
            said = waiting.stdout.read().decode() if waiting.stdout is not None else ""
            raise SandboxError(f"`wait` ended with exit code {waiting.returncode}: {said}\n{self._up.log_tail()}")

    @contextmanager
    def _screen(self) -> Iterator[Callable[[str, float, list[Figures]], None]]:
        """A live table on a terminal, a line a second elsewhere."""
        whole = self.options.seconds
        if self.console.is_terminal:
            with Live(console=self.console, auto_refresh=False) as live:
                yield lambda phase, done, now: live.update(screen.live(phase, done, whole, now), refresh=True)
            return
        last = -1.0

        def show(phase: str, done: float, now: list[Figures]) -> None:
            nonlocal last
            if phase == "done" or time.monotonic() - last >= 1:
                last = time.monotonic()
                self.console.print(screen.line(phase, done, now), soft_wrap=True, highlight=False)

        yield show

    @contextmanager
    def _step(self, words: str) -> Iterator[None]:
        """One step of the story: named while it lasts, ticked off when it is done."""
        began = time.monotonic()
        with self.console.status(words):
            yield
        self.console.print(f"[green]✓[/] {words}  [dim]{time.monotonic() - began:.1f} s[/]", highlight=False)

    def _keep(self, servers: Sandbox) -> None:
        """Leave everything running to be looked at."""
        self.console.print(f"\nStill in sync, until Ctrl-C. Its topology is {self._file}; SQL, as root without a password:")
        for server in (servers.east, servers.west):
            self.console.print(f"  bisync-topology sandbox sql --root {self.options.root} {server.name} 'SHOW TABLES'")
        try:
            while True:
                time.sleep(1)
        except KeyboardInterrupt:
            self.console.print()


def _create_schema(server: MySQLServer) -> None:
    statements = (Path(__file__).parent / "shop.sql").read_text(encoding="utf-8").split(";\n")
    with server.connect(database=SCHEMA) as connection, connection.cursor() as cursor:
        for statement in filter(str.strip, statements):
            cursor.execute(statement)


def _running(topology: Topology) -> Callable[[], bool]:
    """Whether all processes are there: what is written from then on is captured."""

    def ask() -> bool:
        found = status.build(topology, status_facts.collect(topology))
        return all(process["state"] == "running" for process in found["processes"]) and all(
            direction["state"] == "syncing" for direction in found["directions"]
        )

    return ask


def _check(loads: dict[str, Load], now: list[Figures]) -> None:
    for side, load in loads.items():
        if load.failed:
            raise SandboxError(f"the load of {side} ended by itself")
    for figures in now:
        if figures.error:
            raise SandboxError(f"{figures.name} failed: {figures.error}")


def _cli(file: Path) -> list[str]:
    return [sys.executable, "-P", "-m", "bisync_topology.cli", "-f", str(file)]


def _environ() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(_HOME)}


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        process.wait()
