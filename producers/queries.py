"""Statements in the binlog: what each is to capture. Pure but for the tables' scope."""

from typing import Protocol

from bisync_topology.ddl import Category, Statement, describe, read_statement
from producers.events import Query
from producers.refusals import refuse

_ANSI_QUOTES, _NO_BACKSLASH_ESCAPES = 4, 1 << 20  # bits of sql_mode


class Scope(Protocol):
    """What is carried from this side."""

    def in_scope(self, db: str, table: str) -> bool:
        """Whether any direction carries the table."""

    def database_in_scope(self, db: str) -> bool:
        """Whether any direction carries the database as a whole."""


def statement_of(query: Query) -> Statement:
    """Read a statement as its session's sql_mode has it."""
    return read_statement(
        query.statement.decode("utf-8", "replace"),
        query.db,
        ansi_quotes=bool(query.sql_mode & _ANSI_QUOTES),
        backslash_escapes=not query.sql_mode & _NO_BACKSLASH_ESCAPES,
    )


def names_in_scope(scope: Scope, statement: Statement, default_db: str) -> tuple[str, ...] | None:
    """Names in scope that a DDL speaks of; None when it concerns nothing in scope."""
    if statement.category is Category.DATABASE:
        return () if scope.database_in_scope(statement.database or default_db) else None
    if not statement.objects:
        databases = {db for db, _ in statement.names} or {default_db}
        return () if any(map(scope.database_in_scope, databases)) else None
    return tuple(f"{db}.{name}" for db, name in statement.objects if scope.in_scope(db, name)) or None


def ddl_text(query: Query, statement: Statement, *, begun: bool) -> str:
    """The text of a DDL in scope. begun: inside of a transaction. Raises CaptureError, ValueError."""
    if begun:
        what = "CREATE TABLE … SELECT" if statement.start_transaction else f"{describe(statement)} inside a transaction"
        refuse(f"{what}, which is not captured yet")
    try:
        return query.statement.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not written in UTF-8: {error}") from error


def check_no_rows(scope: Scope, statement: Statement) -> None:
    """DML as a statement, or something that could not be read: CaptureError unless it is surely out of scope."""
    names = statement.objects
    if statement.category is not Category.DML or not names or any(scope.in_scope(*name) for name in names):
        refuse(f"the statement {describe(statement)} in place of rows, which cannot be captured")
