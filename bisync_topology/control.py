"""The control tables of one side: named statements of control.sql, run on a connection."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import Any

import pymysql.err
from pymysql.connections import Connection

from bisync_topology.topology import Topology

DUPLICATE_COLUMN = 1060
LOCAL_STREAM = "local"  # in `ddl_log`: of statements that a command runs on a side, and that no direction has brought
INITIAL_STREAM = "initial"  # likewise, of what initialization makes
TABLES = (
    *("applied", "applied_offsets", "conflicts", "refreshes", "ddl_log", "directions", "processes", "heartbeat"),
    *("initialization", "recoveries"),
)


@cache
def statements() -> dict[str, str]:
    """Name → statement text, with {c} for the control schema."""
    text = (files("bisync_topology") / "control.sql").read_text(encoding="utf-8")
    parts = re.split(r"^-- name: (\w+)$", text, flags=re.MULTILINE)[1:]
    bodies = ("\n".join(line for line in body.splitlines() if not line.startswith("--")) for body in parts[1::2])
    return {name: body.strip().rstrip(";") for name, body in zip(parts[::2], bodies, strict=True)}


@cache
def added_columns() -> dict[tuple[str, str], str]:
    """(table, column) → the statement that adds it: of columns that came after the table's first version."""
    altered = ((name, re.match(r"ALTER TABLE \{c\}\.(\w+) ADD COLUMN (\w+) ", text)) for name, text in statements().items())
    return {(found[1], found[2]): name for name, found in altered if found is not None}


class Control:
    """One side's control tables."""

    def __init__(self, connection: Connection[Any], topology: Topology) -> None:
        self.connection = connection
        self.topology = topology
        self._schema = "`" + topology.control_schema.replace("`", "``").replace("%", "%%") + "`"

    def execute(self, name: str, *arguments: object) -> tuple[tuple[Any, ...], ...]:
        """Run a named statement; gives its rows."""
        with self.connection.cursor() as cursor:
            cursor.execute(self.text(name), arguments or None)
            return tuple(cursor.fetchall())

    def matched(self, name: str, *arguments: object) -> int:
        """Run a named statement; gives how many rows it matched."""
        with self.connection.cursor() as cursor:
            return int(cursor.execute(self.text(name), arguments or None))

    def text(self, name: str) -> str:
        """The statement's text for this control schema."""
        return statements()[name].replace("{c}", self._schema)

    def plain(self, name: str) -> str:
        """The same for a statement that is run without arguments: % has no meaning in it."""
        return self.text(name).replace("%%", "%")

    def create(self) -> None:
        """Create what is missing: the control schema, its tables, and the rows of every direction and side."""
        present = {table for table, _ in self._columns()}
        with self.connection.cursor() as cursor:
            if not present:
                cursor.execute(f"CREATE DATABASE IF NOT EXISTS {self._schema}".replace("%%", "%"))
        for table in TABLES:
            if table not in present:
                self.execute(f"create_{table}")
        for direction in self.topology.directions:
            self.execute("insert_direction", self.topology.name, direction.from_, direction.to)
        for side in self.topology.sides:
            self.execute("insert_heartbeat", self.topology.name, side, 0)

    def upgrade(self) -> None:
        """Add the columns that the tables of an older version lack. For whoever owns the work: a standby changes nothing."""
        columns = self._columns()
        present = {table for table, _ in columns}
        for (table, column), statement in added_columns().items():
            if table in present and (table, column) not in columns:
                self._add_column(statement)

    def _columns(self) -> set[tuple[str, str]]:
        with self.connection.cursor() as cursor:
            cursor.execute(
                "SELECT TABLE_NAME, COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = %s",
                (self.topology.control_schema,),
            )
            return set(cursor.fetchall())

    def _add_column(self, statement: str) -> None:
        try:
            self.execute(statement)
        except pymysql.err.MySQLError as error:
            if error.args[0] != DUPLICATE_COLUMN:  # another process has just added it
                raise
