"""A row load beside DDL: both sides write to table `ticking` of a database, on keys of their own, and count what they wrote."""

from __future__ import annotations

import itertools
import threading

from faults.harness import SIDES, Cluster, until

from ddl.stage_ddl import as_app

FIRST_KEYS = {"east": 1_000_000, "west": 2_000_000}
SPAN = 10_000  # rows that one load may write


class Ticking:
    """One client a side, writing while the block runs; each tick inserts a row and changes one, in one transaction."""

    def __init__(self, cluster: Cluster, database: str, *, pause: float = 0.04, first: int = 0) -> None:
        self.cluster = cluster
        self.database = database
        self._pause = pause
        self._first = first
        self.ticks = dict.fromkeys(SIDES, 0)
        self._stop = threading.Event()
        self._errors: list[BaseException] = []
        self._threads = [threading.Thread(target=self._run, args=(side,), daemon=True) for side in SIDES]

    def __enter__(self) -> Ticking:
        """Begin, and wait until both sides have written."""
        for thread in self._threads:
            thread.start()
        self.wait_for(1)
        return self

    def __exit__(self, *error: object) -> None:
        """Let both finish; raises what one of them met."""
        self._stop.set()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive(), "the load does not end"
        if self._errors:
            raise self._errors[0]

    def wait_for(self, more: int) -> None:
        """Wait for so many more ticks of each side."""
        goals = {side: ticks + more for side, ticks in self.ticks.items()}

        def reached() -> bool:
            if self._errors:
                raise self._errors[0]
            return all(self.ticks[side] >= goal for side, goal in goals.items())

        until(reached, f"{more} more ticks", logs=self.cluster.logs)

    def check(self) -> None:
        """Every tick is on both sides, once."""
        for side in SIDES:
            found = {
                str(writer): (int(rows), int(changes))
                for writer, rows, changes in self.cluster.sql(
                    side,
                    f"SELECT side, COUNT(*), SUM(n) FROM `{self.database}`.ticking"
                    " WHERE MOD(id, 1000000) >= %s AND MOD(id, 1000000) < %s GROUP BY side",
                    self._first,
                    self._first + SPAN,
                )
            }
            assert found == {writer: (ticks, ticks) for writer, ticks in self.ticks.items()}, f"{self.database} at {side}"

    def _run(self, side: str) -> None:
        first = FIRST_KEYS[side] + self._first
        try:
            with as_app(self.cluster, side, self.database, autocommit=False) as connection, connection.cursor() as cursor:
                for number in itertools.count():
                    if self._stop.wait(self._pause):
                        break
                    cursor.execute(
                        "INSERT INTO ticking (id, side, note) VALUES (%s, %s, REPEAT('ä', %s))",
                        (first + number, side, number % 40),
                    )
                    cursor.execute("UPDATE ticking SET n = n + 1, note = 'größe' WHERE id = %s", (first + number // 2,))
                    connection.commit()
                    self.ticks[side] = number + 1
        except BaseException as error:  # noqa: BLE001  raised where the block ends
            self._errors.append(error)
