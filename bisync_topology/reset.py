"""`init --reset FROM TO`: a direction is begun anew from now on, on both of its ends.

The way out where what lies between the two ends is lost: binlogs purged before they were read, a topic that was deleted, a
stream that another one has replaced. What the direction had not carried by now it never will, so that both sides have to be made
alike by hand, unless it initializes `data`: then all its tables are copied anew when its processes start, onto the rows that are
there. Of these, equal ones are left as they are, others are conflicts, and what is at the target alone stays.

The steps are ordered so that a crash between them leaves a direction that refuses to run (its two ends name different
streams) and can be reset again: first the new stream's checkpoint, then the target's progress.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pymysql.connections import Connection

from bisync_topology.control import Control
from bisync_topology.errors import CheckFailed, Where
from bisync_topology.kafka import admin, check_access, ensure_control_topics, existing_topics, side_partition, side_partitions
from bisync_topology.kafka_access import producer_access
from bisync_topology.kafka_records import end_offsets
from bisync_topology.mysql import connect
from bisync_topology.ownership import Report, leave_skips, lock_name, now_us
from bisync_topology.restarts import Backoff
from bisync_topology.topology import Topology
from producers.checkpoint import Checkpoint, read_checkpoint, topic_record
from producers.outbox import Outbox
from producers.server import read_server
from schemas.topics import checkpoints_topic


def reset(topology: Topology, source: str, target: str) -> str:
    """Begin a direction anew; gives the new stream's id.

    Raises UsageError for a direction that there is not, CheckFailed while its producer or applier runs.
    """
    topology.direction(source, target)
    with owned(topology, source, f"producer {source}") as at_source, owned(topology, target, f"applier {target}") as at_target:
        for connection in (at_source, at_target):
            Control(connection, topology).create()
            Control(connection, topology).upgrade()
        ensure_control_topics(topology, source)
        check_access(admin(topology), topology, producer_access(topology, source))
        stream = _begin_stream(topology, source, at_source)
        _begin_progress(topology, source, at_target, stream)
        for connection in (at_source, at_target):
            control = Control(connection, topology)
            control.execute("set_error", None, topology.name, source, target)
            leave_skips(control, (source, target))
        return stream


@contextmanager
def owned(topology: Topology, side: str, process: str) -> Iterator[Connection[Any]]:
    """A connection to a side that holds a process's lock, so that none runs meanwhile."""
    with connect(topology.sides[side].mysql) as connection:
        if not Control(connection, topology).execute("get_lock", lock_name(topology.name, process), 0)[0][0]:
            raise CheckFailed(
                f"{process} is running",
                hint="stop `up`, or the processes of this direction and their standbys, and do it again",
                where=Where(side=side),
            )
        yield connection


def _begin_stream(topology: Topology, source: str, connection: Connection[Any]) -> str:
    """Write the checkpoint of a new stream that begins at the server's present position; fences what ran before."""
    server = read_server(connection)
    before = read_checkpoint(topology, source)
    held = Control(connection, topology).execute("held_sequences", topology.name, topology.other(source))
    checkpoint = Checkpoint(
        stream=uuid.uuid4().hex,
        sequence=0,
        seen=0 if before is None else before.seen,
        gtid_executed=server.gtid_executed,
        file=server.file,
        pos=server.pos,
        server_uuid=server.uuid,
        held=tuple(sequence for (sequence,) in held),
        committed_at=now_us(),
        began=server.place,
    )
    stop = threading.Event()
    outbox = Outbox(topology, source, backoff=Backoff(stop, what="init", report=Report()), stop=stop)
    try:
        outbox.initialize()
        outbox.begin()
        topic, partition = checkpoints_topic(topology.name), side_partition(topology, source)
        for name in before.topics if before is not None else ():
            outbox.put(topic, partition, topic_record(name, "")[0], b"null")
        outbox.put(topic, partition, *checkpoint.record())
        outbox.commit()
    finally:
        outbox.close()
    return checkpoint.stream


def _begin_progress(topology: Topology, source: str, connection: Connection[Any], stream: str) -> None:
    """Put the target's progress at the new stream's beginning: the present end of every topic of the source."""
    client = admin(topology)
    ends = end_offsets(client, side_partitions(topology, source, existing_topics(client, topology)))
    control = Control(connection, topology)
    connection.begin()
    control.execute("delete_applied", topology.name, source)
    control.execute("delete_offsets", topology.name, source)
    control.execute("leave_pending", now_us(), topology.name, source)
    control.execute("leave_held", topology.name, source)
    control.execute("delete_initialization", topology.name, source, topology.other(source))
    control.execute("insert_applied", topology.name, source, stream, now_us())
    for (name, partition), offset in ends.items():
        control.execute("write_offset", topology.name, source, name, partition, offset)
    connection.commit()
