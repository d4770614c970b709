"""What keeps processes alive: restarts, signals, the end, and one `up` a topology."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bisync_topology import failpoints, supervisor
from bisync_topology.errors import CheckFailed, UsageError
from bisync_topology.process import APPLIER, PRODUCER, check_side
from bisync_topology.single import claim, identity
from bisync_topology.supervisor import Child, Supervisor, child_environ, ended_how, processes
from bisync_topology.topology import Topology, VerifySettings

HOME = Path(__file__).parent.parent.parent


def topology(*ends: tuple[str, str], name: str = "shop", port: str = "3306") -> Topology:
    """Directions between two servers; by default both ways."""
    return Topology.model_validate(
        {
            "name": name,
            "kafka": {"bootstrap.servers": "127.0.0.1:9092"},
            "sides": {
                "east": {"mysql": {"host": "127.0.0.1", "port": port, "user": "u", "password": "p"}},
                "west": {"mysql": {"host": "127.0.0.1", "port": "3307", "user": "u", "password": "p"}},
            },
            "directions": [
                {"from": source, "to": target, "objects": ["shop"]}
                for source, target in (ends or (("east", "west"), ("west", "east")))
            ],
        }
    )


class Said:
    """Stands for the supervisor's row: what was said of the children, in order."""

    def __init__(self) -> None:
        self.history: list[dict[str, int | None]] = []
        self.closed = False

    @property
    def children(self) -> dict[str, int | None]:
        """What was last said."""
        return self.history[-1]

    @children.setter
    def children(self, children: dict[str, int | None]) -> None:
        self.history.append(children)

    def close(self) -> None:
        """Note the last word."""
        self.closed = True


def python(code: str) -> Callable[[Child], "subprocess.Popen[bytes]"]:
    """Start children that run this code."""
    return lambda child: subprocess.Popen([sys.executable, "-c", code], process_group=0)


def in_thread(target: Callable[[], None]) -> threading.Thread:
    """Begin a thread that does not keep a failing test from ending."""
    thread = threading.Thread(target=target, daemon=True)
    thread.start()
    return thread


def eventually(holds: Callable[[], bool]) -> None:
    """Wait until it holds, for 30 s."""
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline, "it never came to hold"
        time.sleep(0.02)


def test_pauses_double_and_begin_again() -> None:
    """A child that dies at once is started after 1, 2, 4 … 30 s; one that lived for a minute is started after 1 s again."""
    child = Child(PRODUCER, "east")
    pauses = []
    for _ in range(7):
        child.started = 100.0
        pauses.append(child.end(now=101.0))
    assert pauses == [1, 2, 4, 8, 16, 30, 30]
    assert (child.restarts, child.due) == (7, 131.0)
    child.started = 200.0
    assert child.end(now=260.0) == 1.0


def test_processes_in_start_order() -> None:
    """Producers come before appliers; a side has only the processes that its directions need."""
    assert processes(topology()) == [("producer", "east"), ("producer", "west"), ("applier", "east"), ("applier", "west")]
    assert processes(topology(("east", "west"))) == [("producer", "east"), ("applier", "west")]
    watched = topology().model_copy(update={"verify": VerifySettings.model_validate({"every": "6h"})})
    assert processes(watched) == [*processes(topology()), ("verifier", "east")]


@pytest.mark.parametrize(("kind", "side"), [(PRODUCER, "west"), (APPLIER, "east"), (PRODUCER, "north")])
def test_a_process_without_work_is_refused(kind: str, side: str) -> None:
    """A side at which no direction begins or ends, or that does not exist, is a mistake on the command line."""
    check_side(PRODUCER, topology(("east", "west")), "east")
    with pytest.raises(UsageError):
        check_side(kind, topology(("east", "west")), side)


def test_a_failpoint_strikes_once() -> None:
    """The first start of a child has the failpoint, the ones after it do not; each knows how often it was restarted."""
    environ = {"BISYNC_FAILPOINT": "producer.after_lock", "PYTHONPATH": "/elsewhere", "EAST_PASSWORD": "x"}
    first, again = child_environ(environ, "/home", 0), child_environ(environ, "/home", 2)
    assert (first["BISYNC_FAILPOINT"], first["BISYNC_RESTARTS"]) == ("producer.after_lock", "0")
    assert "BISYNC_FAILPOINT" not in again and again["BISYNC_RESTARTS"] == "2"
    assert again["PYTHONPATH"] == f"/home{os.pathsep}/elsewhere" and again["EAST_PASSWORD"] == "x"


@pytest.mark.parametrize(
    ("status", "words"), [(0, "with exit code 0"), (70, "with exit code 70"), (-9, "by SIGKILL"), (-250, "by signal 250")]
)
def test_how_a_child_ended(status: int, words: str) -> None:
    """A kill is told from an exit."""
    assert ended_how(status) == words


def test_what_dies_is_started_again_until_the_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every death leads to a new start, said as a change of state; a stop ends the rest by SIGTERM and waits for them."""
    monkeypatch.setattr(supervisor, "FIRST_PAUSE", 0.05)
    dying, living = Child(PRODUCER, "east", pause=0.05), Child(APPLIER, "west")
    starts: list[str] = []

    def spawn(child: Child) -> "subprocess.Popen[bytes]":
        starts.append(child.name)
        return python("import time; time.sleep(60)" if child is living else "pass")(child)

    stop, said = threading.Event(), Said()
    thread = in_thread(Supervisor([dying, living], spawn, stop, said).run)
    eventually(lambda: starts.count("producer east") >= 3)
    assert living.process is not None
    running = living.process
    stop.set()
    thread.join(30)
    assert not thread.is_alive() and said.closed
    assert starts.count("applier west") == 1 and running.returncode == -signal.SIGTERM
    assert dying.restarts >= 2
    assert {"producer east": None, "applier west": running.pid} in said.history


def test_a_child_that_cannot_be_started_is_tried_again() -> None:
    """A machine out of memory or processes for a moment does not end the supervisor."""
    tries: list[int] = []

    def spawn(child: Child) -> "subprocess.Popen[bytes]":
        tries.append(1)
        if len(tries) < 2:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        return python("import time; time.sleep(60)")(child)

    stop = threading.Event()
    child = Child(PRODUCER, "east", pause=0.05)
    thread = in_thread(Supervisor([child], spawn, stop, Said()).run)
    eventually(lambda: child.process is not None)
    stop.set()
    thread.join(30)
    assert child.restarts == 1


def test_who_does_not_drain_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A child that ignores SIGTERM is killed when its time to drain is over, so that the supervisor always ends."""
    monkeypatch.setattr(supervisor, "DRAIN_SECONDS", 0.3)
    stop = threading.Event()
    child = Child(PRODUCER, "east")
    ready = "import signal, sys, time; signal.signal(15, signal.SIG_IGN); print(1, flush=True); time.sleep(60)"

    def spawn(child: Child) -> "subprocess.Popen[bytes]":
        started = subprocess.Popen([sys.executable, "-c", ready], stdout=subprocess.PIPE)
        assert started.stdout is not None
        started.stdout.readline()
        started.stdout.close()
        return started

    thread = in_thread(Supervisor([child], spawn, stop, Said()).run)
    eventually(lambda: child.process is not None)
    running = child.process
    stop.set()
    thread.join(30)
    assert running is not None and running.returncode == -signal.SIGKILL


def test_one_up_a_topology() -> None:
    """A second claim of the same topology is refused with the pid of the first; another topology of that name is not."""
    with claim(topology()):
        with pytest.raises(CheckFailed, match=rf"pid {os.getpid()}"), claim(topology()):
            pass
        with claim(topology(port="3399")), claim(topology(name="other")):
            pass
    with claim(topology()):
        pass
    assert identity(topology()) != identity(topology(port="3399"))


def run_code(code: str, *arguments: str) -> "subprocess.Popen[str]":
    """Start Python with our packages; its output can be read. It heeds signals that we ignore, as below nohup."""
    return subprocess.Popen(
        ["env", "--default-signal", sys.executable, "-c", code, *arguments],
        cwd=HOME,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


WAITS = """
import sys, threading
from bisync_topology.process import stop_on_signals
stop = threading.Event()
stop_on_signals(stop)
{before}
print("ready", flush=True)
while not stop.wait(0.001): pass
{after}
print("drained", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_stops_and_drains(number: signal.Signals) -> None:
    """SIGTERM, SIGINT and SIGHUP let the work end by itself, even while it waits in short steps; the exit code is 0."""
    running = run_code(WAITS.format(before="", after=""))
    assert running.stdout is not None and running.stdout.readline() == "ready\n"
    running.send_signal(number)
    assert running.communicate(timeout=30)[0] == "drained\n"
    assert running.returncode == 0


def test_a_second_interrupt_ends_at_once() -> None:
    """Ctrl-C twice ends a process that does not drain; SIGTERM twice does not, since service managers send it to all."""
    endless = WAITS.format(before="", after="print('draining', flush=True)\nimport time; time.sleep(60)")
    running = run_code(endless)
    assert running.stdout is not None
    running.stdout.readline()
    running.send_signal(signal.SIGTERM)
    assert running.stdout.readline() == "draining\n"
    running.send_signal(signal.SIGTERM)
    with pytest.raises(subprocess.TimeoutExpired):
        running.wait(0.5)
    running.send_signal(signal.SIGINT)
    assert running.wait(30) == 130
    running.stdout.close()


def test_children_end_with_their_supervisor() -> None:
    """A supervisor killed outright takes its children with it: they drain as after SIGTERM."""
    child = WAITS.format(before="from bisync_topology.process import end_with; end_with(int(sys.argv[1]), stop)", after="")
    parent = (
        "import os, subprocess, sys, time\n"
        "subprocess.Popen([sys.executable, '-c', sys.argv[1], str(os.getpid())])\n"
        "time.sleep(60)"
    )
    running = run_code(parent, child)
    assert running.stdout is not None and running.stdout.readline() == "ready\n"
    running.kill()
    running.wait(30)
    assert "drained\n" in running.stdout.read()  # ends when the last process that writes into it has ended
    running.stdout.close()


def test_the_failpoint_after_a_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """The supervisor passes its failpoint once for each start."""
    passed: list[str] = []
    monkeypatch.setattr(failpoints, "reach", passed.append)
    stop = threading.Event()
    children = [Child(PRODUCER, "east"), Child(APPLIER, "west")]
    thread = in_thread(Supervisor(children, python("import time; time.sleep(60)"), stop, Said()).run)
    eventually(lambda: all(child.process is not None for child in children))
    stop.set()
    thread.join(30)
    assert passed == ["supervisor.after_spawn"] * 2
