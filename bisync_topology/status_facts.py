"""What `status` is made of, fetched: both sides' control tables, the producers' positions, the oldest change not applied yet.

Everything is asked for at the same time; what cannot be reached is an exception in the place of its answer.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pymysql.err

from bisync_topology import kafka, kafka_records
from bisync_topology.control import Control
from bisync_topology.errors import BisyncError
from bisync_topology.initialization import CopiedTable, read_tables
from bisync_topology.mysql import connect
from bisync_topology.ownership import Wanted, read_wanted
from bisync_topology.sides import NOT_THERE
from bisync_topology.topology import Topology
from producers.checkpoint import POSITION_KEY, read_checkpoint
from schemas.list_records import transaction_decoder
from schemas.topics import checkpoints_topic, transactions_topic

TAIL_OFFSETS = 50  # of the checkpoints topic; the last position is in the last few
_KAFKA_SECONDS = 5.0


@dataclass(frozen=True, kw_only=True)
class Applied:
    """A direction's progress at its target. Times in microseconds since 1970 UTC."""

    sequence: int
    gtid: str
    committed_at: int  # at the source
    barrier: int
    transactions: int
    rows: int
    dropped_own_origin: int
    conflicts: int
    list_offset: int = 0  # of the source's transaction list: what is not applied yet begins there


@dataclass(frozen=True, kw_only=True)
class ProcessRow:
    """What a process last said of itself."""

    state: str
    host: str
    pid: int
    restarts: int
    seen_at: int  # microseconds since 1970 UTC
    detail: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class SideStatus:
    """One side's control tables. now: the server's clock, microseconds since 1970 UTC."""

    now: int
    applied: Mapping[str, Applied] = field(default_factory=dict)  # by source side
    wanted: Mapping[tuple[str, str], Wanted] = field(default_factory=dict)  # by (from, to)
    processes: Mapping[str, ProcessRow] = field(default_factory=dict)
    copied: Mapping[tuple[str, str], Sequence[CopiedTable]] = field(default_factory=dict)  # by (from, to)


@dataclass(frozen=True, kw_only=True)
class StatusFacts:
    """Everything. oldest: by direction, commit time at the source of the oldest transaction that is not applied, if known."""

    sides: Mapping[str, SideStatus | Exception]
    sequences: Mapping[str, int] | Exception  # by side, the last transaction that its producer has listed
    oldest: Mapping[tuple[str, str], int] = field(default_factory=dict)


def collect(topology: Topology) -> StatusFacts:
    """Ask both sides and the broker; nothing is raised for what cannot be reached."""
    with ThreadPoolExecutor(len(topology.sides) + 1) as pool:
        asked = {side: pool.submit(_answer, partial(read_side, topology, side)) for side in topology.sides}
        broker = pool.submit(_answer, partial(read_sequences, topology))
        sides = {side: answer.result() for side, answer in asked.items()}
        sequences = broker.result()
        oldest: dict[tuple[str, str], int] = {}
        if not isinstance(sequences, Exception):
            for direction in topology.directions:
                target = sides[direction.to]
                if isinstance(target, Exception):
                    continue
                done = target.applied.get(direction.from_)
                if (done.sequence if done else 0) < sequences.get(direction.from_, 0):
                    at = _committed_at(topology, direction.from_, done.list_offset if done else 0)
                    if at is not None:
                        oldest[direction.from_, direction.to] = at
    return StatusFacts(sides=sides, sequences=sequences, oldest=oldest)


def _answer(question: Any) -> Any:
    try:
        return question()
    except (pymysql.err.MySQLError, OSError, BisyncError) as error:
        return error


def read_side(topology: Topology, side: str) -> SideStatus:
    """Read one side's control tables, which may not be there yet. Raises MySQLError or OSError."""
    with connect(topology.sides[side].mysql, read_timeout=20.0) as connection:
        control = Control(connection, topology)
        now = int(control.execute("read_clock")[0][0])
        try:
            return SideStatus(
                now=now,
                applied=read_applied(control),
                wanted=read_wanted(control),
                copied={(d.from_, d.to): read_tables(control, d.from_, d.to) for d in topology.directions_into(side)},
                processes={
                    name: ProcessRow(
                        state=state, host=host, pid=pid, restarts=restarts, seen_at=seen_at, detail=json.loads(detail)
                    )
                    for name, state, host, pid, restarts, _, seen_at, detail in control.execute("read_processes", topology.name)
                },
            )
        except pymysql.err.MySQLError as error:
            if error.args[0] not in NOT_THERE:
                raise
            return SideStatus(now=now)


def read_applied(control: Control) -> dict[str, Applied]:
    """Progress by source side."""
    applied = {}
    for row in control.execute("read_applied", control.topology.name):
        source, _, sequence, gtid, committed_at, _, barrier, transactions, rows, dropped, _, conflicts = row
        list_topic = transactions_topic(control.topology.name, source)
        offsets = control.execute("read_offsets", control.topology.name, source)
        applied[source] = Applied(
            sequence=sequence,
            gtid=gtid,
            committed_at=committed_at,
            barrier=barrier,
            transactions=transactions,
            rows=rows,
            dropped_own_origin=dropped,
            conflicts=conflicts,
            list_offset=next((offset for topic, _, offset in offsets if topic == list_topic), 0),
        )
    return applied


def read_sequences(topology: Topology) -> dict[str, int]:
    """The last sequence that each side's producer has committed. Raises Unreachable."""
    partitions = {kafka.side_partition(topology, side): side for side in topology.sides}
    topic = checkpoints_topic(topology.name)
    try:
        tails = kafka_records.read_tails(topology, topic, partitions, TAIL_OFFSETS, timeout=_KAFKA_SECONDS)
    except BisyncError as error:
        if error.code == "topic_missing":
            return {}
        raise
    sequences = {}
    for partition, side in partitions.items():
        positions = [value for key, value in tails[partition] if key == POSITION_KEY]
        if positions:
            sequences[side] = int(positions[-1]["sequence"])
        elif (checkpoint := read_checkpoint(topology, side)) is not None:  # a tail of topic ids, or of undone commits
            sequences[side] = checkpoint.sequence
    return sequences


def _committed_at(topology: Topology, source: str, offset: int) -> int | None:
    with suppress(BisyncError, ValueError):
        value = kafka_records.first_record(topology, transactions_topic(topology.name, source), 0, offset, timeout=1.0)
        return None if value is None else transaction_decoder()(value).committed_at
    return None
