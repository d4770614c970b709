"""Comparisons of a row with its image, as they are written at first, beside ours: one statement each on a real server."""

from collections.abc import Sequence

import pymysql
import pytest
from appliers import Applier

from consumers.statements import Statements
from sandbox.instances import Sandbox
from schemas.records import Row

pytestmark = pytest.mark.servers
SRID_0_POINT = "X'00000000010100000000000000000000400000000000000840'"


def plain_guard(applier: Applier, made: Statements, *values: str) -> int:
    """How many rows of id 1, 2 … the plain form finds: `<=>` with the values of a list, as they are written here."""
    rows = ", ".join(f"ROW({n}, {value})" for n, value in enumerate(values, 1))
    match = "id = column_0 AND c <=> column_1"
    return applier.run(f"SELECT id FROM guard.{made.plan.target.name} JOIN (VALUES {rows}) AS v ON {match}")


# type, the stored value, one that it is not, the same as SQL
MISSED: list[tuple[str, object, object, str]] = [
    ("varchar(20)", "abc", "ABC", "'ABC'"),
    ("varchar(20)", "abc", "äbc", "'äbc'"),
    ("char(20) CHARACTER SET latin1", "abc", "ÀBC", "'ÀBC'"),
    ("text COLLATE utf8mb4_general_ci", "abc", "abc ", "'abc '"),
    ("enum('a','b')", "a", "A", "'A'"),
    ("set('a','b')", "a,b", "A,b", "'A,b'"),
]


@pytest.mark.parametrize(("type_", "stored", "other", "literal"), MISSED)
def test_other_values_that_a_collation_matches(applier: Applier, type_: str, stored: object, other: object, literal: str) -> None:
    """The plain form takes a row that somebody has changed for unchanged; ours compares bytes, alone and in a list."""
    made = applier.statements(f"id int PRIMARY KEY, c {type_}, n int")
    rows: list[Row] = [(1, stored, 0), (2, stored, 0)]
    applier.run(made.insert(rows))
    assert plain_guard(applier, made, literal) == 1
    wrong: list[Row] = [(1, other, 0), (2, other, 0)]
    for images in (wrong, wrong[:1]):
        assert applier.run(made.update([(image, (*image[:2], 1)) for image in images])) == 0
        assert applier.run(made.delete(images)) == 0
    assert applier.run(made.update([(row, (*row[:2], 1)) for row in rows])) == 2


# type, the stored value as it travels, the same as it is written at first
UNMATCHED: list[tuple[str, object, str]] = [
    ("float", 1.100000023841858, "1.1"),
    ("json", '{"a": [1, 2.5]}', """'{"a": [1, 2.5]}'"""),
    ("bit(5)", "21", "b'10101'"),
]


@pytest.mark.parametrize(("type_", "stored", "literal"), UNMATCHED)
def test_the_same_value_that_does_not_match(applier: Applier, type_: str, stored: object, literal: str) -> None:
    """The plain form makes a conflict of a row that is as it was; ours finds it, alone and in a list."""
    made = applier.statements(f"id int PRIMARY KEY, c {type_}, n int")
    rows: list[Row] = [(1, stored, 0), (2, stored, 0)]
    applier.run(made.insert(rows))
    assert plain_guard(applier, made, literal) == 0
    assert applier.run(made.update([(row, (*row[:2], 1)) for row in rows])) == 2
    assert applier.run(made.delete([(1, stored, 1)])) == 1


# type, the stored value as it travels, the same as SQL
MATCHED: list[tuple[str, object, str]] = [
    ("bigint unsigned", "18446744073709551615", "18446744073709551615"),
    ("decimal(65,30)", f"-{'9' * 35}.{'9' * 30}", f"'-{'9' * 35}.{'9' * 30}'"),
    ("timestamp(6)", "2024-03-31 02:30:00.000001", "'2024-03-31 02:30:00.000001'"),
    ("time(2)", "-00:00:00.01", "'-00:00:00.01'"),
    ("year", 0, "0"),
    ("date", "0000-00-00", "'0000-00-00'"),
    ("double", 0.1, "0.1"),
    ("bit(5)", "21", "21"),
    ("json", '{"a": 1}', """CAST('{"a": 1.0}' AS JSON)"""),
    ("float", 1.100000023841858, "CAST(1.1 AS FLOAT)"),
    ("varchar(9) CHARACTER SET latin1", "é", "_latin1 X'e9'"),
    ("varbinary(9)", b"a\0", "X'6100'"),
    ("geometry", bytes.fromhex(SRID_0_POINT[2:-1]), SRID_0_POINT),
]


@pytest.mark.parametrize(("type_", "stored", "literal"), MATCHED)
def test_the_same_value_that_matches(applier: Applier, type_: str, stored: object, literal: str) -> None:
    """What the plain form already finds, with NULL among the list's rows: ours finds it too."""
    made = applier.statements(f"id int PRIMARY KEY, c {type_} NULL, n int")
    rows: list[Row] = [(1, stored, 0), (2, None, 0)]
    applier.run(made.insert(rows))
    assert plain_guard(applier, made, literal, "NULL") == 2
    assert applier.run(made.update([(row, (*row[:2], 1)) for row in rows])) == 2


def test_the_key_matches_as_the_server_matches_it(applier: Applier) -> None:
    """Compared as bytes, a key that the server holds equal is not found, though it is in the way; ours finds the row."""
    made = applier.statements("id varchar(9) PRIMARY KEY, n int")
    applier.run(made.insert([("ABC", 0)]))
    table = f"guard.{made.plan.target.name}"
    assert applier.fetch(f"SELECT * FROM {table} WHERE CAST(id AS BINARY) = CAST('abc' AS BINARY)") == []
    with pytest.raises(pymysql.err.IntegrityError):
        applier.run(made.insert([("abc", 0)]))
    assert [found.row for found in applier.found(made, None, ("abc", 0))] == [("ABC", 0)]


def test_rows_that_stay_as_they_are_count(applier: Applier, servers: Sandbox) -> None:
    """Without FOUND_ROWS an update to the same values finds nothing, as if there were a conflict; our session counts it."""
    made = applier.statements("id int PRIMARY KEY, n int")
    rows: Sequence[Row] = [(1, 0), (2, 0)]
    statement = made.update([(row, row) for row in rows])
    applier.run(made.insert(rows))
    assert applier.run(statement) == 2
    applier.cursor.connection.commit()
    with servers.east.connect() as plain, plain.cursor() as cursor:
        assert cursor.execute(statement) == 0
