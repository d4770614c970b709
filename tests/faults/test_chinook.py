"""A real database and a load generator that nobody here wrote: Chinook loaded at one side while sysbench writes on both."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from pymysql.constants import CLIENT

from faults.compare import assert_equal
from faults.harness import SIDES, Cluster
from sandbox.instances import Sandbox

pytestmark = [pytest.mark.servers, pytest.mark.timeout(600)]

SCRIPT = Path(__file__).parents[3] / "shared" / "data" / "chinook" / "Chinook_MySql.sql"
SCHEMAS = ("Chinook", "bencheast", "benchwest")
SECONDS = int(os.environ.get("BISYNC_TEST_SYSBENCH_SECONDS", "10"))
ROWS = 2000
CHINOOK_ROWS = 15607


@pytest.fixture
def cluster(fault_servers: Sandbox) -> Iterator[Cluster]:
    """Three schemas in scope both ways: Chinook, and one for the load of each side."""
    if not SCRIPT.exists():
        pytest.skip(f"{SCRIPT} is not there: the Chinook sample database for MySQL")
    assert shutil.which("sysbench"), "sysbench is missing: apt-get install sysbench"
    cluster = Cluster(fault_servers, name="chinook")
    cluster.configure(SCHEMAS)
    try:
        yield cluster
    finally:
        cluster.kill_all()


def script_parts() -> tuple[str, str]:
    """(statements that make tables, statements that fill them) of the script; its first INSERT divides them."""
    text = re.sub(r"/\*.*?\*/", "", SCRIPT.read_text(encoding="utf-8-sig"), flags=re.DOTALL)
    begin, fill = text.index("CREATE TABLE"), text.index("INSERT INTO")
    return text[begin:fill], text[fill:]


def run_script(cluster: Cluster, side: str, script: str) -> None:
    """Run statements on a side as one client, in autocommit mode."""
    with (
        cluster.connect(side, database="Chinook", client_flag=CLIENT.MULTI_STATEMENTS) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(script)
        while cursor.nextset():
            pass


def sysbench(cluster: Cluster, side: str, schema: str, command: str, rows: int = ROWS) -> subprocess.Popen[bytes]:
    """Start sysbench on a side, on that side's own schema."""
    server = cluster.server(side)
    return subprocess.Popen(
        [
            "sysbench", "oltp_read_write", f"--mysql-host={server.host}", f"--mysql-port={server.port}", "--mysql-user=bench",
            f"--mysql-db={schema}", "--mysql-ssl=off", "--tables=2", f"--table-size={rows}", "--threads=2", f"--time={SECONDS}",
            "--rand-type=uniform", "--db-ps-mode=disable", "--mysql-ignore-errors=1213,1205", command,
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )  # fmt: skip


def fill(cluster: Cluster, side: str, schema: str) -> None:
    """Fill sysbench's tables of a side."""
    with cluster.connect(side, database=schema) as connection, connection.cursor() as cursor:
        for table in ("sbtest1", "sbtest2"):
            rows = ",".join(f"({n}, {n * 7 % ROWS}, '{n:0120d}', '{n:060d}')" for n in range(1, ROWS + 1))
            cursor.execute(f"INSERT INTO {table} (id, k, c, pad) VALUES {rows}")


def finish(running: subprocess.Popen[bytes]) -> str:
    """Wait for sysbench; gives what it printed."""
    output, _ = running.communicate(timeout=300)
    assert running.returncode == 0, output.decode()
    return output.decode()


def test_chinook_and_sysbench(cluster: Cluster) -> None:
    """Both sides end equal, column by column in bytes."""
    structure, data = script_parts()
    for side in SIDES:
        with cluster.connect(side) as connection, connection.cursor() as cursor:
            cursor.execute("CREATE USER IF NOT EXISTS bench@'127.0.0.1' IDENTIFIED BY ''")
            cursor.execute("GRANT ALL ON *.* TO bench@'127.0.0.1'")
        run_script(cluster, side, structure)
        for schema in SCHEMAS[1:]:  # its tables are made on both sides, and filled through us on the other one
            finish(sysbench(cluster, side, schema, "prepare", rows=0))
    cluster.start()
    for side, schema in zip(SIDES, SCHEMAS[1:], strict=True):
        fill(cluster, side, schema)
    loads = [sysbench(cluster, side, schema, "run") for side, schema in zip(SIDES, SCHEMAS[1:], strict=True)]
    run_script(cluster, "east", data)
    printed = [finish(load) for load in loads]
    cluster.wait(300)
    assert all("transactions:" in text for text in printed)
    assert assert_equal(cluster, *SCHEMAS) >= CHINOOK_ROWS + 4 * ROWS
    cluster.stop()
