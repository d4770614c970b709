"""`ddl list` and `ddl show`: the DDL on record on either side, as `interface.md` has it and for people."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bisync_topology.errors import CheckFailed
from bisync_topology.record_ids import parse_id
from bisync_topology.sides import SideControl, check_sides, newest, open_control
from bisync_topology.sql_modes import mode_names
from bisync_topology.times import utc
from bisync_topology.topology import Topology
from schemas.list_records import decode_ddl

LIST = "ddl list"
_COLUMNS = ("id", "at", "source_side", "statement", "state", "why", "connection_id")  # of list_ddl
_MORE = ("gtid", "stream", "decision", "tables", "event")  # of read_ddl behind them
_STYLES = {"held": "bold red", "applied": "green", "drift": "yellow", "skipped": "yellow", "ignored": "cyan"}
_SHOWN = 120  # characters of a statement in a line of the list


@dataclass(frozen=True, kw_only=True)
class Filter:
    """Which statements; None and empty mean all. limit: newest first, 0 for all."""

    from_: str | None = None
    to: str | None = None
    states: tuple[str, ...] = ()
    limit: int = 0


def find(topology: Topology, wanted: Filter) -> list[dict[str, Any]]:
    """The DDL on record, newest first, as `ddl list -o json` has it.

    Raises UsageError for a side that there is not, Unreachable, CheckFailed where nothing has run.
    """
    check_sides(topology, wanted.from_, wanted.to)
    states = ",".join(wanted.states + (("running",) if "held" in wanted.states else ()))
    arguments = (topology.name, *2 * (wanted.from_,), *2 * (states,), wanted.limit or 2**62)
    rows = newest(topology, wanted.to, wanted.limit, "list_ddl", *arguments)
    return [listed(side, dict(zip(_COLUMNS, row, strict=True))) for side, row in rows]


def listed(side: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """An element of the list. side: on which it is on record; row: its columns by name."""
    state, why = row["state"], row["why"]
    if state == "running":  # somebody asks during it, or whoever ran it died and it is looked at again
        state = "held"
        why = f"it is being applied, in session {row['connection_id']} of {side}" + (f"; {why}" if why else "")
    return {
        "id": f"{side}-{row['id']}",
        "at": utc(row["at"]),
        "origin": row["source_side"],
        "statement": row["statement"],
        "state": state,
        "why": why,
    }


def read(topology: Topology, identity: str) -> dict[str, Any]:
    """One statement by its id, such as `west-3`, with its context, and what it holds back.

    Raises UsageError for what is no id, CheckFailed where there is none.
    """
    side, number = parse_id(topology, identity, what="a DDL", lister=LIST)
    with open_control(topology, side) as control:
        row = read_row(control, number, identity)
        context = context_of(row["event"], dict(control.execute("read_collations")))
    return {
        **listed(side, row),
        "to": side,
        "gtid": row["gtid"],
        "decision": row["decision"],
        "holds_back": json.loads(row["tables"]) if row["state"] == "held" and row["tables"] is not None else None,
        "context": context,
    }


def read_row(control: SideControl, number: int, identity: str) -> dict[str, Any]:
    """A side's row by its number, its columns by name. Raises CheckFailed where there is none."""
    rows = control.execute("read_ddl", control.topology.name, number)
    if not rows:
        raise CheckFailed(f"there is no DDL {identity}", hint=f"`bisync-topology {LIST}` has those on record")
    return dict(zip((*_COLUMNS, *_MORE), rows[0], strict=True))


def context_of(event: bytes | None, collations: Mapping[int, str]) -> dict[str, Any] | None:
    """The session that gives a statement its meaning; None where it is not on record, or not as this version writes it."""
    try:
        found = None if event is None else decode_ddl(event)
    except ValueError:
        return None
    if found is None:
        return None
    client, connection, server = (collations.get(number, str(number)) for number in found.charset)
    return {
        "default_db": found.default_db or None,
        "sql_mode": mode_names(found.sql_mode),
        "time_zone": found.time_zone or None,
        "character_set_client": client.partition("_")[0],
        "collation_connection": connection,
        "collation_server": server,
        "foreign_key_checks": found.foreign_key_checks,
        "unique_checks": found.unique_checks,
    }


def show_list(found: Sequence[Mapping[str, Any]], console: Console | None = None) -> None:
    """A line a statement, newest first."""
    console = console or Console(highlight=False)
    if not found:
        console.print("no DDL on record")
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("id", "at (UTC)", "origin", "state", "statement", "why"):
        table.add_column(name, no_wrap=name in ("id", "state"), overflow="fold")
    for each in found:
        text = " ".join(each["statement"].split())
        table.add_row(
            each["id"],
            each["at"][:23].replace("T", " "),
            each["origin"],
            Text(each["state"], _STYLES.get(each["state"], "")),
            Text(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"),
            Text(each["why"]),
        )
    console.print(table)


def show_one(found: Mapping[str, Any], console: Console | None = None) -> None:
    """The statement whole, its session, and what to do."""
    console = console or Console(highlight=False)
    console.print(Text.assemble((found["id"], "bold"), "  ", (found["state"], _STYLES.get(found["state"], ""))))
    console.print(Text(f"{found['origin']} → {found['to']}, {found['at']}, gtid {found['gtid'] or '–'}"), soft_wrap=True)
    console.print(Text(f"why: {found['why'] or '–'}"), soft_wrap=True)
    for name, value in (found["context"] or {}).items():
        console.print(Text(f"  {name:21} {_text(value)}", "dim"), soft_wrap=True)
    console.print()
    console.print(Text(found["statement"]), soft_wrap=True)
    if found["state"] == "held":
        console.print()
        for line in ways_out(found):
            console.print(Text(line), soft_wrap=True)


def ways_out(found: Mapping[str, Any]) -> list[str]:
    """What to do about a held statement, line by line."""
    tables = found["holds_back"]
    decided = found["decision"]
    held = "everything behind it" if tables is None else "changes of " + ", ".join(tables)
    approve = f"bisync-topology ddl approve {found['id']}"
    skip = f"bisync-topology ddl skip {found['id']} --reason …"
    first = f"decided, and not done yet: {decided}" if decided else f"it holds back {held}. One of"
    return [
        first,
        f"  {approve:50} runs it at {found['to']}",
        f"  {skip:50} passes it: do by hand at {found['to']} what is wanted of it",
        f"then, where the direction has failed, bisync-topology resume {found['origin']} {found['to']}",
    ]


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return "–" if value in (None, "") else str(value)
