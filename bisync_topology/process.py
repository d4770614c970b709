"""One producer or applier as a process of its own: logs, signals, the parent's end.

Signals are waited for by a thread with `sigwait` instead of being handled: a handler runs in the main thread between two of
its steps, where it may meet the very lock of the event that it wants to set.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable

import structlog

from bisync_topology import failpoints, logs
from bisync_topology.errors import UsageError
from bisync_topology.topology import Topology

PRODUCER, APPLIER, VERIFIER = "producer", "applier", "verifier"
ORPHAN_SECONDS = 60.0  # how long a child may drain once its supervisor is gone
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_POLL_SECONDS = 1.0
_PR_SET_PDEATHSIG = 1  # linux/prctl.h

log = structlog.get_logger()


def run(kind: str, topology: Topology, side: str, *, parent: int | None = None) -> None:
    """Be the producer or the applier of `side`, or the verifier, until told to stop; a stop drains what was begun.

    parent: pid of the supervisor with which this process is to end.
    Raises UsageError, LostOwnership, InternalError; outages are waited out.
    """
    prepare(f"{kind} {side}")
    check_side(kind, topology, side)
    stop = threading.Event()
    stop_on_signals(stop)
    if parent is not None:
        end_with(parent, stop)
    _work(kind)(topology, side, stop)


def prepare(name: str) -> None:
    """Set up what every long-running process has: logs, the failpoint, no signal lost from here on."""
    logs.configure()
    structlog.contextvars.bind_contextvars(process=name)
    try:
        failpoints.arm(os.environ.get("BISYNC_FAILPOINT"))
    except ValueError as error:
        raise UsageError(str(error), hint="unset BISYNC_FAILPOINT; it is for tests") from None


def check_side(kind: str, topology: Topology, side: str) -> None:
    """Raise UsageError where the topology gives this process nothing to do."""
    other = topology.other(side)
    if kind == PRODUCER and not topology.directions_from(side):
        raise UsageError(f"no direction begins at {side}, so that it has no producer", hint=f"`producer {other}`")
    if kind == APPLIER and not topology.directions_into(side):
        raise UsageError(f"no direction ends at {side}, so that it has no applier", hint=f"`applier {other}`")


def stop_on_signals(stop: threading.Event) -> None:
    """Let SIGTERM, SIGINT and SIGHUP set `stop`. A second SIGINT ends the process at once, for whoever cannot wait.

    Only that one does: a service manager may send SIGTERM to a child that its supervisor has told already.
    """
    signals = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]  # nohup ignores SIGHUP
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)

    def wait() -> None:
        while True:
            number = signal.sigwait(signals)
            if stop.is_set() and number == signal.SIGINT:
                os._exit(128 + number)
            stop.set()

    threading.Thread(target=wait, name="signals", daemon=True).start()


def end_with(parent: int, stop: threading.Event) -> None:
    """Stop when the parent is gone: told by the kernel where it can (Linux), seen by a poll elsewhere."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_POLL_SECONDS)
        log.warning("the supervisor is gone; stopping")
        stop.set()
        time.sleep(ORPHAN_SECONDS)
        log.error("still not drained; ending now, the next start repeats what is open", seconds=ORPHAN_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, name="parent", daemon=True).start()


def _work(kind: str) -> Callable[[Topology, str, threading.Event], None]:
    # imported here: an applier needs nothing of the producer's
    if kind == PRODUCER:
        from producers.pipeline import run as produce

        return produce
    if kind == VERIFIER:
        from verification.background import run as verify

        return verify
    from consumers.pipeline import run as apply

    return apply
