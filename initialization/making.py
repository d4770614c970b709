"""One object → the target: its statement is run as one of the other side is (consumers/structure.py), in its maker's session."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from functools import cached_property
from typing import Any

import pymysql.err

from bisync_topology import failpoints
from bisync_topology.control import Control
from bisync_topology.ddl_edits import definer_of, with_own_definer
from bisync_topology.error_table import Category
from bisync_topology.errors import ApplyError, Repeat, Where, classify, rule_for
from bisync_topology.grants import quote
from bisync_topology.ownership import Ownership, lock_name
from bisync_topology.sql_modes import mode_number
from bisync_topology.topology import Direction, Topology
from consumers.ddl_session import DdlSession
from initialization.definitions import Definition, Kind, Name
from initialization.on_record import DROPPED, MADE, OnRecord
from initialization.structure_plan import Step
from schemas.records import DdlEvent
from schemas.statement_text import encode_statement, readable

_NO_DATABASE, _NOT_ALLOWED, _KILLED = 1046, 1227, 1317
_RETRY_SECONDS = 2.0
_UNCHECKED = 1 << 26 | 1 << 27  # of flags2: neither foreign keys nor unique keys are checked
_TABLE_MODES = "NO_ENGINE_SUBSTITUTION,ALLOW_INVALID_DATES"  # a default may be of any time


class Making:
    """Makes objects of one direction."""

    def __init__(
        self,
        topology: Topology,
        direction: Direction,
        control: Control,
        record: OnRecord,
        ownership: Ownership,
        halted: Callable[[], bool],
    ) -> None:
        """halted: the applier is to stop."""
        self._topology, self._direction, self._control = topology, direction, control
        self._record, self._ownership, self._halted = record, ownership, halted

    def session(self) -> DdlSession:
        """A session that no other one of the direction works beside. Raises as `watch`."""
        session = DdlSession(
            self._topology.sides[self._direction.to].mysql, lock_name(self._topology.name, f"ddl {self._direction.to}")
        )
        session.take_lock(self.watch, self._tick)
        return session

    def make(self, step: Step, barrier: int) -> None:
        """Make or drop one object, and put it on record. Raises ApplyError where the target refuses it, else as `watch`."""
        definition, text, why = step.definition, step.text, DROPPED if step.drops else MADE
        name = definition.name
        while True:
            with closing(self.session()) as session:
                try:
                    event = self._event(definition, text)
                    session.text_of(event)
                    session.prepare(event)
                    if step.drops and name.kind is Kind.TABLE:
                        self._lock_empty(session, name)
                    self._record.begin(definition, text, session.thread_id, barrier)
                    failpoints.reach("init.structure_after_intent")
                    session.run(text, str(name), self.watch, self._tick)
                    failpoints.reach("init.structure_after_statement")
                    if step.drops:
                        self._record.gone(name, "applied", why)
                    else:
                        self._record.made(definition, why, barrier)
                    return
                except UnicodeEncodeError as error:
                    raise self._refused(name, f"its text is not of its client's character set: {error}") from error
                except pymysql.err.MySQLError as error:
                    number = error.args[0] if error.args else 0
                    category = classify(error)
                    definer = definer_of(text, **definition.flags) if number == _NOT_ALLOWED else None
                    if definer is not None and (own := with_own_definer(text, **definition.flags)) != text:
                        self._record.gone(
                            name, "skipped", f"its definer {definer} is refused: run again with the applier's account"
                        )
                        text, why = own, f"{MADE}; its definer {definer} is the applier's account here, which may set no other"
                    elif category is Category.RETRY_TRANSACTION and number != _KILLED:
                        self._record.gone(name, "skipped", f"run again: {error.args[-1]}")
                        self._tick({"statement": str(name), "waits_for": str(error.args[-1])})
                        self._ownership.stop.wait(_RETRY_SECONDS)
                        self.watch()
                    elif category is Category.STOP or number == _KILLED:
                        self._record.gone(name, "skipped", f"refused: ({number}) {error.args[-1]}")
                        raise self._refused(name, f"({number}) {error.args[-1]}", error) from error
                    else:
                        raise
                finally:
                    self._ownership.report.detail.pop("ddl", None)

    def _lock_empty(self, session: DdlSession, name: Name) -> None:
        """A table that is to be dropped has no rows, and gets none before it is. Raises ApplyError."""
        path = f"{quote(name.db)}.{quote(name.name)}"
        with session.connection.cursor() as cursor:
            cursor.execute(f"LOCK TABLES {path} WRITE")
            if cursor.execute(f"SELECT 1 FROM {path} LIMIT 1"):
                source, target = self._direction.from_, self._direction.to
                raise ApplyError(
                    f"{name} was made as {source} had it, which has another one now, and has rows at {target}",
                    code="structure_differs",
                    hint=f"make it the same on both sides; then `bisync-topology resume {source} {target}`",
                    where=Where(side=target),
                )

    def watch(self) -> None:
        """Raises LostOwnership, and Repeat where the applier is to stop: the next start goes on."""
        if not self._ownership.held:
            self._ownership.check()
        if self._halted():
            raise Repeat("the structure is not initialized yet: the next start goes on")
        self._control.connection.ping(reconnect=False)

    def _tick(self, detail: dict[str, Any]) -> None:
        self._ownership.report.detail["ddl"] = {name: value for name, value in detail.items() if value is not None}
        self._ownership.report.urgent = True

    def _event(self, definition: Definition, text: str) -> DdlEvent:
        """The session that its maker had, as a statement of the other side has one."""
        clients, collations = self._charsets
        if definition.charset not in clients or definition.collation not in collations:
            raise self._refused(definition.name, f"it knows no {definition.charset} or {definition.collation}")
        kind = definition.name.kind
        return DdlEvent(
            sequence=0,
            order=0,
            statement=readable(text),
            default_db="" if kind is Kind.DATABASE else definition.name.db,
            sql_mode=mode_number(_TABLE_MODES if kind in (Kind.DATABASE, Kind.TABLE) else definition.sql_mode),
            time_zone=definition.time_zone,
            charset=(clients[definition.charset], collations[definition.collation], 0),
            tables=(),
            raw=encode_statement(text, definition.charset),
            flags=_UNCHECKED,
            executed_at=definition.created,  # an event whose time is past is made all the same
        )

    @cached_property
    def _charsets(self) -> tuple[dict[str, int], dict[str, int]]:
        """Numbers of each character set's default collation, and of each collation."""
        found = self._control.execute("read_charsets")
        self._control.connection.commit()
        clients = {charset: number for number, _, charset, default in found if default == "Yes"}
        return clients, {collation: number for number, collation, _, _ in found}

    def _refused(self, name: Name, why: str, error: pymysql.err.MySQLError | None = None) -> ApplyError:
        source, target = self._direction.from_, self._direction.to
        mend = f"mend it at {source}, or make {name} at {target} by hand"
        code = "mysql_error"
        if error is not None and error.args and error.args[0] == _NO_DATABASE:  # which none of our objects is
            code, mend = "database_missing", f"CREATE DATABASE {quote(name.db)} at {target}, or name it whole in `objects`"
        elif error is not None:
            rule = rule_for(error)
            code, mend = rule.code, rule.advice or mend
        return ApplyError(
            f"{target} refuses {name} of {source}: {why}",
            code=code,
            hint=f"{mend}; then `bisync-topology resume {source} {target}`",
            where=Where(side=target),
        )
