"""MySQL's own suite `engines/iuds`, run by its own `mysqltest` against side east: both sides equal, table by table, in bytes.

`make iuds` runs all 19 files; `make test` those of SAMPLE. How it is done:

- Each file runs in one session of mysqltest, in a database of its own, without a result file to compare with: what is proved
  is that both sides are equal. Where the suite expects an error it has to come, as ever.
- Statements that change rows run as they are. Rows go through the product alone, under `task_failed`: a conflict ends the test.
- Statements that change a structure (CREATE, ALTER, TRUNCATE, DROP) would stop a direction. So each runs with `sql_log_bin = 0`,
  in mysqltest's session at east and, just before, at west (mysqltest_runs.py). Before each but a CREATE both sides are waited
  for, and the tables that it names are compared, structure and rows; at a file's end those that are left are.
- A name is used for a table with a key here and without one there, which no pattern of `objects` can tell apart. So tables
  without a key get an invisible AUTO_INCREMENT one, which no statement of the suite sees, and are carried and compared too.

With the suite of MySQL 9.7.4 that is 1,456 statements that change a structure, of which the server refuses 64 as expected; 183
tables with a key and 454 without; 1,205 comparisons of a table, of 31,831 rows in all.

Left out: one table, `t18` of strings_update_delete. It has no key, and a row with the error value of an ENUM, which stops a
direction (docs/types.md).
"""

import os
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
            runner.run(name, f"{world.name}_{name}", left_out=LEFT_OUT.get(name))
            print(name, runner.counts)
    finally:
        runner.close()
    there, back = world.direction("east"), world.direction("west")
    print({figure: there[figure] for figure in ("applied_transactions", "applied_rows", "conflicts")})
    assert (there["conflicts"], back["conflicts"], back["applied_rows"]) == (0, 0, 0)
    assert there["applied_rows"] > 0 < runner.counts.rows
