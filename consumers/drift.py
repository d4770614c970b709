"""Rows of another structure than the target has: which table they are of now, and what of them goes where. Pure.

While a change of structure travels from side A to side B, rows come from B that B wrote before it had it. `History` knows A's own
statements in A's order, and each row's transaction says (`seen`) up to which of them B had come. So what the row has not seen is
done to the row: a renamed table or column is found by its new name, a dropped column is left out, and a row of a table that was
dropped or emptied is left out, as it goes at B too once the statement gets there. Types that were changed are converted where no
value can be lost.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from bisync_topology.ddl import Category, read_statement
from bisync_topology.ddl_columns import ColumnChange, column_changes
from bisync_topology.ddl_names import renames
from bisync_topology.errors import ApplyError, Where
from bisync_topology.sql_modes import read_as
from bisync_topology.sql_tokens import NotUnderstood
from consumers.converters import converter
from schemas.records import DdlEvent, Row, RowEvent
from schemas.tables import Column, Table

Name = tuple[str, str]  # database, table
_GONE = ("DROP TABLE", "TRUNCATE TABLE")


class Moment(NamedTuple):
    """What a statement calls now: microseconds since 1970 UTC, and the time zone of its client where it says so."""

    executed_at: int
    time_zone: str


class Altered(NamedTuple):
    """What one statement does to a table's columns, all at once."""

    columns: tuple[ColumnChange, ...]
    moment: Moment


Changes = Sequence[Altered]


class Fate(NamedTuple):
    """What became of a table: its present name, or None where its rows are no more; and what happened to its columns."""

    name: Name | None
    columns: Changes = ()


class Known(NamedTuple):
    """What somebody knows of the target's statements: the first so many entries of the history, but for some of them."""

    entries: int
    without: tuple[int, ...] = ()


NOTHING = Known(0)


class _Entry(NamedTuple):
    sequence: int
    table: Name
    became: Name | None
    altered: Altered | None = None


class History:
    """The statements that began at the target, as far as they change tables; of a direction that carries them to the source.

    They are of one stream: another one counts from 1 anew.
    """

    def __init__(self) -> None:
        self._stream = ""
        self._entries: list[_Entry] = []
        self._sequences: list[int] = []

    def begin(self, stream: str) -> None:
        """From now on they are of this stream: those of another one are of no more use."""
        if stream != self._stream:
            self._stream = stream
            self._entries.clear()
            self._sequences.clear()

    def add(self, event: DdlEvent) -> None:
        """Take a statement; they come in order, and some again."""
        self.begin(event.stream)
        if event.origin is not None or (self._sequences and event.sequence <= self._sequences[-1]):
            return
        for entry in _entries(event):
            self._entries.append(entry)
            self._sequences.append(entry.sequence)

    def known_at(self, seen: int, held: Sequence[int] = ()) -> Known:
        """What somebody knows who has seen that much of the target's stream, and holds some of it: all that depends on these.

        held: sequences up to `seen` of statements that were not run there.
        """
        entries = bisect_right(self._sequences, seen)
        without = {*held}
        return Known(entries, tuple(n for n in range(entries) if self._sequences[n] in without) if without else ())

    def fate(self, name: Name, known: Known) -> Fate:
        """What became of a table by what is not known."""
        columns: list[Altered] = []
        for n in (*known.without, *range(known.entries, len(self._entries))):
            entry = self._entries[n]
            if entry.table != name:
                continue
            if entry.became is None:
                return Fate(None)
            name = entry.became
            if entry.altered is not None:
                columns.append(entry.altered)
        return Fate(name, columns)


def _entries(event: DdlEvent) -> Iterable[_Entry]:
    flags = read_as(event.sql_mode)
    statement = read_statement(event.statement, event.default_db, **flags)
    if statement.category is not Category.TABLE:
        return

    def fold(name: Name) -> Name:
        return (name[0].lower(), name[1].lower()) if event.lower_case else name

    if statement.verb in _GONE:
        for table in statement.objects:
            yield _Entry(event.sequence, fold(table), None)
        return
    try:
        if statement.verb == "ALTER TABLE":
            table = fold(statement.objects[0])
            if changes := column_changes(event.statement, event.default_db, **flags):
                yield _Entry(event.sequence, table, table, Altered(changes, Moment(event.executed_at, event.time_zone)))
        if statement.verb in ("ALTER TABLE", "RENAME TABLE"):
            for old, new in renames(event.statement, event.default_db, **flags):
                yield _Entry(event.sequence, fold(old), fold(new))
    except NotUnderstood:  # it was held on its way, and nothing of it is known: a row that does not fit says so itself
        return


@dataclass(frozen=True, kw_only=True)
class Adapted:
    """table: the source's as its rows are after `row`; a type that is converted is the target's there."""

    table: Table
    row: Callable[[Row], Row]

    def event(self, event: RowEvent) -> RowEvent:
        """A change of the source's table as one of this one. Raises ApplyError for a value that has no place."""
        before, after = (None if image is None else self.row(image) for image in (event.before, event.after))
        return event._replace(before=before, after=after)


def adapt(source: Table, columns: Sequence[Column], changes: Changes) -> Adapted | None:
    """Fit rows to the target's columns; None where they fit as they are. What fits in no way is left for `target.plan` to tell.

    A column that the target has not, and of whose end nothing is known, may be NULL.
    """
    present = {column.name.casefold(): column for column in columns}
    names = _names(source, changes)
    take: list[int] = []
    empty: list[int] = []
    found: list[Column] = []
    converters: list[Callable[[Any], Any] | None] = []
    for position, name in enumerate(names):
        if name is None:
            continue
        mine = present.get(name.casefold())
        if mine is None:
            if source.columns[position].nullable and position not in source.key:
                empty.append(position)
                continue
            return None
        column = replace(source.columns[position], name=name)
        convert = None if mine.generated else converter(column, mine)
        take.append(position)
        found.append(column if convert is None else replace(column, kind=mine.kind, sql_type=mine.sql_type, charset=mine.charset))
        converters.append(convert)
    if len(take) == len(source.columns) and not any(converters) and list(names) == [column.name for column in source.columns]:
        return None
    placed = {position: n for n, position in enumerate(take)}
    table = replace(source, columns=tuple(found), key=tuple(placed[n] for n in source.key if n in placed))
    return Adapted(table=table, row=_row_of(source, take, converters, empty))


def added(changes: Changes) -> dict[str, Moment]:
    """Names of columns that rows do not have yet, in one case, and when each was added."""
    names: list[str | None] = []
    moments: list[Moment] = []
    for statement in changes:
        new = [change.new for change in statement.columns if change.kind == "add"]
        names = [*_renamed(names, statement), *new]
        moments += [statement.moment] * len(new)
    return {name.casefold(): moment for name, moment in zip(names, moments, strict=True) if name is not None}


def _names(source: Table, changes: Changes) -> list[str | None]:
    """What each column is called now; None for one that was dropped."""
    names: list[str | None] = [column.name for column in source.columns]
    for statement in changes:
        names = _renamed(names, statement)
    return names


def _renamed(names: Sequence[str | None], statement: Altered) -> list[str | None]:
    became = {change.old.casefold(): change.new or None for change in statement.columns if change.kind != "add"}
    return [None if name is None else became.get(name.casefold(), name) for name in names]


def _row_of(
    source: Table, take: Sequence[int], converters: Sequence[Callable[[Any], Any] | None], empty: Sequence[int]
) -> Callable[[Row], Row]:
    columns = source.columns

    def row(image: Row) -> Row:
        for position in empty:
            if image[position] is not None:
                raise _no_place(source, columns[position], "the target has no such column")
        values: list[object] = []
        for position, convert in zip(take, converters, strict=True):
            value = image[position]
            try:
                values.append(value if convert is None or value is None else convert(value))
            except (ValueError, TypeError) as error:
                raise _no_place(source, columns[position], f"the target has another type: {error}") from error
        return tuple(values)

    return row


def _no_place(source: Table, column: Column, why: str) -> ApplyError:
    return ApplyError(
        f"a row has a value in column `{column.name}` ({column.sql_type or column.kind}), and {why}",
        code="schema_mismatch",
        hint="make the two tables alike, then `resume`",
        where=Where(table=source.full_name),
    )
