"""`mysqltest` on a file against side east of a running `World`, with the other side's structure kept alike.

Before each statement that changes a structure, the file waits at a gate (mysqltest_files.py): a shell script that says where it
stands through one pipe and reads the answer from another. Meanwhile `Runner` waits until both sides are in step, compares the
tables that the statement names, and does the statement at west. Then mysqltest goes on and does it at east, between what the
runner has written into `before.inc` and `after.inc`: neither side's binlog has it.
"""

import os
import re
import select
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pymysql.err
from comparing import Sql, assert_table_equal, tables
from faults.compare import quoted
from mysqltest_files import gated
from topologies import World, eventually

from bisync_topology import barrier, operate
from bisync_topology.ddl import read_statement
from bisync_topology.topology import Topology
from sandbox.install import MySQLTestProgram
from sandbox.mysql import MySQLServer
from schemas.literals import quote_text

SUITE = "suite/engines/iuds"
SECONDS = 600.0  # between two gates
SKIPPED = 62  # what mysqltest ends with after `--skip`
_KEY_IN_THE_WAY = (1068, 1075)  # a second primary key, a second AUTO_INCREMENT
Rows = tuple[tuple[Any, ...], ...]
_GATE = """\
#!/bin/sh
cd {folder} && printf '%s\\n' "$*" >asked && read -r answer <answered && test "$answer" = go
"""
_BEFORE = """\
let $gate_sql_mode = `SELECT @@sql_mode`;
--exec sh {folder}/gate {number} "$gate_sql_mode"
--source {folder}/before.inc
"""
_AFTER = "--source {folder}/after.inc\n"
_INVISIBLE_KEY = "ALTER TABLE {} ADD COLUMN iuds_key BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY INVISIBLE"


@dataclass
class Counts:
    """What was done, over all files."""

    files: int = 0
    skipped: list[str] = field(default_factory=list)  # by the suite itself
    statements: int = 0  # that changed a structure, on both sides
    refused: int = 0  # that the server refused, as the suite expects
    own_key: int = 0  # tables made with a key
    invisible_key: int = 0  # tables made, or left by an ALTER, without one, which were given an invisible one
    compared: int = 0  # tables, each time that one was
    rows: int = 0
    waited: float = 0.0  # seconds, until both sides were in step
    refreshed: int = 0  # times that the appliers were made to read tables anew


class Suite:
    """The suite's files with gates, below `folder`, as mysqltest finds them."""

    def __init__(self, program: MySQLTestProgram, folder: Path) -> None:
        self.program = program
        self.folder = folder
        self.statements: list[str] = []
        (folder / "include").symlink_to(program.folder / "include")
        for path in sorted((program.folder / SUITE).rglob("*")):
            if path.suffix in (".test", ".inc"):
                copy = folder / path.relative_to(program.folder)
                copy.parent.mkdir(parents=True, exist_ok=True)
                text = path.read_bytes().decode(errors="surrogateescape")
                copy.write_bytes(gated(text, self._before, _AFTER.format(folder=folder)).encode(errors="surrogateescape"))
        (folder / "gate").write_text(_GATE.format(folder=folder))
        for pipe in ("asked", "answered"):
            os.mkfifo(folder / pipe)

    def _before(self, statement: str) -> str:
        self.statements.append(statement)
        return _BEFORE.format(folder=self.folder, number=len(self.statements) - 1)

    def start(self, world: World, name: str, database: str) -> "subprocess.Popen[bytes]":
        """Start mysqltest on a file of the suite; what it prints goes to a file beside."""
        server = world.sides["east"]
        command = [
            *self.program.command, "--no-defaults", f"--host={server.host}", f"--port={server.port}", "--user=root",
            f"--database={database}", f"--basedir={self.folder}/", f"--test-file={self.folder}/{SUITE}/t/{name}.test",
            f"--logdir={self.folder}", f"--tmpdir={self.folder}",
        ]  # fmt: skip
        environ = {**os.environ, "MYSQLTEST_VARDIR": str(self.folder), "MYSQL_TEST_DIR": str(self.folder)}
        with (self.folder / f"{name}.out").open("wb") as output:
            return subprocess.Popen(command, cwd=self.folder, env=environ, stdout=output, stderr=subprocess.STDOUT)

    def output(self, name: str) -> str:
        """The end of what mysqltest printed."""
        return (self.folder / f"{name}.out").read_bytes()[-2000:].decode(errors="replace")


class _Session:
    """A connection that runs statements and gives the rows of the last."""

    def __init__(self, server: MySQLServer) -> None:
        self.connection = server.connect()

    def __call__(self, *statements: str) -> Rows:
        with self.connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return tuple(tuple(row) for row in cursor.fetchall())


class Runner:
    """Runs files of a suite, one after the other."""

    def __init__(self, world: World, topology: Topology, suite: Suite) -> None:
        self.world = world
        self.topology = topology
        self.suite = suite
        self.counts = Counts()
        self._east, self._west = (_Session(server) for server in world.sides.values())
        self._west("SET SESSION sql_log_bin = 0")
        self._asked = os.open(suite.folder / "asked", os.O_RDWR)  # also for writing: a pipe that nobody writes to has no end then
        self._answered = os.open(suite.folder / "answered", os.O_RDWR)
        self._left_out: str | None = None
        self._known: dict[tuple[str, str, Rows], Rows] = {}

    def close(self) -> None:
        """Close the pipes and the connections."""
        os.close(self._asked)
        os.close(self._answered)
        self._east.connection.close()
        self._west.connection.close()

    def run(self, name: str, database: str, left_out: str | None = None) -> None:
        """Run one file to its end, and compare what it has left. left_out: a table that is not in scope.

        Raises AssertionError, BisyncError.
        """
        self._left_out = left_out
        self._west(f"USE {database}")
        running = self.suite.start(self.world, name, database)
        try:
            while self._waits_at_gate(running, name):
                number, _, sql_mode = os.read(self._asked, 4096).decode().strip().partition(" ")
                self._gate(database, self.suite.statements[int(number)], sql_mode)
                os.write(self._answered, b"go\n")
        finally:
            running.kill()
            running.wait()
        self.counts.files += 1
        if running.returncode == SKIPPED:
            self.counts.skipped.append(name)
        else:
            assert running.returncode == 0, f"{name}: {self.suite.output(name)}"
        left = tables(self.world, database)
        assert left == tables(self.world, database, "west")
        self._compare(database, left)

    def _waits_at_gate(self, running: "subprocess.Popen[bytes]", name: str) -> bool:
        deadline = time.monotonic() + SECONDS
        while not select.select([self._asked], [], [], 0.1)[0]:
            if running.poll() is not None:
                return False
            assert time.monotonic() < deadline, f"{name}: no gate for {SECONDS:.0f} s: {self.suite.output(name)}"
        return True

    def _gate(self, database: str, sql: str, sql_mode: str) -> None:
        read = read_statement(sql, database)
        named = [table for _, table in read.objects]
        assert named, f"what does it change? {sql}"
        if read.verb != "CREATE TABLE":
            self._compare(database, self._existing(database, named))
        self._west(f"SET SESSION sql_mode = {quote_text(sql_mode)}")
        before, after = ["SET SESSION sql_log_bin = 0"], ["SET SESSION sql_log_bin = 1"]
        try:
            self._west(sql)
        except pymysql.err.MySQLError as error:
            if error.args[0] not in _KEY_IN_THE_WAY:
                self.counts.refused += 1
            else:  # its own key is to take the place of the invisible one
                before.append(f"ALTER TABLE {quoted(database, named[0])} DROP COLUMN iuds_key")
                self._west(before[-1], sql)
        self.counts.statements += 1
        for table in self._existing(database, named):
            if not self._has_key(database, table):
                after.insert(0, _INVISIBLE_KEY.format(quoted(database, table)))
                self._west(after[0])
                self.counts.invisible_key += 1
            elif read.verb == "CREATE TABLE":
                self.counts.own_key += 1
            self._refresh(database, table)
        for name, told in (("before", before), ("after", after)):
            (self.suite.folder / f"{name}.inc").write_text("".join(f"{line};\n" for line in told))

    def _existing(self, database: str, names: list[str]) -> list[str]:
        """Those of these tables that there are."""
        found = self._west(f"SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = '{database}'")
        return [name for name in names if (name,) in found]

    def _has_key(self, database: str, table: str) -> bool:
        unique = self._west(
            "SELECT INDEX_NAME FROM information_schema.STATISTICS"
            f" WHERE TABLE_SCHEMA = '{database}' AND TABLE_NAME = '{table}' AND NON_UNIQUE = 0"
            " GROUP BY INDEX_NAME HAVING SUM(NULLABLE = 'YES') = 0"
        )
        return bool(unique)

    def _compare(self, database: str, names: list[str]) -> None:
        """Wait until both sides are in step; then these tables are equal, structure and rows."""
        names = [name for name in names if name != self._left_out]
        if not names:
            return
        self.counts.waited += barrier.wait(self.topology, SECONDS, lambda direction: self.world.said()[-2000:])
        for table in names:
            assert _definition(self._east, database, table) == _definition(self._west, database, table)
            self.counts.rows += assert_table_equal(self._east, self._west, database, table)
            self.counts.compared += 1

    def _refresh(self, database: str, table: str) -> None:
        """Have the applier read its tables anew where a table's keys are other than they were, and its columns do not tell.

        It hears of no change that is in no binlog, and knows a table by the columns of its rows.
        """
        where = f"WHERE TABLE_SCHEMA = '{database}' AND TABLE_NAME = '{table}'"
        columns = self._west(f"SELECT COLUMN_NAME, COLUMN_TYPE FROM information_schema.COLUMNS {where} ORDER BY ORDINAL_POSITION")
        keys = self._west(
            "SELECT INDEX_NAME, SEQ_IN_INDEX, COLUMN_NAME, SUB_PART, NULLABLE FROM information_schema.STATISTICS"
            f" {where} AND NON_UNIQUE = 0 ORDER BY 1, 2"
        )
        if self._known.setdefault((database, table, columns), keys) == keys:
            return
        operate.pause(self.topology, "east", "west")
        eventually(lambda: self._applier() == "paused", self.world.said)
        operate.resume(self.topology, "east", "west")
        eventually(lambda: self._applier() == "running", self.world.said)
        self._known = {(database, table, columns): keys}
        self.counts.refreshed += 1

    def _applier(self) -> str:
        return next(str(each["state"]) for each in self.world.status()["processes"] if each["name"] == "applier west")


def _definition(sql: Sql, database: str, table: str) -> str:
    """What SHOW CREATE TABLE says, but for the next number, which is each side's own."""
    return re.sub(r" AUTO_INCREMENT=\d+", "", str(sql(f"SHOW CREATE TABLE {quoted(database, table)}")[0][1]))
