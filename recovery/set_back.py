"""A server that was set back is asked what it has, and an applier whether it has to wait for that."""

from __future__ import annotations

from functools import partial
from typing import Any

from pymysql.connections import Connection

from bisync_topology.control import Control
from bisync_topology.errors import CaptureError, CheckFailed, Where
from bisync_topology.kafka import admin, existing_topics
from bisync_topology.topology import Topology
from producers.capture import file_begun
from producers.checkpoint import Checkpoint, read_checkpoint
from producers.gtids import GtidSet
from producers.server import Server, check_server, read_server, replica_number, unfinished
from recovery.standing import Standing
from schemas.topics import checkpoints_topic

_FILE_BEGINS = 4  # position of the first event


def read_standing(topology: Topology, side: str, connection: Connection[Any], checkpoint: Checkpoint) -> Standing:
    """Find out where a server stands that was set back. Raises CheckFailed where it cannot be told."""
    server = read_server(connection)
    last = checkpoint.committed_at // 1_000_000
    first, begun = None, 0
    for file in reversed(list(server.files)):
        at = begun_at(topology, side, server, file)
        if at <= last:
            break
        first, begun = file, at
    if checkpoint.gtid_executed is None or server.gtid_executed is None:
        return _by_place(side, checkpoint, server, first, begun)
    captured, executed = GtidSet(checkpoint.gtid_executed), GtidSet(server.gtid_executed)
    if first is None:
        if server.uuid in captured.minus(executed):
            raise _unknown(side, "it writes a binlog file that it began before what it has lost")
        had, first, pos = server.gtid_executed, server.file, server.pos
    else:
        had = ",".join(filter(None, [_previous_gtids(connection, first), server.gtid_purged]))
        pos = _FILE_BEGINS
    both = captured.minus(GtidSet(captured.minus(GtidSet(had))))
    return Standing(gtids=had, captured=both, file=first, pos=pos, file_begun=begun)


def _by_place(side: str, checkpoint: Checkpoint, server: Server, first: str | None, begun: int) -> Standing:
    if checkpoint.gtid_executed != server.gtid_executed:
        raise _unknown(side, "gtid_mode was switched since its stream began")
    if server.uuid != checkpoint.server_uuid:
        raise _unknown(side, f"without GTIDs only a copy of the same server can be told, and this is another one, {server.uuid}")
    if first is None or next(iter(server.files)) == first:
        raise _unknown(side, "without GTIDs the binlogs of the backup are needed, and they are not there")
    names = list(server.files)
    before = {name: server.files[name] for name in names[: names.index(first)]}
    return Standing(gtids=None, captured=None, file=first, pos=_FILE_BEGINS, file_begun=begun, files=before)


def lost_writes(topology: Topology, side: str, connection: Connection[Any]) -> str | None:
    """Why the other side's changes are not to be applied here: the side lacks writes of its own that came before them.

    None: it lacks none. One that lacks applied changes alone gets them again by itself.
    """
    if not topology.directions_from(side) or checkpoints_topic(topology.name) not in existing_topics(admin(topology), topology):
        return None
    checkpoint = read_checkpoint(topology, side)
    if checkpoint is None:
        return None
    command = f"keep writes off {side}; `bisync-topology recover {side}` brings back what it has lost"
    if unfinished(Control(connection, topology), checkpoint.stream):
        return f"the recovery of {side} is not at its end; {command}"
    server = read_server(connection)
    try:
        check_server(side, topology.other(side), checkpoint, server, partial(begun_at, topology, side, server))
        return None
    except CaptureError as error:
        if error.code != "server_restored":
            return None  # it is the producer's to say
    try:
        standing = read_standing(topology, side, connection, checkpoint)
    except CheckFailed as error:
        return f"{error.message}; {command}"
    if checkpoint.own_gtid and not standing.has(checkpoint.own_gtid):
        return f"{side} lacks changes of its own, up to {checkpoint.own_gtid}; {command}"
    if checkpoint.began is not None and not standing.covers(checkpoint.began):
        return f"{side} was set back to before its stream began, behind {checkpoint.began or 'nothing'}; {command}"
    return None


def begun_at(topology: Topology, side: str, server: Server, file: str) -> int:
    """When the server began one of its binlog files, in seconds since 1970."""
    return file_begun(topology.sides[side].mysql, replica_number(topology.name, side, "standing", server.server_id), file)


def _previous_gtids(connection: Connection[Any], file: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SHOW BINLOG EVENTS IN %s LIMIT 3", (file,))
        rows = cursor.fetchall()
    return next((str(row[5]).replace("\n", "") for row in rows if row[2] == "Previous_gtids"), "")


def _unknown(side: str, why: str) -> CheckFailed:
    return CheckFailed(
        f"which of its captured transactions {side} still has cannot be told: {why}",
        hint="make both sides alike, then `bisync-topology init --reset`",
        code="server_restored",
        where=Where(side=side),
    )
