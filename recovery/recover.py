"""`recover SIDE`: a server that was set back gets again what it had written and applied since, from its own stream in Kafka.

1. What it lacks is found, and whether Kafka has all of it; where not, the gap is named and nothing is written.
2. `recoveries` is written: from here on the side's processes wait until the recovery is at its end.
3. Its own transactions are applied to it, local and applied ones in commit order, marked as the other side's.
4. The stream goes on under a new id (epoch.py).
5. The recovery is ended, and the failed state of the direction with it.

Killed at any point, it goes on there when it is run again.
"""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from typing import Any

from pymysql.connections import Connection

from bisync_topology import failpoints
from bisync_topology.control import Control
from bisync_topology.errors import CaptureError, CheckFailed, UsageError, Where
from bisync_topology.kafka import admin, check_access
from bisync_topology.kafka_access import applier_access, producer_access
from bisync_topology.mysql import connect
from bisync_topology.ownership import Report, now_us
from bisync_topology.reset import owned
from bisync_topology.restarts import Backoff
from bisync_topology.scope import Scope, UnionScope
from bisync_topology.sides import SideControl, check_sides
from bisync_topology.topology import Topology
from consumers.target import SESSION_STATEMENTS, STRUCTURE_STATEMENTS
from producers.checkpoint import Checkpoint, check_topics, read_checkpoint
from producers.hanging import settle
from producers.outbox import Outbox
from producers.server import check_server, read_server
from recovery.copied import read_copied
from recovery.epoch import check_other, go_on
from recovery.kafka_lists import look, scan, starts
from recovery.listing import Boundary, Whole, present
from recovery.own_changes import OwnChanges, whole_direction
from recovery.own_rows import OwnRows
from recovery.reading import Part, pieces
from recovery.recover_plan import Lacking, lacking
from recovery.set_back import begun_at, read_standing
from recovery.standing import Standing
from schemas.topics import transactions_topic

_TABLES = "SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES WHERE TABLE_TYPE = 'BASE TABLE'"


@dataclass(kw_only=True)
class Recovery:
    """A row of `recoveries`, and what belongs to it."""

    stream: str
    continued: str
    done: int
    last: int
    standing: Standing
    seen: int  # of the other side's stream, applied where the server stood
    barrier: int


def recover(topology: Topology, side: str, tell: Callable[[str], object], *, force: bool = False) -> dict[str, Any]:
    """Bring a side back to where its stream ends; gives the object of `recover -o json`.

    Raises UsageError for a side that sends nothing, CheckFailed where something runs, where Kafka lacks something or a row does
    not fit, Unreachable.
    """
    check_sides(topology, side)
    other = topology.other(side)
    if not topology.directions_from(side):
        raise UsageError(
            f"{side} sends nothing, so that it has no stream to be recovered from",
            hint=f"start `bisync-topology applier {side}`: it brings {side} to the present by itself",
        )
    with ExitStack() as stack:
        at_side = stack.enter_context(owned(topology, side, f"producer {side}"))
        stack.enter_context(owned(topology, side, f"applier {side}"))
        at_other = SideControl(stack.enter_context(owned(topology, other, f"applier {other}")), topology, other)
        control = Control(at_side, topology)
        control.create()
        control.upgrade()
        reads = (*applier_access(topology, side), *applier_access(topology, other))
        check_access(admin(topology), topology, [*producer_access(topology, side), *reads])
        stop = threading.Event()
        outbox = Outbox(topology, side, backoff=Backoff(stop, what="recover", report=Report()), stop=stop)
        stack.callback(outbox.close)
        outbox.initialize()
        settle(topology, side, outbox)
        checkpoint = read_checkpoint(topology, side)
        if checkpoint is None:
            raise CheckFailed(f"{side} has no stream in Kafka: its producer never ran", hint="`bisync-topology up` first")
        recovery = _begun(control, checkpoint)
        transactions = overwritten = 0
        if recovery is None or recovery.stream == checkpoint.stream:
            check_topics(topology, side, checkpoint)
            check_other(topology, side, at_other, checkpoint, "" if recovery is None else recovery.continued)
            recovery, part = _find(topology, side, control, checkpoint, recovery, tell, force=force)
            failpoints.reach("recover.after_begin")
            if part is not None:
                transactions, overwritten = _apply(topology, side, control, recovery, part, force=force)
            tell(f"{side} has everything up to transaction {recovery.last} of its stream again")
            go_on(
                topology,
                side,
                control,
                at_other,
                outbox,
                checkpoint,
                recovery.standing,
                continued=recovery.continued,
                seen=recovery.seen,
                barrier=recovery.barrier,
            )
        control.execute("end_recovery", topology.name)
        for direction in topology.directions_from(side):
            control.execute("set_error", None, topology.name, direction.from_, direction.to)
        return {
            "side": side,
            "stream": recovery.continued,
            "behind": recovery.last,
            "transactions": transactions,
            "overwritten": overwritten,
        }


def _begun(control: Control, checkpoint: Checkpoint) -> Recovery | None:
    """A recovery that was begun and is not at its end, of this stream; None: there is none."""
    rows = control.execute("read_recovery", control.topology.name)
    if not rows or rows[0][0] != "running" or checkpoint.stream not in rows[0][1:3]:
        return None
    _, stream, continued, done, last, text = rows[0]
    found = json.loads(text)
    return Recovery(
        stream=stream,
        continued=continued,
        done=int(done),
        last=int(last),
        standing=Standing(**found["standing"]),
        seen=found["seen"],
        barrier=found["barrier"],
    )


def _find(
    topology: Topology,
    side: str,
    control: Control,
    checkpoint: Checkpoint,
    recovery: Recovery | None,
    tell: Callable[[str], object],
    *,
    force: bool,
) -> tuple[Recovery, Part | None]:
    """Steps 1 and 2: what is to be applied, from where on. Nothing is written before all of it is known to be there."""
    standing = recovery.standing if recovery is not None else _set_back(topology, side, control.connection, checkpoint)
    extent, boundary = look(topology, side), Boundary()
    listed = (transactions_topic(topology.name, side), 0)
    items = present(scan(topology, side), checkpoint.stream, boundary)
    row = _applied(topology, side, control)
    found = lacking(
        side,
        items,
        Whole(extent, boundary),
        standing,
        sequence=checkpoint.sequence,
        began=checkpoint.began,
        low=extent.low.get(listed, 0),
        done=0 if recovery is None else recovery.done,
        applied=0 if row is None else int(row[2]),
    )
    if recovery is None:
        recovery = _begin(topology, side, control, checkpoint, standing, found, force=force)
        tell(f"{side} lacks {found.transactions} transactions of its stream, up to {found.last}; Kafka has them all")
    if found.first is None:
        return recovery, None
    part = Part(
        stream=checkpoint.stream,
        first=found.first.record.sequence,
        last=found.last,
        list_offset=found.first.offset,
        offsets=starts(topology, side, extent, found.first.record, boundary),
    )
    return recovery, part


def _set_back(topology: Topology, side: str, connection: Connection[Any], checkpoint: Checkpoint) -> Standing:
    """Where the server stands. Raises CheckFailed where it was not set back."""
    server, other = read_server(connection), topology.other(side)
    try:
        check_server(side, other, checkpoint, server, partial(begun_at, topology, side, server))
    except CaptureError as error:
        if error.code == "server_restored":
            return read_standing(topology, side, connection, checkpoint)
        raise CheckFailed(error.message, hint=error.hint, code=error.code, where=error.where) from error
    raise CheckFailed(
        f"{side} was not set back: its binlog goes on from where it was captured",
        hint="nothing is to be recovered; `up` goes on",
        where=Where(side=side),
    )


def _begin(
    topology: Topology,
    side: str,
    control: Control,
    checkpoint: Checkpoint,
    standing: Standing,
    found: Lacking,
    *,
    force: bool,
) -> Recovery:
    """Step 2. Raises CheckFailed for what the side's own stream does not hold."""
    other, name = topology.other(side), topology.name
    _check_scope(topology, side, control.connection)
    held = set(checkpoint.held) - {sequence for (sequence,) in control.execute("held_sequences", name, other)}
    if held and not force:
        raise CheckFailed(
            f"statements of {other} were held at {side} since the backup, and are not on record there any more: its transactions "
            f"{', '.join(map(str, sorted(held)))}",
            hint="run by hand what is wanted of them; then do this again with --force",
            code="ddl_held",
        )
    theirs = read_checkpoint(topology, other)
    row = _applied(topology, side, control)
    if row is None:
        control.execute("insert_applied", name, other, "none" if theirs is None else theirs.stream, now_us())
    elif theirs is not None and row[1] != theirs.stream:
        raise CheckFailed(
            f"the stream of {other} was begun anew since the backup: which of its changes {side} had applied cannot be told",
            hint="make both sides alike, then `bisync-topology init --reset` for both directions",
            code="stream_changed",
        )
    if found.inside is not None and row is not None and not force:
        record = found.inside.record
        raise CheckFailed(
            f"since the backup {side} has applied what {other} had sent up to {row[2]}, in the middle of what it had applied at "
            f"once before, up to {record.origin_sequence} ({record.gtid}): part of that would be applied twice",
            hint=f"start `bisync-topology applier {side}` until `status` shows no lag from {other}, stop it, and do this again",
            code="behind",
            where=Where(side=side),
        )
    recovery = Recovery(
        stream=checkpoint.stream,
        continued=uuid.uuid4().hex,
        done=found.first.record.sequence - 1 if found.first is not None else found.last,
        last=found.last,
        standing=standing,
        seen=0 if row is None else int(row[2]),
        barrier=found.barrier,
    )
    text = json.dumps({"standing": standing.as_json(), "seen": recovery.seen, "barrier": recovery.barrier})
    values = (recovery.stream, recovery.continued, recovery.done, recovery.last, text, now_us())
    control.execute("begin_recovery", name, *values)
    return recovery


def _applied(topology: Topology, side: str, control: Control) -> tuple[Any, ...] | None:
    """The progress row of the other side's stream into this side."""
    return next((row for row in control.execute("read_applied", topology.name) if row[0] == topology.other(side)), None)


def _check_scope(topology: Topology, side: str, connection: Connection[Any]) -> None:
    """Raise CheckFailed where tables are carried into the side that it does not send: its stream does not hold them."""
    sent = Scope(whole_direction(topology, side).objects, control_schema=topology.control_schema)
    into = UnionScope(topology.directions_into(side), control_schema=topology.control_schema)
    with connection.cursor() as cursor:
        cursor.execute(_TABLES)
        tables = cursor.fetchall()
    missing = [f"{db}.{name}" for db, name in tables if into.includes(db, name) and not sent.includes(db, name)]
    if missing:
        raise CheckFailed(
            f"{side} gets tables that it does not send, which are not in its own stream: {', '.join(missing[:5])}",
            hint=f"put them into `objects` of the direction from {side} the next time; now make both sides alike, then "
            "`bisync-topology init --reset` for both directions",
            where=Where(side=side),
        )


def _apply(topology: Topology, side: str, control: Control, recovery: Recovery, part: Part, *, force: bool) -> tuple[int, int]:
    """Step 3; gives how many transactions were applied, and how many changes were forced."""
    other, mysql = topology.other(side), topology.sides[side].mysql
    stream, applied = next((row[1], int(row[2])) for row in control.execute("read_applied", topology.name) if row[0] == other)
    with (
        closing(connect(mysql, autocommit=False, database=topology.control_schema)) as connection,
        closing(connect(mysql)) as describing,
    ):
        for statement in SESSION_STATEMENTS:
            connection.query(statement)
        for statement in STRUCTURE_STATEMENTS:
            describing.query(statement)
        rows = OwnRows(
            Control(connection, topology), other, stream=stream, applied=applied, own_stream=recovery.stream, done=recovery.done
        )
        copied = read_copied(topology, side, control)
        changes = OwnChanges(
            topology, side, connection, describing, rows, recovery.standing, stream=stream, force=force, copied=copied
        )
        changes.apply(pieces(topology, side, part))
        return changes.transactions, changes.overwritten
