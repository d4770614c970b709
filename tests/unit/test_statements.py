"""The exact SQL of small cases, how runs are split, and how a source's rows are matched with a target's table."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bisync_topology.errors import ApplyError
from bisync_topology.scope import TableRules
from bisync_topology.topology import Direction, Policy
from consumers.conflict import Delete, Insert, LocalRow, Set, decide
from consumers.drift import Moment
from consumers.long_rows import Long
from consumers.long_statements import LongStatements
from consumers.row_identity import Pair, distinct_prefix, loose
from consumers.rules import rules_of
from consumers.statements import Statements
from consumers.target import TablePlan, TargetTable, plan
from schemas.records import RowEvent
from schemas.tables import Column, Table

DIRECTION = Direction.model_validate({"from": "east", "to": "west", "objects": ["shop"], "on_conflict": "merge"})
ID = Column(name="id", kind="int", sql_type="bigint", nullable=False)
NAME = Column(name="name", kind="text", sql_type="varchar(20)", charset="utf8mb4", collation="utf8mb4_0900_ai_ci")
AMOUNT = Column(name="amount", kind="decimal", sql_type="decimal(10,2)")


def target(*columns: Column, key: tuple[int, ...] = (0,), db: str = "shop", name: str = "stock", **more: object) -> TargetTable:
    """A table of the target; `more` replaces any of its fields."""
    table = TargetTable(
        db=db,
        name=name,
        columns=columns,
        key=key,
        unique_keys=(key,),
        indexes=("PRIMARY",),
        prefixes=((None,) * len(key),),
        needs_value=frozenset(),
        sets_itself=frozenset(),
    )
    made = replace(table, **more)  # type: ignore[arg-type]
    prefixes = tuple((None,) * len(parts) for parts in made.unique_keys)
    indexes = ("PRIMARY", *(f"unique_{n}" for n in range(1, len(prefixes))))
    return replace(made, prefixes=prefixes, indexes=indexes)


def planned(table: TargetTable) -> TablePlan:
    """The plan of a source whose table is the same."""
    return plan(Table(db=table.db, name=table.name, columns=table.columns, key=table.key), table)


def statements(*columns: Column, **more: object) -> Statements:
    """Statements of a table with these columns."""
    return Statements(planned(target(*columns, **more)))  # type: ignore[arg-type]


def test_insert_lists_columns_and_writes_null() -> None:
    """Columns are named, since a target may have more of them, and NULL is NULL whatever the kind."""
    sql = statements(ID, NAME, AMOUNT).insert([(1, "a", "1.10"), (2, None, None)])
    assert sql == "INSERT INTO `shop`.`stock` (`id`, `name`, `amount`) VALUES (1,'a',1.10),(2,NULL,NULL)"


def test_insert_escapes_quotes_and_backslashes() -> None:
    """Text cannot end its literal, and `%` is left alone: statements are never formatted again."""
    sql = statements(ID, NAME).insert([(1, "it's \\ 100%s")])
    assert sql == "INSERT INTO `shop`.`stock` (`id`, `name`) VALUES (1,'it\\'s \\\\ 100%s')"


def test_update_joins_a_list_and_sets_only_what_changed() -> None:
    """The batch matches the key through the index, compares the whole before image, and sets the changed columns."""
    pairs: list[Pair] = [((1, "a", "1.00"), (1, "a", "2.00")), ((2, "b", None), (2, "b", "3.00"))]
    assert statements(ID, NAME, AMOUNT).update(pairs) == (
        "UPDATE (VALUES ROW(1,'a',1.00,2.00),ROW(2,'b',NULL,3.00)) AS v STRAIGHT_JOIN `shop`.`stock` FORCE INDEX (`PRIMARY`) "
        "ON `shop`.`stock`.`id` = v.column_0 SET `shop`.`stock`.`amount` = v.column_3 "
        "WHERE CAST(`shop`.`stock`.`name` AS BINARY) <=> CAST(v.column_1 AS BINARY) AND `shop`.`stock`.`amount` <=> v.column_2"
    )


def test_update_of_one_row_needs_no_list() -> None:
    """The commonest transaction, one row, is a plain guarded UPDATE."""
    assert statements(ID, NAME).update([((1, "a"), (2, "b"))]) == (
        "UPDATE `shop`.`stock` SET `shop`.`stock`.`id` = 2, `shop`.`stock`.`name` = 'b' WHERE `shop`.`stock`.`id` = 1 "
        "AND CAST(`shop`.`stock`.`name` AS BINARY) <=> CAST('a' AS BINARY)"
    )


def test_update_that_changes_nothing_is_still_a_statement() -> None:
    """An update to identical values must find its rows, so that it has something to set."""
    sql = statements(ID, AMOUNT).update([((1, "1.00"), (1, "1.00")), ((2, "1.00"), (2, "1.00"))])
    assert "SET `shop`.`stock`.`id` = v.column_2 WHERE" in sql


def test_update_names_columns_that_would_set_themselves() -> None:
    """ON UPDATE CURRENT_TIMESTAMP fires in an update that leaves the column out, although the source kept its value."""
    at = Column(name="at", kind="timestamp", sql_type="timestamp")
    sql = statements(ID, AMOUNT, at, sets_itself=frozenset({2})).update([((1, "1.00", None), (1, "2.00", None))])
    assert "SET `shop`.`stock`.`amount` = 2.00, `shop`.`stock`.`at` = NULL WHERE" in sql


def test_update_sees_a_change_of_the_sign_of_zero() -> None:
    """Python has 0.0 == -0.0: floats are always set, so that the change is not taken for none."""
    weight = Column(name="weight", kind="double", sql_type="double")
    assert "`weight` = -0.0e0 WHERE" in statements(ID, weight).update([((1, 0.0), (1, -0.0))])


def test_delete_compares_the_whole_image() -> None:
    """A delete of a row that was changed here must find nothing; one row and many rows alike."""
    rows = [(1, "1.00"), (2, None)]
    assert statements(ID, AMOUNT).delete(rows) == (
        "DELETE `shop`.`stock` FROM (VALUES ROW(1,1.00),ROW(2,NULL)) AS v STRAIGHT_JOIN `shop`.`stock` FORCE INDEX (`PRIMARY`) "
        "ON `shop`.`stock`.`id` = v.column_0 WHERE `shop`.`stock`.`amount` <=> v.column_1"
    )
    assert statements(ID, AMOUNT).delete(rows[1:]) == (
        "DELETE FROM `shop`.`stock` WHERE `shop`.`stock`.`id` = 2 AND `shop`.`stock`.`amount` <=> NULL"
    )


def test_text_key_is_matched_in_the_targets_collation() -> None:
    """A list's text is converted to the key's character set and collation, and then compared as bytes too."""
    code = Column(name="code", kind="text", sql_type="varchar(9)", charset="latin1", collation="latin1_swedish_ci")
    sql = statements(code).delete([("a",), ("b",)])
    assert "ON `shop`.`stock`.`code` = CONVERT(v.column_0 USING latin1) COLLATE latin1_swedish_ci WHERE" in sql
    assert sql.endswith("CAST(CONVERT(`shop`.`stock`.`code` USING utf8mb4) AS BINARY) <=> CAST(v.column_0 AS BINARY)")


def test_a_literal_outside_the_keys_character_set_is_no_error() -> None:
    """It is converted where it may be lossy, and then has to have survived that; plain text is left as it is."""
    code = Column(name="code", kind="text", sql_type="varchar(9)", charset="latin1", collation="latin1_bin")
    assert "WHERE `shop`.`stock`.`code` = 'a' AND" in statements(code).delete([("a",)])
    assert (
        "WHERE (`shop`.`stock`.`code` = CONVERT('é' USING latin1) COLLATE latin1_bin AND "
        "CAST(CONVERT(CONVERT('é' USING latin1) USING utf8mb4) AS BINARY) = CAST('é' AS BINARY)) AND"
    ) in statements(code).delete([("é",)])


def test_names_are_quoted_and_never_clash_with_the_list() -> None:
    """Backticks, percent signs and reserved words are names like others, also a table that is called like the list."""
    odd = Column(name="se`lect %s", kind="int", sql_type="int")
    assert "`d``b`.`v` (`se``lect %s`)" in statements(odd, db="d`b", name="v").insert([(1,)])
    assert ") AS w STRAIGHT_JOIN `d``b`.`v` FORCE INDEX" in statements(odd, db="d`b", name="v").delete([(1,), (2,)])


def test_generated_columns_are_neither_written_nor_compared() -> None:
    """Writing one is error 3105; and its value follows from the others."""
    total = replace(AMOUNT, name="total", generated=True)
    made = statements(ID, total, NAME)
    assert made.insert([(1, "5.00", "a")]) == "INSERT INTO `shop`.`stock` (`id`, `name`) VALUES (1,'a')"
    assert "total" not in made.update([((1, "5.00", "a"), (1, "6.00", "b")), ((2, "5.00", "a"), (2, "6.00", "b"))])
    assert "total" not in made.delete([(1, "5.00", "a")])


def test_lock_rows_asks_by_every_unique_key_at_once() -> None:
    """One statement finds the row at the before image's key and whatever is in the after image's way, and locks it."""
    made = statements(ID, NAME, unique_keys=((0,), (1,)))
    assert made.lock_rows((1, "a"), (2, "b")) == (
        "(SELECT 1, (`shop`.`stock`.`id` = 1 AND CAST(`shop`.`stock`.`name` AS BINARY) <=> CAST('a' AS BINARY)), 0, "
        "`shop`.`stock`.`id`, `shop`.`stock`.`name` FROM `shop`.`stock` WHERE `shop`.`stock`.`id` = 1 FOR UPDATE)"
        " UNION ALL "
        "(SELECT 2, 0, (`shop`.`stock`.`id` = 2 AND CAST(`shop`.`stock`.`name` AS BINARY) <=> CAST('b' AS BINARY)), "
        "`shop`.`stock`.`id`, `shop`.`stock`.`name` FROM `shop`.`stock` WHERE `shop`.`stock`.`id` = 2 FOR UPDATE)"
        " UNION ALL "
        "(SELECT 4, 0, 0, `shop`.`stock`.`id`, `shop`.`stock`.`name` FROM `shop`.`stock` "
        "WHERE `shop`.`stock`.`name` = 'b' FOR UPDATE)"
    )
    assert made.lock_rows(None, (2, None)).count("SELECT") == 1, "a unique value of NULL is in nobody's way"


def test_lock_rows_of_an_unmoved_update_reads_the_key_once() -> None:
    """Where before and after have the same key, one read answers for both."""
    assert statements(ID, NAME).lock_rows((1, "a"), (1, "b")).count("SELECT") == 1
    assert statements(ID, NAME).lock_rows(None, (1, "b")).startswith("(SELECT 2, 0, (")


def test_local_rows_are_merged() -> None:
    """A row that was found by two keys is one row with both roles."""
    found = statements(ID, NAME).local_rows([(1, 1, 0, 1, "a"), (4, 0, 0, 1, "a"), (2, 0, None, 2, "b")])
    assert found == (
        LocalRow((1, "a"), at_before=True, shares_unique=True, is_before=True),
        LocalRow((2, "b"), at_after=True),
    )


def test_actions_name_one_row_by_its_key() -> None:
    """What a decision asks for is done to exactly the row that was locked, without a guard."""
    made = statements(ID, AMOUNT)
    assert made.action(Insert((1, "1.00"))) == "INSERT INTO `shop`.`stock` (`id`, `amount`) VALUES (1,1.00)"
    assert made.action(Delete((1, "1.00"))) == "DELETE FROM `shop`.`stock` WHERE `shop`.`stock`.`id` = 1"
    assert made.action(Set((1, "1.00"), (2, "1.00"))) == (
        "UPDATE `shop`.`stock` SET `shop`.`stock`.`id` = 2, `shop`.`stock`.`amount` = 1.00 WHERE `shop`.`stock`.`id` = 1"
    )


def test_a_merged_row_sets_what_can_be_written() -> None:
    """The server generates a column from what is set; alone it is nothing to take from the other side."""
    made = statements(ID, AMOUNT, replace(AMOUNT, name="total", generated=True), NAME)
    settings = TableRules(DIRECTION).settings("shop", "stock")
    rules = rules_of(settings, made.plan, forced=False)
    assert (settings.on_conflict, rules.generated) == (Policy.MERGE, {2})
    local = (1, "7.00", "0.00", "a")
    for name, wanted in (
        ("b", ["UPDATE `shop`.`stock` SET `shop`.`stock`.`name` = 'b' WHERE `shop`.`stock`.`id` = 1"]),
        ("a", []),
    ):
        event = RowEvent(1, 0, "u", (1, "5.00", "0.00", "a"), (1, "200.00", "1.00", name))
        decision = decide(event, [LocalRow(local, at_before=True, at_after=True)], rules)
        assert [made.action(action) for action in decision.actions] == wanted


def test_batches_are_split_by_rows() -> None:
    """No statement has more rows than the limit, and none is lost."""
    made = Statements(planned(target(ID)), max_rows=3)
    rows = [(n,) for n in range(7)]
    assert [len(part) for part, _ in made.insert_batches(rows)] == [3, 3, 1]
    assert [row for part, _ in made.delete_batches(rows) for row in part] == rows


def test_batches_are_split_by_bytes() -> None:
    """No statement is longer than the limit, in bytes, unless it is of one row; long values are not even joined."""
    note = replace(NAME, name="note", sql_type="longtext")
    made = Statements(planned(target(ID, note)), max_bytes=1000)
    rows = [(n, "é" * 200) for n in range(9)] + [(9, "x" * 2000)]
    parts = list(made.insert_batches(rows))
    assert [row for part, _ in parts for row in part] == rows
    assert all(len(sql.encode()) <= 1000 or len(part) == 1 for part, sql in parts)
    assert max(len(part) for part, _ in parts) > 1


def test_update_batches_do_not_name_a_key_twice() -> None:
    """A statement changes a row once: a chain of keys, and a key written in another case, begin a new batch."""
    made = Statements(planned(target(ID)))
    assert [len(part) for part, _ in made.update_batches([((1,), (2,)), ((3,), (3,)), ((2,), (4,))])] == [2, 1]
    made = Statements(planned(target(NAME)))
    assert [len(part) for part, _ in made.update_batches([(("abc",), ("x",)), (("Äb c",), ("y",))])] == [1, 1]
    made = Statements(planned(target(replace(NAME, collation="utf8mb4_bin"))))
    assert [len(part) for part, _ in made.update_batches([(("abc",), ("x",)), (("ABC",), ("y",))])] == [2]


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=12))
def test_distinct_prefix_is_as_long_as_it_may_be(keys: list[tuple[int, int]]) -> None:
    """The prefix names no key in two pairs, and the pair after it would."""
    pairs: list[Pair] = [((before,), (after,)) for before, after in keys]
    length = distinct_prefix(pairs, lambda row: row[0])
    named = [set(pair) for pair in keys]
    assert all(not named[m] & named[n] for n in range(length) for m in range(n))
    assert length == len(keys) or any(named[m] & named[length] for m in range(length))


@pytest.mark.parametrize(("one", "other"), [("abc", "ÁBC "), ("ß", "SS"), ("ﬁ", "fi"), ("カ", "ｶ"), ("é", "e\u0301")])
def test_loose_form_is_shared_by_what_collations_hold_equal(one: str, other: str) -> None:
    """Case, accents, width, trailing spaces and expansions do not tell two keys apart."""
    assert loose(one) == loose(other)


def test_plan_matches_by_name() -> None:
    """Columns may stand in another order at the target and be written in another case; extra ones need a default."""
    source = Table(db="shop", name="stock", columns=(NAME, replace(ID, name="ID")), key=())
    made = plan(source, target(ID, AMOUNT, NAME, unique_keys=((0,), (2,))))
    assert [column.name for column in made.columns] == ["name", "id"]
    assert (made.key, made.unique_keys, made.written) == ((1,), ((1,), (0,)), (0, 1))


AT = 1_767_322_800_123_456  # 2026-01-02 03:00:00.123456 UTC
BERLIN = Moment(AT, "Europe/Berlin")


@pytest.mark.parametrize(
    ("sql_type", "moment", "expected"),
    [
        ("timestamp", BERLIN, "'2026-01-02 03:00:00'"),
        ("timestamp(3)", BERLIN, "'2026-01-02 03:00:00.123'"),
        ("datetime(6)", Moment(AT, ""), "'2026-01-02 03:00:00.123456'"),
        (
            "datetime",
            BERLIN,
            "COALESCE(CONVERT_TZ('2026-01-02 03:00:00', '+00:00', 'Europe/Berlin'), '2026-01-02 03:00:00')",
        ),
    ],
)
def test_a_new_column_that_begins_as_now(sql_type: str, moment: Moment, expected: str) -> None:
    """Rows that do not know it have at their side the time of the ALTER, not that at which they arrive here."""
    new = Column(name="Made", kind=sql_type.partition("(")[0], sql_type=sql_type)
    table = target(ID, new, begins_now=frozenset({1}))
    source = Table(db="shop", name="stock", columns=(ID,), key=(0,))
    made = Statements(plan(source, table, {"made": moment}))
    assert made.insert([(1,), (2,)]) == f"INSERT INTO `shop`.`stock` (`id`, `Made`) VALUES (1,{expected}),(2,{expected})"
    assert Statements(plan(source, table)).insert([(1,)]) == "INSERT INTO `shop`.`stock` (`id`) VALUES (1)"


def test_a_new_column_that_changes_in_every_update() -> None:
    """At their side rows that do not know it keep it; one of which no statement tells is the target's own, and changes here."""
    new = Column(name="changed", kind="datetime", sql_type="datetime")
    table = target(ID, NAME, new, sets_itself=frozenset({2}))
    source = Table(db="shop", name="stock", columns=(ID, NAME), key=(0,))
    made = Statements(plan(source, table, {"changed": BERLIN}))
    kept = ", `shop`.`stock`.`changed` = `shop`.`stock`.`changed` WHERE "
    one: Pair = ((1, "a"), (1, "b"))
    assert f"`name` = 'b'{kept}" in made.update([one])
    assert f"`name` = v.column_2{kept}" in made.update([one, ((2, "a"), (2, "b"))])
    assert "changed" not in Statements(plan(source, table)).update([one])


@pytest.mark.parametrize(
    ("source", "table", "message"),
    [
        ((ID, NAME), target(ID), "the source has a column `name`, the target has not"),
        ((ID,), target(ID, NAME, needs_value=frozenset({1})), "column `name` has no default, and the source has no such column"),
        ((NAME,), target(ID, NAME), "column `id` is part of a unique key, and the source has no such column"),
        ((replace(ID, kind="uint64", sql_type="bigint unsigned"),), target(ID), "not the same kind of value"),
        ((replace(AMOUNT, sql_type="decimal(10,3)"),), target(AMOUNT), "the last digits would be rounded off"),
        ((NAME,), target(replace(NAME, sql_type="char(20)")), "trailing spaces would be lost"),
    ],
)
def test_plan_refuses_what_would_be_lost(source: tuple[Column, ...], table: TargetTable, message: str) -> None:
    """A table that cannot take every value as it is stops the direction before a row is written, and says which column."""
    with pytest.raises(ApplyError, match=message) as error:
        plan(Table(db="shop", name="stock", columns=source, key=()), table)
    assert (error.value.code, error.value.where.table) == ("schema_mismatch", "shop.stock")


@pytest.mark.parametrize(
    ("theirs", "mine", "fits"),
    [
        ("binary", ("varbinary(4)", "varbinary(9)"), True),
        ("binary", ("varbinary(4)", "binary(4)"), False),
        ("binary", ("binary(4)", "binary(8)"), False),
        ("datetime", ("datetime", "datetime(6)"), True),
        ("datetime", ("datetime(6)", "datetime(3)"), False),
        ("int", ("int", "year"), False),
        ("int", ("year", "year"), True),
        ("set", ("set('a','b')", "set('a','b','c')"), True),
        ("set", ("set('a','b')", "set('b','a')"), False),
        ("set", ("set('a','b')", "set('a','b''c')"), False),
        ("set", ("set('a','b')", "set('a','x','b')"), True),
        ("set", (r"set('a\b')", r"set('a\\b')"), True),
        ("enum", ("enum('a','b')", "enum('b','c','a')"), True),
        ("enum", ("enum('a','B')", "enum('a','b')"), False),
        ("decimal", ("decimal(10,2) unsigned", "decimal(12,4)"), True),
        ("text", ("char(5)", "varchar(9)"), True),
    ],
)
def test_plan_knows_which_types_take_the_others_values(theirs: str, mine: tuple[str, str], fits: bool) -> None:
    """Only what strict mode would not refuse by itself is judged here: rounding, padding, order of labels."""
    source = Column(name="x", kind=theirs, sql_type=mine[0])
    table = target(replace(source, sql_type=mine[1], charset="utf8mb4"))
    if fits:
        plan(Table(db="shop", name="stock", columns=(source,), key=()), table)
    else:
        with pytest.raises(ApplyError, match=r"column `x` is"):
            plan(Table(db="shop", name="stock", columns=(source,), key=()), table)


def typed(sql_type: str, kind: str) -> Column:
    """A column of a type."""
    charset = {"encoded": "gbk", "bit": None}.get(kind, "utf8mb4")
    return Column(name="c", kind=kind, sql_type=sql_type, charset=charset)


@pytest.mark.parametrize(
    ("theirs", "mine", "kind", "said"),
    [
        ("set('','a','b')", "set('','b','a')", "bit", "another order"),
        ("set('','a')", "set('x','','a')", "bit", "another order"),
        ("set('','a')", "set('','a','b')", "bit", ""),
        ("bit(3)", "set('','b','a')", "bit", "same kind"),
        ("bit(3)", "bit(5)", "bit", ""),
        ("set('a\\b','c')", "set('a\\\\b','c','d')", "set", ""),
        ("enum('a','b')", "enum('b','a')", "enum", ""),
        ("enum('a','b')", "enum('a')", "enum", "missing"),
        ("enum('\U0001f600')", "enum('?')", "enum", ""),
        ("varchar(10)", "char(10)", "encoded", "trailing spaces"),
        ("varchar(10)", "char(10)", "text", "trailing spaces"),
        ("varchar(10)", "varchar(5)", "text", "trailing spaces"),
        ("text", "varchar(500)", "text", "trailing spaces"),
        ("varchar(5)", "varchar(10)", "text", ""),
        ("char(10)", "varchar(5)", "text", ""),
        ("varchar(10)", "text", "text", ""),
        ("tinytext", "longtext", "encoded", ""),
    ],
)
def test_types_that_would_not_keep_values(theirs: str, mine: str, kind: str, said: str) -> None:
    """What the server would change in silence is refused when the tables are compared; what it refuses itself is not."""
    source, made = target(typed(theirs, kind)), target(typed(mine, kind))
    if said:
        with pytest.raises(ApplyError, match=said):
            plan(source, made)
    else:
        assert plan(source, made).written == (0,)


BODY = Column(name="body", kind="text", sql_type="longtext", charset="utf8mb4", collation="utf8mb4_0900_ai_ci")
LATIN = replace(BODY, name="latin", charset="latin1", collation="latin1_swedish_ci")
DATA = Column(name="data", kind="binary", sql_type="longblob")


def long_value(digest: str, *pieces: str) -> Long:
    """A long value of some length."""
    return Long(length=100_000, digest=digest, pieces=pieces)


def test_a_long_value_is_put_together_from_its_pieces() -> None:
    """An insert names the user variables; text is bytes there until it is whole, since a piece may end inside a character."""
    sql = LongStatements(planned(target(ID, BODY, DATA))).insert([(1, long_value("aa", "@b0", "@b1"), long_value("bb", "@b2"))])
    assert sql == (
        "INSERT INTO `shop`.`stock` (`id`, `body`, `data`) VALUES (1,CONVERT(CONCAT(@b0, @b1) USING utf8mb4),CONCAT(@b2))"
    )


def test_a_long_value_is_compared_by_its_digest() -> None:
    """In the guard of an update and a delete, in the form in which it was hashed; one that did not change is not set."""
    made = LongStatements(planned(target(ID, BODY, LATIN, DATA)))
    before = (1, long_value("aa"), long_value("bb"), b"\1")
    guard = (
        "`shop`.`stock`.`id` = 1 AND `shop`.`stock`.`data` <=> X'01' AND SHA2(`shop`.`stock`.`body`, 256) <=> 'aa'"
        " AND SHA2(CONVERT(`shop`.`stock`.`latin` USING utf8mb4), 256) <=> 'bb'"
    )
    assert made.delete([before]) == f"DELETE FROM `shop`.`stock` WHERE {guard}"
    ((_, sql),) = made.update_batches([(before, (1, long_value("aa", "@b0"), None, b"\1"))])
    assert sql == f"UPDATE `shop`.`stock` SET `shop`.`stock`.`latin` = NULL WHERE {guard}"


def test_rows_that_are_looked_at_have_digests_for_long_values() -> None:
    """What is read for a decision is of bounded size; a key is read as it is."""
    sql = statements(replace(ID, kind="int"), BODY, DATA).lock_rows((1, "a", None), None)
    digest = "SHA2(CONVERT(`shop`.`stock`.`body` USING utf8mb4), 256)"
    assert f"IF(OCTET_LENGTH(`shop`.`stock`.`body`) > 65536, {digest}, `shop`.`stock`.`body`)" in sql
    assert "UNHEX(SHA2(`shop`.`stock`.`data`, 256))" in sql
    keyed = statements(BODY, DATA).lock_rows(("a", None), None)
    assert "OCTET_LENGTH(`shop`.`stock`.`body`)" not in keyed


def test_a_long_key_is_refused() -> None:
    """A row cannot be found by a digest: where the target's key holds a long value of the row before, it is said."""
    with pytest.raises(ApplyError, match="column body is part of the target's key, and its value has 100000 bytes") as caught:
        LongStatements(planned(target(BODY))).delete([(long_value("aa"),)])
    assert caught.value.code == "unsupported_key"
