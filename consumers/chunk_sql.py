"""The SQL by which rows of a source's table are read in ranges of its key: text only, no connection.

A range is (low, high]: the keys behind one row's and up to another's, each as SQL literals that the source made itself. So the
order of keys is the server's alone, whatever their collation, and nothing here compares them.

Read fast, a range is one value: the source writes its rows as a list for INSERT … VALUES, in which each literal is exact, and
nobody here looks into it. Read whole, its rows are canonical values, as those of an event.

Relies on consumers.target.SESSION_STATEMENTS: on its time zone, character set and escapes.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from consumers.statements import Statements
from consumers.target import TablePlan, TargetTable, plan, quote_name
from schemas.literals import quote_text
from schemas.parts import LONG_BYTES
from schemas.records import Row
from schemas.tables import Column, Table
from schemas.values import literal_of

Bound = tuple[str, ...]  # the values of a key, as SQL literals
FAST_ROW_BYTES = 1 << 20  # of a row's long values: a list has them as hex digits, or with escapes, and holds but a few such rows

# JSON types that a document's text brings back by itself; see schemas/typed_json.py for the others.
_PLAIN_JSON = "'NULL', 'BOOLEAN', 'INTEGER', 'UNSIGNED INTEGER', 'DOUBLE', 'STRING', 'OBJECT', 'ARRAY'"
_PLAIN_KEYS = ("int", "uint64", "decimal", "date", "datetime", "timestamp", "binary")  # which any server compares alike
_HEX = {
    "binary": "CONCAT('X''', HEX({c}), '''')",
    **dict.fromkeys(("geometry", "vector"), "CONCAT('X''', HEX(CAST({c} AS BINARY)), '''')"),
    "bit": "CAST(CAST({c} AS UNSIGNED) AS CHAR)",  # of a SET too, whose number is exact as an UNSIGNED only
    **dict.fromkeys(("int", "uint64", "decimal"), "CAST({c} AS CHAR(80))"),
    **dict.fromkeys(("date", "time", "datetime", "timestamp"), "CONCAT('''', CAST({c} AS CHAR), '''')"),
    # a FLOAT is printed with six digits, and a DOUBLE(20,4) with four behind the point
    **dict.fromkeys(("float", "double"), "CONCAT('''', CAST({c} AS DOUBLE), '''')"),
    "json": "QUOTE(CAST({c} AS CHAR))",
}


class ChunkSql:
    """Reads one table at its source."""

    def __init__(self, source: TargetTable, chosen: TablePlan) -> None:
        """source: as its own server describes it. chosen: how its rows become rows of the target."""
        self.source = source
        self.plan = chosen
        self.rows = Statements(plan(Table(db=source.db, name=source.name, columns=source.columns, key=source.key), source))
        self._table = f"{quote_name(source.db)}.{quote_name(source.name)}"
        self._names = [f"{self._table}.{quote_name(column.name)}" for column in source.columns]
        self._key = [self._names[n] for n in source.key]
        self._bounds = [bound_literal(source.columns[n], self._names[n]) for n in source.key]
        names = ", ".join(quote_name(chosen.columns[n].name) for n in chosen.written)
        self.insert = f"INSERT INTO {quote_name(chosen.target.db)}.{quote_name(chosen.target.name)} ({names}) VALUES ".encode()
        self._written = [(source.columns[n], self._names[n]) for n in chosen.written]
        self.fast = not chosen.supplied and not any(_rounded(column) for column in (*source.columns, *chosen.columns))
        key = {*source.key, *chosen.key}
        self.in_pieces = [n for n in self.rows.long if source.columns[n].kind in ("text", "binary") and n not in key]
        self.documents = [n for n in chosen.written if source.columns[n].kind == "json"]

    def end(self, low: Bound | None, rows: int) -> str:
        """Read the key of the last of so many rows behind `low`, as a bound; no row: there are fewer."""
        order = ", ".join(self._key)
        return (
            f"SELECT {', '.join(self._bounds)} FROM {self._from}{self._where(low, None)}"
            f" ORDER BY {order} LIMIT 1 OFFSET {rows - 1}"
        )

    def read(self, low: Bound | None, high: Bound | None) -> str:
        """Read a range fast: (number of rows, their list in the form of VALUES, how many hold what is not for a list).

        A literal longer than the source's max_allowed_packet is NULL there: the list lacks its row, and the count tells.
        """
        values = ", ',', ".join(_literal_or_null(column, name) for column, name in self._written)
        unfit = [typed_document(self._names[n]) for n in self.documents]
        unfit += [f"{self.long_bytes} > {FAST_ROW_BYTES}"] if self.in_pieces else []
        lossy = f"COALESCE(SUM({' OR '.join(unfit)}), 0)" if unfit else "0"
        return (
            f"SELECT COUNT(*), CAST(GROUP_CONCAT(CONCAT('(', {values}, ')')) AS BINARY), {lossy}"
            f" FROM {self._from}{self._where(low, high)}"
        )

    def read_whole(self, low: Bound | None, high: Bound | None, rows: int) -> str:
        """Read the first rows of a range in the key's order: the key as a bound, bytes of long values, whether each of
        `documents` is typed, and canonical values.

        Of a row with a long value the canonical ones are NULL: it is read by itself.
        """
        long = self.long_bytes
        values = ", ".join(f"IF({long} > {LONG_BYTES}, NULL, {read})" if long != "0" else read for read in self.rows.whole)
        first = [*self._bounds, long, *(typed_document(self._names[n]) for n in self.documents)]
        order = ", ".join(self._key)
        where = self._where(low, high)
        return f"SELECT {', '.join(first)}, {values} FROM {self._from}{where} ORDER BY {order} LIMIT {rows}"

    @property
    def long_bytes(self) -> str:
        """How many bytes a row's long values have together."""
        return " + ".join(f"COALESCE(OCTET_LENGTH({self._names[n]}), 0)" for n in self.in_pieces) or "0"

    def row(self, at: Bound, without: Sequence[int]) -> str:
        """Read one row as canonical values, NULL in place of some."""
        values = ("NULL" if n in without else read for n, read in enumerate(self.rows.whole))
        return f"SELECT {', '.join(values)}{self._at(at)}"

    def piece(self, position: int, at: Bound, start: int, length: int) -> str:
        """Read a part of one column of a row: characters of text, bytes of others, counted from 1."""
        return f"SELECT SUBSTRING({self._names[position]}, {start}, {length}){self._at(at)}"

    def types(self, position: int, at: Bound, paths: Sequence[str]) -> str:
        """Read the types of what a document of one row has at these paths."""
        values = (f"JSON_TYPE(JSON_EXTRACT({self._names[position]}, {quote_text(path)}))" for path in paths)
        return f"SELECT {', '.join(values)}{self._at(at)}"

    def touches(self, keys: Collection[Row], low: Bound | None, high: Bound | None) -> str | None:
        """Ask any server how many of these keys are in a range. None: its answer would depend on more than their values."""
        columns = [self.source.columns[n] for n in self.source.key]
        if self.plan.key != self.source.key or any(column.kind not in _PLAIN_KEYS for column in columns):
            return None
        names = [f"v.column_{n}" for n in range(len(columns))]
        rows = (", ".join(literal_of(column)(value) for column, value in zip(columns, key, strict=True)) for key in keys)
        limits = [behind(names, low) if low is not None else "TRUE", up_to(names, high) if high is not None else "TRUE"]
        return f"SELECT COUNT(*) FROM (VALUES {', '.join(f'ROW({row})' for row in rows)}) AS v WHERE {' AND '.join(limits)}"

    def _at(self, at: Bound) -> str:
        match = " AND ".join(f"{name} = {literal}" for name, literal in zip(self._key, at, strict=True))
        return f" FROM {self._from} WHERE {match}"

    @property
    def _from(self) -> str:
        return f"{self._table} FORCE INDEX ({quote_name(self.source.indexes[0])})"

    def _where(self, low: Bound | None, high: Bound | None) -> str:
        limits = [] if low is None else [behind(self._key, low)]
        if high is not None:
            limits.append(up_to(self._key, high))
        return f" WHERE {' AND '.join(limits)}" if limits else ""


def behind(names: Sequence[str], bound: Bound) -> str:
    """Keys greater than a bound, in a form of which the server makes ranges of an index; of (a, b) > (1, 2) it makes none."""
    return "(" + " OR ".join(_steps(names, bound, last=">")) + ")"


def up_to(names: Sequence[str], bound: Bound) -> str:
    """Keys not greater than a bound, likewise."""
    steps = _steps(names[:-1], bound[:-1], last="<")
    return "(" + " OR ".join([*steps, _equal(names[:-1], bound[:-1], f"{names[-1]} <= {bound[-1]}")]) + ")"


def _steps(names: Sequence[str], bound: Sequence[str], *, last: str) -> list[str]:
    return [_equal(names[:n], bound[:n], f"{names[n]} {last} {bound[n]}") for n in range(len(names))]


def _equal(names: Sequence[str], bound: Sequence[str], then: str) -> str:
    return " AND ".join([*(f"{name} = {value}" for name, value in zip(names, bound, strict=True)), then])


def bound_literal(column: Column, name: str) -> str:
    """An expression whose value is a literal that compares with the column as its index does."""
    if column.kind in ("enum", "set"):
        return f"CAST(CAST({name} AS UNSIGNED) AS CHAR)"  # indexes have the number; the label sorts otherwise
    if column.kind in ("text", "encoded"):
        return f"CONCAT('_{column.charset} X''', HEX({name}), ''' COLLATE {column.collation}')"
    if column.kind == "float":
        return f"CONCAT('CAST(''', CAST({name} AS DOUBLE), ''' AS FLOAT)')"
    if column.kind == "double":
        return f"CONCAT('CAST(''', CAST({name} AS DOUBLE), ''' AS DOUBLE)')"
    return _HEX[column.kind].format(c=name)


def literal(column: Column, name: str) -> str:
    """An expression whose value is the literal of a column's value that is not NULL: exact, when it is inserted."""
    if column.kind in ("text", "enum", "set") and column.charset in ("utf8mb4", "utf8mb3", "ascii", "latin1"):
        return f"QUOTE(CONVERT({name} USING utf8mb4))"
    if column.kind in ("encoded", "enum", "set"):
        return f"CONCAT('_{column.charset} X''', HEX({name}), '''')"
    return _HEX[column.kind].format(c=name)


def typed_document(name: str) -> str:
    """Whether a document holds values whose type its text would lose: 0 or 1."""
    inner = [
        f"EXISTS (SELECT 1 FROM JSON_TABLE({name}, '{path}' COLUMNS (v JSON PATH '$')) AS j"
        f" WHERE JSON_TYPE(j.v) NOT IN ({_PLAIN_JSON}))"
        for path in ("$**.*", "$**[*]")
    ]
    return f"({name} IS NOT NULL AND (JSON_TYPE({name}) NOT IN ({_PLAIN_JSON}) OR {' OR '.join(inner)}))"


def _literal_or_null(column: Column, name: str) -> str:
    """By the value, not by its literal, which is NULL too where it is too long."""
    return f"IF({name} IS NULL, 'NULL', {literal(column, name)})" if column.nullable else literal(column, name)


def _rounded(column: Column) -> bool:
    """FLOAT(10,3): see schemas.values.written_literal_of."""
    return column.kind == "float" and "(" in column.sql_type
