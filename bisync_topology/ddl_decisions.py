"""`ddl approve` and `ddl skip`: what somebody decides about a held statement, stored in its row.

It commits at once, and nothing else happens: the applier acts on it within seconds, and when a failed direction is resumed.
"""

from __future__ import annotations

from typing import Any

from bisync_topology.ddl_records import LIST, read_row
from bisync_topology.errors import CheckFailed, UsageError
from bisync_topology.record_ids import parse_id
from bisync_topology.sides import direction_rows, open_control
from bisync_topology.topology import Topology

_REASON = "\nreason to skip: "  # between why it is held and why it is to be skipped


def decide(topology: Topology, identity: str, decision: str, reason: str = "") -> list[str]:
    """Store it; gives what to tell the user. decision: approve or skip.

    Raises UsageError for what is no id or is not held, CheckFailed where there is none or nothing acts on it, Unreachable.
    """
    side, number = parse_id(topology, identity, what="a DDL", lister=LIST)
    with open_control(topology, side) as control:
        row = read_row(control, number, identity)
        source = row["source_side"]
        if row["state"] == "held":
            streams = {applied[0]: applied[1] for applied in control.execute("read_applied", topology.name)}
            if streams.get(source) != row["stream"]:
                raise CheckFailed(
                    f"{identity} is of a stream that was begun anew since: nothing acts on it any more",
                    hint=f"run by hand at {side} what is wanted of it",
                )
            if control.matched("decide_ddl", decision, noted(row["why"], reason), topology.name, number):
                wanted = direction_rows(control)[source, side]
                return said(identity, decision, source, side, failed=wanted.error is not None, paused=wanted.paused)
            row = read_row(control, number, identity)  # the applier was faster
    raise UsageError(f"{identity} is {states(row)}", hint=hint(row, identity, side))


def noted(why: str, reason: str) -> str:
    """Why it is held, and behind it why it is to be skipped; what was said before about that is replaced."""
    held = why.partition(_REASON)[0]
    return f"{held}{_REASON}{reason.strip()}" if reason.strip() else held


def said(identity: str, decision: str, source: str, side: str, *, failed: bool, paused: bool) -> list[str]:
    """What to tell the user, who may have to let the direction go on."""
    does = f"runs it at {side}" if decision == "approve" else f"passes it; do by hand at {side} what is wanted of it"
    resume = f"`bisync-topology resume {source} {side}`"
    if failed or paused:
        return [f"{identity}: {decision}; {source} to {side} {'has failed' if failed else 'is paused'}: {resume} {does}"]
    return [f"{identity}: {decision}; applier {side} {does} within seconds: `bisync-topology ddl show {identity}`"]


def states(row: dict[str, Any]) -> str:
    """Its state in words, for one that cannot be decided about."""
    words = {"running": "being applied", "ignored": "not applied: it is of a kind that is not carried"}
    words |= {"drift": "recorded as drift", "applied": "applied already", "skipped": "skipped already"}
    return f"{words.get(row['state'], row['state'])}; only a held one can be decided about"


def hint(row: dict[str, Any], identity: str, side: str) -> str:
    """What to do in place of it."""
    match row["state"]:
        case "running":
            return f"`bisync-topology ddl show {identity}` and `bisync-topology status` say how it goes"
        case "applied":
            return f"to undo it, run at {row['source_side']} the statement that does"
        case "drift":
            wanted = f"`ddl: true` of {row['source_side']} to {side} carries later ones"
            return f"run it by hand at {side}, if it is wanted there; {wanted}"
        case _:
            return f"run it by hand at {side}, if it is wanted there"
