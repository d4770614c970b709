"""Guarded statements on a real server: an exact image matches, whatever is near it does not, and the key's index is used."""

import struct
from collections.abc import Sequence
from hashlib import sha256

import pymysql
import pytest
from appliers import Applier

from consumers.conflict import Delete, LocalRow
from consumers.statements import Pair, Statements
from schemas.parts import LONG_BYTES
from schemas.records import Row
from schemas.typed_json import typed_json

pytestmark = pytest.mark.servers


def single(value: float) -> float:
    """The nearest FLOAT."""
    return float(struct.unpack("<f", struct.pack("<f", value))[0])


def point(srid: int, x: float, y: float) -> bytes:
    """A POINT as MySQL stores it."""
    return struct.pack("<IBIdd", srid, 1, 1, x, y)


LATIN1, BIN = "varchar(20) CHARACTER SET latin1", "varchar(20) COLLATE utf8mb4_bin"
DIGITS = "9" * 35

# type, a value, values near it that are other values
CASES: list[tuple[str, object, Sequence[object]]] = [
    ("varchar(20)", "abc", ["ABC", "äbc", "abc ", "ab", ""]),
    ("varchar(20) COLLATE utf8mb4_general_ci", "straße", ["strasse", "STRASSE", "straße "]),
    (BIN, "abc", ["ABC", "abc "]),
    ("char(5)", "abc", ["Abc", "äbc"]),
    ("varchar(20)", 'it\'s \\ "100%s" \n\0\x1a', ['it\'s \\ "100%s" \n\0']),
    ("varchar(20)", "", [" "]),
    ("varchar(20)", "😀", ["😁", "?"]),
    ("varchar(20) CHARACTER SET utf8mb3", "äß€", ["ass", "äß", "ÄSS€"]),
    ("varchar(20) CHARACTER SET ascii", "abc", ["ABC"]),
    (LATIN1, "é", ["e", "É", "?"]),
    (LATIN1, "\x81", ["\x8d", "?", ""]),
    (LATIN1, "€", ["?", "\x80"]),
    ("text CHARACTER SET latin1", "naïve", ["naive"]),
    ("longtext", "x" * 70_000, ["x" * 69_999, "x" * 69_999 + "X"]),
    ("enum('a','b')", "a", ["A", "b"]),
    ("enum('a','A','') COLLATE utf8mb4_bin", "a", ["A", ""]),
    ("enum('é','it''s') CHARACTER SET latin1", "it's", ["é", "its"]),
    ("enum('é','e') CHARACTER SET latin1 COLLATE latin1_bin", "é", ["e"]),
    ("set('a','b','c')", "a,c", ["a", "A,c", "a,b,c", ""]),
    ("set('a','b')", "", ["a"]),
    ("float", single(1.1), [single(1.1000001), 1.5]),
    ("float", single(3.4028234663852886e38), [single(3.4028232635611926e38)]),
    ("float", 16777216.0, [16777218.0]),
    ("float(10,3)", 10000000.0, [9999999.0]),
    ("float(10,3)", -10000000.0, [10000000.0]),
    ("double", 0.1, [0.10000000000000002]),
    ("double", 1.7976931348623157e308, [1.7976931348623155e308]),
    ("double", 5e-324, [1e-323, 0.0]),
    ("double", -2.2250738585072014e-308, [2.2250738585072014e-308]),
    ("double", -0.0, [5e-324]),
    ("json", '{"a": [1, 2.5, "x\\"y"], "b": null}', ['{"a": [1, 2.5, "x\\"y"]}', '{"a": [1, 2.5, "X\\"y"], "b": null}']),
    ("json", "null", ['"null"', "0"]),
    ("json", '"é"', ['"e"', '"É"']),
    ("tinyint", -128, [-127]),
    ("bigint", 9223372036854775807, [9223372036854775806]),
    ("bigint", -9223372036854775808, [-9223372036854775807]),
    ("bigint unsigned", "18446744073709551615", ["18446744073709551614", "1", "0"]),
    ("bigint unsigned", "1", ["18446744073709551615", "0"]),
    ("decimal(65,30)", f"{DIGITS}.{'9' * 30}", [f"{DIGITS}.{'9' * 29}8"]),
    ("decimal(65,30)", f"-0.{'0' * 29}1", [f"0.{'0' * 29}1", f"0.{'0' * 30}"]),
    ("decimal(5,2) unsigned", "1.10", ["1.11"]),
    ("timestamp(6)", "2024-03-31 02:30:00.000001", ["2024-03-31 02:30:00.000002", "2024-03-31 02:30:00.000000"]),
    ("timestamp", "0000-00-00 00:00:00", ["1970-01-01 00:00:01"]),
    ("timestamp", "2038-01-19 03:14:07", ["2038-01-19 03:14:06"]),
    ("time(3)", "-00:00:00.500", ["00:00:00.500", "-00:00:00.501"]),
    ("time", "-838:59:59", ["838:59:59"]),
    ("time(6)", "12:00:00.000000", ["12:00:00.000001"]),
    ("year", 0, [2000, 1901]),
    ("year", 2155, [2154]),
    ("date", "0000-00-00", ["0001-01-01"]),
    ("date", "2024-02-31", ["2024-03-02", "2024-02-00"]),
    ("datetime(6)", "2024-00-31 01:02:03.000004", ["2024-01-31 01:02:03.000004", "2024-00-31 01:02:03.000005"]),
    ("datetime", "9999-12-31 23:59:59", ["9999-12-31 23:59:58"]),
    ("varbinary(9)", b"a\0", [b"a", b"A\0", b"a\0\0"]),
    ("binary(4)", b"a\0\0\0", [b"a\0\0 ", b"A\0\0\0"]),
    ("blob", bytes(range(256)), [bytes(range(255)), b""]),
    ("varbinary(9)", b"", [b"\0"]),
    ("bit(5)", "21", ["20", "0"]),
    ("bit(64)", "18446744073709551615", ["18446744073709551614", "1", "0"]),
    ("set('a','','b')", "3", ["1", "2", "0", "7"]),
    ("geometry", point(4326, 1.0, 2.0), [point(0, 1.0, 2.0), point(4326, 1.0000000000000002, 2.0)]),
    ("point", point(0, -0.5, 2.0), [point(0, 0.5, 2.0)]),
    ("vector(3)", struct.pack("<3f", 1.0, -2.5, 0.1), [struct.pack("<3f", 1.0, -2.5, 0.2), struct.pack("<2f", 1.0, -2.5)]),
    ("varchar(20) CHARACTER SET gbk", "abc漢字", ["ABC漢字", "abc漢", "abc漢字 "]),
    ("varchar(20) CHARACTER SET sjis", b"\x81\x5f", ["\\", b"\x81\x5f "]),
    ("char(20) CHARACTER SET utf16", "😀é", ["😀e", "😁é"]),
    ("varchar(20) CHARACTER SET ucs2", "it's \\", ["IT'S \\"]),
    ("text CHARACTER SET utf32", "ж", ["Ж", ""]),
    ("varchar(20) CHARACTER SET cp1251", "ж", ["Ж", b"\x98"]),
    ("varchar(20) CHARACTER SET swe7", "Äpple", ["äpple", "Apple"]),
    ("varchar(20) CHARACTER SET eucjpms", b"\xa1\xc1", ["~"]),
    ("varchar(20) CHARACTER SET armscii8", "Ա", ["ա", b"\xff"]),
    ("longtext CHARACTER SET big5", "中" * 40_000, ["中" * 39_999]),
    ("enum('漢','a','') CHARACTER SET gbk", "漢", ["a", "", "A"]),
    ("set('ж','Ж') CHARACTER SET cp1251 COLLATE cp1251_bin", "ж,Ж", ["ж", "Ж", ""]),
]


def writable(applier: Applier, made: Statements, value: object) -> bool:
    """Whether the column can hold it: a near value may be outside its character set, or no label."""
    try:
        applier.run(made.insert([(9, value, 0)]))
    except pymysql.err.DataError:
        return False
    stored = applier.found(made, (9, value, 0), None)[0]
    applier.run(made.action(Delete(stored.row)))
    return stored.row == read(made, (9, value, 0))


def read(made: Statements, row: Row) -> Row:
    """The row as it is read for a decision: a long text is its digest."""
    value = row[1]
    if isinstance(value, str) and len(value.encode()) > LONG_BYTES and made.plan.columns[1].kind == "text":
        value = sha256(value.encode()).hexdigest()
    return (row[0], value, *row[2:])


@pytest.mark.parametrize(("type_", "value", "near"), CASES)
def test_only_the_exact_value_matches(applier: Applier, type_: str, value: object, near: Sequence[object]) -> None:
    """Every kind: written, read back as the same canonical value, matched by it, and by nothing near it or NULL."""
    made = applier.statements(f"id int PRIMARY KEY, c {type_} NULL, n int")
    rows: list[Row] = [(1, value, 0), (2, None, 0), (3, value, 0)]
    assert applier.run(made.insert(rows)) == 3
    for row in rows:
        assert applier.found(made, row, None) == (LocalRow(read(made, row), at_before=True, is_before=True),)

    for other in (*near, None):
        wrong: list[Row] = [(1, other, 0), (2, value, 0), (3, other, 0)]
        assert applier.run(made.update([(row, (*row[:2], 1)) for row in wrong])) == 0
        assert applier.run(made.delete(wrong)) == 0
        for row in wrong:
            assert applier.run(made.update([(row, (*row[:2], 1))])) == 0
            assert applier.run(made.delete([row])) == 0
            assert [found.is_before for found in applier.found(made, row, None)] == [False]

    assert applier.run(made.update([(row, row) for row in rows])) == 3, "identical values count as found"
    assert applier.run(made.update([(rows[0], rows[0])])) == 1
    for other in [other for other in near if writable(applier, made, other)]:
        after = (1, other, 5)
        assert applier.run(made.update([(rows[0], after), (rows[1], (2, other, 5))])) == 2
        assert applier.found(made, after, None)[0].is_before
        assert applier.run(made.update([(after, rows[0]), ((2, other, 5), rows[1])])) == 2
    assert applier.run(made.delete(rows[:2])) == 2
    assert applier.run(made.delete(rows[2:])) == 1


def test_what_mysql_holds_equal_stays_equal(applier: Applier) -> None:
    """0.0 and -0.0, and 1 and 1.0 in a document, cannot be told apart by a comparison: no conflict is made of them."""
    made = applier.statements("id int PRIMARY KEY, d double, j json")
    applier.run(made.insert([(1, -0.0, "[1]"), (2, 0.0, "[1.0]")]))
    assert applier.run(made.delete([(1, 0.0, "[1.0]"), (2, -0.0, "[1]")])) == 2


def test_json_scalars_that_are_no_text_match_by_their_text(applier: Applier) -> None:
    """A DATE inside a document travels as text. The row where it was made still has the DATE, and is no conflict."""
    made = applier.statements("id int PRIMARY KEY, j json")
    name = made.plan.target.name
    applier.run(f"INSERT INTO guard.{name} SELECT 1, JSON_OBJECT('d', DATE'2024-01-02', 'n', CAST(1.10 AS DECIMAL(5,2)))")
    assert applier.run(made.update([((1, '{"d": "2024-01-02", "n": 1.10}'), (1, "{}"))])) == 1


def test_documents_with_typed_values(applier: Applier) -> None:
    """DATE and DECIMAL inside a document keep their types, in a list with plain documents too, and are matched by their text."""
    made = applier.statements("id int PRIMARY KEY, j json NULL")
    name = made.plan.target.name
    typed = typed_json(
        '{"d": "2024-01-02", "n": [1.10]}', [('$."d"', "DATE", "2024-01-02"), ('$."n"[0]', "DECIMAL(65,2)", "1.10")]
    )
    other = typed_json('["base64:type252:AP8="]', [("$[0]", "BLOB", "00ff")])
    rows: list[Row] = [(1, typed), (2, '{"a": "b\\\\"}'), (3, None), (4, other)]
    types = f"SELECT JSON_TYPE(j->'$.d'), JSON_TYPE(j->'$.n[0]'), JSON_TYPE(j->'$[0]') FROM guard.{name} ORDER BY id"
    as_written = [("DATE", "DECIMAL", "OBJECT"), (None, None, "OBJECT"), (None, None, None), (None, None, "BLOB")]
    assert applier.run(made.insert(rows)) == 4
    assert applier.fetch(types) == as_written
    swapped: list[Row] = [(1, rows[1][1]), (2, typed), (3, other), (4, None)]
    assert applier.run(made.update(list(zip(rows, swapped, strict=True)))) == 4
    assert applier.fetch(types) == [as_written[n] for n in (1, 0, 3, 2)]
    assert applier.run(made.update([(swapped[0], rows[0])])) == 1
    assert applier.fetch(types)[0] == as_written[0]
    assert applier.run(made.delete([(1, other), (2, typed), (3, typed)])) == 1
    assert applier.run(made.delete([(1, '{"d": "2024-01-02", "n": [1.1]}')])) == 0


# As a key: type, values
KEYS: list[tuple[str, Sequence[object]]] = [
    ("int", [1, 2]),
    ("bigint unsigned", ["1", "18446744073709551615"]),
    ("decimal(65,30)", [f"{DIGITS}.{'9' * 30}", f"-1.{'0' * 30}"]),
    ("float", [single(1.1), -2.5]),
    ("double", [1.7976931348623157e308, 0.1]),
    ("date", ["0000-00-00", "2024-02-31"]),
    ("time(3)", ["-838:59:58.000", "-00:00:00.500"]),
    ("datetime(6)", ["0000-00-00 00:00:00.000000", "2024-00-31 01:02:03.000001"]),
    ("timestamp(6)", ["0000-00-00 00:00:00.000000", "2024-01-31 01:02:03.000001"]),
    ("year", [0, 2024]),
    ("varchar(20)", ["abc", "x y"]),
    (BIN, ["abc", "ABC"]),
    ("varchar(20) COLLATE utf8mb4_general_ci", ["äbc", "😀"]),
    (LATIN1, ["abc", "é"]),
    (f"{LATIN1} COLLATE latin1_german2_ci", ["\x81", "ö"]),
    ("varchar(20) CHARACTER SET utf8mb3", ["abc", "é"]),
    ("char(20) CHARACTER SET ascii", ["abc", "x"]),
    ("binary(4)", [b"a\0\0\0", b"\xff\0\0\1"]),
    ("varbinary(9)", [b"a\0", b"a"]),
    ("enum('a','b')", ["a", "b"]),
    ("enum('a','é') CHARACTER SET latin1", ["a", "é"]),
    ("set('a','b')", ["a,b", ""]),
    ("set('a','')", ["3", "0"]),
    ("bit(64)", ["18446744073709551615", "0"]),
    ("varchar(20) CHARACTER SET gbk", ["漢字", "abc"]),
    ("varchar(20) CHARACTER SET sjis COLLATE sjis_bin", [b"\x81\x5f", "\\"]),
    ("char(20) CHARACTER SET utf16", ["😀", "abc"]),
    ("varchar(20) CHARACTER SET cp1251", ["ж", "abc"]),
    ("enum('漢','a') CHARACTER SET gbk", ["漢", "a"]),
]


def access(applier: Applier, statement: str) -> list[tuple[str, str | None]]:
    """(how a table is read, by which index), in the order of the join."""
    lines = applier.fetch(f"EXPLAIN FORMAT=TRADITIONAL {statement}")
    return [(line[4], line[6]) for line in lines if line[2] is not None]


@pytest.mark.parametrize("key", ["PRIMARY KEY (k)", "UNIQUE KEY by_k (k)", "PRIMARY KEY (a, k)"])
@pytest.mark.parametrize(("type_", "values"), KEYS)
def test_the_keys_index_is_used(applier: Applier, type_: str, values: Sequence[object], key: str) -> None:
    """The list drives the join and each row is looked up, for every kind of key; the key itself can be changed."""
    made = applier.statements(f"a int NOT NULL, k {type_} NOT NULL, n int, {key}")
    index = "by_k" if "by_k" in key else "PRIMARY"
    rows: list[Row] = [(7, values[0], 0), (7, values[1], None)]
    assert applier.run(made.insert(rows)) == 2
    changed: list[Row] = [(7, values[0], 1), (7, values[1], 1)]
    pairs: list[Pair] = list(zip(rows, changed, strict=True))
    for statement in (made.update(pairs), made.delete(rows)):
        assert access(applier, statement) == [("ALL", None), ("eq_ref", index)]
    for one in (made.update(pairs[:1]), made.delete(rows[:1])):
        assert [used for _, used in access(applier, one)] == [index]
    assert applier.run(made.update(pairs)) == 2
    assert applier.run(made.delete(changed[1:])) == 1
    moved: Row = (7, values[1], 2)
    assert applier.run(made.update([(changed[0], moved), ((8, values[1], 0), (8, values[0], 0))])) == 1
    assert applier.found(made, changed[0], moved) == (LocalRow(moved, at_after=True, is_after=True),)
    assert applier.run(made.update([(moved, changed[0])])) == 1
    assert applier.run(made.delete(changed[:1])) == 1


def test_keys_that_the_collation_holds_equal_are_one_row(applier: Applier) -> None:
    """'ABC' here for 'abc' there: not matched, so a conflict, and found as the row at the key. Same with a padded key."""
    made = applier.statements("k varchar(9) COLLATE utf8mb4_general_ci PRIMARY KEY, n int")
    applier.run(made.insert([("ABC", 0), ("x", 0)]))
    wrong: list[Row] = [("abc", 0), ("x ", 0)]
    assert applier.run(made.update([(row, (row[0], 1)) for row in wrong])) == 0
    assert applier.run(made.delete(wrong)) == 0
    assert applier.found(made, ("äbc", 0), ("abc", 1)) == (LocalRow(("ABC", 0), at_before=True, at_after=True),)
    assert applier.found(made, ("x ", 0), None) == (LocalRow(("x", 0), at_before=True),)


def test_text_outside_the_columns_character_set_matches_nothing(applier: Applier) -> None:
    """A conversion to latin1 gives '?', which must not find the row whose key is '?'."""
    made = applier.statements(f"k {LATIN1} PRIMARY KEY, n int")
    applier.run(made.insert([("?", 0), ("a", 0)]))
    wrong: list[Row] = [("ж", 0), ("😀", 0)]
    assert applier.run(made.delete(wrong)) == 0
    assert applier.run(made.delete(wrong[:1])) == 0
    assert applier.found(made, wrong[0], wrong[1]) == ()
