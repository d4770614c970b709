"""What becomes of a statement on the target. Pure: a statement and a scope in, a verdict out; the table is in docs/ddl.md.

A database as object carries all changes of all its objects. A table as object carries what changes that table; a glob of tables
also takes in tables that are made. What is not understood, or would mean something else on the target, is held, with a question.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from bisync_topology.ddl import Category, Statement
from bisync_topology.ddl_edits import with_definer, with_event_disabled, without_start_transaction
from bisync_topology.ddl_names import only_renames, only_tables, renames
from bisync_topology.ddl_triggers import guarded
from bisync_topology.scope import Scope
from bisync_topology.sql_tokens import NotUnderstood

Name = tuple[str, str]  # database, name


class State(StrEnum):
    """What the record of a statement says."""

    RUNNING = "running"  # begun, and not known to be done
    APPLIED = "applied"
    HELD = "held"
    IGNORED = "ignored"
    DRIFT = "drift"
    SKIPPED = "skipped"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """state: APPLIED means that it is to be run. text: what to run. holds: `db.table`, or `db.*`, that wait for it; None: all."""

    state: State
    why: str
    text: str = ""
    holds: tuple[str, ...] | None = ()
    reads: tuple[str, ...] = ()  # `db.table` that it looks at, whose statements it waits for too


@dataclass(frozen=True, kw_only=True)
class Context:
    """What the rules are asked under. carries: the direction has `ddl: true`. events_enabled: its setting."""

    scope: Scope
    carries: bool
    source: str
    events_enabled: bool = False
    ansi_quotes: bool = False
    backslash_escapes: bool = True
    lower_case: bool = False
    invoker: str | None = None  # whose event it is that is altered, `user`@`host`
    disabled_on: str = "REPLICA"  # SLAVE for servers before 8.2

    def fold(self, name: Name) -> Name:
        """A name as the source has it."""
        return (name[0].lower(), name[1].lower()) if self.lower_case else name

    def includes(self, name: Name) -> bool:
        """Whether the direction carries the table."""
        return self.scope.includes(*self.fold(name))

    def whole(self, database: str) -> bool:
        """Whether the database is an object."""
        return self.scope.includes_database(self.fold((database, ""))[0])

    @property
    def flags(self) -> dict[str, bool]:
        """How the text is to be read."""
        return {"ansi_quotes": self.ansi_quotes, "backslash_escapes": self.backslash_escapes}


def decide(statement: Statement, text: str, default_db: str, context: Context) -> Verdict | None:
    """None: it concerns nothing that this direction carries."""
    try:
        verdict = _decide(statement, text, default_db, context)
    except NotUnderstood:
        verdict = _held("it is not understood", None)
    if verdict is None or context.carries or verdict.state not in (State.APPLIED, State.HELD):
        reads = [name for name in statement.sources if context.includes(name)]
        return verdict and replace(verdict, reads=_dotted(reads, context))
    return Verdict(
        state=State.DRIFT,
        why=f"structure is not carried from {context.source}: run it on the other side, where it is wanted there",
    )


def _decide(statement: Statement, text: str, default_db: str, context: Context) -> Verdict | None:
    match statement.category:
        case Category.ACCOUNT:
            return _ignored("accounts are each server's own")
        case Category.ADMIN:
            return _ignored("it is about the server itself")
        case Category.DATABASE:
            return _database(statement, text, default_db, context)
        case Category.TABLE:
            return _table(statement, text, default_db, context)
        case Category.OBJECT:
            return _object(statement, text, default_db, context)
        case _:
            return _held("it is not understood", None)


def _database(statement: Statement, text: str, default_db: str, context: Context) -> Verdict | None:
    database = statement.database or default_db
    if not context.whole(database):
        return None
    if statement.verb.startswith("DROP"):
        return _ignored("a database that is dropped takes all its rows with it: drop it on the other side by hand")
    return _run(text, (f"{context.fold((database, ''))[0]}.*",))


def _table(statement: Statement, text: str, default_db: str, context: Context) -> Verdict | None:
    names = [name for name in statement.objects if context.includes(name)]
    if not names:
        return None
    holds = _dotted(names, context)
    match statement.verb:
        case "RENAME TABLE" | "ALTER TABLE" if pairs := renames(text, default_db, **context.flags):
            return _rename(statement, text, default_db, context, pairs, holds)
        case "CREATE TABLE":
            return _create(statement, text, context, holds)
        case "DROP TABLE":
            return _run(only_tables(text, default_db, _kept(context), **context.flags), holds)
        case "ALTER TABLE" | "TRUNCATE TABLE" | "CREATE INDEX" | "DROP INDEX":
            others = [name for name in statement.objects if not context.includes(name)]
            if others:
                return _held(f"it also changes {_list(others)}, which the direction does not carry", holds)
            return _run(text, holds)
    return _held(f"{statement.verb} is not carried", holds)


def _create(statement: Statement, text: str, context: Context, holds: tuple[str, ...]) -> Verdict:
    name = context.fold(statement.objects[0])
    if not context.scope.takes_new(*name):
        return _ignored(f"{_list([name])} is an object by its name, which means a table that is there: make it on both sides")
    return _run(without_start_transaction(text, statement) if statement.start_transaction else text, holds)


def _rename(
    statement: Statement,
    text: str,
    default_db: str,
    context: Context,
    pairs: tuple[tuple[Name, Name], ...],
    holds: tuple[str, ...],
) -> Verdict:
    into = [pair for pair in pairs if context.includes(pair[1]) and not context.includes(pair[0])]
    if into:
        came, became = into[0]
        return _held(f"{_list([came])}, which the direction does not carry, becomes {_list([became])}, which it does", holds)
    out = [pair for pair in pairs if context.includes(pair[0]) and not context.includes(pair[1])]
    why = "; ".join(f"{_list([old])} is {_list([new])} now, which the direction does not carry" for old, new in out)
    if statement.verb == "RENAME TABLE":
        text = only_renames(text, default_db, lambda old, new: context.includes(old), **context.flags)
    return _run(text, holds, why)


def _object(statement: Statement, text: str, default_db: str, context: Context) -> Verdict | None:
    kind = statement.verb.split()[-1]
    databases = {db for db, _ in (*statement.names, *(() if kind == "TRIGGER" else statement.objects))} or {default_db}
    whole = [database for database in databases if context.whole(database)]
    tables = [name for name in statement.objects if context.includes(name)]
    if kind == "VIEW":
        whole = [db for db, _ in tables if context.whole(db)]
    if not whole:
        return _ignored(f"a table as object carries no {kind}") if tables else None
    if kind not in ("VIEW", "TRIGGER", "PROCEDURE", "FUNCTION", "EVENT"):
        return _held(f"{statement.verb} is not carried", ())
    if kind == "VIEW" and statement.verb.startswith("DROP"):
        text = only_tables(text, default_db, _kept(context), **context.flags)
    elif len(whole) < len(databases):
        return _held("it speaks of a database that the direction does not carry, too", ())
    if statement.verb == "CREATE TRIGGER":
        text = guarded(text, **context.flags)
    if statement.verb == "ALTER EVENT" and context.invoker is not None:
        text = with_definer(text, context.invoker, **context.flags)
    if kind == "EVENT" and not statement.verb.startswith("DROP") and not context.events_enabled:
        text = with_event_disabled(text, **context.flags, on=context.disabled_on)
    return _run(text, _dotted(tables, context) if kind == "VIEW" else ())


def _kept(context: Context) -> Callable[[str, str], bool]:
    return lambda database, name: context.includes((database, name))


def _dotted(names: list[Name], context: Context) -> tuple[str, ...]:
    return tuple(dict.fromkeys(".".join(context.fold(name)) for name in names))


def _list(names: list[Name]) -> str:
    return ", ".join(".".join(name) for name in names)


def _run(text: str, holds: tuple[str, ...], why: str = "") -> Verdict:
    return Verdict(state=State.APPLIED, why=why, text=text, holds=holds)


def _held(why: str, holds: tuple[str, ...] | None) -> Verdict:
    return Verdict(state=State.HELD, why=why, holds=holds)


def _ignored(why: str) -> Verdict:
    return Verdict(state=State.IGNORED, why=why)
