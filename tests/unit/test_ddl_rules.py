"""What becomes of a statement on the target: every rule, by its text."""

import pytest

from bisync_topology.ddl import read_statement
from bisync_topology.scope import Scope
from consumers.ddl_rules import Context, State, Verdict, decide

SCOPE = Scope(["shop", "!shop.tmp_*", "crm.customers", "log.a*"])


def verdict(sql: str, db: str = "shop", *, carries: bool = True, **more: bool) -> Verdict | None:
    """The verdict on a statement in a topology of the database `shop`, the table `crm.customers` and the glob `log.a*`."""
    context = Context(scope=SCOPE, carries=carries, source="east", **more)  # type: ignore[arg-type]
    return decide(read_statement(sql, db, **context.flags), sql, db, context)


@pytest.mark.parametrize(
    ("sql", "text", "holds"),
    [
        ("ALTER TABLE t ADD c INT", "", ("shop.t",)),
        ("CREATE TABLE t (id INT)", "", ("shop.t",)),
        ("CREATE TABLE t LIKE other.t", "", ("shop.t",)),
        ("CREATE TABLE t (id INT) START TRANSACTION", "CREATE TABLE t (id INT) ", ("shop.t",)),
        ("DROP TABLE t, other.u, v", "DROP TABLE t, v", ("shop.t", "shop.v")),
        ("DROP TABLE t, tmp_1", "DROP TABLE t", ("shop.t",)),
        ("TRUNCATE crm.customers", "", ("crm.customers",)),
        ("ALTER TABLE crm.customers ADD c INT", "", ("crm.customers",)),
        ("DROP TABLE crm.customers", "", ("crm.customers",)),
        ("CREATE INDEX i ON crm.customers (c)", "", ("crm.customers",)),
        ("DROP INDEX i ON crm.customers", "", ("crm.customers",)),
        ("RENAME TABLE t TO u, v TO w", "", ("shop.t", "shop.u", "shop.v", "shop.w")),
        ("RENAME TABLE t TO u, other.v TO other.w", "RENAME TABLE t TO u", ("shop.t", "shop.u")),
        ("CREATE TABLE log.abc (id INT)", "", ("log.abc",)),
        ("CREATE DATABASE shop", "", ("shop.*",)),
        ("ALTER SCHEMA shop CHARSET latin1", "", ("shop.*",)),
        ("CREATE VIEW v AS SELECT 1", "", ("shop.v",)),
        ("ALTER VIEW v AS SELECT 2", "", ("shop.v",)),
        ("DROP VIEW v, other.w", "DROP VIEW v", ("shop.v",)),
        ("CREATE PROCEDURE p() BEGIN SELECT 'DROP TABLE t;'; END", "", ()),
        ("ALTER FUNCTION f COMMENT 'x'", "", ()),
        ("DROP FUNCTION f", "", ()),
        ("DROP TRIGGER g", "", ()),
        ("DROP EVENT e", "", ()),
    ],
)
def test_what_is_run(sql: str, text: str, holds: tuple[str, ...]) -> None:
    """As it was written, but for what the direction does not carry of it."""
    found = verdict(sql)
    assert found is not None
    assert (found.state, " ".join(found.text.split()), found.holds) == (State.APPLIED, " ".join((text or sql).split()), holds)


def test_a_trigger_arrives_guarded_and_an_event_disabled() -> None:
    """What they do at the source comes as rows."""
    trigger = verdict("CREATE TRIGGER g AFTER INSERT ON t FOR EACH ROW SET @a = 1")
    event = verdict("CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO SELECT 1")
    enabled = verdict("CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO SELECT 1", events_enabled=True)
    assert trigger is not None and "IF @bisync_applying IS NULL" in trigger.text
    assert event is not None and "DISABLE ON REPLICA" in event.text
    assert enabled is not None and "DISABLE" not in enabled.text


@pytest.mark.parametrize(
    "sql",
    [
        "DROP DATABASE shop",
        "CREATE USER a@b",
        "GRANT ALL",
        "FLUSH PRIVILEGES",
        "CREATE TABLE crm.customers (id INT)",
        "CREATE TRIGGER crm.g AFTER INSERT ON crm.customers FOR EACH ROW SET @a = 1",
    ],
)
def test_what_is_recorded_alone(sql: str) -> None:
    """The reason is told."""
    found = verdict(sql)
    assert found is not None and found.state is State.IGNORED and found.why


@pytest.mark.parametrize(
    ("sql", "holds"),
    [
        ("FROBNICATE TABLE t", None),
        ("ALTER TABLE t ADD c INT; DROP TABLE u", None),
        ("RENAME TABLE other.t TO t", ("shop.t",)),
        ("RENAME TABLE tmp_1 TO t", ("shop.t",)),
        ("RENAME TABLE crm.customers TO crm.old, crm.new TO crm.customers", ("crm.customers",)),
        ("ALTER TABLE other.t RENAME TO shop.t", ("shop.t",)),
        ("ALTER TABLE t EXCHANGE PARTITION p WITH TABLE other.u", ("shop.t",)),
    ],
)
def test_what_is_held(sql: str, holds: tuple[str, ...] | None) -> None:
    """What is not understood holds back everything; else what it names."""
    found = verdict(sql)
    assert found is not None
    assert (found.state, found.holds) == (State.HELD, holds)
    assert found.why


@pytest.mark.parametrize(
    ("sql", "db"),
    [
        ("ALTER TABLE t ADD c INT", "other"),
        ("ALTER TABLE tmp_1 ADD c INT", "shop"),
        ("CREATE DATABASE other", "shop"),
        ("CREATE PROCEDURE other.p() SELECT 1", "shop"),
        ("DROP VIEW crm.v", "shop"),
        ("ALTER TABLE crm.orders ADD c INT", "shop"),
    ],
)
def test_what_concerns_nothing(sql: str, db: str) -> None:
    """It is not even recorded."""
    assert verdict(sql, db) is None


def test_a_rename_out_of_scope_says_so() -> None:
    """The table goes on under its other name, and its rows are not carried any more."""
    found = verdict("RENAME TABLE t TO other.t")
    assert found is not None
    assert found.state is State.APPLIED
    assert found.why == "shop.t is other.t now, which the direction does not carry"


@pytest.mark.parametrize(
    "sql", ["ALTER TABLE t ADD c INT", "CREATE VIEW v AS SELECT 1", "WHAT IS THIS", "RENAME TABLE other.t TO t"]
)
def test_the_wrong_side(sql: str) -> None:
    """In a direction that carries no structure it is drift, whatever it is; what would not be carried anyway stays ignored."""
    found = verdict(sql, carries=False)
    assert found is not None and found.state is State.DRIFT
    ignored = verdict("CREATE USER a", carries=False)
    assert ignored is not None and ignored.state is State.IGNORED


def test_names_where_the_source_folds_them() -> None:
    """With lower_case_table_names a statement's own case means nothing."""
    assert verdict("ALTER TABLE Shop.T ADD c INT", "other") is None
    found = verdict("ALTER TABLE Shop.T ADD c INT", "other", lower_case=True)
    assert found is not None
    assert (found.state, found.holds, found.text) == (State.APPLIED, ("shop.t",), "ALTER TABLE Shop.T ADD c INT")


def test_versioned_comments_and_quotes_are_read() -> None:
    """`/*!50003 … */` is text, and "t" a table in ANSI_QUOTES mode."""
    for sql, more in (("/*!50003 ALTER TABLE t ADD c INT */", {}), ('ALTER TABLE "t" ADD c INT', {"ansi_quotes": True})):
        found = verdict(sql, **more)
        assert found is not None
        assert (found.state, found.holds) == (State.APPLIED, ("shop.t",))
