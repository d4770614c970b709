"""What is to be done with the events of one schema: decode them, whether they are in scope, and the SQL of their target."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, cast

from pymysql.connections import Connection

from bisync_topology.scope import ResolvedSettings, Scope, TableRules
from bisync_topology.topology import Direction, Dml, Topology
from consumers.conflict import Rules
from consumers.drift import Adapted, History, Known, adapt, added
from consumers.long_statements import LongStatements
from consumers.rules import rules_of
from consumers.schema_store import SchemaStore
from consumers.statements import Statements
from consumers.target import TablePlan, plan, read_table
from initialization.initialized import Initialized
from schemas.envelope import RowDecoder
from schemas.records import REFRESH, RowEvent, TransactionRecord
from schemas.tables import Table

_DML = {"c": Dml.INSERT, "u": Dml.UPDATE, "d": Dml.DELETE}


@dataclass(frozen=True, kw_only=True)
class AppliedTable:
    """One version of a source table and its target. statements None: the table is out of the direction's scope."""

    name: str
    decoder: RowDecoder
    settings: ResolvedSettings
    rules: Rules
    statements: Statements | None
    long: bool = False  # the statements are those of rows with long values, one by one
    adapted: Adapted | None = None  # rows are of an older structure, and are made to fit
    keeps_references: bool = True  # foreign keys that the session does not check are looked at (consumers/orphans.py)

    @cached_property
    def for_long_rows(self) -> AppliedTable:
        """The same for a row that came in parts."""
        assert self.statements is not None
        return replace(self, statements=LongStatements(self.statements.plan), long=True)

    def carries(self, event: RowEvent) -> bool:
        """Whether the direction lets this change through. The halves of an update that moved its key are an update."""
        if self.statements is None or event.op == REFRESH:
            return self.statements is not None
        return (Dml.UPDATE if event.moved else _DML[event.op]) in self.settings.dml


class AppliedTables:
    """By schema id and what its rows know of the target's structure, found once."""

    def __init__(
        self,
        topology: Topology,
        direction: Direction,
        schemas: SchemaStore,
        connection: Connection[Any],
        history: History | None = None,
        initialized: Initialized | None = None,
        on_forget: Callable[[], None] | None = None,
        initializing: Callable[[str, str], bool] = lambda db, name: False,
    ) -> None:
        """connection: one on which nothing else is done, see STRUCTURE_STATEMENTS. history: of the target's own statements, where
        the source gets them. initialized: which rows are older than their table at the target. on_forget: called where what was
        made of tables is made anew. initializing: whether rows of a table are still being copied.
        """
        self._schemas = schemas
        self._connection = connection
        self._scope = Scope(direction.objects, control_schema=topology.control_schema)
        self._rules = TableRules(direction)
        self._forced = direction.from_ == topology.arbiter
        self._history = history or History()
        self._initialized = initialized or Initialized({}, ())
        self._tables: dict[tuple[int, Known, bool], AppliedTable] = {}
        self._on_forget = on_forget
        self._initializing = initializing

    def of(self, identity: int, record: TransactionRecord) -> AppliedTable:
        """The table of a schema id, for rows of a transaction, which says what its side knew of the target's statements.

        Raises ApplyError where its target is missing or does not fit.
        """
        known = self._history.known_at(record.seen, record.held)
        older = self._initialized.early(record.sequence) and self._is_older(identity, record)
        table = self._tables.get((identity, known, older))
        if table is None:
            table = self._describe(self._schemas.decoder(identity), known, older=older)
            self._tables[identity, known, older] = table
        return table

    def _is_older(self, identity: int, record: TransactionRecord) -> bool:
        """Whether the target's table was made after these rows, as the source had it then, or not at all."""
        table = self._schemas.decoder(identity).table
        return self._initialized.has_rows(table.db, table.name, record.sequence)

    def forget(self) -> None:
        """Structure has changed, or may have: what is known of the target's tables is read again."""
        self._tables.clear()
        if self._on_forget is not None:
            self._on_forget()

    def name(self, identity: int) -> str:
        """`db.table` of a schema id, whether or not its target fits."""
        return self._schemas.decoder(identity).table.full_name

    def of_plan(self, chosen: TablePlan) -> AppliedTable:
        """The table of rows that are read at the source: none of its events is decoded."""
        return self._table(chosen.source, Statements(chosen), cast("RowDecoder", None), None)

    def _describe(self, decoder: RowDecoder, known: Known, *, older: bool) -> AppliedTable:
        source = decoder.table
        statements = adapted = None
        fate = self._history.fate((source.db, source.name), known)
        if self._scope.includes(source.db, source.name) and fate.name is not None and not older:
            target = read_table(self._connection, *fate.name)
            adapted = adapt(source, target.columns, fate.columns)
            fitting = source if adapted is None else adapted.table
            statements = Statements(plan(fitting, target, added(fate.columns)))
        return self._table(source, statements, decoder, adapted)

    def _table(self, source: Table, statements: Statements | None, decoder: RowDecoder, adapted: Adapted | None) -> AppliedTable:
        settings = self._rules.settings(source.db, source.name)
        rules = Rules(settings.on_conflict) if statements is None else rules_of(settings, statements.plan, forced=self._forced)
        return AppliedTable(
            name=source.full_name,
            decoder=decoder,
            settings=settings,
            rules=rules._replace(initializing=self._initializing(source.db, source.name)),
            statements=statements,
            adapted=adapted,
            keeps_references=not rules.forced,
        )
