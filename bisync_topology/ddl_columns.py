"""Which columns an ALTER TABLE adds, drops or renames, and whether it leaves rows as they are. Pure."""

from typing import Literal, NamedTuple

from bisync_topology.ddl_clauses import skip_if_exists, skip_modifiers, skip_wait
from bisync_topology.sql_tokens import Cursor, NotUnderstood

_NO_COLUMN = {"INDEX", "KEY", "UNIQUE", "FULLTEXT", "SPATIAL", "PRIMARY", "FOREIGN", "CONSTRAINT", "CHECK", "PARTITION"}
# MariaDB: no reserved words, so each may also be a column's name.
_NO_COLUMN_BEFORE = {"VECTOR": ("INDEX", "KEY"), "PERIOD": ("FOR",), "SYSTEM": ("VERSIONING",)}
_COMMA = frozenset({","})
_KEYS = frozenset({"PRIMARY", "UNIQUE"})


class ColumnChange(NamedTuple):
    """One column that is new, gone, or called otherwise. Names as written, without quotes."""

    kind: Literal["add", "drop", "rename"]
    old: str  # "" of one that is added
    new: str  # "" of one that is dropped


def column_changes(
    sql: str, default_db: str, *, ansi_quotes: bool = False, backslash_escapes: bool = True
) -> tuple[ColumnChange, ...]:
    """Read them in the order of the text. A name that changes only its case is no change.

    Each old name is one of before the statement: `RENAME COLUMN a TO b, RENAME COLUMN b TO a` swaps them, and
    `DROP a, ADD a INT` makes a new column. So apply them all at once, not one after the other.
    """
    cursor = _altered(Cursor(sql, default_db, ansi_quotes=ansi_quotes, backslash_escapes=backslash_escapes))
    changes: list[ColumnChange] = []
    action, renamed, listed = "", False, False
    more = True
    while more:
        if not cursor.depth:
            action = cursor.take("ADD", "DROP", "RENAME", "CHANGE")
            renamed = bool(cursor.take("COLUMN")) or action != "RENAME"  # not RENAME TO, RENAME INDEX
            skip_if_exists(cursor)
            listed = action == "ADD" and bool(cursor.take("("))
        if action and renamed:
            _read(cursor, action, changes)
        more = bool(cursor.find(_COMMA, level=int(listed)))
    return tuple(changes)


def only_adds(sql: str, default_db: str, *, ansi_quotes: bool = False, backslash_escapes: bool = True) -> bool:
    """Whether it does nothing but add columns, plain indexes, checks, foreign keys or partitions: rows stay as they were.

    A primary or unique key may be another one by which rows are told from each other.
    """
    cursor = _altered(Cursor(sql, default_db, ansi_quotes=ansi_quotes, backslash_escapes=backslash_escapes))
    only, more = True, ","
    while more:
        only = only and more == "," and bool(cursor.take("ADD", "ALGORITHM", "LOCK"))
        more = cursor.find(_COMMA, _KEYS)
    return only


def _altered(cursor: Cursor) -> Cursor:
    """Go past ALTER TABLE and the table's name."""
    verb = cursor.take("ALTER")
    skip_modifiers(cursor)
    if not verb or not cursor.take("TABLE"):
        raise NotUnderstood
    skip_if_exists(cursor)
    cursor.table()
    skip_wait(cursor)
    return cursor


def _read(cursor: Cursor, action: str, changes: list[ColumnChange]) -> None:
    """Read what is behind the verb of an action, if it is a column."""
    word = cursor.key
    if word in _NO_COLUMN:
        return
    name = cursor.name()
    if cursor.key in _NO_COLUMN_BEFORE.get(word, ()):
        return
    if action == "ADD":
        changes.append(ColumnChange("add", "", name))
    elif action == "DROP":
        changes.append(ColumnChange("drop", name, ""))
    else:
        if action == "RENAME" and not cursor.take("TO"):
            raise NotUnderstood
        new = cursor.name()
        if new.lower() != name.lower():
            changes.append(ColumnChange("rename", name, new))
