"""One server process: started in a session of its own, found again by a later command, ended by its pid.

The pid file also holds when the process began (clock ticks since boot, from /proc), so that a pid that has been
reused is never mistaken for the server, and never signalled.
"""

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from sandbox.cache import say
from sandbox.errors import SandboxError
from sandbox.programs import identity, telling_line

POLL_SECONDS = 0.05
LOG_LINES = 30
CLAIM_SECONDS = 3.0

# Processes that are this process's own children: they must be waited for when they end, and their handles must
# outlive the objects that started them, because `sandbox up` leaves servers running.
_children: dict[int, subprocess.Popen[bytes]] = {}


class ServerProcess:
    """The process of one server, whose files (`pid`, `server.log`) are in `folder`."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.pid_file = folder / "pid"
        self.log_file = folder / "server.log"

    @property
    def pid(self) -> int | None:
        """The pid if the process is running, whoever started it."""
        try:
            recorded = json.loads(self.pid_file.read_text())
        except (FileNotFoundError, ValueError):
            return None
        pid = int(recorded["pid"])
        if pid in _children and _children[pid].poll() is not None:
            del _children[pid]
        return pid if began(pid) == recorded["began"] else None

    def start(self, command: Sequence[str], *, env: Mapping[str, str] | None = None, user: tuple[int, int] | None = None) -> None:
        """Start the process, as (uid, gid) `user` if given; its output is appended to the log file."""
        with self.log_file.open("ab") as log:
            child = subprocess.Popen(
                list(command),
                env={**os.environ, **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,  # Ctrl-C on the command that started it is not meant for it
                **identity(user),  # type: ignore[call-overload]  # three keywords, which mypy cannot see in a dict
            )
        _children[child.pid] = child
        partial = self.pid_file.with_suffix(".new")
        partial.write_text(json.dumps({"pid": child.pid, "began": began(child.pid)}))
        partial.replace(self.pid_file)

    def signal(self, number: signal.Signals, timeout: float) -> bool:
        """Send a signal and wait until the process has ended; False if it has not in `timeout` seconds."""
        pid = self.pid
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):  # it ended by itself just now
                os.kill(pid, number)
        deadline = time.monotonic() + timeout
        while self.pid is not None:
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_SECONDS)
        if pid in _children:  # it may have ended between two looks: unless it is waited for, its pid goes on to be a process's
            _children.pop(pid).wait()
        self.pid_file.unlink(missing_ok=True)
        return True

    def stop(self, timeout: float) -> None:
        """End the process: asked first (SIGTERM), then made to."""
        if not self.signal(signal.SIGTERM, timeout):
            self.kill()

    def kill(self) -> None:
        """End the process with SIGKILL, as a crash would."""
        if not self.signal(signal.SIGKILL, 30):
            raise SandboxError(f"{self.name} (pid {self.pid}) does not end, even on SIGKILL: its disk may hang")

    def log_tail(self) -> str:
        """Give the last lines that the server wrote."""
        if not self.log_file.exists():
            return ""
        with self.log_file.open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - 16384))
            return "\n".join(log.read().decode(errors="replace").splitlines()[-LOG_LINES:])

    def wait(self, answers: Callable[[], bool], timeout: float) -> None:
        """Wait until `answers()` is true; say what the log says if the process ends or takes too long."""
        deadline = time.monotonic() + timeout
        while not answers():
            if self.pid is None:
                raise self._failure("ended while starting")
            if time.monotonic() > deadline:
                raise self._failure(f"does not answer after {timeout:.0f} s")
            time.sleep(POLL_SECONDS)

    def _failure(self, what: str) -> SandboxError:
        """Show the log's end, and make an error of its most telling line."""
        log = self.log_tail()
        say(log)
        return SandboxError(f"{self.name} {what}: {telling_line(log)}", hint=f"see {self.log_file}")


def began(pid: int) -> int | None:
    """Tell when a process began, in clock ticks since boot; None if there is none, or only its exit status is left.

    A killed process looks like a zombie as soon as its first thread is gone; it holds its port until the last one is.
    """
    proc = Path(f"/proc/{pid}")
    try:
        fields = (proc / "stat").read_text().rpartition(")")[2].split()  # the name before it may hold parentheses
        if fields[0] in "ZX" and len(list((proc / "task").iterdir())) <= 1:
            return None
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(fields[19])


def listens(port: int) -> bool:
    """Tell whether something on this machine accepts connections at `port`."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def is_free(port: int) -> bool:
    """Tell whether a server can listen at `port`."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the servers do: a closed connection is no hindrance
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """Pick a port that is free now and likely to stay so while a server is restarted.

    Outgoing connections take theirs from the kernel's range, so one from below it is picked.
    """
    try:
        lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except (OSError, ValueError):
        lowest = 32768
    candidates = range(15000, lowest) if lowest > 16000 else range(lowest, 61000)
    for port in random.sample(candidates, 200):
        if is_free(port):
            return port
    raise SandboxError("no free port was found", hint="see what listens: ss -ltn")


def remembered_port(file: Path, wanted: int | None) -> int:
    """Give the port of an instance: the wanted one, or the one it had before, or a free one; and remember it."""
    if wanted is None and file.exists():
        return int(file.read_text())
    port = wanted or free_port()
    file.write_text(f"{port}\n")
    return port


def claim(name: str, port: int) -> None:
    """Refuse to start a server at a port that another program holds; one that is just ending may take a moment."""
    deadline = time.monotonic() + CLAIM_SECONDS
    while not is_free(port) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    if not is_free(port):
        raise SandboxError(
            f"{name} cannot start: port {port} is in use by another program", hint=f"see which: ss -ltnp 'sport = :{port}'"
        )
