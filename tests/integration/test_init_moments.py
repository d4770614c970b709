"""What may come at a bad moment of a copy: a commit logged and not seen yet, another key or name, an outage, a pause."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from functools import partial
from types import SimpleNamespace
from typing import Any, cast

import pymysql.err
import pytest
from test_data_init import copied, copying, ended, equal, make, new_world, numbers
from topologies import World
from topologies import eventually as soon

from bisync_topology.control import Control
from bisync_topology.initialization import WAITING, read_tables
from bisync_topology.mysql import connect
from bisync_topology.topology_file import load
from consumers import loading
from sandbox.instances import Sandbox

pytestmark = pytest.mark.servers
__all__ = ["new_world"]  # a fixture

eventually = partial(soon, seconds=240)


@pytest.fixture(scope="module")
def world(servers: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A topology that copies one chunk after the other."""
    world = copying(servers, tmp_path_factory.mktemp("init-moments"), readers=1)
    yield world
    world.close()


@pytest.fixture(autouse=True)
def _nothing_runs_behind_a_test(world: World) -> Iterator[None]:
    yield
    world.end_all()


def begun(world: World, name: str) -> bool:
    """Whether rows of a table are copied, and not all of them."""
    asked = f"SELECT rows_done FROM {world.control}.initialization WHERE object_name = '{name}' AND state = 'copying'"
    there = f"SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = '{world.control}' AND TABLE_NAME = 'initialization'"
    return bool(world.sql("west", there)) and bool(world.sql("west", asked))


def test_a_commit_that_is_logged_before_it_is_seen(world: World) -> None:
    """A source that waits for replicas has a commit in its log, which the target follows, seconds before any snapshot has it."""
    table = make(world, "late", "id INT PRIMARY KEY, v INT", numbers(60, "{n}, 0"))
    world.topology["initialization"]["max_rows_per_second"] = 4
    up = world.start("up")
    eventually(lambda: begun(world, "late"), world.said)
    try:
        world.sql(
            "east",
            "INSTALL PLUGIN rpl_semi_sync_source SONAME 'semisync_source.so'",
            "SET GLOBAL rpl_semi_sync_source_timeout = 10000, GLOBAL rpl_semi_sync_source_enabled = ON",
        )
        both = f"DELETE FROM {table} WHERE id = 40", f"UPDATE {table} SET v = 1 WHERE id = 1"
        client = threading.Thread(target=world.sql, args=("east", "BEGIN", *both, "COMMIT"))
        client.start()
        eventually(lambda: world.sql("west", f"SELECT v FROM {table} WHERE id = 1") == ((1,),), world.said)
        client.join()
    finally:
        world.sql("east", "SET GLOBAL rpl_semi_sync_source_enabled = OFF", "UNINSTALL PLUGIN rpl_semi_sync_source")
    copied(world)
    equal(world, "late")
    assert world.direction()["conflicts"] == 0
    ended(up)


def test_another_key_and_another_name(world: World) -> None:
    """Up to where rows are there is said of a key that the table has no more; a table takes the place of one that is copied."""
    make(world, "a_report", "id INT PRIMARY KEY, v INT", numbers(3, "{n}, 0"))
    make(world, "b_keyed", "id INT PRIMARY KEY, v INT NOT NULL", numbers(100, "{n}, {n} % 7"))
    make(world, "c_new", "id INT PRIMARY KEY, v INT", numbers(100, "{n}, 1"))
    world.topology["initialization"]["max_rows_per_second"] = 40
    up = world.start("up")
    eventually(lambda: begun(world, "b_keyed"), world.said)
    ended(up)
    world.sql("east", f"ALTER TABLE {world.db}.b_keyed DROP PRIMARY KEY, ADD PRIMARY KEY (v, id)")
    before = len(world.said())
    up = world.start("up")
    eventually(lambda: begun(world, "c_new"), world.said)
    world.sql("east", f"USE {world.db}", "RENAME TABLE a_report TO d_old, c_new TO a_report")
    copied(world)
    equal(world, "a_report", "b_keyed", "d_old")
    assert world.sql("west", f"SELECT COUNT(*) FROM {world.db}.a_report") == ((100,),)
    assert "applier west ended" not in world.said()[before:]
    ended(up)


def test_init_while_a_direction_is_paused(world: World) -> None:
    """It does not say that all is done, where nobody has looked."""
    world.run("init", seconds=300)
    make(world, "unseen", "id INT PRIMARY KEY", numbers(3, "{n}"))
    world.run("pause", "east", "west")
    said = world.run("init", expect=1, seconds=300)
    assert "east to west is paused" in said
    world.run("resume", "east", "west")
    world.run("init", seconds=300)
    equal(world, "unseen")


@pytest.mark.parametrize(
    ("policy", "killed"),
    [
        ("site_priority", True),
        pytest.param("site_priority", False, marks=pytest.mark.long),
        pytest.param("newest", False, marks=pytest.mark.long),
        pytest.param("merge", False, marks=pytest.mark.long),
    ],
)
def test_rows_that_the_target_changes_end_equal(new_world: World, policy: str, killed: bool) -> None:
    """The copy's row takes the place of one whose change is still to reach the source, which knows of nothing that overlaps.

    killed: the applier is, between the write that the source is told of and the chunk.
    """
    world = new_world
    world.run("init", seconds=300)
    make(world, "changed", "id INT PRIMARY KEY, v INT, u INT UNIQUE, version INT", numbers(100, "{n}, 0, {n}, 5"))
    world.sql("west", "SET sql_log_bin = 0", *(f"INSERT INTO {world.db}.changed VALUES ({n}, 0, {n}, 5)" for n in range(40, 60)))
    settings = {"on_conflict": policy, **({"version_column": "version"} if policy == "newest" else {})}
    for direction in world.topology["directions"]:
        direction["tables"] = {f"{world.db}.changed": settings}
    world.run("pause", "west", "east")
    world.sql(
        "west",
        f"UPDATE {world.db}.changed SET v = 1, version = 4 WHERE id = 50",
        f"UPDATE {world.db}.changed SET v = 2, version = 6 WHERE id = 51",
        f"UPDATE {world.db}.changed SET u = 1052 WHERE id = 52",
        f"UPDATE {world.db}.changed SET id = 1053 WHERE id = 53",
        f"INSERT INTO {world.db}.changed VALUES (1054, 3, 10, 7)",
    )
    up = world.start("up", **({"BISYNC_FAILPOINT": "init.after_own_commit:1"} if killed else {}))
    eventually(lambda: world.states() == {"east": "syncing", "west": "paused"}, world.said)
    assert ("applier west ended by SIGKILL" in world.said()) is killed
    found = world.sql("west", f"SELECT row_key, type, decision FROM {world.control}.conflicts ORDER BY id")
    assert [(json.loads(key)["id"], *more) for key, *more in found] == [
        (10, "insert_unique", "source"),
        (50, "insert_exists", "source"),
        (51, "insert_exists", "source"),
        (52, "insert_exists", "source"),
        (53, "insert_unique", "source"),
    ]
    world.run("resume", "west", "east")
    world.run("wait")
    equal(world, "changed")
    ended(up)


def test_a_source_that_is_away_when_tables_are_looked_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is taken for copied: a first start waits for it, another one goes on with what is known, and looks again."""
    topology = load(world.file, {})
    west, east = topology.sides["west"].mysql, topology.sides["east"].mysql
    away = topology.model_copy(
        update={"sides": {**topology.sides, "east": topology.sides["east"].model_copy(update={"mysql": _nobody(east)})}}
    )
    with connect(west, autocommit=False) as connection:
        control = Control(connection, topology)
        control.create()
        control.execute("delete_initialization", topology.name, "east", "west")
        connection.commit()
        make(world, "new_one", "id INT PRIMARY KEY", numbers(3, "{n}"))
        with pytest.raises(pymysql.err.OperationalError):
            _loading(away, control).begin(cast("Any", None))
        control.execute("add_initialization", topology.name, "east", "west", world.db, "known", "done", 0)
        connection.commit()
        monkeypatch.setattr(loading, "LIST_SECONDS", 0.0)
        one = _loading(away, control)
        forgotten: list[bool] = []
        one.begin(cast("Any", SimpleNamespace(forget=lambda: forgotten.append(True))))
        assert not one.active
        one._topology = topology
        one.put()
        assert one.active
        assert one.includes(world.db, "new_one")
        assert forgotten
        one.close()
        states = {table.name[1]: table.state for table in read_tables(control, "east", "west")}
        assert states["new_one"] == WAITING
        connection.commit()


def _nobody(mysql: Any) -> Any:
    return mysql.model_copy(update={"port": 1})


def _loading(topology: Any, control: Control) -> loading.Loading:
    direction = topology.direction("east", "west")
    return loading.Loading(topology, direction, control, cast("Any", SimpleNamespace()), cast("Any", None), "stream")


def test_objects_that_the_producer_does_not_capture_yet(world: World) -> None:
    """An applier that is started with more objects than the producer waits for it: what it does not capture would be lost."""
    everything = world.topology["directions"][0]["objects"]
    first = make(world, "first", "id INT PRIMARY KEY, v INT", numbers(5, "{n}, 0"))
    second = make(world, "second", "id INT PRIMARY KEY, v INT", numbers(5, "{n}, 0"))
    world.topology["directions"][0]["objects"] = [first]
    producer, applier = world.start("producer", "east"), world.start("applier", "west")
    eventually(lambda: world.sql("west", f"SELECT COUNT(*) FROM {first}") == ((5,),), world.said)
    ended(applier)
    world.topology["directions"][0]["objects"] = [first, second]
    applier = world.start("applier", "west")
    waits = f"producer east to start with the `objects` of this file: it captures {first}"
    eventually(lambda: waits in str(world.told()["processes"]), world.said)
    world.sql(
        "east",
        f"UPDATE {second} SET v = 1 WHERE id = 1",
        f"DELETE FROM {second} WHERE id = 2",
        f"INSERT INTO {first} VALUES (9, 9)",
    )
    assert world.sql("west", f"SELECT COUNT(*) FROM {second}") == ((0,),)
    ended(producer)
    producer = world.start("producer", "east")
    eventually(lambda: world.sql("west", f"SELECT COUNT(*), SUM(v) FROM {second}") == ((4, 1),), world.said)
    eventually(lambda: world.sql("west", f"SELECT COUNT(*) FROM {first}") == ((6,),), world.said)
    equal(world, "first", "second")
    ended(applier)
    ended(producer)
    world.topology["directions"][0]["objects"] = everything
