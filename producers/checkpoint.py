"""A side's position, in the compacted checkpoints topic: written in the Kafka transaction that it speaks of.

Records of a side's partition: key `position` → Checkpoint as JSON; key `topic:<name>` → the broker's id of a topic that this
side's events went to, so that one that was deleted or made anew is noticed.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from bisync_topology.errors import CaptureError, Where
from bisync_topology.kafka import admin, existing_topics, side_partition, topic_ids
from bisync_topology.kafka_records import TAIL_OFFSETS, read_partition, read_tail
from bisync_topology.topology import Topology
from producers.items import Running
from producers.xa import Branch
from schemas.list_records import transaction_decoder
from schemas.topics import checkpoints_topic, transactions_topic

POSITION_KEY = "position"
TOPIC_KEY = "topic:"


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """Where capture stands, always between two transactions."""

    stream: str  # id of the stream; begun anew it has another
    sequence: int  # last one given
    seen: int  # last sequence of the other side that had been applied here
    gtid_executed: str | None  # None without GTIDs
    file: str
    pos: int
    server_uuid: str  # of the server that file and pos are of
    own_sequence: int = 0  # the last one of a change that began here, or of what was sent back
    file_begun: int = 0  # when the server began that file, in seconds since 1970; 0: not known
    prepared: dict[str, Branch] = field(default_factory=dict)  # XA branches that are open there, by XID
    running: dict[int, Running] = field(default_factory=dict)  # statements that an applier has begun, by id in `ddl_log`
    held: tuple[int, ...] = ()  # sequences of the other side's statements that are held there
    own_gtid: str = ""  # of the last transaction that no applier brings again; "": none since the stream began
    committed_at: int = 0  # of the last transaction that was captured, or when the stream began: microseconds since 1970 UTC
    began: str | None = None  # where the stream began: a GTID set, or file:position; None: an older version has not noted it
    repaired: dict[str, int] = field(default_factory=dict)  # see Refresher
    objects: tuple[str, ...] | None = None  # of the directions from the side, as captured; None: nobody has said so yet
    topics: dict[str, str] = field(default_factory=dict)  # name → id, kept in records of their own

    def record(self) -> tuple[bytes, bytes]:
        """Key and value of the position."""
        return POSITION_KEY.encode(), json.dumps(asdict(replace(self, topics={}))).encode()


def captured_objects(topology: Topology, side: str) -> tuple[str, ...]:
    """What a side's producer with this topology captures: the `objects` of every direction from it."""
    return tuple(entry for direction in topology.directions_from(side) for entry in direction.objects)


def topic_record(name: str, identity: str) -> tuple[bytes, bytes]:
    """Key and value of a topic's record."""
    return f"{TOPIC_KEY}{name}".encode(), json.dumps({"id": identity}).encode()


def read_checkpoint(topology: Topology, side: str) -> Checkpoint | None:
    """The side's last checkpoint, None before its first start."""
    position: dict[str, Any] | None = None
    topics: dict[str, str] = {}
    for key, value in read_partition(topology, checkpoints_topic(topology.name), side_partition(topology, side)):
        if key == POSITION_KEY:
            position = value
        elif value is None:  # forgotten by a reset
            topics.pop(key.removeprefix(TOPIC_KEY), None)
        elif key.startswith(TOPIC_KEY):
            topics[key.removeprefix(TOPIC_KEY)] = value["id"]
    return None if position is None else checkpoint_of(position, topics)


def checkpoint_of(position: Mapping[str, Any], topics: dict[str, str] | None = None) -> Checkpoint:
    """A checkpoint from the value of its record."""
    prepared = {xid: Branch(*branch) for xid, branch in position.get("prepared", {}).items()}
    running = {int(number): Running(*each) for number, each in position.get("running", {}).items()}
    own = position.get("own_sequence", position["sequence"])  # an older version's: all of it may be its own
    return Checkpoint(
        **{
            **position,
            "own_sequence": own,
            "prepared": prepared,
            "running": running,
            "held": tuple(position.get("held", ())),
            "objects": None if position.get("objects") is None else tuple(position["objects"]),
            "topics": topics or {},
        }
    )


def check_topics(topology: Topology, side: str, checkpoint: Checkpoint) -> None:
    """Compare the topics that the checkpoint knows with the broker's.

    Raises CaptureError where one is gone or was made anew: what an applier had not read of it is lost.
    """
    client = admin(topology)
    known = {**checkpoint.topics}
    present = existing_topics(client, topology)
    missing = sorted(name for name in known if name not in present)
    ids = topic_ids(client, [name for name in known if name in present])
    renewed = sorted(name for name, identity in ids.items() if identity != known[name])
    for names, what in ((missing, "does not exist on the broker any more"), (renewed, "was deleted and made anew")):
        if names:
            more = f" (and {len(names) - 1} more)" if len(names) > 1 else ""
            raise CaptureError(
                f"topic {names[0]}{more}, which the checkpoint of {side} knows, {what}: events in it may never have been applied",
                code="topic_lost",
                hint=f"`bisync-topology init --reset {side} {topology.other(side)}` begins the direction anew",
                where=Where(side=side, topic=names[0]),
            )


def check_list(topology: Topology, side: str, checkpoint: Checkpoint) -> None:
    """Compare the end of the side's transaction list with the checkpoint: both are written in one Kafka transaction.

    Raises CaptureError where they differ: the broker has ended one Kafka transaction in two ways, and going on would list
    transactions twice or not at all.
    """
    topic = transactions_topic(topology.name, side)
    decode = transaction_decoder()
    tail = [decode(record.value) for record in read_tail(topology, [(topic, 0)], TAIL_OFFSETS)]
    if tail and tail[-1].stream == checkpoint.stream and tail[-1].sequence != checkpoint.sequence:
        raise CaptureError(
            f"the list of {side} ends with transaction {tail[-1].sequence}, its checkpoint with {checkpoint.sequence}: "
            "Kafka has ended one of our transactions in two ways",
            code="transaction_torn",
            hint=f"make both sides alike, then `bisync-topology init --reset {side} {topology.other(side)}` begins anew",
            where=Where(side=side, topic=topic, partition=0, gtid=tail[-1].gtid),
        )
