"""Running another program to its end, with its words in the error when it fails."""

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from sandbox.errors import SandboxError

CAUSE = re.compile(r"(Caused by: )?(\w+\.)+\w*(Exception|Error): ")
COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def run(
    command: Sequence[str | Path],
    *,
    what: str,
    hint: str | None = None,
    env: Mapping[str, str] | None = None,
    user: tuple[int, int] | None = None,
    timeout: float = 1800,
    cwd: Path = Path("/"),
) -> str:
    """Run `command` and give its output; `what` begins the error's message. `user` is (uid, gid) to run it as."""
    try:
        done: subprocess.CompletedProcess[str] = subprocess.run(  # type: ignore[call-overload]  # **identity
            [str(part) for part in command],
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
            cwd=cwd,
            **identity(user),
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise SandboxError(f"{what}: {exc}", hint=hint) from exc
    if done.returncode != 0:
        raise SandboxError(f"{what}: {telling_line(done.stdout)}", hint=hint)
    return done.stdout


def identity(user: tuple[int, int] | None) -> dict[str, object]:
    """Give the arguments with which subprocess starts a program as another user."""
    return {} if user is None else {"user": user[0], "group": user[1], "extra_groups": []}


def telling_line(output: str) -> str:
    """Pick the line that says most about a failure: Java's cause, else the first that calls itself an error, else the last."""
    lines = [line.strip() for line in COLOURS.sub("", output).splitlines() if line.strip()]
    causes = [line for line in lines if CAUSE.match(line)]
    errors = [line for line in lines if line.startswith(("E:", "ERROR")) or "[ERROR]" in line]
    return (causes[-1:] or errors or lines[-1:] or ["it ended without a word"])[0]
