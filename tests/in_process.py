"""Short commands, run in the process of the tests: half a second each is saved, most of what a small machine does for a test."""

from __future__ import annotations

import io
import threading
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from bisync_topology import cli

QUICK = frozenset({"conflicts", "ddl", "pause", "resume", "skip", "status", "wait"})  # they end by themselves, and hold nothing


def fits(arguments: tuple[str, ...]) -> bool:
    """Whether a command can be run here: a quick one, and not from a thread, as the output of all threads is caught."""
    return arguments[0] in QUICK and threading.current_thread() is threading.main_thread()


def call(file: Path, arguments: tuple[str, ...]) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a command."""
    output, said = io.StringIO(), io.StringIO()
    with redirect_stdout(output), redirect_stderr(said):
        code = cli.run(["-f", str(file), *arguments])
    return code, output.getvalue(), said.getvalue()
