"""What the configuration allows but this version does not do yet. Refused by name, rather than left undone in silence."""

from __future__ import annotations

from collections.abc import Iterator

from bisync_topology.errors import UsageError
from bisync_topology.topology import Step, Topology


def check_built(topology: Topology) -> None:
    """Raise UsageError where the topology has such settings."""
    problems = list(unbuilt(topology))
    if problems:
        raise UsageError("this version cannot run the topology:\n" + "\n".join(f"  {problem}" for problem in problems))


def unbuilt(topology: Topology) -> Iterator[str]:
    """Give a line for each such setting: its place, and what to set instead."""
    for number, direction in enumerate(topology.directions):
        if Step.DATA in direction.initialize:
            left = ", ".join(step for step in direction.initialize if step is not Step.DATA)
            at = f"directions[{number}]"
            yield f"{at}.initialize: data is not built yet; set it to [{left}] and load both sides alike first"
