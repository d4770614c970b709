"""Every decoded value equals what the server itself prints; what cannot be decoded is an error, never a wrong value.

BISYNC_TEST_ROUNDS: how many random tables (default 300); BISYNC_TEST_TABLE_ROWS: rows of each (default 8); BISYNC_TEST_SEED:
where they begin.
"""

import json
import os
import struct
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

import pymysql.err
import pytest
from capturing import Capture, here, printing
from pymysql.cursors import Cursor
from random_tables import RandomTable
from random_types import HEX, HEX_UTF8, RandomColumn, double_literal, from_hex
from sql_files import SQL_FILES, statements

from bisync_topology.errors import CaptureError
from producers.capture import Position
from producers.json_binary import double_text
from producers.transactions import Ddl, End, Item, Rows
from sandbox.mysql import MySQLServer
from schemas.typed_json import json_literal
from schemas.values import DATA_TYPE_KINDS

ROUNDS = int(os.environ.get("BISYNC_TEST_ROUNDS", "300"))
ROWS = int(os.environ.get("BISYNC_TEST_TABLE_ROWS", "8"))
SEED = int(os.environ.get("BISYNC_TEST_SEED", "1"))
BUDGET_SECONDS = 40.0 if "BISYNC_TEST_ROUNDS" not in os.environ else float("inf")
Image = dict[Any, list[object]]


@pytest.fixture
def capture(source: MySQLServer) -> Iterator[Capture]:
    """What is committed in databases d_… from now on."""
    with Capture(source, ["d_*", "!d_out"]) as capture:
        yield capture


@pytest.fixture
def cursor(source: MySQLServer) -> Iterator[Cursor]:
    """A session that prints values as the server does, in a fresh database."""
    with printing(source) as connection, connection.cursor() as cursor:
        cursor.execute("DROP DATABASE IF EXISTS d_types")
        cursor.execute("CREATE DATABASE d_types CHARACTER SET utf8mb4")
        cursor.execute("USE d_types")
        yield cursor
        cursor.execute("DROP DATABASE d_types")


def exactly(value: object) -> object:
    """A value that is equal only to its very self: the sign of zero and kinds of values told apart."""
    return (type(value), struct.pack("<d", value) if isinstance(value, float) else value)


def rows_of(items: Sequence[Item], table: str) -> dict[str, list[list[object]]]:
    """op → images of a table, in order."""
    found: dict[str, list[list[object]]] = {"c": [], "u": [], "d": []}
    for item in items:
        if isinstance(item, Rows) and item.table.name == table:
            found[item.op] += [list(image) for image in item.images]
    return found


# --- random tables --------------------------------------------------------------------------------------------------


class CheckedTable(RandomTable):
    """A random table whose decoded images are compared with what the server prints."""

    def printed(self, cursor: Cursor) -> dict[int, list[object]]:
        """id → the row's values as the server prints them, made canonical; in the table's own order of columns."""
        expressions = [column.type.printed.format(c=column.quoted) for column in self.columns]
        cursor.execute(f"SELECT {', '.join(['CAST(id AS CHAR)', *expressions])} FROM {self.name}")
        rows = {}
        for number, *values in cursor.fetchall():
            row: list[object] = [
                None if value is None else column.type.canonical(value)
                for column, value in zip(self.columns, values, strict=True)
            ]
            row.insert(self.key_at, int(number))
            rows[int(number)] = row
        return rows

    def check(
        self, items: Sequence[Item], before: dict[int, list[object]], after: dict[int, list[object]], cursor: Cursor
    ) -> int:
        """Compare every image with what was printed; gives the number of values compared."""
        found = rows_of(items, self.name)
        self._same({row[self.key_at]: row for row in found["c"]}, before)
        pairs = list(zip(found["u"][::2], found["u"][1::2], strict=True))
        self._same({row[self.key_at]: row for row, _ in pairs}, {old[self.key_at]: before[_id(old, self)] for old, _ in pairs})
        self._same({row[self.key_at]: row for _, row in pairs}, {new[self.key_at]: after[_id(new, self)] for _, new in pairs})
        changed = {_id(old, self) for old, _ in pairs}
        assert [n for n in before if n not in changed and str(before[n]) != str(after[n])] == []
        self._same({row[self.key_at]: row for row in found["d"]}, after)
        self._described(items, cursor)
        return sum(len(rows) for rows in found.values()) * (len(self.columns) + 1)

    def _same(self, found: dict[Any, list[object]], expected: dict[Any, list[object]]) -> None:
        assert found.keys() == expected.keys()
        for key, row in expected.items():
            for n, (mine, server) in enumerate(zip(found[key], row, strict=True)):
                assert exactly(mine) == exactly(server), f"{self.name} row {key}: {self._definition(n)}: {mine!r}, not {server!r}"

    def _definition(self, at: int) -> str:
        return "id" if at == self.key_at else self._without_key()[at].definition

    def _without_key(self) -> list[RandomColumn | Any]:
        columns: list[Any] = list(self.columns)
        columns.insert(self.key_at, None)
        return columns

    def _described(self, items: Sequence[Item], cursor: Cursor) -> None:
        """Names, types, NULL and character sets of the table map are those of information_schema."""
        table = next(item.table.table for item in items if isinstance(item, Rows) and item.table.name == self.name)
        assert table is not None
        assert [table.columns[n].name for n in table.key] == ["id"]
        cursor.execute(
            "SELECT COLUMN_NAME, COLUMN_TYPE, IS_NULLABLE, CHARACTER_SET_NAME FROM information_schema.COLUMNS"
            " WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = %s ORDER BY ORDINAL_POSITION",
            (self.name,),
        )
        for column, (name, sql_type, nullable, charset) in zip(table.columns, cursor.fetchall(), strict=True):
            assert (column.name, column.nullable, column.charset) == (name, nullable == "YES", charset)
            # digits after the point of FLOAT(10,3) and a width are not in the binlog; ? is how it prints four-byte characters
            if not any(part in sql_type for part in ("(10,3)", "(20,4)", "int(7)", "?")):
                assert column.sql_type == sql_type


def _id(row: list[object], table: CheckedTable) -> int:
    number = row[table.key_at]
    assert isinstance(number, int)
    return number


def test_random_tables_decode_to_what_the_server_prints(capture: Capture, cursor: Cursor) -> None:
    """Random columns of every supported type with boundary-heavy rows, inserted, updated and deleted."""
    began = time.monotonic()
    tables = values = 0
    while tables < ROUNDS and time.monotonic() - began < BUDGET_SECONDS:
        batch = [CheckedTable(f"t{n}", Random(SEED * 1_000_003 + n)) for n in range(tables, min(tables + 10, ROUNDS))]
        printed, items = [], []
        for table in batch:
            table.create(cursor)
            cursor.execute("BEGIN")
            table.fill(cursor, ROWS)
            before = table.printed(cursor)
            table.update(cursor, ROWS)
            after = table.printed(cursor)
            cursor.execute(f"DELETE FROM {table.name}")
            cursor.execute("COMMIT")
            printed.append((before, after))
            items += capture.items()  # now: the server closes a stream that nobody reads for net_write_timeout, 60 s
        for table, (before, after) in zip(batch, printed, strict=True):
            values += table.check(items, before, after, cursor)
        tables += len(batch)
    print(f"{tables} tables, {values} values in {time.monotonic() - began:.1f} s")
    assert tables >= min(ROUNDS, 50)


# --- one thing at a time --------------------------------------------------------------------------------------------


def check_column(
    capture: Capture, cursor: Cursor, sql: str, literals: Sequence[str], printed: str, canonical: Any = str
) -> list[object]:
    """A table with one column of a type and these values: what was decoded, equal to what the server prints."""
    cursor.execute("DROP TABLE IF EXISTS one")
    cursor.execute(f"CREATE TABLE one (id INT PRIMARY KEY AUTO_INCREMENT, v {sql})")
    capture.items()
    cursor.execute(f"INSERT INTO one (v) VALUES {', '.join(f'({literal})' for literal in literals)}")
    cursor.execute(f"SELECT {printed.format(c='v')} FROM one ORDER BY id")
    server = [None if value is None else canonical(value) for (value,) in cursor.fetchall()]
    decoded = [row[1] for row in rows_of(capture.items(), "one")["c"]]
    assert [exactly(v) for v in decoded] == [exactly(v) for v in server]
    return decoded


def test_doubles_in_json_print_as_the_servers(cursor: Cursor) -> None:
    """Thousands of doubles, many around the borders of the exponent form: the text is the server's, digit by digit."""
    random = Random(SEED)
    values = [float(f"{digits}e{exponent}") for exponent in range(-30, 31) for digits in ("1", "9.5", "1234567890123456", "0.3")]
    values += [struct.unpack("<d", random.randbytes(8))[0] for _ in range(3000)]
    values += [random.uniform(-1, 1) * 10 ** random.randint(-20, 20) for _ in range(3000)]
    values = [value for value in values if value - value == 0]  # finite
    for start in range(0, len(values), 1000):
        part = values[start : start + 1000]
        cursor.execute("SELECT CAST(CAST(%s AS JSON) AS CHAR)", (f"[{','.join(map(double_literal, part))}]",))
        ((text,),) = cursor.fetchall()
        assert [double_text(value) for value in part] == text[1:-1].split(", ")


def test_every_latin1_byte(capture: Capture, cursor: Cursor) -> None:
    """All 256 bytes of latin1, also those that windows-1252 has no character for."""
    literals = [f"_latin1 X'{n:02x}61'" for n in range(256)]
    decoded = check_column(capture, cursor, "VARCHAR(9) CHARACTER SET latin1", literals, HEX_UTF8, from_hex)
    assert len(set(decoded)) == 256


def test_every_char_length(capture: Capture, cursor: Cursor) -> None:
    """CHAR(n) in utf8mb4 for each n: its length's high bits hide in its type."""
    for lengths in (range(128), range(128, 192), range(192, 256)):  # a row has 65535 bytes
        definitions = [f"c{n} CHAR({n}) CHARACTER SET utf8mb4 NOT NULL" for n in lengths]
        values = [f"REPEAT('😀', {n})" for n in lengths]
        cursor.execute(f"CREATE TABLE wide{lengths[0]} (id INT PRIMARY KEY, {', '.join(definitions)}) ENGINE=MyISAM")
        cursor.execute(f"INSERT INTO wide{lengths[0]} VALUES (1, {', '.join(values)})")
        assert rows_of(capture.items(), f"wide{lengths[0]}")["c"] == [[1, *("😀" * n for n in lengths)]]


def test_binary_is_padded_as_stored(capture: Capture, cursor: Cursor) -> None:
    """BINARY(n): zeros at the end, which the binlog leaves out, are there; X'6100' and X'61' are one value."""
    assert check_column(capture, cursor, "BINARY(3)", ["X'610000'", "X'61'", "''", "NULL"], HEX, bytes.fromhex)[:3] == [
        b"a\0\0",
        b"a\0\0",
        b"\0\0\0",
    ]


def test_a_negative_zero(capture: Capture, cursor: Cursor) -> None:
    """DOUBLE keeps its sign, DECIMAL has none."""
    assert str(check_column(capture, cursor, "DOUBLE", ["-0e0", "0e0"], "CAST({c} AS CHAR)", float)) == "[-0.0, 0.0]"
    assert check_column(capture, cursor, "DECIMAL(5,2)", ["-0.001", "-0.00"], "CAST({c} AS CHAR)") == ["0.00", "0.00"]


def test_a_json_column_added_to_old_rows(capture: Capture, cursor: Cursor) -> None:
    """NOT NULL JSON added by ALTER: what old rows hold then, which is no bytes at all, prints as the server's null."""
    cursor.execute("CREATE TABLE old (id INT PRIMARY KEY)")
    cursor.execute("INSERT INTO old VALUES (1)")
    cursor.execute("ALTER TABLE old ADD v JSON NOT NULL")
    cursor.execute("SELECT CAST(v AS CHAR) FROM old")
    ((printed,),) = cursor.fetchall()
    capture.items()
    cursor.execute("DELETE FROM old")
    assert rows_of(capture.items(), "old")["d"] == [[1, printed]]


@pytest.mark.parametrize("engine", ["InnoDB", "MyISAM"])
def test_generated_invisible_and_indexed_columns(capture: Capture, cursor: Cursor, engine: str) -> None:
    """Generated columns come with their values, invisible ones by name; the hidden column of a functional index does not come."""
    functional = ", KEY ((CAST(a AS CHAR(20))))" if engine == "InnoDB" else ""
    cursor.execute(
        f"CREATE TABLE g (a INT, v INT AS (a + 1) VIRTUAL, s VARCHAR(20) AS (CONCAT('<', a, '>')) STORED, id INT PRIMARY KEY,"
        f" i INT INVISIBLE DEFAULT 7{functional}) ENGINE={engine}"
    )
    cursor.execute("INSERT INTO g (a, id) VALUES (4, 1)")
    cursor.execute("UPDATE g SET a = 5")
    items = capture.items()
    found = rows_of(items, "g")
    assert found["c"] == [[4, 5, "<4>", 1, 7]]
    assert found["u"] == [[4, 5, "<4>", 1, 7], [5, 6, "<5>", 1, 7]]
    table = next(item.table.table for item in items if isinstance(item, Rows))
    assert table is not None
    assert [column.name for column in table.columns] == ["a", "v", "s", "id", "i"]
    assert table.key == (3,)


def test_keys(capture: Capture, cursor: Cursor) -> None:
    """Primary keys in their own order; without one the NOT NULL unique key that the server takes; a generated one."""
    cursor.execute("CREATE TABLE k1 (a INT, b INT, c INT, PRIMARY KEY (c, a))")
    cursor.execute("CREATE TABLE k2 (a INT NOT NULL, b INT, c INT NOT NULL, UNIQUE n (b), UNIQUE y (c, a), UNIQUE p (a))")
    cursor.execute("SET sql_generate_invisible_primary_key = ON")
    cursor.execute("CREATE TABLE k3 (a INT)")
    for name in ("k1", "k2", "k3"):
        cursor.execute(f"INSERT INTO {name} (a) VALUES (1)" if name == "k3" else f"INSERT INTO {name} VALUES (1, 2, 3)")
    keys = {}
    for item in capture.items():
        if isinstance(item, Rows) and item.table.table is not None:
            keys[item.table.name] = [item.table.table.columns[n].name for n in item.table.table.key]
    assert keys == {"k1": ["c", "a"], "k2": ["c", "a"], "k3": ["my_row_id"]}


def test_a_large_row(source: MySQLServer, capture: Capture, cursor: Cursor) -> None:
    """A value of 40 MB, whose event goes over three packets, between small ones."""
    cursor.execute("CREATE TABLE big (id INT PRIMARY KEY, v LONGTEXT, b LONGBLOB)")
    cursor.execute("INSERT INTO big VALUES (1, 'before', 'x'), (2, REPEAT('é', 20000000), REPEAT('z', 17000000)), (3, '', '')")
    cursor.execute("UPDATE big SET b = 'y' WHERE id = 2")
    found = rows_of(capture.items(), "big")
    assert [row[0] for row in found["c"]] == [1, 2, 3]
    _, text, data = found["c"][1]
    assert isinstance(text, memoryview) and isinstance(data, memoryview)  # long values are not copied out of their event
    assert str(text, "utf-8") == "é" * 20_000_000
    assert bytes(data) == b"z" * 17_000_000
    assert [bytes(row[2]) for row in found["u"]] == [b"z" * 17_000_000, b"y"]


# --- what cannot be decoded -----------------------------------------------------------------------------------------


def refused(capture: Capture, code: str) -> CaptureError:
    """The error that the last commit leads to: with gtid, position and a hint that leads past it."""
    with pytest.raises(CaptureError) as raised:
        capture.items()
    error = raised.value
    assert error.code == code, error
    assert error.where.side == "east"
    assert error.where.gtid
    assert error.where.log_file
    assert error.where.log_pos
    assert f"bisync-topology skip east west --gtid {error.where.gtid}" in (error.hint or "")
    return error


@pytest.mark.parametrize(
    ("sql", "value", "code"),
    [
        ("ENUM('a') CHARACTER SET binary", "'a'", "unsupported_charset"),
        ("ENUM('a','b')", "0", "undecodable"),
    ],
)
def test_unsupported_types_are_refused(source: MySQLServer, cursor: Cursor, sql: str, value: str, code: str) -> None:
    """Each stops at its row with the table's name, and `skip` of that transaction leads past it to the next."""
    with Capture(source, ["d_*"]) as capture:
        cursor.execute(f"CREATE TABLE x (id INT PRIMARY KEY, v {sql})")
        cursor.execute(f"INSERT INTO x VALUES (1, {value})")
        cursor.execute("CREATE TABLE y (id INT PRIMARY KEY)")
        error = refused(capture, code)
        assert error.where.table == "d_types.x"
    assert error.where.gtid
    with Capture(source, ["d_*"], _before(source, error.where.gtid), skips=[error.where.gtid]) as capture:
        skipped, ddl, _ = capture.items()
    assert isinstance(skipped, End) and isinstance(ddl, Ddl)
    assert (skipped.head.skipped, skipped.tables) == (True, ("d_types.x",))


def test_typed_values_in_documents_come_back(capture: Capture, cursor: Cursor) -> None:
    """Each type that a document can hold: decoded, written by our literal, decoded again, printed alike."""
    columns = "d DECIMAL(30,10), ts TIMESTAMP(3) NULL, bi BIT(9), bl BLOB, b BINARY(4), mb MEDIUMBLOB, lb LONGBLOB"
    cursor.execute(f"CREATE TABLE held (id INT PRIMARY KEY, {columns})")
    cursor.execute("INSERT INTO held VALUES (1, -1.5, '2015-01-15 01:02:03.5', 257, X'00ff', X'00ff', X'00ff', X'00ff')")
    values = [
        "1.50",
        "-0.5",
        f"CAST('-{'9' * 65}' AS DECIMAL(65,0))",
        f"CAST('0.{'0' * 29}1' AS DECIMAL(65,30))",
        "X'00ff'",
        "X''",
        "b'101'",
    ]
    values += [
        "DATE'2015-01-15'",
        "CAST('2015-00-00' AS DATE)",
        "CAST('0000-00-00' AS DATETIME(6))",
        "NOW(6)",
        "TIME'-838:59:59'",
    ]
    values += ["CAST('-00:00:00.000001' AS TIME(6))", "UUID_TO_BIN(UUID())", "d", "ts", "bi", "bl", "b", "mb", "lb"]
    documents = [form.format(v=value) for value in values for form in ("CAST({v} AS JSON)", "JSON_ARRAY(1, {v})")]
    documents.append("JSON_OBJECT('a \"b\\\\', JSON_ARRAY(d, JSON_OBJECT('', ts, 'é', 1.5)), '$', lb, 'x', 'plain')")
    cursor.execute("CREATE TABLE doc (id INT PRIMARY KEY, j JSON)")
    capture.items()
    for n, document in enumerate(documents):
        cursor.execute(f"INSERT INTO doc SELECT {n}, {document} FROM held")
    first = [image[1] for image in rows_of(capture.items(), "doc")["c"]]
    assert len(first) == len(documents)
    assert all(isinstance(value, bytes) for value in first)
    cursor.execute("SET SESSION time_zone = '+00:00'")
    for n, value in enumerate(first):
        assert isinstance(value, bytes)
        cursor.execute(f"INSERT INTO doc VALUES ({1000 + n}, {json_literal(value)})")
    again = [image[1] for image in rows_of(capture.items(), "doc")["c"]]
    assert again == first
    cursor.execute("SELECT CAST(j AS CHAR) FROM doc ORDER BY id")
    printed = [text for (text,) in cursor.fetchall()]
    assert printed[: len(documents)] == printed[len(documents) :]
    assert printed[: len(documents)] == [json.loads(value)["text"] for value in first if isinstance(value, bytes)]


def _before(source: MySQLServer, gtid: str) -> Position:
    """The position from which a transaction is the next."""
    uuid, number = gtid.split(":")
    with source.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT GTID_SUBTRACT(@@gtid_executed, %s)", (f"{uuid}:{number}-9999999",))
        ((executed,),) = cursor.fetchall()
    return Position(executed.replace("\n", ""), "", 4)


@pytest.mark.parametrize("sql", ["ENUM('a') CHARACTER SET binary", "SET('a') CHARACTER SET binary"])
def test_unsupported_types_out_of_scope_pass(capture: Capture, cursor: Cursor, sql: str) -> None:
    """A table that no direction carries may hold anything."""
    capture.items()
    cursor.execute("CREATE DATABASE d_out")
    cursor.execute(f"CREATE TABLE d_out.x (id INT, v {sql})")
    cursor.execute("INSERT INTO d_out.x VALUES (1, NULL)")
    cursor.execute("DROP DATABASE d_out")
    assert not [item for item in capture.items() if not isinstance(item, End)]


@pytest.mark.parametrize(
    ("settings", "change", "code"),
    [
        ("binlog_row_image = MINIMAL", "UPDATE t SET v = 'b'", "row_image"),
        ("binlog_row_image = NOBLOB", "UPDATE t SET v = 'b'", "row_image"),
        ("binlog_format = STATEMENT", "UPDATE t SET v = 'b'", "not_captured"),
        ("binlog_format = STATEMENT", "SET @a = 5; INSERT INTO t (id, v, j) VALUES (@a, RAND(), NULL)", "not_captured"),
        ("binlog_format = MIXED", "UPDATE t SET v = 'b'", "not_captured"),
        ("GLOBAL binlog_row_metadata = MINIMAL", "UPDATE t SET v = 'b'", "row_metadata"),
    ],
)
def test_sessions_that_write_other_forms_are_refused(
    source: MySQLServer, cursor: Cursor, settings: str, change: str, code: str
) -> None:
    """Any client can set these in its session: each stops with its place, and `skip` leads past what it wrote."""
    cursor.execute("CREATE TABLE t (id INT PRIMARY KEY, v TEXT, j JSON)")
    cursor.execute('INSERT INTO t VALUES (1, \'a\', \'{"a": 1, "b": "some text that makes the document longer"}\')')
    with Capture(source, ["d_*"]) as capture:
        with source.connect(database="d_types") as connection, connection.cursor() as other:
            other.execute(f"SET {settings}")
            try:
                for statement in change.split(";"):
                    other.execute(statement)
            finally:
                other.execute("SET GLOBAL binlog_row_metadata = FULL")
        error = refused(capture, code)
    with source.connect(database="d_types") as connection, connection.cursor() as other:
        other.execute("INSERT INTO t VALUES (2, 'later', NULL)")
    assert error.where.gtid
    with Capture(source, ["d_*"], _before(source, error.where.gtid), skips=[error.where.gtid]) as capture:
        skipped, rows, end = capture.items()
    assert isinstance(skipped, End) and skipped.head.skipped
    assert skipped.head.gtid == error.where.gtid
    assert isinstance(rows, Rows) and isinstance(end, End)
    assert rows.images == [(2, "later", None)]


# --- SQL that others wrote ------------------------------------------------------------------------------------------


PRINTED = {
    **dict.fromkeys(("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"), (HEX, bytes.fromhex)),
    **dict.fromkeys(("tinyint", "smallint", "mediumint", "int", "bigint", "year"), ("CAST({c} AS CHAR)", int)),
    "float": ("CAST({c} AS DOUBLE)", float),
    "double": ("CAST({c} AS CHAR)", float),
    **dict.fromkeys(("decimal", "date", "time", "datetime", "timestamp"), ("CAST({c} AS CHAR)", str)),
    "bit": ("CAST(CAST({c} AS UNSIGNED) AS CHAR)", str),
    **dict.fromkeys(
        [name for name, kind in DATA_TYPE_KINDS.items() if kind in ("geometry", "vector")],
        ("HEX(CAST({c} AS BINARY))", bytes.fromhex),
    ),
}


@pytest.mark.parametrize("name", sorted(path.name for path in SQL_FILES.glob("*.sql")) or ["(absent)"])
def test_sql_files_of_others(source: MySQLServer, name: str) -> None:
    """Debezium's SQL over MySQL's types: each row decodes to what the server prints, or is refused; never a wrong value."""
    if not SQL_FILES.is_dir():
        pytest.skip(f"{SQL_FILES} is absent: real SQL of others is read from there")
    with printing(source) as connection, connection.cursor() as cursor:
        cursor.execute("DROP DATABASE IF EXISTS d_files")
        cursor.execute("CREATE DATABASE d_files CHARACTER SET utf8mb4")
        cursor.execute("USE d_files")
        cursor.execute("SET sql_mode = 'ALLOW_INVALID_DATES', foreign_key_checks = 0, sql_generate_invisible_primary_key = ON")
        position = here(source)
        assert _run(cursor, (SQL_FILES / name).read_text(encoding="utf-8"))
        cursor.execute(
            "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'd_files' AND TABLE_TYPE = 'BASE TABLE'"
        )
        outcome = {table: _compare(source, cursor, table, position) for (table,) in cursor.fetchall()}
        print(outcome)
        cursor.execute("DROP DATABASE d_files")


def _run(cursor: Cursor, text: str) -> int:
    ran = 0
    for statement in statements(text):
        try:
            cursor.execute(statement)
        except (pymysql.err.MySQLError, ValueError):
            continue  # written for another version, or by account
        ran += 1
    return ran


def _compare(source: MySQLServer, cursor: Cursor, table: str, position: Position) -> str:
    """Compare the rows that one table's changes add up to with what the server prints; tells how it went."""
    cursor.execute(
        "SELECT COLUMN_NAME, DATA_TYPE, COLUMN_TYPE FROM information_schema.COLUMNS"
        " WHERE TABLE_SCHEMA = 'd_files' AND TABLE_NAME = %s ORDER BY ORDINAL_POSITION",
        (table,),
    )
    columns = cursor.fetchall()
    expressions, canonicals = [], []
    for name, data_type, column_type in columns:
        printed, canonical = PRINTED.get(data_type, (HEX_UTF8, from_hex))
        quoted = "`" + name.replace("`", "``") + "`"
        if data_type == "bigint" and "unsigned" in column_type:
            canonical = str
        expressions.append(printed.format(c=quoted if "zerofill" not in column_type else f"({quoted} + 0)"))
        canonicals.append(canonical)
    items, refusals = _captured(source, table, position)
    decoded = _state(items)
    quoted = "`" + table.replace("`", "``") + "`"
    cursor.execute(f"SELECT {', '.join(expressions)} FROM {quoted}")
    server = [
        [None if value is None else canonical(value) for canonical, value in zip(canonicals, row, strict=True)]
        for row in cursor.fetchall()
    ]
    typed = [n for n, (_, data_type, _) in enumerate(columns) if data_type == "json"]
    for row in decoded:  # the server prints a document's text alone
        for n in typed:
            row[n] = json.loads(value)["text"] if isinstance(value := row[n], bytes) else value
    missing = Counter(map(repr, server)) - Counter(map(repr, decoded))
    assert not Counter(map(repr, decoded)) - Counter(map(repr, server))
    assert not missing or refusals, "a row that was neither decoded nor refused"
    return f"{len(decoded)} of {len(server)} rows, refused {dict(Counter(refusals))}"


def _captured(source: MySQLServer, table: str, position: Position) -> tuple[list[Item], list[str]]:
    """A table's items, and the codes of the transactions that were refused and then skipped, as a user would."""
    quoted = "`" + table.replace("`", "``") + "`"
    skips: list[str] = []
    codes: list[str] = []
    while True:
        with Capture(source, [f"d_files.{quoted}"], position, skips=skips) as capture:
            try:
                return capture.items(), codes
            except CaptureError as error:
                assert error.where.gtid not in (None, *skips)
                assert error.where.gtid
                assert error.hint
                skips.append(error.where.gtid)
                codes.append(error.code)


def _state(items: Sequence[Item]) -> list[list[object]]:
    """The rows that are there after all changes."""
    state: dict[object, list[object]] = {}
    for item in items:
        if isinstance(item, Rows):
            assert item.table.table is not None
            for n, image in enumerate(item.images):
                key = tuple(exactly(image[column]) for column in item.table.table.key)
                if item.op == "d" or (item.op == "u" and n % 2 == 0):
                    before = state.pop(key, None)  # none: its insert was refused
                    assert before is None or [exactly(v) for v in before] == [exactly(v) for v in image]
                else:
                    state[key] = list(image)
    return list(state.values())
