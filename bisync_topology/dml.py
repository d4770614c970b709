"""The tables that a data statement names as what it may change. Pure; a part of `read_statement`.

Needed where rows were logged as a statement (a session's binlog_format=STATEMENT): whether that is in scope.
"""

from bisync_topology.sql_tokens import Cursor, NotUnderstood

_MODIFIERS = ("LOW_PRIORITY", "HIGH_PRIORITY", "DELAYED", "QUICK", "IGNORE", "HISTORY")
_JOINS = frozenset({"JOIN", "STRAIGHT_JOIN"})
_UPDATE_ENDS = frozenset({"SET", ","})
_DELETE_ENDS = frozenset({"WHERE", "ORDER", "LIMIT", "RETURNING", ","})


def find_changed(cursor: Cursor, verb: str, names: list[tuple[str, str]]) -> None:
    """Add them to `names`; the cursor is behind the verb. Of a join it is every table: which one changes is not said."""
    if verb == "LOAD":
        if not cursor.find(frozenset({"INTO"})) or not cursor.take("TABLE"):
            raise NotUnderstood
        names.append(cursor.table())
        return
    while cursor.take(*_MODIFIERS):
        pass
    if verb in ("INSERT", "REPLACE"):
        cursor.take("INTO")
        names.append(cursor.table())
    elif verb == "UPDATE":
        _references(cursor, _UPDATE_ENDS, names)
    elif verb == "DELETE":
        _deleted(cursor, names)
    elif not verb:  # WITH, and none of these after it
        raise NotUnderstood


def _deleted(cursor: Cursor, names: list[tuple[str, str]]) -> None:
    """Read either form; where there is a join, names before it can be aliases, so only those in it count."""
    if cursor.take("FROM"):
        cursor.tables(names)
        if not cursor.take("USING"):
            return
        names.clear()
    elif not cursor.find(frozenset({"FROM"})):
        raise NotUnderstood
    _references(cursor, _DELETE_ENDS, names)


def _references(cursor: Cursor, ends: frozenset[str], names: list[tuple[str, str]]) -> None:
    level, found = 0, ","
    while found == "," or found in _JOINS:
        while cursor.take("("):
            level = max(level, cursor.depth)
        if cursor.key not in ("SELECT", "WITH", "VALUES"):
            table = cursor.table()
            if cursor.key != "(":  # LATERAL (…), JSON_TABLE(…)
                names.append(table)
        found = cursor.find(ends, _JOINS, level=level)
        level = min(level, cursor.depth)  # UPDATE (a, b) JOIN c USING (x, y): only the first comma is between tables
