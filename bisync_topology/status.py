"""`status`: what a user needs to know of each direction and process. Pure: facts in (status_facts.py), the JSON out.

A direction's state is the first of these that holds: failed, paused, stopped, initializing, syncing. What is not known, as its
server or the broker cannot be reached, is null.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bisync_topology.errors import Unreachable, rule_for, words
from bisync_topology.initialization import LEFT, CopiedTable, figures
from bisync_topology.ownership import Wanted, waits_out
from bisync_topology.process import VERIFIER
from bisync_topology.status_facts import Applied, ProcessRow, SideStatus, StatusFacts
from bisync_topology.supervisor_report import NAME as SUPERVISOR
from bisync_topology.times import utc
from bisync_topology.topology import Direction, Step, Topology

SILENT_SECONDS = 15.0  # a process that has not written its row for as long is not there
INITIALIZING, SYNCING, PAUSED, FAILED, STOPPED = "initializing", "syncing", "paused", "failed", "stopped"
UNKNOWN = "unknown"  # a process whose side cannot be reached
_NOTHING = Applied(
    sequence=0, gtid="", committed_at=0, barrier=0, transactions=0, rows=0, dropped_own_origin=0, conflicts=0
)  # before the first transaction


def build(topology: Topology, facts: StatusFacts) -> dict[str, Any]:
    """Give the object of `status -o json`; its form is fixed in interface.md."""
    return {
        "topology": topology.name,
        "directions": [_direction(direction, facts) for direction in topology.directions],
        "processes": list(_processes(topology, facts)),
        "verification": _verification(facts),
    }


def _verification(facts: StatusFacts) -> dict[str, Any] | None:
    """What `verify` found last in the background; None: it has not run, or its side cannot be reached."""
    first = next(iter(facts.sides.values()))
    row = None if isinstance(first, Exception) else first.processes.get(VERIFIER)
    return None if row is None or "at" not in row.detail else {**row.detail, "at": utc(row.detail["at"])}


def initializes(topology: Topology, status: Mapping[str, Any], one: Mapping[str, Any]) -> bool:
    """Whether a direction, as `build` gives it, is not past its initialization: its applier, once it runs, knows of it."""
    if not topology.direction(one["from"], one["to"]).initialize:
        return False
    applier = next(each for each in status["processes"] if each["name"] == f"applier {one['to']}")
    return one["state"] == INITIALIZING or applier["state"] not in ("running", "paused")


def left_to_initialize(topology: Topology, status: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(from, to) of the directions that have not copied everything, or failed, which may be why."""
    return [
        (one["from"], one["to"])
        for one in status["directions"]
        if topology.direction(one["from"], one["to"]).initialize
        and (one["state"] in (INITIALIZING, FAILED) or one["initialization"]["tables_done"] < one["initialization"]["tables"])
    ]


def exit_status(status: Mapping[str, Any]) -> int:
    """0, or 3 when a direction has failed."""
    return 3 if any(direction["state"] == FAILED for direction in status["directions"]) else 0


def standing(status: Mapping[str, Any], source: str, target: str) -> str:
    """Say in a few words where a direction stands, and whom it waits for."""
    one = next(each for each in status["directions"] if (each["from"], each["to"]) == (source, target))
    names = (f"producer {source}", f"applier {target}")
    concerned = [
        each for each in status["processes"] if each["name"] in names and (each["state"] != "running" or "repeats" in each)
    ]
    parts = [one["state"]]
    if one["lag_events"]:
        parts.append(f"{one['lag_events']} transactions behind")
    if one["lag_seconds"]:
        parts.append(f"by {one['lag_seconds']:.1f} s")
    parts += [f"{each['name']} {_does(each)}" for each in concerned]
    return ", ".join(parts)


def _does(process: Mapping[str, Any]) -> str:
    if "repeats" in process:
        return f"repeats a transaction: {process['repeats']['waits_for']}"
    return f"is {process['state']}" + (f" for: {process['detail']}" if "detail" in process else "")


def unreached(topology: Topology, facts: StatusFacts) -> list[str]:
    """A line for each server that did not answer. Raises the first one's error when no side did."""
    lines = []
    errors: list[Exception] = []
    for side, found in facts.sides.items():
        if isinstance(found, Exception):
            mysql = topology.sides[side].mysql
            lines.append(f"{side} ({mysql.host}:{mysql.port}): {words(found)}")
            errors.append(found)
    if len(errors) == len(facts.sides):
        first = errors[0]
        if waits_out(first):
            raise Unreachable("no side can be reached: " + "; ".join(lines), hint=rule_for(first).advice) from first
        raise first
    if isinstance(facts.sequences, Exception):
        lines.append(words(facts.sequences))
    return lines


def _direction(direction: Direction, facts: StatusFacts) -> dict[str, Any]:
    source, target = facts.sides[direction.from_], facts.sides[direction.to]
    known = isinstance(target, SideStatus)
    applied = (target.applied.get(direction.from_) or _NOTHING) if isinstance(target, SideStatus) else _NOTHING
    lag_events = _lag_events(direction, facts, applied) if known else None
    error = _error(direction, source, target)
    return {
        "from": direction.from_,
        "to": direction.to,
        "state": FAILED if error is not None else _state(direction, facts, applied),
        "lag_seconds": _lag_seconds(direction, facts, applied, lag_events),
        "lag_events": lag_events,
        "applied_transactions": applied.transactions if known else None,
        "applied_rows": applied.rows if known else None,
        "dropped_own_origin": applied.dropped_own_origin if known else None,
        "conflicts": applied.conflicts if known else None,
        "last_applied": _last(applied) if applied.sequence else None,
        "initialization": figures(_copied(direction, target)),
        "error": error,
    }


def _copied(direction: Direction, target: SideStatus | Exception) -> Sequence[CopiedTable]:
    """The tables whose rows are copied, where the direction does that."""
    if isinstance(target, Exception) or Step.DATA not in direction.initialize:
        return ()
    return target.copied.get((direction.from_, direction.to), ())


def _last(applied: Applied) -> dict[str, Any]:
    return {"sequence": applied.sequence, "gtid": applied.gtid, "committed_at": utc(applied.committed_at)}


def _error(direction: Direction, *sides: SideStatus | Exception) -> dict[str, Any] | None:
    """The error of the direction's row at its source (capture) or its target (apply)."""
    for side in sides:
        row = _row(direction, side)
        if row is not None and row.error is not None:
            return {key: row.error.get(key) for key in ("code", "message", "hint", "conflict_id", "gtid")}
    return None


def _row(direction: Direction, side: SideStatus | Exception) -> Wanted | None:
    return None if isinstance(side, Exception) else side.wanted.get((direction.from_, direction.to))


def _state(direction: Direction, facts: StatusFacts, applied: Applied) -> str:
    source, target = facts.sides[direction.from_], facts.sides[direction.to]
    row = _row(direction, target) or _row(direction, source)
    producer, applier = _process_state(source, f"producer {direction.from_}"), _process_state(target, f"applier {direction.to}")
    if row is not None and row.paused and applier != "running":  # it pauses at the end of what it is writing
        return PAUSED
    if STOPPED in (producer, applier):
        return STOPPED
    made = isinstance(target, SideStatus) and target.processes[f"applier {direction.to}"].detail.get("initializing")
    copied = _copied(direction, target)
    if made or any(table.state in LEFT for table in copied) or _is_to_look(direction, applier, copied):
        return INITIALIZING
    begun = not isinstance(facts.sequences, Exception) and direction.from_ in facts.sequences
    return SYNCING if applied is not _NOTHING or begun else INITIALIZING


def _is_to_look(direction: Direction, applier: str, copied: Sequence[CopiedTable]) -> bool:
    """Whether the applier has not got to look for what it is to initialize: it has just started, or never got that far."""
    return bool(direction.initialize) and (
        applier == "starting" or (Step.DATA in direction.initialize and not copied and applier != "running")
    )


def _process_state(side: SideStatus | Exception, process: str) -> str:
    """What a process last said of itself; stopped where nothing is known of it, or was not heard of for a while."""
    if isinstance(side, Exception):
        return STOPPED
    row = side.processes.get(process)
    return row.state if row is not None and _fresh(side, row) else STOPPED


def _fresh(side: SideStatus, row: ProcessRow) -> bool:
    return side.now - row.seen_at < SILENT_SECONDS * 1_000_000


def _lag_events(direction: Direction, facts: StatusFacts, applied: Applied) -> int | None:
    if isinstance(facts.sequences, Exception):
        return None
    return max(0, facts.sequences.get(direction.from_, 0) - applied.sequence)


def _lag_seconds(direction: Direction, facts: StatusFacts, applied: Applied, lag_events: int | None) -> float | None:
    """Since the oldest transaction that is not applied was committed; 0 when there is none."""
    if lag_events == 0:
        return 0.0
    since = facts.oldest.get((direction.from_, direction.to)) or applied.committed_at
    clocks = [side.now for side in (facts.sides[direction.from_], facts.sides[direction.to]) if not isinstance(side, Exception)]
    if lag_events is None or not since or not clocks:
        return None
    return round(max(0, clocks[0] - since) / 1_000_000, 3)


def _processes(topology: Topology, facts: StatusFacts) -> Iterator[dict[str, Any]]:
    for side, found in facts.sides.items():
        expected = [f"producer {side}"] * bool(topology.directions_from(side))
        expected += [f"applier {side}"] * bool(topology.directions_into(side))
        if isinstance(found, Exception):
            yield from ({"name": name, "state": UNKNOWN, "pid": None, "restarts": None} for name in expected)
            continue
        for name in expected:
            row = found.processes.get(name)
            yield _process(name, row, row is not None and _fresh(found, row))
    first = next(iter(facts.sides.values()))
    if isinstance(first, SideStatus) and (supervisor := first.processes.get(SUPERVISOR)) is not None:
        yield _process(SUPERVISOR, supervisor, _has_children(supervisor, facts))


def _process(name: str, row: ProcessRow | None, alive: bool) -> dict[str, Any]:
    if row is None:
        return {"name": name, "state": STOPPED, "pid": None, "restarts": 0}
    state = row.state if alive else STOPPED
    pid = None if state == STOPPED else row.pid
    process: dict[str, Any] = {"name": name, "state": state, "pid": pid, "restarts": row.restarts}
    if state == "running" and (told := {name: row.detail[name] for name in ("ddl", "held", "repeats") if row.detail.get(name)}):
        return {**process, **told}
    waits_for = row.detail.get("waits_for") if state == "waiting" else None
    return {**process, "detail": str(waits_for)} if waits_for else process


def _has_children(supervisor: ProcessRow, facts: StatusFacts) -> bool:
    """Whether `up` is there: it does not write every few seconds, its children do, and they end with it."""
    children = {(supervisor.host, pid) for pid in supervisor.detail.get("children", {}).values() if pid is not None}
    return any(
        (row.host, row.pid) in children and row.state != STOPPED and _fresh(side, row)
        for side in facts.sides.values()
        if isinstance(side, SideStatus)
        for row in side.processes.values()
    )
