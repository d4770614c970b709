"""What the target's server says of the foreign keys that a table takes part in, as child or as parent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pymysql.connections import Connection
from pymysql.cursors import Cursor

from bisync_topology.errors import ApplyError, Where
from consumers.references import Columns, End, ForeignKey, Links, leading
from consumers.target import COLUMNS, TablePlan, column_of, quote_name
from schemas.literals import quote_text
from schemas.tables import Column

# Both ends of each, a line for each column. A child that the account may not read is not shown.
_FOREIGN_KEYS = """\
SELECT CONSTRAINT_SCHEMA, CONSTRAINT_NAME, TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME,
       REFERENCED_TABLE_SCHEMA, REFERENCED_TABLE_NAME, REFERENCED_COLUMN_NAME
FROM information_schema.KEY_COLUMN_USAGE
WHERE (TABLE_SCHEMA = {db} AND TABLE_NAME = {name} AND REFERENCED_TABLE_NAME IS NOT NULL)
   OR (REFERENCED_TABLE_SCHEMA = {db} AND REFERENCED_TABLE_NAME = {name})
ORDER BY CONSTRAINT_SCHEMA, CONSTRAINT_NAME, ORDINAL_POSITION"""

_INDEXES = """\
SELECT INDEX_NAME, COLUMN_NAME, SUB_PART FROM information_schema.STATISTICS
WHERE TABLE_SCHEMA = {db} AND TABLE_NAME = {name}
ORDER BY INDEX_NAME <> 'PRIMARY', NON_UNIQUE, INDEX_NAME, SEQ_IN_INDEX"""

_Name = tuple[str, str]  # database, table
_Query = Callable[[str], tuple[tuple[Any, ...], ...]]


def read_links(connection: Connection[Any], plan: TablePlan) -> Links | None:
    """Read what ties a table's rows to others; None where no foreign key does.

    Raises ApplyError: privilege_missing where the other table cannot be read, schema_mismatch for a column that the source
    has not.
    """
    target = plan.target
    with connection.cursor(Cursor) as cursor:

        def query(sql: str) -> tuple[tuple[Any, ...], ...]:
            cursor.execute(sql)
            return cursor.fetchall()

        lines = query(_FOREIGN_KEYS.format(db=quote_text(target.db), name=quote_text(target.name)))
        if not lines:
            return None
        found: dict[str, list[tuple[Any, ...]]] = {}
        for line in lines:
            found.setdefault(f"{line[0]}.{line[1]}", []).append(line[2:])
        ends = _Ends(query, Where(table=target.full_name))
        to_parents: list[Columns] = []
        to_children: list[Columns] = []
        mine = (target.db.casefold(), target.name.casefold())
        for name, parts in found.items():
            child, parent = (parts[0][0], parts[0][1]), (parts[0][3], parts[0][4])
            of_child, of_parent = [part[2] for part in parts], [part[5] for part in parts]
            foreign_key = ForeignKey(name=name, child=ends.end(child, of_child), parent=ends.end(parent, of_parent))
            if (child[0].casefold(), child[1].casefold()) == mine:
                to_parents.append(Columns(foreign_key, _positions(plan, of_child)))
            if (parent[0].casefold(), parent[1].casefold()) == mine:
                to_children.append(Columns(foreign_key, _positions(plan, of_parent)))
    return Links(tuple(to_parents), tuple(to_children))


class _Ends:
    """Columns and indexes of the tables that foreign keys name, each read once."""

    def __init__(self, query: _Query, where: Where) -> None:
        self._query = query
        self._where = where
        self._columns: dict[_Name, dict[str, tuple[Any, ...]]] = {}
        self._indexes: dict[_Name, dict[str, list[str | None]]] = {}

    def end(self, table: _Name, names: list[str]) -> End:
        """One end of a foreign key."""
        if table not in self._columns:
            self._read(table)
        columns = self._columns[table]
        if not columns:
            full_name = f"{quote_name(table[0])}.{quote_name(table[1])}"
            raise ApplyError(
                f"a foreign key refers to {table[0]}.{table[1]}, which the applier cannot read",
                code="privilege_missing",
                hint=f"GRANT SELECT ON {full_name} to the account on the target; then `resume`",
                where=self._where,
            )
        return End(
            table=f"{quote_name(table[0])}.{quote_name(table[1])}",
            columns=tuple(self._column(columns[name.casefold()]) for name in names),
            index=leading(self._indexes[table], names),
        )

    def _read(self, table: _Name) -> None:
        place = {"db": quote_text(table[0]), "name": quote_text(table[1])}
        self._columns[table] = {line[0].casefold(): line for line in self._query(COLUMNS.format(**place))}
        indexes = self._indexes[table] = {}
        for index, column, prefix in self._query(_INDEXES.format(**place)):
            indexes.setdefault(index, []).append(None if prefix else column)

    def _column(self, line: tuple[Any, ...]) -> Column:
        return column_of(line, self._where)


def _positions(plan: TablePlan, names: list[str]) -> tuple[int, ...]:
    positions = {column.name.casefold(): n for n, column in enumerate(plan.columns)}
    for name in names:
        if name.casefold() not in positions:
            raise ApplyError(
                f"column {quote_name(name)} is part of a foreign key, and the source has no such column",
                code="schema_mismatch",
                hint="make the two tables alike, then `resume`",
                where=Where(table=plan.target.full_name),
            )
    return tuple(positions[name.casefold()] for name in names)
