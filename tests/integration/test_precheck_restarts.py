"""Items of the precheck about what a server reads at its start alone: one of the test's own, with bad options and good ones."""

import copy
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from prechecking import Prechecking
from topologies import World

from bisync_topology.errors import CheckFailed
from bisync_topology.precheck_item import FAIL, PASS, WARN
from bisync_topology.supervisor import create
from sandbox import install
from sandbox.instances import Sandbox
from sandbox.mysql import MySQLServer, own, unprivileged
from sandbox.programs import run

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]

QUICK = {"sync_binlog": "0", "innodb_flush_log_at_trx_commit": "0"}
ROOT = "CREATE USER root@'127.0.0.1';\nGRANT ALL ON *.* TO root@'127.0.0.1' WITH GRANT OPTION;\n"
COLLATION = '<collation name="utf8mb4_own_ci" id="1029"><rules><reset>a</reset><s>b</s></rules></collation>'


@pytest.fixture
def folding(tmp_path: Path) -> Iterator[MySQLServer]:
    """A server whose data folder was made with lower_case_table_names=1, which is for ever."""
    server = MySQLServer(tmp_path, "west", {**QUICK, "lower_case_table_names": "1", "skip-log-bin": ""})
    program = install.mysql()
    user = unprivileged(program.folder, tmp_path)
    (tmp_path / "first.sql").write_text(ROOT)
    own(tmp_path, user)
    options = [f"--{name}={value}" for name, value in program.options.items()]
    first = [
        "--no-defaults",
        "--initialize-insecure",
        "--lower-case-table-names=1",
        "--mysqlx=OFF",
        "--innodb-use-native-aio=OFF",
        f"--datadir={server.datadir}",
    ]
    as_root = ["--user=root"] if user is None else []
    command = [*program.command, *first, f"--init-file={tmp_path / 'first.sql'}", *options, *as_root]
    run(command, what="MySQL cannot initialize a data folder", user=user)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def world(servers: Sandbox, folding: MySQLServer, tmp_path: Path) -> Iterator[World]:
    """East is the one that is shared."""
    pair = copy.copy(servers)
    pair.west = folding
    world = World(pair, tmp_path)
    yield world
    world.close()


def charsets(folder: Path) -> Path:
    """The server's character sets, and a collation of utf8mb4 that no other server has."""
    made = folder / "charsets"
    shutil.copytree(install.mysql().options["character-sets-dir"], made)
    index = made / "Index.xml"
    text = index.read_text()
    assert "</charsets>" in text
    index.write_text(text.replace("</charsets>", f'<charset name="utf8mb4">{COLLATION}</charset></charsets>'))
    return made


def test_what_wants_a_restart(world: World, folding: MySQLServer, tmp_path: Path) -> None:
    """No binlog; then one that hides the marker, lacks what replication brings and what foreign keys cascade; then a good one."""
    precheck = Prechecking(world)
    item = precheck.one("log_bin", "west", FAIL, "OFF; it must be ON", "write `log_bin = binlog` below [mysqld]")
    assert "marker" in {each.item for each in precheck.results().items} and item.why
    world.sql("east", f"CREATE TABLE {world.db}.Upper (id INT PRIMARY KEY)")
    precheck.one("lower_case_table_names", None, FAIL, f"east 0, west 1; {world.db}.Upper is not in lower case", "RENAME TABLE")
    world.sql("east", f"RENAME TABLE {world.db}.Upper TO {world.db}.lower")
    precheck.one("lower_case_table_names", None, WARN, "all names are in lower case now", "keep all names in lower case")
    world.sql("east", f"DROP TABLE {world.db}.lower")

    del folding.options["skip-log-bin"]
    folding.options |= {
        "log-replica-updates": "OFF",
        "binlog-ignore-db": world.control,
        "innodb-native-foreign-keys": "ON",
        "character-sets-dir": str(charsets(tmp_path)),
    }
    folding.restart()
    precheck.mended("log_bin", "west")

    with pytest.raises(CheckFailed, match="is not in its binlog"):
        create(precheck.topology)  # as `up` would, had it come so far: it proves the marker before anything is started
    precheck.mend(
        precheck.one("log_replica_updates", "west", WARN, "OFF; it is no replica now", "SET PERSIST_ONLY log_replica_updates")
    )
    option = f"binlog-ignore-db = {world.control}"
    precheck.one("binlog_filter", "west", FAIL, f"{option} keeps database {world.control} out", f"take `{option}` out")
    precheck.one("marker", "west", FAIL, "is not in the binlog", "binlog-ignore-db", whole=True)

    parent, child = world.table("parent", "id INT PRIMARY KEY"), f"{world.db}.child"
    world.sql("east", f"CREATE TABLE {child} (id INT PRIMARY KEY, p INT, KEY (p))")
    reference = f"FOREIGN KEY (p) REFERENCES {parent} (id) ON DELETE CASCADE"
    world.sql("west", f"CREATE TABLE {child} (id INT PRIMARY KEY, p INT, KEY (p), {reference})")
    item = precheck.one(
        "cascades", "east", FAIL, f"{child} lacks the foreign key (p) to {parent}", "ADD CONSTRAINT `child_ibfk_1`"
    )
    precheck.mend(item)
    precheck.mended("cascades", "east")
    (item,) = (each for each in precheck.results().items if (each.item, each.side) == ("cascades", "east"))
    assert (item.result, item.seen) == (PASS, "west to east: not logged at west; the target makes the same")

    for side, collation in (("east", "utf8mb4_bin"), ("west", "utf8mb4_own_ci")):
        world.sql(side, f"CREATE TABLE {world.db}.texts (id INT PRIMARY KEY, a VARCHAR(10) COLLATE {collation})")
    item = precheck.one(
        "collations", "west", FAIL, "east does not know utf8mb4_own_ci", "CONVERT TO CHARACTER SET utf8mb4 COLLATE"
    )
    precheck.mend(item)
    precheck.mended("collations", "west")

    del folding.options["binlog-ignore-db"], folding.options["character-sets-dir"], folding.options["innodb-native-foreign-keys"]
    folding.restart()
    for name in ("log_replica_updates", "binlog_filter", "cascades"):
        precheck.mended(name, "west")
    precheck.mended("marker", "west", whole=True)
