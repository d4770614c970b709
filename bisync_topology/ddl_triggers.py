"""The guard of a trigger: its body runs for clients, but not for rows that an applier writes. Pure.

The other server's trigger has already done its work there, and the rows of that arrive too.
"""

from bisync_topology.ddl_clauses import skip_if_exists, skip_modifiers
from bisync_topology.ddl_edits import spliced
from bisync_topology.sql_tokens import Cursor, Kind, NotUnderstood, Place

GUARD_VARIABLE = "@bisync_applying"
_OPEN = f"BEGIN IF {GUARD_VARIABLE} IS NULL THEN\n"
_CLOSE = "\n; END IF; END"  # on a line of its own: the body may end in a comment


def guarded(sql: str, *, ansi_quotes: bool = False, backslash_escapes: bool = True) -> str:
    """Put the body of CREATE TRIGGER behind the guard. One that has it stays as it is."""
    start, end = _body(Cursor(sql, "", ansi_quotes=ansi_quotes, backslash_escapes=backslash_escapes))
    if _has_guard(sql, start, end):
        return sql
    if end.versioned and not start.versioned:
        raise NotUnderstood  # the guard would be closed only where the comment is executed
    return spliced(sql, [(start, start, _OPEN), (end, end, _CLOSE)])


def is_guarded(sql: str, *, ansi_quotes: bool = False, backslash_escapes: bool = True) -> bool:
    """Tell whether the body of CREATE TRIGGER is behind the guard, as `guarded` writes it."""
    return _has_guard(sql, *_body(Cursor(sql, "", ansi_quotes=ansi_quotes, backslash_escapes=backslash_escapes)))


def _has_guard(sql: str, start: Place, end: Place) -> bool:
    return sql.startswith(_OPEN, start.at) and sql.endswith(_CLOSE, start.at, end.at)


def _body(cursor: Cursor) -> tuple[Place, Place]:
    """Find where the body begins and ends, without semicolons and comments behind it."""
    if not cursor.take("CREATE"):
        raise NotUnderstood
    skip_modifiers(cursor)
    if not cursor.take("TRIGGER"):
        raise NotUnderstood
    skip_if_exists(cursor)
    cursor.table()
    cursor.find(frozenset({"ON"}))
    cursor.table()
    for word in ("FOR", "EACH", "ROW"):
        if not cursor.take(word):
            raise NotUnderstood
    if cursor.take("FOLLOWS", "PRECEDES"):
        if cursor.kind is Kind.STRING:
            cursor.advance()
        else:
            cursor.name()
    start = end = cursor.here
    while cursor.kind is not Kind.END:
        if cursor.kind is Kind.BAD:
            raise NotUnderstood
        semicolon = cursor.key == ";"
        cursor.advance()
        if not semicolon:
            end = cursor.behind
    if end == start:
        raise NotUnderstood
    return start, end
