"""A side's own statements once more, each exactly once: an intent, the statement, and the record that it is done.

As an applier does it (consumers/structure.py): a statement commits by itself, so that the intent's session tells whether it was
run; by the same row this side's producer knows that it is nothing new.
"""

from __future__ import annotations

from contextlib import closing
from typing import Any

import pymysql.err

from bisync_topology import failpoints
from bisync_topology.control import Control
from bisync_topology.ddl import describe, read_statement
from bisync_topology.ddl_edits import without_start_transaction
from bisync_topology.errors import CheckFailed, Where
from bisync_topology.ownership import lock_name, now_us
from bisync_topology.sql_modes import read_as
from bisync_topology.topology import Topology
from consumers.ddl_session import DdlSession
from producers.executed import log_end, place_of, was_run
from schemas.records import DdlEvent, TransactionRecord

_STREAM = "recover{}"  # in `ddl_log`, whose rows are known by stream and sequence; of the sequence 0 nobody counts


class OwnStatements:
    """Runs the statements of a recovery."""

    def __init__(self, topology: Topology, side: str, control: Control, *, force: bool) -> None:
        self._topology = topology
        self._side = side
        self._other = topology.other(side)
        self._control = control
        self._force = force

    def was_applied(self, record: TransactionRecord, stream: str) -> bool:
        """Whether an applier has run a statement of the other side again already. stream: of the other side."""
        if record.origin is None:
            return False
        place = (self._topology.name, self._other, stream, record.origin_sequence)
        return any(row[0] == "applied" for row in self._control.execute("recovered_ddl", *place))

    def run(self, event: DdlEvent, record: TransactionRecord) -> None:
        """Run one, unless it was run before `recover` ended. `done` belongs into the transaction that moves on.

        Raises CheckFailed where the server refuses it, pymysql.err.MySQLError for an outage.
        """
        with closing(DdlSession(self._topology.sides[self._side].mysql, lock_name(self._topology.name, "recover"))) as session:
            session.take_lock(_nothing, _nothing)
            before = log_end(session.connection)
            rows = self._control.execute("recovered_ddl", *self._place(record))
            self._control.connection.commit()
            begun = rows[0] if rows else None
            if begun is not None and was_run(self._topology, self._side, int(begun[1]), place_of(begun[2]), before):
                return
            flags = read_as(event.sql_mode)
            text = session.text_of(event)
            statement = read_statement(text, event.default_db, **flags)
            if statement.start_transaction is not None:
                text = without_start_transaction(text, statement, **flags)
            session.prepare(event)
            self._write(event, record, "running", session.thread_id, str(before))
            self._control.connection.commit()
            failpoints.reach("recover.ddl_after_intent")
            try:
                session.run(text, describe(statement), lambda: None, _nothing)
            except pymysql.err.MySQLError as error:
                if not self._force or isinstance(error, pymysql.err.OperationalError | pymysql.err.InterfaceError):
                    raise self._refused(describe(statement), record, error) from error
            failpoints.reach("recover.ddl_after_statement")

    def done(self, event: DdlEvent, record: TransactionRecord) -> None:
        """Put it on record, in the transaction that is open."""
        self._write(event, record, "applied", None, None)

    def _place(self, record: TransactionRecord) -> tuple[object, ...]:
        return self._topology.name, self._other, _STREAM.format(record.sequence), 0

    def _write(self, event: DdlEvent, record: TransactionRecord, state: str, thread_id: int | None, place: str | None) -> None:
        name, other, stream, sequence = self._place(record)
        why = f"{self._side} had run it before it was set back; `recover` has run it again"
        values = (now_us(), event.statement, state, why, record.gtid, None, None, thread_id, place)
        self._control.execute("write_ddl", name, other, stream, sequence, *values)

    def _refused(self, name: str, record: TransactionRecord, error: pymysql.err.MySQLError) -> CheckFailed:
        return CheckFailed(
            f"{self._side} refused {name}: ({error.args[0]}) {error.args[-1]}",
            hint=f"mend it and run `bisync-topology recover {self._side}` again; --force passes what is refused",
            code="recover_refused",
            where=Where(side=self._side, gtid=record.gtid),
        )


def _nothing(*_: Any) -> None:
    """Nobody watches."""
