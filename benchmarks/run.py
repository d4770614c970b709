"""One benchmark, in order: servers, then each backlog caught up with by one contender after the other, then single rows."""

from __future__ import annotations

import os
import platform
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.backlog import SCHEMA, Writer, create, digest
from benchmarks.contenders import Contender, Native, Ours
from benchmarks.measure import CatchUp, catch_up, latency
from benchmarks.results import INSERTS, NATIVE, OURS, UPDATES, Results
from sandbox import Sandbox, SandboxError
from sandbox.cache import locked

_START_SECONDS = 180.0


@dataclass(frozen=True, kw_only=True)
class Options:
    """What is measured."""

    root: Path
    rows: int
    updates: int
    singles: int  # rows one at a time
    repeat: int
    seed: int


def run(options: Options, console: Console) -> Results:
    """Do all of it, with servers of its own that are stopped at the end. Raises SandboxError where it cannot go on."""
    with locked(options.root / "lock"), ExitStack() as stack:
        servers, native, ours = _set_up(options, stack, console)
        writer = Writer(servers.east, options.seed)
        with _step(console, "first start of each, which makes the first checkpoint"):
            for server in (servers.east, servers.west):
                create(server)
            _let_run(native, native.caught_up)
            _let_run(ours, ours.running)
        catch_ups: dict[str, dict[str, list[CatchUp]]] = {name: {NATIVE: [], OURS: []} for name in (INSERTS, UPDATES)}
        latencies: dict[str, list[float]] = {NATIVE: [], OURS: []}
        for number in range(options.repeat):
            order: list[Contender] = [native, ours] if number % 2 == 0 else [ours, native]
            for workload, write, rows in ((INSERTS, writer.insert, options.rows), (UPDATES, writer.update, options.updates)):
                with _step(console, f"{workload}: writing a backlog of {rows:,} rows"):
                    _let_run(native, native.caught_up)  # what ours has written at east meanwhile
                    transactions = write(rows)
                for contender in order:
                    with _step(console, f"{workload}: {contender.name}"):
                        catch_ups[workload][contender.name].append(catch_up(contender, transactions, rows))
            for contender in order:
                ready = native.caught_up if contender is native else ours.running
                with _step(console, f"single rows: {contender.name}"), _running(contender, ready):
                    latencies[contender.name] += latency(contender, writer, servers.east, options.singles)
            with _step(console, "comparing the three servers' rows"):
                equal = _equal(native, ours, servers)
        machine = _machine(servers)
        with _step(console, "stopping everything"):
            stack.close()
    if equal:
        shutil.rmtree(options.root)
    return Results(catch_ups=catch_ups, latencies=latencies, equal=equal, machine=machine)


def _set_up(options: Options, stack: ExitStack, console: Console) -> tuple[Sandbox, Native, Ours]:
    """Three MySQL servers and a broker, without anything of an earlier run."""
    with _step(console, "servers: three MySQL, one Kafka broker"):
        old = Sandbox(options.root)
        Ours(old).close()
        for server in (*old.servers, Native(old).target):
            server.kill()
            shutil.rmtree(server.folder)
        servers = Sandbox(options.root)
        stack.callback(servers.stop)
        servers.start()
        servers.prepare((SCHEMA,), ddl=False)
        native, ours = Native(servers), Ours(servers)
        stack.callback(native.close)
        native.set_up()
        stack.callback(ours.close)
        ours.set_up()
    return servers, native, ours


@contextmanager
def _running(contender: Contender, ready: Callable[[], bool]) -> Iterator[None]:
    """Have a contender at work."""
    contender.start()
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not ready():
            if time.monotonic() > deadline:
                raise SandboxError(f"{contender.name} is not ready after {_START_SECONDS:.0f} s")
            time.sleep(0.1)
        yield
    finally:
        contender.stop()


def _let_run(contender: Contender, ready: Callable[[], bool]) -> None:
    with _running(contender, ready):
        pass


def _equal(native: Native, ours: Ours, servers: Sandbox) -> bool:
    """Whether all three hold the same rows, once each contender has passed on what the other measured with."""
    wanted = digest(servers.east)
    with suppress(SandboxError):
        _let_run(ours, lambda: digest(ours.target) == wanted)
        _let_run(native, lambda: digest(native.target) == wanted)
        return True
    return False


def _machine(servers: Sandbox) -> dict[str, Any]:
    with servers.east.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT VERSION()")
        found = cursor.fetchone()
    return {
        "cores": os.cpu_count(),
        "load average": round(os.getloadavg()[1], 1),
        "MySQL": found[0] if found else "",
        "Python": platform.python_version(),
    }


@contextmanager
def _step(console: Console, words: str) -> Iterator[None]:
    """One step: named while it lasts, ticked off when it is done."""
    began = time.monotonic()
    with console.status(words):
        yield
    console.print(f"[green]✓[/] {words}  [dim]{time.monotonic() - began:.1f} s[/]", highlight=False)
