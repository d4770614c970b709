"""Whether what an applier marks its transactions with really lands in the binlog: written, and read back from the stream.

A filter, or a session that does not log, hides it; what is applied would then be sent back, for ever. The row is one of the
heartbeat table, of a side that there is not: producers pass it over, and a transaction of such rows alone is not listed.
"""

from __future__ import annotations

import os
import time
from typing import Any

import pymysql.err
from pymysql.connections import Connection

from bisync_topology.control import Control
from bisync_topology.errors import CaptureError, CheckFailed, words
from bisync_topology.precheck_seen import ABSENT, HIDDEN, SEEN, UNTRIED, Marker
from bisync_topology.precheck_server import MARKER_WHY
from bisync_topology.sides import NOT_THERE
from bisync_topology.topology import Topology
from producers import events
from producers.capture import BinlogStream, Position
from producers.payload import inner_events
from producers.server import read_server, replica_number

SIDE = "#precheck"  # in the heartbeat table; no side can have the name
_SECONDS = 10.0  # for the stream to come to its end
_ROW_BYTES = 2000  # more than an event with one such row has


def prove(connection: Connection[Any], topology: Topology, side: str) -> Marker:
    """Write the row and look for it in what the server sends from there on. Changes nothing else."""
    control = Control(connection, topology)
    number = time.time_ns()  # found again by its bytes: nothing else in the log has them
    try:
        if not control.execute("has_heartbeat", topology.control_schema):
            return Marker(state=ABSENT)
        begun = read_server(connection)
        control.execute("write_heartbeat", topology.name, SIDE, number)
        end = read_server(connection)
        place = (int(end.file.rpartition(".")[2]), end.pos)
        replica = replica_number(topology.name, side, f"precheck{os.getpid()}", begun.server_id)
        stream = BinlogStream(topology.sides[side].mysql, replica, Position(None, begun.file, begun.pos))
        try:
            found = _found(stream, number.to_bytes(8, "little"), place)
        finally:
            stream.close()
    except (pymysql.err.MySQLError, OSError, CaptureError) as error:
        code = error.args[0] if isinstance(error, pymysql.err.MySQLError) and error.args else None
        return Marker(state=ABSENT) if code in NOT_THERE else Marker(state=UNTRIED, words=words(error))
    place_words = f"between {begun.file}:{begun.pos} and {end.file}:{end.pos}"
    if found is None:
        return Marker(state=UNTRIED, words=f"reading {place_words} took longer than {_SECONDS:.0f} s")
    return Marker(state=SEEN if found else HIDDEN, words=place_words)


def require(connection: Connection[Any], topology: Topology, side: str) -> None:
    """Raise CheckFailed where the marker does not land in the binlog of a side that is read."""
    marker = prove(connection, topology, side)
    if marker.state == HIDDEN:
        message = f"{side}: a row written to `{topology.control_schema}` is not in its binlog; {MARKER_WHY}"
        raise CheckFailed(message, hint="`bisync-topology precheck` says what hides it")


def _found(stream: BinlogStream, mark: bytes, end: tuple[int, int]) -> bool | None:
    """Whether the row is before the end; None where that is not reached in time."""
    deadline = time.monotonic() + _SECONDS
    while stream.place < end:
        if time.monotonic() > deadline:
            return None
        if not stream.more(1.0):
            continue
        for outer in stream.read():
            for event in inner_events(outer) if outer.type == events.TRANSACTION_PAYLOAD else (outer,):
                if event.type in events.ROWS and len(event.data) < _ROW_BYTES and mark in event.data:
                    return True
    return False
