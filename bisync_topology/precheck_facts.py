"""What the precheck looks at, fetched: a side's settings, grants and tables, and the broker's topics. No judgement here.

Both sides and the broker are asked at the same time. One that is away is asked again until the time given is over.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar

import pymysql.err
import structlog
from pymysql.connections import Connection

from bisync_topology import kafka
from bisync_topology.errors import BisyncError, CaptureError
from bisync_topology.grants import quote
from bisync_topology.kafka_access import reader_access
from bisync_topology.mysql import connect
from bisync_topology.ownership import waits_out
from bisync_topology.scope import Scope
from bisync_topology.topology import Topology
from bisync_topology.trigger_facts import read_triggers
from bisync_topology.triggers import Trigger
from producers.checkpoint import check_topics, read_checkpoint
from schemas.topics import checkpoints_topic

VARIABLES = (
    "binlog_format",
    "binlog_row_image",
    "binlog_row_metadata",
    "gtid_mode",
    "log_bin",
    "log_bin_trust_function_creators",
    "server_id",
    "server_uuid",
    "version",
)
_TRY_SECONDS = 5.0  # for the broker's answer to one question
_PAUSE_SECONDS = 1.0
_CREATE_STATEMENTS = 50  # that are fetched for tables missing at the other side

log = structlog.get_logger()
Name = tuple[str, str]  # database, table
_Fetched = TypeVar("_Fetched")


@dataclass(frozen=True, kw_only=True)
class TableFacts:
    """One base table in scope. keyed: a primary key or a unique key of whole NOT NULL columns."""

    engine: str
    keyed: bool = True
    key_hint: tuple[str, ...] = ()  # columns that a key could be made of
    create: str | None = None  # SHOW CREATE TABLE, where the other side lacks the table


@dataclass(frozen=True, kw_only=True)
class SideFacts:
    """What a side said. filters: databases of binlog_do_db and binlog_ignore_db; None when it was not allowed to say."""

    variables: Mapping[str, str]
    account: str  # user@host, as the server matched it
    grants: tuple[str, ...]
    filters: tuple[str, str] | None
    tables: Mapping[Name, TableFacts]
    triggers: tuple[Trigger, ...] = ()  # on tables that an applier writes here, as far as the account sees them


@dataclass(frozen=True, kw_only=True)
class KafkaFacts:
    """What the broker said. lost: by side, that topics of its checkpoint are gone."""

    brokers: int
    topics: int = 0  # that exist already
    lost: Mapping[str, CaptureError] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Everything; an exception stands where the answer was not to be had."""

    sides: Mapping[str, SideFacts | Exception]
    kafka: KafkaFacts | Exception


def gather(topology: Topology, *, wait_seconds: float = 0.0, stop: threading.Event | None = None) -> Facts:
    """Ask both sides and the broker. Servers that are away are asked again for wait_seconds, or until told to stop."""
    patience = _Patience(wait_seconds, stop or threading.Event())
    with ThreadPoolExecutor(len(topology.sides) + 1) as pool:
        asked = {side: pool.submit(patience.ask, side, partial(read_side, topology, side)) for side in topology.sides}
        broker = pool.submit(patience.ask, "kafka", partial(read_kafka, topology))
        facts = Facts(sides={side: answer.result() for side, answer in asked.items()}, kafka=broker.result())
    return _with_creates(topology, facts)


class _Patience:
    def __init__(self, seconds: float, stop: threading.Event) -> None:
        self._deadline = time.monotonic() + seconds
        self._stop = stop

    def ask(self, whom: str, question: Callable[[], _Fetched]) -> _Fetched | Exception:
        said = False
        while True:
            try:
                return question()
            except (pymysql.err.MySQLError, OSError, BisyncError) as error:
                away = waits_out(error)
                left = self._deadline - time.monotonic()
                if not away or left <= 0:
                    return error
                if not said:
                    log.warning(f"{whom} is away; waiting up to {left:.0f} s for it", error=str(error))
                said = True
                if self._stop.wait(min(_PAUSE_SECONDS, left)):
                    return error


def read_side(topology: Topology, side: str) -> SideFacts:
    """Ask one server. Raises MySQLError or OSError where it cannot be reached or refuses the account."""
    with connect(topology.sides[side].mysql) as connection:
        rows = _rows(
            connection, f"SHOW GLOBAL VARIABLES WHERE Variable_name IN ({', '.join(['%s'] * len(VARIABLES))})", *VARIABLES
        )
        variables = {name: str(value) for name, value in rows}
        _run(connection, "SET SESSION sql_mode = ''")  # else ANSI_QUOTES would change how grants are printed
        return SideFacts(
            variables=variables,
            account=_rows(connection, "SELECT CURRENT_USER()")[0][0],
            grants=tuple(row[0] for row in _rows(connection, "SHOW GRANTS")),
            filters=_filters(connection, variables["version"]),
            tables=_tables(connection, topology),
            triggers=read_triggers(connection, topology, side),
        )


def read_kafka(topology: Topology) -> KafkaFacts:
    """Ask the broker. Raises Unreachable, CheckFailed where ACLs are missing."""
    client = kafka.admin(topology)
    brokers = kafka.broker_count(client, topology, timeout=_TRY_SECONDS)
    kafka.check_access(client, topology, reader_access(topology))
    topics = kafka.existing_topics(client, topology)
    lost = {}
    if checkpoints_topic(topology.name) in topics:
        for side in topology.sides:
            checkpoint = read_checkpoint(topology, side)
            try:
                if checkpoint is not None:
                    check_topics(topology, side, checkpoint)
            except CaptureError as error:
                lost[side] = error
    return KafkaFacts(brokers=brokers, topics=len(topics), lost=lost)


def _filters(connection: Connection[Any], version: str) -> tuple[str, str] | None:
    numbers = tuple(int(part) for part in version.split("-", maxsplit=1)[0].split(".")[:2])
    try:
        rows = _rows(connection, "SHOW BINARY LOG STATUS" if numbers >= (8, 2) else "SHOW MASTER STATUS")
    except pymysql.err.MySQLError:
        return None  # the privilege is missing, which is an item of its own
    return (str(rows[0][2] or ""), str(rows[0][3] or "")) if rows else ("", "")


def _tables(connection: Connection[Any], topology: Topology) -> dict[Name, TableFacts]:
    """The base tables that any direction carries, as far as the account sees them."""
    scopes = [Scope(direction.objects, control_schema=topology.control_schema) for direction in topology.directions]
    likes = list(dict.fromkeys(pattern.like() for scope in scopes for pattern in scope.databases()))
    where = f"({' OR '.join(['TABLE_SCHEMA LIKE %s'] * len(likes))})"
    found = _rows(
        connection,
        f"SELECT TABLE_SCHEMA, TABLE_NAME, ENGINE FROM information_schema.TABLES WHERE TABLE_TYPE = 'BASE TABLE' AND {where}",
        *likes,
    )
    engines = {(db, name): str(engine) for db, name, engine in found if any(scope.includes(db, name) for scope in scopes)}
    indexes: dict[Name, dict[str, list[tuple[str | None, bool]]]] = {}
    for db, name, index, column, unusable in _rows(
        connection,
        "SELECT TABLE_SCHEMA, TABLE_NAME, INDEX_NAME, COLUMN_NAME,"
        " NULLABLE = 'YES' OR COLUMN_NAME IS NULL"
        f" FROM information_schema.STATISTICS WHERE NON_UNIQUE = 0 AND {where} ORDER BY INDEX_NAME, SEQ_IN_INDEX",
        *likes,
    ):
        indexes.setdefault((db, name), {}).setdefault(index, []).append((column, bool(unusable)))
    facts = {}
    for name, engine in engines.items():
        unique = list(indexes.get(name, {}).values())
        keyed = any(not any(unusable for _, unusable in parts) for parts in unique)
        hint = () if keyed else _key_hint(connection, name, unique)
        facts[name] = TableFacts(engine=engine, keyed=keyed, key_hint=hint)
    return facts


def _key_hint(connection: Connection[Any], name: Name, unique: list[list[tuple[str | None, bool]]]) -> tuple[str, ...]:
    for parts in unique:
        if all(column is not None for column, _ in parts):
            return tuple(str(column) for column, _ in parts)
    rows = _rows(
        connection,
        "SELECT COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s"
        " ORDER BY IS_NULLABLE = 'YES', ORDINAL_POSITION LIMIT 1",
        *name,
    )
    return tuple(row[0] for row in rows)


def _with_creates(topology: Topology, facts: Facts) -> Facts:
    """Add the statement that makes a table, where the other side lacks it."""
    sides: dict[str, SideFacts | Exception] = dict(facts.sides)
    for side, mine in facts.sides.items():
        theirs = facts.sides[topology.other(side)]
        if not isinstance(mine, SideFacts) or not isinstance(theirs, SideFacts):
            continue
        missing = sorted(mine.tables.keys() - theirs.tables.keys())[:_CREATE_STATEMENTS]
        if not missing:
            continue
        tables = dict(mine.tables)
        with suppress(pymysql.err.MySQLError, OSError), connect(topology.sides[side].mysql) as connection:
            for name in missing:
                create = _rows(connection, f"SHOW CREATE TABLE {quote(name[0])}.{quote(name[1])}".replace("%", "%%"))[0][1]
                tables[name] = replace(tables[name], create=str(create))
        sides[side] = replace(mine, tables=tables)
    return replace(facts, sides=sides)


def _rows(connection: Connection[Any], statement: str, *arguments: str) -> tuple[tuple[Any, ...], ...]:
    with connection.cursor() as cursor:
        cursor.execute(statement, arguments)
        return tuple(cursor.fetchall())


def _run(connection: Connection[Any], statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)
