"""Ids of what is on record at a side, as users type them: `west-17`. Pure."""

from __future__ import annotations

import re

from bisync_topology.errors import UsageError
from bisync_topology.topology import Topology

_ID = re.compile(r"(.+)-([1-9]\d*)")


def parse_id(topology: Topology, identity: str, *, what: str, lister: str) -> tuple[str, int]:
    """`west-17` → (west, 17). what, lister: of what it is an id, and the command that lists them. Raises UsageError."""
    match = _ID.fullmatch(identity)
    if match is None or match[1] not in topology.sides:
        raise UsageError(f"{identity!r} is no id of {what}", hint=f"`bisync-topology {lister}` has them: west-17")
    return match[1], int(match[2])
