"""A side's own transactions → the side once more: whole, in order, each once, guarded by their before images."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

import pymysql.err
from pymysql.connections import Connection

from bisync_topology.control import Control
from bisync_topology.errors import ApplyError, BisyncError, CheckFailed, ConflictStop, Where
from bisync_topology.topology import Direction, Dml, Policy, Topology
from consumers.apply import Writer
from consumers.assemble import Assembled
from consumers.changes import Change, Unfinished, changes_of
from consumers.groups import GROUP_BYTES, GROUP_EVENTS, GROUP_PIECES
from consumers.progress import Progress
from consumers.refresh import SendBack
from consumers.schema_store import SchemaStore
from consumers.tables import AppliedTables
from recovery.copied import Copied
from recovery.marked import Strict
from recovery.own_ddl import OwnStatements
from recovery.own_rows import OwnRows
from recovery.standing import Standing
from schemas.list_records import decode_ddl
from schemas.records import TransactionRecord


class OwnChanges:
    """Applies a side's own stream to it."""

    def __init__(
        self,
        topology: Topology,
        side: str,
        connection: Connection[Any],
        describing: Connection[Any],
        rows: OwnRows,
        standing: Standing,
        *,
        stream: str,
        force: bool,
        copied: Copied,
    ) -> None:
        """stream: of the other side. force: what does not fit is overwritten. copied: what is still to be, and may be missing."""
        control = Control(connection, topology)
        self._side, self._other = side, topology.other(side)
        self._stream = stream
        self._rows = rows
        self._standing = standing
        self._conflicts = Strict(control, self._other, side, force=force)
        self._writer = Writer(connection, rows, self._conflicts, SendBack(control))
        self._writer.loading = copied.left
        self._tables = AppliedTables(
            topology,
            whole_direction(topology, side),
            SchemaStore(topology, side),
            describing,
            initializing=copied.lacks,
        )
        self._statements = OwnStatements(topology, side, control, force=force)
        self._unfinished = Unfinished(self._writer.keep)
        self._group: list[Assembled] = []
        self._open = False  # a transaction in pieces
        self.transactions = 0  # that were applied

    @property
    def overwritten(self) -> int:
        """Changes that did not fit and were forced."""
        return self._conflicts.overwritten

    def apply(self, pieces: Iterable[Assembled]) -> None:
        """Apply them all, up to the last. Raises CheckFailed where one does not fit, pymysql.err.MySQLError for an outage."""
        events = size = 0
        for piece in pieces:
            record = piece.record
            if self._passes(record):
                continue
            in_pieces = record.piece > 0 or not record.last
            full = (
                events + len(piece.values) > GROUP_EVENTS or size + piece.size > GROUP_BYTES or len(self._group) >= GROUP_PIECES
            )
            if self._group and (in_pieces or full or record.kind == "ddl" or record.fk_checks != self._group[0].record.fk_checks):
                self._flush()
                events = size = 0
            if record.kind == "ddl":
                self._ddl(piece)
            elif in_pieces:
                self._guarded(record, partial(self._piece, piece))
            else:
                self._group.append(piece)
                events, size = events + len(piece.values), size + piece.size
        self._flush()

    def _passes(self, record: TransactionRecord) -> bool:
        """Whether there is nothing to do: the side has it, the applier brought it again, or it changed nothing here.

        What is marked as the other side's and is none of its transactions (a repair, an earlier recovery) no applier brings.
        """
        if record.kind == "ddl":
            return self._standing.has(record.gtid) or self._statements.was_applied(record, self._stream)
        if record.kind != "rows" or self._standing.has(record.gtid):
            return True
        return record.origin_transactions > 0 and not self._open and record.origin_sequence <= self._rows.sequence

    def _flush(self) -> None:
        """What waits, in one transaction."""
        group, self._group = self._group, []
        if group:
            self._guarded(group[-1].record, partial(self._transaction, group))

    def _transaction(self, group: list[Assembled]) -> None:
        changes: list[Change] = []
        for piece in group:
            found = changes_of(piece, partial(self._tables.of, record=piece.record))
            self._rows.step.add(piece.record, len(found), self._other)
            changes += found
        self._begin(group[-1].record)
        self._writer.write(changes)
        self._commit()
        self.transactions += len(group)

    def _piece(self, piece: Assembled) -> None:
        """One piece of a transaction; the last one commits. Rows are counted at its end alone: the marker comes first."""
        record = piece.record
        if not self._open:
            self._unfinished.clear()
            self._rows.step.add(record._replace(last=True), 0, self._other)
            self._begin(record)
            self._open = True
        self._writer.write(changes_of(piece, partial(self._tables.of, record=record), self._unfinished))
        if record.last:
            self._commit()
            self._open = False
            self.transactions += 1

    def _ddl(self, piece: Assembled) -> None:
        event, record = decode_ddl(piece.values[0]), piece.record
        self._statements.run(event, record)
        self._tables.forget()
        self._rows.step.add(record, 0, self._other)
        self._begin(record)
        self._statements.done(event, record)
        self._commit()
        self.transactions += 1

    def _begin(self, record: TransactionRecord) -> None:
        self._writer.begin(Progress(sequence=record.sequence), 0, fk_checks=record.fk_checks)
        self._writer.orphans.begin(record.sequence, fk_checks=True)  # what had no parent here had none before

    def _commit(self) -> None:
        self._writer.commit(Progress(sequence=self._rows.step.sequence))

    def _guarded(self, record: TransactionRecord, work: Any) -> None:
        """Do it, or undo it and say what does not fit."""
        try:
            work()
        except (ApplyError, pymysql.err.IntegrityError, pymysql.err.DataError, pymysql.err.ProgrammingError) as error:
            self._writer.rollback()
            raise self._misfit(record, error) from error

    def _misfit(self, record: TransactionRecord, error: ApplyError | pymysql.err.MySQLError) -> BisyncError:
        what = error.message.partition(". Policy ")[0] if isinstance(error, ApplyError) else f"({error.args[0]}) {error.args[-1]}"
        where = error.where if isinstance(error, ApplyError) and error.where else Where(side=self._side, gtid=record.gtid)
        force = "; or with --force, which overwrites what is there" if isinstance(error, ConflictStop) else ""
        return CheckFailed(
            f"{self._side} is not as its own stream has it: {what}; up to transaction {self._rows.done} all is there again",
            hint=f"somebody has written here since: mend the row, and run `bisync-topology recover {self._side}` again{force}",
            code="recover_conflict",
            where=where,
        )


def whole_direction(topology: Topology, side: str) -> Direction:
    """Everything that is captured at a side, every kind of change, and nothing that does not fit."""
    objects = tuple(dict.fromkeys(entry for direction in topology.directions_from(side) for entry in direction.objects))
    first = topology.directions_from(side)[0]
    update = {"objects": objects, "dml": tuple(Dml), "on_conflict": Policy.TASK_FAILED, "tables": {}}
    return first.model_copy(update=update)
