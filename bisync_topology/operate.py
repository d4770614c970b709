"""`pause`, `resume` and `skip`: what users want of a direction, written into its row on both of its sides.

The source's row is the producer's, the target's the applier's. Both sides must be there before anything is written; a command
that is repeated changes nothing more.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

from bisync_topology.control import Control
from bisync_topology.errors import CheckFailed, UsageError
from bisync_topology.ownership import Wanted, now_us
from bisync_topology.sides import direction_rows, open_control
from bisync_topology.topology import Direction, Topology

_GTID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(:[a-z_][a-z0-9_]{0,31})?:[1-9]\d*", re.IGNORECASE)
_PLACE = re.compile(r"[^\s:]+\.\d+:\d+")  # binlog.000003:1234, on a server without GTIDs


def pause(topology: Topology, from_: str, to: str) -> list[str]:
    """Let the direction stop between two transactions; gives what to tell the user. Changes go on being captured."""
    direction = topology.direction(from_, to)
    with _both_rows(topology, direction) as rows:
        for control, _ in rows.values():
            control.execute("set_wanted", "paused", topology.name, from_, to)
    return [f"{direction} is paused; `bisync-topology resume {from_} {to}` goes on with what was captured meanwhile"]


def resume(topology: Topology, from_: str, to: str) -> list[str]:
    """Let the direction go on, also out of the failed state; gives what to tell the user."""
    direction = topology.direction(from_, to)
    with _both_rows(topology, direction) as rows:
        left = [f"{side} had failed: {row.error['message']}" for side, (_, row) in rows.items() if row.error is not None]
        for control, _ in rows.values():
            control.execute("set_wanted", "running", topology.name, from_, to)
            control.execute("set_error", None, topology.name, from_, to)
    if left:
        return [f"{direction} tries again; it fails once more if the cause is still there", *left]
    return [f"{direction} is to run"]


def skip(topology: Topology, from_: str, to: str, gtid: str, reason: str) -> list[str]:
    """Let the direction pass one transaction; gives what to tell the user.

    Raises UsageError for what is no GTID or gives no reason.
    """
    direction = topology.direction(from_, to)
    gtid = normal_gtid(gtid)
    if not reason.strip():
        raise UsageError("a reason is required: it is kept with the skip", hint='--reason "why it may be passed"')
    said = []
    with _both_rows(topology, direction) as rows:
        for side, (control, row) in rows.items():
            if any(normal_gtid(used["gtid"]) == gtid for used in row.skipped if "reset_at" not in used):
                raise CheckFailed(f"{direction} has passed {gtid} already")
            if not any(normal_gtid(known["gtid"]) == gtid for known in row.skips):
                control.execute("add_skip", gtid, reason.strip(), now_us(), topology.name, from_, to)
            said += _after_skip(control, direction, side, row, gtid)
    return [
        f"{direction} passes {gtid}: {reason.strip()}",
        *said,
        "its tables are marked for `bisync-topology verify` once it has been passed",
    ]


def normal_gtid(text: str) -> str:
    """The GTID as it is written everywhere; UsageError for what is none."""
    text = text.strip()
    if _GTID.fullmatch(text):
        return text.lower()
    if _PLACE.fullmatch(text):
        return text
    raise UsageError(
        f"{text!r} is no GTID",
        hint="take it from `bisync-topology status -o json`: uuid:number, uuid:tag:number, or without GTIDs file:position",
    )


def _after_skip(control: Control, direction: Direction, side: str, row: Wanted, gtid: str) -> list[str]:
    """Leave the failed state where it is this transaction's."""
    if row.error is None:
        return []
    named = row.error.get("gtid")
    if named is not None and named.lower() == gtid.lower():
        control.execute("set_error", None, control.topology.name, direction.from_, direction.to)
        return [f"its failed state on {side} is cleared; it goes on behind the transaction"]
    what = f"at {named}" if named else f"with {row.error['message']}"
    return [f"on {side} it has failed {what}: `bisync-topology resume {direction.from_} {direction.to}` is needed too"]


@contextmanager
def _both_rows(topology: Topology, direction: Direction) -> Iterator[Mapping[str, tuple[Control, Wanted]]]:
    """The direction's row on either side. Raises Unreachable, or CheckFailed where `up` has not run."""
    rows: dict[str, tuple[Control, Wanted]] = {}
    with ExitStack() as stack:
        for side in (direction.from_, direction.to):
            control = stack.enter_context(open_control(topology, side))
            rows[side] = control, direction_rows(control)[direction.from_, direction.to]
        yield rows
