"""Scenarios: which there are, and how a script of one is played."""

from __future__ import annotations

from pathlib import Path

from faults.harness import Cluster
from pymysql.constants import CLIENT

HERE = Path(__file__).parent
SCHEMA = "scenario"


def scenarios() -> list[str]:
    """The folders beside this file."""
    return sorted(path.parent.name for path in HERE.glob("*/before.sql"))


def play(cluster: Cluster, side: str, script: Path) -> None:
    """Run a script's statements on a side as one client."""
    if not script.exists():
        return
    with (
        cluster.connect(side, database=SCHEMA, client_flag=CLIENT.MULTI_STATEMENTS) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(script.read_text(encoding="utf-8"))
        while cursor.nextset():
            pass
