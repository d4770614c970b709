"""What is on its way from a source's tables to the target: its order, what the stream touches, and the SQL of ranges."""

from __future__ import annotations

from typing import Any

import pytest

from consumers.chunk_sql import ChunkSql, behind, up_to
from consumers.chunks import MAX_TOUCHED, Chunk, Chunks, Touched
from consumers.target import TargetTable, plan
from consumers.typed_documents import canonical, leaves
from schemas.tables import Column, Table

NAME = ("shop", "t")
SQL: Any = None


def chunk(low: int | None = None, high: int | None = None, table: tuple[str, str] = NAME) -> Chunk:
    """One of a table whose key is a number."""
    bounds = [None if value is None else (str(value),) for value in (low, high)]
    return Chunk(table=table, low=bounds[0], high=bounds[1], since=0, sql=SQL)


def test_touched_keys_are_those_since_a_chunk_was_registered() -> None:
    """A later chunk of the table leaves earlier touches to the earlier one; without a chunk nothing is kept."""
    touched = Touched()
    assert not touched.watches(NAME)
    first = touched.watch(NAME)
    touched.add(NAME, [(1,), (2,)])
    second = touched.watch(NAME)
    touched.add(NAME, [(2,), (3,)])
    assert touched.since(NAME, first) == {(1,), (2,), (3,)}
    assert touched.since(NAME, second) == {(2,), (3,)}
    touched.release(NAME)
    assert not touched.watches(NAME)


def test_too_many_touched_keys_are_forgotten_and_that_is_known() -> None:
    """Chunks that were registered before are read again; those that come later know all there is."""
    touched = Touched()
    before = touched.watch(NAME)
    touched.add(NAME, ((n,) for n in range(MAX_TOUCHED + 1)))
    assert not touched.known_since(NAME, before)
    after = touched.watch(NAME)
    touched.add(NAME, [(7,)])
    assert touched.known_since(NAME, after)
    assert touched.since(NAME, after) == {(7,)}


def test_chunks_are_put_in_their_order() -> None:
    """The second one is read first, and waits; neither is put before the stream is applied up to its barrier."""
    chunks = Chunks(2)
    one, two = chunk(None, 10), chunk(10, None)
    chunks.append(one)
    chunks.append(two)
    assert chunks.full
    two.barrier = 5
    chunks.passed(6)
    assert chunks.ready() is None
    one.barrier = 7
    assert chunks.ready() is None
    chunks.passed(7)
    assert chunks.ready() is one
    chunks.take(one)
    assert chunks.touched.watches(NAME)
    assert chunks.ready() is two
    chunks.take(two)
    assert chunks.ready() is None
    assert not chunks.touched.watches(NAME)


def test_a_chunk_that_is_cut_is_followed_by_its_rest() -> None:
    """The rest comes before what was behind the chunk, and is registered when it is read."""
    chunks = Chunks(4)
    one, two = chunk(None, 10), chunk(10, None)
    chunks.append(one)
    chunks.append(two)
    chunks.touched.add(NAME, [(4,)])
    chunks.cut(one, ("4",))
    rest = chunks.next_unread()
    assert rest is not None
    assert (one.high, rest.low, rest.high, rest.whole) == (("4",), ("4",), ("10",), True)
    assert chunks.touched.since(NAME, rest.since) == set()
    assert chunks.touched.since(NAME, one.since) == {(4,)}
    assert chunks.next_unread() is None


def test_a_long_row_is_not_read_ahead() -> None:
    """Of rows of many megabytes one is held at a time: it is read when it is the first in line."""
    chunks = Chunks(4)
    one, two = chunk(None, 10), chunk(10, None)
    chunks.append(one)
    chunks.append(two)
    two.reading, two.long = False, True
    assert chunks.next_unread() is None
    chunks.take(one)
    assert chunks.next_unread() is two


def test_nothing_that_was_read_outlives_a_change_of_structure() -> None:
    """A reader that comes with such a chunk finds that it is not wanted."""
    chunks = Chunks(4)
    one = chunk()
    chunks.append(one)
    chunks.clear()
    one.barrier = 1
    chunks.passed(1)
    chunks.cut(one, ("3",))
    assert (chunks.has(one), chunks.ready(), chunks.next_unread()) == (False, None, None)


def test_lag_is_what_a_barrier_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that does not arrive counts from when it was raised; a probe measures while nothing is read."""
    now = 100.0
    monkeypatch.setattr("consumers.chunks.time.monotonic", lambda: now)
    chunks = Chunks(4)
    assert (chunks.lag, chunks.measuring) == (0.0, False)
    chunks.probe(3, 100.0)
    now = 104.0
    assert (chunks.lag, chunks.measuring) == (4.0, True)
    chunks.passed(3)
    now = 110.0
    assert (chunks.lag, chunks.measuring) == (4.0, False)


def test_ranges_of_a_key_of_several_columns() -> None:
    """In the form of which the server makes ranges of an index."""
    assert behind(["a"], ("1",)) == "(a > 1)"
    assert behind(["a", "b"], ("1", "'x'")) == "(a > 1 OR a = 1 AND b > 'x')"
    assert up_to(["a"], ("1",)) == "(a <= 1)"
    assert up_to(["a", "b", "c"], ("1", "2", "3")) == "(a < 1 OR a = 1 AND b < 2 OR a = 1 AND b = 2 AND c <= 3)"


def sql_of(*columns: Column) -> ChunkSql:
    """The SQL of a table whose first column is its key."""
    table = TargetTable(
        db="shop", name="t", columns=columns, key=(0,), unique_keys=((0,),), indexes=("PRIMARY",), prefixes=((None,),),
        needs_value=frozenset(), sets_itself=frozenset(),
    )  # fmt: skip
    return ChunkSql(table, plan(Table(db="shop", name="t", columns=columns, key=(0,)), table))


def test_whether_keys_are_in_a_range_is_asked_where_every_server_says_the_same() -> None:
    """Of numbers and bytes it does; text depends on its collation."""
    number = sql_of(Column(name="id", kind="int", sql_type="int", nullable=False))
    assert number.touches([(1,), (5,)], ("1",), None) == (
        "SELECT COUNT(*) FROM (VALUES ROW(1), ROW(5)) AS v WHERE (v.column_0 > 1) AND TRUE"
    )
    text = sql_of(Column(name="id", kind="text", sql_type="varchar(9)", charset="utf8mb4", collation="utf8mb4_bin"))
    assert text.touches([("a",)], None, None) is None


def test_generated_columns_are_read_by_nobody() -> None:
    """They are not in the list; the target makes them."""
    sql = sql_of(
        Column(name="id", kind="int", sql_type="int", nullable=False),
        Column(name="g", kind="int", sql_type="int", generated=True),
        Column(name="v", kind="int", sql_type="int"),
    )
    assert sql.insert == b"INSERT INTO `shop`.`t` (`id`, `v`) VALUES "
    assert "`g`" not in sql.read(None, None)


def test_a_literal_that_is_too_long_leaves_its_row_out() -> None:
    """The server makes it NULL, which is no NULL of the row's. And rows of more than a megabyte are not for a list."""
    sql = sql_of(
        Column(name="id", kind="int", sql_type="int", nullable=False), Column(name="b", kind="binary", sql_type="longblob")
    ).read(None, None)
    name = "`shop`.`t`.`b`"
    assert f"""IF({name} IS NULL, 'NULL', CONCAT('X''', HEX({name}), ''''))""" in sql
    assert f"SUM(COALESCE(OCTET_LENGTH({name}), 0) > 1048576)" in sql


def test_types_inside_of_documents() -> None:
    """What the server says of a document's values makes its canonical value; a plain one is its text."""
    text = '{"a": 1.50, "b": ["2024-01-01", "x", 7], "c \\"d\\"": "base64:type15:AP8=", "e": "base64:type16:BQ==", "f": null}'
    found = leaves(text)
    assert [leaf.path for leaf in found] == ['$."a"', '$."b"[0]', '$."b"[1]', '$."b"[2]', '$."c \\"d\\""', '$."e"']
    assert canonical(text, [(leaf, "STRING") for leaf in found]) == text
    types = ["DECIMAL", "DATE", "STRING", "INTEGER", "BLOB", "BIT"]
    value = canonical(text, list(zip(found, types, strict=True)))
    assert isinstance(value, bytes)
    for part in (b'["$.\\"a\\"","DECIMAL(65,2)","1.50"]', b'"DATE","2024-01-01"', b'"VARBINARY","00ff"', b'"BIT(8)","5"'):
        assert part in value
    with pytest.raises(ValueError, match="GEOMETRY"):
        canonical(text, [(found[0], "GEOMETRY")])
