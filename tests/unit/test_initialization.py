"""Which tables a direction copies, how far it is, and what a row that is not copied yet means for a change. No server."""

from __future__ import annotations

from typing import Any

from bisync_topology.initialization import COPYING, DONE, GONE, SKIPPED, WAITING, CopiedTable, copied_elsewhere, figures
from bisync_topology.topology import Policy, Topology
from consumers.conflict import Decision, Insert, LocalRow, Rules, decide
from schemas.records import RowEvent


def topology(east: dict[str, Any], west: dict[str, Any]) -> Topology:
    """Two directions with these keys, east's first."""
    return Topology.model_validate(
        {
            "name": "shop",
            "kafka": {"bootstrap.servers": "127.0.0.1:9092"},
            "sides": {
                name: {"mysql": {"host": "127.0.0.1", "port": port, "user": "bisync", "password": "x"}}
                for name, port in (("east", "3306"), ("west", "3307"))
            },
            "directions": [{"from": "east", "to": "west", **east}, {"from": "west", "to": "east", **west}],
        }
    )


def test_the_first_listed_direction_copies_a_table() -> None:
    """Of two that both do; a direction that copies nothing takes nothing away."""
    both = topology({"objects": ["shop"], "initialize": ["data"]}, {"objects": ["shop", "log"], "initialize": ["data"]})
    first, second = both.directions
    assert copied_elsewhere(both, first, "shop", "t") is None
    assert copied_elsewhere(both, second, "shop", "t") is first
    assert copied_elsewhere(both, second, "log", "t") is None
    one = topology({"objects": ["shop"]}, {"objects": ["shop"], "initialize": ["data"]})
    assert copied_elsewhere(one, one.directions[1], "shop", "t") is None


def test_figures_count_what_is_copied_here() -> None:
    """Rows are about as many as the server says, until they are counted; never fewer than are copied."""
    tables = [
        CopiedTable(name=("shop", state), state=state, rows=rows, rows_done=done)
        for state, rows, done in ((WAITING, 10, 0), (COPYING, 10, 15), (DONE, 10, 8), (SKIPPED, 99, 0), (GONE, 99, 5))
    ]
    assert figures(tables) == {"tables": 3, "tables_done": 1, "rows": 33, "rows_done": 23}
    assert figures([]) == {"tables": 0, "tables_done": 0, "rows": 0, "rows_done": 0}


def test_a_row_that_is_not_copied_yet_is_no_conflict() -> None:
    """Its update is put as the row is behind it, its delete is nothing; rows that are there are judged as ever."""
    rules = Rules(Policy.TASK_FAILED, initializing=True)
    update, delete = RowEvent(1, 0, "u", (1, 1), (1, 2)), RowEvent(1, 0, "d", (1, 1), None)
    assert decide(update, (), rules) == Decision(None, "source", (Insert((1, 2)),), clean=True)
    assert decide(delete, (), rules) == Decision(None, "source", (), clean=True)
    other = LocalRow((1, 9), at_before=True, at_after=True)
    assert decide(update, (other,), rules).decision == "pending"
    assert decide(delete, (other,), rules).decision == "pending"
    assert decide(update, (), rules._replace(initializing=False)).type is not None
