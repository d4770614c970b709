"""A conflict as JSON: what a program reads, and how a record of bounded size keeps what matters."""

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from bisync_topology.conflict_json import conflict_json, encoded
from bisync_topology.conflicts import show_one

SMALLEST = 1000  # of `topics.max_message_bytes`
ROOM = 256  # beside the value
TEXTS = st.sampled_from(["", "x", "ü€😀", '"\\', "x" * 300, "x" * 70_000, "ж" * 20_000])
ROWS = st.dictionaries(st.sampled_from(["id", "v", "ü", "a b"]), TEXTS, max_size=4)


def row(before: Any, incoming: Any, local: list[Any], **more: Any) -> dict[str, Any]:
    """A row of the table as it comes from the binlog."""
    texts = {"row_key": json.dumps({"id": 7}), "local_rows": json.dumps(local)}
    images = {"before_image": before, "incoming_image": incoming}
    return {
        **{"id": 17, "topology": "shop", "at": 1_700_000_000_123_456, "source_side": "east", "target_side": "west"},
        **{"table_name": "shop.orders", "type": "update_differs", "policy": "task_failed", "decision": "pending"},
        **{
            "stream": "s",
            "sequence": 5,
            "event_order": 0,
            "gtid": "u:7",
            "committed_at": 1_700_000_000_000_001,
            "list_offset": 9,
        },
        **texts,
        **{name: None if image is None else json.dumps(image) for name, image in images.items()},
        **more,
    }


def test_fields() -> None:
    """Those of the interface, in its order; a row that was logged before there were resolutions has none."""
    found = conflict_json(row({"id": 7, "v": "ü"}, None, [{"id": 7, "v": None}]))
    assert found == {
        "id": "west-17",
        "at": "2023-11-14T22:13:20.123456Z",
        "from": "east",
        "to": "west",
        "table": "shop.orders",
        "key": {"id": 7},
        "type": "update_differs",
        "policy": "task_failed",
        "decision": "pending",
        "before": {"id": 7, "v": "ü"},
        "incoming": None,
        "local": [{"id": 7, "v": None}],
        "gtid": "u:7",
        "offset": 9,
        "committed_at": "2023-11-14T22:13:20.000001Z",
        "resolution": None,
    }
    assert conflict_json(row(None, {}, [], resolution="source"))["resolution"] == "source"
    assert json.loads(encoded(found, 10_000)) == found


@given(
    st.none() | ROWS,
    st.none() | ROWS,
    st.lists(ROWS, max_size=3),
    st.sampled_from([SMALLEST, 2000, 40_000, 300_000]),
)
def test_any_conflict_fits(before: Any, incoming: Any, local: list[Any], most: int) -> None:
    """Whatever the rows: the record is in bounds, says whether it is clipped, and everything but the rows is whole."""
    conflict = conflict_json(row(before, incoming, local))
    value = encoded(conflict, most - ROOM)
    assert len(value) <= most - ROOM
    found = json.loads(value)
    whole = json.dumps(conflict, ensure_ascii=False, separators=(",", ":")).encode()
    assert found.pop("clipped", False) is (len(whole) > most - ROOM)
    images = ("before", "incoming", "local")
    assert {name: each for name, each in found.items() if name not in images} == {
        name: each for name, each in conflict.items() if name not in images
    }


def test_what_is_clipped_first() -> None:
    """Values are shortened before a row is left out, and say how long they were."""
    conflict = conflict_json(row({"id": 7, "v": "x" * 60_000}, {"id": 7, "v": "short"}, [{"id": 7, "v": "y" * 5000}]))
    found = json.loads(encoded(conflict, 10_000))
    assert found["before"] == {"id": 7, "v": "x" * 4096 + "… (60000 characters)"}
    assert found["incoming"] == {"id": 7, "v": "short"} and found["local"][0]["v"].startswith("yyy") and found["clipped"] is True


@pytest.mark.parametrize(
    ("decision", "resolution", "said", "unsaid"),
    [
        ("pending", None, ["conflicts resolve west-17 --use source", "--use target", "resume east west", "skip east west"], []),
        ("pending", "source", ["not applied yet: source", "resume east west", "--use target"], ["--use source", "skip"]),
        ("target", "target", ["target"], ["resolve", "resume"]),
    ],
)
def test_what_show_says_to_do(decision: str, resolution: str | None, said: list[str], unsaid: list[str]) -> None:
    """Of a pending one the commands that lead out, of a decided one what is stored; of a settled one nothing."""
    console = Console(width=80, highlight=False, record=True, file=io.StringIO())
    show_one(conflict_json(row(None, {"id": 7}, [], decision=decision, resolution=resolution)), console)
    text = console.export_text()
    assert all(words in text for words in said)
    assert not any(words in text for words in unsaid)
