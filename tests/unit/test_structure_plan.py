"""Which statements make a structure, in which order, what stands in the way, and what of a stream is in it: without a server."""

from __future__ import annotations

import pytest

from bisync_topology.ddl import read_statement
from bisync_topology.scope import Scope
from bisync_topology.triggers import Trigger
from initialization import table_text
from initialization.definitions import Definition, Kind, Name, difference, differs
from initialization.initialized import Beginning, How, Initialized, Pass, passes_of, passes_text
from initialization.structure_plan import Plan, Setting, ordered, plan

SETTING = Setting(sides=("east", "west"), account="bisync@%")
TABLE = "CREATE TABLE `{}` (\n  `id` int NOT NULL,\n  PRIMARY KEY (`id`)\n) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4"


def table(name: str, text: str = TABLE) -> Definition:
    """A table of shop."""
    return Definition(name=Name(Kind.TABLE, "shop", name), text=text.format(name))


def view(name: str, *uses: str, definer: str = "root@localhost", valid: bool = True) -> Definition:
    """A view of shop that uses others."""
    owner = definer.replace("@", "`@`")
    text = f"CREATE ALGORITHM=UNDEFINED DEFINER=`{owner}` SQL SECURITY DEFINER VIEW `shop`.`{name}` AS select 1"
    used = tuple(("shop", each) for each in uses)
    return Definition(name=Name(Kind.VIEW, "shop", name), text=text, definer=definer, uses=used, valid=valid)


def trigger(name: str, *followers: str, on: str = "t") -> Definition:
    """A trigger of shop, before others of its table."""
    found = Trigger(
        db="shop",
        table=on,
        name=name,
        timing="BEFORE",
        event="INSERT",
        definer="root@localhost",
        sql_mode="",
        charset="utf8mb4",
        connection_collation="utf8mb4_0900_ai_ci",
        database_collation="utf8mb4_0900_ai_ci",
        database_now="utf8mb4_0900_ai_ci",
        body="SET @x = 1",
        followers=followers,
    )
    return Definition(name=Name(Kind.TRIGGER, "shop", name), text=found.create(), definer=found.definer, trigger=found)


def event(status: str) -> Definition:
    """An event of shop."""
    text = (
        f"CREATE DEFINER=`root`@`localhost` EVENT `e` ON SCHEDULE EVERY 1 DAY STARTS '2040-01-01 00:00:00' {status} DO SET @x = 1"
    )
    return Definition(name=Name(Kind.EVENT, "shop", "e"), text=text, definer="root@localhost", charset="latin1")


def catalog(*definitions: Definition) -> dict[Name, Definition]:
    """By their names."""
    return {each.name: each for each in definitions}


def planned(source: list[Definition], target: list[Definition], mine: list[Definition] | None = None) -> Plan:
    """A plan for these."""
    return plan(catalog(*source), catalog(*target), catalog(*(mine or [])), SETTING)


def texts(found: Plan) -> list[str]:
    """What is run, in short."""
    return [f"{'-' if step.drops else ''}{step.definition.name.name or step.definition.name.db}" for step in found.steps]


def test_order() -> None:
    """Each kind behind those that it needs, views behind those that they use, triggers of one table as they run."""
    database = Definition(name=Name(Kind.DATABASE, "shop"), text="CREATE DATABASE `shop`")
    function = Definition(name=Name(Kind.FUNCTION, "shop", "f"), text="CREATE FUNCTION `f`() RETURNS INT RETURN 1")
    everything = [
        *(event("ENABLE"), trigger("b", "a"), trigger("a"), trigger("x", on="s")),
        *(view("a", "b"), view("b", "c", "t"), view("c"), function, table("t"), table("s"), database),
    ]
    names = [str(each.name) for each in ordered(catalog(*everything))]
    assert names == [
        *("database shop", "table shop.s", "table shop.t", "function shop.f", "view shop.c", "view shop.b", "view shop.a"),
        *("trigger shop.x", "trigger shop.b", "trigger shop.a", "event shop.e"),
    ]


def test_views_in_a_circle_end() -> None:
    """No server makes them; all are planned, and the server has the last word."""
    assert texts(planned([view("a", "b"), view("b", "a")], [])) == ["a", "b"]


def test_what_is_run_differs_from_what_is_printed() -> None:
    """Triggers are guarded, and run before those that are there; events are at rest, unless they are to run."""
    found = planned([trigger("first", "second", "third"), trigger("third"), event("ENABLE")], [trigger("third")])
    guarded, at_rest = (step.text for step in found.steps)
    assert "PRECEDES `third` BEGIN IF @bisync_applying IS NULL THEN" in guarded
    assert "DISABLE ON REPLICA DO" in at_rest
    enabled = Setting(sides=SETTING.sides, account=SETTING.account, events_enabled=True)
    assert plan(catalog(event("ENABLE")), {}, {}, enabled).steps[0].text == event("ENABLE").text
    older = Setting(sides=SETTING.sides, account=SETTING.account, disabled_on="SLAVE")
    assert "DISABLE ON SLAVE DO" in plan(catalog(event("ENABLE")), {}, {}, older).steps[0].text


def test_equal_objects_are_left() -> None:
    """Also where a trigger is guarded at the target, an event at rest, and a definer the applier's account."""
    guarded = trigger("g").trigger
    assert guarded is not None
    there = Definition(name=Name(Kind.TRIGGER, "shop", "g"), text=guarded.create_guarded(), definer="bisync@%", trigger=guarded)
    own = view("v", definer="bisync@%")
    found = planned([trigger("g"), event("ENABLE"), view("v")], [there, event("DISABLE ON SLAVE"), own])
    assert not found.steps and not found.problems and len(found.found) == 3
    assert planned([view("v")], [view("v", definer="other@%")]).problems


def test_unequal_objects_stop_it() -> None:
    """With the lines that differ."""
    other = table("t", TABLE.replace("int", "bigint"))
    found = planned([table("t"), table("s")], [other])
    assert len(found.problems) == 1 and texts(found) == ["s"]
    assert found.problems[0].startswith("table shop.t is there already and differs:\n--- east table shop.t\n+++ west")
    assert "\n-  `id` int NOT NULL,\n+  `id` bigint NOT NULL,\n" in found.problems[0]
    assert planned([table("v")], [view("v")]).problems == ("table shop.v: at west there is a view of that name",)


def test_what_is_not_made() -> None:
    """A view over what is gone; what would not be what it is stops it."""
    assert [why for _, why in planned([view("v", valid=False)], []).left_out] == [
        "something that it is made of is not there at east"
    ]
    lost = Definition(name=Name(Kind.PROCEDURE, "shop", "p"), text="CREATE PROCEDURE `p`() DO 1", lost="latin1_bin")
    assert "collation latin1_bin, which it would lose" in planned([lost], []).problems[0]
    labels = table("t", "CREATE TABLE `{}` (\n  `e` enum('?') DEFAULT NULL\n) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4")
    assert "enum('?')" in planned([labels], []).problems[0]


def test_what_an_earlier_start_has_made() -> None:
    """It is kept where the source has it still, and dropped and made anew where not, its triggers with it; a database stays."""
    database = Definition(name=Name(Kind.DATABASE, "shop"), text="CREATE DATABASE `shop`")
    mine = [database, table("t"), table("u"), trigger("g"), view("v"), view("w", "v")]
    now = table("t", TABLE.replace("int", "bigint"))
    assert texts(planned(mine, mine, mine)) == []
    found = planned([now, table("u"), trigger("g"), view("w")], mine, mine)
    assert texts(found) == ["-g", "-v", "-t", "t", "g"]
    assert [step.text for step in found.steps[:3]] == ["DROP TRIGGER `shop`.`g`", "DROP VIEW `shop`.`v`", "DROP TABLE `shop`.`t`"]
    altered = planned([now], [table("t", TABLE.replace("int", "char(3)"))], [table("t")])
    assert "table shop.t was made, and altered since" in altered.problems[0]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("`a` int NOT NULL", "`a` int(11) NOT NULL", True),
        ("`a` int(8) unsigned zerofill", "`a` int(9) unsigned zerofill", False),
        ("`a` int DEFAULT '5' COMMENT 'int(11)'", "`a` int DEFAULT '5' COMMENT 'int'", False),
        ("`a` char(3)", "`a` char(3) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", True),
        ("`a` char(3) COLLATE utf8mb4_bin", "`a` char(3) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", True),
        ("`a` char(3) COLLATE utf8mb4_bin", "`a` char(3) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin", False),
        ("`a` char(3) CHARACTER SET utf8 COLLATE utf8_bin", "`a` char(3) CHARACTER SET utf8mb3 COLLATE utf8mb3_bin", True),
        ("`a` char(3) COMMENT ' AUTO_INCREMENT=5'", "`a` char(3) COMMENT ' AUTO_INCREMENT=6'", False),
        ("`utf8` int", "`utf8mb3` int", False),
    ],
)
def test_tables_that_are_the_same(one: str, other: str, same: bool) -> None:
    """What a server prints in two ways is no difference; what stands in names and strings is."""
    tables = [
        table(
            "t",
            f"CREATE TABLE `t` (\n  {each}\n) ENGINE=InnoDB AUTO_INCREMENT={number} DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin",
        )
        for number, each in enumerate((one, other))
    ]
    assert differs(tables[0], tables[1], "") is not same
    assert bool(difference(tables[0], tables[1], ("a", "b"))) is not same


def test_a_default_collation_that_is_not_printed() -> None:
    """Of a table with its character set's own one, the clause of a column that has it too."""
    texts = [
        f"CREATE TABLE `t` (\n  `a` char(3){each}\n) ENGINE=InnoDB DEFAULT CHARSET=latin1"
        for each in ("", " CHARACTER SET latin1 COLLATE latin1_swedish_ci", " CHARACTER SET latin1 COLLATE latin1_general_ci")
    ]
    assert table_text.to_compare(texts[0]) == table_text.to_compare(texts[1]) != table_text.to_compare(texts[2])


def test_implied_collations_are_not_run() -> None:
    """A column that has its table's collation without saying so is made so; strings and names stay as they are."""
    text = (
        "CREATE TABLE `t` (\n  `a` char(3) COLLATE utf8mb4_bin DEFAULT ' COLLATE utf8mb4_bin',\n"
        "  `b` char(3) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,\n  `c` char(3) COLLATE utf8mb4_0900_bin\n"
        ") ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin"
    )
    assert table_text.to_run(text) == text.replace(" COLLATE utf8mb4_bin DEFAULT", " DEFAULT")


@pytest.mark.parametrize(
    ("column", "found"),
    [
        ("`a` enum('?','b')", "enum('?','b')"),
        ("`a` set('a?','it''s') CHARACTER SET utf16 COLLATE utf16_bin", "set('a?','it''s') CHARACTER SET utf16"),
        ("`a` enum('?') CHARACTER SET latin1 COLLATE latin1_bin", None),
        ("`a` enum('a') COMMENT 'why?'", None),
        ("`a` int COMMENT '????'", None),
        ("`a` varchar(9) DEFAULT (_utf8mb4'x????')", "_utf8mb4'x????'"),
        ("`a` varchar(9) DEFAULT (_utf8mb4'why?')", None),
    ],
)
def test_what_a_server_prints_as_question_marks(column: str, found: str | None) -> None:
    """Labels and expressions whose rarer characters are printed as `?`, and others that have real ones."""
    assert table_text.doubtful(f"CREATE TABLE `t` (\n  {column}\n) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4") == found


def test_a_definition_survives_its_record() -> None:
    """What is on record of an object that is being made is what it was."""
    for each in (table("t"), view("v", "a", "b"), trigger("g", "h"), event("ENABLE")):
        assert Definition.from_json(each.as_json()) == each


def done(objects: list[str], barrier: int, others: tuple[str, ...] = (), stream: str = "s") -> Pass:
    """One end of initialization."""
    return Pass(objects=tuple(objects), others=others, stream=stream, barrier=barrier, control_schema="bisync")


def has(initialized: Initialized, sql: str, sequence: int, *objects: str) -> bool:
    """Whether a statement of default database shop is in what was initialized."""
    statement = read_statement(sql, "shop")
    return initialized.has_statement(statement, "shop", Scope(objects or ("shop",)), sequence, str)


def test_statements_before_the_barrier_are_in_it() -> None:
    """The barrier's place in the stream is known once it comes; what is named in no row is there too, or was no more."""
    made = {Name(Kind.TABLE, "shop", "t"): Beginning(how=How.MADE, stream="s", barrier=5)}
    found = Initialized(made, [done(["shop"], 5)], stream="s", arrived=4)
    statements = ["ALTER TABLE t ADD x INT", "CREATE TABLE gone (id INT)", "DROP VIEW v", "CREATE DATABASE shop", "DROP EVENT e"]
    assert found.early(1) and all(has(found, sql, 1) for sql in statements)
    assert not has(found, "ALTER TABLE other.t ADD x INT", 1) and not has(found, "GRANT SELECT ON shop.* TO x", 1)
    found.arrive(4, 10)
    assert has(found, statements[0], 11)
    found.arrive(6, 20)
    assert has(found, statements[0], 19) and not has(found, statements[0], 21) and not found.early(21)
    assert found.has_rows("shop", "t", 19) and found.has_rows("shop", "gone", 19) and not found.has_rows("shop", "t", 21)
    later = Initialized(made, [done(["shop"], 5)], stream="s", arrived=5)
    assert not later.early(1) and not has(later, statements[0], 1)
    assert not has(Initialized(made, [done(["shop"], 5)], stream="another", arrived=0), statements[0], 1)


def test_a_table_that_was_found_follows_from_the_beginning() -> None:
    """Its structure is there; its rows, and what empties it, come from the stream."""
    rows = {Name(Kind.TABLE, "shop", "t"): Beginning(how=How.FOUND, stream="s", barrier=5)}
    found = Initialized(rows, [done(["shop"], 5)], stream="s")
    assert has(found, "ALTER TABLE t ADD x INT", 1)
    assert not has(found, "TRUNCATE t", 1) and not found.has_rows("shop", "t", 1)


def test_what_is_carried_later_begins_later() -> None:
    """Each object begins with the first end that had it without a break; a statement over both is cut to what is not there."""
    passes = [done(["shop.a"], 5), done(["shop.a", "shop.b"], 9), done(["shop.b", "shop.c"], 12), done(["shop.*"], 15)]
    found = Initialized({}, passes, stream="s", arrived=9)
    assert found.early(1)
    assert not has(found, "ALTER TABLE b ADD x INT", 1, "shop.*"), "of 9"
    assert has(found, "ALTER TABLE c ADD x INT", 1, "shop.*"), "of 12"
    assert has(found, "ALTER TABLE a ADD x INT", 1, "shop.*"), "out of scope at 12, so of 15"
    scope = found.without(Scope(["shop.*"]), 1)
    assert scope.includes("shop", "b") and scope.takes_new("shop", "b")
    assert not scope.includes("shop", "c") and not scope.takes_new("shop", "c") and scope.includes_database("shop")
    assert not has(found, "DROP TABLE b, c", 1, "shop.*")


def test_another_direction_has_the_first_say() -> None:
    """What it initializes is not this one's, and no statement of it is taken for done."""
    found = Initialized({}, [done(["shop"], 5, others=("shop.a", "crm"))], stream="s")
    assert has(found, "ALTER TABLE b ADD x INT", 1) and not has(found, "ALTER TABLE a ADD x INT", 1)


def test_passes_survive_their_record() -> None:
    """As `initialization` holds them."""
    passes = (done(["shop", "!shop.x"], 5, others=("crm",)), done(["shop"], 7))
    assert passes_of(passes_text(passes), "bisync") == passes
    assert passes_of(None, "bisync") == ()
