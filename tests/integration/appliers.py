"""A connection as an applier has it, for tests that run its statements on a real server."""

import itertools
from types import SimpleNamespace
from typing import Any, cast

from pymysql.constants import CLIENT

from bisync_topology.scope import ResolvedSettings
from bisync_topology.topology import Policy
from consumers.changes import Change
from consumers.conflict import LocalRow, Rules
from consumers.statements import Statements
from consumers.tables import AppliedTable
from consumers.target import SESSION_STATEMENTS, TargetTable, plan, read_table
from sandbox.instances import Sandbox
from schemas.envelope import RowDecoder
from schemas.records import Row, RowEvent, TransactionRecord
from schemas.tables import Table

RECORD = cast("TransactionRecord", SimpleNamespace(unchecked=False, fk_checks=False))  # of changes that come from none


class Applier:
    """A connection as an applier has it: its session, the least privileges."""

    def __init__(self, servers: Sandbox) -> None:
        self.admin = servers.east.connect()
        self.cursor = servers.east.connect("guard", "guard", client_flag=CLIENT.FOUND_ROWS, database="guard").cursor()
        for statement in SESSION_STATEMENTS:
            self.run(statement)
        self._numbers = itertools.count(1)

    def run(self, statement: str) -> int:
        """Execute as the pipeline does, without parameters; the number of found rows."""
        return int(self.cursor.execute(statement))

    def fetch(self, statement: str) -> list[tuple[Any, ...]]:
        """The rows of a SELECT."""
        self.run(statement)
        return list(self.cursor.fetchall())

    def as_admin(self, statement: str) -> None:
        """Execute with all privileges, committed."""
        with self.admin.cursor() as cursor:
            cursor.execute(statement)

    def table(self, definition: str, options: str = "CHARACTER SET utf8mb4") -> TargetTable:
        """Create a table of its own for a test."""
        name = f"t{next(self._numbers)}"
        self.as_admin(f"CREATE TABLE guard.{name} ({definition}) {options}")
        return read_table(self.cursor.connection, "guard", name)

    def statements(self, definition: str) -> Statements:
        """The statements of such a table, from a source that has the same."""
        return same(self.table(definition))

    def found(self, statements: Statements, before: Row | None, after: Row | None) -> tuple[LocalRow, ...]:
        """The local rows that a change meets."""
        return statements.local_rows(self.fetch(statements.lock_rows(before, after)))

    def rows(self, statements: Statements) -> list[tuple[Any, ...]]:
        """All rows of the table, as the client library gives them."""
        target = statements.plan.target
        return sorted(self.fetch(f"SELECT * FROM `{target.db}`.`{target.name}`"), key=str)


def same(table: TargetTable) -> Statements:
    """Statements for a source whose table is the target's."""
    return Statements(plan(Table(db=table.db, name=table.name, columns=table.columns, key=table.key), table))


def applied(statements: Statements) -> AppliedTable:
    """A table as a direction has it."""
    return AppliedTable(
        name=statements.plan.target.full_name,
        decoder=cast("RowDecoder", None),
        settings=cast("ResolvedSettings", None),
        rules=Rules(Policy.IGNORE),
        statements=statements,
    )


def change(table: AppliedTable, before: Row | None, after: Row | None) -> Change:
    """A change of a table's row."""
    op = "d" if after is None else "u" if before else "c"
    return Change(
        table, RowEvent(1, 0, op, before, after), cast("TransactionRecord", SimpleNamespace(unchecked=False, fk_checks=False)), 0
    )
