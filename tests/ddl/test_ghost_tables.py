"""The ways in which gh-ost and pt-online-schema-change alter a table, statement by statement, while clients write to it.

The copies are made at the side whose DDL is carried, and clients of that side alone write to the table meanwhile: a row of the
other side that is under way during the cut-over would miss the copy.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator

import pytest
from faults.compare import rows
from faults.harness import SIDES, Cluster, until

from ddl.schema_differences import carried_unguarded, read_schema, schema_differences
from ddl.stage_ddl import as_app, logged, open_topology, play_unlogged, settle
from ddl.ticking import Ticking
from sandbox.instances import Sandbox

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]

DB = "ddl_ghosts"
ROWS, CHUNK = 600, 100


@pytest.fixture(scope="module")
def ghosts(ddl_servers: Sandbox) -> Iterator[Cluster]:
    """DDL of the database goes from east to west."""
    with open_topology(ddl_servers, "ghosts", "east", [], [DB], databases=[DB]) as cluster:
        yield cluster


class Clients:
    """One client that inserts, changes and deletes rows of a table at east, and knows what must be there."""

    def __init__(self, cluster: Cluster, table: str) -> None:
        self.cluster = cluster
        self.table = table
        self.expected = dict.fromkeys(range(1, ROWS + 1), 0)  # id → v
        self._stop = threading.Event()
        self._errors: list[BaseException] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.done = 0

    def __enter__(self) -> Clients:
        """Write while the block runs."""
        self._thread.start()
        self.wait_for(5)
        return self

    def __exit__(self, *error: object) -> None:
        """Stop; raises what it met."""
        self._stop.set()
        self._thread.join(60)
        if self._errors:
            raise self._errors[0]

    def wait_for(self, more: int) -> None:
        """Wait until it has written so many times more."""
        goal = self.done + more
        until(lambda: bool(self._errors) or self.done >= goal, "clients write", logs=self.cluster.logs)

    def _run(self) -> None:
        try:
            with as_app(self.cluster, "east", DB) as connection, connection.cursor() as cursor:
                for number in itertools.count(1):
                    if self._stop.wait(0.005):
                        return
                    new, changed, gone = ROWS + number, number * 7 % ROWS + 1, number * 13 % ROWS + 1
                    cursor.execute(f"INSERT INTO {self.table} (id, v, name) VALUES (%s, %s, 'new')", (new, number))
                    self.expected[new] = number
                    cursor.execute(f"UPDATE {self.table} SET v = v + 1 WHERE id = %s", (changed,))
                    if changed in self.expected:
                        self.expected[changed] += 1
                    cursor.execute(f"DELETE FROM {self.table} WHERE id = %s", (gone,))
                    self.expected.pop(gone, None)
                    self.done = number
        except BaseException as error:  # noqa: BLE001  raised where the block ends
            self._errors.append(error)


def before(table: str) -> str:
    """The table with its first rows."""
    values = ", ".join(f"({n}, 0, 'row {n}')" for n in range(1, ROWS + 1))
    columns = "id INT PRIMARY KEY, v INT NOT NULL, name VARCHAR(20), KEY (v)"
    return f"CREATE TABLE {table} ({columns}); INSERT INTO {table} VALUES {values}"


def test_ghost_table(ghosts: Cluster) -> None:
    """gh-ost: a ghost table is filled in chunks and takes the table's place in one RENAME, which waits behind the lock of a
    sentry table that is then dropped. No row is lost, at either side, and nothing of it comes back."""
    play_unlogged(ghosts, DB, before("item"))
    with (
        Ticking(ghosts, DB) as ticking,
        Clients(ghosts, "item") as clients,
        as_app(ghosts, "east", DB) as migrator,
        as_app(ghosts, "east", DB) as locker,
        migrator.cursor() as cursor,
        locker.cursor() as lock,
    ):
        for statement in (
            "drop /* gh-ost */ table if exists `ddl_ghosts`.`_item_ghc`",
            "create /* gh-ost */ table `ddl_ghosts`.`_item_ghc` (id bigint unsigned auto_increment, last_update timestamp"
            " not null DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, hint varchar(64) charset ascii not null,"
            " value varchar(4096) charset ascii not null, primary key(id), unique key hint_uidx(hint)) auto_increment=256"
            " comment='gh-ost-changelog'",
            "create /* gh-ost */ table `ddl_ghosts`.`_item_gho` like `ddl_ghosts`.`item`",
            "alter /* gh-ost */ table `ddl_ghosts`.`_item_gho` ADD w INT NOT NULL DEFAULT 5,"
            " MODIFY name VARCHAR(300), DROP KEY v",
            "insert /* gh-ost */ into `ddl_ghosts`.`_item_ghc` (id, hint, value) values (NULLIF(2, 0), 'state', 'Migrated')"
            " on duplicate key update last_update=NOW(), value=VALUES(value)",
        ):
            cursor.execute(statement)
        for first in range(1, ROWS + 1, CHUNK):
            cursor.execute(
                "insert /* gh-ost `ddl_ghosts`.`item` */ ignore into _item_gho (id, v, name) (select id, v, name from item"
                " force index (`PRIMARY`) where id between %s and %s lock in share mode)",
                (first, first + CHUNK - 1),
            )
            clients.wait_for(2)
        lock.execute("create /* gh-ost */ table `ddl_ghosts`.`_item_del` (id int auto_increment primary key)"
                     " engine=InnoDB comment='ghost-cut-over-sentry'")  # fmt: skip
        lock.execute("lock /* gh-ost */ tables item read, _item_del write")
        cursor.execute("replace into _item_gho (id, v, name) select id, v, name from item")
        cursor.execute("delete from _item_gho where id not in (select id from item)")
        statement = "rename /* gh-ost */ table item to _item_del, _item_gho to item"
        rename = threading.Thread(target=cursor.execute, args=(statement,), daemon=True)
        rename.start()
        for table in ("_item_del", "item"):
            until(lambda table=table: waits_for(ghosts, table), f"RENAME waits for {table}", logs=ghosts.logs)
            if table == "_item_del":
                lock.execute("drop /* gh-ost */ table if exists `ddl_ghosts`.`_item_del`")
        lock.execute("unlock tables")
        rename.join(30)
        assert not rename.is_alive()
        clients.wait_for(5)
        for name in ("_item_ghc", "_item_del"):
            cursor.execute(f"drop /* gh-ost */ table if exists `ddl_ghosts`.`{name}`")
        ticking.wait_for(2)
    is_what_was_written(ghosts, "item", clients, ticking)
    assert ghosts.sql("west", f"SELECT COUNT(*) FROM {DB}.item WHERE w = 5") == [(len(clients.expected),)]


def test_table_with_triggers(ghosts: Cluster) -> None:
    """pt-online-schema-change: triggers keep a new table up to date while it is filled; one RENAME swaps the two. At the other
    side the triggers do nothing, since what they have written arrives as rows."""
    play_unlogged(ghosts, DB, before("thing"))
    with (
        Ticking(ghosts, DB, first=500_000) as ticking,
        Clients(ghosts, "thing") as clients,
        as_app(ghosts, "east", DB) as connection,
        connection.cursor() as cursor,
    ):
        for statement in (
            "CREATE TABLE `ddl_ghosts`.`_thing_new` (`id` int NOT NULL, `v` int NOT NULL, `name` varchar(20) DEFAULT NULL,"
            " PRIMARY KEY (`id`), KEY `v` (`v`)) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci",
            "ALTER TABLE `ddl_ghosts`.`_thing_new` ADD w INT NOT NULL DEFAULT 5, ADD KEY (name, w)",
            "CREATE TRIGGER `pt_osc_ddl_ghosts_thing_del` AFTER DELETE ON `ddl_ghosts`.`thing` FOR EACH ROW BEGIN"
            " DECLARE CONTINUE HANDLER FOR 1146 begin end; DELETE IGNORE FROM `ddl_ghosts`.`_thing_new`"
            " WHERE `ddl_ghosts`.`_thing_new`.`id` <=> OLD.`id`; END",
            "CREATE TRIGGER `pt_osc_ddl_ghosts_thing_upd` AFTER UPDATE ON `ddl_ghosts`.`thing` FOR EACH ROW BEGIN"
            " DECLARE CONTINUE HANDLER FOR 1146 begin end; DELETE IGNORE FROM `ddl_ghosts`.`_thing_new` WHERE"
            " !(OLD.`id` <=> NEW.`id`) AND `ddl_ghosts`.`_thing_new`.`id` <=> OLD.`id`;"
            " REPLACE INTO `ddl_ghosts`.`_thing_new` (`id`, `v`, `name`) VALUES (NEW.`id`, NEW.`v`, NEW.`name`); END",
            "CREATE TRIGGER `pt_osc_ddl_ghosts_thing_ins` AFTER INSERT ON `ddl_ghosts`.`thing` FOR EACH ROW BEGIN"
            " DECLARE CONTINUE HANDLER FOR 1146 begin end;"
            " REPLACE INTO `ddl_ghosts`.`_thing_new` (`id`, `v`, `name`) VALUES (NEW.`id`, NEW.`v`, NEW.`name`); END",
        ):
            cursor.execute(statement)
        for first in range(1, 2 * ROWS, CHUNK):  # what was inserted before the triggers were there too
            cursor.execute(
                "INSERT LOW_PRIORITY IGNORE INTO `ddl_ghosts`.`_thing_new` (`id`, `v`, `name`) SELECT `id`, `v`, `name` FROM"
                " `ddl_ghosts`.`thing` FORCE INDEX(`PRIMARY`) WHERE id BETWEEN %s AND %s LOCK IN SHARE MODE /*pt-osc*/",
                (first, first + CHUNK - 1),
            )
            clients.wait_for(2)
        cursor.execute("ANALYZE TABLE `ddl_ghosts`.`_thing_new` /* pt-online-schema-change */")
        cursor.execute(
            "RENAME TABLE `ddl_ghosts`.`thing` TO `ddl_ghosts`.`_thing_old`, `ddl_ghosts`.`_thing_new` TO `ddl_ghosts`.`thing`"
        )
        clients.wait_for(3)
        cursor.execute("DROP TABLE IF EXISTS `ddl_ghosts`.`_thing_old`")
        for event in ("del", "upd", "ins"):
            cursor.execute(f"DROP TRIGGER IF EXISTS `ddl_ghosts`.`pt_osc_ddl_ghosts_thing_{event}`")
        clients.wait_for(5)
        ticking.wait_for(2)
    is_what_was_written(ghosts, "thing", clients, ticking)
    assert ghosts.sql("west", f"SELECT COUNT(*) FROM {DB}.thing WHERE w = 5") == [(len(clients.expected),)]


def waits_for(cluster: Cluster, table: str) -> bool:
    """Whether a statement waits for this table as a whole: it is then before every row that waits for it."""
    waiting = cluster.sql(
        "east",
        "SELECT COUNT(*) FROM performance_schema.metadata_locks WHERE OBJECT_SCHEMA = %s AND OBJECT_NAME = %s"
        " AND LOCK_STATUS = 'PENDING' AND LOCK_TYPE = 'EXCLUSIVE'",
        DB,
        table,
    )
    return waiting == [(1,)]


def is_what_was_written(cluster: Cluster, table: str, clients: Clients, ticking: Ticking) -> None:
    """Both sides hold what the clients know, the schemas are equal, and no copy is left."""
    settle(cluster)
    ticking.check()
    for side in SIDES:
        assert dict(cluster.sql(side, f"SELECT id, v FROM {DB}.{table}")) == clients.expected, side
    east, west = (read_schema(cluster, side, [DB]) for side in SIDES)
    assert not (lines := schema_differences(east, west)), "\n".join(lines)
    assert not [name for name in east if "._" in name]
    assert carried_unguarded(cluster, "west", [DB], frozenset()) == []
    assert rows(cluster, "east", DB, "ticking") == rows(cluster, "west", DB, "ticking")
    assert logged(cluster, "east") == []
    assert {state for state, *_ in logged(cluster, "west")} <= {"applied", "ignored"}
