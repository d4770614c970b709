"""The pure parts of verify: a row as bytes, ranges of a key, looks at a row, what a repair writes, marks and reports."""

from io import StringIO
from itertools import chain, repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from bisync_topology.errors import ApplyError
from consumers.conflict import Set
from consumers.target import TargetTable, plan
from schemas.tables import Column
from verification.background import Pace, summary
from verification.columns import digest, row_bytes
from verification.command import show
from verification.keys import Key
from verification.marks import cleared, marked
from verification.repair import actions
from verification.report import Report, TableResult, notes, shown
from verification.settle import LOOKS, ROUNDS, Watch, settle
from verification.structure import differences
from verification.suspects import Digests, Suspect
from verification.tables import make_pair


def column(name: str, kind: str = "int", sql_type: str = "int", **more: object) -> Column:
    """A column; NOT NULL unless told."""
    return Column(**{"name": name, "kind": kind, "sql_type": sql_type, "nullable": False, **more})  # type: ignore[arg-type]


def text(name: str, charset: str = "utf8mb4", collation: str = "utf8mb4_0900_ai_ci", **more: object) -> Column:
    """A VARCHAR."""
    return column(name, "text", "varchar(20)", charset=charset, collation=collation, **more)


def table(*columns: Column, key: tuple[int, ...] = (0,)) -> TargetTable:
    """A table with a primary key."""
    return TargetTable(
        db="shop", name="item", columns=columns, key=key, unique_keys=(key,), indexes=("PRIMARY",),
        prefixes=((None,) * len(key),), needs_value=frozenset(), sets_itself=frozenset(),
    )  # fmt: skip


def alike(*columns: Column) -> list[tuple[Column, Column]]:
    """Columns that are the same on both sides."""
    return [(each, each) for each in columns]


# A row as bytes


def test_values_that_are_alike_go_in_as_they_are() -> None:
    """Nothing is converted that need not be: the checksum is to cost little more than reading."""
    assert row_bytes(alike(column("a"), column("b"), text("c"))) == "CONCAT_WS('#', `a`, `b`, `c`)"


def test_lengths_stand_before_all_but_the_last_string() -> None:
    """Else a separator inside a value would make two rows one string."""
    assert row_bytes(alike(text("a"), text("b"))) == ("CONCAT_WS('#', LENGTH(`a`), `a`, `b`)")


def test_nulls_are_told() -> None:
    """CONCAT_WS leaves NULLs out; a column that is nullable on one side counts on both."""
    both = [(column("a", nullable=True), column("a")), (column("b"), column("b", nullable=True)), (column("c"), column("c"))]
    assert row_bytes(both) == "CONCAT_WS('#', CHAR(ISNULL(`a`), ISNULL(`b`)), `a`, `b`, `c`)"


def test_long_columns_are_digests() -> None:
    """A string beyond max_allowed_packet is NULL, which no checksum sees; so are TEXTs beyond eight."""
    assert row_bytes(alike(column("j", "json", "json"))) == "CONCAT_WS('#', SHA2(CAST(`j` AS CHAR), 256))"
    texts = row_bytes(alike(*(column(f"t{n}", "binary", "blob") for n in range(10))))
    assert texts.count("SHA2(") == 2


@pytest.mark.parametrize(
    ("mine", "other", "here", "there"),
    [
        (column("c"), column("c", sql_type="bigint"), "`c` + 0", "`c` + 0"),
        (
            column("c", "decimal", "decimal(10,2)"),
            column("c", "decimal", "decimal(12,4)"),
            *repeat("CAST(`c` AS DECIMAL(65,4))", 2),
        ),
        (column("c", "datetime", "datetime"), column("c", "timestamp", "timestamp(3)"), *repeat("CAST(`c` AS DATETIME(6))", 2)),
        (column("c", "float", "float"), column("c", "double", "double"), "`c` + 0e0", "`c` + 0e0"),
        (text("c"), text("c", charset="latin1"), *repeat("CAST(CONVERT(`c` USING utf8mb4) AS BINARY)", 2)),
        (
            column("c", "enum", "enum('a','b')", charset="utf8mb4"),
            column("c", "enum", "enum('b','a')", charset="utf8mb4"),
            *repeat("CAST(`c` AS BINARY)", 2),
        ),
        (*repeat(column("c", "enum", "enum('a','b')", charset="utf8mb4"), 2), *repeat("CAST(`c` AS UNSIGNED)", 2)),
    ],
)  # fmt: skip
def test_columns_that_differ_get_a_form_that_both_share(mine: Column, other: Column, here: str, there: str) -> None:
    """The same value gives the same text, whatever its column's type on the side."""
    assert row_bytes([(mine, other)]) == f"CONCAT_WS('#', {here})"
    assert row_bytes([(other, mine)]) == f"CONCAT_WS('#', {there})"


def test_pairs_are_matched_by_name() -> None:
    """Columns in another order, or in other letters, are the same; generated ones, and those of one side alone, are left out."""
    here = table(column("id"), column("B"), text("a"), column("g", generated=True))
    there = table(text("a"), column("extra"), column("b"), column("id"), column("g"), key=(3,))
    first, second = make_pair(("shop", "item"), (here, there)).halves
    assert first.digest == digest(alike(text("a"), column("B"), column("id")))
    assert second.digest == digest(alike(text("a"), column("b"), column("id")))
    assert (first.key.names, second.key.names) == (("`id`",), ("`id`",))


@pytest.mark.parametrize(
    "there",
    [table(text("k", collation="utf8mb4_bin")), table(column("k")), table(text("k"), column("o"), key=(1,))],
    ids=["collation", "kind", "key"],
)
def test_keys_of_another_order_are_not_compared(there: TargetTable) -> None:
    """A range would hold other rows on either side, and the difference would be none."""
    with pytest.raises(ApplyError):
        make_pair(("shop", "item"), (table(text("k"), column("o")), there))


# Ranges of a key


def test_ranges_of_a_key_of_one_column() -> None:
    """From behind one key up to and with another."""
    key = Key(columns=(column("id"),), index="PRIMARY")
    assert key.within((3,), (9,)) == "(`id` > 3) AND (`id` <= 9)"
    assert key.within(None, (9,)) == "(`id` <= 9)"
    assert key.within(None, None) == "TRUE"
    assert key.among([(3,), (4,)]) == "(`id` = 3) OR (`id` = 4)"


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=2),
    st.tuples(st.integers(0, 3), st.integers(0, 3)),
)
def test_ranges_of_a_key_of_two_columns(ends: list[tuple[int, int]], row: tuple[int, int]) -> None:
    """The condition holds for exactly the rows between, in the order of the key."""
    key = Key(columns=(column("a"), column("b")), index="PRIMARY")
    low, high = ends
    sql = key.within(low, high).replace("`a`", str(row[0])).replace("`b`", str(row[1]))
    python = sql.replace(" = ", " == ").replace(" AND ", " and ").replace(" OR ", " or ")
    assert eval(python) == (low < row <= high)  # noqa: S307


def test_texts_of_a_key_are_compared_in_their_own_collation() -> None:
    """So that both servers mean the same rows; of ENUM it is the number, as its index has it."""
    latin = Key(columns=(text("k", charset="latin1", collation="latin1_swedish_ci"),), index="PRIMARY")
    assert latin.within(("é",), None) == "(`k` > CONVERT('é' USING latin1) COLLATE latin1_swedish_ci)"
    assert Key(columns=(text("k"),), index="PRIMARY").within(None, ("a",)) == "(`k` <= 'a' COLLATE utf8mb4_0900_ai_ci)"
    enum = Key(columns=(column("e", "enum", "enum('b','a')", charset="utf8mb4"),), index="PRIMARY")
    assert enum.within(("1",), ("2",)) == "(`e` > 1) AND (`e` <= 2)"


# What a look says of a row


def suspect(n: int, here: str | None = "x", there: str | None = "y") -> Suspect:
    """A row that differs."""
    digests: Digests = (here, there)
    return Suspect((n,), (n,), digests)


def test_a_row_is_different_when_it_is_the_same_at_each_look() -> None:
    """And not before; one that changes begins anew, one that is equal at a look is gone."""
    watch = Watch([suspect(1), suspect(2), suspect(3)])
    for n in range(LOOKS):
        assert not watch.different
        watch.look([suspect(1), suspect(2, here=f"v{n}"), *([suspect(3)] if n < 2 else [])])
    assert watch.different == [suspect(1)]
    assert [each.key for each in watch.left] == [(2,)]


def test_a_row_that_comes_and_goes_is_never_different() -> None:
    """A value that returns again and again is on its way, not different."""
    forms = [suspect(1, here="a"), suspect(1, here="b"), suspect(1, here="a", there=None)]
    seen = iter(chain.from_iterable(repeat(forms, 2 * ROUNDS)))
    settled = settle([forms[0]], lambda left: [next(seen)], lambda: True)
    assert (settled.different, len(settled.changing)) == ((), 1)


def test_without_a_barrier_what_differs_now_counts() -> None:
    """One more look, and no more: nothing tells what is on its way."""
    settled = settle([suspect(1), suspect(2)], lambda left: left[:1], lambda: False)
    assert settled.different == (suspect(1),)


# What a repair writes


def test_a_repair_writes_what_differs_alone() -> None:
    """Of a row the columns that differ, so that an equal document keeps its types; rows in excess go, missing ones come."""
    written = plan(table(column("id"), column("a"), column("b")), table(column("id"), column("a"), column("b")))
    here = {(1,): (1, 5, 6), (2,): (2, 0, 0), (3,): (3, 0, 0)}
    there = {(1,): (1, 5, 7), (3,): (3, 0, 0), (4,): (4, 1, 1)}
    wanted = actions(here, there, written)
    assert wanted.change == (Set((1, 5, 7), (1, 5, 6), (2,)),)
    assert (wanted.insert, wanted.delete, wanted.number) == (((2, 0, 0),), ((4, 1, 1),), 3)


# Structure, marks, report


def test_structure_is_compared_line_by_line() -> None:
    """The order of columns, the next automatic value and the widths of integers are none; anything else is."""
    here = (
        "CREATE TABLE `t` (\n  `id` int NOT NULL AUTO_INCREMENT,\n  `a` int,\n  PRIMARY KEY (`id`)\n) ENGINE=X AUTO_INCREMENT=7"
    )
    there = "CREATE TABLE `t` (\n  `a` int(11),\n  `id` int(11) NOT NULL AUTO_INCREMENT,\n  PRIMARY KEY (`id`)\n) ENGINE=X"
    assert list(differences(here, there, "east", "west")) == []
    assert list(differences(here, there.replace("`a` int(11)", "`a` bigint"), "east", "west")) == [
        "east alone: `a` int",
        "west alone: `a` bigint",
    ]


def test_marks_go_table_by_table() -> None:
    """A pass marks its tables until each was found equal; the record of it stays."""
    used = [{"gtid": "g:1", "tables": ["shop.a", "shop.b"]}, {"gtid": "g:2", "tables": ["shop.c"]}]
    once = cleared(used, {"shop.a"}, 7)
    assert once[0] == {**used[0], "verified": {"shop.a": 7}} and once[1] is used[1]
    assert marked(once[0]) == ["shop.b"]
    assert cleared(once, {"shop.a"}, 9) == once


def test_report() -> None:
    """JSON as interface.md has it; equal is what holds at the end, after a repair."""
    result = TableResult(name=("shop", "item"), rows=[10, 9], differing=1, only_from=2, only_to=1)
    report = Report(from_="east", to="west", tables=[result], seconds=1.0)
    assert not report.equal
    one = report.as_json()["tables"][0]
    assert {name: one[name] for name in ("table", "rows", "equal", "differing", "only_from", "only_to", "examples")} == {
        "table": "shop.item", "rows": 10, "equal": 7, "differing": 1, "only_from": 2, "only_to": 1, "examples": [],
    }  # fmt: skip
    result.repaired = 4
    assert report.equal
    result.skipped = ["g:1"]
    assert list(notes(report)) == [("shop.item", "`skip` has passed g:1: the table is equal, and no longer marked")]


def test_rows_that_kept_changing_are_not_called_equal() -> None:
    """Nor different: no look has decided about them, and the words for people say just that."""
    undecided = TableResult(name=("shop", "a"), rows=[5, 5], changing=2)
    report = Report(from_="east", to="west", tables=[undecided, TableResult(name=("shop", "b"), rows=[1, 1])], seconds=1.0)
    assert (report.equal, report.as_json()["equal"], undecided.differs) == (False, False, False)
    console = Console(width=200, record=True, file=StringIO())
    show(report, console)
    verdict = console.export_text().splitlines()[-1]
    assert verdict == "nothing differs, but 2 rows of 1 table kept changing: nothing can be said of them, after 1.0 s"
    report.tables[1].only_to = 1
    show(report, console)
    assert "1 of 2 tables differ, in 1 rows; 2 rows of 1 table kept changing" in console.export_text()


def test_examples_for_people() -> None:
    """Of a row on both sides, the columns that differ; of one on one side alone, all of it."""
    both = {"key": {"id": 1}, "from": {"id": 1, "a": 1, "b": None}, "to": {"id": 1, "a": 1, "b": "x" * 70}}
    assert shown(both, ("east", "west")) == ["id=1:", f"  b: NULL at east, {'x' * 60}… at west"]
    assert shown({**both, "from": None}, ("east", "west"))[0].startswith("id=1: west alone: a=1, b=x")


def test_the_background_keeps_its_pace() -> None:
    """So many rows a second, whatever a range takes to be compared; a pause is not made up for by a rush."""
    pace = Pace(1000)
    assert pace.due(10.0, 500, 10.1) == 10.5
    assert pace.due(10.5, 500, 10.6) == 11.0
    assert pace.due(11.0, 1000, 60.0) == 60.0


def test_what_the_background_found_in_a_few_words() -> None:
    """As `status` has it: which tables differ, and in how many rows."""
    tables = [TableResult(name=("shop", "a"), rows=[5, 5]), TableResult(name=("shop", "b"), rows=[2, 3], only_to=1)]
    tables.append(TableResult(name=("shop", "c"), rows=[1, 1], changing=1))
    found = summary(Report(from_="east", to="west", tables=tables, seconds=1.25), 7)
    assert found == {
        "at": 7, "equal": False, "seconds": 1.2, "tables": 3, "rows": 8, "differing": 1, "different": ["shop.b"], "changing": 1,
        "unsettled": None,
    }  # fmt: skip
