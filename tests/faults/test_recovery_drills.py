"""The drills of docs/recovery.md on real servers under load: what Kafka or a backup has is kept, and what is lost is named."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from faults.compare import assert_equal, differences, rows, tables
from faults.harness import SIDES, WORKERS, Cluster
from faults.load import DATABASE, Load
from sandbox.instances import Sandbox

pytestmark = [pytest.mark.servers, pytest.mark.timeout(600)]

FAILPOINTS = ["recover.after_commit", "recover.after_other"]
DDL_FAILPOINTS = ["recover.ddl_after_statement"]
if "BISYNC_TEST_LONG" in os.environ:
    FAILPOINTS[:0] = ["recover.after_begin", "recover.after_marker:2"]
    FAILPOINTS[3:] = ["recover.before_switch", "recover.after_other", "recover.after_checkpoint"]
    DDL_FAILPOINTS = ["recover.ddl_after_intent", "recover.ddl_after_statement", "recover.ddl_after_statement"]


def own(copy: Path, like: Path) -> None:
    """Give a copied data folder to who runs the server."""
    owner = like.stat()
    for path in (copy, *copy.rglob("*")):
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


@pytest.fixture
def drilled(loaded: tuple[Cluster, Load]) -> Iterator[tuple[Cluster, Load]]:
    """The module's topology, running."""
    cluster, load = loaded
    away = [name for name in WORKERS if not cluster[name].runs]
    if away:
        cluster.start(*away)
    yield cluster, load
    load.stop()


def stop(cluster: Cluster, *names: str) -> None:
    """Drain processes."""
    for name in names or WORKERS:
        assert cluster[name].stop() == 0


def back_up(cluster: Cluster, side: str) -> Path:
    """A copy of a side's data folder, while its server is stopped for a moment."""
    server = cluster.server(side)
    copy = server.folder / "backup"
    shutil.rmtree(copy, ignore_errors=True)
    server.stop()
    shutil.copytree(server.datadir, copy)
    own(copy, server.datadir)
    server.start()
    return copy


def restore(cluster: Cluster, side: str, copy: Path, *, crash: bool = True) -> None:
    """The server is lost, and comes back as it was when the backup was made."""
    server = cluster.server(side)
    (server.kill if crash else server.stop)()
    shutil.rmtree(server.datadir)
    shutil.copytree(copy, server.datadir)
    own(server.datadir, copy)
    server.start()


@dataclass
class Dump:
    """What `mysqldump --single-transaction --set-gtid-purged=ON` of these schemas has: statements, rows, and the GTIDs."""

    tables: list[tuple[str, str, str, list[tuple[Any, ...]]]]  # schema, name, CREATE TABLE, rows
    gtids: str


def dump(cluster: Cluster, side: str) -> Dump:
    """Dump the load's schema and the control schema, in one snapshot, while both are written to."""
    with cluster.connect(side, autocommit=False) as connection, connection.cursor() as cursor:
        cursor.execute("SET SESSION time_zone = '+00:00'")
        cursor.execute("FLUSH TABLES WITH READ LOCK")
        cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
        cursor.execute("SELECT @@global.gtid_executed")
        gtids = str(cursor.fetchall()[0][0]).replace("\n", "")
        cursor.execute("UNLOCK TABLES")
        found = []
        for db, name in tables(cluster, side, [DATABASE, "bisync"]):
            cursor.execute(f"SHOW CREATE TABLE {db}.{name}")
            statement = cursor.fetchall()[0][1]
            cursor.execute(f"SELECT * FROM {db}.{name}")
            found.append((db, name, statement, list(cursor.fetchall())))
    return Dump(found, gtids)


def load_dump(cluster: Cluster, side: str, taken: Dump) -> None:
    """The server is lost, and a new one with another UUID gets the dump."""
    server = cluster.server(side)
    server.kill()
    shutil.rmtree(server.datadir)
    server.start()
    cluster.sandbox.prepare([DATABASE])
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("RESET BINARY LOGS AND GTIDS")
        cursor.execute("SET SESSION sql_log_bin = 0, time_zone = '+00:00', sql_mode = '', foreign_key_checks = 0")
        cursor.execute("SET GLOBAL gtid_purged = %s", (taken.gtids,))
        for db, name, statement, found in taken.tables:
            cursor.execute(f"CREATE DATABASE IF NOT EXISTS {db}")
            cursor.execute(f"USE {db}")
            cursor.execute(f"DROP TABLE IF EXISTS {name}")
            cursor.execute(statement)
            if found:
                cursor.executemany(f"INSERT INTO {name} VALUES ({', '.join(['%s'] * len(found[0]))})", found)


def at_work(cluster: Cluster, load: Load, transactions: int = 60) -> None:
    """Both directions carry a load, and nothing of what was ever committed is lost."""
    with load:
        load.wait_for(transactions)
    cluster.wait()
    load.nothing_lost()


def test_lost_side(drilled: tuple[Cluster, Load]) -> None:
    """A side that takes writes is lost and restored from an older backup: its writes and what it had applied come back from its
    own stream, also where `recover` is killed at each of its points, and work goes on under a new stream.

    Between the restore and `recover` the side writes its own reports under the GTIDs of what it has lost.
    """
    cluster, load = drilled
    with load:
        load.wait_for(40)
        backup = back_up(cluster, "west")  # the load and the processes wait for it
        load.wait_for(160)
    cluster.wait()
    stop(cluster)
    restore(cluster, "west", backup)
    assert differences(cluster, [DATABASE])

    cluster["producer west"].start()
    error = cluster.wait_state("producer west", "failed")["detail"]["error"]
    assert error["code"] == "server_restored" and "recover west" in error["hint"] and "keep writes off west" in error["hint"]
    cluster["applier west"].start()
    waits = cluster.wait_state("applier west", "waiting")["detail"]["waits_for"]
    assert "lacks changes of its own" in waits and "recover west" in waits
    assert "is running" in cluster.command("recover", "west", check=1).stderr
    stop(cluster, "producer west", "applier west")

    with load.alone("east"):  # the other side is written to all the while
        for failpoint in FAILPOINTS:
            done = cluster.command("recover", "west", check=None, failpoint=failpoint)
            assert done.returncode == -9, (failpoint, done.stdout, done.stderr, done.returncode)
        said = cluster.command("recover", "west").stdout
        assert re.search(r"west goes on as stream \w+, behind \d+", said), said
    cluster.start()
    cluster.wait()
    load.nothing_lost()
    at_work(cluster, load)
    directions = cluster.status(check=0)["directions"]
    assert [(each["state"], each["conflicts"]) for each in directions] == [("syncing", 0), ("syncing", 0)]


def make_alike(cluster: Cluster, source: str, target: str) -> None:
    """What `verify --repair` is for: the target gets the source's rows, unlogged."""
    for db, name in tables(cluster, source, [DATABASE]):
        found = cluster.sql(source, f"SELECT * FROM {db}.{name}")
        with cluster.connect(target) as connection, connection.cursor() as cursor:
            cursor.execute("SET SESSION sql_log_bin = 0, time_zone = '+00:00'")
            cursor.execute(f"DELETE FROM {db}.{name}")
            if found:
                cursor.executemany(f"INSERT INTO {db}.{name} VALUES ({', '.join(['%s'] * len(found[0]))})", found)


def drained(cluster: Cluster, source: str, target: str) -> bool:
    """Whether a direction has applied everything that was sent."""
    return cluster.direction(source, target)["lag_events"] == 0


@pytest.mark.long
def test_lost_target(drilled: tuple[Cluster, Load]) -> None:
    """A side that has written nothing since its backup comes back to the present by itself: its progress is as old as its rows.
    `replay` tells before what will be applied; `recover` then gives its stream a new name, and has nothing to apply.
    """
    cluster, load = drilled
    with load:
        load.wait_for(30)
    cluster.wait()
    stop(cluster, "producer west", "applier west")
    backup = back_up(cluster, "west")
    cluster.start("producer west", "applier west")
    with load.alone("east"):
        load.wait_for(60)
    cluster.wait()
    stop(cluster, "producer west", "applier west")
    restore(cluster, "west", backup)
    behind = cluster.direction("east", "west")["lag_events"]
    assert behind >= 60
    said = cluster.command("replay", "east", "west", "--to-earliest").stdout
    assert re.search(rf"for `resume` to apply: {behind} transactions", said), said
    cluster.start("applier west")
    cluster.until(lambda: drained(cluster, "east", "west"), "west is at the present again")
    load.nothing_lost()
    stop(cluster)
    assert "0 transactions were applied again" in cluster.command("recover", "west").stdout
    cluster.start()
    at_work(cluster, load)


def test_purged_binlog(drilled: tuple[Cluster, Load]) -> None:
    """A producer that was away for longer than the binlog is kept stops and names what was purged; the other direction goes on.
    Once both sides are alike, `init --reset` begins the direction anew.
    """
    cluster, load = drilled
    stop(cluster, "producer east")
    with load:
        load.wait_for(40)
    (file, *_), *_ = cluster.sql("east", "FLUSH BINARY LOGS") or cluster.sql("east", "SHOW BINARY LOG STATUS")
    cluster.sql("east", f"PURGE BINARY LOGS TO '{file}'")
    cluster["producer east"].start()
    error = cluster.wait_state("producer east", "failed")["detail"]["error"]
    uuid = cluster.server("east").server_uuid
    assert error["code"] == "binlog_purged" and re.search(rf"not captured yet: transactions {uuid}:\d+-\d+", error["message"])
    cluster.until(lambda: drained(cluster, "west", "east"), "the other direction has gone on")
    load.check("east")
    make_alike(cluster, "east", "west")
    stop(cluster, "producer east", "applier west")
    cluster.command("init", "--reset", "east", "west")
    cluster.start("producer east", "applier west")
    at_work(cluster, load)


@pytest.mark.long
def test_lost_broker(drilled: tuple[Cluster, Load]) -> None:
    """A broker that comes back empty: both directions stop and name behind which transaction nothing may have been applied;
    what both servers have committed is on one of them. Once they are alike, both directions begin anew.
    """
    cluster, load = drilled
    cluster.command("pause", "east", "west")
    cluster.wait_state("applier west", "paused")
    with load:
        load.wait_for(40)
    cluster.until(lambda: drained(cluster, "west", "east"), "the other direction has gone on")
    gtids = {side: cluster.applied(side)["gtid"] for side in SIDES}
    stop(cluster)
    broker = cluster.sandbox.kafka
    broker.kill()
    shutil.rmtree(broker.log_dir)
    broker.start()
    cluster.command("resume", "east", "west")
    for name in WORKERS:
        cluster[name].start()
    for source, target in (("east", "west"), ("west", "east")):
        error = cluster.wait_state(f"applier {target}", "failed")["detail"]["error"]
        assert error["code"] == "stream_changed" and f"behind {gtids[target]}, up to" in error["message"], error
        assert f"init --reset {source} {target}" in error["hint"]
    load.check("east")
    make_alike(cluster, "east", "west")
    stop(cluster)
    cluster.command("init", "--reset", "east", "west")
    cluster.command("init", "--reset", "west", "east")
    cluster.start()
    at_work(cluster, load)


@pytest.mark.long
def test_lost_side_from_a_dump(drilled: tuple[Cluster, Load]) -> None:
    """The same from a logical dump that was made while everything ran, on a new server: its GTIDs tell what it has."""
    cluster, load = drilled
    with load:
        load.wait_for(40)
        taken = dump(cluster, "west")
        load.wait_for(100)
    cluster.wait()
    stop(cluster)
    load_dump(cluster, "west", taken)
    cluster.sql("west", f"UPDATE {DATABASE}.accounts SET worker = worker")  # changes nothing
    assert differences(cluster, [DATABASE])
    assert "transactions were applied again" in cluster.command("recover", "west").stdout
    load.nothing_lost()
    cluster.start()
    at_work(cluster, load)


def test_lost_side_with_a_gap(drilled: tuple[Cluster, Load]) -> None:
    """Where Kafka has not all that the side lacks, `recover` names from where to where, writes nothing and exits with 1."""
    cluster, load = drilled
    with load:
        load.wait_for(20)
        backup = back_up(cluster, "west")
        load.wait_for(60)
    cluster.wait()
    stop(cluster)
    restore(cluster, "west", backup, crash=False)
    before = rows(cluster, "west", DATABASE, "counters")
    broker = cluster.sandbox.kafka.bootstrap
    topic = f"{cluster.name}.west.shop.ledger"
    client = AdminClient({"bootstrap.servers": broker})
    for future in client.delete_records([TopicPartition(topic, number, -1) for number in range(3)]).values():
        future.result(30)
    said = cluster.command("recover", "west", check=1).stderr
    assert re.search(r"events are gone from transaction \d+ \(\S+:\d+\) to transaction \d+ \(\S+:\d+\)", said), said
    assert "nothing was written" in said and "verify --repair" in said and "init --reset" in said
    assert before == rows(cluster, "west", DATABASE, "counters")

    make_alike(cluster, "east", "west")  # the way out: what west had sent is there
    cluster.command("init", "--reset", "west", "east")
    cluster.command("init", "--reset", "east", "west")
    cluster.start()
    at_work(cluster, load)


@pytest.fixture(params=["ON", pytest.param("OFF", marks=pytest.mark.long)])
def gtid_mode(request: pytest.FixtureRequest, fault_servers: Sandbox) -> Iterator[str]:
    """The gtid_mode of west."""
    options = fault_servers.west.options
    if request.param == "OFF":
        options |= {"gtid_mode": "OFF", "enforce_gtid_consistency": "OFF"}
        fault_servers.west.restart()
    yield request.param
    if request.param == "OFF":
        del options["gtid_mode"], options["enforce_gtid_consistency"]
        fault_servers.west.restart()


def test_structure_and_strays(fault_servers: Sandbox, gtid_mode: str) -> None:
    """What `recover` applies of every kind: rows in pieces and in parts, statements of both sides, each once though it is killed
    in the middle. A row that somebody has changed meanwhile stops it, with --force it is overwritten; what was written since
    the restore is carried to the other side.
    """
    cluster = Cluster(fault_servers, name=f"own{gtid_mode}".lower())
    cluster.configure(["crm"], east={"ddl": True})
    cluster.both("DROP DATABASE IF EXISTS crm", "CREATE DATABASE crm")
    cluster.both("CREATE TABLE crm.t (id INT PRIMARY KEY, v LONGTEXT, n INT)", "CREATE TABLE crm.stray (id INT PRIMARY KEY)")
    try:
        cluster.start()
        cluster.sql("west", "INSERT INTO crm.t VALUES (1, 'before', 0), (2, 'before', 0)")
        cluster.wait()
        stop(cluster)
        backup = back_up(cluster, "west")
        cluster.start()
        cluster.sql("west", "UPDATE crm.t SET v = 'after' WHERE id = 1")
        numbers = ", ".join(f"({n}, 'many', 0)" for n in range(100, 4700))
        cluster.sql("west", f"INSERT INTO crm.t VALUES {numbers}")
        cluster.sql("west", "INSERT INTO crm.t VALUES (3, REPEAT('long ', 500000), 0)")
        cluster.sql("west", "ALTER TABLE crm.t ADD INDEX local_index (n)")
        cluster.wait()
        cluster.sql("east", "ALTER TABLE crm.t ADD COLUMN extra INT NOT NULL DEFAULT 7")
        cluster.sql("east", "UPDATE crm.t SET extra = 8, v = CONCAT(v, '!') WHERE id IN (2, 3)")
        cluster.wait()
        cluster.sql("west", "DELETE FROM crm.t WHERE id = 100")
        cluster.wait()
        stop(cluster)
        progress = cluster.applied("west")["sequence"]
        restore(cluster, "west", backup)
        cluster.sql("west", "INSERT INTO crm.stray VALUES (1)")
        with cluster.connect("west") as connection, connection.cursor() as cursor:
            cursor.execute("SET SESSION sql_log_bin = 0")
            cursor.execute("UPDATE crm.t SET v = 'by hand' WHERE id = 1")

        said = cluster.command("recover", "west", check=1).stderr
        assert "west is not as its own stream has it" in said and "in crm.t at id=1" in said and "--force" in said, said
        for failpoint in DDL_FAILPOINTS:
            done = cluster.command("recover", "west", "--force", check=None, failpoint=failpoint)
            assert done.returncode == -9, (failpoint, done.stdout, done.stderr)
        assert "transactions were applied again" in cluster.command("recover", "west", "--force").stdout
        definition = cluster.sql("west", "SHOW CREATE TABLE crm.t")[0][1]
        assert definition.count("local_index") == definition.count("`extra`") == 1, definition
        assert differences(cluster, ["crm"]) == ["crm.stray: 0 rows at east, 1 at west", "  only at west: ('31',)"]
        assert cluster.applied("west")["sequence"] <= progress
        cluster.start()
        cluster.sql("east", "INSERT INTO crm.t (id, n) VALUES (10000, 0)")
        cluster.sql("west", "INSERT INTO crm.t (id, n) VALUES (10001, 0)")
        cluster.wait()
        assert_equal(cluster, "crm")
        assert len(cluster.sql("east", "SELECT * FROM crm.stray")) == 1
        seen = cluster.sql("east", "SELECT state FROM bisync.ddl_log WHERE topology = %s", cluster.name)
        assert seen == [("drift",)], "west's own statement came once"
        assert [each["conflicts"] for each in cluster.status(check=0)["directions"]] == [0, 0]
        cluster.stop()
        assert "was not set back" in cluster.command("recover", "west", check=1).stderr
    finally:
        cluster.kill_all()


def test_lost_again(fault_servers: Sandbox) -> None:
    """What is marked as the other side's and is in none of its transactions comes back too: rows that were repaired, and rows of
    the side's own that an earlier `recover` has brought back, where the same backup is restored once more.

    The applier waits for them, although the side lacks nothing that began there.
    """
    cluster = Cluster(fault_servers, name="again")
    cluster.configure(["crm"])
    cluster.both("DROP DATABASE IF EXISTS crm", "CREATE DATABASE crm", "CREATE TABLE crm.t (id INT PRIMARY KEY, v VARCHAR(20))")
    try:
        cluster.start()
        cluster.sql("east", "INSERT INTO crm.t VALUES (1, 'repaired'), (2, 'both')")
        cluster.wait()
        stop(cluster)
        with cluster.connect("west") as connection, connection.cursor() as cursor:
            cursor.execute("SET SESSION sql_log_bin = 0")
            cursor.execute("UPDATE crm.t SET v = 'differs' WHERE id = 1")
        backup = back_up(cluster, "west")

        cluster.start()
        cluster.command("verify", "--repair", "east", "west")
        cluster.sql("east", "INSERT INTO crm.t VALUES (3, 'later')")
        cluster.sql("west", "INSERT INTO crm.t VALUES (4, 'own')")
        cluster.wait()
        stop(cluster)
        restore(cluster, "west", backup)
        cluster.command("recover", "west")
        assert not differences(cluster, ["crm"])
        cluster.start()
        cluster.wait()
        stop(cluster)

        restore(cluster, "west", backup)
        cluster["applier west"].start()
        assert "lacks changes of its own" in cluster.wait_state("applier west", "waiting")["detail"]["waits_for"]
        stop(cluster, "applier west")
        cluster.command("recover", "west")
        assert not differences(cluster, ["crm"])
        cluster.start()
        cluster.sql("east", "UPDATE crm.t SET v = 'after' WHERE id = 4")
        cluster.wait()
        assert_equal(cluster, "crm")
        assert [each["conflicts"] for each in cluster.status(check=0)["directions"]] == [0, 0]
    finally:
        cluster.kill_all()


def test_lost_target_that_has_not_caught_up(fault_servers: Sandbox) -> None:
    """Its applier was stopped in the middle of what the lost server had applied at once, which its own stream has as one
    transaction: `recover` would apply the first part twice. It says so, writes nothing, and the applier can go on to the end.
    """
    cluster = Cluster(fault_servers, name="inside")
    cluster.configure(["crm"])
    cluster.both("DROP DATABASE IF EXISTS crm", "CREATE DATABASE crm", "CREATE TABLE crm.t (id INT PRIMARY KEY, v INT)")
    try:
        cluster.start()
        cluster.sql("east", "INSERT INTO crm.t VALUES (1, 0)")
        cluster.wait()
        stop(cluster)
        backup = back_up(cluster, "west")
        cluster.start("producer east")
        for number in range(2, 12):
            cluster.sql("east", f"INSERT INTO crm.t VALUES ({number}, 0)")
            cluster.sql("east", f"UPDATE crm.t SET v = {number} WHERE id = {number}")
        cluster.sql("east", "UPDATE crm.t SET v = 1 WHERE id = 1")
        cluster.sql("east", "UPDATE crm.t SET v = v + 1")
        cluster.until(lambda: cluster.direction("east", "west")["lag_events"] == 22, "all is captured")
        cluster.start("producer west", "applier east", "applier west")
        cluster.wait()
        stop(cluster)
        restore(cluster, "west", backup)
        with cluster.connect("west") as connection, connection.cursor() as cursor:  # stops the applier at the last but one
            cursor.execute("SET SESSION sql_log_bin = 0")
            cursor.execute("UPDATE crm.t SET v = 77 WHERE id = 1")
        cluster["applier west"].start()
        cluster.wait_state("applier west", "failed")
        stop(cluster, "applier west")
        progress = cluster.applied("west")["sequence"]

        said = cluster.command("recover", "west", check=1).stderr
        assert f"up to {progress}, in the middle of" in said and "`bisync-topology applier west`" in said, said
        assert progress == cluster.applied("west")["sequence"]
        with cluster.connect("west") as connection, connection.cursor() as cursor:
            cursor.execute("SET SESSION sql_log_bin = 0")
            cursor.execute("UPDATE crm.t SET v = 0 WHERE id = 1")
        cluster.command("resume", "east", "west")
        cluster["applier west"].start()
        cluster.until(lambda: drained(cluster, "east", "west"), "west is at the present again")
        stop(cluster, "applier west")
        assert "0 transactions were applied again" in cluster.command("recover", "west").stdout
        cluster.start()
        cluster.wait()
        assert_equal(cluster, "crm")
        assert [each["conflicts"] for each in cluster.status(check=0)["directions"]] == [0, 0]
    finally:
        cluster.kill_all()


@pytest.mark.long
def test_lost_in_the_middle_of_a_copy(fault_servers: Sandbox) -> None:
    """The backup was made while rows were being copied into the side: what it changed of later ones comes back, deletes too, and
    the copy goes on where the backup had it.
    """
    cluster = Cluster(fault_servers, name="midway")
    cluster.configure(["crm"], east={"initialize": ["data"]}, initialization={"chunk_rows": 10})
    cluster.both("DROP DATABASE IF EXISTS crm", "CREATE DATABASE crm", "CREATE TABLE crm.t (id INT PRIMARY KEY, v VARCHAR(20))")
    cluster.sql("east", f"INSERT INTO crm.t VALUES {', '.join(f'({number}, 0)' for number in range(1, 101))}")
    try:
        cluster.start("producer east", "producer west", "applier east")
        cluster["applier west"].start("init.before_commit:3")
        cluster["applier west"].wait_ended()
        stop(cluster, "producer east", "producer west", "applier east")
        assert len(cluster.sql("west", "SELECT * FROM crm.t")) == 20
        backup = back_up(cluster, "west")
        cluster.start()
        cluster.until(lambda: len(cluster.sql("west", "SELECT * FROM crm.t")) == 100, "all rows are copied")
        cluster.sql("west", "UPDATE crm.t SET v = 'own' WHERE id IN (5, 50)")
        cluster.sql("west", "DELETE FROM crm.t WHERE id IN (6, 60)")
        cluster.sql("west", "UPDATE crm.t SET id = 700 WHERE id = 70")
        cluster.sql("east", "UPDATE crm.t SET v = 'theirs' WHERE id IN (8, 80)")
        cluster.wait()
        stop(cluster)
        restore(cluster, "west", backup)
        cluster.command("recover", "west")
        assert len(cluster.sql("west", "SELECT * FROM crm.t")) < 100
        cluster.start()
        cluster.until(lambda: len(cluster.sql("west", "SELECT * FROM crm.t")) == 98, "the copy has gone on")
        cluster.wait()
        assert_equal(cluster, "crm")
        assert [each["conflicts"] for each in cluster.status(check=0)["directions"]] == [0, 0]
    finally:
        cluster.kill_all()
