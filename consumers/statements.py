"""The SQL of one table: text only, no connection.

Batches are joins of the table with a `VALUES ROW(…)` list, so that one statement detects conflicts and changes rows:
a row that differs from its before image in any byte is not matched, and the caller sees it in the count of found rows
(CLIENT.FOUND_ROWS). The list is the driving table, and the target's key finds the row, in the target's own collation:
a list's text is converted to it (else error 1267), while the guard beside it compares bytes. See schemas/values.py for
how each kind of value is compared. The session is `consumers.target.SESSION_STATEMENTS`.

One row needs no list: its statement has the values in place, which is half as much work for the server.
Statements are finished text for a utf8mb4 connection, to be executed without parameters: `%` has no meaning in them.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeVar

from consumers.conflict import Action, Delete, Insert, LocalRow
from consumers.row_identity import TEXTUAL, Pair, apart, distinct_prefix, row_identity, unique_keys
from consumers.target import TablePlan, quote_name
from schemas.charsets import charset
from schemas.parts import LONG_BYTES
from schemas.records import Row
from schemas.tables import Column
from schemas.typed_json import json_expression
from schemas.values import KINDS, literal_of, written_literal_of

_Item = TypeVar("_Item", Row, Pair)

MAX_ROWS = 1000  # of a batch
MAX_BYTES = 4 << 20  # of a statement; below the smallest max_allowed_packet in use

_FLOATING = ("float", "double")  # Python has 0.0 == -0.0, so that a change of sign would be missed
_LONG_TYPES = ("text", "mediumtext", "longtext", "blob", "mediumblob", "longblob", "json", "vector")

# How a column is read so that the client has its canonical value; the others are as they come.
_CANONICAL = {
    **dict.fromkeys(("date", "time", "datetime", "timestamp", "json"), "CAST({} AS CHAR)"),
    # with room for all digits: of a DECIMAL(1,1) a UNION gives -0. for -0.3
    **dict.fromkeys(("uint64", "decimal"), "CAST({} AS CHAR(80))"),
    # a FLOAT is printed with six digits, and a DOUBLE(20,4) with four behind the point, of which its last bit may differ
    **dict.fromkeys(("float", "double"), "CAST({} AS DOUBLE)"),
    "bit": "CAST(CAST({} AS UNSIGNED) AS CHAR)",  # a SET as a number is a DOUBLE otherwise
    "encoded": "CAST({} AS BINARY)",
    "geometry": "CAST({} AS BINARY)",
    "vector": "CAST({} AS BINARY)",
}

_AT_BEFORE, _AT_AFTER, _SHARES_UNIQUE = 1, 2, 4


class Statements:
    """Builds the statements of one table. Rows are canonical values in the order of the source's columns."""

    def __init__(self, plan: TablePlan, max_rows: int = MAX_ROWS, max_bytes: int = MAX_BYTES) -> None:
        self.plan = plan
        self.max_rows = max_rows
        self.max_bytes = max_bytes
        columns, target = plan.columns, plan.target
        self._table = f"{quote_name(target.db)}.{quote_name(target.name)}"
        # Names in full: an alias in a DELETE wants a default database (1046).
        self._names = [f"{self._table}.{quote_name(column.name)}" for column in columns]
        self._list = "v" if target.name.casefold() != "v" else "w"
        self._compared = (*plan.written, *(n for n in plan.key if n not in plan.written))
        inserted = [*(columns[n].name for n in plan.written), *(name for name, _ in plan.supplied)]
        self._insert = f"INSERT INTO {self._table} ({', '.join(map(quote_name, inserted))}) VALUES "
        place = {n: f"{self._list}.column_{m}" for m, n in enumerate(self._compared)}
        self._join = self._join_on(target.indexes[0], {n: place[n] for n in plan.key})
        self._join_by_key = self._join_on(target.indexes[0], {n: f"{self._list}.column_{m}" for m, n in enumerate(plan.key)})
        guard = " AND ".join(self._guards(place))
        self._where = f" WHERE {guard}" if guard else ""
        self._kept = [f"{self._table}.{quote_name(name)} = {self._table}.{quote_name(name)}" for name in plan.kept]
        self._set = lru_cache(maxsize=256)(self._set_clause)
        self._always_set = {n for n in plan.written if n in plan.always_set or columns[n].kind in _FLOATING}
        self.long = [n for n in plan.written if columns[n].kind == "geometry" or _base_type(columns[n]) in _LONG_TYPES]
        self._to_compare = [literal_of(column) for column in columns]
        self._to_write = [written_literal_of(column) for column in columns]
        self._decoders = {n: charset(c.charset).decode for n, c in enumerate(columns) if c.kind == "encoded" and c.charset}
        self._identity = row_identity(plan)
        self._unique = unique_keys(plan)
        shortened = {n for n in set(self.long) - set(plan.key) if columns[n].kind in ("text", "binary")}
        self.shortens = bool(shortened)  # of a row that is read, a long value is its digest
        self.whole = [_read(column, self._names[n], whole=True) for n, column in enumerate(columns)]
        self._read = [_read(column, self._names[n], whole=n not in shortened) for n, column in enumerate(columns)]

    # Batches

    def insert(self, rows: Sequence[Row]) -> str:
        """One multi-row INSERT. A row whose key or unique value is taken fails all of it with 1062."""
        columns = tuple(zip(*rows, strict=True))
        values = [self._literals(n, columns[n], self._to_write) for n in self.plan.written]
        return self._insert + _tuples("", [*values, *([literal] * len(rows) for _, literal in self.plan.supplied)])

    def update(self, pairs: Sequence[Pair], *, looked_at: bool = False) -> str:
        """One guarded UPDATE: finds as many rows as there are pairs, if each row is as its before image says.

        A key must not appear twice among all images (`distinct_prefix`): a row is changed once. The key may change.
        looked_at: `look_equal` found the rows to be so, and holds their locks: they are found by their keys alone.
        """
        before, after = (tuple(zip(*images, strict=True)) for images in zip(*pairs, strict=True))
        changed = tuple(n for n in self.plan.written if n in self._always_set or before[n] != after[n])
        changed = changed or self.plan.written[:1]
        if len(pairs) == 1:
            return self._set_one(*pairs[0], changed, guarded=not looked_at)
        compared = self.plan.key if looked_at else self._compared
        values = [self._literals(n, before[n], self._to_compare) for n in compared]
        values += [self._literals(n, after[n], self._to_write) for n in changed]
        join, where = (self._join_by_key, "") if looked_at else (self._join, self._where)
        return f"UPDATE (VALUES {_tuples('ROW', values)}) {join} SET {self._set(changed, len(compared))}{where}"

    def delete(self, rows: Sequence[Row], *, looked_at: bool = False) -> str:
        """One guarded DELETE: deletes as many rows as given, if each is as its image says. looked_at: as for an update."""
        if len(rows) == 1:
            return f"DELETE FROM {self._table} WHERE {self._condition(rows[0], guarded=not looked_at)}"
        columns = tuple(zip(*rows, strict=True))
        compared = self.plan.key if looked_at else self._compared
        values = _tuples("ROW", [self._literals(n, columns[n], self._to_compare) for n in compared])
        join, where = (self._join_by_key, "") if looked_at else (self._join, self._where)
        return f"DELETE {self._table} FROM (VALUES {values}) {join}{where}"

    def insert_batches(self, rows: Sequence[Row]) -> Iterator[tuple[Sequence[Row], str]]:
        """Split a run of inserts by rows and bytes: each part and its statement, in order."""
        for start in range(0, len(rows), self.max_rows):
            yield from self._fitting(rows[start : start + self.max_rows], self.insert, self._row_length)

    def delete_batches(self, rows: Sequence[Row]) -> Iterator[tuple[Sequence[Row], str]]:
        """Split a run of deletes likewise."""
        for start in range(0, len(rows), self.max_rows):
            yield from self._fitting(rows[start : start + self.max_rows], self.delete, self._row_length)

    def update_batches(self, pairs: Sequence[Pair]) -> Iterator[tuple[Sequence[Pair], str]]:
        """Split a run of updates likewise, and before a key that its part has seen."""
        for part in self.update_parts(pairs):
            yield from self._fitting(part, self.update, lambda pair: sum(map(self._row_length, pair)))

    def update_parts(self, pairs: Sequence[Pair]) -> Iterator[Sequence[Pair]]:
        """Split a run of updates by their number and keys alone."""
        start = 0
        while start < len(pairs):
            part = pairs[start : start + self.max_rows]
            part = part[: distinct_prefix(part, self._identity)]
            yield part
            start += len(part)

    # A batch that does not fit

    def look_equal(self, images: Sequence[Row], *, lock: bool = True) -> str:
        """Read, as committed last, which of a batch's rows are as their images say: their numbers, counted from 0.

        They are locked from then on, unless that is not wanted; others need not be.
        """
        columns = tuple(zip(*images, strict=True))
        values = [self._literals(n, columns[n], self._to_compare) for n in self._compared]
        listed = _tuples("ROW", [*values, map(str, range(len(images)))])
        end = " FOR UPDATE" if lock else ""
        return f"SELECT {self._list}.column_{len(values)} FROM (VALUES {listed}) {self._join}{self._where}{end}"

    def look_present(self, images: Sequence[Row]) -> str:
        """Read which of the images' keys a row has, whatever else is in it: their numbers. Nothing is locked."""
        columns = tuple(zip(*images, strict=True))
        values = [self._literals(n, columns[n], self._to_compare) for n in self.plan.key]
        listed = _tuples("ROW", [*values, map(str, range(len(images)))])
        return f"SELECT {self._list}.column_{len(values)} FROM (VALUES {listed}) {self._join_by_key}"

    def look_taken(self, befores: Sequence[Row | None], afters: Sequence[Row]) -> str | None:
        """Read likewise which of a batch's rows want a key or a unique value that a row has. None: none can.

        A key over a prefix is not looked at: no index finds its rows.
        """
        looks = []
        for index, key, prefixes in zip(self.plan.target.indexes, self.plan.unique_keys, self.plan.prefixes, strict=True):
            if any(prefixes):
                continue
            wanted = [[after[n] for n in key] for after in afters]
            held = [before and [before[n] for n in key] for before in befores]
            new = [n for n, (old, value) in enumerate(zip(held, wanted, strict=True)) if old != value and None not in value]
            if new:
                columns = zip(*(wanted[n] for n in new), strict=True)
                values = [self._literals(n, column, self._to_compare) for n, column in zip(key, columns, strict=True)]
                join = self._join_on(index, {n: f"{self._list}.column_{m}" for m, n in enumerate(key)})
                listed = _tuples("ROW", [*values, map(str, new)])
                looks.append(f"(SELECT {self._list}.column_{len(key)} FROM (VALUES {listed}) {join} FOR UPDATE)")
        return " UNION ALL ".join(looks) or None

    def apart(self, images: Sequence[Sequence[Row | None]], chosen: Collection[int]) -> bool:
        """Whether none of the chosen changes shares a key value with another one, so that their order is of no matter."""
        return apart(self._unique, images, chosen)

    # One row

    def lock_rows(self, before: Row | None, after: Row | None) -> str:
        """Read and lock the rows that the images' key values name; `local_rows` takes the answer.

        They are the row at the before image's key, and all that hold the primary key or a unique value of the after
        image. The server says whether they equal the images, by the comparison that the batches make.
        """
        return " UNION ALL ".join(self._reads(before, after))

    def lock_all(self, images: Iterable[tuple[Row | None, Row | None]]) -> str:
        """The same for several changes at once; each row of the answer begins with its change's number, counted from 0."""
        return " UNION ALL ".join(read for n, pair in enumerate(images) for read in self._reads(*pair, number=f"{n}, "))

    def _reads(self, before: Row | None, after: Row | None, number: str = "") -> Iterator[str]:
        wanted: dict[str, int] = {}  # condition → roles
        if before is not None:
            wanted[self._match(before, self.plan.key, self.plan.prefixes[0])] = _AT_BEFORE
        if after is not None:
            for n, key in enumerate(self.plan.unique_keys):
                if n == 0 or None not in [after[position] for position in key]:
                    condition = self._match(after, key, self.plan.prefixes[n])
                    wanted[condition] = wanted.get(condition, 0) | (_SHARES_UNIQUE if n else _AT_AFTER)
        # A row that equals an image has its key, so that each image is compared in one of the reads only.
        is_before = "0" if before is None else f"({self._condition(before, guarded=True)})"
        is_after = "0" if after is None else f"({self._condition(after, guarded=True)})"
        values = ", ".join(self._read)
        for condition, roles in wanted.items():
            equal = f"{is_before if roles & _AT_BEFORE else 0}, {is_after if roles & _AT_AFTER else 0}"
            yield f"(SELECT {number}{roles}, {equal}, {values} FROM {self._table} WHERE {condition} FOR UPDATE)"

    def local_rows(self, fetched: Iterable[Sequence[Any]]) -> tuple[LocalRow, ...]:
        """The rows that `lock_rows` found, each once."""
        found: dict[Row, LocalRow] = {}
        for role, is_before, is_after, *values in fetched:
            row = self.canonical(values)
            known = found.get(row, LocalRow(row))
            found[row] = LocalRow(
                row=row,
                at_before=known.at_before or role & _AT_BEFORE > 0,
                at_after=known.at_after or role & _AT_AFTER > 0,
                shares_unique=known.shares_unique or role & _SHARES_UNIQUE > 0,
                is_before=known.is_before or is_before == 1,
                is_after=known.is_after or is_after == 1,
            )
        return tuple(found.values())

    def read_whole(self, local: Row) -> str:
        """Read a row that is locked, with its long values; `canonical` takes the answer."""
        return f"SELECT {', '.join(self.whole)} FROM {self._table} WHERE {self._condition(local, guarded=False)} FOR UPDATE"

    def read_column(self, local: Row, position: int, beside: str) -> str:
        """Read one column of a row that is locked, as it is. beside: expressions that come before it."""
        return f"SELECT {beside}, {self._names[position]} FROM {self._table} WHERE {self._condition(local, guarded=False)}"

    def canonical(self, fetched: Sequence[Any]) -> Row:
        """A row as it was read → its canonical values."""
        values = list(fetched)
        for n, decode in self._decoders.items():
            values[n] = None if values[n] is None else decode(values[n])
        return tuple(values)

    def action(self, action: Action) -> str:
        """The statement of a decision's action. It finds one row by its key alone: that row is locked."""
        if isinstance(action, Insert):
            return self.insert([action.row])
        if isinstance(action, Delete):
            return f"DELETE FROM {self._table} WHERE {self._condition(action.local, guarded=False)}"
        columns = self.plan.written if action.columns is None else [n for n in self.plan.written if n in action.columns]
        return self._set_one(action.local, action.row, columns, guarded=False)

    # Parts

    def _join_on(self, index: str, listed: Mapping[int, str]) -> str:
        match = " AND ".join(match_listed(self.plan.columns[n], self._names[n], place) for n, place in listed.items())
        return f"AS {self._list} STRAIGHT_JOIN {self._table} FORCE INDEX ({quote_name(index)}) ON {match}"

    def _set_one(self, before: Row, after: Row, changed: Iterable[int], *, guarded: bool) -> str:
        values = [f"{self._names[n]} = {_literal(self._to_write[n], after[n])}" for n in changed]
        return f"UPDATE {self._table} SET {', '.join([*values, *self._kept])} WHERE {self._condition(before, guarded=guarded)}"

    def _condition(self, image: Row, *, guarded: bool) -> str:
        match = self._match(image, self.plan.key)
        if not guarded:
            return match
        return " AND ".join([match, *self._guards({n: _literal(self._to_compare[n], image[n]) for n in self.plan.written})])

    def _match(self, image: Row, key: Sequence[int], prefixes: Sequence[int | None] = ()) -> str:
        """Equality of a key's columns, or of as much of them as the key has: rows that agree in that are in each other's way."""
        columns = self.plan.columns
        parts = []
        for n, length in zip(key, prefixes or [None] * len(key), strict=True):
            mine, other = self._names[n], _literal(self._to_compare[n], image[n])
            if length is not None:
                mine, other = f"LEFT({mine}, {length})", f"LEFT({other}, {length})"
            parts.append(match_literal(columns[n], mine, other))
        return " AND ".join(parts)

    def _guards(self, other: Mapping[int, str]) -> Iterator[str]:
        """The exact comparisons that a match of the key leaves to be made."""
        for n in self.plan.written:
            column = self.plan.columns[n]
            if n in other and (n not in self.plan.key or column.kind in TEXTUAL):
                yield KINDS[column.kind].guard(column, self._names[n], other[n])

    def _set_clause(self, changed: tuple[int, ...], start: int) -> str:
        values = [f"{self._names[n]} = {self._list}.column_{start + m}" for m, n in enumerate(changed)]
        return ", ".join([*values, *self._kept])

    def _literals(self, position: int, values: Sequence[object], literals: Sequence[Callable[[Any], str]]) -> Iterable[str]:
        if self.plan.columns[position].kind == "json" and any(type(value) is bytes for value in values):
            return ["NULL" if value is None else json_expression(value) for value in values]  # type: ignore[arg-type]
        if None in values:
            return [_literal(literals[position], value) for value in values]
        return map(literals[position], values)

    def _row_length(self, row: Row) -> int:
        return sum(len(value) for value in [row[n] for n in self.long] if isinstance(value, str | bytes))

    def _fitting(
        self, items: Sequence[_Item], build: Callable[[Sequence[_Item]], str], length: Callable[[_Item], int]
    ) -> Iterator[tuple[Sequence[_Item], str]]:
        """Halve a part until its statement fits; lengths of long values are asked first, so that nothing huge is built."""
        if len(items) == 1 or not self.long or sum(map(length, items)) <= self.max_bytes:
            statement = build(items)
            if len(items) == 1 or _bytes(statement) <= self.max_bytes:
                yield items, statement
                return
        middle = len(items) // 2
        yield from self._fitting(items[:middle], build, length)
        yield from self._fitting(items[middle:], build, length)


def _literal(literal: Callable[[Any], str], value: object) -> str:
    return "NULL" if value is None else literal(value)


def read_value(column: Column, name: str) -> str:
    """How a column is read so that the client has its canonical value; one of kind `encoded` it still decodes."""
    return _CANONICAL.get(column.kind, "{}").format(name)


def value_read(column: Column, fetched: Any) -> Any:
    """What `read_value` read of a column → its canonical value."""
    return charset(column.charset or "").decode(fetched) if column.kind == "encoded" and fetched is not None else fetched


def _read(column: Column, name: str, *, whole: bool) -> str:
    """How a column is read for a decision and its record; of a long value, its SHA-256."""
    value = read_value(column, name)
    if whole or column.kind not in ("text", "binary"):
        return value
    digest = f"SHA2(CONVERT({name} USING utf8mb4), 256)" if column.kind == "text" else f"UNHEX(SHA2({name}, 256))"
    return f"IF(OCTET_LENGTH({name}) > {LONG_BYTES}, {digest}, {value})"


def _base_type(column: Column) -> str:
    return column.sql_type.lower().partition("(")[0]


def match_literal(column: Column, mine: str, literal: str) -> str:
    """Equality with a literal, as the column's index sees it."""
    if column.kind == "float":
        return f"{mine} = CAST({literal} AS FLOAT)"
    if column.kind == "encoded":
        return f"{mine} = {literal} COLLATE {column.collation}"
    if column.kind not in TEXTUAL or column.charset == "utf8mb4" or literal.isascii():
        return f"{mine} = {literal}"
    # What the character set lacks would be error 3854; converted, it is '?', and must not find the row that is called so.
    same = f"CONVERT({literal} USING {column.charset})"
    unchanged = f"CAST(CONVERT({same} USING utf8mb4) AS BINARY) = CAST({literal} AS BINARY)"
    return f"({mine} = {same} COLLATE {column.collation} AND {unchanged})"


def match_listed(column: Column, mine: str, listed: str) -> str:
    """The same with a column of the list; unconverted, text would raise 1267 or leave the index unused."""
    if column.kind not in TEXTUAL:
        return match_literal(column, mine, listed)
    other = listed if column.charset == "utf8mb4" or column.kind == "encoded" else f"CONVERT({listed} USING {column.charset})"
    return f"{mine} = {other} COLLATE {column.collation}"


def _tuples(head: str, columns: Iterable[Iterable[str]]) -> str:
    return f"{head}(" + f"),{head}(".join(map(",".join, zip(*columns, strict=True))) + ")"


def _bytes(statement: str) -> int:
    return len(statement) if statement.isascii() else len(statement.encode())
