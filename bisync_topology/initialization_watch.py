"""What `init` and `up` say while directions initialize: how far they are, as a bar on a terminal, else as lines of the log."""

from __future__ import annotations

import threading
from typing import Any

import structlog
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from bisync_topology.errors import BisyncError, CheckFailed, DirectionFailed
from bisync_topology.status import FAILED, PAUSED, build, initializes
from bisync_topology.status_facts import collect
from bisync_topology.topology import Topology

LOOK_SECONDS = 2.0
SAY_SECONDS = 10.0  # between two lines of the log

log = structlog.get_logger()


class Watch:
    """A thread that looks at the status, and says how far directions are that initialize."""

    def __init__(self, topology: Topology, *, ends: bool = False) -> None:
        """ends: stop everything once they are past it, or one has failed."""
        self._topology = topology
        self._ends = ends
        self.error: BisyncError | None = None
        self._bars = Bars() if ends and Console(stderr=True).is_terminal else None
        self._say_in = 0.0  # seconds

    def begin(self, stop: threading.Event) -> None:
        """Start it, if there is anything to wait for."""
        if self._ends or any(direction.initialize for direction in self._topology.directions):
            threading.Thread(target=self._run, args=(stop,), name="watch", daemon=True).start()

    def _run(self, stop: threading.Event) -> None:
        while not stop.wait(LOOK_SECONDS):
            try:
                status = build(self._topology, collect(self._topology))
            except BisyncError as error:
                log.debug("the status could not be read", error=str(error))
                continue
            if self._look(status):
                break
        if self._bars is not None:
            self._bars.stop()
        if self._ends:
            stop.set()

    def _look(self, status: dict[str, Any]) -> bool:
        """Say how far it is; tells whether it is over."""
        failed = [one for one in status["directions"] if one["state"] == FAILED]
        if failed and self._ends:
            error = failed[0]["error"]
            text = f"{failed[0]['from']} to {failed[0]['to']} has failed: {error['message']}"
            self.error = DirectionFailed(text, code=error["code"], hint=error["hint"])
            return True
        paused = [one for one in status["directions"] if one["state"] == PAUSED and self._initializes(one)]
        if paused and self._ends:
            source, target = paused[0]["from"], paused[0]["to"]
            text = f"{source} to {target} is paused: what it is to initialize is not looked at"
            self.error = CheckFailed(text, hint=f"`bisync-topology resume {source} {target}`, then `init` again")
            return True
        left = [one for one in status["directions"] if initializes(self._topology, status, one)]
        if self._bars is not None:
            self._bars.show(status["directions"])
        else:
            self._say(left)
        if not left and any(one["initialization"]["tables"] for one in status["directions"]):
            log.info("initialized", rows=sum(one["initialization"]["rows_done"] for one in status["directions"]))
        return not left

    def _initializes(self, one: dict[str, Any]) -> bool:
        return bool(self._topology.direction(one["from"], one["to"]).initialize)

    def _say(self, left: list[dict[str, Any]]) -> None:
        self._say_in -= LOOK_SECONDS
        if self._say_in > 0:
            return
        self._say_in = SAY_SECONDS
        for one in left:
            log.info("initializing", direction=f"{one['from']} to {one['to']}", **one["initialization"])


class Bars:
    """A bar a direction, on a terminal."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("rows, {task.fields[tables]} tables, {task.fields[rate]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._tasks: dict[str, TaskID] = {}
        self._progress.start()

    def show(self, directions: list[dict[str, Any]]) -> None:
        """Show how far each is."""
        for one in directions:
            found, name = one["initialization"], f"{one['from']} → {one['to']}"
            if not found["tables"]:
                continue
            if name not in self._tasks:
                self._tasks[name] = self._progress.add_task(name, tables="", rate="")
            task = self._tasks[name]
            speed = next((each.speed for each in self._progress.tasks if each.id == task), None)
            self._progress.update(
                task,
                total=found["rows"],
                completed=found["rows_done"],
                tables=f"{found['tables_done']}/{found['tables']}",
                rate=f"{speed:,.0f} rows/s" if speed else "",
            )

    def stop(self) -> None:
        """Leave the bars as they are."""
        self._progress.stop()
