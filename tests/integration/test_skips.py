"""Passes on record: none is lost, whatever dies or is written meanwhile."""

import json
import signal
import threading
from contextlib import closing
from typing import Any

import pytest
from topologies import World, eventually

from bisync_topology import ownership
from bisync_topology.control import Control
from bisync_topology.mysql import connect
from bisync_topology.ownership import Ownership, leave_skips, use_skip
from bisync_topology.topology import Topology
from bisync_topology.topology_file import load

pytestmark = pytest.mark.servers
DIRECTION = ("east", "west")
FIRST, SECOND = (f"3e11fa47-71ca-11e1-9e33-c80aa9429562:{n}" for n in (7, 8))


@pytest.mark.parametrize("failpoint", ["producer.before_commit", "producer.after_commit"])
def test_a_producer_that_dies_beside_its_commit(world: World, failpoint: str) -> None:
    """What it skips is on record with its tables, and is skipped once more where it is read once more."""
    table = world.table()
    up = world.up()
    world.sql("east", f"INSERT INTO {table} VALUES (1, 1)")
    world.run("wait")  # a stream without transactions is begun with a commit of its own
    world.sql("east", "SET binlog_format = STATEMENT", f"UPDATE {table} SET qty = 5")
    eventually(lambda: world.states()["east"] == "failed", world.said)
    gtid = world.direction()["error"]["gtid"]
    up.send_signal(signal.SIGTERM)
    assert up.wait(60) == 0
    world.run("skip", *DIRECTION, "--gtid", gtid, "--reason", "of no use")
    world.sql("east", f"INSERT INTO {table} VALUES (2, 2)")  # is committed at once
    assert world.start("producer", "east", BISYNC_FAILPOINT=failpoint).wait(60) == -signal.SIGKILL
    assert noted(world)[0] == []
    world.up()
    world.run("wait")
    assert world.sql("west", f"SELECT * FROM {table}") == ((1, 1), (2, 2))
    ((*_, used),) = noted(world)[1:]
    assert (used["gtid"], used["reason"], used["tables"]) == (gtid, "of no use", [table])


def passes(world: World, *, skips: list[dict[str, Any]]) -> None:
    """As if none had been used yet."""
    world.sql(
        "east", f"UPDATE {world.control}.directions SET skips = '{json.dumps(skips)}', skipped = '[]' WHERE source_side = 'east'"
    )


def noted(world: World) -> tuple[Any, Any]:
    """Passes of east's row that are to be used, and those that were."""
    ((skips, skipped),) = world.sql("east", f"SELECT skips, skipped FROM {world.control}.directions WHERE source_side = 'east'")
    return json.loads(skips), json.loads(skipped)


@pytest.fixture
def topology(world: World) -> Topology:
    """One whose control tables are there at east, with a pass that is to be used."""
    topology = load(world.file, {})
    with closing(connect(topology.sides["east"].mysql)) as connection:
        Control(connection, topology).create()
    passes(world, skips=[{"gtid": FIRST}])
    return topology


def add(topology: Topology) -> None:
    """What `skip` writes."""
    with closing(connect(topology.sides["east"].mysql)) as connection:
        Control(connection, topology).execute("add_skip", SECOND, "why", 2, topology.name, *DIRECTION)


def test_a_pass_that_is_added_while_an_applier_applies(world: World, topology: Topology) -> None:
    """Its transaction sees the rows of when it began; the pass that somebody has added since stays."""
    with closing(connect(topology.sides["east"].mysql, autocommit=False)) as connection:
        control = Control(connection, topology)
        control.execute("read_directions", topology.name)
        add(topology)
        use_skip(control, DIRECTION, FIRST, ("shop.t",))
        connection.commit()
    assert noted(world) == ([{"gtid": SECOND, "reason": "why", "at": 2}], [{"gtid": FIRST, "tables": ["shop.t"]}])


def test_a_pass_that_is_added_while_a_producer_notes_another(
    world: World, topology: Topology, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between reading the row and writing it nobody else writes: a `skip` of that moment comes behind, and stays."""
    adding = threading.Thread(target=add, args=[topology])

    class Slow(Control):
        def execute(self, name: str, *arguments: object) -> tuple[tuple[Any, ...], ...]:
            if name == "set_skips":
                adding.start()
                adding.join(1)
            return super().execute(name, *arguments)

    owner = Ownership(topology, "east", "producer east", threading.Event())
    assert owner.acquire()
    monkeypatch.setattr(ownership, "Control", Slow)
    owner.use_skips(DIRECTION, FIRST, ("shop.t",))
    adding.join()
    owner.release()
    assert noted(world) == ([{"gtid": SECOND, "reason": "why", "at": 2}], [{"gtid": FIRST, "tables": ["shop.t"]}])


def test_used_passes_of_a_stream_that_was_left(world: World, topology: Topology) -> None:
    """A producer passes what is to be passed, and what it has passed already, but nothing of before an `init --reset`."""
    with closing(connect(topology.sides["east"].mysql)) as connection:
        control = Control(connection, topology)
        use_skip(control, DIRECTION, FIRST, ("shop.t",))
        add(topology)
        assert ownership.read_wanted(control)[DIRECTION].passed == {FIRST, SECOND}
        leave_skips(control, DIRECTION)
        assert ownership.read_wanted(control)[DIRECTION].passed == set()
    assert [one["gtid"] for one in noted(world)[1]] == [FIRST]
