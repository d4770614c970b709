"""A conflict on record as JSON: an element of `conflicts list -o json`, and the value of a record of `<name>.conflicts`. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from bisync_topology.times import utc

IMAGES = ("before", "incoming")
_SHORTER = (4096, 256, 32)  # characters that a value keeps of more
CLIPPED = "clipped"  # the field that says so


def conflict_json(row: Mapping[str, Any]) -> dict[str, Any]:
    """What `row` holds, a row of the table `conflicts` by the names of its columns; its JSON columns are text."""
    return {
        "id": f"{row['target_side']}-{row['id']}",
        "at": utc(row["at"]),
        "from": row["source_side"],
        "to": row["target_side"],
        "table": row["table_name"],
        "key": json.loads(row["row_key"]),
        "type": row["type"],
        "policy": row["policy"],
        "decision": row["decision"],
        "before": _image(row["before_image"]),
        "incoming": _image(row["incoming_image"]),
        "local": json.loads(row["local_rows"]),
        "gtid": row["gtid"],
        "offset": row["list_offset"],
        "committed_at": utc(row["committed_at"]),
        "resolution": row.get("resolution"),  # a row that was logged before there was one has none
    }


def _image(text: str | None) -> dict[str, Any] | None:
    image: dict[str, Any] | None = None if text is None else json.loads(text)
    return image


def encoded(conflict: Mapping[str, Any], most: int) -> bytes:
    """The conflict in at most so many bytes: what is too long is clipped in its rows, which `clipped` then says.

    Values first, then rows beyond the first one here, at last all rows. Everything else stays.
    """
    value = _encode(conflict)
    if len(value) <= most:
        return value
    for length in _SHORTER:
        for rows in (len(conflict["local"]), 1):
            value = _encode(_clipped(conflict, length, rows))
            if len(value) <= most:
                return value
    key = _clip(conflict["key"], _SHORTER[-1])
    return _encode({**conflict, "key": key, "before": None, "incoming": None, "local": [], CLIPPED: True})


def _encode(conflict: Mapping[str, Any]) -> bytes:
    return json.dumps(conflict, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def _clipped(conflict: Mapping[str, Any], length: int, rows: int) -> dict[str, Any]:
    images = {name: _clip(conflict[name], length) for name in ("key", *IMAGES)}
    return {**conflict, **images, "local": [_clip(row, length) for row in conflict["local"][:rows]], CLIPPED: True}


def _clip(row: Mapping[str, Any] | None, length: int) -> dict[str, Any] | None:
    if row is None:
        return None
    long = {name: value for name, value in row.items() if isinstance(value, str) and len(value) > length}
    return {**row, **{name: f"{value[:length]}… ({len(value)} characters)" for name, value in long.items()}}
