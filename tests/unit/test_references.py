"""Which keys a transaction may leave without a parent, and the text of the statements that look at them."""

from collections.abc import Sequence

import pytest

from consumers.conflict import Delete, Insert, LocalRow, Set
from consumers.references import MAX_BYTES, MAX_KEYS, Columns, End, ForeignKey, Key, Links, Touched, images, leading
from schemas.records import Row
from schemas.tables import Column

ID = Column(name="id", kind="int", sql_type="int")
TEXT = Column(name="a`b", kind="text", sql_type="varchar(9)", charset="latin1", collation="latin1_german1_ci")


def foreign_key(*columns: Column, index: str | None = "PRIMARY") -> ForeignKey:
    """A foreign key of `s`.`child` to `s`.`parent`, over columns of the same names."""
    return ForeignKey(
        name="s.f",
        child=End(table="`s`.`child`", columns=columns, index="i"),
        parent=End(table="`s`.`parent`", columns=columns, index=index),
    )


ONE = foreign_key(ID)
CHILD = Links((Columns(ONE, (1,)),), ())
PARENT = Links((), (Columns(ONE, (0,)),))
TREE = Links((Columns(ONE, (1,)),), (Columns(ONE, (0,)),))
PAIR = Links((Columns(foreign_key(ID, TEXT), (1, 2)),), ())


@pytest.mark.parametrize(
    ("changes", "left"),
    [
        pytest.param([(CHILD, None, (10, 1))], {(1,): "child"}, id="a child comes"),
        pytest.param([(CHILD, None, (10, None))], {}, id="NULL refers to nothing"),
        pytest.param([(CHILD, (10, 1), (10, 2))], {(2,): "child"}, id="a child goes elsewhere"),
        pytest.param([(CHILD, (10, 1), (11, 1)), (CHILD, (10, 1), None)], {}, id="a child stays with its parent, or goes"),
        pytest.param([(PARENT, (1, 0), None)], {(1,): "parent"}, id="a parent goes"),
        pytest.param([(PARENT, (1, 0), (1, 5)), (PARENT, None, (2, 0))], {}, id="a parent keeps its key, or comes"),
        pytest.param([(PARENT, (1, 0), (2, 0))], {(1,): "parent"}, id="a parent changes its key"),
        pytest.param([(CHILD, (10, 1), (10, 2)), (PARENT, (1, 0), (2, 0))], {(1,): "parent"}, id="a cascade, child first"),
        pytest.param([(PARENT, (1, 0), None), (PARENT, None, (1, 5))], {}, id="a parent comes again"),
        pytest.param([(CHILD, None, (10, 1)), (PARENT, (1, 0), None)], {(1,): "parent"}, id="the parent's going is to blame"),
        pytest.param([(PARENT, (1, 0), None), (CHILD, None, (10, 1))], {(1,): "parent"}, id="also where it goes first"),
        pytest.param([(TREE, None, (7, 7)), (TREE, None, (8, 7))], {(7,): "child"}, id="a row that refers to itself"),
        pytest.param([(TREE, (7, 7), (8, 8))], {(7,): "parent"}, id="and moves"),
        pytest.param([(PAIR, None, (1, 2, "x")), (PAIR, None, (2, 2, None))], {(2, "x"): "child"}, id="part of a key is NULL"),
    ],
)
def test_keys_that_are_looked_at(changes: Sequence[tuple[Links, Row | None, Row | None]], left: dict[Key, str]) -> None:
    """A key is looked at where a row comes to refer to it or a parent gives it up, and no parent has come since."""
    touched = Touched()
    for links, before, after in changes:
        touched.add(links, before, after)
    assert len(touched) == len(left)
    assert {key: side for _, keys in touched.take() for key, side in keys.items()} == left
    assert len(touched) == 0


def test_keys_that_are_kept() -> None:
    """What lacks a parent so far waits for it, and is let go when it comes."""
    touched = Touched()
    touched.add(CHILD, None, (10, 1))
    touched.add(CHILD, None, (11, 2))
    for key, keys in touched.take():
        touched.keep(key, keys)
    touched.add(PARENT, (5, 0), (1, 0))
    assert [(key.name, keys) for key, keys in touched.take()] == [("s.f", {(2,): "child", (5,): "parent"})]
    touched.add(CHILD, None, (10, 1))
    touched.clear()
    assert len(touched) == 0


def test_statements() -> None:
    """Each key is found by the index, as the parent's and the child's columns compare, under a lock."""
    ((keys, listed),) = foreign_key(ID, TEXT).lists([(1, "x"), (2, "it's")])
    assert keys == [(1, "x"), (2, "it's")] and listed == "ROW(0,1,'x'),ROW(1,2,'it\\'s')"
    match = "{0}.`id` = v.column_1 AND {0}.`a``b` = CONVERT(v.column_2 USING latin1) COLLATE latin1_german1_ci LIMIT 1 FOR SHARE"
    parent = f"(SELECT 1 FROM `s`.`parent` AS p FORCE INDEX (`PRIMARY`) WHERE {match.format('p')})"
    child = f"(SELECT 1 FROM `s`.`child` AS c FORCE INDEX (`i`) WHERE {match.format('c')})"
    made = foreign_key(ID, TEXT)
    assert made.count_parents(listed) == f"SELECT COUNT({parent}) FROM (VALUES {listed}) AS v"
    assert made.orphaned(listed) == (
        f"SELECT v.column_0 FROM (VALUES {listed}) AS v WHERE {child} IS NOT NULL AND {parent} IS NULL"
    )
    assert "FORCE INDEX (`i`)" in foreign_key(ID, index=None).orphaned("ROW(0,1)")
    assert "FORCE" not in foreign_key(ID, index=None).count_parents("ROW(0,1)")


def test_lists_are_split() -> None:
    """By number and by bytes, so that a statement stays small; numbers begin anew in each."""
    parts = list(ONE.lists((n,) for n in range(2 * MAX_KEYS + 1)))
    assert [len(keys) for keys, _ in parts] == [MAX_KEYS, MAX_KEYS, 1]
    assert parts[2] == ([(2 * MAX_KEYS,)], f"ROW(0,{2 * MAX_KEYS})")
    long = list(foreign_key(TEXT).lists([("x" * 3000,)] * 700))
    assert len(long) == 3 and all(len(listed) < MAX_BYTES + 20_000 for _, listed in long)
    assert sum(len(keys) for keys, _ in long) == 700
    assert list(ONE.lists([])) == []


def test_what_actions_change() -> None:
    """An action as the images that it turns into each other."""
    assert images(Insert((1,))) == (None, (1,))
    assert images(Set((1,), (2,))) == ((1,), (2,))
    assert images(Delete(LocalRow((1,)).row)) == ((1,), None)


def test_the_index_of_a_key() -> None:
    """It begins with the key's columns, whole, in their order, whatever their case."""
    indexes = {"PRIMARY": ["id"], "a": ["y", "x"], "b": ["x", None], "c": ["X", "y", "z"]}
    assert leading(indexes, ["x", "y"]) == "c"
    assert leading(indexes, ["ID"]) == "PRIMARY"
    assert leading(indexes, ["z"]) is None
