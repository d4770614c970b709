"""One change whose rows were not as its source saw them: look under locks, decide, do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pymysql.err
from pymysql.connections import Connection
from pymysql.cursors import Cursor

from consumers.changes import Change
from consumers.conflict import Decision, LocalRow, decide, decide_refused

DUPLICATE_KEY = 1062
FOREIGN_KEY = (1216, 1217, 1451, 1452)  # the parent is missing here, or has children here
_ATTEMPTS = 5  # a row that another session puts between our look and our insert is looked at again


class Resolved(NamedTuple):
    """What was found and decided for one change; type None in the decision: there was no conflict."""

    change: Change
    decision: Decision
    local: tuple[LocalRow, ...]


def resolve(connection: Connection[Any], change: Change, check_size: Callable[[str], None]) -> Resolved:
    """Apply one change by the decision table; of a pending decision nothing is done.

    check_size: raises ApplyError for a statement that the server does not take. Raises pymysql.err.MySQLError.
    """
    statements = change.table.statements
    assert statements is not None
    event, policy = change.event, change.table.settings.on_conflict
    for attempt in range(_ATTEMPTS):
        with connection.cursor(Cursor) as cursor:
            look = statements.lock_rows(event.before, event.after)
            check_size(look)
            cursor.execute(look)
            local = statements.local_rows(cursor.fetchall())
        decision = decide(event, local, policy)
        several = len(decision.actions) > 1  # one statement undoes itself when it fails
        if several:
            connection.query("SAVEPOINT one_change")
        try:
            for action in decision.actions:
                sql = statements.action(action)
                check_size(sql)
                connection.query(sql)
        except pymysql.err.IntegrityError as error:
            if several:
                connection.query("ROLLBACK TO SAVEPOINT one_change")
            if error.args[0] in FOREIGN_KEY:
                return Resolved(change, decide_refused(event, local, policy), local)
            if error.args[0] != DUPLICATE_KEY or attempt + 1 == _ATTEMPTS:
                raise
            continue
        break
    return Resolved(change, decision, local)
