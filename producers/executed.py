"""Whether a session's statement is in the binlog: how an applier that died is known to have run one, or not.

A statement that changes structure commits by itself and is logged with the number of its session; what is logged has been done,
also where nothing else tells, as of a TRUNCATE or of two equal tables that changed places.
"""

from __future__ import annotations

import zlib
from typing import Any

from pymysql.connections import Connection

from bisync_topology.topology import Topology
from producers import events
from producers.capture import BinlogStream, Position
from producers.server import read_server

Place = tuple[str, int]  # file and position in it


def log_end(connection: Connection[Any]) -> Place:
    """Where the server's binlog ends now. Raises CaptureError where it has none."""
    server = read_server(connection)
    return server.file, server.pos


def was_run(topology: Topology, side: str, thread_id: int, since: Place, until: Place) -> bool:
    """Whether a session has logged a statement between two places of its side's binlog.

    Raises OSError, pymysql.err.OperationalError (1236 where the server has purged the first place).
    """
    if since == until:
        return False
    number = 1_000_000_000 + zlib.crc32(f"{topology.name}.{side}executed".encode()) % 1_000_000_000
    stream = BinlogStream(topology.sides[side].mysql, number, Position(None, *since))
    end = (int(until[0].rpartition(".")[2]), until[1])
    try:
        while not stream.quiet and stream.place < end:
            for event in stream.read():
                if event.type == events.QUERY and not events.is_begin(event.data):
                    if events.query(event.data).thread_id == thread_id:
                        return True
                elif event.type == events.FORMAT_DESCRIPTION and stream.file != since[0] and events.server_began(event.data):
                    return False  # sessions of before are no more, and their numbers are given again
    finally:
        stream.close()
    return False
