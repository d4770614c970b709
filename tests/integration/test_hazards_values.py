"""Values that the library decodes to something else without an error, each beside what capture makes of the same bytes."""

import json
import struct
from collections.abc import Iterator
from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest
from both_readers import Values, captured, library_changes, library_events, ours
from capturing import here
from pymysqlreplication import row_event
from pymysqlreplication.row_event import TableMapEvent, WriteRowsEvent

from producers.transactions import Rows
from sandbox.mysql import MySQLServer


def typed(text: str, mysql_type: str, value: str) -> bytes:
    """A document that is one value of a type that JSON lacks, as it travels."""
    document = {"text": json.dumps(text), "typed": [["$", mysql_type, value]]}
    return json.dumps(document, separators=(",", ":")).encode()


THEN = "2015-01-15 01:02:03.000000"

# SQL type, value, what the library gives, what capture gives
WRONG: list[tuple[str, str, object, object]] = [
    ("TIME(2)", "'-00:00:00.01'", timedelta(seconds=-0.99), "-00:00:00.01"),
    (
        "TIME(6)",
        "'-838:59:58.000001'",
        -timedelta(hours=838, minutes=59, seconds=59) + timedelta(microseconds=1),
        "-838:59:58.000001",
    ),
    ("TIMESTAMP NULL", "0", datetime(1970, 1, 1), "0000-00-00 00:00:00"),
    ("TIMESTAMP(3) NULL", "0", datetime(1970, 1, 1), "0000-00-00 00:00:00.000"),
    ("YEAR", "0", 1900, 0),
    ("DATE", "'0000-00-00'", None, "0000-00-00"),
    ("DATE", "'2024-00-31'", None, "2024-00-31"),
    ("DATETIME", "'0000-00-00'", None, "0000-00-00 00:00:00"),
    ("DATETIME(6)", "'2024-00-31 01:02:03.000004'", None, "2024-00-31 01:02:03.000004"),
    ("DATETIME", "'2024-02-31 01:02:03'", None, "2024-02-31 01:02:03"),
    ("JSON", "'null'", None, "null"),
    ("JSON", '\'{"é": "x"}\'', {"é".encode(): b"x"}, '{"é": "x"}'),
    ("JSON", "CAST(TIME'-01:02:03' AS JSON)", time(1, 2, 3), typed("-01:02:03.000000", "TIME(6)", "-01:02:03.000000")),
    ("JSON", "CAST(DATE'2024-01-02' AS JSON)", datetime(2024, 1, 2), typed("2024-01-02", "DATE", "2024-01-02")),
    ("JSON", "CAST(bl AS JSON)", "\0", typed("base64:type252:AP8=", "BLOB", "00ff")),
    ("JSON", "CAST(X'00ff' AS JSON)", "\0", typed("base64:type15:AP8=", "VARBINARY", "00ff")),
    ("JSON", "CAST(bi AS JSON)", "\x01\x01", typed("base64:type16:AQE=", "BIT(16)", "257")),
    (
        "JSON",
        "CAST(ts AS JSON)",
        "\0\0\0\x10\x1e\x19",
        typed(THEN, "TIMESTAMP(6)", THEN),
    ),
    ("ENUM('é','b') CHARACTER SET latin1", "'é'", "", "é"),
    ("SET('é','b') CHARACTER SET latin1", "'é,b'", {"", "b"}, "é,b"),
    ("ENUM('漢','a') CHARACTER SET gbk", "'漢'", "", "漢"),
    ("SET('漢','a') CHARACTER SET gbk", "'漢'", {""}, "漢"),
    ("VARCHAR(9) CHARACTER SET utf16", "'aé'", "愀\ue900", "aé"),
    ("VARCHAR(9) CHARACTER SET sjis", "_sjis X'815f'", "＼", b"\x81\x5f"),
    ("VARCHAR(9) CHARACTER SET ucs2", "'aé'", b"\0a\0\xe9", "aé"),
    ("VARCHAR(9) CHARACTER SET utf16le", "'aé'", b"a\0\xe9\0", "aé"),
    ("VARCHAR(9) CHARACTER SET eucjpms", "'aж'", b"a\xa7\xd8", "aж"),
    ("VARCHAR(9) CHARACTER SET macce", "'aé'", b"a\x8e", "aé"),
    ("VARCHAR(9) CHARACTER SET hp8", "'aé'", b"a\xc5", "aé"),
    ("VARCHAR(9) CHARACTER SET dec8", "'aé'", b"a\xe9", "aé"),
    ("VARCHAR(9) CHARACTER SET swe7", "'aé'", b"a`", "aé"),
    ("VARCHAR(9) CHARACTER SET armscii8", "'aԱ'", b"a\xb2", "aԱ"),
    ("VARCHAR(9) CHARACTER SET geostd8", "'aა'", b"a\xc0", "aა"),
    ("VARCHAR(9) CHARACTER SET keybcs2", "'aé'", b"a\x82", "aé"),
    ("BINARY(4)", "X'61000000'", b"a", b"a\0\0\0"),
    ("BINARY(3)", "X'000000'", "", b"\0\0\0"),
    ("SET('a','b')", "''", None, ""),
    ("SET('b','a')", "'a,b'", {"a", "b"}, "b,a"),
    ("SET('a','','b')", "3", {"a", ""}, "3"),
]

# The same where the library is right: should it break, it is not to be believed about the lines above either.
RIGHT: list[tuple[str, str, object, object]] = [
    ("DECIMAL(65,30)", f"'-{'9' * 35}.{'9' * 30}'", Decimal(f"-{'9' * 35}.{'9' * 30}"), f"-{'9' * 35}.{'9' * 30}"),
    ("BIGINT UNSIGNED", "18446744073709551615", 2**64 - 1, "18446744073709551615"),
    ("TINYINT UNSIGNED", "255", 255, 255),
    ("BIT(10)", "b'1000000001'", "1000000001", "513"),
    ("POINT SRID 4326", "ST_PointFromText('POINT(1 2)', 4326)", *[struct.pack("<IBIdd", 4326, 1, 1, 2.0, 1.0)] * 2),
    ("FLOAT", "1.1", *struct.unpack("<f", struct.pack("<f", 1.1)) * 2),
    ("DOUBLE", "0.1", 0.1, 0.1),
    ("VARCHAR(9) CHARACTER SET gbk", "'漢'", "漢", "漢"),
    ("VARCHAR(9) CHARACTER SET big5", "'漢'", "漢", "漢"),
    ("VARCHAR(9) CHARACTER SET ujis", "'あ'", "あ", "あ"),
    ("VARCHAR(9) CHARACTER SET euckr", "'한'", "한", "한"),
    ("VARCHAR(9) CHARACTER SET latin1", "'é€'", "é€", "é€"),
    ("VARCHAR(9) CHARACTER SET latin2", "'ő'", "ő", "ő"),
    ("VARCHAR(9) CHARACTER SET cp1251", "'ж'", "ж", "ж"),
    ("VARCHAR(9) CHARACTER SET utf8mb4", "'😀'", "😀", "😀"),
    ("TIME", "'-838:59:59'", -timedelta(hours=838, minutes=59, seconds=59), "-838:59:59"),
]


@pytest.fixture(scope="module")
def values(source: MySQLServer) -> Values:
    """Every value of the two tables, read by both."""
    return Values(source, "d_values", [(sql_type, value) for sql_type, value, _, _ in (*WRONG, *RIGHT)])


@pytest.mark.parametrize(("sql_type", "value", "library", "capture"), WRONG)
def test_values_that_come_as_others(values: Values, sql_type: str, value: str, library: object, capture: object) -> None:
    """The library gives another value, or a form in which it is lost; capture gives the value that the server holds."""
    assert values.library(sql_type, value) == library
    assert values.ours(sql_type, value) == capture


@pytest.mark.parametrize(("sql_type", "value", "library", "capture"), RIGHT)
def test_values_that_come_as_they_are(values: Values, sql_type: str, value: str, library: object, capture: object) -> None:
    """The library gives the value, and so does capture, in its own form."""
    assert values.library(sql_type, value) == library
    assert values.ours(sql_type, value) == capture


@pytest.fixture
def cursor(source: MySQLServer) -> Iterator[Any]:
    """A session in a fresh database d_maps; what a table map says is as the server has it by default here afterwards."""
    with source.connect() as connection, connection.cursor() as cursor:
        cursor.execute("DROP DATABASE IF EXISTS d_maps")
        cursor.execute("CREATE DATABASE d_maps")
        cursor.execute("USE d_maps")
        yield cursor
        cursor.execute("SET GLOBAL binlog_row_metadata = FULL, GLOBAL binlog_checksum = CRC32")
        cursor.execute("DROP DATABASE d_maps")


@pytest.mark.parametrize("now", ["MINIMAL", "FULL"])
def test_rows_without_metadata(source: MySQLServer, cursor: Any, now: str) -> None:
    """Written with MINIMAL metadata, also if it is FULL when read: labels, signs and names are lost; capture stops."""
    cursor.execute("CREATE TABLE t (id INT PRIMARY KEY, e ENUM('a'), s SET('a'), u BIGINT UNSIGNED)")
    position = here(source)
    cursor.execute("SET GLOBAL binlog_row_metadata = MINIMAL")
    cursor.execute("INSERT INTO t VALUES (1, 'a', 'a', 18446744073709551615)")
    cursor.execute(f"SET GLOBAL binlog_row_metadata = {now}")
    ((_, _, row),) = library_changes(source, position)
    assert row == {"UNKNOWN_COL0": 1, "UNKNOWN_COL1": None, "UNKNOWN_COL2": None, "UNKNOWN_COL3": -1}
    assert ours(source, position, ["d_maps"]) == "row_metadata"


def test_names_of_columns_from_a_cache(source: MySQLServer, cursor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library's remedy for missing names asks the server for today's: a row from before a rename has them swapped."""
    monkeypatch.setattr(row_event, "_COLUMN_NAME_CACHE", {})
    cursor.execute("CREATE TABLE t (id INT PRIMARY KEY, a INT, b INT)")
    position = here(source)
    cursor.execute("SET GLOBAL binlog_row_metadata = MINIMAL")
    cursor.execute("INSERT INTO t (id, a, b) VALUES (1, 10, 20)")
    cursor.execute("ALTER TABLE t RENAME COLUMN a TO b, RENAME COLUMN b TO a")
    assert library_changes(source, position, use_column_name_cache=True) == [("t", "c", {"id": 1, "b": 10, "a": 20})]
    assert ours(source, position, ["d_maps"]) == "row_metadata"


@pytest.mark.parametrize(
    ("key", "library", "capture"), [("c, a", ("a", "c"), ["c", "a"]), ("c, b(3), a", "", ["c", "b", "a"]), ("b(3)", "", ["b"])]
)
def test_primary_keys(source: MySQLServer, cursor: Any, key: str, library: object, capture: list[str]) -> None:
    """The library gives a key's columns in the table's order, and none of a key with a prefix; capture has all in key order."""
    cursor.execute(f"CREATE TABLE t (a INT, b VARCHAR(9), c INT, PRIMARY KEY ({key}))")
    position = here(source)
    cursor.execute("INSERT INTO t VALUES (1, 'b', 3)")
    (event,) = library_events(source, position, only_events=[WriteRowsEvent])
    assert event.primary_key == library
    (rows, _) = captured(source, position, ["d_maps"])
    assert isinstance(rows, Rows) and rows.table.table is not None
    assert [rows.table.table.columns[n].name for n in rows.table.table.key] == capture


@pytest.mark.parametrize(("checksum", "visibility"), [("CRC32", [True, False]), ("NONE", [False, False])])
def test_which_columns_are_invisible(source: MySQLServer, cursor: Any, checksum: str, visibility: list[bool]) -> None:
    """Without checksums the library takes a map's last bytes for one, and no column is visible; capture has all columns."""
    cursor.execute(f"SET GLOBAL binlog_checksum = {checksum}")
    cursor.execute("CREATE TABLE t (id INT PRIMARY KEY, i INT INVISIBLE DEFAULT 3)")
    position = here(source)
    cursor.execute("INSERT INTO t VALUES (1)")
    (event,) = library_events(source, position, only_events=[TableMapEvent])
    assert [column.visibility for column in event.columns] == visibility
    assert ours(source, position, ["d_maps"]) == [("t", "c", [(1, 3)])]
