"""Which of the names in a DROP or RENAME are kept, and which tables change their names. Pure."""

from collections.abc import Callable, Sequence

from bisync_topology.ddl_clauses import end_of_names, skip_if_exists, skip_modifiers, skip_wait
from bisync_topology.ddl_edits import spliced
from bisync_topology.sql_tokens import Cursor, NotUnderstood, Place

Name = tuple[str, str]  # database, table
_Span = tuple[Place, Place]


def only_tables(
    sql: str,
    default_db: str,
    keep: Callable[[str, str], bool],
    *,
    ansi_quotes: bool = False,
    backslash_escapes: bool = True,
) -> str:
    """Cut out of DROP TABLE or DROP VIEW the names that are not kept. None kept is NotUnderstood."""
    cursor = Cursor(sql, default_db, ansi_quotes=ansi_quotes, backslash_escapes=backslash_escapes)
    verb = cursor.take("DROP")
    skip_modifiers(cursor)
    if not verb or not cursor.take("TABLE", "TABLES", "VIEW"):
        raise NotUnderstood
    skip_if_exists(cursor)
    spans, kept = [], []
    more = True
    while more:
        start = cursor.here
        kept.append(keep(*cursor.table()))
        spans.append((start, cursor.behind))
        more = bool(cursor.take(","))
    end_of_names(cursor)
    return _only(sql, spans, kept)


def renames(
    sql: str, default_db: str, *, ansi_quotes: bool = False, backslash_escapes: bool = True
) -> tuple[tuple[Name, Name], ...]:
    """Give old and new name of each table that RENAME TABLE or ALTER TABLE renames, in order."""
    cursor = Cursor(sql, default_db, ansi_quotes=ansi_quotes, backslash_escapes=backslash_escapes)
    return tuple(pair for pair, _ in _renames(cursor))


def only_renames(
    sql: str,
    default_db: str,
    keep: Callable[[Name, Name], bool],
    *,
    ansi_quotes: bool = False,
    backslash_escapes: bool = True,
) -> str:
    """Cut out of RENAME TABLE the pairs that are not kept. None kept is NotUnderstood, also of ALTER TABLE … RENAME."""
    cursor = Cursor(sql, default_db, ansi_quotes=ansi_quotes, backslash_escapes=backslash_escapes)
    found = _renames(cursor)
    return _only(sql, [span for _, span in found], [keep(*pair) for pair, _ in found])


def _only(sql: str, spans: Sequence[_Span], kept: Sequence[bool]) -> str:
    if not any(kept):
        raise NotUnderstood
    first = kept.index(True)
    edits = []
    for i, ((start, end), stays) in enumerate(zip(spans, kept, strict=True)):
        if not stays:  # with the comma behind it, or before it where one that stays is before
            edits.append((start, spans[i + 1][0], "") if i < first else (spans[i - 1][1], end, ""))
    return spliced(sql, edits)


def _renames(cursor: Cursor) -> list[tuple[tuple[Name, Name], _Span]]:
    found: list[tuple[tuple[Name, Name], _Span]] = []
    if cursor.take("ALTER"):
        skip_modifiers(cursor)
        if not cursor.take("TABLE"):
            raise NotUnderstood
        skip_if_exists(cursor)
        table = cursor.table()
        while cursor.find(frozenset({"RENAME"})):
            if cursor.take("TO", "AS", "=") or cursor.key not in ("COLUMN", "INDEX", "KEY"):
                start = cursor.here
                found = [((table, cursor.table()), (start, cursor.behind))]  # the last one counts
        return found
    if not cursor.take("RENAME") or not cursor.take("TABLE", "TABLES"):
        raise NotUnderstood
    skip_if_exists(cursor)
    more = True
    while more:
        start = cursor.here
        old = cursor.table()
        skip_wait(cursor)
        if not cursor.take("TO"):
            raise NotUnderstood
        found.append(((old, cursor.table()), (start, cursor.behind)))
        more = bool(cursor.take(","))
    end_of_names(cursor)
    return found
