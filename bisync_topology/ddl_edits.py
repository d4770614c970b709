"""Small changes to the text of a DDL statement: a clause is cut out or put in, and the rest stays as it was written. Pure.

Also `ddl_triggers`, `ddl_names` and `ddl_columns`. All but `definer_of` raise NotUnderstood where the text is not what they
are for.
"""

import re
from collections.abc import Iterable

from bisync_topology.ddl import Statement
from bisync_topology.ddl_clauses import skip_if_exists, skip_modifiers
from bisync_topology.sql_tokens import LETTER, Cursor, NotUnderstood, Place

_letter = re.compile(LETTER).match
_PLAIN_COMMENT = re.compile(r"/\*(?!M?!).*?\*/", re.DOTALL)
_EVENT_WORDS = frozenset({"RENAME", "ENABLE", "DISABLE", "COMMENT", "DO"})  # COMMENT and DO stand behind the others
_WITH_DEFINER = ("VIEW", "TRIGGER", "PROCEDURE", "FUNCTION", "EVENT", "PACKAGE")


def spliced(sql: str, edits: Iterable[tuple[Place, Place, str]]) -> str:
    """Put each text in the place of its span. Spans are in order and do not overlap.

    Two words never become one: a blank is put between. A span that begins or ends a versioned comment without the other
    is NotUnderstood: what is left of the comment would take in or leave out what it should not.
    """
    pieces: list[str] = []
    done = 0
    for start, end, text in edits:
        if start.versioned != end.versioned:
            raise NotUnderstood
        pieces += sql[done : start.at], text
        done = end.at
    pieces.append(sql[done:])
    result: list[str] = []
    for piece in filter(None, pieces):
        if result and _letter(result[-1][-1]) and _letter(piece):
            result.append(" ")
        result.append(piece)
    return "".join(result)


def without_start_transaction(
    sql: str, statement: Statement, *, ansi_quotes: bool = False, backslash_escapes: bool = True
) -> str:
    """Cut START TRANSACTION out of CREATE TABLE … SELECT as it is logged. `statement` is what was read of this text.

    With it, the server that runs the text would wait for rows and COMMIT; those arrive as rows of their own.
    """
    if statement.verb != "CREATE TABLE":
        raise NotUnderstood
    if statement.start_transaction is None:
        return sql
    start, end = statement.start_transaction
    between = _PLAIN_COMMENT.sub("", sql[start:end])
    if "/*" in between or "*/" in between:
        raise NotUnderstood
    return spliced(sql, [(Place(start, False), Place(end, False), "")])


def definer_of(sql: str, *, ansi_quotes: bool = False, backslash_escapes: bool = True) -> str | None:
    """Give the value of the DEFINER clause as it is written; None where there is none, whatever the statement is."""
    try:
        span = _definer(Cursor(sql, "", ansi_quotes=ansi_quotes, backslash_escapes=backslash_escapes))
    except NotUnderstood:
        return None
    return None if span is None else sql[span[0].at : span[1].at]


def with_current_user(sql: str, *, ansi_quotes: bool = False, backslash_escapes: bool = True) -> str:
    """Make who runs it the definer, where the text names one."""
    span = _definer(Cursor(sql, "", ansi_quotes=ansi_quotes, backslash_escapes=backslash_escapes))
    return sql if span is None else spliced(sql, [(*span, "CURRENT_USER")])


def with_own_definer(sql: str, *, ansi_quotes: bool = False, backslash_escapes: bool = True) -> str:
    """The same; a text that is not understood stays as it is, to be refused."""
    try:
        return with_current_user(sql, ansi_quotes=ansi_quotes, backslash_escapes=backslash_escapes)
    except NotUnderstood:
        return sql


def with_definer(sql: str, definer: str, *, ansi_quotes: bool = False, backslash_escapes: bool = True) -> str:
    """Name who the definer is to be, where the text does not: ALTER EVENT makes it whoever runs it."""
    cursor = Cursor(sql, "", ansi_quotes=ansi_quotes, backslash_escapes=backslash_escapes)
    if _definer(Cursor(sql, "", ansi_quotes=ansi_quotes, backslash_escapes=backslash_escapes)) is not None:
        return sql
    cursor.advance()
    return spliced(sql, [(cursor.here, cursor.here, f"DEFINER={definer} ")])


def _definer(cursor: Cursor) -> tuple[Place, Place] | None:
    if not cursor.take("CREATE", "ALTER"):
        raise NotUnderstood
    definer = skip_modifiers(cursor).definer
    if cursor.key not in _WITH_DEFINER:
        raise NotUnderstood
    return definer


def with_event_disabled(sql: str, *, on: str = "REPLICA", ansi_quotes: bool = False, backslash_escapes: bool = True) -> str:
    """Let an event arrive disabled, so that it runs at one side only. `on` is SLAVE for MySQL 8.0 and MariaDB.

    CREATE EVENT gets the clause. ALTER EVENT keeps the status that the event has, unless its text sets one.
    """
    cursor = Cursor(sql, "", ansi_quotes=ansi_quotes, backslash_escapes=backslash_escapes)
    verb = cursor.take("CREATE", "ALTER")
    skip_modifiers(cursor)
    if not verb or not cursor.take("EVENT"):
        raise NotUnderstood
    skip_if_exists(cursor)
    cursor.table()
    clause = f"DISABLE ON {on}"
    while word := cursor.find(_EVENT_WORDS):
        start = Place(cursor.found[0], cursor.behind.versioned)
        if word == "RENAME":
            cursor.take("TO")
            cursor.table()  # may be called `do` without quotes
        elif word in ("COMMENT", "DO"):
            return sql if verb == "ALTER" else spliced(sql, [(start, start, f"{clause} ")])
        else:
            if word == "DISABLE" and cursor.take("ON") and not cursor.take("SLAVE", "REPLICA"):
                raise NotUnderstood
            return spliced(sql, [(start, cursor.behind, clause)])
    if verb == "CREATE":
        raise NotUnderstood
    return sql
