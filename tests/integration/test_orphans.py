"""Rows without their parent, looked for on a real server: what is let go, kept, refused, and what cannot be looked at."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from appliers import Applier, applied, change

from bisync_topology.errors import ApplyError, Repeat
from consumers import orphans
from consumers.changes import Change
from consumers.conflict import Delete, Insert
from consumers.orphans import Orphans, Refusals
from consumers.statements import Statements
from consumers.tables import AppliedTable
from consumers.target import plan
from schemas.tables import Table

pytestmark = pytest.mark.servers


@pytest.fixture
def unchecked(applier: Applier) -> Iterator[Applier]:
    """The applier's session as it is for a source that logs cascades."""
    applier.run("SET SESSION foreign_key_checks = 0")
    yield applier
    applier.run("SET SESSION foreign_key_checks = 1")


def family(applier: Applier) -> tuple[AppliedTable, AppliedTable]:
    """A parent with rows 1 and 2, and its empty child."""
    parent = applier.statements("id int PRIMARY KEY, n int")
    name = parent.plan.target.name
    applier.as_admin(f"INSERT INTO guard.{name} VALUES (1, 0), (2, 0)")
    applier.cursor.connection.commit()  # a table that is in use cannot be referred to by a new one
    child = applier.statements(f"id int PRIMARY KEY, p int, FOREIGN KEY (p) REFERENCES {name} (id) ON DELETE CASCADE")
    return applied(parent), applied(child)


def write(applier: Applier, looking: Orphans, *changes: Change) -> None:
    """Make changes, and tell that they were made."""
    for each in changes:
        statements, before, after = each.table.statements, each.event.before, each.event.after
        assert statements is not None
        if before is None:
            assert after is not None
            assert applier.run(statements.insert([after])) == 1
        else:
            sql = statements.delete([before]) if after is None else statements.update([(before, after)])
            assert applier.run(sql) == 1
        looking.applied([each])


def looking(applier: Applier, refusals: Refusals | None = None) -> Orphans:
    """What looks, at the beginning of a transaction."""
    made = Orphans(applier.cursor.connection, lambda sql: None, refusals or Refusals())
    made.begin(1, fk_checks=False)
    return made


def test_what_is_refused_when_it_is_repeated(unchecked: Applier) -> None:
    """The first look says what is to blame; with that refused nothing is wrong, and another transaction knows nothing of it."""
    parent, child = family(unchecked)
    refusals = Refusals()
    look = looking(unchecked, refusals)
    lost, good, going = change(child, None, (10, 7)), change(child, None, (11, 1)), change(parent, (2, 0), None)
    assert not look.suspects([lost, good]) and not look.refuses(lost, [Insert((10, 7))])
    unchecked.as_admin(f"INSERT INTO {child.name} VALUES (50, 2)")
    write(unchecked, look, lost, good, going)
    with pytest.raises(Repeat):
        look.check()
    assert look.refusing and refusals.rounds == 1
    unchecked.cursor.connection.rollback()
    look = looking(unchecked, refusals)
    assert look.suspects([going]) and not look.suspects([good])
    assert look.refuses(going, [Delete((2, 0))]) and not look.refuses(going, [])
    write(unchecked, look, lost, good)
    with pytest.raises(Repeat):
        look.check()
    unchecked.cursor.connection.rollback()
    look = looking(unchecked, refusals)
    assert look.suspects([good, lost]) and look.refuses(lost, [Insert((10, 7))])
    write(unchecked, look, good)
    look.check()
    look.forget()
    assert not look.refusing and not look.suspects([lost])
    refusals.keys.add(("guard.f", "child", (7,)))
    looking(unchecked, refusals)
    assert not refusals.keys


def test_it_is_not_repeated_for_ever(unchecked: Applier) -> None:
    """Where nothing more can be refused, or it was done often enough, the direction stops and says which foreign key it is."""
    _, child = family(unchecked)
    for rounds in (0, orphans.MAX_ROUNDS):
        refusals = Refusals(sequence=1, rounds=rounds)
        look = looking(unchecked, refusals)
        write(unchecked, look, change(child, None, (10, 7)))
        if not rounds:
            with pytest.raises(Repeat):
                look.check()
            look.applied([change(child, None, (10, 7))])
        with pytest.raises(ApplyError) as raised:
            look.check()
        assert raised.value.code == "foreign_key" and str(raised.value.where.table) == child.name
        assert "ibfk_1" in raised.value.message
        unchecked.cursor.connection.rollback()


def test_keys_that_wait_are_bounded(unchecked: Applier, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a long transaction what has its parent is let go; what has none yet is kept, up to a limit, and the parent may come."""
    monkeypatch.setattr(orphans, "LOOK_AT", 3)
    parent, child = family(unchecked)
    look = looking(unchecked)
    write(unchecked, look, change(child, None, (10, 1)), change(child, None, (11, 2)))
    look.relieve()
    assert len(look._touched) == 2, "not so many that it is worth a look"
    write(unchecked, look, change(child, None, (12, 3)))
    look.relieve()
    assert len(look._touched) == 1
    monkeypatch.setattr(orphans, "MAX_WAITING", 2)
    write(unchecked, look, change(child, None, (13, 4)), change(child, None, (14, 5)))
    with pytest.raises(ApplyError) as raised:
        look.relieve()
    assert raised.value.code == "foreign_key" and "sql_log_bin" in str(raised.value.hint)
    write(unchecked, look, *(change(parent, None, (n, 0)) for n in (3, 4, 5)))
    look.check()


def test_where_nothing_is_looked_at(unchecked: Applier) -> None:
    """Not where the server checks, nor where a table's changes are taken by force, nor of tables without foreign keys."""
    _, child = family(unchecked)
    other = applied(unchecked.statements("id int PRIMARY KEY, p int"))
    checked = Orphans(unchecked.cursor.connection, lambda sql: None, Refusals())
    checked.begin(1, fk_checks=True)
    for look, table in (
        (checked, child),
        (looking(unchecked), replace(child, keeps_references=False)),
        (looking(unchecked), other),
    ):
        write(unchecked, look, change(table, None, (10, 7)))
        look.check()
        unchecked.cursor.connection.rollback()


def test_what_cannot_be_looked_at(unchecked: Applier) -> None:
    """A parent that the account cannot read, and a foreign key over a column that the source has not, stop the direction."""
    unchecked.as_admin("CREATE DATABASE elsewhere")
    try:
        unchecked.as_admin("CREATE TABLE elsewhere.p (id int PRIMARY KEY)")
        hidden = applied(unchecked.statements("id int PRIMARY KEY, p int, FOREIGN KEY (p) REFERENCES elsewhere.p (id)"))
        with pytest.raises(ApplyError) as raised:
            looking(unchecked).applied([change(hidden, None, (1, 1))])
        assert raised.value.code == "privilege_missing" and "GRANT SELECT ON `elsewhere`.`p`" in str(raised.value.hint)
        unchecked.cursor.connection.rollback()
    finally:
        unchecked.as_admin(f"DROP TABLE IF EXISTS {hidden.name}")
        unchecked.as_admin("DROP DATABASE elsewhere")
    _, child = family(unchecked)
    assert child.statements is not None
    target = child.statements.plan.target
    source = Table(db=target.db, name=target.name, columns=target.columns[:1], key=target.key)
    short = replace(child, statements=Statements(plan(source, target)))
    with pytest.raises(ApplyError) as raised:
        looking(unchecked).applied([change(short, None, (1,))])
    assert raised.value.code == "schema_mismatch" and "`p`" in raised.value.message


def test_a_foreign_key_that_is_new(unchecked: Applier) -> None:
    """What ties tables is read once, and again where structure may have changed."""
    parent = unchecked.statements("id int PRIMARY KEY")
    child = applied(unchecked.statements("id int PRIMARY KEY, p int, KEY (p)"))
    look = looking(unchecked)
    write(unchecked, look, change(child, None, (10, 7)))
    look.check()
    unchecked.cursor.connection.rollback()
    unchecked.as_admin(f"ALTER TABLE {child.name} ADD FOREIGN KEY (p) REFERENCES {parent.plan.target.full_name} (id)")
    look.begin(2, fk_checks=False)
    look.forget_links()
    write(unchecked, look, change(child, None, (11, 7)))
    with pytest.raises(Repeat):
        look.check()
    unchecked.cursor.connection.rollback()


@pytest.mark.parametrize(
    ("type_", "values"),
    [
        ("varchar(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci", ("Straße", "ÄÖ")),
        ("varchar(20) CHARACTER SET latin1", ("naïve", "€")),
        ("varchar(20) CHARACTER SET sjis", ("表", "ソ")),
        ("char(3) CHARACTER SET utf16", ("é", "x")),
        ("varbinary(20)", (b"\x00'\\", b"\xff")),
        ("decimal(20,5)", ("-1.50000", "99999.00001")),
        ("bigint unsigned", ("18446744073709551615", "0")),
        ("datetime(3)", ("2024-02-31 01:02:03.004", "0000-00-00 00:00:00.000")),
        ("timestamp", ("2024-03-31 01:30:00", "1970-01-01 00:00:01")),
        ("date", ("2024-01-00", "0001-01-01")),
        ("time(2)", ("-00:00:00.01", "838:59:59.00")),
        ("bit(9)", ("257", "0")),
        ("enum('b','a')", ("a", "b")),
        ("double", (0.1, -0.0)),
        ("float", (0.1, 16777216.0)),
        ("year", (2024, 0)),
    ],
)
def test_keys_of_all_types(unchecked: Applier, type_: str, values: tuple[object, object]) -> None:
    """A key of any type finds the parent that has it, and is found missing where none has; each by its index."""
    parent = unchecked.statements(f"id {type_} PRIMARY KEY")
    unchecked.cursor.connection.commit()
    name = parent.plan.target.name
    child = applied(unchecked.statements(f"id int PRIMARY KEY, p {type_}, FOREIGN KEY (p) REFERENCES {name} (id)"))
    there, missing = values
    assert unchecked.run(parent.insert([(there,)])) == 1
    look = looking(unchecked)
    write(unchecked, look, change(child, None, (1, there)), change(child, None, (2, None)))
    look.check()
    write(unchecked, look, change(child, None, (3, there)), change(child, None, (4, missing)))
    with pytest.raises(Repeat):
        look.check()
    assert [key for _, _, key in look._refusals.keys] == [(missing,)]
