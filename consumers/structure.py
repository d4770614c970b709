"""Statements that change structure → the target: judged, run exactly once, held with a question, or put on record alone.

The steps of one that is run, in code order:
1. an intent is committed: the row of `ddl_log` says `running`, with the number of the session, by which this side's producer
   knows where the statement came from, and with the place where this side's binlog ended;
2. the statement runs in that session, and commits by itself;
3. progress and the row's state `applied` are committed together (consumers/groups.py).
An applier that died between 1 and 3 finds the row: where that session has logged a statement since, it was done.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import pymysql.err
import structlog

from bisync_topology import failpoints
from bisync_topology.control import Control
from bisync_topology.ddl import describe, read_statement
from bisync_topology.ddl_edits import definer_of, with_own_definer
from bisync_topology.error_table import Category
from bisync_topology.errors import ApplyError, CaptureError, Repeat, Where, classify, words
from bisync_topology.ownership import Ownership, lock_name, now_us
from bisync_topology.scope import Scope
from bisync_topology.sql_modes import read_as
from bisync_topology.topology import Direction, Events, Topology
from consumers.ddl_rules import Context, State, Verdict, decide
from consumers.ddl_session import DdlSession
from consumers.target_rows import TargetRows
from initialization.initialized import Initialized
from producers.executed import Place, log_end, place_of, was_run
from schemas.list_records import decode_ddl, encode_ddl
from schemas.records import DdlEvent, TransactionRecord
from schemas.statement_text import readable

log = structlog.get_logger()

_NOT_ALLOWED, _KILLED = 1227, 1317
_RETRY_SECONDS = 2.0


@dataclass(frozen=True, kw_only=True)
class Open:
    """A row of `ddl_log` that is held, or was begun."""

    id: int
    state: State
    decision: str | None
    holds: frozenset[str] | None  # None: everything
    event: DdlEvent
    sequence: int
    gtid: str
    thread_id: int | None  # of the session that was to run it
    log_place: Place | None  # where the binlog ended before
    why: str

    def holds_back(self, tables: set[str] | None) -> bool:
        """Whether a change of these tables (None: of any) has to wait for it."""
        if self.holds is None or tables is None:
            return self.holds is None or bool(self.holds)
        return any(name in self.holds or f"{name.partition('.')[0]}.*" in self.holds for name in tables)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a statement, to be written with the progress behind it."""

    event: DdlEvent
    sequence: int
    gtid: str
    verdict: Verdict


class Structure:
    """The statements of one direction, on its target."""

    def __init__(
        self,
        topology: Topology,
        direction: Direction,
        control: Control,
        rows: TargetRows,
        ownership: Ownership,
        stop: threading.Event,
        *,
        stream: str,
        initialized: Initialized,
        altered: Callable[[Iterable[str], bool], None],
        keep_alive: Callable[[], None],
        halted: Callable[[], bool],
    ) -> None:
        """initialized: what of the stream is at the target already. altered: see Loading.altered.

        keep_alive: for the connection of `control` while a statement runs in another one. halted: the applier is to stop."""
        self._topology = topology
        self._direction = direction
        self._control = control
        self._rows = rows
        self._ownership = ownership
        self._stop = stop
        self._stream = stream
        self._initialized = initialized
        self._altered = altered
        self._keep_alive = keep_alive
        self._halted = halted
        self._mysql = topology.sides[direction.to].mysql
        self._scope = Scope(direction.objects, control_schema=topology.control_schema)
        self._open: dict[int, Open] = {}  # by sequence

    def load(self) -> None:
        """Read what is held, and what was begun."""
        rows = self._control.execute("open_ddls", self._topology.name, self._direction.from_, self._stream)
        self._control.connection.commit()
        self._open = {each.sequence: each for each in sorted(map(_open, rows), key=lambda each: each.sequence)}
        self._ownership.report.detail["held"] = sum(each.state is State.HELD for each in self._open.values())

    @property
    def holding(self) -> bool:
        """Whether anything is held, or was approved and begun and not seen to its end."""
        return any(self._holds(each) for each in self._open.values())

    def _holds(self, each: Open) -> bool:
        return each.state is State.HELD or each.sequence <= self._rows.sequence

    def check_free(self, tables: set[str] | None) -> None:
        """Raise ApplyError where a change of these tables has to wait for a statement that is held. None: of any table."""
        for held in self._open.values():
            if self._holds(held) and held.holds_back(tables):
                identity = f"{self._direction.to}-{held.id}"
                what = "everything behind it waits" if held.holds is None else f"{', '.join(sorted(held.holds))} waits"
                raise ApplyError(
                    f"{what} for a held statement of {self._direction.from_}: {_named(held.event)} ({held.why})",
                    code="ddl_held",
                    hint=f"`bisync-topology ddl show {identity}`; `bisync-topology ddl approve {identity}` runs it, "
                    f"`bisync-topology ddl skip {identity}` leaves it out; then "
                    f"`bisync-topology resume {self._direction.from_} {self._direction.to}`",
                    where=Where(side=self._direction.from_, gtid=held.gtid),
                )

    def meet(self, event: DdlEvent, record: TransactionRecord) -> Outcome | None:
        """A statement's turn has come. None: it concerns nothing here.

        Raises ApplyError where it has to wait for one that is held, LostOwnership, pymysql.err.MySQLError for an outage.
        """
        with closing(self._session()) as session:
            verdict = self._judged(event, session)
            if verdict is None:
                return None
            if verdict.state is State.APPLIED:
                if self.holding:
                    self.check_free(None if verdict.holds is None else {*verdict.holds, *verdict.reads})
                verdict = self._run(event, record.sequence, record.gtid, verdict, session)
        return Outcome(event=event, sequence=record.sequence, gtid=record.gtid, verdict=verdict)

    def pass_over(self, event: DdlEvent, record: TransactionRecord) -> Outcome:
        """A statement is skipped; one that was begun may have been done all the same."""
        state, why = State.SKIPPED, "its transaction was skipped"
        with closing(self._session()) as session:
            session.take_lock(self._watch, self._tick)
            try:
                if self._was_run(self._open.get(record.sequence), log_end(session.connection)):
                    state, why = State.APPLIED, "it was run before its transaction was skipped"
            except (CaptureError, pymysql.err.OperationalError) as error:
                if classify(error) is not Category.STOP:
                    raise
                why = f"{why}; whether it was run before is not known: {words(error)}"
        return Outcome(event=event, sequence=record.sequence, gtid=record.gtid, verdict=Verdict(state=state, why=why))

    def write(self, outcome: Outcome, *, late: bool = False) -> None:
        """Put it on record, in the transaction that is open. late: its place in the stream is passed."""
        verdict, event = outcome.verdict, outcome.event
        self._altered(event.tables, verdict.state is State.APPLIED and not late)
        self._write(outcome, encode_ddl(event) if verdict.state is State.HELD else None, None, None)
        failpoints.reach("applier.ddl_before_done")

    def written(self, outcome: Outcome) -> None:
        """The transaction is committed."""
        state, text = outcome.verdict.state, _named(outcome.event)
        if state in (State.HELD, State.DRIFT):
            log.warning(f"a statement of {self._direction.from_} is {state}", statement=text, why=outcome.verdict.why)
        else:
            log.info(f"a statement of {self._direction.from_} is {state}", statement=text, why=outcome.verdict.why or None)
        self.load()

    def act(self) -> bool:
        """Do what was decided about those that are held; tells whether anything was done. Raises as `meet`."""
        if not self.holding:
            return False
        self.load()
        # one that was approved and begun has no place in the stream any more where it would be met again
        decided = [each for each in self._open.values() if self._holds(each) and (each.decision or each.state is State.RUNNING)]
        for held in decided:
            if held.decision == "skip" and held.state is State.HELD:
                outcome = _outcome(held, Verdict(state=State.SKIPPED, why=held.why))
            else:
                with closing(self._session()) as session:
                    verdict = self._judged(held.event, session)
                    text = verdict.text if verdict is not None else ""
                    run = Verdict(
                        state=State.APPLIED,
                        why=f"approved; it was held: {held.why}"[:1000],
                        text=text or session.text_of(held.event),
                        holds=None if held.holds is None else tuple(held.holds),
                    )
                    outcome = _outcome(held, self._run(held.event, held.sequence, held.gtid, run, session))
            self._rows.hold()
            self.write(outcome, late=True)
            self._control.connection.commit()
            self.written(outcome)
        return bool(decided)

    def _judged(self, event: DdlEvent, session: DdlSession) -> Verdict | None:
        text = session.text_of(event)
        context = Context(
            scope=self._scope,
            carries=self._direction.ddl,
            source=self._direction.from_,
            events_enabled=self._direction.events is Events.ENABLED,
            **read_as(event.sql_mode),
            lower_case=event.lower_case,
            invoker=event.invoker,
            disabled_on=session.disabled_on,
        )
        statement = read_statement(text, event.default_db, **context.flags)
        if self._initialized.early(event.sequence):
            fold = str.lower if event.lower_case else str
            if self._initialized.has_statement(statement, event.default_db, self._scope, event.sequence, fold):
                return Verdict(state=State.IGNORED, why="initialization has read the structure after it, and made it so")
            context = replace(context, scope=self._initialized.without(self._scope, event.sequence))
        return decide(statement, text, event.default_db, context)

    def _run(self, event: DdlEvent, sequence: int, gtid: str, verdict: Verdict, session: DdlSession) -> Verdict:
        """Steps 1 and 2; gives what is to be put on record."""
        session.take_lock(self._watch, self._tick)
        before = log_end(session.connection)
        begun = self._open.get(sequence)
        try:
            if begun is not None and self._was_run(begun, before):
                return replace(verdict, why=begun.why)
        except (CaptureError, pymysql.err.OperationalError) as error:
            if classify(error) is not Category.STOP:
                raise
            what = f"whether it was run before the applier ended is not known: {words(error)}"
            return self._refused(verdict, f"{what}; look at {self._direction.to}, then approve or skip it")
        text, why = verdict.text, verdict.why
        while True:
            try:
                session.prepare(event)
                self._intent(event, sequence, gtid, replace(verdict, state=State.RUNNING, why=why), session.thread_id, before)
                failpoints.reach("applier.ddl_after_intent")
                session.run(text, _named(event), self._watch, self._tick)
                failpoints.reach("applier.ddl_after_statement")
                return replace(verdict, why=why)
            except UnicodeEncodeError as error:
                return self._refused(verdict, f"it cannot be put in its client's character set: {error}")
            except pymysql.err.MySQLError as error:
                category = classify(error)
                number = error.args[0] if error.args else 0
                definer = definer_of(text, **read_as(event.sql_mode)) if number == _NOT_ALLOWED else None
                if definer is not None and (own := with_own_definer(text, **read_as(event.sql_mode))) != text:
                    text, why = own, f"its definer {definer} is the applier's account here, which may set no other"
                elif category is Category.RETRY_TRANSACTION and number != _KILLED:
                    self._tick({"statement": _named(event), "waits_for": str(error.args[-1])})
                    self._watch()
                    self._stop.wait(_RETRY_SECONDS)
                elif category is Category.STOP or number == _KILLED:
                    return self._refused(verdict, f"{self._direction.to} refused it: ({number}) {error.args[-1]}")
                else:
                    raise
            finally:
                self._ownership.report.detail.pop("ddl", None)

    def _was_run(self, begun: Open | None, now: Place) -> bool:
        """Whether one that was begun was done before the applier ended."""
        if begun is None or begun.state is not State.RUNNING or begun.log_place is None:
            return False
        return was_run(self._topology, self._direction.to, begun.thread_id or 0, begun.log_place, now)

    def _refused(self, verdict: Verdict, why: str) -> Verdict:
        return replace(verdict, state=State.HELD, why=why)

    def _intent(self, event: DdlEvent, sequence: int, gtid: str, verdict: Verdict, thread_id: int, before: Place) -> None:
        self._rows.hold()
        self._write(
            Outcome(event=event, sequence=sequence, gtid=gtid, verdict=verdict),
            encode_ddl(event),
            thread_id,
            str(before),
        )
        self._control.connection.commit()

    def _write(self, outcome: Outcome, event: bytes | None, thread_id: int | None, place: str | None) -> None:
        verdict = outcome.verdict
        self._control.execute(
            "write_ddl",
            self._topology.name,
            self._direction.from_,
            self._stream,
            outcome.sequence,
            now_us(),
            outcome.event.statement,
            verdict.state,
            readable(verdict.why),
            outcome.gtid,
            None if verdict.holds is None else json.dumps(verdict.holds),
            event,
            thread_id,
            place,
        )

    def _session(self) -> DdlSession:
        return DdlSession(self._mysql, lock_name(self._topology.name, f"ddl {self._direction.to}"))

    def _watch(self) -> None:
        """Raises LostOwnership, and Repeat where the applier is to stop: the next start finds what the server was at."""
        if not self._ownership.held:
            self._ownership.check()
        if self._halted():
            raise Repeat("a statement is not at its end yet: the next start waits for it")
        self._keep_alive()

    def _tick(self, detail: dict[str, Any]) -> None:
        self._ownership.report.detail["ddl"] = {name: value for name, value in detail.items() if value is not None}
        self._ownership.report.urgent = True


def _open(row: tuple[Any, ...]) -> Open:
    number, state, decision, tables, event, sequence, gtid, thread_id, place, why = row
    return Open(
        id=number,
        state=State(state),
        decision=decision,
        holds=None if tables is None else frozenset(json.loads(tables)),
        event=decode_ddl(event),
        sequence=sequence,
        gtid=gtid,
        thread_id=thread_id,
        log_place=place_of(place) if place else None,
        why=why,
    )


def _outcome(held: Open, verdict: Verdict) -> Outcome:
    return Outcome(event=held.event, sequence=held.sequence, gtid=held.gtid, verdict=verdict)


def _named(event: DdlEvent) -> str:
    """`ALTER TABLE shop.stock`: without values, as a statement may hold passwords."""
    return describe(read_statement(event.statement, event.default_db, **read_as(event.sql_mode)))
