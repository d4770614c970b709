"""Whether a session's statement is in the binlog: how an applier that died is known to have run one, or not.

A statement that changes structure commits by itself and is logged with the number of its session; what is logged has been done,
also where nothing else tells, as of a TRUNCATE or of two equal tables that changed places.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from typing import Any, NamedTuple

from pymysql.connections import Connection

from bisync_topology.errors import CaptureError
from bisync_topology.topology import Topology
from producers import events
from producers.capture import BinlogStream, Position
from producers.server import read_server, replica_number


class Place(NamedTuple):
    """Where a binlog ended: of which server, in which file, at which position."""

    server: str
    file: str
    pos: int

    def __str__(self) -> str:
        """Give `uuid/file:position`."""
        return f"{self.server}/{self.file}:{self.pos}"


def place_of(text: str) -> Place:
    """The inverse of `str`."""
    server, _, rest = text.partition("/")
    file, _, pos = rest.rpartition(":")
    return Place(server, file, int(pos))


def log_end(connection: Connection[Any]) -> Place:
    """Where the server's binlog ends now. Raises CaptureError where it has none."""
    server = read_server(connection)
    return Place(server.uuid, server.file, server.pos)


def was_run(topology: Topology, side: str, thread_id: int, since: Place, until: Place) -> bool:
    """Whether a session has logged a statement between two places of its side's binlog.

    Raises CaptureError where another server has taken over, OSError, pymysql.err.OperationalError (1236 where the server has
    purged the first place).
    """
    with closing(statements(topology, side, since, until, "executed")) as found:
        for query in found:
            if query is None:
                return False  # sessions of before are no more, and their numbers are given again
            if query.thread_id == thread_id:
                return True
    return False


def statements(topology: Topology, side: str, since: Place, until: Place, use: str) -> Generator[events.Query | None]:
    """What is logged as statements between two places of a side's binlog; None where the server has started meanwhile.

    use: of the log, since one reader has one number. Raises as `was_run`.
    """
    if since == until:
        return
    if since.server != until.server:
        raise CaptureError(f"the server was {since.server}, and is {until.server} now", code="binlog_purged")
    number = replica_number(topology.name, side, use)
    stream = BinlogStream(topology.sides[side].mysql, number, Position(None, since.file, since.pos))
    end = (int(until.file.rpartition(".")[2]), until.pos)
    try:
        while not stream.quiet and stream.place < end:
            for event in stream.read():
                if event.type == events.QUERY and not events.is_begin(event.data):
                    yield events.query(event.data)
                elif event.type == events.FORMAT_DESCRIPTION and stream.file != since.file and events.server_began(event.data):
                    yield None
    finally:
        stream.close()
