"""DDL scenarios: which there are, what each is made of, and how its scripts are played.

A scenario is a folder below `scenarios/`; its database is `ddl_<folder>`, the default of every script.

    before.sql         both sides, by hand, before anything is captured
    more_databases     others that it uses or makes, one a line
    scope              objects that the topology carries for it, one a line; without it the whole database
    east.sql           the side whose DDL is carried, as a client with rights on these databases only
    root.sql           the same side, then, as root
    west.sql           the other side, at the same time as east.sql: rows only, valid before and after each DDL
    west_after.sql     the other side, once all of that has arrived there
    expect.sql         queries that are true on both sides
    expect_target.sql  queries that are true where DDL arrives, for what differs on purpose
    log.txt            `state beginning of statement`, one a line, in their order; every other statement is applied or ignored

Sides swap names when a scenario is played the other way round.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pymysql
from faults.harness import SIDES, Cluster
from pymysql.connections import Connection
from pymysql.constants import CLIENT

from bisync_topology.barrier import wait
from bisync_topology.topology_file import load
from sandbox.accounts import create_accounts
from sandbox.instances import Sandbox

HERE = Path(__file__).parent / "scenarios"
PREFIX = "ddl_"
APP = "app"  # the clients' account: root's definers could not be kept, since root has SYSTEM_USER
SETTLE_SECONDS = 30.0
TICKING = (
    "CREATE TABLE `{}`.ticking (id BIGINT PRIMARY KEY, side VARCHAR(8) NOT NULL, n INT NOT NULL DEFAULT 0, note VARCHAR(40))"
)


@dataclass(frozen=True)
class Scenario:
    """One folder."""

    name: str

    @property
    def folder(self) -> Path:
        """Where its scripts are."""
        return HERE / self.name

    @property
    def database(self) -> str:
        """Its default database."""
        return PREFIX + self.name

    @property
    def whole(self) -> bool:
        """Whether everything in its database is carried, and not some tables of it."""
        return self.database in self.objects and not any(entry.startswith("!") for entry in self.objects)

    @property
    def objects(self) -> list[str]:
        """What the topology carries for it; the load's table too."""
        scope = self.folder / "scope"
        if not scope.exists():
            return [self.database]
        found = [line.strip() for line in scope.read_text(encoding="utf-8").splitlines() if line.strip()]
        return found if self.database in found else [*found, f"{self.database}.ticking"]  # an exact name

    def text(self, file: str) -> str:
        """A file of it, empty where there is none."""
        path = self.folder / file
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def queries(self, file: str) -> list[str]:
        """The queries of an expectation, each ended by the last semicolon of a line."""
        return [query.strip().rstrip(";") for query in re.split(r";\n", self.text(file)) if query.strip()]

    def log(self) -> list[tuple[str, str]]:
        """(state, beginning of the statement) of log.txt."""
        return [(state, rest) for state, _, rest in (line.partition(" ") for line in self.text("log.txt").splitlines()) if rest]


def ddl_scenarios() -> list[str]:
    """Names of the folders."""
    return sorted(path.parent.name for path in HERE.glob("*/before.sql"))


def other(side: str) -> str:
    """The opposite side."""
    return SIDES[1 - SIDES.index(side)]


def play(connection: Connection[pymysql.cursors.Cursor], script: str) -> None:
    """Run a script's statements, the server finds where each ends; then close the connection."""
    with connection, connection.cursor() as cursor:
        if script.strip():
            cursor.execute(script)
            while cursor.nextset():
                pass


def as_app(cluster: Cluster, side: str, database: str | None = None, **more: object) -> Connection[pymysql.cursors.Cursor]:
    """A client of the clients' own account, many statements a packet."""
    more = {"client_flag": CLIENT.MULTI_STATEMENTS, **more}
    return cluster.server(side).connect(user=APP, password=APP, database=database, **more)


def play_unlogged(cluster: Cluster, database: str, script: str) -> None:
    """Run a script on both sides by hand."""
    for side in SIDES:
        play(
            cluster.connect(side, database=database, client_flag=CLIENT.MULTI_STATEMENTS),
            f"SET SESSION sql_log_bin = 0; {script}",
        )


class Client(threading.Thread):
    """A script that is played beside others; `finish` raises what it met."""

    def __init__(self, cluster: Cluster, side: str, database: str, script: str) -> None:
        super().__init__(name=f"client of {side}", daemon=True)
        self._of = cluster, side, database
        self._script = script
        self._error: BaseException | None = None

    def run(self) -> None:
        """Play it."""
        cluster, side, database = self._of
        try:
            play(as_app(cluster, side, database), self._script)
        except BaseException as error:  # noqa: BLE001  raised by finish()
            self._error = error

    def finish(self) -> None:
        """Wait for its end."""
        self.join(60)
        assert not self.is_alive(), f"{self.name} does not end"
        if self._error is not None:
            raise self._error


def make_accounts(cluster: Cluster, databases: Iterable[str]) -> None:
    """The topology's own account, with what it is documented to need and the right to keep definers; and the clients' one."""
    everywhere = "`" + PREFIX.replace("_", r"\_") + "%`.*"
    for side in SIDES:
        with cluster.connect(side) as connection, connection.cursor() as cursor:
            cursor.execute("SET SESSION sql_log_bin = 0")
            create_accounts(connection, sorted(databases), ddl=True)
            for statement in (
                "GRANT SET_ANY_DEFINER ON *.* TO bisync@'%'",
                f"CREATE USER IF NOT EXISTS {APP}@'%' IDENTIFIED BY '{APP}'",
                f"GRANT ALL PRIVILEGES ON {everywhere} TO {APP}@'%'",
                f"GRANT SESSION_VARIABLES_ADMIN ON *.* TO {APP}@'%'",  # clients that pretend to be of an older kind
                "SET GLOBAL log_bin_trust_function_creators = ON",
            ):
                cursor.execute(statement)


def make_databases(cluster: Cluster, databases: Sequence[tuple[str, str]]) -> None:
    """Databases with the load's table and what else is there before, on both sides, none of it logged; earlier ones go."""
    for side in SIDES:
        with cluster.connect(side) as connection, connection.cursor() as cursor:
            cursor.execute("SET SESSION sql_log_bin = 0, foreign_key_checks = 0")
            cursor.execute("SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME LIKE 'ddl\\_%'")
            for (name,) in cursor.fetchall():
                cursor.execute(f"DROP DATABASE `{name}`")
    for database, script in databases:
        cluster.both(f"CREATE DATABASE `{database}`", TICKING.format(database))
        play_unlogged(cluster, database, script)


@contextlib.contextmanager
def open_topology(
    sandbox: Sandbox,
    topology: str,
    source: str,
    names: Sequence[str],
    objects: Sequence[str] = (),
    *,
    databases: Sequence[str] = (),
    made_later: Sequence[str] = (),
    settings: Mapping[str, Any] = MappingProxyType({"ddl": True}),
) -> Iterator[Cluster]:
    """The four processes between these scenarios' databases, and others with the load's table only.

    objects: what is carried beside that of the scenarios; made_later: databases that statements make; settings: of the direction
    whose DDL is carried.
    """
    scenarios = [Scenario(name) for name in names]
    cluster = Cluster(sandbox, name=topology)
    carried = [*objects, *(entry for scenario in scenarios for entry in scenario.objects)]
    topics = {"partitions": 1, "replication_factor": 1}
    if source == "east":
        cluster.configure(carried, schemas=[], topics=topics, east=settings)
    else:
        cluster.configure(carried, schemas=[], topics=topics, west=settings)
    more = [name.strip() for scenario in scenarios for name in scenario.text("more_databases").splitlines()]
    make_accounts(cluster, {*(scenario.database for scenario in scenarios), *databases, *made_later, *more})
    before = [(scenario.database, scenario.text("before.sql")) for scenario in scenarios]
    make_databases(cluster, [*before, *((database, "") for database in databases)])
    try:
        cluster.start()
        yield cluster
        cluster.stop()
    finally:
        cluster.kill_all()


def settle(cluster: Cluster, seconds: float = SETTLE_SECONDS) -> None:
    """Everything committed so far has arrived, both ways; raises at once where a direction has stopped."""
    wait(load(cluster.file, os.environ), seconds, lambda key: f"{key}\n{cluster.logs()}")


def logged(cluster: Cluster, target: str) -> list[tuple[str, str, str]]:
    """(state, statement, why) of what the applier of a side has on record, in their order."""
    found = cluster.sql(target, "SELECT state, statement, why FROM bisync.ddl_log WHERE topology = %s ORDER BY id", cluster.name)
    return [(str(state), str(statement), str(why)) for state, statement, why in found]


def pass_failures(cluster: Cluster) -> Iterator[str]:
    """Lead directions past what stopped them, so that one scenario's failure is not that of the next ones; gives the errors."""
    for source, target in (SIDES, SIDES[::-1]):
        for _ in range(20):
            error = cluster.error(source, target)
            if error is None:
                break
            yield f"{source} to {target}: {error.get('code')}: {error.get('message')}"
            if held := re.search(r"ddl skip ([\w-]+-\d+)", str(error.get("hint"))):
                cluster.command("ddl", "skip", held[1], check=None)
            else:
                gtid = str(error.get("gtid"))
                cluster.command("skip", source, target, "--gtid", gtid, "--reason", "of a test that failed", check=None)
            cluster.command("resume", source, target, check=None)
            try:
                settle(cluster, 10)
            except Exception as failure:  # noqa: BLE001  what stops it next is read above
                yield str(failure).splitlines()[0][:300]
