"""Statements and table descriptions on a real server: keys, names, columns of all sorts, locks, and what is refused."""

import pymysql
import pytest
from appliers import Applier, same

from bisync_topology.errors import ApplyError
from bisync_topology.topology import Policy
from consumers.conflict import ConflictType, LocalRow, Rules, decide
from consumers.drift import Moment
from consumers.statements import Statements
from consumers.target import STRUCTURE_STATEMENTS, plan, read_table
from sandbox.instances import Sandbox
from schemas.records import Row, RowEvent
from schemas.tables import Table

pytestmark = pytest.mark.servers
DUPLICATE = 1062


def test_a_taken_key_or_unique_value_is_a_duplicate(applier: Applier) -> None:
    """An insert, or an update to it, fails with 1062 and changes nothing, so that the batch can be classified."""
    made = applier.statements("id int PRIMARY KEY, code varchar(9) UNIQUE, n int")
    rows: list[Row] = [(1, "a", 0), (2, "b", 0)]
    applier.run(made.insert(rows))
    statements = [
        made.insert([(3, "c", 0), (1, "d", 0)]),
        made.insert([(3, "c", 0), (4, "B", 0)]),
        made.update([((1, "a", 0), (1, "x", 0)), ((2, "b", 0), (2, "X", 0))]),
        made.update([((2, "b", 0), (1, "b", 0))]),
    ]
    for statement in statements:
        with pytest.raises(pymysql.err.IntegrityError) as error:
            applier.run(statement)
        assert error.value.args[0] == DUPLICATE
        assert applier.rows(made) == rows


def test_keys_can_move_in_a_batch(applier: Applier) -> None:
    """Rows of a batch change their keys, together with other columns, in one statement."""
    made = applier.statements("a int, b varchar(9), n int, PRIMARY KEY (b, a)")
    applier.run(made.insert([(1, "x", 0), (2, "y", 0), (3, "z", 0)]))
    assert applier.run(made.update([((1, "x", 0), (1, "X", 0)), ((2, "y", 0), (20, "y", 5)), ((3, "z", 0), (3, "z", 1))])) == 3
    assert applier.rows(made) == [(1, "X", 0), (20, "y", 5), (3, "z", 1)]


def test_any_name_is_a_name(applier: Applier) -> None:
    """Reserved words, backticks, percent signs and dots in a table's, an index's and columns' names."""
    applier.as_admin(
        "CREATE TABLE guard.`se``lect %s.t` (`a``b` int NOT NULL, `%d` varchar(9), `group` int, "
        "UNIQUE KEY `or``der %s` (`a``b`), UNIQUE KEY (`%d`))"
    )
    made = same(read_table(applier.cursor.connection, "guard", "se`lect %s.t"))
    assert applier.run(made.insert([(1, "%s", 0), (2, "b", 0)])) == 2
    assert applier.run(made.update([((1, "%s", 0), (1, "%", 0)), ((2, "b", 0), (2, "b", 1))])) == 2
    assert len(applier.found(made, (1, "%", 0), (2, "%", 0))) == 2
    assert applier.run(made.delete([(1, "%", 0), (2, "b", 1)])) == 2


def test_a_table_that_is_called_like_the_list(applier: Applier) -> None:
    """A table `v` with a column `column_0` is not mistaken for the list of values."""
    applier.as_admin("CREATE TABLE guard.v (column_0 int PRIMARY KEY, column_1 int)")
    made = same(read_table(applier.cursor.connection, "guard", "v"))
    assert applier.run(made.insert([(1, 1), (2, 2)])) == 2
    assert applier.run(made.update([((1, 1), (1, 3)), ((2, 2), (2, 4))])) == 2
    assert applier.run(made.delete([(1, 3), (2, 4)])) == 2


def test_generated_columns_are_left_to_the_server(applier: Applier) -> None:
    """They are not written, also where the source sends them, and may be part of a unique key."""
    made = applier.statements(
        "id int PRIMARY KEY, a int, b int GENERATED ALWAYS AS (a * 2) VIRTUAL, c int AS (a * 3) STORED UNIQUE"
    )
    assert applier.run(made.insert([(1, 1, 2, 3), (2, 2, 4, 6)])) == 2
    assert applier.run(made.update([((1, 1, 2, 3), (1, 5, 10, 15)), ((2, 2, 4, 6), (2, 6, 12, 18))])) == 2
    assert applier.found(made, None, (3, 6, 12, 18)) == (LocalRow((2, 6, 12, 18), shares_unique=True),)
    assert applier.run(made.delete([(1, 5, 10, 15)])) == 1


def test_a_generated_key_is_matched(applier: Applier) -> None:
    """A primary key that the target computes is matched by the source's value and never written."""
    made = applier.statements("a int, id int AS (a * 2) STORED, n int, PRIMARY KEY (id)")
    assert applier.run(made.insert([(1, 2, 0), (2, 4, 0)])) == 2
    assert applier.run(made.update([((1, 2, 0), (1, 2, 1)), ((2, 4, 0), (3, 6, 1))])) == 2
    assert applier.rows(made) == [(1, 2, 1), (3, 6, 1)]
    assert applier.run(made.delete([(1, 2, 1), (3, 6, 1)])) == 2


def test_the_server_fills_in_nothing_by_itself(applier: Applier) -> None:
    """Zero stays zero in an AUTO_INCREMENT key, and a time that the source left alone is not set to now."""
    made = applier.statements(
        "id int AUTO_INCREMENT PRIMARY KEY, n int, at timestamp NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP"
    )
    then = "2001-01-01 00:00:00"
    assert applier.run(made.insert([(0, 0, then), (1, 0, None)])) == 2
    assert applier.run(made.update([((0, 0, then), (0, 1, then)), ((1, 0, None), (1, 1, None))])) == 2
    assert applier.run(made.delete([(0, 1, then), (1, 1, None)])) == 2


def test_columns_that_the_source_lacks_keep_their_values(applier: Applier) -> None:
    """The target may have more columns: inserts take their defaults, updates and overwriting leave them alone."""
    table = applier.table("id int PRIMARY KEY, mine int NOT NULL DEFAULT 7, n int")
    made = Statements(plan(Table(db="guard", name="x", columns=(table.columns[2], table.columns[0]), key=()), table))
    assert applier.run(made.insert([(0, 1), (0, 2)])) == 2
    applier.run(f"UPDATE guard.{table.name} SET mine = 8 WHERE id = 1")
    assert applier.run(made.update([((0, 1), (1, 1)), ((0, 2), (1, 2))])) == 2
    assert applier.rows(made) == [(1, 8, 1), (2, 7, 1)]


def test_rows_that_do_not_know_a_new_time(applier: Applier) -> None:
    """They have that of the ALTER, in the zone of its client where the column has none, and keep it when they change."""
    table = applier.table(
        "id int PRIMARY KEY, n int, at datetime(3) DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3), "
        "stamp timestamp NOT NULL DEFAULT NOW() ON UPDATE NOW(), word varchar(30) DEFAULT 'CURRENT_TIMESTAMP'"
    )
    moment = Moment(1_767_322_800_123_456, "+02:00")
    source = Table(db="guard", name="x", columns=table.columns[:2], key=(0,))
    made = Statements(plan(source, table, dict.fromkeys(("at", "stamp", "word"), moment)))
    assert applier.run(made.insert([(1, 0)])) == applier.run(made.insert([(2, 0)])) == 1
    assert applier.run(made.insert([(3, 0), (4, 0)])) == 2
    assert applier.run(made.update([((1, 0), (1, 1)), ((2, 0), (2, 1))])) == 2
    assert applier.run(made.update([((3, 0), (3, 1))])) == 1
    read = f"SELECT id, n, CAST(at AS CHAR), CAST(stamp AS CHAR), word FROM guard.{table.name} ORDER BY id"
    then = ("2026-01-02 05:00:00.123", "2026-01-02 03:00:00", "CURRENT_TIMESTAMP")
    assert applier.fetch(read) == [(1, 1, *then), (2, 1, *then), (3, 1, *then), (4, 0, *then)]
    nowhere = Statements(plan(source, table, {"at": moment._replace(time_zone="No/Where")}))
    assert applier.run(nowhere.insert([(5, 0)])) == 1
    assert applier.fetch(f"SELECT CAST(at AS CHAR) FROM guard.{table.name} WHERE id = 5") == [("2026-01-02 03:00:00.123",)]


def test_who_describes_a_table_holds_nobody_up(applier: Applier, servers: Sandbox) -> None:
    """It may be altered at once, and is then described as it is."""
    name = applier.table("id int PRIMARY KEY").name
    applier.cursor.connection.commit()
    with servers.east.connect("guard", "guard") as describing, describing.cursor() as cursor:
        for statement in STRUCTURE_STATEMENTS:
            cursor.execute(statement)
        assert len(read_table(describing, "guard", name).columns) == 1
        applier.as_admin("SET SESSION lock_wait_timeout = 2")
        applier.as_admin(f"ALTER TABLE guard.{name} ADD n int")
        applier.as_admin("SET SESSION lock_wait_timeout = DEFAULT")
        assert len(read_table(describing, "guard", name).columns) == 2


def test_wide_rows_and_long_values(applier: Applier) -> None:
    """A list's row may be wider than any table's, as it holds two images; long values are carried whole."""
    columns = ", ".join(f"c{n} varchar(120)" for n in range(120))
    made = applier.statements(f"id int PRIMARY KEY, {columns}, big longtext, bin longblob")
    before: list[Row] = [(n, *["ä" * 120] * 120, "x" * 300_000, b"\xff" * 300_000) for n in range(4)]
    after: list[Row] = [(n, *["b" * 120] * 120, "y" * 300_000, b"\0" * 300_000) for n in range(4)]
    assert applier.run(made.insert(before)) == 4
    assert applier.run(made.update(list(zip(before, after, strict=True)))) == 4
    assert applier.found(made, after[0], None)[0].is_before
    assert applier.run(made.delete(after)) == 4


def test_found_rows_are_locked(applier: Applier, servers: Sandbox) -> None:
    """What a decision is made about cannot change until it is carried out, by whichever key it was found."""
    made = applier.statements("id int PRIMARY KEY, code int UNIQUE, n int")
    applier.run(made.insert([(1, 1, 0), (2, 2, 0), (3, 3, 0)]))
    applier.cursor.connection.commit()
    applier.found(made, (1, 1, 0), (1, 2, 1))
    name = made.plan.target.name
    with servers.east.connect() as other, other.cursor() as cursor:
        cursor.execute(f"SELECT id FROM guard.{name} FOR UPDATE SKIP LOCKED")
        assert cursor.fetchall() == ((3,),)


PREFIXED = [
    ("varchar(20)", 2, ("äbc", "ABx", "acx")),
    ("text", 2, ("äbc", "ABx", "acx")),
    ("varchar(20) CHARACTER SET latin1", 2, ("éax", "EAy", "ebx")),
    ("varchar(20) CHARACTER SET gbk", 1, ("漢x", "漢y", "字x")),
    ("blob", 2, (b"\0ab", b"\0ax", b"\1ab")),
    ("varchar(20) COLLATE utf8mb4_general_ci", 3, ("straße", "STRASSE", "stxaße")),
]


@pytest.mark.parametrize(("type_", "length", "values"), PREFIXED)
def test_keys_over_prefixes(applier: Applier, type_: str, length: int, values: tuple[object, object, object]) -> None:
    """A row whose key begins alike is in the way, though its value is another; the whole value guards an update."""
    own, alike, other = values
    made = applier.statements(f"k {type_} NOT NULL, n int, PRIMARY KEY (k({length}))")
    assert applier.run(made.insert([(own, 0), (other, 0)])) == 2
    with pytest.raises(pymysql.err.IntegrityError):
        applier.run(made.insert([(alike, 1)]))
    assert applier.found(made, None, (alike, 1)) == (LocalRow((own, 0), at_after=True),)
    assert applier.found(made, (alike, 0), None) == (LocalRow((own, 0), at_before=True),)
    assert applier.run(made.update([((alike, 0), (alike, 1)), ((other, 0), (other, 1))])) == 1
    assert applier.run(made.update([((own, 0), (alike, 5))])) == 1, "the rest of the value is no key"
    assert applier.run(made.delete([(alike, 5), (other, 1)])) == 2
    named = applier.statements(f"id int PRIMARY KEY, k {type_} NULL, UNIQUE KEY u (k({length}))")
    assert applier.run(named.insert([(1, own), (2, other), (3, None)])) == 3
    assert applier.found(named, None, (4, alike)) == (LocalRow((1, own), shares_unique=True),)
    assert applier.found(named, None, (4, None)) == ()


def test_an_invisible_unique_key_is_asked_too(applier: Applier) -> None:
    """The optimizer does not see it, but it refuses a row all the same."""
    made = applier.statements("id int PRIMARY KEY, code int, UNIQUE KEY hidden (code) INVISIBLE")
    applier.run(made.insert([(1, 5)]))
    assert applier.found(made, None, (2, 5)) == (LocalRow((1, 5), shares_unique=True),)


def _change(before: Row | None, after: Row | None) -> RowEvent:
    return RowEvent(1, 0, "u" if before and after else "c" if after else "d", before, after)


@pytest.mark.parametrize(
    ("event", "type_", "ends"),
    [
        (_change(None, (1, "b", 9)), ConflictType.INSERT_EXISTS, [(1, "b", 9), (3, None, 0)]),
        (_change(None, (9, "A", 9)), ConflictType.INSERT_UNIQUE, [(2, "b", 0), (3, None, 0), (9, "A", 9)]),
        (_change((9, "x", 0), (9, "y", 0)), ConflictType.UPDATE_MISSING, [(1, "a", 0), (2, "b", 0), (3, None, 0), (9, "y", 0)]),
        (_change((1, "A", 0), (1, "z", 9)), ConflictType.UPDATE_DIFFERS, [(1, "z", 9), (2, "b", 0), (3, None, 0)]),
        (_change((1, "a", 0), (3, "b", 9)), ConflictType.UPDATE_UNIQUE, [(3, "b", 9)]),
        (_change((3, None, 1), None), ConflictType.DELETE_DIFFERS, [(1, "a", 0), (2, "b", 0)]),
        (_change((1, "a", 5), (1, "a", 0)), None, [(1, "a", 0), (2, "b", 0), (3, None, 0)]),
    ],
)
def test_overwriting_on_a_server(applier: Applier, event: RowEvent, type_: ConflictType | None, ends: list[Row]) -> None:
    """From locked reads to a decision to its statements: the table ends with the image and no other row changed."""
    made = applier.statements("id int PRIMARY KEY, code varchar(9) UNIQUE, n int")
    applier.run(made.insert([(1, "a", 0), (2, "b", 0), (3, None, 0)]))
    decision = decide(event, applier.found(made, event.before, event.after), Rules(Policy.OVERWRITE))
    assert decision.type == type_
    for action in decision.actions:
        assert applier.run(made.action(action)) == 1
    assert applier.rows(made) == ends


def test_read_table_describes_keys_and_columns(applier: Applier) -> None:
    """Key order, not column order; the first unique key without NULLs where there is no primary key; defaults."""
    table = applier.table(
        "a int NOT NULL, b varchar(9) CHARACTER SET latin1 NOT NULL, c int, d int NOT NULL DEFAULT 1, "
        "e datetime NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, f json DEFAULT (JSON_ARRAY()), "
        "UNIQUE KEY u1 (c), UNIQUE KEY u2 (b, a), KEY plain (d)"
    )
    assert (table.key, table.indexes) == ((1, 0), ("u2", "u1"))
    assert table.unique_keys == ((1, 0), (2,))
    assert (table.needs_value, table.sets_itself) == (frozenset({0, 1}), frozenset({4}))
    assert (table.columns[1].charset, table.columns[1].collation) == ("latin1", "latin1_swedish_ci")


@pytest.mark.parametrize(
    ("definition", "code", "words"),
    [
        ("a int, b int UNIQUE", "no_key", "ADD PRIMARY KEY (`b`)"),
        ("a int, b int", "no_key", "ALTER TABLE `guard`.`"),
        ("a int PRIMARY KEY, b int, UNIQUE KEY u ((b + 1))", "unsupported_key", "unique key u is over an expression"),
    ],
)
def test_read_table_refuses_what_cannot_be_applied(applier: Applier, definition: str, code: str, words: str) -> None:
    """A table that would be applied wrongly stops its direction, with words that say what to do."""
    with pytest.raises(ApplyError) as error:
        applier.table(definition)
    assert error.value.code == code
    assert words in str(error.value)


def test_read_table_leaves_keys_over_expressions_out_where_it_is_only_read(applier: Applier) -> None:
    """They are in the way of rows that are written; rows are told apart by a key of columns all the same."""
    keys = "UNIQUE KEY u (b, (c + 1)), UNIQUE KEY v (b)"
    applier.as_admin(f"CREATE TABLE guard.copied_from (a int PRIMARY KEY, b int NOT NULL, c int, {keys})")
    table = read_table(applier.cursor.connection, "guard", "copied_from", written=False)
    assert (table.indexes, table.unique_keys) == (("PRIMARY", "v"), ((0,), (1,)))


def test_read_table_refuses_engines_without_transactions(applier: Applier) -> None:
    """A rollback to a savepoint would undo nothing, and a batch would be applied twice."""
    with pytest.raises(ApplyError, match="ENGINE=InnoDB"):
        applier.table("a int PRIMARY KEY", "ENGINE=MyISAM")


@pytest.mark.parametrize("make", ["", "CREATE VIEW guard.absent AS SELECT 1 AS a"])
def test_read_table_names_a_missing_table(applier: Applier, make: str) -> None:
    """No table, or a view: the error has the code, the grant that may be lacking, and the table's name."""
    if make:
        applier.as_admin(make)
    with pytest.raises(ApplyError, match="GRANT SELECT") as error:
        read_table(applier.cursor.connection, "guard", "absent")
    assert (error.value.code, error.value.where.table) == ("table_missing", "guard.absent")
    applier.as_admin("DROP VIEW IF EXISTS guard.absent")


def test_the_connections_cursor_class_does_not_matter(applier: Applier, servers: Sandbox) -> None:
    """`read_table` reads tuples also where the caller's connection gives dictionaries."""
    table = applier.table("a int PRIMARY KEY")
    with servers.east.connect(cursorclass=pymysql.cursors.DictCursor) as connection:
        assert read_table(connection, table.db, table.name) == table
