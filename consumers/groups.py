"""Pieces in source order → target transactions: which pieces share one, what stands alone, and when progress is written.

Consecutive source transactions share a target transaction, never split, never reordered. A transaction in pieces has one of
its own that stays open until its last piece. Statements that change structure and transactions to be skipped stand alone.
What has no rows to write moves progress lazily (consumers/passing.py).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial

import pymysql.err
import structlog

from bisync_topology.error_table import Category
from bisync_topology.errors import ApplyError, ConflictStop, Repeat, classify, rule_for
from consumers.apply import Writer, refused
from consumers.assemble import Assembled
from consumers.changes import Change, Unfinished, changes_of
from consumers.loading import Loading
from consumers.own_statements import OwnStatements
from consumers.passing import Passing
from consumers.progress import Progress
from consumers.records import ways_out
from consumers.structure import Outcome, Structure
from consumers.tables import AppliedTables
from consumers.target_rows import TargetRows
from initialization.initialized import Initialized
from schemas.framing import HEADER_BYTES, framed_id
from schemas.list_records import decode_ddl
from schemas.parts import PART_ID, decode_part
from schemas.records import TransactionRecord

log = structlog.get_logger()

GROUP_EVENTS = 4000  # rows of one target transaction, when more wait
GROUP_BYTES = 8 << 20  # of their events
GROUP_PIECES = 2000  # source transactions of one
ACT_SECONDS = 1.0  # between two looks at what was decided
STRUCTURE_SECONDS = 10.0  # how long a row that does not fit waits for what is to be known of the target's own statements
_STRUCTURE = ("schema_mismatch", "table_missing", 1054, 1136, 1146, 1364)  # codes of what does not fit, ours and MySQL's


class Groups:
    """One direction's way from pieces to commits on the target."""

    def __init__(
        self,
        *,
        direction: tuple[str, str],
        rows: TargetRows,
        writer: Writer,
        tables: AppliedTables,
        passing: Passing,
        loading: Loading,
        skips: Callable[[], frozenset[str]],
        structure: Structure,
        own: OwnStatements,
        initialized: Initialized,
    ) -> None:
        self._source, self._target = direction
        self._rows = rows
        self._writer = writer
        self._tables = tables
        self._passing = passing
        self._loading = loading
        self._skips = skips
        self._structure = structure
        self._own = own
        self._initialized = initialized
        self._acted = 0.0
        self._passed = ""  # GTID of the last transaction that was skipped
        self._midway = False  # the last piece was not its transaction's last
        self._skipped_tables: set[str] = set()  # of the skipped transaction that is being passed
        self._open: Progress | None = None  # of a transaction in pieces whose end has not come
        self._open_rows = 0
        self._unfinished = Unfinished(writer.keep)  # of the open one

    @property
    def between(self) -> bool:
        """The last transaction was passed as a whole: progress may be written."""
        return not self._midway

    def apply(self, pieces: Sequence[Assembled]) -> None:
        """Cut pieces into groups and apply each.

        Raises ConflictStop, ApplyError where the direction has to stop, with everything before it committed; LostOwnership;
        pymysql.err.MySQLError for an outage.
        """
        group: list[Assembled] = []
        events = size = 0
        skips = self._skips()
        for piece in pieces:
            record = piece.record
            if record.barrier:
                self._initialized.arrive(record.barrier, record.sequence)
            # a pass that comes while its transaction is open is for the next time that it is tried
            skipped = (record.gtid in skips or record.gtid == self._passed) and not piece.dropped and self._open is None
            waits = None if skipped or piece.dropped or not self._structure.holding else self._waits(piece)
            ddl = record.kind == "ddl" and not piece.dropped
            in_pieces = not record.last or record.piece > 0
            full = events + len(piece.values) > GROUP_EVENTS or size + piece.size > GROUP_BYTES
            if group and (skipped or waits or ddl or in_pieces or full or record.fk_checks != group[-1].record.fk_checks):
                self._group(group)
                group, events, size = [], 0, 0
            if waits is not None:
                self._check_stop(waits)
                raise self._stopped(waits, record, ())
            self._midway = not record.last
            if skipped:
                self._skip(piece)
            elif ddl:
                try:
                    self._ddl(piece)
                except ValueError as error:
                    hint = "run producers and appliers of one version"
                    raise self._stopped(ApplyError(str(error), code="undecodable", hint=hint), record, ()) from error
                except ApplyError as error:
                    raise self._stopped(error, record, ()) from error
            elif in_pieces and piece.dropped:
                self._group([piece])
            elif in_pieces:
                self._piece(piece)
            else:
                group.append(piece)
                events += len(piece.values)
                size += piece.size
        if group:
            self._group(group)

    def write_progress_when_due(self) -> None:
        """Write lazy progress that has waited long enough."""
        if self._passing.due and self.between:
            self.write_progress()

    def keep_alive(self) -> None:
        """See Writer.keep_alive."""
        self._writer.keep_alive()

    def write_progress(self) -> None:
        """Write lazy progress now."""
        if not self._passing.empty:
            self._transaction(Progress(), (), fk_checks=True)

    def _group(self, group: Sequence[Assembled]) -> None:
        """Whole source transactions in one target transaction; one by one when one of them stops the direction."""
        progress = Progress()
        changes: list[Change] = []
        try:
            for piece in group:
                if piece.values:
                    self._meet(piece.record)
                found = changes_of(piece, partial(self._tables.of, record=piece.record))
                progress.add(piece, applied=bool(found))
                changes += found
            if changes:
                self._loading.note(changes)
                self._transaction(progress, changes, fk_checks=group[0].record.fk_checks)
            else:
                self._pass(progress)
            for piece in group:
                self._loading.passed(piece.record)
        except (ApplyError, pymysql.err.MySQLError) as error:
            self._check_stop(error)
            if len(group) > 1:
                for piece in group:
                    self._group([piece])
            elif self._look_again(error, group[0].record):
                self._group(group)
            else:
                raise self._stopped(error, group[0].record, changes) from error

    def _look_again(self, error: ApplyError | pymysql.err.MySQLError, record: TransactionRecord) -> bool:
        """Whether a transaction that does not fit the target's tables may fit them as they are now.

        Somebody has altered them, and what that means for rows on their way is known once the statement has come back to us.
        """
        code = error.code if isinstance(error, ApplyError) else error.args[0] if error.args else 0
        waited = self._own.waited(record) if code in _STRUCTURE else STRUCTURE_SECONDS
        if waited < STRUCTURE_SECONDS:
            news = self._own.catch_up()
            if news or self._own.carried or not waited:
                self._tables.forget()
                return True
        self._own.give_up()
        return False

    def _transaction(self, progress: Progress, changes: Sequence[Change], *, fk_checks: bool) -> None:
        self._passing.write(progress, partial(self._writer.write, changes), fk_checks=fk_checks)

    def _piece(self, piece: Assembled) -> None:
        """One piece of a transaction in pieces: the target's transaction stays open until the last of them."""
        record = piece.record
        changes: list[Change] = []
        try:
            if self._open is None:
                self._unfinished.clear()
            self._meet(record)
            changes = changes_of(piece, partial(self._tables.of, record=record), self._unfinished)
            self._loading.note(changes)
            progress = Progress()
            progress.add(piece, applied=bool(changes))
            progress.transactions = 0
            if piece.in_parts:
                progress.rows = len(changes)
            if self._open is None:
                head = Progress(
                    sequence=record.sequence,
                    gtid=record.gtid,
                    committed_at=record.committed_at,
                    transactions=1,
                )
                head.meet(record)
                self._open, self._open_rows = self._passing.total(head), 0
                self._passing.begin(self._open, fk_checks=record.fk_checks)
            self._open.merge(progress)
            self._open_rows += progress.rows
            self._writer.write(changes)
            if record.last:
                self._rows.add_rows(self._open_rows)
                self._writer.commit(self._open)
                total, self._open = self._open, None
                self._passing.committed(total)
        except (ApplyError, pymysql.err.MySQLError) as error:
            self._check_stop(error)
            if self._look_again(error, record):  # its first pieces are gone from here: all of it comes once more
                raise Repeat("a row does not fit the target's tables; its transaction is done again") from error
            raise self._stopped(error, record, changes) from error

    def _skip(self, piece: Assembled) -> None:
        """Pass a transaction that the user named; the pass is used up in the transaction that passes it."""
        record = piece.record
        progress = Progress()
        progress.add(piece, applied=False)
        with suppress(ApplyError, ValueError):  # that it cannot be read may be why it is skipped
            self._skipped_tables |= self._tables_of(piece)
        if not record.last:
            self._pass(progress)
            return
        tables = tuple(sorted(self._skipped_tables))
        self._skipped_tables.clear()
        total = self._passing.total(progress)
        statement = self._statement_of(piece)
        self._passing.begin(total, fk_checks=record.fk_checks)
        self._writer.conflicts.skipped(record, tables)
        if statement is not None:
            self._structure.write(statement)
        self._writer.commit(total)
        self._passing.committed(total)
        if statement is not None:
            self._structure.written(statement)
            self._structure_changed()
        self._passed = record.gtid  # CREATE TABLE … SELECT has one for the statement and for its rows
        log.warning("a transaction was skipped", gtid=record.gtid, tables=tables)

    def _statement_of(self, piece: Assembled) -> Outcome | None:
        """What is to be put on record of a statement that is skipped; nothing of one that cannot be read."""
        with suppress(ValueError):
            if piece.record.kind == "ddl":
                return self._structure.pass_over(decode_ddl(piece.values[0]), piece.record)
        return None

    def _tables_of(self, piece: Assembled) -> set[str]:
        if piece.record.kind == "ddl":
            return set(decode_ddl(piece.values[0]).tables)
        identities = {framed_id(value) for value in piece.values} - {PART_ID}
        if piece.in_parts and (part := decode_part(piece.values[0])).number == 0:
            identities.add(framed_id(bytes(part.data[:HEADER_BYTES])))
        return {self._tables.name(identity) for identity in identities}

    def _ddl(self, piece: Assembled) -> None:
        """A statement that changes structure: run between two transactions, and put on record with the progress behind it."""
        outcome = self._structure.meet(decode_ddl(piece.values[0]), piece.record)
        progress = Progress()
        progress.add(piece, applied=False)
        if outcome is None:
            self._pass(progress)
            return
        progress.transactions = int(outcome.verdict.state == "applied")
        total = self._passing.total(progress)
        self._passing.begin(total, fk_checks=True)
        self._structure.write(outcome)
        self._writer.commit(total)
        self._passing.committed(total)
        self._structure.written(outcome)
        self._structure_changed()

    def own(self, records: Sequence[tuple[int, bytes]]) -> None:
        """The target's own statements have come: what is known of its tables is old."""
        if self._own.take(records):
            self._structure_changed()

    def _meet(self, record: TransactionRecord) -> None:
        """What a transaction knows of the target's own statements is told by these as they are now."""
        if self._own.meet(record):
            self._tables.forget()

    def load(self) -> None:
        """Put the next chunk of rows that are copied, if there is one. Only between two transactions. Raises as `apply`."""
        if self.between and self._open is None:
            self._loading.put()

    def act(self) -> None:
        """Do what was decided about statements that are held. Only between two transactions. Raises as `apply`."""
        if self._structure.act():
            self._structure_changed()

    def act_when_due(self) -> None:
        """The same, about every second."""
        if self._structure.holding and time.monotonic() - self._acted > ACT_SECONDS:
            self._acted = time.monotonic()
            self.act()

    def _structure_changed(self) -> None:
        self._tables.forget()
        self._loading.structure_changed()

    def _waits(self, piece: Assembled) -> ApplyError | None:
        """Why a transaction has to wait for a statement that is held."""
        if not piece.values or piece.record.kind == "ddl":
            return None
        try:
            self._structure.check_free(self._tables_of(piece))
        except ApplyError as error:
            return error
        return None

    def _pass(self, progress: Progress) -> None:
        """Nothing to write but progress: lazily, unless a barrier has arrived, for which somebody waits."""
        self._passing.add(progress)
        if progress.barrier and self.between:
            self.write_progress()

    def _check_stop(self, error: ApplyError | pymysql.err.MySQLError) -> None:
        """Undo what was begun; an outage, which repeating mends, goes on to the caller."""
        self._open = None
        if not isinstance(error, ApplyError) and classify(error) is not Category.STOP:
            raise error
        self._writer.rollback()
        self._writer.orphans.forget()

    def _stopped(
        self, error: ApplyError | pymysql.err.MySQLError, record: TransactionRecord, changes: Sequence[Change]
    ) -> ApplyError:
        """The error of the one transaction that cannot be applied, with its remedy; a conflict gets its id."""
        if isinstance(error, pymysql.err.MySQLError):
            error = refused(error, changes, rule_for(error))
        error.where = replace(error.where, gtid=record.gtid)
        direction = f"{self._source} {self._target}"
        remedy = error.hint or f"mend the target, then `bisync-topology resume {direction}`"
        if isinstance(error, ConflictStop):
            error.conflict_id = self._writer.conflicts.record_pending(error)
            remedy = ways_out(error.conflict_id, self._source, self._target, others=len(error.pending) > 1)
        error.hint = f"{remedy}; or `bisync-topology skip {direction} --gtid {record.gtid} --reason …` passes the transaction"
        return error
