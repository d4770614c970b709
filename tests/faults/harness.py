"""A running topology on servers of its own, driven as a user drives it: by the commands, each process with its pid.

Nothing here sleeps for a result: `until` asks again and again, and its time-out ends with the logs of every process.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import in_process
import pymysql
from pymysql.connections import Connection
from ruamel.yaml import YAML

from sandbox.instances import Sandbox
from sandbox.mysql import MySQLServer

HOME = Path(__file__).parents[2]
SIDES = ("east", "west")
WORKERS = ("producer east", "producer west", "applier east", "applier west")
T = TypeVar("T")
PATIENCE = float(os.environ.get("BISYNC_TEST_PATIENCE", "60"))  # seconds until a condition counts as never to come


class TimedOut(AssertionError):
    """A condition that did not come."""


def until(
    condition: Callable[[], T], what: str, seconds: float = PATIENCE, *, logs: Callable[[], str] = str, every: float = 0.05
) -> T:
    """Ask until the answer is true, and give it; fail with what was waited for, the last answer and the logs.

    every: seconds between two questions.
    """
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        if time.monotonic() > deadline:
            raise TimedOut(f"{what}: not within {seconds:.0f} s; last answer: {answer!r}\n{logs()}")
        time.sleep(every)
    return answer


def stays(condition: Callable[[], bool], what: str, seconds: float) -> None:
    """Ask for so many seconds whether it still holds, and fail as soon as it does not."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert condition(), f"{what}: not for the whole {seconds:.0f} s"
        time.sleep(0.1)


@contextlib.contextmanager
def open_folder(prefix: str) -> Iterator[Path]:
    """A folder below /var/tmp that the servers' own user may enter, removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix=f"bisync-{prefix}-", dir="/var/tmp"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def started(sandbox: Sandbox) -> Iterator[Sandbox]:
    """The sandbox's servers. Where they cannot be got, the error says what to install."""
    sandbox.start()
    try:
        yield sandbox
    finally:
        sandbox.stop()


def speaks_of_kafka(text: str) -> bool:
    """Whether a user can tell that it is the broker that is away."""
    return any(word in text.lower() for word in ("kafka", "broker", "partition", "message(s)"))


class Process:
    """One long-running command: `producer east`, `applier west`, `up`."""

    def __init__(self, name: str, file: Path, log_file: Path, environ: Mapping[str, str] | None = None) -> None:
        self.name = name
        self._environ = environ or {}
        self.log_file = log_file
        self._file = file
        self._child: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    @property
    def pid(self) -> int:
        """Of the running process."""
        assert self._child is not None
        return self._child.pid

    @property
    def status(self) -> int | None:
        """None while it runs; else its exit code, or minus the signal that ended it."""
        assert self._child is not None, f"{self.name} was never started"
        return self._child.poll()

    @property
    def runs(self) -> bool:
        """Whether it was started and has not ended."""
        return self._child is not None and self._child.poll() is None

    def start(self, failpoint: str | None = None, **environ: str) -> None:
        """Start it, perhaps to die or freeze at a failpoint (`name:passings`, `name:passings:stop`)."""
        assert not self.runs, f"{self.name} runs already"
        child_environ = {**os.environ, "PYTHONPATH": str(HOME), **self._environ, **environ}
        child_environ.pop("BISYNC_FAILPOINT", None)
        if failpoint:
            child_environ["BISYNC_FAILPOINT"] = failpoint
        command = [sys.executable, "-P", "-m", "bisync_topology.cli", "-f", str(self._file), *self.name.split()]
        with self.log_file.open("ab") as log:
            self._log_start = log.tell()
            self._child = subprocess.Popen(
                command, env=child_environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    @property
    def frozen(self) -> bool:
        """Whether it is stopped by SIGSTOP."""
        return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to this very process; none when it has ended."""
        if self.runs:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL, and wait for its end."""
        self.signal(signal.SIGKILL)
        if self._child is not None:
            self._child.wait(30)

    def stop(self, seconds: float = PATIENCE) -> int:
        """SIGTERM, and wait for its end; gives the exit code."""
        self.signal(signal.SIGTERM)
        assert self._child is not None
        try:
            return self._child.wait(seconds)
        except subprocess.TimeoutExpired:
            raise TimedOut(f"{self.name} did not drain within {seconds:.0f} s\n{self.log()}") from None

    def wait_ended(self, seconds: float = PATIENCE) -> int:
        """Wait until it has ended by itself; gives the exit code, or minus the signal."""
        until(lambda: not self.runs, f"{self.name} ends", seconds, logs=self.log)
        assert self.status is not None
        return self.status

    def log(self, *, whole: bool = False) -> str:
        """What it has written since it was last started (or ever), the last 60 lines."""
        if not self.log_file.exists():
            return f"--- {self.name}: no log"
        with self.log_file.open("rb") as log:
            log.seek(0 if whole else self._log_start)
            lines = log.read().decode(errors="replace").splitlines()
        state = "runs" if self.runs else f"ended with {self.status}" if self._child is not None else "not started"
        return "\n".join([f"--- {self.name} ({state})", *lines[-60:]])


class Cluster:
    """Servers, a topology.yaml, and its processes."""

    def __init__(
        self, sandbox: Sandbox, *, name: str, folder: Path | None = None, environ: Mapping[str, str] | None = None
    ) -> None:
        self.sandbox = sandbox
        self.name = name
        self.folder = folder or sandbox.root / f"topology-{name}"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.file = self.folder / "topology.yaml"
        self.processes: dict[str, Process] = {}
        for worker in (*WORKERS, "up"):
            self.processes[worker] = Process(worker, self.file, self.folder / f"{worker.replace(' ', '-')}.log", environ)
        self._environ = environ

    # -- configuration

    def configure(
        self,
        objects: Sequence[str] = ("shop",),
        *,
        schemas: Sequence[str] | None = None,
        kafka: Mapping[str, Any] | None = None,
        both: Mapping[str, Any] | None = None,
        east: Mapping[str, Any] | None = None,
        west: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> None:
        """Write topology.yaml; both, east, west: keys of both directions, of that from east, of that from west."""
        carries = any((keys or {}).get("ddl") for keys in (both, east, west))
        self.sandbox.prepare(schemas if schemas is not None else [name for name in objects if "." not in name], ddl=carries)
        common = {"objects": list(objects), "on_conflict": "task_failed", **(both or {})}
        content = self.sandbox.topology(
            self.name,
            directions=[
                {"from": "east", "to": "west", **common, **(east or {})},
                {"from": "west", "to": "east", **common, **(west or {})},
            ],
            **more,
        )
        content["kafka"] |= kafka or {}
        with self.file.open("w", encoding="utf-8") as file:
            YAML().dump(content, file)

    # -- processes

    def __getitem__(self, name: str) -> Process:
        return self.processes[name]

    def start(self, *names: str, **environ: str) -> None:
        """Start processes, by default all four, and wait until each is at work."""
        for name in names or WORKERS:
            self[name].start(**environ)
        for name in names or WORKERS:
            self.wait_state(name, "running")

    def standby(self, name: str) -> Process:
        """A second process of the same kind and side."""
        log_file = self.folder / f"{name.replace(' ', '-')}-standby.log"
        return self.processes.setdefault(f"standby {name}", Process(name, self.file, log_file, self._environ))

    def stop(self) -> None:
        """Drain all; a process that does not end is killed, and that is an error."""
        running = [process for process in self.processes.values() if process.runs]
        for process in running:
            process.signal(signal.SIGCONT)
            process.signal(signal.SIGTERM)
        try:
            codes = [(process.name, process.stop()) for process in running]
        finally:
            for process in running:
                process.kill()
        assert {code for _, code in codes} <= {0}, f"a drained process ends with 0: {codes}\n{self.logs()}"

    def kill_all(self) -> None:
        """End whatever runs, at the end of a test that has failed."""
        for process in self.processes.values():
            process.kill()

    def logs(self) -> str:
        """The logs of every process that was started."""
        return "\n".join(process.log() for process in self.processes.values() if process.log_file.exists())

    def until(self, condition: Callable[[], T], what: str, seconds: float = PATIENCE) -> T:
        """`until` with the logs of all processes."""
        return until(condition, what, seconds, logs=self.logs)

    # -- what the processes say of themselves

    def report(self, name: str) -> dict[str, Any]:
        """A process's row: state, pid, detail."""
        rows = self.sql(
            name.split()[1],
            "SELECT state, pid, detail FROM bisync.processes WHERE topology = %s AND name = %s",
            self.name,
            name,
            missing=[],
        )
        return {"state": rows[0][0], "pid": rows[0][1], "detail": json.loads(rows[0][2])} if rows else {}

    def wait_state(self, name: str, state: str, seconds: float = PATIENCE, *, process: Process | None = None) -> dict[str, Any]:
        """Wait until the process that runs now (or this one of that name) says that it is in this state; gives its row."""
        owner = process or self[name]

        def says() -> dict[str, Any]:
            assert owner.runs, f"{name} has ended\n{owner.log()}"
            row = self.report(name)
            return row if row and (row["state"], row["pid"]) == (state, owner.pid) else {}

        return self.until(says, f"{name} is {state}", seconds)

    def error(self, source: str, target: str) -> dict[str, Any] | None:
        """The failed state of a direction, wherever it was recorded."""
        for side in SIDES:
            rows = self.sql(
                side,
                "SELECT error FROM bisync.directions WHERE topology = %s AND source_side = %s AND target_side = %s",
                self.name,
                source,
                target,
            )
            if rows and rows[0][0] is not None:
                found: dict[str, Any] = json.loads(rows[0][0])
                return found
        return None

    def applied(self, target: str) -> dict[str, Any]:
        """The progress row of the direction into a side."""
        with self.connect(target) as connection, connection.cursor(pymysql.cursors.DictCursor) as cursor:
            cursor.execute("SELECT * FROM bisync.applied WHERE topology = %s", (self.name,))
            rows: list[dict[str, Any]] = list(cursor.fetchall())
        return rows[0] if rows else {}

    # -- commands

    def command(
        self, *arguments: str, check: int | None = 0, seconds: float = 120.0, failpoint: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, perhaps to die at a failpoint; check: the exit code that it must have."""
        if not failpoint and in_process.fits(arguments):
            done = subprocess.CompletedProcess(arguments, *in_process.call(self.file, arguments))
        else:
            done = subprocess.run(
                [sys.executable, "-P", "-m", "bisync_topology.cli", "-f", str(self.file), *arguments],
                env={**os.environ, "PYTHONPATH": str(HOME), "BISYNC_FAILPOINT": failpoint},
                capture_output=True,
                text=True,
                timeout=seconds,
                check=False,
            )
        if check is not None:
            said = f"{arguments} ended with {done.returncode}\n{done.stdout}{done.stderr}\n{self.logs()}"
            assert done.returncode == check, said
        return done

    def status(self, check: int | None = None) -> dict[str, Any]:
        """`status -o json`."""
        found: dict[str, Any] = json.loads(self.command("status", "-o", "json", check=check).stdout)
        return found

    def direction(self, source: str, target: str) -> dict[str, Any]:
        """A direction as `status` shows it."""
        found = [d for d in self.status()["directions"] if (d["from"], d["to"]) == (source, target)]
        assert len(found) == 1
        direction: dict[str, Any] = found[0]
        return direction

    def wait_for_all_to_wait(self) -> None:
        """Wait until `status` says of every process that it waits for Kafka."""

        def said() -> bool:
            found = {each["name"]: each for each in self.status()["processes"]}
            return all(found[name]["state"] == "waiting" and speaks_of_kafka(found[name]["detail"]) for name in WORKERS)

        self.until(said, "all four processes say that they wait for Kafka")

    def wait(self, seconds: float = PATIENCE) -> None:
        """`wait`: what was committed before has been applied on the other side."""
        self.command("wait", "--timeout", str(int(seconds)), seconds=seconds + 30)

    # -- the servers

    def server(self, side: str) -> MySQLServer:
        """A side's server."""
        return self.sandbox.east if side == "east" else self.sandbox.west

    def connect(self, side: str, **more: Any) -> Connection[Any]:
        """A connection as root, in autocommit mode."""
        return self.server(side).connect(**more)

    def sql(
        self, side: str, statement: str, *arguments: object, missing: list[tuple[Any, ...]] | None = None
    ) -> list[tuple[Any, ...]]:
        """Run one statement as root; gives its rows. missing: what to give where the table or the server is not there."""
        try:
            with self.connect(side) as connection, connection.cursor() as cursor:
                cursor.execute(statement, arguments or None)
                return list(cursor.fetchall())
        except (pymysql.err.ProgrammingError, pymysql.err.OperationalError):
            if missing is None:
                raise
            return missing

    def both(self, *statements: str) -> None:
        """Run statements on both sides, by hand: not logged, as a user makes the same tables on each side."""
        for side in SIDES:
            with self.connect(side) as connection, connection.cursor() as cursor:
                cursor.execute("SET SESSION sql_log_bin = 0")
                for statement in statements:
                    cursor.execute(statement)
