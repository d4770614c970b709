"""`up`: every producer and applier as a child process, started again when it dies, in the foreground.

Start order: topology → one `up` a topology and host → precheck → control tables, a row of which is read back from the binlog, and
topics → producers → appliers. Nothing is created before the precheck has passed. The children end with this process: told by
SIGTERM, or by the kernel when it is killed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import structlog

from bisync_topology import failpoints, kafka, precheck_marker, process
from bisync_topology.initialization_watch import Watch
from bisync_topology.precheck import Results
from bisync_topology.precheck_facts import gather
from bisync_topology.sides import open_control
from bisync_topology.single import claim
from bisync_topology.supervisor_report import SupervisorReport
from bisync_topology.topology import Topology

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0  # seconds before a dead child is started again, doubled each time
LIVED_SECONDS = 60.0  # a child that lived as long begins again with the first pause
DRAIN_SECONDS = 60.0
START_SECONDS = 30.0  # how long servers and the broker may be away at the start
_POLL_SECONDS = 0.1

log = structlog.get_logger()


def up(topology: Topology, file: Path, watch: Watch | None = None) -> None:
    """Run the topology until told to stop. watch: looks at it meanwhile, and may tell it to.

    Raises UsageError, CheckFailed, Unreachable before anything is created.
    """
    process.prepare("supervisor")
    stop = threading.Event()
    with claim(topology):
        process.stop_on_signals(stop)
        precheck(topology, stop)
        if stop.is_set():
            return
        create(topology)
        (watch or Watch(topology)).begin(stop)
        children = [Child(kind, side) for kind, side in processes(topology)]
        Supervisor(children, spawner(file), stop, SupervisorReport(topology, stop)).run()


def init(topology: Topology, file: Path) -> None:
    """The same until every direction that initializes is past it. Where other processes own the work, its own stand by.

    Raises what `up` does, and DirectionFailed.
    """
    watch = Watch(topology, ends=True)
    up(topology, file, watch)
    if watch.error is not None:
        raise watch.error


def processes(topology: Topology) -> list[tuple[str, str]]:
    """(kind, side) of every process of the topology, in their start order."""
    producers = [(process.PRODUCER, side) for side in topology.sides if topology.directions_from(side)]
    appliers = [(process.APPLIER, side) for side in topology.sides if topology.directions_into(side)]
    verifiers = [(process.VERIFIER, next(iter(topology.sides)))] if topology.verify.every_ms else []
    return producers + appliers + verifiers


def precheck(topology: Topology, stop: threading.Event) -> None:
    """Run the checks, waiting for servers that are away for a while. Raises Unreachable, UsageError or CheckFailed."""
    seconds = float(os.environ.get("BISYNC_TEST_START_SECONDS", START_SECONDS))
    results = Results.of(topology, gather(topology, wait_seconds=seconds, stop=stop, runs=True))
    if stop.is_set():
        return
    error = results.failure()
    if error is not None:
        raise error
    for item in results.warnings:
        log.warning(f"precheck: {item.seen}", item=item.item, side=item.side, why=item.why, fix=item.fix)
    log.info("precheck passed", items=len(results.items), warnings=len(results.warnings))


def create(topology: Topology) -> None:
    """Make what is missing of the control tables on both sides and of the control topics."""
    for side in topology.sides:
        with open_control(topology, side) as control:
            control.create()
            control.upgrade()
            if topology.directions_from(side):
                precheck_marker.require(control.connection, topology, side)
    client = kafka.admin(topology)
    present = kafka.existing_topics(client, topology)
    topics = {name: how for name, how in kafka.control_topics(topology).items() if name not in present}
    kafka.create_topics(client, topology, topics)
    log.info("control tables and topics are in place", created_topics=len(topics))


def spawner(file: Path) -> Callable[[Child], subprocess.Popen[bytes]]:
    """How a child is started: this program, by the folder that it was itself imported from."""
    home = str(Path(__file__).parent.parent)

    def spawn(child: Child) -> subprocess.Popen[bytes]:
        # -P: a folder named `schemas` where the user happens to be is not ours
        command = [sys.executable, "-P", "-m", "bisync_topology.cli", "-f", str(file)]
        command += [child.kind, child.side, "--parent", str(os.getpid())]
        # a group of its own: Ctrl-C is for the supervisor, which tells its children
        return subprocess.Popen(
            command, env=child_environ(os.environ, home, child.restarts), stdin=subprocess.DEVNULL, process_group=0
        )

    return spawn


def child_environ(environ: Mapping[str, str], home: str, restarts: int) -> dict[str, str]:
    """The environment of a child: one that is started again does not inherit the failpoint that ended it."""
    path = os.pathsep.join(part for part in (home, environ.get("PYTHONPATH")) if part)
    child = {**environ, "PYTHONPATH": path, "BISYNC_RESTARTS": str(restarts)}
    if restarts:
        child.pop("BISYNC_FAILPOINT", None)
    return child


@dataclass
class Child:
    """One process that is kept alive. Times are those of a monotonic clock, in seconds."""

    kind: str
    side: str
    process: subprocess.Popen[bytes] | None = None
    restarts: int = 0
    started: float = 0.0
    due: float = 0.0  # when it is to be started next
    pause: float = FIRST_PAUSE  # before the next start

    @property
    def name(self) -> str:
        """`producer east`."""
        return f"{self.kind} {self.side}"

    def begin(self, started: subprocess.Popen[bytes], now: float) -> None:
        """Note that it runs."""
        self.process, self.started = started, now

    def end(self, now: float) -> float:
        """Note that it has ended; gives the seconds until it is started again."""
        if now - self.started >= LIVED_SECONDS:
            self.pause = FIRST_PAUSE
        pause, self.pause = self.pause, min(2 * self.pause, LONGEST_PAUSE)
        self.process, self.due = None, now + pause
        self.restarts += 1
        return pause


class Supervisor:
    """Keeps the children alive until told to stop."""

    def __init__(
        self,
        children: list[Child],
        spawn: Callable[[Child], subprocess.Popen[bytes]],
        stop: threading.Event,
        report: SupervisorReport,
    ) -> None:
        self.children = children
        self._spawn = spawn
        self._stop = stop
        self._report = report

    def run(self) -> None:
        """Start the children and look after them; ends when they have ended after a stop."""
        try:
            while not self._stop.is_set():
                for child in self.children:
                    self._look_after(child)
                self._stop.wait(_POLL_SECONDS)
        finally:
            self._end()

    def _look_after(self, child: Child) -> None:
        now = time.monotonic()
        if child.process is None:
            if now < child.due:
                return
            try:
                started = self._spawn(child)  # from the main thread: the kernel ties a child to the thread that made it
            except OSError as error:
                pause = child.end(now)
                log.error(f"{child.name} could not be started; trying again", error=str(error), in_seconds=pause)
                return
            child.begin(started, now)
            log.info(f"{child.name} started", pid=started.pid, restarts=child.restarts)
            failpoints.reach("supervisor.after_spawn")
        elif (status := child.process.poll()) is not None:
            pause = child.end(now)
            log.warning(f"{child.name} ended {ended_how(status)}; starting it again", in_seconds=pause)
        else:
            return
        self._report.children = {each.name: each.process.pid if each.process else None for each in self.children}

    def _end(self) -> None:
        """Tell the children to drain, and wait for them."""
        alive = {child.name: child.process for child in self.children if child.process is not None}
        log.info("stopping", processes=len(alive))
        for running in alive.values():
            running.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + DRAIN_SECONDS
        for name, running in alive.items():
            try:
                running.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                log.error(f"{name} had not drained in time and was killed; its next start repeats what was open")
                running.kill()
                running.wait()
        self._report.close()
        log.info("stopped")


def ended_how(status: int) -> str:
    """Say how a process ended, from subprocess's return code."""
    if status >= 0:
        return f"with exit code {status}"
    try:
        return f"by {signal.Signals(-status).name}"
    except ValueError:
        return f"by signal {-status}"
