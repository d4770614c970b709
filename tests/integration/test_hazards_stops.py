"""What makes the library raise, or damages what it gives, where there is nothing wrong: capture reads it, or says why not."""

from collections.abc import Iterator
from typing import Any

import pytest
from both_readers import Values, captured, library_changes, library_events, ours
from capturing import Capture, here
from pymysqlreplication.event import GtidEvent, QueryEvent, XidEvent
from pymysqlreplication.exceptions import StatusVariableMismatch
from pymysqlreplication.row_event import WriteRowsEvent

from bisync_topology.errors import CaptureError
from producers import events
from producers.capture import Position
from producers.items import Ddl
from sandbox.mysql import MySQLServer

OBJECTS = ["d_stops"]

# SQL type, value, what the library raises in place of the row, what capture gives
RAISES: list[tuple[str, str, str, object]] = [
    ("DATE", "'2024-02-31'", "ValueError: day is out of range for month", "2024-02-31"),
    ("VARCHAR(9) CHARACTER SET utf32", "'a'", "UnicodeDecodeError: 'utf-32-le' codec", "a"),
    ("VARCHAR(9) CHARACTER SET latin1", "_latin1 X'81'", "UnicodeDecodeError: 'charmap' codec", "\x81"),
    (
        "JSON",
        "CAST(TIME'24:00:00' AS JSON)",
        "ValueError: hour must be in 0..23",
        b'{"text":"\\"24:00:00.000000\\"","typed":[["$","TIME(6)","24:00:00.000000"]]}',
    ),
    (
        "JSON",
        "CAST(CAST('2024-00-00' AS DATE) AS JSON)",
        "ValueError: month must be in 1..12",
        b'{"text":"\\"2024-00-00\\"","typed":[["$","DATE","2024-00-00"]]}',
    ),
]


@pytest.fixture(scope="module")
def values(source: MySQLServer) -> Values:
    """Every value of the table, read by both."""
    return Values(source, "d_raises", [(sql_type, value) for sql_type, value, _, _ in RAISES])


@pytest.mark.parametrize(("sql_type", "value", "error", "capture"), RAISES)
def test_values_that_raise(values: Values, sql_type: str, value: str, error: str, capture: object) -> None:
    """The library fails at a value that a server may hold; capture gives it."""
    raised = values.library(sql_type, value)
    assert f"{type(raised).__name__}: {raised}".startswith(error)
    assert values.ours(sql_type, value) == capture


@pytest.fixture
def cursor(source: MySQLServer) -> Iterator[Any]:
    """A session in a fresh database d_stops with a table t."""
    with source.connect() as connection, connection.cursor() as cursor:
        cursor.execute("DROP DATABASE IF EXISTS d_stops")
        cursor.execute("CREATE DATABASE d_stops")
        cursor.execute("USE d_stops")
        cursor.execute("CREATE TABLE t (id INT PRIMARY KEY)")
        yield cursor
        cursor.execute("DROP DATABASE d_stops")


def test_vectors(source: MySQLServer, cursor: Any) -> None:
    """The table map of a VECTOR column is none to the library, so that nothing of the table can be read; capture gives it."""
    cursor.execute("CREATE TABLE v (id INT PRIMARY KEY, v VECTOR(2))")
    position = here(source)
    cursor.execute("INSERT INTO v VALUES (1, TO_VECTOR('[1, 2]'))")
    with pytest.raises(ValueError, match="MetadataFieldType"):
        library_changes(source, position)
    assert ours(source, position, OBJECTS) == [("v", "c", [(1, b"\0\0\x80?\0\0\0@")])]


def test_a_status_variable_that_is_not_known(source: MySQLServer, cursor: Any) -> None:
    """This server writes one beside a statement: the library raises where it reads statements at all; capture reads it.

    What it then says is about the statement, as statements are not carried.
    """
    position = here(source)
    with source.connect(database="d_stops") as connection, connection.cursor() as other:
        other.execute("SET binlog_format = STATEMENT")
        other.execute("DELETE FROM t")
    with pytest.raises(StatusVariableMismatch):
        library_events(source, position, only_events=[QueryEvent])
    with (
        Capture(source, OBJECTS, position) as capture,
        pytest.raises(CaptureError, match=r"the statement DELETE d_stops\.t") as raised,
    ):
        capture.items()
    assert raised.value.code == "not_captured"


def test_a_statement_in_another_character_set(source: MySQLServer, cursor: Any) -> None:
    """The library forces every statement to UTF-8 and gives another text; here it is what its client wrote."""
    position = here(source)
    with source.connect(charset="latin1", database="d_stops") as connection, connection.cursor() as other:
        other.execute("CREATE TABLE l (id INT PRIMARY KEY COMMENT 'é')")
    (event,) = library_events(source, position, only_events=[QueryEvent])
    assert event.query == r"CREATE TABLE l (id INT PRIMARY KEY COMMENT '\xe9')"
    (ddl, _) = captured(source, position, OBJECTS)
    assert isinstance(ddl, Ddl)
    assert ddl.statement == "CREATE TABLE l (id INT PRIMARY KEY COMMENT 'é')"


# --- tagged GTIDs ---------------------------------------------------------------------------------------------------


@pytest.fixture
def tagged(source: MySQLServer, cursor: Any) -> Iterator[tuple[Position, Position]]:
    """Where a transaction with a tag and one without follow, and where the file begins that has tags at its head.

    Afterwards the server's set has none again.
    """
    before = here(source)
    cursor.execute("SET gtid_next = 'AUTOMATIC:nightly'")
    cursor.execute("INSERT INTO t VALUES (1)")
    cursor.execute("SET gtid_next = 'AUTOMATIC'")
    cursor.execute("FLUSH BINARY LOGS")
    behind = here(source)
    cursor.execute("INSERT INTO t VALUES (2)")
    yield before, behind
    cursor.execute("RESET BINARY LOGS AND GTIDS")


def test_a_tagged_transaction_has_no_name(source: MySQLServer, tagged: tuple[Position, Position]) -> None:
    """The library leaves out the GTID event, so that rows seem to be of the transaction before; capture names theirs."""
    before, _ = tagged
    start = Position(None, before.file, before.pos)
    found = library_events(source, start, only_events=[GtidEvent, WriteRowsEvent, XidEvent])
    assert list(map(type, found)) == [WriteRowsEvent, XidEvent, GtidEvent, WriteRowsEvent, XidEvent]
    with Capture(source, OBJECTS, before) as capture:
        names = [item.head.gtid.partition(":")[2] for item in capture.items()]
        assert [event.type for event in capture.events].count(events.GTID_TAGGED) == 1
    assert names[:2] == ["nightly:1"] * 2


def test_a_set_with_tags_is_refused(source: MySQLServer, tagged: tuple[Position, Position]) -> None:
    """The library cannot begin at a set that has a tag, which is what the server itself says it has; capture can."""
    _, behind = tagged
    assert behind.gtid_set and ":nightly:1" in behind.gtid_set
    with pytest.raises(ValueError, match="GTID format is incorrect"):
        library_changes(source, behind)
    assert ours(source, behind, OBJECTS) == [("t", "c", [(2,)])]


def test_a_file_with_tags_at_its_head(source: MySQLServer, tagged: tuple[Position, Position]) -> None:
    """The library fails at the list of earlier GTIDs with which a file begins; capture passes it."""
    _, behind = tagged
    head = Position(None, behind.file, 4)
    with pytest.raises(AssertionError, match="Result length not requested length"):
        library_events(source, head)
    assert ours(source, head, OBJECTS, behind.gtid_set) == [("t", "c", [(2,)])]
