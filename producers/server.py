"""What a producer must know of its server, and whether the checkpoint and the server belong together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pymysql.connections import Connection

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
    files: tuple[str, ...]


def read_server(connection: Connection[Any]) -> Server:
    """Ask a server for its identity and binlog position. Position and GTID set are of one moment."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT @@server_uuid, @@server_id, VERSION(), @@gtid_mode, @@global.gtid_purged")
        uuid, server_id, text, gtid_mode, purged = cursor.fetchall()[0]
        version = tuple(int(part) for part in str(text).split("-")[0].split(".")[:3])
        cursor.execute("SHOW BINARY LOG STATUS" if version >= (8, 2) else "SHOW MASTER STATUS")
        file, pos, _, _, executed = cursor.fetchall()[0]
        cursor.execute("SHOW BINARY LOGS")
        names = tuple(row[0] for row in cursor.fetchall())
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
        files=names,
    )


def check_server(side: str, other: str, checkpoint: Checkpoint, server: Server) -> None:
    """Raise CaptureError where the server lacks what the checkpoint holds, or has purged what it does not hold."""
    where = Where(side=side)
    reset = f"`bisync-topology init --reset {side} {other}` begins the direction anew"
    if checkpoint.gtid_executed is None:
        if checkpoint.server_uuid != server.uuid or checkpoint.file not in server.files:
            raise CaptureError(
                f"the binlog file {checkpoint.file} of the checkpoint is not on this server",
                code="binlog_purged",
                hint=reset,
                where=where,
            )
        return
    if server.gtid_executed is None:
        raise CaptureError("gtid_mode was switched off after the stream began", code="gtid_mode", hint=reset, where=where)
    captured = GtidSet(checkpoint.gtid_executed)
    lost = captured.minus(GtidSet(server.gtid_executed))
    if lost:
        raise CaptureError(
            f"the server lacks transactions that were captured from it: {lost}; it was restored, or failed over with loss",
            code="server_restored",
            hint=f"keep writes off {side} until what {other} sends has been applied again; if {side} had no changes of its own "
            f"that are lost, `bisync-topology init --reset {side} {other}` then goes on, else make both sides alike before",
            where=where,
        )
    gap = GtidSet(server.gtid_purged).minus(captured)
    if gap:
        raise CaptureError(
            f"the server has purged binlogs that were not captured yet: {gap}", code="binlog_purged", hint=reset, where=where
        )
