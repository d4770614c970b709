"""The target's table as it is, and how a source's rows fit it.

`read_table` asks the target's own server; `plan` matches columns by name and says, before any row is written, what
could not be applied or would be changed in silence. Nothing here reads or writes rows.
"""

import re
from collections.abc import Container, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from pymysql.connections import Connection
from pymysql.cursors import Cursor

from bisync_topology.ddl_triggers import GUARD_VARIABLE
from bisync_topology.errors import ApplyError, Where
from consumers.drift import Moment
from consumers.new_columns import implicit_default, then
from schemas.literals import quote_text
from schemas.tables import Column, Table
from schemas.values import kind_of, labels_of, text_kind

# What every statement of statements.py relies on, beside CLIENT.FOUND_ROWS and a utf8mb4 connection.
SESSION_STATEMENTS = (
    "SET NAMES utf8mb4",
    "SET SESSION time_zone = '+00:00'",  # TIMESTAMP travels in UTC
    "SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES,STRICT_ALL_TABLES'",  # else 0 becomes 1
    "SET SESSION optimizer_switch = 'use_invisible_indexes=on'",  # an invisible unique index enforces all the same
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",  # no gap locks
    "SET SESSION autocommit = 0",
    f"SET {GUARD_VARIABLE} = 1",  # guarded triggers do nothing: what they did at the source comes as rows
)

# Where rows are sent back: that a row is missing is told to the other side, and must hold until the commit. Gap locks see to it.
JUDGING_STATEMENT = "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ"

# Tables are described on a connection of its own: within a transaction they would be as they were when it began, and nobody could
# alter one that was looked at up to the commit. It holds no locks, and so may be idle for as long as a server lets it.
STRUCTURE_STATEMENTS = ("SET SESSION lock_wait_timeout = 20", "SET SESSION wait_timeout = 31536000")

# A rollback to a savepoint undoes nothing in these, so that a batch could be applied twice.
_NOT_TRANSACTIONAL = ("MyISAM", "MRG_MYISAM", "MEMORY", "CSV", "ARCHIVE", "BLACKHOLE", "FEDERATED", "Aria")

_NOW = re.compile(r"current_timestamp(\(\d*\))?", re.IGNORECASE)
_UNKNOWN: Mapping[str, Moment] = MappingProxyType({})

COLUMNS = """\
SELECT c.COLUMN_NAME, c.DATA_TYPE, c.COLUMN_TYPE, c.IS_NULLABLE, c.CHARACTER_SET_NAME, c.COLLATION_NAME,
       c.COLUMN_DEFAULT, c.EXTRA, c.GENERATION_EXPRESSION, t.TABLE_TYPE, t.ENGINE
FROM information_schema.COLUMNS AS c
JOIN information_schema.TABLES AS t ON t.TABLE_SCHEMA = c.TABLE_SCHEMA AND t.TABLE_NAME = c.TABLE_NAME
WHERE c.TABLE_SCHEMA = {db} AND c.TABLE_NAME = {name}
ORDER BY c.ORDINAL_POSITION"""


@dataclass(frozen=True, kw_only=True)
class TargetTable(Table):
    """A table as the target's server describes it; positions are those of its own columns."""

    indexes: tuple[str, ...]  # names of the indexes on `unique_keys`; the first is that on `key`
    prefixes: tuple[tuple[int | None, ...], ...]  # for each part of each unique key: how much of the column it has, None for all
    needs_value: frozenset[int]  # NOT NULL without a default
    sets_itself: frozenset[int]  # ON UPDATE CURRENT_TIMESTAMP: changes in an update that does not name it
    begins_now: frozenset[int] = frozenset()  # DEFAULT CURRENT_TIMESTAMP


@dataclass(frozen=True, kw_only=True)
class TablePlan:
    """How rows of a source table become rows of a target table. All positions are those of the source's columns.

    columns: the target's column for each of the source's.
    written: those that are written and compared; a column that the target generates is neither.
    key, unique_keys: the target's, with its own primary or first NOT NULL unique key first.
    prefixes: for each part of each of unique_keys, of how many characters (or bytes) it is; None for the whole column.
    always_set: columns that an update has to name even where they keep their value.
    supplied: columns that the source does not have yet, with no default or that of now, and what ALTER TABLE gives to rows.
    kept: names of columns that the source does not have yet, and that change in an update that does not name them.
    """

    source: Table
    target: TargetTable
    columns: tuple[Column, ...]
    written: tuple[int, ...]
    key: tuple[int, ...]
    unique_keys: tuple[tuple[int, ...], ...]
    prefixes: tuple[tuple[int | None, ...], ...]
    always_set: frozenset[int]
    supplied: tuple[tuple[str, str], ...] = ()
    kept: tuple[str, ...] = ()


def quote_name(name: str) -> str:
    """An identifier in backticks, whatever is in it."""
    return "`" + name.replace("`", "``") + "`"


def read_table(connection: "Connection[Any]", db: str, name: str, *, written: bool = True) -> TargetTable:
    """Describe a table; SELECT on it is privilege enough. written: False for one that is only read, as by a copy.

    Raises ApplyError: table_missing, unsupported_type, unsupported_key, no_key, engine.
    """
    where = Where(table=f"{db}.{name}")
    full_name = f"{quote_name(db)}.{quote_name(name)}"
    with connection.cursor(Cursor) as cursor:
        cursor.execute(COLUMNS.format(db=quote_text(db), name=quote_text(name)))
        found = cursor.fetchall()
        if not found or found[0][9] != "BASE TABLE":
            raise ApplyError(
                f"{db}.{name} is not a table that the applier can see",
                code="table_missing",
                hint=f"create it, or GRANT SELECT, INSERT, UPDATE, DELETE ON {full_name} to the account; then `resume`",
                where=where,
            )
        if found[0][10] in _NOT_TRANSACTIONAL:
            raise ApplyError(
                f"storage engine {found[0][10]} has no transactions",
                code="engine",
                hint=f"ALTER TABLE {full_name} ENGINE=InnoDB",
                where=where,
            )
        columns = tuple(column_of(line, where) for line in found)
        cursor.execute(f"SHOW INDEX FROM {full_name}")
        indexes = _unique_indexes(cursor.fetchall(), columns, where, written=written)
    key_index = next((n for n, parts in indexes.items() if not any(columns[p].nullable for p, _ in parts)), None)
    if key_index is None:
        raise _no_key(full_name, columns, indexes, where)
    indexes = {key_index: indexes[key_index], **indexes}
    keys = list(indexes.values())
    unique_keys = tuple(tuple(position for position, _ in parts) for parts in keys)
    return TargetTable(
        db=db,
        name=name,
        columns=columns,
        key=unique_keys[0],
        unique_keys=unique_keys,
        indexes=tuple(indexes),
        prefixes=tuple(tuple(length for _, length in parts) for parts in keys),
        needs_value=frozenset(n for n, line in enumerate(found) if not _fills_itself(line)),
        sets_itself=frozenset(n for n, line in enumerate(found) if "on update" in line[7].lower()),
        begins_now=frozenset(
            n for n, line in enumerate(found) if columns[n].kind in ("datetime", "timestamp") and _NOW.fullmatch(line[6] or "")
        ),
    )


def column_of(line: tuple[Any, ...], where: Where) -> Column:
    """A column from its line of COLUMNS. Raises ApplyError unsupported_type."""
    name, data_type, column_type, nullable, charset, collation = line[:6]
    charset = "utf8mb3" if charset == "utf8" else charset  # as servers before 8.0.30 call it
    kind = kind_of(data_type, column_type, charset)
    if kind is None or (charset is not None and text_kind(charset) is None):
        what = column_type if charset is None else f"character set {charset}"
        raise ApplyError(
            f"column {name}: {what} is not supported yet",
            code="unsupported_type",
            hint=f'take the table out of `objects` with "!{where.table}"',
            where=where,
        )
    return Column(
        name=name,
        kind=kind,
        sql_type=column_type,
        nullable=nullable == "YES",
        charset=charset if kind in ("text", "encoded", "enum", "set") else None,
        collation=collation,
        generated=bool(line[8]),
    )


def _fills_itself(line: tuple[Any, ...]) -> bool:
    nullable, default, extra, generation = line[3], line[6], line[7], line[8]
    return bool(nullable == "YES" or default is not None or generation or re.search("auto_increment|DEFAULT_GENERATED", extra))


_Parts = tuple[tuple[int, int | None], ...]  # of an index: position of the column, length of its prefix


def _unique_indexes(
    lines: tuple[tuple[Any, ...], ...], columns: tuple[Column, ...], where: Where, *, written: bool
) -> dict[str, _Parts]:
    """Name → parts of every unique index, in the server's order: PRIMARY first, then those without NULLs.

    One over an expression tells by what no row image has which rows are in each other's way; who only reads leaves it out.
    """
    positions = {column.name: n for n, column in enumerate(columns)}
    unique = [line for line in lines if not line[1]]
    over_expressions = {line[2] for line in unique if line[4] is None}
    if written and over_expressions:
        raise ApplyError(
            f"unique key {min(over_expressions)} is over an expression, which is not supported yet",
            code="unsupported_key",
            hint=f'take the table out of `objects` with "!{where.table}", or make the key one of columns',
            where=where,
        )
    indexes: dict[str, _Parts] = {}
    for line in unique:
        index, column, prefix = line[2], line[4], line[7]
        if index not in over_expressions:
            indexes[index] = (*indexes.get(index, ()), (positions[column], prefix))
    return indexes


def _no_key(full_name: str, columns: tuple[Column, ...], indexes: dict[str, _Parts], where: Where) -> ApplyError:
    parts = next(iter(indexes.values()), ((0, None),))
    names = ", ".join(quote_name(columns[n].name) for n, _ in parts)
    return ApplyError(
        "it has neither a primary key nor a unique key without NULLs, so that no row can be told from another",
        code="no_key",
        hint=f"ALTER TABLE {full_name} ADD PRIMARY KEY ({names}), or of the columns that name a row, on both sides",
        where=where,
    )


def plan(source: Table, target: TargetTable, added: Mapping[str, Moment] = _UNKNOWN) -> TablePlan:
    """Match a source's columns with the target's by name. added: those that the source will have, in one case, and since when.

    Raises ApplyError schema_mismatch for whatever could not be written, or not without changing it in silence.
    """
    where = Where(table=target.full_name)
    positions = {column.name.casefold(): n for n, column in enumerate(target.columns)}
    to_target = [_position(column, target, positions, where) for column in source.columns]
    to_source = {position: n for n, position in enumerate(to_target)}
    supplied, kept = [], []
    for position, column in enumerate(target.columns):
        if position in to_source:
            continue
        moment = added.get(column.name.casefold())
        if moment is not None and position in target.begins_now:
            supplied.append((column.name, then(column, moment)))
        elif position in target.needs_value:
            if moment is None:
                raise _mismatch(f"column {quote_name(column.name)} has no default, and the source has no such column", where)
            supplied.append((column.name, implicit_default(column)))
        if moment is not None and position in target.sets_itself:
            kept.append(column.name)
    target = _without_new_keys(target, to_source, added)
    for parts in target.unique_keys:
        for position in parts:
            if position not in to_source:
                name = quote_name(target.columns[position].name)
                raise _mismatch(f"column {name} is part of a unique key, and the source has no such column", where)
    columns = tuple(target.columns[position] for position in to_target)
    return TablePlan(
        source=source,
        target=target,
        columns=columns,
        written=tuple(n for n, column in enumerate(columns) if not column.generated),
        key=tuple(to_source[position] for position in target.key),
        unique_keys=tuple(tuple(to_source[position] for position in parts) for parts in target.unique_keys),
        prefixes=target.prefixes,
        always_set=frozenset(to_source[position] for position in target.sets_itself if position in to_source),
        supplied=tuple(supplied),
        kept=tuple(kept),
    )


def _without_new_keys(target: TargetTable, to_source: Container[int], added: Container[str]) -> TargetTable:
    """Leave out unique keys with a column that the source does not have yet, but for the one that names rows."""
    new = [
        n
        for n, parts in enumerate(target.unique_keys)
        if n and any(p not in to_source and target.columns[p].name.casefold() in added for p in parts)
    ]
    if not new:
        return target
    kept = [n for n in range(len(target.unique_keys)) if n not in new]
    return replace(
        target,
        unique_keys=tuple(target.unique_keys[n] for n in kept),
        indexes=tuple(target.indexes[n] for n in kept),
        prefixes=tuple(target.prefixes[n] for n in kept),
    )


def _position(column: Column, target: TargetTable, positions: dict[str, int], where: Where) -> int:
    position = positions.get(column.name.casefold())
    if position is None:
        raise _mismatch(f"the source has a column {quote_name(column.name)}, the target has not", where)
    mine = target.columns[position]
    why = "" if mine.generated else _unlike(column, mine)
    if why:
        types = f"{column.sql_type} at the source, {mine.sql_type} at the target"
        raise _mismatch(f"column {quote_name(column.name)} is {types}: {why}", where)
    return position


def _mismatch(message: str, where: Where) -> ApplyError:
    return ApplyError(message, code="schema_mismatch", hint="make the two tables alike, then `resume`", where=where)


def _unlike(source: Column, target: Column) -> str:
    """Why values would not survive, "" if they do. What strict mode refuses by itself (a number too large) is not here."""
    theirs, mine = source.sql_type.lower(), target.sql_type.lower()
    if source.kind != target.kind:
        return "not the same kind of value"
    if source.kind == "encoded" and source.charset != target.charset:
        return f"in character set {source.charset} at the source and {target.charset} at the target"
    if source.sql_type in ("", target.sql_type):
        return ""
    if target.kind in ("decimal", "time", "datetime", "timestamp") and _last_number(theirs) > _last_number(mine):
        return "the last digits would be rounded off"
    if target.kind == "int" and "year" in (theirs, mine):
        return "a YEAR holds years only"
    if target.kind in ("text", "encoded"):
        return _unlike_text(theirs, mine)
    if target.kind == "binary" and "binary" in (theirs.split("(")[0], mine.split("(")[0]):
        return "one of them is padded with zeros"
    return _unlike_labels(source, target) if target.kind in ("enum", "set", "bit") else ""


def _unlike_text(theirs: str, mine: str) -> str:
    """Trailing spaces beyond a column's length are cut off in silence, in strict mode too; a CHAR has none."""
    if theirs.startswith("char(") or "text" in mine:
        return ""
    if mine.startswith("char(") or "text" in theirs or _last_number(theirs) > _last_number(mine):
        return "trailing spaces would be lost"
    return ""


def _unlike_labels(source: Column, target: Column) -> str:
    if source.sql_type.startswith("bit") or target.sql_type.startswith("bit"):
        return "" if source.sql_type[:3] == target.sql_type[:3] else "not the same kind of value"
    labels = [label.replace("\\\\", "\\") for label in labels_of(target.sql_type)]  # the server escapes it, the log not
    wanted = [_as_printed(label) for label in labels_of(source.sql_type)]
    if target.kind == "bit":  # a SET that travels as its bits
        alike = labels[: len(wanted)] == wanted
    elif target.kind == "set":
        alike = [label for label in labels if label in wanted] == wanted
    else:
        alike = set(wanted) <= set(labels)
    return "" if alike else "labels are missing or in another order"


def _as_printed(label: str) -> str:
    """information_schema has no characters of four bytes. A label that is not there after all is refused when it is written."""
    return "".join(c if c <= "\uffff" else "?" for c in label)


def _last_number(sql_type: str) -> int:
    """The scale of decimal(10,2), the digits of datetime(6), 0 of datetime."""
    numbers = re.findall(r"\d+", sql_type)
    return int(numbers[-1]) if numbers else 0
