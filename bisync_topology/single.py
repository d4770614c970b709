"""One `up` a topology and host.

The claim is a Unix socket in Linux's abstract namespace: the kernel gives it back however its holder ends, no file is left
behind, and the holder's pid can be asked for. Elsewhere it is a locked file in the folder for temporary files.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import socket
import struct
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bisync_topology.errors import CheckFailed
from bisync_topology.topology import Topology


@contextmanager
def claim(topology: Topology) -> Iterator[None]:
    """Hold the claim. Raises CheckFailed while another process of this host has it."""
    name = f"bisync-topology-{identity(topology)}"
    with _socket_claim(topology, name) if sys.platform == "linux" else _file_claim(topology, name):
        yield


def identity(topology: Topology) -> str:
    """What makes a topology the same one: its name, its broker and its servers, so that two of one name do not collide."""
    servers = sorted((side, settings.mysql.host, settings.mysql.port) for side, settings in topology.sides.items())
    text = json.dumps([topology.name, topology.kafka.get("bootstrap.servers"), servers])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@contextmanager
def _socket_claim(topology: Topology, name: str) -> Iterator[None]:
    address = f"\0{name}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as holder:
        try:
            holder.bind(address)
        except OSError:
            raise _taken(topology, _pid_of(address)) from None
        holder.listen(1)
        yield


def _pid_of(address: str) -> int | None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(address)
            credentials = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        except OSError:
            return None
    pid: int = struct.unpack("3i", credentials)[0]
    return pid


@contextmanager
def _file_claim(topology: Topology, name: str) -> Iterator[None]:
    descriptor = os.open(Path(tempfile.gettempdir()) / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise _taken(topology, None) from None
    finally:
        os.close(descriptor)


def _taken(topology: Topology, pid: int | None) -> CheckFailed:
    who = f" (pid {pid})" if pid else ""
    return CheckFailed(
        f"`up` of {topology.name} runs on this host already{who}",
        hint="see it with `bisync-topology status`; end it with SIGTERM before you start another",
        code="already_up",
    )
