"""What `up` says of itself in the first side's `processes`: written when a child comes or goes, not every few seconds.

A thread of its own writes, so that a server which is away holds nobody up. Whether the row is still true is told by its
children's rows, which are written all the time: see `status.py`.
"""

from __future__ import annotations

import threading

import pymysql.err
import structlog

from bisync_topology.control import Control
from bisync_topology.mysql import connect
from bisync_topology.ownership import Report, now_us, report_process
from bisync_topology.topology import Topology

NAME = "supervisor"
_RETRY_SECONDS = 5.0
_LAST_SECONDS = 3.0  # for the last word at the end

log = structlog.get_logger()


class SupervisorReport:
    """Name of each child → its pid, None while it is to be started again."""

    def __init__(self, topology: Topology, stop: threading.Event) -> None:
        self._topology = topology
        self._mysql = next(iter(topology.sides.values())).mysql
        self._stop = stop
        self._started_at = now_us()
        self._changed = threading.Event()
        self._children: dict[str, int | None] = {}
        threading.Thread(target=self._write_changes, name="report", daemon=True).start()

    @property
    def children(self) -> dict[str, int | None]:
        """What was last said."""
        return self._children

    @children.setter
    def children(self, children: dict[str, int | None]) -> None:
        self._children = children
        self._changed.set()

    def close(self) -> None:
        """Say that it ends, if the server is there to be told."""
        last = threading.Thread(target=self._write, args=("stopped",), daemon=True)
        last.start()
        last.join(_LAST_SECONDS)

    def _write_changes(self) -> None:
        while self._changed.wait() and not self._stop.is_set():
            self._changed.clear()
            while not self._write("running") and not self._stop.wait(_RETRY_SECONDS):
                pass

    def _write(self, state: str) -> bool:
        report = Report(state=state, detail={"children": self._children if state == "running" else {}})
        try:
            with connect(self._mysql) as connection:
                report_process(Control(connection, self._topology), NAME, report, started_at=self._started_at)
        except (pymysql.err.MySQLError, OSError) as error:
            log.debug("the supervisor's row could not be written", error=str(error))
            return False
        return True
