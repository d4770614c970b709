"""Rows of an older structure: which table they are of now, and what of them goes where."""

from collections.abc import Sequence
from typing import Any

import pytest

from bisync_topology.errors import ApplyError
from consumers.converters import converter
from consumers.drift import NOTHING, Changes, History, Moment, adapt, added
from schemas.records import DdlEvent, RowEvent
from schemas.tables import Column, Table


def statement(sequence: int, sql: str, **more: Any) -> DdlEvent:
    """One of the target's own."""
    return DdlEvent(sequence, 0, sql, "shop", 0, "", (255, 255, 255), ())._replace(**more)


def history(*statements: str, first: int = 1, **more: Any) -> History:
    """Statements with sequences from `first` on."""
    found = History()
    for n, sql in enumerate(statements, first):
        found.add(statement(n, sql, **more))
    return found


def column(name: str, sql_type: str = "int", kind: str | None = None, **more: Any) -> Column:
    """A column of the kind that its type is called like."""
    return Column(name=name, kind=kind or sql_type.split("(", maxsplit=1)[0], sql_type=sql_type, **more)


def table(*columns: Column, key: Sequence[int] = (0,)) -> Table:
    """shop.t."""
    return Table(db="shop", name="t", columns=columns, key=tuple(key))


def changes(*statements: str) -> Changes:
    """What statements do to the columns of t."""
    return history(*statements).fate(("shop", "t"), NOTHING).columns


def test_a_table_is_followed_through_its_names() -> None:
    """Each row by what its side had seen: all renames, the later ones, or none."""
    found = history("RENAME TABLE t TO u", "ALTER TABLE u RENAME TO other.v", "RENAME TABLE x TO t")
    assert [found.fate(("shop", "t"), found.known_at(seen)).name for seen in (0, 1, 2, 3)] == [
        ("other", "v"),
        ("shop", "t"),
        ("shop", "t"),
        ("shop", "t"),
    ]
    assert found.fate(("shop", "u"), found.known_at(1)).name == ("other", "v")


def test_a_swap_of_two_tables() -> None:
    """The pairs of one statement happen one after the other."""
    found = history("RENAME TABLE a TO tmp, b TO a, tmp TO b")
    assert found.fate(("shop", "a"), NOTHING).name == ("shop", "b")
    assert found.fate(("shop", "b"), NOTHING).name == ("shop", "a")


@pytest.mark.parametrize("sql", ["DROP TABLE x, t", "TRUNCATE t", "TRUNCATE TABLE shop.t"])
def test_rows_of_a_table_that_is_no_more(sql: str) -> None:
    """They go at their own side too, once it has the statement; later ones stay."""
    found = history(sql, first=5)
    assert found.fate(("shop", "t"), found.known_at(4)).name is None
    assert found.fate(("shop", "t"), found.known_at(5)).name == ("shop", "t")


def test_statements_that_say_nothing_of_a_table() -> None:
    """Others' tables, indexes, routines, partitions, and what came from the other side."""
    found = history("ALTER TABLE u DROP c", "CREATE INDEX i ON t (c)", "DROP PROCEDURE t", "ALTER TABLE t ADD INDEX (c)")
    assert found.fate(("shop", "t"), NOTHING) == (("shop", "t"), [])
    partitions = history("ALTER TABLE t TRUNCATE PARTITION p", "ALTER TABLE t DROP PARTITION p")
    assert partitions.fate(("shop", "t"), NOTHING) == (("shop", "t"), []), "which rows were in it is not known"
    assert history("DROP TABLE t", origin="west").fate(("shop", "t"), NOTHING).name == ("shop", "t")


def test_names_of_a_server_that_folds_them() -> None:
    """Its rows have their tables in lower case."""
    assert history("RENAME TABLE T TO U", lower_case=True).fate(("shop", "t"), NOTHING).name == ("shop", "u")


def test_a_statement_that_comes_again_is_nothing_new() -> None:
    """The topic may be read twice."""
    found = history("ALTER TABLE t RENAME COLUMN a TO b")
    found.add(statement(1, "ALTER TABLE t RENAME COLUMN a TO b"))
    assert len(found.fate(("shop", "t"), NOTHING).columns) == 1


def test_a_stream_that_was_begun_anew() -> None:
    """Its sequences begin anew too: what the older stream had says nothing of rows that come now."""
    found = history("ALTER TABLE t DROP a", "TRUNCATE t", first=7, stream="old")
    found.add(statement(1, "RENAME TABLE t TO u", stream="new"))
    assert found.fate(("shop", "t"), found.known_at(0)) == (("shop", "u"), [])
    assert found.fate(("shop", "t"), found.known_at(1)) == (("shop", "t"), [])
    found.begin("newer")
    assert found.fate(("shop", "t"), found.known_at(0)) == (("shop", "t"), [])
    found.add(statement(1, "DROP TABLE t", stream="newer"))
    found.begin("newer")
    assert found.fate(("shop", "t"), found.known_at(0)).name is None, "it is of that stream"


def test_statements_that_the_other_side_holds() -> None:
    """It has passed them, and its rows are as they were before; others that it has passed it has run."""
    found = history(
        "RENAME TABLE t TO u", "ALTER TABLE x ADD y INT", "ALTER TABLE v DROP COLUMN b", "ALTER TABLE u DROP COLUMN a"
    )
    held = found.known_at(3, (1, 2))
    assert found.fate(("shop", "t"), held).name == ("shop", "u")
    assert [change.old for each in found.fate(("shop", "t"), held).columns for change in each.columns] == ["a"]
    assert [change.new for each in found.fate(("shop", "x"), held).columns for change in each.columns] == ["y"]
    assert found.fate(("shop", "v"), held).columns == []
    assert len({found.known_at(3), held, found.known_at(3, (1,)), found.known_at(3, (2,))}) == 4
    assert found.known_at(3, (1, 7)) == found.known_at(3, (1,)) == found.known_at(3, (1, 9)), "statements that change no table"


SOURCE = table(column("id"), column("a", "varchar(9)", "text"), column("b"))
EVENT = RowEvent(1, 0, "u", (1, "x", 2), (1, "y", None))


def test_what_fits_stays_as_it_is() -> None:
    """Also where the target has more columns, or others in another order."""
    assert adapt(SOURCE, SOURCE.columns, ()) is None
    assert adapt(SOURCE, (column("z"), *reversed(SOURCE.columns)), ()) is None


def test_a_dropped_column_is_left_out() -> None:
    """Of both images, whatever it holds."""
    found = adapt(SOURCE, (column("id"), column("a", "varchar(9)", "text")), changes("ALTER TABLE t DROP COLUMN b"))
    assert found is not None
    assert found.event(EVENT) == EVENT._replace(before=(1, "x"), after=(1, "y"))
    assert [c.name for c in found.table.columns] == ["id", "a"]


def test_a_renamed_column_is_found_by_its_new_name() -> None:
    """Also one that changed places with another one, and one renamed twice, and the key."""
    swapped = adapt(
        table(column("id"), column("a"), column("b")),
        (column("id"), column("a"), column("b")),
        changes("ALTER TABLE t RENAME COLUMN a TO b, RENAME COLUMN b TO a"),
    )
    assert swapped is not None
    assert [c.name for c in swapped.table.columns] == ["id", "b", "a"]
    twice = changes("ALTER TABLE t CHANGE id x INT", "ALTER TABLE t CHANGE x y INT")
    keyed = adapt(SOURCE, (column("y"), *SOURCE.columns[1:]), twice)
    assert keyed is not None
    assert [c.name for c in keyed.table.columns] == ["y", "a", "b"]
    assert keyed.table.key == (0,)


def test_a_dropped_column_whose_name_is_given_again() -> None:
    """The new one is another one: the old value is left out, and no value is there for it."""
    found = adapt(SOURCE, SOURCE.columns, changes("ALTER TABLE t DROP COLUMN b, ADD COLUMN b INT"))
    assert found is not None
    assert [c.name for c in found.table.columns] == ["id", "a"]
    assert added(changes("ALTER TABLE t DROP COLUMN b, ADD COLUMN b INT")).keys() == {"b"}
    assert added(changes("ALTER TABLE t ADD x INT", "ALTER TABLE t CHANGE x Y INT, ADD z INT")).keys() == {"y", "z"}


def test_when_a_column_was_added() -> None:
    """By the statement that added it, whatever it is called since; one that was added and dropped is none."""
    found = History()
    found.add(statement(1, "ALTER TABLE t ADD x INT, ADD w INT", executed_at=1_000, time_zone="+02:00"))
    found.add(statement(2, "ALTER TABLE t RENAME COLUMN x TO y, ADD z INT, DROP w", executed_at=2_000))
    assert added(found.fate(("shop", "t"), NOTHING).columns) == {"y": Moment(1_000, "+02:00"), "z": Moment(2_000, "")}
    assert added(found.fate(("shop", "t"), found.known_at(1)).columns) == {"z": Moment(2_000, "")}


def test_a_column_without_a_place_may_be_empty() -> None:
    """NULL in it says nothing; a value stops the direction, as nobody knows what became of the column."""
    found = adapt(SOURCE, SOURCE.columns[:2], ())
    assert found is not None
    assert found.row((1, "x", None)) == (1, "x")
    with pytest.raises(ApplyError, match="column `b`"):
        found.row((1, "x", 2))


def test_a_key_without_a_place_is_left_for_the_plan() -> None:
    """It says what is wrong."""
    assert adapt(SOURCE, SOURCE.columns[1:], ()) is None


@pytest.mark.parametrize(
    ("source", "target", "value", "expected"),
    [
        (column("c"), column("c", "bigint unsigned", "uint64"), 7, "7"),
        (column("c", "bigint unsigned", "uint64"), column("c", "bigint", "int"), "7", 7),
        (column("c"), column("c", "decimal(10,2)"), -7, "-7.00"),
        (column("c"), column("c", "decimal(10,0)"), -7, "-7"),
        (column("c", "decimal(10,2)"), column("c", "decimal(12,4)"), "1.50", "1.5000"),
        (column("c", "decimal(10,0)"), column("c", "decimal(12,2)"), "1", "1.00"),
        (column("c", "decimal(10)"), column("c", "decimal(12,2)"), "1", "1.00"),
        (column("c", "datetime"), column("c", "datetime(3)"), "2026-01-01 00:00:00", "2026-01-01 00:00:00.000"),
        (column("c", "time(1)"), column("c", "time(3)"), "-00:00:00.5", "-00:00:00.500"),
        (column("c", "date"), column("c", "datetime(2)"), "2026-01-01", "2026-01-01 00:00:00.00"),
        (column("c", "date"), column("c", "datetime"), "0000-00-00", "0000-00-00 00:00:00"),
        (column("c", "date"), column("c", "varchar(20)", "text"), "2026-01-01", "2026-01-01"),
        (column("c", "enum('a','b')"), column("c", "varchar(20)", "text"), "a", "a"),
        (column("c", "varchar(9)", "text"), column("c", "enum('a','it''s')"), "it's", "it's"),
        (column("c", "float"), column("c", "double"), 0.5, 0.5),
        (column("c"), column("c", "double"), 2**53, float(2**53)),
        (column("c", "json"), column("c", "longtext", "text"), '{"a": 1}', '{"a": 1}'),
        (column("c", "bit(8)"), column("c", "int"), "255", 255),
    ],
)
def test_types_that_hold_every_value(source: Column, target: Column, value: object, expected: object) -> None:
    """A value becomes the target's canonical value."""
    convert = converter(source, target)
    assert convert is not None
    assert convert(value) == expected
    found = adapt(table(column("id"), source), (column("id"), target), ())
    assert found is not None
    assert found.row((1, value)) == (1, expected)
    assert found.row((1, None)) == (1, None)


@pytest.mark.parametrize(
    ("source", "target", "value"),
    [
        (column("c"), column("c", "bigint unsigned", "uint64"), -1),
        (column("c"), column("c", "double"), 2**53 + 1),
        (column("c", "json"), column("c", "longtext", "text"), b"\0"),
        (column("c", "varchar(9)", "text"), column("c", "enum('a')"), "b"),
    ],
)
def test_values_that_would_be_lost(source: Column, target: Column, value: object) -> None:
    """The direction stops and says which column."""
    found = adapt(table(column("id"), source), (column("id"), target), ())
    assert found is not None
    with pytest.raises(ApplyError, match="column `c`"):
        found.row((1, value))


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("timestamp", "datetime"),
        ("text", "json"),
        ("double", "float"),
        ("int", "date"),
        ("int", "text"),
        ("uint64", "text"),
        ("decimal", "text"),
    ],
)
def test_types_that_are_not_converted(source: str, target: str) -> None:
    """What a time zone, a parser or a rounding would decide is left for the plan to refuse.

    So is a number's text: of a ZEROFILL one MySQL makes 00042, and the binlog does not say which are.
    """
    assert converter(column("c", source), column("c", target)) is None
