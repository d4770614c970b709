"""What commands print for people."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from bisync_topology.times import utc

if TYPE_CHECKING:
    from bisync_topology.precheck import Results

_MARKS = {"pass": ("✓", "green"), "warn": ("!", "yellow"), "fail": ("✗", "bold red")}
_BAR = 10  # characters
_STYLES = {
    "syncing": "green",
    "running": "green",
    "standby": "cyan",
    "starting": "cyan",
    "initializing": "cyan",
    "paused": "yellow",
    "waiting": "yellow",
    "failed": "bold red",
    "stopped": "red",
    "unknown": "dim",
}


def show_precheck(results: Results, console: Console | None = None) -> None:
    """A line an item; why and the remedy below what did not pass. Lines are not cut, so that a statement can be copied."""
    console = console or Console(highlight=False)
    sides = max(len(item.side or "") for item in results.items)
    names = max(len(item.item) for item in results.items)
    for item in results.items:
        mark, style = _MARKS[item.result]
        line = Text.assemble((mark, style), "  ", (f"{item.side or '':{sides}}", "bold"), f"  {item.item:{names}}  {item.seen}")
        if item.result != "pass":
            line.append("\n   why  ", "dim").append(item.why)
            if item.fix:
                line.append("\n   fix  ", "dim").append(item.fix.replace("\n", "\n        "), "cyan")
        console.print(line, soft_wrap=True)
    passed = len(results.items) - len(results.failed) - len(results.warnings)
    style = _MARKS["fail" if results.failed else "warn" if results.warnings else "pass"][1]
    console.print(Text(f"\n{passed} passed, {len(results.warnings)} to know of, {len(results.failed)} to mend", style=style))


class Rates:
    """Rows a second of each direction, applied or copied, between one look and the next."""

    def __init__(self) -> None:
        self._before: dict[tuple[str, str], tuple[float, int]] = {}

    def of(self, status: Mapping[str, Any], now: float | None = None) -> dict[tuple[str, str], float]:
        """Give the rates since the call before; empty at the first."""
        now = time.monotonic() if now is None else now
        rates = {}
        for one in status["directions"]:
            key, rows = (one["from"], one["to"]), one["applied_rows"]
            if rows is None:
                continue
            rows += one["initialization"]["rows_done"]
            if key in self._before and now > self._before[key][0]:
                then, before = self._before[key]
                rates[key] = max(0, rows - before) / (now - then)
            self._before[key] = (now, rows)
        return rates


def show_status(status: Mapping[str, Any], unreached: Sequence[str] = (), console: Console | None = None) -> None:
    """Print it once. What needs a person is not cut at the screen's width, so that a command can be copied."""
    console = console or Console(highlight=False)
    console.print(_directions(status, None), _processes(status), sep="")
    for note in _notes(status, unreached):
        console.print(note, soft_wrap=True)


def status_view(status: Mapping[str, Any], unreached: Sequence[str], rates: Mapping[tuple[str, str], float]) -> RenderableType:
    """The same as one picture that can be shown again in its place, with rows a second."""
    return Group(_directions(status, rates), _processes(status), *_notes(status, unreached))


def _directions(status: Mapping[str, Any], rates: Mapping[tuple[str, str], float] | None) -> Table:
    """A column a direction: fits the narrowest terminal."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(Text(status["topology"], "bold"), style="dim", no_wrap=True)
    for one in status["directions"]:
        table.add_column(f"{one['from']} → {one['to']}", justify="right", no_wrap=True, min_width=16)
    columns = [list(_figures(one, rates)) for one in status["directions"]]
    for line in zip(*columns, strict=True):
        table.add_row(line[0][0], *(value for _, value in line))
    return table


def _figures(one: Mapping[str, Any], rates: Mapping[tuple[str, str], float] | None) -> Iterator[tuple[str, RenderableType]]:
    yield "state", _state(one["state"])
    yield "lag", _seconds(one["lag_seconds"])
    yield "transactions to apply", _number(one["lag_events"])
    yield "transactions applied", _number(one["applied_transactions"])
    yield "rows applied", _number(one["applied_rows"])
    if rates is not None:
        rate = rates.get((one["from"], one["to"]))
        yield "rows/s", "–" if rate is None else f"{rate:,.0f}"
    yield "rows copied", _copied(one["initialization"], (rates or {}).get((one["from"], one["to"])))
    yield "own origin, dropped", _number(one["dropped_own_origin"])
    yield "conflicts", Text(_number(one["conflicts"]), "yellow" if one["conflicts"] else "")
    last = one["last_applied"]
    yield "last one committed at", f"{last['committed_at'][11:23]} UTC" if last else "–"


def _copied(found: Mapping[str, int], rate: float | None) -> RenderableType:
    """How far the copy of what was there already is: a bar, its share, and how long it takes at this rate."""
    if found["tables_done"] == found["tables"]:
        return _number(found["rows_done"]) if found["tables"] else "–"
    share = found["rows_done"] / found["rows"] if found["rows"] else 0.0
    text = f"{'█' * int(share * _BAR):░<{_BAR}} {share:.0%}"
    return text if not rate else f"{text}, {_seconds(round((found['rows'] - found['rows_done']) / rate))} left"


def _processes(status: Mapping[str, Any]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("process", no_wrap=True)
    table.add_column("state", no_wrap=True)
    table.add_column("pid", justify="right", no_wrap=True)
    table.add_column("restarts", justify="right", no_wrap=True)
    for each in status["processes"]:
        restarts = Text(_number(each["restarts"]), "yellow" if each["restarts"] else "")
        table.add_row(each["name"], _state(each["state"]), str(each["pid"] or "–"), restarts)
    return table


def _notes(status: Mapping[str, Any], unreached: Sequence[str]) -> Iterator[Text]:
    for one in status["directions"]:
        name, error = f"{one['from']} → {one['to']}", one["error"]
        if error is not None:
            text = Text.assemble(("✗ ", "bold red"), (f"{name} has failed", "bold"), f" [{error['code']}]: {error['message']}")
            yield text.append("\n  fix  ", "dim").append(error["hint"], "cyan") if error["hint"] else text
        elif one["state"] == "paused":
            resume = f"bisync-topology resume {one['from']} {one['to']}"
            yield Text.assemble(("! ", "yellow"), (f"{name} is paused", "bold"), ("\n  fix  ", "dim"), (resume, "cyan"))
    for each in status["processes"]:
        if "detail" in each:
            yield Text.assemble(("! ", "yellow"), (f"{each['name']} waits", "bold"), f" for: {each['detail']}")
        if "ddl" in each:
            yield Text.assemble(("● ", "green"), (each["name"], "bold"), f" {_statement(each['ddl'])}")
        if "held" in each:
            what = f" holds statements of structure: {each['held']}"
            look = "bisync-topology ddl list --state held"
            yield Text.assemble(("! ", "yellow"), (each["name"], "bold"), what, ("\n  see  ", "dim"), (look, "cyan"))
        if "repeats" in each:
            repeats = each["repeats"]
            what = f" repeats a transaction, attempt {repeats['attempt']}: {repeats['waits_for']}"
            text = Text.assemble(("! ", "yellow"), (each["name"], "bold"), what)
            yield text.append("\n  why  ", "dim").append(repeats["hint"]) if repeats["hint"] else text
    found = status.get("verification")
    if found is not None:
        mark = ("● ", "green") if found["equal"] else ("! ", "yellow")
        text = Text.assemble(mark, ("verify", "bold"), f" compared {_number(found['rows'])} rows at {found['at'][11:19]} UTC: ")
        differ = f"{', '.join(found['different'])} differ" if found["different"] else ""
        changing = f"{_number(found['changing'])} rows kept changing" if found.get("changing") else ""
        text.append("equal" if found["equal"] else ", ".join(filter(None, (differ, changing))))
        yield text if found["equal"] else text.append("\n  see  ", "dim").append("bisync-topology verify", "cyan")
    for line in unreached:
        yield Text.assemble(("! ", "yellow"), ("no answer", "bold"), f" from {line}")


def _statement(ddl: Mapping[str, Any]) -> str:
    """What an applier is at: a statement, for how long, how far where the server tells, and what holds it up."""
    parts = [f"for {_seconds(ddl['seconds'])}" if "seconds" in ddl else "", ddl.get("progress") or ""]
    waits = f", waits for: {ddl['waits_for']}" if "waits_for" in ddl else ""
    return f"runs {ddl.get('statement', 'a statement')} {', '.join(filter(None, parts))}".rstrip() + waits


def _state(state: str) -> Text:
    return Text(f"● {state}", _STYLES.get(state, ""))


def _number(number: int | None) -> str:
    return "–" if number is None else f"{number:,}"


def _seconds(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    if seconds < 60:
        return f"{seconds:.0f} s" if seconds in (0, round(seconds)) else f"{seconds:.2f} s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


def show_replay(found: Mapping[str, Any], console: Console | None = None) -> None:
    """Where a replay begins, how much it is, and what differs, with a few keys."""
    console = console or Console(highlight=False)
    start, compared, left = found["start"], found["compared"], found["to_apply"]
    at = utc(start["committed_at"])
    console.print(Text(f"from transaction {start['sequence']} ({start['gtid']}), committed at {at}, offset {start['offset']}"))
    console.print(_counted("applied already, compared", compared))
    console.print(_counted(f"behind {found['applied_up_to']}, for `resume` to apply", left))
    for table in found["tables"]:
        kinds = {kind: table[kind] for kind in ("differing", "missing", "extra") if table[kind]}
        text = ", ".join(f"{number} {kind}" for kind, number in kinds.items()) or "nothing differs"
        console.print(Text(f"  {table['table']}: {table['equal']} rows equal, {text}", "yellow" if kinds else ""))
        for example in table["examples"]:
            key = ", ".join(f"{name}={value}" for name, value in example["key"].items())
            console.print(Text(f"    {example['kind']:10} {key}", "dim"))
    for name, why in found["left_out"].items():
        console.print(Text(f"  {name} was not compared: {why}", "yellow"))
    if found["written"]:
        console.print(Text(f"{found['written']} rows were written as they were sent"))
    elif not found["equal"]:
        console.print(Text("`--execute --force` writes them as they were sent; whatever was written here since is overwritten"))


def _counted(what: str, counts: Mapping[str, int]) -> Text:
    return Text(f"  {what}: {counts['transactions']} transactions with {counts['events']} events in {counts['tables']} tables")
