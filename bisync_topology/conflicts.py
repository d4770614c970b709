"""`conflicts list` and `conflicts show`: what is on record on either side, as `interface.md` has it and for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bisync_topology import record_ids
from bisync_topology.conflict_json import conflict_json
from bisync_topology.errors import CheckFailed, UsageError
from bisync_topology.object_patterns import parse_chosen
from bisync_topology.sides import check_sides, newest, open_control
from bisync_topology.topology import Topology

_COLUMNS = (  # of list_conflicts and read_conflict
    *("id", "at", "source_side", "table_name", "row_key", "type", "policy", "decision", "before_image", "incoming_image"),
    *("local_rows", "gtid", "list_offset", "committed_at", "resolution"),
)
_STYLES = {"pending": "bold red", "source": "green", "target": "cyan", "merged": "green", "skipped": "yellow"}


@dataclass(frozen=True, kw_only=True)
class Filter:
    """Which conflicts; None and empty mean all. table: a pattern as in `objects`. limit: newest first, 0 for all."""

    from_: str | None = None
    to: str | None = None
    table: str | None = None
    types: tuple[str, ...] = ()
    decisions: tuple[str, ...] = ()
    limit: int = 0


def find(topology: Topology, wanted: Filter) -> list[dict[str, Any]]:
    """The conflicts on record, newest first, as `conflicts list -o json` has them.

    Raises UsageError for a side that there is not and a pattern that is none, Unreachable, CheckFailed where nothing has run.
    """
    check_sides(topology, wanted.from_, wanted.to)
    arguments = (
        topology.name,
        wanted.from_,
        wanted.from_,
        *2 * (like(wanted.table),),
        *2 * (",".join(wanted.types),),
        *2 * (",".join(wanted.decisions),),
        wanted.limit or 2**62,
    )
    return [_as_json(side, row) for side, row in newest(topology, wanted.to, wanted.limit, "list_conflicts", *arguments)]


def read(topology: Topology, identity: str) -> dict[str, Any]:
    """One conflict by its id, such as `west-17`. Raises UsageError for what is no id, CheckFailed where there is none."""
    side, number = parse_id(topology, identity)
    with open_control(topology, side) as control:
        rows = control.execute("read_conflict", topology.name, number)
    if not rows:
        raise CheckFailed(f"there is no conflict {identity}", hint="`bisync-topology conflicts list` has those on record")
    return _as_json(side, rows[0])


def parse_id(topology: Topology, identity: str) -> tuple[str, int]:
    """`west-17` → (west, 17). Raises UsageError."""
    return record_ids.parse_id(topology, identity, what="a conflict", lister="conflicts list")


def like(pattern: str | None) -> str | None:
    """Give a pattern as in `objects` for SQL's LIKE over `db.table`."""
    if pattern is None:
        return None
    try:
        parsed = parse_chosen(pattern)
    except ValueError as error:
        raise UsageError(f"--table {pattern}: {error}") from error
    return f"{parsed.database.like()}.{parsed.table.like() if parsed.table is not None else '%'}"


def _as_json(side: str, row: Sequence[Any]) -> dict[str, Any]:
    return conflict_json({**dict(zip(_COLUMNS, row, strict=True)), "target_side": side})


def show_list(conflicts: Sequence[Mapping[str, Any]], console: Console | None = None) -> None:
    """A line a conflict, newest first."""
    console = console or Console(highlight=False)
    if not conflicts:
        console.print("no conflicts on record")
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("id", "at (UTC)", "direction", "table", "key", "type", "policy", "decision"):
        table.add_column(name, no_wrap=name in ("id", "decision"), overflow="fold")
    for each in conflicts:
        table.add_row(
            each["id"],
            each["at"][:23].replace("T", " "),
            f"{each['from']} → {each['to']}",
            each["table"],
            ", ".join(f"{name}={value}" for name, value in each["key"].items()),
            each["type"],
            each["policy"],
            _decision(each),
        )
    console.print(table)


def show_one(conflict: Mapping[str, Any], console: Console | None = None) -> None:
    """The rows side by side, a line a column; what differs from the row before the change, or between the rows, is marked."""
    console = console or Console(highlight=False)
    console.print(
        Text.assemble((conflict["id"], "bold"), f"  {conflict['type']} in {conflict['table']}, policy {conflict['policy']}: "),
        _decision(conflict),
        sep="",
    )
    console.print(
        f"{conflict['from']} → {conflict['to']}, committed {conflict['committed_at']}, met {conflict['at']}\n"
        f"gtid {conflict['gtid']}, offset {conflict['offset']} of the list of transactions",
        soft_wrap=True,
    )
    rows: dict[str, Mapping[str, Any] | None] = {f"before, at {conflict['from']}": conflict["before"]}
    rows[f"after, at {conflict['from']}"] = conflict["incoming"]
    for number, local in enumerate(conflict["local"], start=1):
        rows[f"row {number} at {conflict['to']}" if len(conflict["local"]) > 1 else f"at {conflict['to']}"] = local
    if not conflict["local"]:
        rows[f"at {conflict['to']}"] = None
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("")
    table.add_column("column", style="bold")
    for name in rows:
        table.add_column(name, overflow="fold")
    names = list(dict.fromkeys(name for row in rows.values() if row is not None for name in row))
    for name in names:
        values = [None if row is None else _text(row.get(name)) for row in rows.values()]
        differ = len({value for value in values if value is not None}) > 1
        cells = [Text("no row", "dim") if value is None else Text(value, "yellow" if differ else "") for value in values]
        table.add_row(Text("≠" if differ else "", "yellow"), name, *cells)
    console.print(table)
    if conflict["decision"] == "pending":
        for line in ways_out(conflict):
            console.print(line, soft_wrap=True)


def ways_out(conflict: Mapping[str, Any]) -> list[str]:
    """What to do about a pending conflict, line by line."""
    direction = f"{conflict['from']} {conflict['to']}"
    resolve = f"bisync-topology conflicts resolve {conflict['id']} --use"
    resume = f"bisync-topology resume {direction}"
    if conflict["resolution"] is not None:
        other = "target" if conflict["resolution"] == "source" else "source"
        return [
            f"decided, and not applied yet: {conflict['resolution']}",
            f"  {resume:60} applies it",
            f"  {f'{resolve} {other}':60} decides otherwise",
        ]
    return [
        "the direction stops here. One of",
        f"  {f'{resolve} source':60} the change is put, whatever is here",
        f"  {f'{resolve} target':60} the rows here stay",
        "  mend the rows by hand, or set another `on_conflict` in topology.yaml and start the processes again",
        f"then {resume}",
        f"or   bisync-topology skip {direction} --gtid {conflict['gtid']} --reason …    passes the whole transaction",
    ]


def _decision(conflict: Mapping[str, Any]) -> Text:
    """What was done; of a pending one also what is to be done."""
    stored = conflict["resolution"] if conflict["decision"] == "pending" else None
    return Text(f"pending: {stored}" if stored else conflict["decision"], _STYLES.get(conflict["decision"], ""))


def _text(value: object) -> str:
    return "NULL" if value is None else str(value)
