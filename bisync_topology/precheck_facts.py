"""What the precheck looks at, fetched: both sides, the broker, and each checkpoint's place. No judgement here.

Both sides and the broker are asked at the same time. One that is away is asked again until the time given is over.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import pymysql.err
import structlog
from pymysql.connections import Connection

from bisync_topology.errors import ApplyError, BisyncError, CaptureError
from bisync_topology.grants import quote
from bisync_topology.mysql import connect
from bisync_topology.ownership import waits_out
from bisync_topology.precheck_kafka_facts import read_kafka
from bisync_topology.precheck_seen import Facts, Name, SideFacts, TableFacts
from bisync_topology.precheck_side_facts import read_side
from bisync_topology.precheck_structure import differences
from bisync_topology.topology import Topology
from consumers.target import plan, read_table
from producers.capture import file_begun
from producers.checkpoint import Checkpoint
from producers.server import check_server, read_server, replica_number

_PAUSE_SECONDS = 1.0
_COMPARED = 50  # tables missing at the other side or unlike there, of which more is fetched

log = structlog.get_logger()
_Fetched = TypeVar("_Fetched")


def gather(topology: Topology, *, wait_seconds: float = 0.0, stop: threading.Event | None = None, runs: bool = False) -> Facts:
    """Ask both sides and the broker. Servers that are away are asked again for wait_seconds, or until told to stop.

    runs: the processes are to be started then, under this principal.
    """
    patience = _Patience(wait_seconds, stop or threading.Event())
    with ThreadPoolExecutor(len(topology.sides) + 1) as pool:
        asked = {
            side: pool.submit(patience.ask, side, partial(read_side, topology, side, marked=True)) for side in topology.sides
        }
        broker = pool.submit(patience.ask, "kafka", partial(read_kafka, topology, runs=runs))
        answer = broker.result()
        kafka, checkpoints = (answer, {}) if isinstance(answer, Exception) else answer
        facts = Facts(sides={side: found.result() for side, found in asked.items()}, kafka=kafka, runs=runs)
    return with_tables(topology, _with_positions(topology, facts, checkpoints))


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


def _with_positions(topology: Topology, facts: Facts, checkpoints: Mapping[str, Checkpoint]) -> Facts:
    """Look for each checkpoint's place in its side's binlog."""
    sides: dict[str, SideFacts | Exception] = dict(facts.sides)
    for side, checkpoint in checkpoints.items():
        found = sides[side]
        if isinstance(found, SideFacts) and found.variables.get("log_bin") == "ON":
            with suppress(pymysql.err.MySQLError, OSError):  # what it lacks for that is an item of its own
                position = _position(topology, side, checkpoint)
                sides[side] = replace(found, captured=True, position=position, objects=checkpoint.objects or ())
    return replace(facts, sides=sides)


def _position(topology: Topology, side: str, checkpoint: Checkpoint) -> CaptureError | None:
    mysql = topology.sides[side].mysql
    with connect(mysql) as connection:
        server = read_server(connection)
    number = replica_number(topology.name, side, f"precheck{os.getpid()}", server.server_id)
    try:
        check_server(side, topology.other(side), checkpoint, server, partial(file_begun, mysql, number))
    except CaptureError as error:
        return error
    return None


def with_tables(topology: Topology, facts: Facts) -> Facts:
    """Add the statement that makes a table where the other side's is unlike it or missing, and whether its rows fit there."""
    found = {side: each for side, each in facts.sides.items() if isinstance(each, SideFacts)}
    if len(found) < len(facts.sides):
        return facts
    tables = {side: dict(each.tables) for side, each in found.items()}
    for side, mine in found.items():
        other = topology.other(side)
        theirs = found[other].tables
        wanted = [name for name, table in sorted(mine.tables.items()) if _unlike(table, theirs.get(name))][:_COMPARED]
        if not wanted:
            continue
        with (
            suppress(pymysql.err.MySQLError, OSError),  # what it was not told of, it says nothing of
            connect(topology.sides[side].mysql) as here,
            connect(topology.sides[other].mysql) as there,
        ):
            for name in wanted:
                tables[side][name] = replace(tables[side][name], create=_create(here, name))
                if name in theirs and (why := _refused(here, there, name)):
                    tables[other][name] = replace(tables[other][name], refused={side: why})
    return replace(facts, sides={side: replace(each, tables=tables[side]) for side, each in found.items()})


def _unlike(mine: TableFacts, theirs: TableFacts | None) -> bool:
    return theirs is None or next(differences(mine, theirs), None) is not None


def _create(connection: Connection[Any], name: Name) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"SHOW CREATE TABLE {quote(name[0])}.{quote(name[1])}")
        return str(cursor.fetchall()[0][1])


def _refused(source: Connection[Any], target: Connection[Any], name: Name) -> str:
    """Why an applier would not write rows of the one into the other, "" if it would: asked as it asks itself."""
    try:
        mine, theirs = read_table(source, *name, written=False), read_table(target, *name)
    except ApplyError:
        return ""  # a key, an engine, a type: items of their own
    try:
        plan(mine, theirs)
    except ApplyError as error:
        return error.message
    return ""
