"""One change whose rows were not as its source saw them: look under locks, decide, do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pymysql.err
from pymysql.connections import Connection
from pymysql.cursors import Cursor

from bisync_topology.errors import ConflictStop
from consumers.changes import Change
from consumers.conflict import Decision, LocalRow, decide

_ATTEMPTS = 5  # a row that another session puts between our look and our insert is looked at again


class Resolved(NamedTuple):
    """What was found and decided for one change; type None in the decision: there was no conflict."""

    change: Change
    decision: Decision
    local: tuple[LocalRow, ...]


def resolve(connection: Connection[Any], change: Change, stop: Callable[[Resolved], ConflictStop]) -> Resolved:
    """Apply one change by the decision table.

    stop: makes the error of a pending decision, which is raised. Raises pymysql.err.MySQLError.
    """
    statements = change.table.statements
    assert statements is not None
    event, policy = change.event, change.table.settings.on_conflict
    for attempt in range(_ATTEMPTS):
        with connection.cursor(Cursor) as cursor:
            cursor.execute(statements.lock_rows(event.before, event.after))
            local = statements.local_rows(cursor.fetchall())
        resolved = Resolved(change, decide(event, local, policy), local)
        if resolved.decision.decision == "pending":
            raise stop(resolved)
        try:
            for action in resolved.decision.actions:
                connection.query(statements.action(action))
        except pymysql.err.IntegrityError as error:
            if error.args[0] != 1062 or attempt + 1 == _ATTEMPTS:
                raise
            continue
        break
    return resolved
