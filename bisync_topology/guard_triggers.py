"""`ddl guard-triggers`: makes triggers again so that their bodies do not run for rows that an applier writes.

Between DROP and CREATE the table is locked, so that no row is written without its trigger. A row of `ddl_log` is committed
before and ended after: by its session number the producer knows that the statements are not to be carried. It holds the whole
trigger, so that one that was dropped when the command died is made by the next run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pymysql.err
from pymysql.connections import Connection

from bisync_topology import failpoints
from bisync_topology.control import LOCAL_STREAM
from bisync_topology.errors import CheckFailed, rule_for, words
from bisync_topology.grants import SEEN, grant, quote
from bisync_topology.mysql import connect
from bisync_topology.ownership import lock_name, now_us
from bisync_topology.precheck_ddl import unseen
from bisync_topology.precheck_side_facts import read_side
from bisync_topology.sides import SideControl, explained, open_control
from bisync_topology.sql_tokens import NotUnderstood
from bisync_topology.topology import Topology
from bisync_topology.trigger_facts import read_trigger, read_triggers
from bisync_topology.triggers import PROBE, Trigger
from schemas.statement_text import decode_statement, encode_statement, readable

DONE = "guarded by ddl guard-triggers"
_LOCK_SECONDS = 10  # for a table that others use: whoever comes later waits behind us meanwhile
_OTHER_RUN_SECONDS = 10  # a run that was killed ends with its statement
_GONE = (1049, 1146)  # no such database, no such table
_IN_USE = 1205
_DENIED = (1044, 1142)
_DEFINER = 1227
_DEFINER_PRIVILEGES = ("SET_ANY_DEFINER", "SET_USER_ID", "ALLOW_NONEXISTENT_DEFINER", "SYSTEM_USER")


class _Left(Exception):
    """A trigger that stays as it is."""


def guard_triggers(topology: Topology, tell: Callable[[str], object], *, dry_run: bool = False) -> None:
    """Guard the triggers of both sides; tell: gets a line of each.

    Raises CheckFailed with those that stay as they are and why, Unreachable.
    """
    left: list[str] = []
    for side in topology.sides:
        if topology.directions_into(side):
            try:
                left += _on_side(topology, side, tell, dry_run=dry_run)
            except (pymysql.err.MySQLError, OSError) as error:
                raise explained(topology, side, error) from error
    if left:
        raise CheckFailed(
            "\n".join(["what stays as it is, and may run for applied rows too:", *left]),
            hint="mend it and run `bisync-topology ddl guard-triggers` again",
        )


def _on_side(topology: Topology, side: str, tell: Callable[[str], object], *, dry_run: bool) -> list[str]:
    """Gives what stays as it is, and why."""
    mysql = topology.sides[side].mysql
    facts = read_side(topology, side)
    left = [
        f"  {side}: {place[0]}.{place[1] or '*'}: its triggers cannot be seen\n    fix: {grant(SEEN, *place, facts.account)};"
        for place in unseen(topology, side, facts)
    ]
    with open_control(topology, side) as control, connect(mysql) as session, connect(mysql, use_unicode=False) as raw:
        work = Guarding(topology, side, facts.account, control, session, raw)
        told = False
        if not dry_run:
            work.prepare()
            for row in control.execute("local_ddls", topology.name):
                trigger = Trigger.from_json(row[2])
                told |= _try(f"{side}: {trigger}", partial(work.go_on, row[0], row[1], trigger), tell, left)
        for trigger in read_triggers(control.connection, topology, side):
            if not trigger.guarded and trigger.name != PROBE:
                act = partial(work.show if dry_run else work.guard, trigger)
                told |= _try(f"{side}: {trigger}", act, tell, left)
    if not told and not left:
        tell(f"{side}: each trigger on a table that is written there is guarded, or there is none")
    return left


def _try(name: str, act: Callable[[], str], tell: Callable[[str], object], left: list[str]) -> bool:
    try:
        tell(f"{name}: {act()}")
    except _Left as reason:
        left.append(f"  {name}: {reason}")
    return True


class Guarding:
    """One side's triggers."""

    def __init__(
        self,
        topology: Topology,
        side: str,
        account: str,
        control: SideControl,
        session: Connection[Any],
        raw: Connection[Any],
    ) -> None:
        """control: reads and writes rows. session: runs the statements, and holds the table. raw: gives texts as they are."""
        self._topology, self._side, self._source, self._account = topology, side, topology.other(side), account
        self._control, self._session, self._raw = control, session, raw
        self._number = int(session.thread_id())  # type: ignore[no-untyped-call]
        self._sequence = 0
        _run(raw, "SET SESSION sql_mode = '', character_set_results = NULL")

    def prepare(self) -> None:
        """Make the control tables, where nothing has run yet, and keep another run of this command out."""
        self._control.create()
        self._control.upgrade()
        _run(self._session, f"SET SESSION lock_wait_timeout = {_LOCK_SECONDS}")
        with self._session.cursor() as cursor:
            cursor.execute("SELECT GET_LOCK(%s, %s)", (lock_name(self._topology.name, "guard-triggers"), _OTHER_RUN_SECONDS))
            if cursor.fetchone() != (1,):
                raise CheckFailed(f"another `ddl guard-triggers` works on {self._side}", hint="wait until it has ended")

    def show(self, seen: Trigger) -> str:
        """What `guard` would make. Raises _Left."""
        trigger = self._read(seen)
        return f"would be\n{trigger.create_guarded(next(iter(trigger.followers), None))}"

    def guard(self, seen: Trigger) -> str:
        """Make it again, guarded, in its place; gives what to tell the user. Raises _Left."""
        trigger = self._read(seen)
        sequence = self._begin(trigger)
        try:
            self._lock(trigger)
            again = read_trigger(self._control.connection, trigger.db, trigger.name)
            if again is None or self._read(replace(again, followers=trigger.followers)) != trigger:
                raise _Left("somebody has changed it meanwhile; run the command again")
            self._make(trigger, trigger.create_probe())
            self._drop(trigger.db, PROBE)
            failpoints.reach("guard_triggers.before_drop")
            self._drop(trigger.db, trigger.name)
            failpoints.reach("guard_triggers.after_drop")
            self._make_guarded(trigger)
            failpoints.reach("guard_triggers.after_create")
        except pymysql.err.MySQLError as error:
            raise self._refused(trigger, error) from error
        finally:
            self._unlock()
            self._settle(self._source, sequence, trigger)
        return "guarded"

    def go_on(self, source: str, sequence: int, trigger: Trigger) -> str:
        """With what a run that died has begun; gives what became of it. Raises _Left."""
        self._control.execute("take_up_ddl", self._number, self._topology.name, source, sequence)
        found = self._settle(source, sequence, trigger)
        if found is not None:
            return "guarded, by an earlier run that has not said so" if found.guarded else "an earlier run has left it as it was"
        try:
            self._lock(trigger)
            self._make_guarded(trigger)
        except pymysql.err.MySQLError as error:
            if error.args[0] not in _GONE:
                raise self._refused(trigger, error) from error
            self._end(source, sequence, "skipped", "its table is gone")
            return "an earlier run has dropped it, and its table is gone since"
        finally:
            self._unlock()
            self._settle(source, sequence, trigger)
        return "made again, guarded: an earlier run has dropped it and died"

    def _read(self, seen: Trigger) -> Trigger:
        """The trigger with its body as it was written. Raises _Left where it cannot be made again as it is."""
        with self._raw.cursor() as cursor:
            try:
                cursor.execute(f"SHOW CREATE TRIGGER {quote(seen.db)}.{quote(seen.name)}")
            except pymysql.err.MySQLError as error:
                raise _Left(words(error)) from error  # as somebody has dropped it meanwhile
            row = cursor.fetchone()
        assert row is not None
        statement, head = row[2], seen.head.encode()  # names are UTF-8 in it, whatever its body is
        if not statement.startswith(head):
            raise _Left("its statement is not as a server writes it; guard it by hand")
        if seen.database_collation != seen.database_now:
            raise _Left(
                f"it was made when its database had collation {seen.database_collation}, which it would lose; guard it by hand"
            )
        trigger = replace(seen, body=decode_statement(statement[len(head) :], seen.charset))
        try:
            for text in (trigger.create_guarded(), trigger.create_probe()):
                encode_statement(text, seen.charset)
        except (NotUnderstood, UnicodeEncodeError) as error:
            raise _Left("its text is not understood; guard it by hand") from error
        return trigger

    def _settle(self, source: str, sequence: int, trigger: Trigger) -> Trigger | None:
        """End the row by what is there; None where the trigger is gone, which the row is then to bring back."""
        if read_trigger(self._control.connection, trigger.db, PROBE) is not None:
            self._drop(trigger.db, PROBE)
        found = read_trigger(self._control.connection, trigger.db, trigger.name)
        if found is not None and found.guarded:
            self._end(source, sequence, "applied", DONE)
        elif found is not None:
            self._end(source, sequence, "skipped", "ddl guard-triggers has left it as it was")
        return found

    def _begin(self, trigger: Trigger) -> int:
        self._sequence = max(self._sequence + 1, now_us())
        statement = readable(trigger.create_guarded())
        self._control.execute(
            "write_ddl",
            self._topology.name,
            self._source,
            LOCAL_STREAM,
            self._sequence,
            now_us(),
            statement,
            "running",
            "",
            "",
            None,
            trigger.as_json(),
            self._number,
            None,
        )
        return self._sequence

    def _end(self, source: str, sequence: int, state: str, why: str) -> None:
        self._control.execute("end_ddl", state, why, self._topology.name, source, LOCAL_STREAM, sequence)

    def _lock(self, trigger: Trigger) -> None:
        _run(self._session, f"LOCK TABLES {quote(trigger.db)}.{quote(trigger.table)} WRITE")

    def _drop(self, db: str, name: str) -> None:
        _run(self._session, f"DROP TRIGGER {quote(db)}.{quote(name)}")

    def _make_guarded(self, trigger: Trigger) -> None:
        """Before the first of those that ran after it and is still there."""
        there = (read_trigger(self._control.connection, trigger.db, name) for name in trigger.followers)
        behind = next((each.name for each in there if each is not None and _alike(each, trigger)), None)
        self._make(trigger, trigger.create_guarded(behind))

    def _make(self, trigger: Trigger, text: str) -> None:
        """Run its statement in a session as that of its maker."""
        self._session.select_db(trigger.db)
        with self._session.cursor() as cursor:
            cursor.execute("SET SESSION sql_mode = %s", (trigger.sql_mode,))
            cursor.execute(f"SET character_set_client = {trigger.charset}, collation_connection = {trigger.connection_collation}")
        try:
            self._session.query(encode_statement(text, trigger.charset))
        finally:
            _run(self._session, "SET NAMES utf8mb4")
            _run(self._session, "SET SESSION sql_mode = DEFAULT")

    def _unlock(self) -> None:
        _run(self._session, "UNLOCK TABLES")

    def _refused(self, trigger: Trigger, error: pymysql.err.MySQLError) -> _Left:
        code, advice = error.args[0], rule_for(error).advice
        if code == _IN_USE:
            advice = f"its table was in use for more than {_LOCK_SECONDS} s; run the command again"
        elif code in _DENIED:
            advice = f"{grant(('LOCK TABLES', 'TRIGGER'), trigger.db, None, self._account)};"
        elif code == _DEFINER:
            lacking = [name for name in _DEFINER_PRIVILEGES if name in str(error)]
            how = f"{grant(lacking, None, None, self._account)};" if lacking else advice
            advice = f"{how} Or guard it by hand, as `--dry-run` prints it: its definer is {trigger.definer}"
        gone = read_trigger(self._control.connection, trigger.db, trigger.name) is None
        lost = "\n    it is dropped, and made again by the next run of this command" if gone else ""
        return _Left(words(error) + lost + (f"\n    fix: {advice}" if advice else ""))


def _alike(one: Trigger, other: Trigger) -> bool:
    return (one.table, one.timing, one.event) == (other.table, other.timing, other.event)


def _run(connection: Connection[Any], statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)
