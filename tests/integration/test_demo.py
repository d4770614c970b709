"""`make demo` in its short form, from its first word to its exit code."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox import Sandbox
from sandbox.cache import cache_dir

pytestmark = pytest.mark.servers


@pytest.fixture
def root(servers: Sandbox) -> Iterator[Path]:
    """A folder that the servers' own user can enter. `servers` is asked for so that it is skipped where there are none."""
    with tempfile.TemporaryDirectory(prefix="demo-", dir=cache_dir(), ignore_cleanup_errors=True) as folder:
        path = Path(folder)
        path.chmod(0o755)
        yield path / "demo"


def start(root: Path, *more: str) -> subprocess.Popen[str]:
    """The demo as `make demo` starts it, without a terminal; it heeds Ctrl-C also where we run in the background."""
    command = ["env", "--default-signal", sys.executable, "-m", "demo", "--root", str(root), "--rate", "30", *more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=Path(__file__).parents[2])


def processes_of(root: Path) -> list[str]:
    """Command lines of processes that have to do with a folder."""
    found = []
    for proc in Path("/proc").iterdir():
        if proc.name.isdigit() and int(proc.name) != os.getpid():
            try:
                command = (proc / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if str(root) in command:
                found.append(command)
    return found


def test_both_sides_end_equal(root: Path) -> None:
    """Orders are written on both sides at once, and both end with the same rows; nothing is left running or lying about."""
    demo = start(root, "--seconds", "4")
    said, _ = demo.communicate(timeout=280)
    assert demo.returncode == 0, said
    assert "EQUAL" in said
    for table in ("customers", "products", "stock", "orders", "order_lines", "payments"):
        assert table in said
    assert "conflicts 0" in said
    assert "\x1b" not in said, "not a terminal: no control sequences"
    assert processes_of(root) == []
    assert not root.exists()


def test_interrupted_it_stops_everything(root: Path) -> None:
    """Ctrl-C while both sides are written to ends every process that the demo has started."""
    demo = start(root, "--seconds", "600")
    assert demo.stdout is not None
    said = ""
    deadline = time.monotonic() + 240
    while "writing" not in said and time.monotonic() < deadline:
        said += demo.stdout.readline()
    assert "writing" in said, said
    demo.send_signal(signal.SIGINT)
    rest, _ = demo.communicate(timeout=120)
    assert demo.returncode == 130, said + rest
    assert processes_of(root) == []
