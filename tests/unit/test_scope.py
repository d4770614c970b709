"""Which tables a direction carries, the grammar of its entries, and the settings of each table."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bisync_topology.object_patterns import parse, quote, witnesses
from bisync_topology.scope import Scope, TableRules, UnionScope, like_any, settings_for
from bisync_topology.topology import Deletes, Direction, Dml, Policy

NAMES = st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]), min_size=1, max_size=12)
ENTRIES = st.lists(
    st.builds(
        lambda out, database, table: out + database + table,
        st.sampled_from(["", "", "!"]),
        st.text("ab*?", min_size=1, max_size=4),
        st.one_of(st.just(""), st.text("ab*?", min_size=1, max_size=4).map(lambda table: f".{table}")),
    ),
    min_size=1,
    max_size=4,
)


@pytest.mark.parametrize(
    ("objects", "inside", "outside"),
    [
        (["shop"], ["shop.stock", "shop.x"], ["shop2.stock", "ashop.x", "Shop.stock"]),
        (["crm.customers"], ["crm.customers"], ["crm.customers2", "crm.Customers", "crm.x"]),
        (["log.*"], ["log.a"], ["log2.a"]),
        (["shop.tmp_*"], ["shop.tmp_", "shop.tmp_1"], ["shop.tmp", "shop.atmp_"]),
        (["log.y202?"], ["log.y2026"], ["log.y202", "log.y20260"]),
        (["tenant_*.orders"], ["tenant_1.orders"], ["tenant_1.items", "tenant.orders"]),
        (["*"], ["a.b"], ["mysql.user", "sys.x", "performance_schema.x", "information_schema.x", "bisync.applied"]),
        (["*.*"], ["a.b"], ["MySQL.user", "INFORMATION_SCHEMA.tables"]),
        (["mysql", "bisync.applied"], [], ["mysql.user", "bisync.applied"]),
        (["!shop.tmp_*", "shop"], ["shop.a"], ["shop.tmp_a"]),
        (["shop", "!shop.tmp_*", "shop.tmp_keep"], ["shop.a"], ["shop.tmp_keep"]),
        (["shop", "!shop"], [], ["shop.a"]),
        (["`my.db`.`t`"], ["my.db.t"], []),
        (["shop.a"], ["shop.a"], ["shop.a\n"]),
    ],
)
def test_entries(objects: list[str], inside: list[str], outside: list[str]) -> None:
    """Names, globs and exclusions mean what topology.yaml promises; exclusions win wherever they stand."""
    scope = Scope(objects)
    assert [name for name in inside if not scope.includes(*name.rsplit(".", 1))] == []
    assert [name for name in outside if scope.includes(*name.rsplit(".", 1))] == []


def test_control_schema_is_never_in_scope_under_another_name() -> None:
    """The schema to leave out is the configured one, and the default is an ordinary name then."""
    scope = Scope(["*"], control_schema="sync_control")
    assert not scope.includes("sync_control", "applied")
    assert scope.includes("bisync", "applied")


def test_answers_repeat() -> None:
    """A remembered answer is the first one."""
    scope = Scope(["shop"])
    assert [scope.includes("shop", "a"), scope.includes("shop", "a"), scope.includes("x", "a"), scope.includes("x", "a")] == [
        True,
        True,
        False,
        False,
    ]


def test_database_itself_is_in_scope_when_named_as_a_whole() -> None:
    """CREATE DATABASE travels for a whole database, not for one of which only tables are named."""
    scope = Scope(["shop", "crm.customers", "log.*", "old", "!old", "!shop.tmp_*", "mysql"])
    carried = [name for name in ("shop", "crm", "log", "old", "mysql", "bisync") if scope.includes_database(name)]
    assert carried == ["shop", "log"]


def test_databases_that_can_hold_tables_in_scope() -> None:
    """One of which a table is named too, and any that a glob fits; not one that is taken out as a whole."""
    scope = Scope(["shop", "crm.customers", "log_?.*", "old", "!old", "!shop.tmp_*", "mysql"])
    names = ("shop", "crm", "log_1", "log", "old", "mysql", "bisync", "other")
    assert [name for name in names if scope.reaches(name)] == ["shop", "crm", "log_1"]
    union = UnionScope([direction(objects=["crm.customers"]), direction(objects=["*.orders", "!shop"])], control_schema="bisync")
    assert [name for name in names if not union.reaches(name)] == ["shop", "mysql", "bisync"]


def test_databases_narrow_a_query() -> None:
    """Patterns of databases are given once each, as LIKE text that matches at least the same names."""
    scope = Scope(["shop", "shop.a", "tenant_?.x", "!log"])
    assert [(name.literal, name.like()) for name in scope.databases()] == [("shop", "shop"), (None, r"tenant\__")]
    assert scope.likes() == ("shop", r"tenant\__")
    assert like_any("db", scope.likes()) == "(db LIKE %s OR db LIKE %s)"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a name is empty"),
        ("!", "a name is empty"),
        ("shop.", "a name is empty"),
        (".t", "a name is empty"),
        ("``.t", "'`' at character 1"),
        ("a.b.c", "too many dots"),
        ("a b", "' ' at character 2"),
        ("!a b", "' ' at character 3"),
        ("shop.[ab]", r"'\[' at character 6"),
        ("`a", "'`' at character 1"),
        ("`a`b", "'`' at character 1"),
        ("a`b`", "'`' at character 2"),
        ("a\\", r"'\\\\' at character 2"),
        ("!!a", "'!' at character 2"),
        ("a,b", "',' at character 2"),
    ],
)
def test_wrong_entries_say_where(text: str, message: str) -> None:
    """An entry that cannot be read is refused with the character and what is allowed."""
    with pytest.raises(ValueError, match=message):
        parse(text)


@given(NAMES, NAMES, NAMES, NAMES)
def test_quoted_names_stand_for_themselves(database: str, table: str, other: str, another: str) -> None:
    """Whatever characters a name has, in backticks it matches itself and nothing else."""
    pattern = parse(f"{quote(database)}.{quote(table)}")
    assert pattern.matches(database, table)
    assert pattern.exact == (database, table)
    assert pattern.matches(other, another) is ((other, another) == (database, table))


@given(NAMES, NAMES)
def test_escaped_names_stand_for_themselves(database: str, table: str) -> None:
    """A backslash before each character does what backticks do."""
    text = ".".join("".join(f"\\{char}" for char in name) for name in (database, table))
    assert parse(text).exact == (database, table)


def test_quoted_wildcards_are_characters() -> None:
    """Only unquoted * and ? are wildcards, also beside quoted characters."""
    assert parse("`a*`.b").exact == ("a*", "b")
    assert parse(r"a\*.b*").matches("a*", "bc")
    assert not parse(r"a\*.b*").matches("ax", "bc")


@given(ENTRIES, ENTRIES, st.text("abc", min_size=1, max_size=6), st.text("abc", min_size=1, max_size=6))
def test_witnesses_stand_for_every_name(one: list[str], two: list[str], database: str, table: str) -> None:
    """For any name there is a witness that matches exactly the same patterns, so checking witnesses is enough."""
    patterns = [parse(text) for text in one + two]
    wanted = [pattern.matches(database, table) for pattern in patterns]
    found = [[pattern.matches(*name) for pattern in patterns] for name in witnesses(patterns)]
    assert wanted in found
    assert len(found) == len({tuple(row) for row in found})


def test_witnesses_end_for_globs_made_to_be_hard() -> None:
    """The walk is bounded, and names that are written out still have their witness."""
    hard = [parse(f"*{number}x*.*{number}y*") for number in range(40)]
    assert ("shop", "a_long_name_that_the_walk_does_not_come_to") in witnesses(
        [*hard, parse("shop.a_long_name_that_the_walk_does_not_come_to")]
    )


def direction(**more: object) -> Direction:
    """Build a direction east to west over shop with some keys set."""
    return Direction.model_validate({"from": "east", "to": "west", "objects": ["shop"], **more})


def test_a_producer_publishes_what_any_direction_carries() -> None:
    """The union keeps each direction's own exclusions: one may carry what another takes out."""
    union = UnionScope([direction(objects=["shop", "!shop.a"]), direction(objects=["shop.a", "log.x"])], control_schema="bisync")
    assert [union.includes("shop", "a"), union.includes("log", "x"), union.includes("log", "y")] == [True, True, False]
    assert [union.includes_database("shop"), union.includes_database("log")] == [True, False]


def test_settings_default_to_the_direction() -> None:
    """A table without an entry has the direction's settings."""
    settings = settings_for(direction(on_conflict="ignore", dml=["insert"]), "shop", "a")
    assert (settings.key, settings.on_conflict, settings.dml) == (None, Policy.IGNORE, frozenset({Dml.INSERT}))
    assert (settings.deletes, settings.version_column, settings.delta_columns) == (Deletes.WIN, None, frozenset())


def test_settings_of_an_entry_are_laid_over_the_direction() -> None:
    """An entry changes what it says and leaves the rest, an empty list being said."""
    rules = direction(
        on_conflict="ignore",
        deletes="lose",
        tables={"shop.a": {"on_conflict": "newest", "version_column": "at", "delta_columns": ["qty"], "dml": []}},
    )
    settings = settings_for(rules, "shop", "a")
    assert (settings.on_conflict, settings.deletes, settings.dml) == (Policy.NEWEST, Deletes.LOSE, frozenset())
    assert (settings.version_column, settings.delta_columns) == ("at", frozenset({"qty"}))


def test_the_best_fitting_entry_alone_applies() -> None:
    """Exact beats glob, a glob in one database beats one over databases, the first listed beats its equals."""
    rules = direction(
        tables={
            "*": {"on_conflict": "ignore"},
            "shop.s*": {"on_conflict": "overwrite"},
            "shop.*k": {"deletes": "lose"},
            "shop.stock": {"version_column": "at"},
        }
    )
    keys = {table: settings_for(rules, "shop", table).key for table in ("stock", "sink", "book", "x")}
    assert keys == {"stock": "shop.stock", "sink": "shop.s*", "book": "shop.*k", "x": "*"}
    assert settings_for(rules, "shop", "stock").on_conflict is Policy.TASK_FAILED


def test_rules_remember_their_answers() -> None:
    """The cached form gives what the function gives, and the same object again."""
    rules = TableRules(direction(tables={"shop.a": {"deletes": "lose"}}))
    assert rules.settings("shop", "a").deletes is Deletes.LOSE
    assert rules.settings("shop", "a") is rules.settings("shop", "a")
