"""Tables that any direction carries, and what else is in their databases: fetched, not judged."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pymysql.err
from pymysql.connections import Connection

from bisync_topology.grants import quote
from bisync_topology.precheck_seen import ColumnFacts, Definer, Name, Reference, TableFacts
from bisync_topology.scope import UnionScope, like_any
from bisync_topology.topology import Direction, Topology

_TABLES = "SELECT TABLE_SCHEMA, TABLE_NAME, ENGINE, TABLE_TYPE FROM information_schema.TABLES WHERE {where}"
_COLUMNS = """\
SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, COLUMN_TYPE, IS_NULLABLE = 'YES', CHARACTER_SET_NAME, COLLATION_NAME,
 GENERATION_EXPRESSION, EXTRA FROM information_schema.COLUMNS WHERE {where} ORDER BY TABLE_SCHEMA, TABLE_NAME, ORDINAL_POSITION"""
_UNIQUE = """\
SELECT TABLE_SCHEMA, TABLE_NAME, INDEX_NAME, COLUMN_NAME, NULLABLE = 'YES' OR COLUMN_NAME IS NULL
 FROM information_schema.STATISTICS WHERE NON_UNIQUE = 0 AND {where} ORDER BY INDEX_NAME, SEQ_IN_INDEX"""
_REFERENCES = """\
SELECT TABLE_SCHEMA, TABLE_NAME, CONSTRAINT_NAME, COLUMN_NAME, REFERENCED_TABLE_SCHEMA, REFERENCED_TABLE_NAME,
 REFERENCED_COLUMN_NAME FROM information_schema.KEY_COLUMN_USAGE
 WHERE REFERENCED_TABLE_NAME IS NOT NULL AND {where} ORDER BY CONSTRAINT_NAME, ORDINAL_POSITION"""
_RULES = """\
SELECT CONSTRAINT_SCHEMA, TABLE_NAME, CONSTRAINT_NAME, UPDATE_RULE, DELETE_RULE FROM information_schema.REFERENTIAL_CONSTRAINTS
 WHERE {where}"""
_DEFINERS = (
    ("view", "SELECT TABLE_SCHEMA, TABLE_NAME, DEFINER FROM information_schema.VIEWS WHERE {where}", "TABLE_SCHEMA"),
    ("trigger", "SELECT TRIGGER_SCHEMA, TRIGGER_NAME, DEFINER FROM information_schema.TRIGGERS WHERE {where}", "TRIGGER_SCHEMA"),
    ("routine", "SELECT ROUTINE_SCHEMA, ROUTINE_NAME, DEFINER FROM information_schema.ROUTINES WHERE {where}", "ROUTINE_SCHEMA"),
    ("event", "SELECT EVENT_SCHEMA, EVENT_NAME, DEFINER FROM information_schema.EVENTS WHERE {where}", "EVENT_SCHEMA"),
)
_Parts = list[tuple[str | None, bool]]


class Carried:
    """What a server says of the objects of a topology's directions, as far as the account sees them."""

    def __init__(self, connection: Connection[Any], topology: Topology) -> None:
        self._connection = connection
        scope = UnionScope(topology.directions, control_schema=topology.control_schema)
        self._likes = scope.likes()
        self._kinds: dict[Name, tuple[str, str]] = {
            (db, name): (str(engine), kind) for db, name, engine, kind in self._ask(_TABLES) if scope.includes(db, name)
        }

    def views(self) -> frozenset[Name]:
        """Views whose names are in scope."""
        return frozenset(name for name, (_, kind) in self._kinds.items() if kind == "VIEW")

    def tables(self) -> dict[Name, TableFacts]:
        """The base tables, with columns, unique keys and foreign keys."""
        columns: dict[Name, dict[str, ColumnFacts]] = {}
        counting: set[Name] = set()
        for db, name, column, kind, nullable, charset, collation, generated, extra in self._ask(_COLUMNS):
            facts = ColumnFacts(
                type=kind, nullable=bool(nullable), charset=charset, collation=collation, generated=str(generated or "")
            )
            columns.setdefault((db, name), {})[column] = facts
            if "auto_increment" in extra.lower():
                counting.add((db, name))
        indexes: dict[Name, dict[str, _Parts]] = {}
        for db, name, index, column, unusable in self._ask(_UNIQUE):
            indexes.setdefault((db, name), {}).setdefault(index, []).append((column, bool(unusable)))
        references = self._references()
        found = {}
        for table, (engine, kind) in self._kinds.items():
            if kind != "BASE TABLE":
                continue
            unique, own = indexes.get(table, {}), columns.get(table, {})
            keyed = any(not any(unusable for _, unusable in parts) for parts in unique.values())
            found[table] = TableFacts(
                engine=engine,
                keyed=keyed,
                key_hint=() if keyed else _key_hint(own, unique.values()),
                columns=own,
                unique={index: tuple(column for column, _ in parts) for index, parts in unique.items()},
                references=tuple(references.get(table, ())),
                auto_increment=table in counting,
            )
        return found

    def _references(self) -> dict[Name, list[Reference]]:
        rules = {
            (db, table, name): (update, delete) for db, table, name, update, delete in self._ask(_RULES, "CONSTRAINT_SCHEMA")
        }
        parts: dict[tuple[str, str, str], list[tuple[str, str, str, str]]] = {}
        for db, table, name, *part in self._ask(_REFERENCES):
            parts.setdefault((db, table, name), []).append(tuple(part))
        found: dict[Name, list[Reference]] = {}
        for (db, table, name), columns in parts.items():
            on_update, on_delete = rules.get((db, table, name), ("NO ACTION", "NO ACTION"))
            reference = Reference(
                name=name,
                columns=tuple(column for column, *_ in columns),
                parent=(columns[0][1], columns[0][2]),
                parent_columns=tuple(column for *_, column in columns),
                on_update=on_update,
                on_delete=on_delete,
            )
            found.setdefault((db, table), []).append(reference)
        return found

    def events(self) -> dict[Name, bool]:
        """Events of databases that are carried → whether they are enabled here."""
        rows = self._ask("SELECT EVENT_SCHEMA, EVENT_NAME, STATUS FROM information_schema.EVENTS WHERE {where}", "EVENT_SCHEMA")
        return {(db, name): status == "ENABLED" for db, name, status in rows}

    def definers(self) -> tuple[Definer, ...]:
        """As whom views, triggers, routines and events run."""
        return tuple(
            Definer(kind=kind, db=db, name=name, account=account)
            for kind, text, column in _DEFINERS
            for db, name, account in self._ask(text, column)
        )

    def databases(self) -> dict[str, str]:
        """Databases that can hold what is carried → their default collation."""
        text = "SELECT SCHEMA_NAME, DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA WHERE {where}"
        return dict(self._ask(text, "SCHEMA_NAME"))

    def collations(self) -> dict[str, str]:
        """Every collation → the default one of its character set."""
        with self._connection.cursor() as cursor:
            cursor.execute("SELECT COLLATION_NAME, CHARACTER_SET_NAME, IS_DEFAULT = 'Yes' FROM information_schema.COLLATIONS")
            rows = cursor.fetchall()
        default = {charset: name for name, charset, is_default in rows if is_default}
        return {name: default.get(charset, name) for name, charset, _ in rows}

    def _ask(self, statement: str, column: str = "TABLE_SCHEMA") -> tuple[tuple[Any, ...], ...]:
        """Rows of databases that can hold tables in scope: wider than the scope."""
        with self._connection.cursor() as cursor:
            cursor.execute(statement.format(where=like_any(column, self._likes)), self._likes)
            return tuple(cursor.fetchall())


def _key_hint(columns: dict[str, ColumnFacts], unique: Iterable[_Parts]) -> tuple[str, ...]:
    """Columns that a key could be made of: those of a unique key that has NULLs, else the first that has none."""
    for parts in unique:
        names = tuple(column for column, _ in parts if column is not None)
        if len(names) == len(parts):
            return names
    return tuple(sorted(columns, key=lambda name: columns[name].nullable)[:1])


def filled(
    connection: Connection[Any], topology: Topology, directions: Iterable[Direction], tables: Iterable[Name]
) -> frozenset[Name]:
    """Tables of some directions that have rows. One that the account may not read is left out, which is an item of its own."""
    scope = UnionScope(directions, control_schema=topology.control_schema)
    found = set()
    with connection.cursor() as cursor:
        for db, name in tables:
            if not scope.includes(db, name):
                continue
            try:
                cursor.execute(f"SELECT 1 FROM {quote(db)}.{quote(name)} LIMIT 1")
            except pymysql.err.MySQLError:
                continue
            if cursor.fetchall():
                found.add((db, name))
    return frozenset(found)
