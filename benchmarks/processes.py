"""What processes cost: CPU time and peak memory, from /proc."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Usage:
    """CPU time in seconds since the process began, and the most memory it ever had, in MiB."""

    cpu_seconds: float
    peak_mib: float


def usage(pid: int) -> Usage:
    """Read one process; zeros when it is gone."""
    proc = Path(f"/proc/{pid}")
    try:
        return Usage(cpu_of((proc / "stat").read_text()), peak_of((proc / "status").read_text()))
    except (FileNotFoundError, ProcessLookupError):
        return Usage(0.0, 0.0)


def cpu_of(stat: str) -> float:
    """User and system time of /proc/PID/stat, in seconds."""
    fields = stat.rpartition(")")[2].split()  # the name before it may hold anything
    return (int(fields[11]) + int(fields[12])) / _TICKS


def peak_of(status: str) -> float:
    """VmHWM of /proc/PID/status, in MiB."""
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0


def spent(before: Mapping[str, Usage], after: Mapping[str, Usage]) -> dict[str, Usage]:
    """CPU seconds between two readings; a process that was not there before began with none."""
    nothing = Usage(0.0, 0.0)
    return {name: Usage(now.cpu_seconds - before.get(name, nothing).cpu_seconds, now.peak_mib) for name, now in after.items()}
