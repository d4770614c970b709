"""Statements in the binlog: what each is to capture. Pure but for the tables' scope."""

from collections.abc import Iterable
from typing import NamedTuple, Protocol

from bisync_topology.ddl import Category, Statement, describe, read_statement
from bisync_topology.sql_modes import read_as
from producers.events import Query
from producers.refusals import refuse
from schemas.statement_text import decode_statement, readable


class Scope(Protocol):
    """What is carried from this side."""

    lower_case: bool  # names of tables and databases are in lower case, however a statement has them

    def in_scope(self, db: str, table: str) -> bool:
        """Whether any direction carries the table."""

    def database_in_scope(self, db: str) -> bool:
        """Whether any direction carries the database as a whole."""

    def reaches(self, db: str) -> bool:
        """Whether any direction can carry a table of the database."""

    def charset_name(self, collation: int) -> str:
        """The character set of a collation's id."""


class Definition(NamedTuple):
    """A statement that is carried: its text, the bytes where those are not its UTF-8, and the tables in scope that it names."""

    text: str
    raw: bytes | None
    tables: tuple[str, ...]


def statement_of(query: Query, scope: Scope) -> Statement:
    """Read a statement as its session's character set and sql_mode have it."""
    return read_statement(
        decode_statement(query.statement, scope.charset_name(query.charset[0])),
        query.db,
        **read_as(query.sql_mode),
    )


def definition(scope: Scope, statement: Statement, query: Query, *, begun: bool) -> Definition | None:
    """What a DDL, or a statement that could not be read, is to capture; None when it concerns nothing in scope.

    begun: inside of a transaction. Raises CaptureError.
    """
    tables = _names_in_scope(scope, statement, query.db)
    if tables is None:
        return None
    if begun and statement.start_transaction is None:
        refuse(f"{describe(statement)} inside a transaction, which is not captured yet")
    if statement.category in (Category.ACCOUNT, Category.ADMIN):  # it may hold passwords, and goes nowhere
        return Definition(describe(statement), None, tables)
    text = readable(decode_statement(query.statement, scope.charset_name(query.charset[0])))
    return Definition(text, None if text.encode() == query.statement else query.statement, tables)


def _names_in_scope(scope: Scope, statement: Statement, default_db: str) -> tuple[str, ...] | None:
    match statement.category:
        case Category.UNKNOWN:
            return ()  # the names found may not be all
        case Category.DATABASE:
            return () if scope.database_in_scope(_folded(scope, statement.database or default_db)) else None
        case Category.ACCOUNT:
            return ()
        case Category.ADMIN if not statement.objects:
            return ()
    if not statement.objects:
        databases = {db for db, _ in statement.names} or {default_db}
        return () if any(scope.database_in_scope(_folded(scope, db)) for db in databases) else None
    return tuple(f"{db}.{name}" for db, name in _folded_names(scope, statement.objects) if scope.in_scope(db, name)) or None


def _folded(scope: Scope, name: str) -> str:
    return name.lower() if scope.lower_case else name


def _folded_names(scope: Scope, names: Iterable[tuple[str, str]]) -> Iterable[tuple[str, str]]:
    return [(_folded(scope, db), _folded(scope, name)) for db, name in names]


def check_no_rows(scope: Scope, statement: Statement, query: Query) -> None:
    """DML as a statement: CaptureError unless it is surely out of scope.

    Its text does not tell: triggers, functions, views and foreign keys lead from the tables that it names to others. So none of
    the databases of which it has opened tables may have one in scope.
    """
    what = f"the statement {describe(statement)} in place of rows"
    if not query.databases:
        refuse(f"{what}, and not the databases of its tables, as where a foreign key refers to one: that cannot be captured")
    opened = {_folded(scope, db) for db in (*query.databases, *(db for db, _ in statement.objects))}
    reached = sorted(db for db in opened if scope.reaches(db))
    if reached:
        refuse(f"{what}, which may have changed tables of {', '.join(reached)}: that cannot be captured")
