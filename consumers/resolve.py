"""One change whose rows were not as its source saw them: look under locks, decide, do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

import pymysql.err
from pymysql.connections import Connection
from pymysql.cursors import Cursor

from bisync_topology.topology import Policy
from consumers.changes import Change
from consumers.conflict import Action, Decision, Delete, LocalRow, Rules, decide, decide_refused
from consumers.refresh import SendBack, refresh_of
from consumers.statements import Statements
from schemas.records import REFRESH, RowEvent

DUPLICATE_KEY = 1062
NO_SUCH_VALUE = (1264, 1690, 3819)  # out of the column's range, or against a CHECK
FOREIGN_KEY = (1216, 1217, 1451, 1452)  # the parent is missing here, or has children here
Resolution = Literal["source", "target"]  # what somebody has decided about a pending conflict
_POLICY = {"source": Policy.OVERWRITE, "target": Policy.IGNORE}  # in place of the table's
_ATTEMPTS = 8  # a row that another session puts between our look and our insert is looked at again; and see _ways


class Resolved(NamedTuple):
    """What was found and decided for one change; type None in the decision: there was no conflict.

    decided: somebody has decided for the rows here, also where the change would fit by now.
    """

    change: Change
    decision: Decision
    local: tuple[LocalRow, ...]
    decided: bool = False


def resolve(
    connection: Connection[Any],
    change: Change,
    check_size: Callable[[str], None],
    send_back: SendBack | None = None,
    found: tuple[LocalRow, ...] | None = None,
    resolution: Resolution | None = None,
    refuses: Callable[[Change, Sequence[Action]], bool] = lambda change, actions: False,
) -> Resolved:
    """Apply one change by the decision table; of a pending decision nothing is done.

    check_size: raises ApplyError for a statement that the server does not take. send_back: takes what the other side has to be
    told, where this side judges or somebody has decided for its rows. found: the local rows, where they have been read, and
    locked. resolution: stands in for the policy; `target` holds for a change that would fit by now, too.
    refuses: whether what would be done leaves a row without its parent, where the server does not check that.
    Raises pymysql.err.MySQLError.
    """
    statements = change.table.statements
    assert statements is not None
    event, rules = change.event, change.table.rules
    if event.op == REFRESH:
        rules = rules._replace(forced=True)
    if resolution is not None:
        rules = rules._replace(policy=_POLICY[resolution])
    ways = _ways(rules)
    rules = next(ways)
    looked: tuple[LocalRow, ...] | None = None
    for attempt in range(_ATTEMPTS):
        local = found if found is not None and not attempt else _look(connection, statements, event, check_size)
        decision = decide(event, local, rules)
        if resolution == "target":
            decision = Decision(decision.type, "target")
            if send_back is not None:
                send_back.write(change, refresh_of(event, local, decision), check_size)
            return Resolved(change, decision, local, decided=True)
        if refuses(change, decision.actions):
            return _refused(change, local, rules, send_back, check_size)
        told = send_back if rules.judging and not decision.clean else None
        several = told is not None or len(decision.actions) > 1  # one statement undoes itself when it fails
        if several:
            connection.query("SAVEPOINT one_change")
        try:
            if told is not None:
                told.write(change, refresh_of(event, local, decision), check_size)
            for action in decision.actions:
                sql = statements.action(action)
                check_size(sql)
                gives_way = isinstance(action, Delete) and event.after is not None
                _do(connection, sql, forced=rules.forced, unchecked=rules.forced and gives_way and change.record.fk_checks)
        except pymysql.err.MySQLError as error:
            merged = decision.decision == "merged"  # a row that neither side has had, as one with a sum may be
            no_such_row = (error.args[0] in NO_SUCH_VALUE and (merged or bool(rules.deltas))) or (
                error.args[0] == DUPLICATE_KEY and merged and local == looked
            )
            if not (no_such_row or isinstance(error, pymysql.err.IntegrityError)):
                raise
            if several:
                connection.query("ROLLBACK TO SAVEPOINT one_change")
            if error.args[0] in FOREIGN_KEY:
                return _refused(change, local, rules, send_back, check_size)
            if not (no_such_row or error.args[0] == DUPLICATE_KEY) or attempt + 1 == _ATTEMPTS:
                raise
            if no_such_row:
                rules = next(ways)
            looked = local
            continue
        break
    return Resolved(change, decision, local)


def _ways(rules: Rules) -> Iterator[Rules]:
    """How it is decided, as long as the server refuses what is put together from both rows: at last nothing is.

    First without the sums, then without the merged columns; a row that stays for that still has its sums, if they can be made.
    """
    for policy in (rules.policy, Policy.SITE_PRIORITY) if rules.policy is Policy.MERGE else (rules.policy,):
        for deltas in (rules.deltas, frozenset[int]()) if rules.deltas else (rules.deltas,):
            yield rules._replace(policy=policy, deltas=deltas)


def _look(
    connection: Connection[Any], statements: Statements, event: RowEvent, check_size: Callable[[str], None]
) -> tuple[LocalRow, ...]:
    with connection.cursor(Cursor) as cursor:
        look = statements.lock_rows(event.before, event.after)
        check_size(look)
        cursor.execute(look)
        return statements.local_rows(cursor.fetchall())


def _refused(
    change: Change,
    local: tuple[LocalRow, ...],
    rules: Rules,
    send_back: SendBack | None,
    check_size: Callable[[str], None],
) -> Resolved:
    """A foreign key refuses it."""
    decision = decide_refused(change.event, local, rules)
    if rules.judging and send_back is not None:
        send_back.write(change, refresh_of(change.event, local, decision), check_size)
    return Resolved(change, decision, local)


def _do(connection: Connection[Any], sql: str, *, forced: bool, unchecked: bool) -> None:
    """Run a statement; one that is forced also where a foreign key refuses, as what is missing here is on its way.

    unchecked: without the server's cascades, as what gives way comes back where its own side keeps it.
    """
    if not unchecked:
        try:
            connection.query(sql)
            return
        except pymysql.err.IntegrityError as error:
            if not forced or error.args[0] not in FOREIGN_KEY:
                raise
    connection.query("SET @bisync_checked = @@foreign_key_checks, SESSION foreign_key_checks = 0")
    try:
        connection.query(sql)
    finally:
        connection.query("SET SESSION foreign_key_checks = @bisync_checked")
