"""Changes to the text of a statement. The default database is `d` throughout."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bisync_topology.ddl import Category, read_statement
from bisync_topology.ddl_columns import ColumnChange, column_changes, only_adds
from bisync_topology.ddl_edits import definer_of, with_current_user, with_event_disabled, without_start_transaction
from bisync_topology.ddl_names import only_renames, only_tables, renames
from bisync_topology.ddl_triggers import GUARD_VARIABLE, guarded, is_guarded
from bisync_topology.sql_tokens import Cursor, Kind, NotUnderstood

OPEN, CLOSE = "BEGIN IF @bisync_applying IS NULL THEN\n", "\n; END IF; END"

# statement, definer, the same with the current user
DEFINERS = [
    ("CREATE DEFINER=`root`@`localhost` TRIGGER t", "`root`@`localhost`", "CREATE DEFINER=CURRENT_USER TRIGGER t"),
    ("CREATE /*!50017 DEFINER=`a`@`b`*/ TRIGGER t", "`a`@`b`", "CREATE /*!50017 DEFINER=CURRENT_USER*/ TRIGGER t"),
    ("CREATE DEFINER = /*!50017 `a`@`b` */ EVENT e", "`a`@`b`", "CREATE DEFINER = /*!50017 CURRENT_USER */ EVENT e"),
    ("CREATE DEFINER=a@/*!50017 b */ EVENT e", "a@/*!50017 b", None),
    (
        "CREATE OR REPLACE ALGORITHM=UNDEFINED DEFINER = 'a' @ 'b' SQL SECURITY DEFINER VIEW v AS SELECT 'DEFINER=x'",
        "'a' @ 'b'",
        "CREATE OR REPLACE ALGORITHM=UNDEFINED DEFINER = CURRENT_USER SQL SECURITY DEFINER VIEW v AS SELECT 'DEFINER=x'",
    ),
    (
        "ALTER definer=event@db.example.com EVENT e DO SELECT 1",
        "event@db.example.com",
        "ALTER definer=CURRENT_USER EVENT e DO SELECT 1",
    ),
    ("CREATE DEFINER=view@127.0.0.1 VIEW v AS SELECT 1", "view@127.0.0.1", "CREATE DEFINER=CURRENT_USER VIEW v AS SELECT 1"),
    ("CREATE DEFINER='a'@'b'FUNCTION f()", "'a'@'b'", "CREATE DEFINER=CURRENT_USER FUNCTION f()"),
    ("CREATE DEFINER=CURRENT_USER() PROCEDURE p()", "CURRENT_USER()", "CREATE DEFINER=CURRENT_USER PROCEDURE p()"),
    ("CREATE DEFINER=a PROCEDURE p()", "a", "CREATE DEFINER=CURRENT_USER PROCEDURE p()"),
    ("CREATE PROCEDURE p() SELECT 'DEFINER=a'", None, "CREATE PROCEDURE p() SELECT 'DEFINER=a'"),
    ("ALTER SQL SECURITY DEFINER VIEW v AS SELECT 1", None, "ALTER SQL SECURITY DEFINER VIEW v AS SELECT 1"),
    ("ALTER PROCEDURE p COMMENT 'x'", None, "ALTER PROCEDURE p COMMENT 'x'"),
]
# statement, the same disabled
EVENTS = [
    (
        "CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO SELECT 1",
        "CREATE EVENT e ON SCHEDULE EVERY 1 DAY DISABLE ON REPLICA DO SELECT 1",
    ),
    (
        "CREATE EVENT e ON SCHEDULE EVERY 1 DAY ENABLE DO UPDATE t SET enable = 1",
        "CREATE EVENT e ON SCHEDULE EVERY 1 DAY DISABLE ON REPLICA DO UPDATE t SET enable = 1",
    ),
    ("CREATE EVENT e ON SCHEDULE AT 'DO'disable DO DO 1", "CREATE EVENT e ON SCHEDULE AT 'DO'DISABLE ON REPLICA DO DO 1"),
    (
        "CREATE EVENT e ON SCHEDULE AT NOW() DISABLE ON/**/SLAVE COMMENT 'x' DO SELECT 1",
        "CREATE EVENT e ON SCHEDULE AT NOW() DISABLE ON REPLICA COMMENT 'x' DO SELECT 1",
    ),
    (
        "CREATE EVENT e ON SCHEDULE AT NOW() ON COMPLETION PRESERVE DISABLE ON REPLICA DO SELECT 1",
        "CREATE EVENT e ON SCHEDULE AT NOW() ON COMPLETION PRESERVE DISABLE ON REPLICA DO SELECT 1",
    ),
    (
        "CREATE EVENT IF NOT EXISTS do ON SCHEDULE EVERY @enable DAY STARTS @do COMMENT 'DO ENABLE' DO SET @disable = 1",
        "CREATE EVENT IF NOT EXISTS do ON SCHEDULE EVERY @enable DAY STARTS @do DISABLE ON REPLICA COMMENT 'DO ENABLE'"
        " DO SET @disable = 1",
    ),
    (
        "CREATE EVENT d.enable ON SCHEDULE EVERY f(1, (SELECT enable FROM do)) DAY/* ENABLE */DO BEGIN SELECT 1; SELECT 2; END",
        "CREATE EVENT d.enable ON SCHEDULE EVERY f(1, (SELECT enable FROM do)) DAY/* ENABLE */DISABLE ON REPLICA"
        " DO BEGIN SELECT 1; SELECT 2; END",
    ),
    (
        "/*!50106 CREATE*/ /*!50117 DEFINER=a@b*/ /*!50106 EVENT e ON SCHEDULE EVERY 1 DAY ENABLE DO SELECT 1 */",
        "/*!50106 CREATE*/ /*!50117 DEFINER=a@b*/ /*!50106 EVENT e ON SCHEDULE EVERY 1 DAY DISABLE ON REPLICA DO SELECT 1 */",
    ),
    (
        "CREATE EVENT e ON SCHEDULE EVERY 1 DAY /*!50106DO SELECT 1 */",
        "CREATE EVENT e ON SCHEDULE EVERY 1 DAY /*!50106 DISABLE ON REPLICA DO SELECT 1 */",
    ),
    ("ALTER EVENT e ENABLE", "ALTER EVENT e DISABLE ON REPLICA"),
    ("ALTER EVENT e DISABLE;", "ALTER EVENT e DISABLE ON REPLICA;"),
    (
        "ALTER DEFINER=a@b EVENT comment RENAME TO do DISABLE ON SLAVE DO SELECT 1",
        "ALTER DEFINER=a@b EVENT comment RENAME TO do DISABLE ON REPLICA DO SELECT 1",
    ),
    ("ALTER EVENT e RENAME TO enable;", "ALTER EVENT e RENAME TO enable;"),
    ("ALTER EVENT e COMMENT 'x' DO SET @a = 'ENABLE'", "ALTER EVENT e COMMENT 'x' DO SET @a = 'ENABLE'"),
    ("ALTER EVENT e DO UPDATE t SET enable = 1", "ALTER EVENT e DO UPDATE t SET enable = 1"),
]
# CREATE TRIGGER up to its body, body, what is behind it
TRIGGERS = [
    ("CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW ", "SET NEW.a = 1", ""),
    ("CREATE DEFINER=a@b TRIGGER IF NOT EXISTS d.tr AFTER UPDATE ON d.t FOR EACH ROW\n", "BEGIN SET @a = 1; SET @b = 2; END", ""),
    ("CREATE TRIGGER tr AFTER DELETE ON t FOR EACH ROW FOLLOWS other ", "l: BEGIN LEAVE l; END l", " ;  "),
    ("CREATE TRIGGER tr AFTER DELETE ON t FOR EACH ROW PRECEDES `a b`", "BEGIN END", ";; -- trailing\n;"),
    ("CREATE TRIGGER tr AFTER DELETE ON t FOR EACH ROW FOLLOWS 'other' ", "SET @a = 1", " /* ; trailing */"),
    ("CREATE TRIGGER `on` BEFORE INSERT ON `on` FOR EACH ROW/**/", "SET @a = ';' /* in it */ + 1", " # trailing"),
    ("CREATE TRIGGER follows BEFORE INSERT ON t FOR EACH ROW ", "IF NEW.a THEN SET NEW.a = 1; END IF", ""),
    (
        "CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW ",
        "BEGIN IF @bisync_applying IS NULL THEN SET @a = 1; END IF; SET @b = 1; END",
        "",
    ),
    ("CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW ", "SET @a = 1 /*!50000 + 1 */ + 2", " "),
    ("/*!50003 CREATE*/ /*!50017 DEFINER=a@b*/ /*!50003 TRIGGER tr BEFORE INSERT ON t FOR EACH ROW ", "SET NEW.a = 1", " */"),
]
# actions of an ALTER TABLE, changes
COLUMNS = [
    ("ADD a INT", "+a"),
    ("ADD COLUMN a INT FIRST, ADD COLUMN `b` ENUM('x,y', 'ADD z INT') AFTER a", "+a +b"),
    (
        "ADD (a DECIMAL(1,2) DEFAULT (f(1, (2))), b INT, KEY (a, b), CONSTRAINT c CHECK (b > 0), `key` INT), DROP e",
        "+a +b +key -e",
    ),
    ("ADD COLUMN (a INT, PRIMARY KEY (a)), ENGINE=InnoDB, ORDER BY a, b", "+a"),
    ("ADD INDEX (a), ADD KEY k (a), ADD UNIQUE (a), ADD FULLTEXT (a), ADD SPATIAL INDEX (a), ADD PRIMARY KEY (a, b)", ""),
    ("ADD FOREIGN KEY (a) REFERENCES u (a), ADD CONSTRAINT c UNIQUE (a), ADD CHECK (a > 0)", ""),
    ("ADD PARTITION (PARTITION p VALUES IN (1, 2))", ""),
    ("DROP a, DROP COLUMN b RESTRICT, DROP COLUMN IF EXISTS c", "-a -b -c"),
    ("DROP INDEX a, DROP KEY b, DROP PRIMARY KEY, DROP FOREIGN KEY c, DROP CHECK e, DROP CONSTRAINT f", ""),
    ("DROP PARTITION p, q", ""),
    ("DROP `index`, DROP COLUMN `primary`, ADD `check` INT, ADD COLUMN `unique` INT", "-index -primary +check +unique"),
    ("RENAME COLUMN a TO b, RENAME INDEX c TO e, RENAME KEY f TO g, RENAME TO u, RENAME AS v, RENAME w", "a>b"),
    ("CHANGE a b INT, CHANGE COLUMN c e INT, CHANGE f F BIGINT, RENAME COLUMN g TO G", "a>b c>e"),
    ("CHANGE a b INT, CHANGE b a INT", "a>b b>a"),
    ("DROP a, ADD A INT", "-a +A"),
    ("ADD é INT, CHANGE e é INT", "+é e>é"),
    ("MODIFY a INT, ALTER b SET DEFAULT 'ADD c INT', ALTER INDEX i INVISIBLE, COMMENT 'x, ADD c INT'", ""),
    ("ADD vector INT, ADD period INT, DROP vector, DROP period", "+vector +period -vector -period"),
    ("ADD VECTOR INDEX (a), ADD PERIOD FOR p (a, b), ADD SYSTEM VERSIONING, DROP PERIOD FOR p, DROP SYSTEM VERSIONING", ""),
    ("ADD a INT /* , ADD b INT */ /*!50000 , ADD c INT */ -- , ADD e INT", "+a +c"),
    ("ADD a INT PARTITION BY LIST COLUMNS (a, b) (PARTITION p VALUES IN ((1, 2)), PARTITION q VALUES IN ((3, 4)))", "+a"),
    ("ADD COLUMN IF NOT EXISTS a INT;", "+a"),
    ("FORCE", ""),
    ("", ""),
]
# statement, names that are kept, the same with them
DROPPED = [
    ("DROP TABLE a, b, c", "a b c", "DROP TABLE a, b, c"),
    ("DROP TABLE a, b, c", "b", "DROP TABLE b"),
    ("DROP TABLE a, b, c", "a c", "DROP TABLE a, c"),
    ("DROP TABLE a, b, c", "c", "DROP TABLE c"),
    ("DROP TABLES a , d.b /* x */ , `c` /* y */ RESTRICT;", "a", "DROP TABLES a /* y */ RESTRICT;"),
    (
        "DROP TABLE IF EXISTS`a`,b,`c`CASCADE /* generated by server */",
        "b",
        "DROP TABLE IF EXISTS b CASCADE /* generated by server */",
    ),
    ("DROP TABLE x.a,d.a, a", "a", "DROP TABLE d.a, a"),
    ("DROP TABLE a -- ,\n, b # x\n, c", "a c", "DROP TABLE a # x\n, c"),
    ("DROP VIEW IF EXISTS a, b CASCADE", "b", "DROP VIEW IF EXISTS b CASCADE"),
    ("DROP TABLE a /*!50000 , b */", "a b", "DROP TABLE a /*!50000 , b */"),
    ("DROP TABLE a /*!50000 , b, c */", "a b", "DROP TABLE a /*!50000 , b */"),
]
# statement, old names of the pairs that are kept, pairs, the same with them
RENAMED = [
    ("RENAME TABLE a TO b, c TO e", "a c", "a>b c>e", "RENAME TABLE a TO b, c TO e"),
    ("RENAME TABLE a TO b, c TO e", "c", "a>b c>e", "RENAME TABLE c TO e"),
    ("RENAME TABLE a TO x, b TO a, x TO b", "a x", "a>x b>a x>b", "RENAME TABLE a TO x, x TO b"),
    ("RENAME TABLES IF EXISTS`a`NOWAIT TO`b`,`c`TO d . e ; -- x", "c", "a>b c>e", "RENAME TABLES IF EXISTS`c`TO d . e ; -- x"),
    ("ALTER TABLE t RENAME u, ADD c INT", "t", "t>u", "ALTER TABLE t RENAME u, ADD c INT"),
    ("ALTER TABLE t ADD c INT DEFAULT 'RENAME z', RENAME COLUMN a TO b, RENAME TO u", "t", "t>u", None),
    ("ALTER TABLE t RENAME INDEX a TO b, RENAME AS `u`, RENAME = v", "t", "t>v", None),
]
# function, texts that it is not for
Edit = Callable[[str], object]
EDITS: dict[str, Edit] = {
    "without_start_transaction": lambda sql: without_start_transaction(sql, read_statement(sql, "d")),
    "definer_of": definer_of,
    "with_current_user": with_current_user,
    "with_event_disabled": with_event_disabled,
    "guarded": guarded,
    "is_guarded": is_guarded,
    "column_changes": lambda sql: column_changes(sql, "d"),
    "only_adds": lambda sql: only_adds(sql, "d"),
    "only_tables": lambda sql: only_tables(sql, "d", lambda _, table: table == "a"),
    "renames": lambda sql: renames(sql, "d"),
    "only_renames": lambda sql: only_renames(sql, "d", lambda old, _: old[1] == "a"),
}
NOT_FOR = [
    ("without_start_transaction", "DROP TABLE a"),
    ("without_start_transaction", "CREATE TABLE a (b INT) START /*!80021 TRANSACTION */"),
    ("with_current_user", "CREATE TABLE a (b INT)"),
    ("with_current_user", "DROP VIEW a"),
    ("with_current_user", "DEFINER=a@b VIEW v"),
    ("with_event_disabled", "DROP EVENT e"),
    ("with_event_disabled", "CREATE VIEW e AS SELECT 1"),
    ("with_event_disabled", "CREATE EVENT e"),
    ("with_event_disabled", "CREATE EVENT e ON SCHEDULE EVERY 1 DAY; DO SELECT 1"),
    ("with_event_disabled", "CREATE EVENT e ON SCHEDULE EVERY (1 DAY DO SELECT 1"),
    ("with_event_disabled", "CREATE EVENT e ON SCHEDULE EVERY 'x DO SELECT 1"),
    ("with_event_disabled", "ALTER EVENT e DISABLE ON COMPLETION"),
    ("with_event_disabled", "ALTER EVENT e DISABLE /*!50000 ON SLAVE */"),
    ("with_event_disabled", "ALTER EVENT e RENAME TO f; DROP TABLE t"),
    ("guarded", "DROP TRIGGER t"),
    ("guarded", "CREATE PROCEDURE p() SELECT 1"),
    ("guarded", "CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW ; -- x"),
    ("guarded", "CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH STATEMENT SET @a = 1"),
    ("guarded", "CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW SET @a = 'x"),
    ("guarded", "CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW SET @a = 1 /*!50000 + 1 */"),
    ("guarded", "CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW FOLLOWS: BEGIN END"),
    ("column_changes", "CREATE TABLE a (b INT)"),
    ("column_changes", "ALTER VIEW a AS SELECT 1"),
    ("column_changes", "ALTER TABLE a ADD 'b' INT"),
    ("column_changes", "ALTER TABLE a ADD (b INT"),
    ("column_changes", "ALTER TABLE a RENAME COLUMN b c"),
    ("column_changes", "ALTER TABLE a DROP b; DROP TABLE a"),
    ("only_adds", "DROP TABLE a"),
    ("only_adds", "ALTER TABLE a ADD (b INT"),
    ("only_adds", "ALTER TABLE a ADD b INT; DROP TABLE a"),
    ("only_tables", "DROP TABLE b, c"),
    ("only_tables", "DROP TABLE a; DROP TABLE b"),
    ("only_tables", "DROP TABLE a, b c"),
    ("only_tables", "DROP TABLE a /*!50000 , b */"),
    ("only_tables", "DROP TABLE b /*!50000 , a */, b"),
    ("only_tables", "DROP DATABASE a"),
    ("renames", "DROP TABLE a"),
    ("renames", "RENAME USER a TO b"),
    ("renames", "RENAME TABLE a TO b, c"),
    ("only_renames", "RENAME TABLE b TO a"),
    ("only_renames", "RENAME TABLE a TO b /*!50000 , c TO e */"),
    ("only_renames", "ALTER TABLE b RENAME a"),
    ("only_renames", "ALTER TABLE a ADD b INT"),
]
FIRSTS = [case[0] for cases in (DEFINERS, EVENTS, DROPPED, RENAMED) for case in cases]
EVERY = [*FIRSTS, *(head + body + tail for head, body, tail in TRIGGERS), *(f"ALTER TABLE t {actions}" for actions, _ in COLUMNS)]


@pytest.mark.parametrize(("sql", "definer", "changed"), DEFINERS)
def test_definer(sql: str, definer: str | None, changed: str | None) -> None:
    """The clause is found before any kind of object that has it; nothing but its value is replaced, and that once."""
    assert definer_of(sql) == definer
    if changed is None:
        with pytest.raises(NotUnderstood):
            with_current_user(sql)
        return
    assert with_current_user(sql) == changed
    assert with_current_user(changed) == changed
    assert read_statement(changed, "d") == read_statement(sql, "d")


@pytest.mark.parametrize(("sql", "changed"), EVENTS)
def test_event_disabled(sql: str, changed: str) -> None:
    """The status clause is replaced or put in where the grammar wants it; names, variables and the body do not mislead."""
    assert with_event_disabled(sql) == changed
    assert with_event_disabled(changed) == changed
    assert read_statement(changed, "d") == read_statement(sql, "d")


@pytest.mark.parametrize("sql", ["DROP VIEW a", "ALTER TABLE a COMMENT 'DEFINER=b'", "CREATE TABLE a (definer INT)", "'", ""])
def test_no_definer(sql: str) -> None:
    """A server refuses other statements for want of a privilege, too: they have no definer, which is no error."""
    assert definer_of(sql) is None


def test_event_disabled_for_old_servers() -> None:
    """The word of MySQL 8.0 and MariaDB is SLAVE."""
    assert with_event_disabled("ALTER EVENT e ENABLE", on="SLAVE") == "ALTER EVENT e DISABLE ON SLAVE"


@pytest.mark.parametrize(("head", "body", "tail"), TRIGGERS)
def test_guarded(head: str, body: str, tail: str) -> None:
    """The guard stands around the body, before trailing semicolons and comments; a second time changes nothing."""
    sql = head + body + tail
    changed = guarded(sql)
    assert changed == f"{head}{OPEN}{body}{CLOSE}{tail}"
    assert (is_guarded(sql), is_guarded(changed)) == (False, True)
    assert guarded(changed) == changed
    assert read_statement(changed, "d") == read_statement(sql, "d")
    assert GUARD_VARIABLE in OPEN


@pytest.mark.parametrize(("actions", "expected"), COLUMNS)
def test_column_changes(actions: str, expected: str) -> None:
    """Columns are told from keys, checks and partitions, and commas in types and defaults end no action."""
    changes = []
    for word in expected.split():
        if word[0] in "+-":
            changes.append(ColumnChange("add", "", word[1:]) if word[0] == "+" else ColumnChange("drop", word[1:], ""))
        else:
            changes.append(ColumnChange("rename", *word.split(">")))
    assert column_changes(f"ALTER TABLE t {actions}", "d") == tuple(changes)
    assert column_changes(f"alter online table if exists `x`.`add` wait 5 {actions}", "d") == tuple(changes)


@pytest.mark.parametrize(
    ("actions", "expected"),
    [
        ("ADD b INT", True),
        ("ADD COLUMN (b INT, c ENUM('x,', 'y')), LOCK=NONE, ALGORITHM = INPLACE", True),
        ("ADD INDEX (b, c), ADD CONSTRAINT f FOREIGN KEY (b) REFERENCES u (id), ADD CHECK (b > 0)", True),
        ("ADD PARTITION (PARTITION p VALUES LESS THAN (9), PARTITION q VALUES LESS THAN (19))", True),
        ("/*!80000 ADD b INT */, DROP c", False),
        ("ADD b INT, DROP PARTITION p", False),
        ("ADD b INT, MODIFY c INT", False),
        ("ADD b INT, RENAME TO u", False),
        ("ADD b INT UNIQUE", False),
        ("ADD (b INT, PRIMARY KEY (c))", False),
        ("ADD CONSTRAINT k UNIQUE (b)", False),
        ("DROP INDEX i", False),
        ("ENGINE=InnoDB", False),
        ("", False),
    ],
)
def test_only_adds(actions: str, expected: bool) -> None:
    """Each action counts, and a key by which rows are told from each other is more than an addition."""
    assert only_adds(f"ALTER TABLE t {actions}", "d") == expected
    assert only_adds(f"alter online table if exists `x`.`drop` wait 5 {actions}", "d") == expected


@pytest.mark.parametrize(("sql", "kept", "changed"), DROPPED)
def test_only_tables(sql: str, kept: str, changed: str) -> None:
    """What is left names the kept tables, in their order, as they were written."""

    def keep(database: str, table: str) -> bool:
        return database == "d" and table in kept.split()

    assert only_tables(sql, "d", keep) == changed
    before, after = (read_statement(text, "d") for text in (sql, changed))
    assert (after.category, after.verb) == (before.category, before.verb)
    assert after.objects == tuple(name for name in before.objects if keep(*name))


@pytest.mark.parametrize(("sql", "kept", "pairs", "changed"), RENAMED)
def test_renames(sql: str, kept: str, pairs: str, changed: str | None) -> None:
    """Pairs come in the order of the text; those that are not kept are cut out."""
    expected = tuple((("d", old), ("d", new)) for old, new in (pair.split(">") for pair in pairs.split()))
    assert renames(sql, "d") == expected
    changed = sql if changed is None else changed
    assert only_renames(sql, "d", lambda old, _: old[1] in kept.split()) == changed
    assert renames(changed, "d") == tuple(pair for pair in expected if pair[0][1] in kept.split())


def test_names_of_renames() -> None:
    """A new name without a database is in the default one, not beside the table; no rename gives no pair."""
    assert renames("ALTER TABLE shop.a RENAME b", "d") == ((("shop", "a"), ("d", "b")),)
    assert renames("RENAME TABLE shop.a TO crm.b", "d") == ((("shop", "a"), ("crm", "b")),)
    assert renames("ALTER TABLE a ADD b INT, RENAME COLUMN c TO e", "d") == ()


@pytest.mark.parametrize(
    ("sql", "changed"),
    [
        ("CREATE TABLE `t` (\n  `a` int\n) START TRANSACTION", "CREATE TABLE `t` (\n  `a` int\n) "),
        ("CREATE TABLE t (a int) start /* x */ transaction engine=InnoDB", "CREATE TABLE t (a int)  engine=InnoDB"),
        ("CREATE TABLE t (a int) /*!80021 START TRANSACTION */", "CREATE TABLE t (a int) /*!80021  */"),
        ("CREATE TABLE t (a int COMMENT 'START TRANSACTION')", "CREATE TABLE t (a int COMMENT 'START TRANSACTION')"),
    ],
)
def test_without_start_transaction(sql: str, changed: str) -> None:
    """The clause is gone, also from a versioned comment, and what has none stays as it is."""
    assert without_start_transaction(sql, read_statement(sql, "d")) == changed
    assert read_statement(changed, "d").start_transaction is None


@pytest.mark.parametrize(("name", "sql"), NOT_FOR)
def test_not_understood(name: str, sql: str) -> None:
    """A text of another kind, a part of one, one with more behind it, or one that cannot be cut is refused."""
    with pytest.raises(NotUnderstood):
        EDITS[name](sql)


def test_modes() -> None:
    """ANSI_QUOTES and NO_BACKSLASH_ESCAPES decide where strings end, so what is a clause."""
    drop = 'DROP TABLE "a", "b,c"'
    assert only_tables(drop, "d", lambda _, table: table == "b,c", ansi_quotes=True) == 'DROP TABLE "b,c"'
    alter = "ALTER TABLE t COMMENT 'x\\', ADD a INT"
    assert column_changes(alter, "d", backslash_escapes=False) == (ColumnChange("add", "", "a"),)
    event = "CREATE EVENT e ON SCHEDULE EVERY '\\' DAY ENABLE DO SET @a = 'x'"
    assert with_event_disabled(event, backslash_escapes=False) == event.replace("ENABLE", "DISABLE ON REPLICA")
    trigger = "CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW SET @a = '\\'; -- '"
    assert guarded(trigger, backslash_escapes=False).endswith(f"'\\'{CLOSE}; -- '")
    view = 'CREATE DEFINER="a""b"@"c" VIEW v AS SELECT 1'
    assert {definer_of(view), definer_of(view, ansi_quotes=True)} == {'"a""b"@"c"'}
    assert renames('RENAME TABLE "a" TO b', "d", ansi_quotes=True) == ((("d", "a"), ("d", "b")),)
    for edit in (
        lambda: only_tables(drop, "d", lambda *_: True),
        lambda: renames('RENAME TABLE "a" TO b', "d"),
        lambda: column_changes(alter, "d"),
        lambda: with_event_disabled(event),
    ):
        with pytest.raises(NotUnderstood):
            edit()
    assert guarded(trigger).endswith(f"'\\'; -- '{CLOSE}")


def tokens(sql: str) -> list[str]:
    """Give the words, names, strings and marks, without blanks and comments."""
    cursor = Cursor(sql, "d", ansi_quotes=False, backslash_escapes=True)
    found = []
    while cursor.kind is not Kind.END:
        found.append(cursor.text)
        cursor.advance()
    return found


BETWEEN = [" ", "\n", "\t", "/**/", "/* ENABLE, DO ; ' */", " -- , `\n", "# DEFINER=x@y\n", " /* FOR EACH ROW */ "]


def spaced(sql: str, data: st.DataObject) -> str:
    """Write a statement with other blanks and comments between its words."""
    return "".join(token + data.draw(st.sampled_from(BETWEEN)) for token in tokens(sql))


PLAIN = [sql for sql in EVERY if "/*!" not in sql]


def in_order(part: str, whole: str) -> bool:
    """Tell whether one text is the other with characters left out."""
    rest = iter(whole)
    return all(character in rest for character in part)


@given(st.sampled_from([case for case in TRIGGERS if "/*!" not in case[0] + case[1]]), st.data())
def test_guard_adds_only_itself(case: tuple[str, str, str], data: st.DataObject) -> None:
    """However a trigger is written, it is the same text again when the guard is taken out."""
    sql = spaced("".join(case), data)
    changed = guarded(sql)
    assert changed.count(OPEN) == changed.count(CLOSE) == 1
    assert changed.replace(OPEN, "").replace(CLOSE, "") == sql
    assert read_statement(changed, "d") == read_statement(sql, "d")


@given(st.sampled_from([sql for sql in PLAIN if " EVENT " in sql]), st.data())
def test_event_clause_changes_nothing_else(sql: str, data: st.DataObject) -> None:
    """Before and behind the clause every character stays; what was there was the status of the event and no more."""
    sql = spaced(sql, data)
    try:
        changed = with_event_disabled(sql)
    except NotUnderstood:
        assert "EVERY" not in sql  # the statements that are here for their DEFINER have no schedule
        return
    before, found, behind = changed.partition("DISABLE ON REPLICA")
    if changed != sql:
        assert found
        assert sql.startswith(before)
        replaced = sql.removeprefix(before)
        assert replaced.endswith(behind) or replaced.endswith(behind.removeprefix(" "))
        assert [word.upper() for word in tokens(replaced.removesuffix(behind.removeprefix(" ")))] in (
            [],
            ["ENABLE"],
            ["DISABLE"],
            ["DISABLE", "ON", "SLAVE"],
            ["DISABLE", "ON", "REPLICA"],
        )
    assert with_event_disabled(changed) == changed
    assert read_statement(changed, "d") == read_statement(sql, "d")


@given(st.sampled_from([case[0] for case in DEFINERS if "/*!" not in case[0]]), st.data())
def test_definer_changes_nothing_else(sql: str, data: st.DataObject) -> None:
    """Before and behind the value every character stays."""
    sql = spaced(sql, data)
    definer = definer_of(sql)
    changed = with_current_user(sql)
    assert changed == (sql if definer is None else sql.replace(definer, "CURRENT_USER", 1))
    assert read_statement(changed, "d") == read_statement(sql, "d")


@given(st.lists(st.sampled_from(["a", "`b`", "d.c", "`d`.`a,b`", "x.`a``b`"]), min_size=1, max_size=6), st.data())
def test_kept_names_stay_as_written(written: list[str], data: st.DataObject) -> None:
    """Any choice of names, however written, gives these names and takes nothing from the rest of the text."""
    for start, join, edit in (("DROP TABLE IF EXISTS ", "", only_tables), ("RENAME TABLE ", " TO `new`", only_renames)):
        names = [f"{name}{join}" for name in written]
        sql = spaced(start + ", ".join(names) + (" CASCADE" if edit is only_tables else ""), data) + ";"
        kept = data.draw(st.lists(st.booleans(), min_size=len(names), max_size=len(names)).filter(any))
        choices = iter(kept)
        changed = edit(sql, "d", lambda *_, choices=choices: next(choices))
        expected = ", ".join(name for name, stays in zip(names, kept, strict=True) if stays)
        assert tokens(changed) == tokens(f"{start}{expected}{' CASCADE' if edit is only_tables else ''};")
        assert in_order(changed, sql)
        assert read_statement(changed, "d").category is Category.TABLE
        assert changed == sql or not all(kept)


PIECES = [
    "'",
    '"',
    "`",
    "(",
    ")",
    ";",
    ",",
    ".",
    "*/",
    "/*",
    "/*!",
    "/*!50000 ",
    "--",
    "-- ",
    "#",
    "\\",
    "\n",
    "\0",
    "@",
    "\ud800",
    "",
]
WORDS = sorted({word for sql in EVERY for word in sql.split()[:30]})


@given(st.sampled_from(EVERY), st.data())
def test_any_mutation_is_understood_or_not(sql: str, data: st.DataObject) -> None:
    """A statement cut, or with a piece put in or taken out anywhere, raises nothing else, and reads as it did."""
    start, end = sorted(data.draw(st.tuples(st.integers(0, len(sql)), st.integers(0, len(sql)))))
    sql = sql[:start] + data.draw(st.sampled_from([*PIECES, *WORDS])) + sql[end:]
    before = read_statement(sql, "d")
    for name, edit in EDITS.items():
        try:
            result = edit(sql)
        except NotUnderstood:
            continue
        if name in ("with_current_user", "with_event_disabled", "guarded"):
            assert isinstance(result, str)
            assert read_statement(result, "d") == before
