"""What a statement changes, as it is on the target now: one short text, which is another one once the statement has run.

It is how an applier that died tells whether its statement was done. Beside the definition it holds when a table was made, and the
server's number of it where the account may see that, as a TRUNCATE or a swap of two equal tables changes nothing else.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Iterator
from typing import Any

import pymysql.err
from pymysql.connections import Connection
from pymysql.cursors import Cursor

from bisync_topology.ddl import Category, Statement
from consumers.target import quote_name

_MISSING = (1049, 1146, 1360, 1305, 1539)
_DENIED = (1044, 1142, 1227)
_AUTO_INCREMENT = re.compile(r" AUTO_INCREMENT=\d+")  # goes up with rows
_TABLE = "SELECT TABLE_TYPE, CREATE_TIME, NOW() FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s"
_NUMBER = "SELECT TABLE_ID FROM information_schema.INNODB_TABLES WHERE NAME = %s"
_ROUTINE = "SELECT * FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = %s AND ROUTINE_NAME = %s"
_OTHERS = {
    "PROCEDURE": _ROUTINE,
    "FUNCTION": _ROUTINE,
    "TRIGGER": "SELECT * FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = %s AND TRIGGER_NAME = %s",
    "EVENT": "SELECT * FROM information_schema.EVENTS WHERE EVENT_SCHEMA = %s AND EVENT_NAME = %s",
}


def fingerprint(connection: Connection[Any], statement: Statement, default_db: str) -> str:
    """Of everything that the statement names; waits up to a second where a table is so new that its time could not change."""
    with connection.cursor(Cursor) as cursor:
        facts = list(_facts(cursor, statement, default_db))
    return hashlib.sha256(repr(facts).encode()).hexdigest()


def _facts(cursor: Cursor, statement: Statement, default_db: str) -> Iterator[object]:
    if statement.category is Category.DATABASE:
        yield _shown(cursor, f"SHOW CREATE DATABASE {quote_name(statement.database or default_db)}")
    others = _OTHERS.get(statement.verb.split()[-1])
    for database, name in statement.names if others else ():
        assert others is not None
        cursor.execute(others, (database, name))
        yield cursor.fetchall()
    for database, name in statement.objects:
        yield database, name, _of_table(cursor, database, name)


def _of_table(cursor: Cursor, database: str, name: str) -> object:
    cursor.execute(_TABLE, (database, name))
    row = cursor.fetchone()
    if row is None:
        return None
    kind, created, now = row
    number = _number(cursor, f"{database}/{name}")
    while number is None and created is not None and created >= now:
        time.sleep(0.1)
        cursor.execute("SELECT NOW()")
        (now,) = cursor.fetchone() or (now,)
    shown = _shown(cursor, f"SHOW CREATE TABLE {quote_name(database)}.{quote_name(name)}")
    return kind, str(created), number, shown


def _number(cursor: Cursor, name: str) -> object:
    try:
        cursor.execute(_NUMBER, (name,))
        return cursor.fetchall() or None
    except pymysql.err.MySQLError as error:
        if error.args[0] in _DENIED:  # it takes PROCESS
            return None
        raise


def _shown(cursor: Cursor, sql: str) -> object:
    try:
        cursor.execute(sql)
    except pymysql.err.MySQLError as error:
        if error.args[0] in _MISSING:
            return None
        raise
    return [_AUTO_INCREMENT.sub("", str(value)) for row in cursor.fetchall() for value in row[1:]]
