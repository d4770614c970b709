"""MySQL's own suite `engines/iuds`, run by its own `mysqltest` against one side: both sides equal, table by table, in bytes."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from mysqltest_runs import SUITE, Runner, Suite
from topologies import World

from bisync_topology.topology_file import load
from sandbox import install
from sandbox.install import MySQLTestProgram
from sandbox.instances import Sandbox

SAMPLE = ("delete_time", "delete_year", "strings_charsets_update_delete", "update_time")
FILES = os.environ.get("BISYNC_TEST_IUDS", ",".join(SAMPLE))  # or "whole"
# It has no key, and a row with the error value of an ENUM, which stops a direction: docs/types.md.
LEFT_OUT = {"strings_update_delete": "t18"}


def names(program: MySQLTestProgram) -> tuple[str, ...]:
    """The files to be run, without their ends."""
    every = (path.stem for path in (program.folder / SUITE / "t").glob("*.test"))
    return tuple(sorted(every)) if FILES == "whole" else tuple(FILES.split(","))


@pytest.fixture
def suite_world(servers: Sandbox, tmp_path: Path) -> Iterator[World]:
    """A topology with a database for each file."""
    files = names(install.mysqltest())
    world = World(servers, tmp_path, more=files)
    for direction in world.topology["directions"]:
        out = [f"!{world.name}_{file}.{table}" for file, table in LEFT_OUT.items() if file in files]
        direction["objects"] = [*world.databases, *out]
    yield world
    world.close()


@pytest.mark.servers
def test_both_sides_are_equal(suite_world: World, tmp_path: Path) -> None:
    """Every statement at east; both sides equal before each change of structure and at the end of each file."""
    world = suite_world
    program = install.mysqltest()
    folder = tmp_path / "suite"
    folder.mkdir()
    suite = Suite(program, folder)
    world.up()
    runner = Runner(world, load(world.file, {}), suite)
    try:
        for name in names(program):
            began = time.monotonic()
            runner.run(name, f"{world.name}_{name}", left_out=LEFT_OUT.get(name))
            print(name, round(time.monotonic() - began, 1), runner.counts)
    finally:
        runner.close()
        print(runner.counts)
    assert {each["conflicts"] for each in world.status()["directions"]} == {0}
