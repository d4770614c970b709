"""Clients of a Chinook server, in a process of their own: they must not wait for the test that starts, kills and asks.

    python -m faults.chinook_clients PORT CLIENTS TRANSACTIONS_A_SECOND ROWS_OF_PLAY

They write until standard input ends, then the process prints how many transactions were committed, and in how many seconds. What
a constraint, a deadlock or a lock refuses is rolled back and not counted; another one takes its place.
"""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import pymysql
from pymysql.constants import CLIENT, ER

from sandbox.mysql import HOST, MySQLServer

TESTS = Path(__file__).resolve().parents[1]
REFUSED = (ER.DUP_ENTRY, ER.LOCK_WAIT_TIMEOUT, ER.LOCK_DEADLOCK, ER.ROW_IS_REFERENCED_2, ER.NO_REFERENCED_ROW_2)


class ChinookClients:
    """The process, as a test has it."""

    def __init__(self, server: MySQLServer, clients: int, rate: int, rows: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "faults.chinook_clients", *map(str, (server.port, clients, rate, rows))],
            cwd=TESTS, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip

    def end(self) -> tuple[int, float]:
        """Stop them; gives the number of their transactions, and the seconds from the first to the last."""
        said, _ = self._process.communicate(timeout=90)
        assert self._process.returncode == 0, "a client has failed: its error is above"
        transactions, seconds = said.split()
        return int(transactions), float(seconds)


class Client(threading.Thread):
    """Changes, moves of keys and of unique values, inserts and deletes ahead of a copy and behind it."""

    def __init__(self, port: int, seed: int, rate: float, rows: int, stop: threading.Event) -> None:
        super().__init__(name=f"client {seed}")
        self.transactions = 0
        self.failed = False
        self._port = port
        self._random = random.Random(seed)
        self._pause = 1 / rate
        self._rows = rows
        self._stop_asked = stop

    def run(self) -> None:
        """Write until told to end. A transaction that is late is followed by the next at once."""
        try:
            several = CLIENT.MULTI_STATEMENTS
            with pymysql.connect(
                host=HOST, port=self._port, user="root", database="Chinook", charset="utf8mb4", client_flag=several
            ) as connection, connection.cursor() as cursor:  # fmt: skip
                due = time.monotonic() + self._random.uniform(0, self._pause)
                while not self._stop_asked.wait(max(0.0, due - time.monotonic())):
                    statements = (self._statement() for _ in range(self._random.randint(1, 3)))
                    try:
                        cursor.execute("; ".join((*statements, "COMMIT")))
                        while cursor.nextset():
                            pass
                        self.transactions += 1
                        due += self._pause
                    except (pymysql.err.IntegrityError, pymysql.err.OperationalError) as error:
                        if error.args[0] not in REFUSED:
                            raise
                        connection.rollback()
        except BaseException:
            self.failed = True  # and the interpreter prints the error
            raise

    def _statement(self) -> str:
        pick = self._random.randint
        play, other = 2 * pick(1, self._rows), pick(1, 2 * self._rows + 1000)
        track, playlist = pick(1, 3503), pick(1, 18)
        return self._random.choice(
            (
                f"UPDATE Track SET UnitPrice = UnitPrice + 0.01, Composer = UUID() WHERE TrackId = {track}",
                f"UPDATE PlaylistTrack SET TrackId = {pick(1, 3503)} WHERE PlaylistId = {playlist} AND TrackId = {track}",
                f"DELETE FROM PlaylistTrack WHERE PlaylistId = {playlist} AND TrackId = {track}",
                f"INSERT INTO PlaylistTrack VALUES ({playlist}, {track})",
                f"INSERT INTO Artist VALUES ({pick(-5000, 5000)}, UUID())",
                f"DELETE FROM Artist WHERE ArtistId = {pick(-5000, 5000)}",
                f"UPDATE Play SET PlayId = {other} WHERE PlayId = {play}",
                f"UPDATE Play SET Note = CONCAT('note ', {pick(1, 2 * self._rows)}) WHERE PlayId = {play}",
                f"DELETE FROM Play WHERE PlayId = {play}",
                f"INSERT INTO Play VALUES ({other}, {track}, UUID())",
                f"UPDATE sakila.film SET title = UUID() WHERE film_id = {pick(1, 900)}",
            )
        )


def main() -> None:
    """Write until standard input ends."""
    port, clients, rate, rows = map(int, sys.argv[1:])
    stop = threading.Event()
    threads = [Client(port, seed, rate / clients, rows, stop) for seed in range(clients)]
    for thread in threads:
        thread.start()
    began = time.monotonic()
    sys.stdin.read()
    stop.set()
    for thread in threads:
        thread.join()
    if any(thread.failed for thread in threads):
        sys.exit(1)
    print(sum(thread.transactions for thread in threads), time.monotonic() - began)


if __name__ == "__main__":
    main()
