"""The session in which one statement of the other side runs, with the context that its client had there.

It is a connection of its own, so that nothing of that context is left behind, and it holds a lock by name: an applier that died
while the server went on with its statement is waited for, by whoever comes after it. Source of what a replica restores:
Query_log_event (MySQL internals, statement_events.h) and the manual's "Replication and System Variables".
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pymysql.err
import structlog

from bisync_topology import failpoints
from bisync_topology.mysql import connect
from bisync_topology.topology import MySQL
from consumers.target import quote_name
from schemas.records import DdlEvent
from schemas.statement_text import decode_statement, encode_statement

log = structlog.get_logger()

Tick = Callable[[dict[str, Any]], None]  # called about every second with what is to be told of a statement that runs

_UNKNOWN_DATABASE, _NO_SUCH_THREAD, _DENIED = 1049, 1094, (1044, 1142, 1227)
_FOR_EVER = 10 * 365 * 86400.0  # seconds; an ALTER may take days, and a dead link is found by its kernel
_LOCK_WAIT = 20  # seconds that a statement waits for others to let go of a table, while these make all who come after them wait
_PROGRESS = """\
SELECT s.EVENT_NAME, s.WORK_COMPLETED, s.WORK_ESTIMATED FROM performance_schema.events_stages_current AS s
JOIN performance_schema.threads AS t USING (THREAD_ID) WHERE t.PROCESSLIST_ID = %s"""


class DdlSession:
    """One statement's session."""

    def __init__(self, mysql: MySQL, lock: str) -> None:
        """lock: its name on the server, of at most 64 characters."""
        self._mysql = mysql
        self._lock = lock
        self.connection = connect(mysql, read_timeout=_FOR_EVER)
        self.thread_id = int(self.connection.thread_id())  # type: ignore[no-untyped-call]
        version = self.connection.get_server_info().split("-")[0].split(".")  # type: ignore[no-untyped-call]
        self.disabled_on = "REPLICA" if tuple(map(int, version[:2])) >= (8, 2) else "SLAVE"  # what disables an event
        self._charset = "utf8mb4"

    def close(self) -> None:
        """End the session."""
        if self.connection.open:
            self.connection.close()

    def take_lock(self, watch: Callable[[], None], tick: Tick) -> None:
        """Wait until the session of an applier that is no more has ended what it was at; one that has nothing to do is ended.

        watch: as for `run`.
        """
        while not self._one("SELECT GET_LOCK(%s, 1)", self._lock)[0]:
            watch()
            holder = self._one("SELECT IS_USED_LOCK(%s)", self._lock)[0]
            row = holder and self._one("SELECT COMMAND, TIME FROM information_schema.PROCESSLIST WHERE ID = %s", holder)
            if row and row[0] == "Sleep":
                self._end(holder)
            else:
                what = "a session that an applier has left, and that is still at a statement"
                tick({"statement": "nothing yet", "waits_for": f"{what}: connection {holder}", "seconds": row and row[1]})

    def _end(self, number: int) -> None:
        try:
            self._one("KILL %s", number)
        except pymysql.err.MySQLError as error:
            if error.args[0] != _NO_SUCH_THREAD:
                raise

    def text_of(self, event: DdlEvent) -> str:
        """The statement's text, exactly; `run` takes it, edited or not."""
        found = self._one("SELECT CHARACTER_SET_NAME FROM information_schema.COLLATIONS WHERE ID = %s", event.charset[0])
        if found is not None:
            self._charset = {"utf8": "utf8mb3"}.get(found[0], found[0])
        return decode_statement(event.raw or event.statement.encode(), self._charset)

    def prepare(self, event: DdlEvent) -> None:
        """Take on the context of the statement's client. Raises pymysql.err.MySQLError where the server will not."""
        client, connection, server = (self._collation(number) for number in event.charset)
        self._query(f"SET SESSION sql_mode = {event.sql_mode}, lock_wait_timeout = {_LOCK_WAIT}")
        self._query(f"SET SESSION foreign_key_checks = {int(event.foreign_key_checks)}")
        self._query(f"SET SESSION unique_checks = {int(event.unique_checks)}")
        increment, offset = event.auto_increment
        self._query(f"SET SESSION auto_increment_increment = {increment}, auto_increment_offset = {offset}")
        if event.time_zone:
            self._query(f"SET SESSION time_zone = '{event.time_zone}'")
        if event.executed_at:
            self._query(f"SET SESSION timestamp = {event.executed_at / 1e6:.6f}")
        self._set_if_other("explicit_defaults_for_timestamp", event.explicit_timestamp)
        self._set_if_other("default_collation_for_utf8mb4", self._collation(event.utf8mb4_collation))
        if event.default_db:
            try:
                self._query(f"USE {quote_name(event.default_db)}")
            except pymysql.err.MySQLError as error:
                # not there, or not ours: a statement whose names are all qualified does not need it, another one is refused
                if error.args[0] not in (_UNKNOWN_DATABASE, *_DENIED):
                    raise
        if server:
            self._query(f"SET SESSION collation_server = {server}")
        if client and connection:  # last, as what follows is read in it
            self._query(f"SET SESSION character_set_client = {self._charset}, collation_connection = {connection}")

    def _collation(self, number: int) -> str | None:
        found = self._one("SELECT COLLATION_NAME FROM information_schema.COLLATIONS WHERE ID = %s", number)
        return None if found is None else str(found[0])

    def _set_if_other(self, variable: str, value: str | bool | None) -> None:
        """Some variables take a privilege to be set, so only what differs is."""
        if value is None:
            return
        wanted = str(int(value)) if isinstance(value, bool) else value
        if str(self._one(f"SELECT @@SESSION.{variable}")[0]) != wanted:
            self._query(f"SET SESSION {variable} = {wanted}")

    def run(self, text: str, name: str, watch: Callable[[], None], tick: Tick) -> None:
        """Run the statement to its end. watch: called every second; what it raises leaves the statement alone, and running.

        name: what it is called, without values, which may be secrets.

        Raises pymysql.err.MySQLError, UnicodeEncodeError.
        """
        raw = encode_statement(text, self._charset)
        failure: list[Exception] = []

        def work() -> None:
            try:
                self.connection.query(raw)  # bytes go as they are
            except (pymysql.err.Error, OSError) as error:
                failure.append(error)

        thread = threading.Thread(target=work, name="ddl", daemon=True)
        begun = time.monotonic()
        thread.start()
        thread.join(0.005)
        failpoints.reach("applier.ddl_running")
        while thread.is_alive():
            thread.join(1.0)
            if thread.is_alive():
                watch()
                tick({"statement": name, "seconds": round(time.monotonic() - begun), "progress": self._progress()})
        if failure:
            raise failure[0]

    def _progress(self) -> str | None:
        """How far the server is with it, where it tells: the consumer events_stages_current is off unless somebody wants it."""
        try:
            with connect(self._mysql) as other, other.cursor() as cursor:
                cursor.execute(_PROGRESS, (self.thread_id,))
                row = cursor.fetchone()
        except pymysql.err.MySQLError as error:
            if error.args[0] not in _DENIED:
                raise
            return None
        if row is None or not row[2]:
            return None
        return f"{row[0].rpartition('/')[2]} {100 * int(row[1]) // int(row[2])} %"

    def _query(self, sql: str) -> None:
        self.connection.query(sql)

    def _one(self, sql: str, *arguments: object) -> Any:
        with self.connection.cursor() as cursor:
            cursor.execute(sql, arguments or None)
            return cursor.fetchone()
