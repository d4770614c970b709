"""The clauses of CREATE, ALTER and DROP that hold names, or stand around them. Pure; a part of `read_statement`."""

from typing import NamedTuple

from bisync_topology.sql_tokens import Cursor, Kind, NotUnderstood, Place

_PLAIN_MODIFIERS = ("IGNORE", "ONLINE", "OFFLINE", "UNIQUE", "FULLTEXT", "SPATIAL", "VECTOR", "AGGREGATE", "UNDO")
_VIEW_MODIFIERS = ("JSON", "RELATIONAL", "DUALITY", "EXTERNAL")
_TABLE_TAIL = ("RESTRICT", "CASCADE", "WAIT", "NOWAIT", "DROP", "REUSE", "STORAGE")


class Modifiers(NamedTuple):
    """What is of interest between the verb and the kind of object."""

    temporary: bool
    definer: tuple[Place, Place] | None  # start and end of what stands behind DEFINER =


def skip_modifiers(cursor: Cursor) -> Modifiers:
    """Go past what stands between the verb and the kind of object."""
    temporary, definer = False, None
    words = ("OR", "TEMPORARY", "DEFINER", "ALGORITHM", "SQL", *_PLAIN_MODIFIERS, *_VIEW_MODIFIERS)
    while modifier := cursor.take(*words):
        if modifier == "TEMPORARY":
            temporary = True
        elif modifier == "OR":
            cursor.take("REPLACE")
        elif modifier == "SQL":
            cursor.take("SECURITY")
            cursor.advance()
        elif modifier in ("DEFINER", "ALGORITHM"):
            cursor.take("=")
            start = cursor.here
            cursor.advance()
            if cursor.take("("):  # CURRENT_USER()
                cursor.take(")")
            while cursor.take("@", "."):  # an unquoted host may hold dots
                cursor.advance()
            if modifier == "DEFINER":
                definer = start, cursor.behind
    return Modifiers(temporary, definer)


def skip_if_exists(cursor: Cursor) -> None:
    """Go past IF EXISTS or IF NOT EXISTS."""
    if cursor.take("IF"):
        cursor.take("NOT")
        cursor.take("EXISTS")


def skip_wait(cursor: Cursor) -> None:
    """Go past MariaDB's WAIT n or NOWAIT."""
    if cursor.take("WAIT"):
        cursor.advance()
    cursor.take("NOWAIT")


def end_of_names(cursor: Cursor) -> None:
    """Make sure that nothing is left of a statement that is a list of names, so that none was missed."""
    while cursor.take(*_TABLE_TAIL):
        if cursor.kind is Kind.WORD and cursor.text.isdigit():
            cursor.advance()
    cursor.finish()


def read_created(
    cursor: Cursor, objects: list[tuple[str, str]], sources: list[tuple[str, str]]
) -> tuple[bool, tuple[int, int] | None]:
    """Read CREATE TABLE behind its name: whether it selects rows, and where START TRANSACTION is in the text."""
    selects, start_transaction = False, None
    if cursor.key != "LIKE":
        cursor.take("(")  # (LIKE t) is the same as LIKE t
    if cursor.take("LIKE"):
        sources.append(cursor.table())
    while found := cursor.find(frozenset({"START", "VALUES"}), frozenset({"REFERENCES", "SELECT", "TABLE"})):
        if found == "REFERENCES":
            database, name = cursor.qualified()
            sources.append((database or objects[0][0], name))  # beside the new table, not in the default database
        elif found != "START":
            selects = True
        elif cursor.key == "TRANSACTION":
            start_transaction = (cursor.found[0], cursor.end)
    return selects, start_transaction


def read_altered(cursor: Cursor, objects: list[tuple[str, str]], sources: list[tuple[str, str]]) -> None:
    """Read ALTER TABLE behind its name: other tables that it makes, takes in, changes or refers to."""
    referenced = []
    database = objects[0][0]
    while found := cursor.find(frozenset({"RENAME", "EXCHANGE", "CONVERT"}), frozenset({"REFERENCES"})):
        if found == "REFERENCES":
            referenced.append(cursor.qualified())
        elif found == "RENAME":
            if cursor.take("TO", "AS", "=") or cursor.key not in ("COLUMN", "INDEX", "KEY"):
                objects.append(cursor.table())
                database = objects[-1][0]
        elif cursor.take("PARTITION"):  # EXCHANGE PARTITION p WITH TABLE t; MariaDB: CONVERT PARTITION p TO TABLE t
            cursor.name()
            if not cursor.take("WITH", "TO") or not cursor.take("TABLE"):
                raise NotUnderstood
            objects.append(cursor.table())
        elif found == "CONVERT" and cursor.take("TABLE"):  # MariaDB: CONVERT TABLE t TO PARTITION p
            objects.append(cursor.table())
    # The server looks for an unqualified parent beside the table, where that will be after the statement.
    sources += [(parent or database, name) for parent, name in referenced]
