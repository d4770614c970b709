"""`conflicts resolve`: what somebody decides about pending conflicts, stored in their rows until `resume` has it applied.

It commits at once, and nothing else happens: the applier reads it when the direction goes on (consumers/records.py).
"""

from __future__ import annotations

from dataclasses import replace

from bisync_topology.conflicts import Filter, find, like, parse_id, read
from bisync_topology.errors import CheckFailed
from bisync_topology.scope import UnionScope, splits
from bisync_topology.sides import check_sides, open_control
from bisync_topology.topology import Topology


def resolve_one(topology: Topology, identity: str, use: str) -> list[str]:
    """Store what is to be done about one conflict; gives what to tell the user.

    use: source or target. Raises UsageError for what is no id, CheckFailed where there is nothing to decide, Unreachable.
    """
    side, number = parse_id(topology, identity)
    if use == "target":
        conflict = read(topology, identity)
        if conflict["decision"] == "pending":
            _check_way_back(topology, side, conflict["table"])
    if _store(topology, side, Filter(), use, number):
        return [f"{identity}: {use}; {_resume(topology, side)} applies it"]
    conflict = read(topology, identity)
    if conflict["decision"] == "pending":
        raise CheckFailed(
            f"conflict {identity} is of a stream that was begun anew since: nothing applies it any more",
            hint="make both sides alike by hand, where they are not",
        )
    raise CheckFailed(
        f"conflict {identity} is settled already: {conflict['decision']}",
        hint=f"to have it otherwise, change the row at {conflict['from']} and {conflict['to']} by hand. "
        "`bisync-topology conflicts list --decision pending` has what can be resolved",
    )


def resolve_all(topology: Topology, wanted: Filter, use: str) -> list[str]:
    """Store the same about all pending conflicts that fit; gives what to tell the user.

    Of the filter, decisions and limit are not heeded. Raises UsageError, CheckFailed where none fits, Unreachable.
    """
    check_sides(topology, wanted.from_, wanted.to)
    if use == "target":
        for conflict in find(topology, replace(wanted, decisions=("pending",), limit=0)):
            _check_way_back(topology, conflict["to"], conflict["table"])
    stored = {side: _store(topology, side, wanted, use, 0) for side in topology.sides if wanted.to in (None, side)}
    if not any(stored.values()):
        raise CheckFailed(
            "no pending conflict fits", hint="`bisync-topology conflicts list --decision pending` has those that there are"
        )
    return [f"{number} stored: {use}; {_resume(topology, side)} applies them" for side, number in stored.items() if number]


def _check_way_back(topology: Topology, side: str, table: str) -> None:
    """Raise CheckFailed where no direction carries the target's rows to the source, which is to have them."""
    scope = UnionScope(topology.directions_from(side), control_schema=topology.control_schema)
    if not any(scope.includes(*name) for name in splits(table)):
        raise CheckFailed(
            f"no direction carries {table} from {side}, so that its rows cannot be sent back",
            hint=f"change the row at {topology.other(side)} by hand, in a session with `SET sql_log_bin = 0`, to what {side} has;"
            f" then `bisync-topology skip` passes the transaction",
        )


def _store(topology: Topology, side: str, wanted: Filter, use: str, number: int) -> int:
    """Store it on one side; gives how many conflicts it is about. number: of one of them, 0 for all that fit."""
    source = topology.other(side)
    if wanted.from_ not in (None, source):
        return 0
    pattern, types = like(wanted.table), ",".join(wanted.types)
    with open_control(topology, side) as control:
        streams = {row[0]: row[1] for row in control.execute("read_applied", topology.name)}
        if source not in streams:
            return 0
        return control.matched(
            "resolve_conflicts",
            use,
            topology.name,
            source,
            streams[source],
            *2 * (number,),
            *2 * (pattern,),
            *2 * (types,),
        )


def _resume(topology: Topology, side: str) -> str:
    return f"`bisync-topology resume {topology.other(side)} {side}`"
