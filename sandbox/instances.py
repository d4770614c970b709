"""Two MySQL servers, `east` and `west`, and a Kafka broker: what a topology of two sides needs."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sandbox.accounts import PASSWORD, USER, create_accounts
from sandbox.cache import say
from sandbox.kafka import KafkaBroker
from sandbox.mysql import MySQLServer

CONTROL_SCHEMA = "bisync"


class Sandbox:
    """The three servers below `root`. Where they ran before, they are found again, running or not."""

    def __init__(
        self,
        root: Path,
        mysql_options: Mapping[str, str] | None = None,
        kafka_options: Mapping[str, str] | None = None,
    ) -> None:
        self.root = Path(root).absolute()
        self.east = MySQLServer(self.root, "east", mysql_options)
        self.west = MySQLServer(self.root, "west", mysql_options)
        self.kafka = KafkaBroker(self.root, kafka_options)

    @property
    def servers(self) -> tuple[MySQLServer, MySQLServer, KafkaBroker]:
        """The three, in the order in which they are shown."""
        return self.east, self.west, self.kafka

    def start(self) -> None:
        """Start all three at the same time; what is not on this machine yet is downloaded at the same time too.

        If one fails, those that this call started are stopped again.
        """
        idle = [server for server in self.servers if server.pid is None]
        try:
            _all_at_once(server.start for server in self.servers)
        except BaseException:
            _all_at_once(server.stop for server in idle)
            raise

    def stop(self) -> None:
        """Stop all three cleanly, at the same time."""
        _all_at_once(server.stop for server in self.servers)

    def __enter__(self) -> Self:
        """Start, for a `with` statement."""
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None) -> None:
        """Stop, whatever happened."""
        self.stop()

    def prepare(self, schemas: Sequence[str] = ("shop",), *, ddl: bool = False) -> None:
        """Create databases on both sides, and the account that `topology` names. Can be repeated."""
        for server in (self.east, self.west):
            with server.connect() as connection:
                with connection.cursor() as cursor:
                    for schema in schemas:
                        cursor.execute(f"CREATE DATABASE IF NOT EXISTS `{schema.replace('`', '``')}`")
                create_accounts(connection, schemas, CONTROL_SCHEMA, ddl=ddl)

    def topology(
        self,
        name: str = "shop",
        *,
        objects: Sequence[str] = ("shop",),
        on_conflict: str = "task_failed",
        directions: Sequence[Mapping[str, Any]] | None = None,
        **more: Any,
    ) -> dict[str, Any]:
        """Give the content of a topology.yaml that fits; `more` replaces top-level keys.

        The default directions carry `objects` both ways.
        """
        default: list[Mapping[str, Any]] = [
            {"from": source, "to": target, "objects": list(objects), "on_conflict": on_conflict}
            for source, target in (("east", "west"), ("west", "east"))
        ]
        return {
            "name": name,
            "kafka": {"bootstrap.servers": self.kafka.bootstrap},
            "topics": {"partitions": 3, "replication_factor": 1},
            "control_schema": CONTROL_SCHEMA,
            "sides": {
                server.name: {
                    "mysql": {"host": server.host, "port": server.port, "user": USER, "password": PASSWORD},
                    "priority": priority,
                }
                for priority, server in enumerate((self.east, self.west), start=1)
            },
            "directions": [dict(direction) for direction in (default if directions is None else directions)],
            **more,
        }


def _all_at_once(calls: Iterable[Callable[[], None]]) -> None:
    """Make all calls in threads and wait for every one; then raise the first error, having shown any others.

    On Ctrl-C too, every call is waited for, so that the caller knows what it has to undo.
    """
    with ThreadPoolExecutor(8) as pool:
        results = [pool.submit(call) for call in calls]
        try:
            wait(results)
        except KeyboardInterrupt:
            say("interrupted; ending what has begun")
            wait(results)
            raise
    errors = [error for error in (result.exception() for result in results) if error is not None]
    for message in {str(error) for error in errors} - {str(error) for error in errors[:1]}:
        say(message)
    if errors:
        raise errors[0]
