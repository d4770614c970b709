"""What the configuration allows but this version does not do yet. Refused by name, rather than left undone in silence."""

from __future__ import annotations

from collections.abc import Iterator

from bisync_topology.errors import UsageError
from bisync_topology.topology import Topology


def check_built(topology: Topology) -> None:
    """Raise UsageError where the topology has such settings."""
    problems = list(unbuilt(topology))
    if problems:
        raise UsageError("this version cannot run the topology:\n" + "\n".join(f"  {problem}" for problem in problems))


def unbuilt(topology: Topology) -> Iterator[str]:
    """Give a line for each such setting: its place, and what to set instead."""
    policy = "is not built yet; set on_conflict to task_failed, ignore or overwrite"
    for number, direction in enumerate(topology.directions):
        at = f"directions[{number}]"
        if direction.initialize:
            steps = ", ".join(direction.initialize)
            yield f"{at}.initialize: [{steps}] is not built yet; set it to [] and create the tables on both sides first"
        if direction.on_conflict.converges:
            yield f"{at}.on_conflict: {direction.on_conflict} {policy}"
        for name, settings in direction.tables.items():
            if settings.on_conflict is not None and settings.on_conflict.converges:
                yield f"{at}.tables[{name}].on_conflict: {settings.on_conflict} {policy}"
            for key in ("version_column", "delta_columns"):
                if getattr(settings, key):
                    yield f"{at}.tables[{name}].{key}: is not built yet; take it out"
