"""Both sides' schemas by what the servers themselves print, with what is meant to differ put aside.

Put aside: the guard of a trigger that was carried, the status of an event that was carried, the next automatic value of a
table, which each server counts by itself, and a semicolon behind a body, which a server keeps of a packet of many statements.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import pymysql
from faults.compare import quoted
from faults.harness import Cluster

Schema = dict[str, Any]  # "table db.name": what the server prints of it
_GUARDED = re.compile(
    r"\s*BEGIN\s+IF\s+@bisync_applying\s+IS\s+NULL\s+THEN\b(.*)END\s+IF\s*;\s*END\s*", re.DOTALL | re.IGNORECASE
)


def unguarded(body: str) -> str:
    """A trigger's body without the guard around it."""
    guarded = _GUARDED.fullmatch(body)
    return (guarded[1] if guarded else body).strip().rstrip(";").rstrip()


def is_guarded(body: str) -> bool:
    """Whether it does nothing for rows that are applied."""
    return _GUARDED.fullmatch(body) is not None


def read_schema(cluster: Cluster, side: str, databases: Sequence[str], keep: Callable[[str, str], bool] | None = None) -> Schema:
    """What is in these databases; keep: of a scope of tables, those that are in it, and then nothing but tables."""
    found: Schema = {}
    marks = ", ".join(["%s"] * len(databases))
    with cluster.connect(side) as connection, connection.cursor() as cursor:
        cursor.execute("SET SESSION sql_mode = '', time_zone = '+00:00'")

        def select(columns: str, table: str, column: str) -> list[tuple[Any, ...]]:
            cursor.execute(f"SELECT {columns} FROM information_schema.{table} WHERE {column} IN ({marks})", tuple(databases))
            return list(cursor.fetchall())

        def shown(what: str, *names: str) -> str:
            try:
                cursor.execute(f"SHOW CREATE {what} {quoted(*names)}")
            except pymysql.err.MySQLError as error:  # a view over what is gone: the same error is expected on both sides
                return f"error {error.args[0]}"
            return str(cursor.fetchall()[0])

        for db, name, kind in select("TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE", "TABLES", "TABLE_SCHEMA"):
            if keep is None or keep(db, name):
                text = shown("VIEW" if kind == "VIEW" else "TABLE", db, name)
                found[f"{kind.lower()} {db}.{name}"] = re.sub(r" AUTO_INCREMENT=\d+", "", text)
        if keep is not None:
            return found
        for (db,) in select("SCHEMA_NAME", "SCHEMATA", "SCHEMA_NAME"):
            found[f"database {db}"] = shown("DATABASE", db)
        for db, name, kind in select("ROUTINE_SCHEMA, ROUTINE_NAME, ROUTINE_TYPE", "ROUTINES", "ROUTINE_SCHEMA"):
            found[f"{kind.lower()} {db}.{name}"] = shown(kind, db, name).replace(";', ", "', ").replace(';", ', '", ')
        for db, name, body, *rest in select(
            "TRIGGER_SCHEMA, TRIGGER_NAME, ACTION_STATEMENT, EVENT_MANIPULATION, EVENT_OBJECT_TABLE, ACTION_ORDER, ACTION_TIMING,"
            " SQL_MODE, DEFINER, CHARACTER_SET_CLIENT, COLLATION_CONNECTION, DATABASE_COLLATION",
            "TRIGGERS",
            "TRIGGER_SCHEMA",
        ):
            found[f"trigger {db}.{name}"] = (unguarded(body), *rest)
        for db, name, body, *rest in select(
            "EVENT_SCHEMA, EVENT_NAME, EVENT_DEFINITION, EVENT_TYPE, EXECUTE_AT, INTERVAL_VALUE, INTERVAL_FIELD, STARTS, ENDS,"
            " ON_COMPLETION, EVENT_COMMENT, TIME_ZONE, SQL_MODE, DEFINER, CHARACTER_SET_CLIENT, COLLATION_CONNECTION,"
            " DATABASE_COLLATION",
            "EVENTS",
            "EVENT_SCHEMA",
        ):
            found[f"event {db}.{name}"] = (body.rstrip("; "), *rest)
    return found


def schema_differences(ours: Schema, theirs: Schema) -> list[str]:
    """One line for each object that differs."""
    return [
        f"{name}:\n  source: {ours.get(name, 'not there')}\n  target: {theirs.get(name, 'not there')}"
        for name in sorted({*ours, *theirs})
        if ours.get(name) != theirs.get(name)
    ]


def carried_unguarded(cluster: Cluster, side: str, databases: Sequence[str], before: frozenset[str]) -> list[str]:
    """Triggers of a side that would fire for applied rows, beside those that were there before."""
    marks = ", ".join(["%s"] * len(databases))
    found = cluster.sql(
        side,
        "SELECT TRIGGER_SCHEMA, TRIGGER_NAME, ACTION_STATEMENT FROM information_schema.TRIGGERS"
        f" WHERE TRIGGER_SCHEMA IN ({marks})",
        *databases,
    )
    return [f"{db}.{name}" for db, name, body in found if not is_guarded(body) and f"{db}.{name}" not in before]


def enabled_events(cluster: Cluster, side: str, databases: Sequence[str], before: frozenset[str]) -> list[str]:
    """Events of a side that would run there, beside those that were there before."""
    marks = ", ".join(["%s"] * len(databases))
    found = cluster.sql(
        side,
        f"SELECT EVENT_SCHEMA, EVENT_NAME FROM information_schema.EVENTS WHERE STATUS = 'ENABLED' AND EVENT_SCHEMA IN ({marks})",
        *databases,
    )
    return [f"{db}.{name}" for db, name in found if f"{db}.{name}" not in before]
