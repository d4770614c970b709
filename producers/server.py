"""What a producer must know of its server, and whether the checkpoint and the server belong together."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pymysql.connections import Connection

from bisync_topology.control import Control
from bisync_topology.errors import CaptureError, Where
from producers.checkpoint import Checkpoint
from producers.gtids import GtidSet


@dataclass(frozen=True, kw_only=True)
class Server:
    """A server as it stands. logs_cascades: foreign keys run above the engine, so that what they change is logged (9.6+)."""

    uuid: str
    server_id: int
    version: tuple[int, ...]
    logs_cascades: bool
    gtid_executed: str | None  # None with gtid_mode OFF
    gtid_purged: str
    file: str
    pos: int
    files: Mapping[str, int]  # name → size in bytes, oldest first

    @property
    def place(self) -> str:
        """Where it stands: its GTID set, or file:position."""
        return f"{self.file}:{self.pos}" if self.gtid_executed is None else self.gtid_executed


def read_server(connection: Connection[Any]) -> Server:
    """Ask a server for its identity and binlog position. Position and GTID set are of one moment.

    Raises CaptureError where it has no binlog.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT @@server_uuid, @@server_id, VERSION(), @@gtid_mode, @@global.gtid_purged")
        uuid, server_id, text, gtid_mode, purged = cursor.fetchall()[0]
        version = tuple(int(part) for part in str(text).split("-")[0].split(".")[:3])
        cursor.execute("SHOW BINARY LOG STATUS" if version >= (8, 2) else "SHOW MASTER STATUS")
        status = cursor.fetchall()
        if not status:
            hint = "set log-bin in its configuration and restart it; then `resume`"
            raise CaptureError("the server writes no binlog", code="no_binlog", hint=hint)
        file, pos, _, _, executed = status[0]
        cursor.execute("SHOW BINARY LOGS")
        files = {str(row[0]): int(row[1]) for row in cursor.fetchall()}
        cursor.execute("SHOW VARIABLES LIKE 'innodb_native_foreign_keys'")
        native = dict(cursor.fetchall()).get("innodb_native_foreign_keys", "ON")
    return Server(
        uuid=uuid,
        server_id=int(server_id),
        version=version,
        logs_cascades=version >= (9, 6) and native == "OFF",
        gtid_executed=str(executed).replace("\n", "") if gtid_mode == "ON" else None,
        gtid_purged=str(purged).replace("\n", ""),
        file=file,
        pos=int(pos),
        files=files,
    )


def replica_number(topology: str, side: str, use: str, taken: int = 0) -> int:
    """A replica's number of our own, stable for this topology, side and use. taken: the server's own, where that is at hand."""
    number = 1_000_000_000 + zlib.crc32(f"{topology}.{side}{use}".encode()) % 1_000_000_000
    return number if number != taken else number + 1


def check_server(side: str, other: str, checkpoint: Checkpoint, server: Server, begun: Callable[[str], int]) -> None:
    """Raise CaptureError where the server lacks what the checkpoint holds, or has purged what it does not hold.

    begun: asks when a binlog file of the server was begun, in seconds since 1970.
    """
    if checkpoint.gtid_executed is None:
        if checkpoint.server_uuid != server.uuid:
            raise _restored(
                side, other, checkpoint, server, f"the server is another one, {server.uuid} in place of {checkpoint.server_uuid}"
            )
        check_file(side, other, checkpoint, server, begun)
        if checkpoint.file not in server.files:
            gap = f"from {checkpoint.file}:{checkpoint.pos} up to the beginning of {next(iter(server.files))}"
            raise _purged(side, other, server, gap)
        return
    if server.gtid_executed is None:
        hint = f"switch it on again, or `bisync-topology init --reset {side} {other}` begins the direction anew"
        raise CaptureError(
            "gtid_mode was switched off after the stream began", code="gtid_mode", hint=hint, where=Where(side=side)
        )
    captured = GtidSet(checkpoint.gtid_executed)
    lost = captured.minus(GtidSet(server.gtid_executed))
    if lost:
        raise _restored(side, other, checkpoint, server, f"the server lacks transactions that were captured from it: {lost}")
    gap = GtidSet(server.gtid_purged).minus(captured)
    if gap:
        raise _purged(side, other, server, f"transactions {gap}")
    if checkpoint.server_uuid == server.uuid:  # after a failover, names of files are those of another server
        check_file(side, other, checkpoint, server, begun)


def unfinished(control: Control, stream: str) -> bool:
    """Whether a recovery of the server's stream was begun and is not at its end."""
    rows = control.execute("read_recovery", control.topology.name)
    return any(state == "running" and stream in (old, new) for state, old, new, *_ in rows)


def check_recovered(side: str, control: Control, stream: str) -> None:
    """Raise CaptureError where a recovery of the server's stream was begun and is not at its end."""
    if unfinished(control, stream):
        raise CaptureError(
            f"the recovery of {side} is not at its end",
            code="server_restored",
            hint=f"keep writes off {side}; stop its processes, and run `bisync-topology recover {side}` again",
            where=Where(side=side),
        )


def check_file(side: str, other: str, checkpoint: Checkpoint, server: Server, begun: Callable[[str], int]) -> None:
    """Raise CaptureError where the server's binlog is not the one that was read: it was reset, or set back to an older copy.

    GTIDs alone do not tell: a server that was reset gives the same ones again. So a file is known by when it was begun.
    """
    file, pos = checkpoint.file, checkpoint.pos
    size = server.files.get(file)
    what = None
    if size is None:
        base, number = _numbered(file)
        last = _numbered(list(server.files)[-1])
        if base == last[0] and number > last[1]:
            what = f"{file} was captured, and the server's last binlog is {list(server.files)[-1]}"
    elif pos > size:
        what = f"{file} was captured up to {pos}, and ends at {size} on the server"
    elif checkpoint.file_begun and checkpoint.file_begun != (now := begun(file)):
        known = _utc(checkpoint.file_begun)
        what = f"{file} was captured up to {pos}, and is another file now, begun at {_utc(now)} and not at {known}"
    if what is not None:
        raise _restored(side, other, checkpoint, server, what)


def _restored(side: str, other: str, checkpoint: Checkpoint, server: Server, what: str) -> CaptureError:
    return CaptureError(
        f"{what}; it was reset (RESET BINARY LOGS AND GTIDS), restored from a copy, or failed over with loss: what it wrote "
        f"behind {checkpoint.file}:{checkpoint.pos} before that is not known; it has {_files(server)}",
        code="server_restored",
        hint=f"keep writes off {side}. After a restore: stop its processes, and `bisync-topology recover {side}` brings back "
        f"what it has lost. After a reset: make both sides alike, `bisync-topology init --reset {side} {other}`, then start them",
        where=Where(side=side),
    )


def _purged(side: str, other: str, server: Server, gap: str) -> CaptureError:
    return CaptureError(
        f"the server has purged binlogs that were not captured yet: {gap}; it has {_files(server)}",
        code="binlog_purged",
        hint=f"make both sides alike, then `bisync-topology init --reset {side} {other}` begins the direction anew",
        where=Where(side=side),
    )


def _files(server: Server) -> str:
    first, *_, last = *server.files, *server.files
    return f"{first} alone" if first == last else f"{first} to {last}"


def _numbered(file: str) -> tuple[str, int]:
    """`binlog.000012` → (`binlog`, 12)."""
    base, _, number = file.rpartition(".")
    return base, int(number)


def _utc(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
