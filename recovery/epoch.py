"""A side's stream goes on under a new id behind what was recovered, so that what came before and after cannot be mistaken.

The sequences count on: what the other side has seen of the old stream it has seen. The new stream begins where the server stood
before the recovery: what was written since is captured, and what was recovered is marked as the other side's and comes back to
nobody. The steps are ordered so that after a crash between them both ends refuse to run, or go on as before, until `recover` has
run again: the other side's progress first, then the checkpoint.
"""

from __future__ import annotations

from bisync_topology import failpoints
from bisync_topology.control import Control
from bisync_topology.errors import CheckFailed, Where
from bisync_topology.kafka import admin, existing_topics, side_partition, side_partitions
from bisync_topology.kafka_records import low_offsets
from bisync_topology.ownership import now_us
from bisync_topology.sides import SideControl
from bisync_topology.topology import Topology
from producers.checkpoint import Checkpoint
from producers.outbox import Outbox
from producers.server import read_server
from recovery.standing import Standing
from schemas.topics import checkpoints_topic


def check_other(topology: Topology, side: str, control: SideControl, checkpoint: Checkpoint, continued: str = "") -> None:
    """Raise CheckFailed where the other side has not applied all of the old stream. continued: the new one's id."""
    if not topology.directions_into(control.side):
        return
    row = next((row for row in control.execute("read_applied", topology.name) if row[0] == side), None)
    stream, sequence = (row[1], int(row[2])) if row is not None else (checkpoint.stream, 0)
    if stream == continued:
        return
    if stream != checkpoint.stream:
        raise CheckFailed(
            f"{control.side} has applied stream {stream} of {side}, whose checkpoint is of {checkpoint.stream}",
            hint=f"make both sides alike, then `bisync-topology init --reset {side} {control.side}`",
            code="stream_changed",
        )
    if sequence != checkpoint.sequence:
        raise CheckFailed(
            f"{control.side} has applied what {side} had sent up to {sequence} of {checkpoint.sequence}; it must have all of it",
            hint=f"start `up`, or `bisync-topology applier {control.side}`, until `status` shows no lag from {side}; {side} "
            "stays as it is meanwhile. Then stop it, and do this again",
            code="behind",
            where=Where(side=control.side),
        )


def go_on(
    topology: Topology,
    side: str,
    own: Control,
    other: SideControl,
    outbox: Outbox,
    old: Checkpoint,
    standing: Standing,
    *,
    continued: str,
    seen: int,
    barrier: int,
) -> None:
    """Let the stream go on as `continued`. seen: what of the other side's stream the server had applied where it stood."""
    name = topology.name
    own.execute("lift_barrier", barrier, name, side)
    _lift_offsets(topology, own, other.side)
    failpoints.reach("recover.before_switch")
    if topology.directions_into(other.side):
        other.execute("continue_applied", continued, name, side, old.stream, old.sequence)
        other.execute("continue_held", continued, name, side, old.stream)
        check_other(topology, side, other, old, continued)
        other.execute("set_error", None, name, side, other.side)
    failpoints.reach("recover.after_other")
    checkpoint = Checkpoint(
        stream=continued,
        sequence=old.sequence,
        seen=seen,
        gtid_executed=standing.captured,
        file=standing.file,
        pos=standing.pos,
        server_uuid=read_server(own.connection).uuid,
        own_sequence=old.sequence,
        file_begun=standing.file_begun,
        prepared={xid: branch for xid, branch in old.prepared.items() if standing.has(branch.gtid)},
        held=tuple(sequence for (sequence,) in own.execute("held_sequences", name, other.side)),
        committed_at=now_us(),
        repaired=old.repaired,
        began=f"{standing.file}:{standing.pos}" if standing.captured is None else standing.captured,
    )
    outbox.begin()
    outbox.put(checkpoints_topic(name), side_partition(topology, side), *checkpoint.record())
    outbox.commit()
    failpoints.reach("recover.after_checkpoint")


def _lift_offsets(topology: Topology, control: Control, other: str) -> None:
    """Where the applier goes on, no position is before what Kafka has: what retention has taken was applied."""
    client = admin(topology)
    low = low_offsets(client, side_partitions(topology, other, existing_topics(client, topology)))
    rows = control.execute("read_offsets", topology.name, other)
    known = {(topic, int(partition)): int(offset) for topic, partition, offset in rows}
    for partition, offset in low.items():
        if offset > known.get(partition, 0):
            control.execute("write_offset", topology.name, other, *partition, offset)
