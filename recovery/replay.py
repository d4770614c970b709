"""`replay FROM TO`: what a direction has applied, from a point in its list on, is compared with the target and written again.

The list says where each partition of events is to be read from. Transactions up to the direction's progress are read as they
are, those of the target's own origin too, so that the last image of each row is what FROM had; these are compared with the
target's rows, and with force written, in transactions that are marked as FROM's: nothing of them comes back. What is behind the
progress is counted alone: `resume` applies it, exactly once, as ever.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from functools import partial
from typing import Any

from pymysql.connections import Connection

from bisync_topology.control import Control
from bisync_topology.ddl import Category, read_statement
from bisync_topology.ddl_columns import only_adds
from bisync_topology.errors import ApplyError
from bisync_topology.mysql import connect
from bisync_topology.sql_modes import read_as
from bisync_topology.topology import Direction, Topology
from consumers.apply import Writer
from consumers.assemble import Assembled
from consumers.changes import Change, changes_of
from consumers.progress import Progress
from consumers.records import key_of
from consumers.refresh import SendBack
from consumers.schema_store import SchemaStore
from consumers.tables import AppliedTables
from consumers.target import SESSION_STATEMENTS, STRUCTURE_STATEMENTS
from recovery.halted import halted
from recovery.kafka_lists import look, scan, starts
from recovery.latest import Latest
from recovery.listing import Boundary, Whole, present
from recovery.marked import MarkerRows, Strict
from recovery.reading import Part, pieces
from recovery.replay_plan import Chosen, Plan, plan
from schemas.framing import HEADER_BYTES, framed_id
from schemas.list_records import decode_ddl
from schemas.parts import decode_part
from schemas.records import DdlEvent
from schemas.topics import transactions_topic

EXAMPLES = 10
_WRITTEN = 1000  # rows of one transaction
_EMPTYING = ("TRUNCATE TABLE", "DROP TABLE", "RENAME TABLE")


def replay(
    topology: Topology,
    from_: str,
    to: str,
    chosen: Chosen | None,
    tell: Callable[[str], object],
    *,
    execute: bool,
    force: bool,
) -> dict[str, Any]:
    """Compare, and with execute and force write; gives the object of `replay -o json`.

    Raises UsageError for a direction that there is not, CheckFailed where it runs or Kafka lacks something, Unreachable.
    """
    direction = topology.direction(from_, to)
    with halted(topology, direction, tell) as standing:
        stream, progress = standing.stream, standing.progress
        extent, boundary = look(topology, from_), Boundary()
        listed = (transactions_topic(topology.name, from_), 0)
        items = present(scan(topology, from_), stream, boundary)
        found = plan(items, Whole(extent, boundary), progress, chosen, extent.low.get(listed, 0))
        part = Part(
            stream=stream,
            first=found.start.record.sequence,
            last=min(progress, found.last),
            list_offset=found.start.offset,
            offsets=starts(topology, from_, extent, found.start.record, boundary),
        )
        with closing(_connection(topology, to)) as connection, closing(connect(topology.sides[to].mysql)) as describing:
            for statement in STRUCTURE_STATEMENTS:
                describing.query(statement)
            tables = AppliedTables(topology, direction, SchemaStore(topology, from_), describing)
            latest = Latest(connection)
            for piece in pieces(topology, from_, part):
                _take(latest, tables, piece)
            latest.compare()
            standing.check()
            written = 0
            if execute and force:
                written = _write(
                    topology, direction, connection, latest, MarkerRows(Control(connection, topology), from_, stream, progress)
                )
        return report(direction, found, progress, latest, executed=execute, written=written)


def _connection(topology: Topology, side: str) -> Connection[Any]:
    connection = connect(topology.sides[side].mysql, autocommit=False, database=topology.control_schema)
    for statement in SESSION_STATEMENTS:
        connection.query(statement)
    return connection


def _take(latest: Latest, tables: AppliedTables, piece: Assembled) -> None:
    """One piece: its changes, or what a statement means for them."""
    record = piece.record
    if record.kind == "ddl":
        for value in piece.values:
            event = decode_ddl(value)
            if _takes_rows(event):
                for name in event.tables or latest.names:  # where they could not be told, any
                    latest.emptied(name)
        return
    if piece.in_parts:
        part = decode_part(piece.values[0])
        if part.number == 0:
            name = tables.name(framed_id(bytes(part.data[:HEADER_BYTES])))
            latest.leave_out(name, "a row of more than 1 MiB is not compared here")
        return
    try:
        for change in changes_of(piece, partial(tables.of, record=record)):
            latest.add(change)
    except ApplyError as error:
        if error.code in ("schema_lost", "schema_clash"):
            raise
        for name in {tables.name(framed_id(value)) for value in piece.values}:
            latest.leave_out(name, error.message)


def _takes_rows(event: DdlEvent) -> bool:
    """Whether rows may be gone, or be others, of which no row event tells: those of a partition, of another table's name."""
    flags = read_as(event.sql_mode)
    statement = read_statement(event.statement, event.default_db, **flags)
    if statement.category is Category.UNKNOWN or statement.verb in _EMPTYING:
        return True
    return statement.verb == "ALTER TABLE" and not only_adds(event.statement, event.default_db, **flags)


def _write(topology: Topology, direction: Direction, connection: Connection[Any], latest: Latest, rows: MarkerRows) -> int:
    """Make every row that differs as it was sent; gives how many."""
    control = Control(connection, topology)
    writer = Writer(connection, rows, Strict(control, direction.from_, direction.to, force=True), SendBack(control))
    changes: list[Change] = [last.as_refresh() for _, _, last in latest.differing()]
    for start in range(0, len(changes), _WRITTEN):
        writer.begin(Progress(sequence=rows.sequence), 0, fk_checks=True)
        writer.write(changes[start : start + _WRITTEN])
        writer.commit(Progress(sequence=rows.sequence))
    return len(changes)


def report(direction: Direction, found: Plan, progress: int, latest: Latest, *, executed: bool, written: int) -> dict[str, Any]:
    """The object of `replay -o json`."""
    start = found.start.record
    tables = []
    for name, table in sorted(latest.tables.items()):
        kinds = [kind for kind, _ in table.kinds.values()]
        examples = [
            {"kind": kind, "key": key_of(last.change._replace(event=last.change.event._replace(before=last.image, after=None)))}
            for kind, last in list(table.kinds.values())[:EXAMPLES]
        ]
        tables.append(
            {
                "table": name,
                "equal": table.equal,
                **{kind: kinds.count(kind) for kind in ("differing", "missing", "extra")},
                "examples": examples,
            }
        )
    return {
        "from": direction.from_,
        "to": direction.to,
        "start": {
            "sequence": start.sequence,
            "offset": found.start.offset,
            "gtid": start.gtid,
            "committed_at": start.committed_at,
        },
        "applied_up_to": progress,
        "compared": {"transactions": found.before.transactions, "events": found.before.rows, "tables": len(found.before.topics)},
        "to_apply": {"transactions": found.after.transactions, "events": found.after.rows, "tables": len(found.after.topics)},
        "equal": not any(table.kinds for table in latest.tables.values()),
        "tables": tables,
        "left_out": latest.left_out,
        "executed": executed,
        "written": written,
    }
