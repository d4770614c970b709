"""What the demo shows: pure functions from figures to something that rich draws, or to a line of text."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from demo.compare import Compared
from demo.figures import Figures

_STATES = {"syncing": "green", "failed": "bold red", "stopped": "red"}
_BARS = " ▁▂▃▄▅▆▇█"
_WHOLE = 80  # columns
_WIDE = 23  # of them, a direction's
_SUMMARY = ("rows", "trans.", "peak/s", "p50 / p99", "conflicts", "echoes")
_ECHOES = ("echoes: transactions that came back to the side where they began, dropped there",)


def live(phase: str, done: float, whole: float, directions: Sequence[Figures]) -> RenderableType:
    """The table that is drawn again and again. done, whole: seconds of the load."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False, show_edge=False)
    table.add_column("", style="dim", no_wrap=True)
    for figures in directions:
        table.add_column(Text(figures.name, "bold cyan"), width=_WIDE, no_wrap=True)
    lines: list[tuple[str, Callable[[Figures], Text]]] = [
        ("state", lambda f: Text("● ", _STATES.get(f.state, "yellow")).append(f.state)),
        ("rows written", lambda f: Text(f"{f.written:,}")),
        ("rows applied", lambda f: Text(f"{f.applied:,}", "bold")),
        ("rows/s", lambda f: Text(f"{f.rate:<8,.0f}", "bold").append(sparkline(f.history), "green")),
        ("lag", lambda f: Text(_seconds(f.lag), "green" if (f.lag or 0) < 1 else "yellow")),
        ("commit to visible", lambda f: Text(_seconds(f.latency))),
        ("conflicts", lambda f: Text(f"{f.conflicts:,}", "red" if f.conflicts else "")),
        ("own-origin dropped", lambda f: Text(f"{f.dropped:,}")),
    ]
    for name, show in lines:
        table.add_row(name, *(show(figures) for figures in directions))
    bar = Table.grid(padding=(0, 2))
    bar.add_row(
        Text(f"{phase:<9}", "bold"),
        ProgressBar(total=whole, completed=min(done, whole), width=40),
        Text(f"{min(done, whole):.0f} of {whole:.0f} s", "dim"),
    )
    errors = [Text(f"\n{figures.name}: {figures.error}", "red") for figures in directions if figures.error]
    title = Text(" orders written on two MySQL servers at once ")
    shown = Group(bar, Text(), table, *errors)
    return Panel(shown, title=title, title_align="left", border_style="dim", padding=(1, 2), width=_WHOLE)


def line(phase: str, seconds: float, directions: Sequence[Figures]) -> str:
    """The same for a log: one line."""
    parts = [
        f"{f.source}→{f.target} {f.applied:>7,} rows {f.rate:>6,.0f}/s lag {_seconds(f.lag)}"
        f" conflicts {f.conflicts} dropped {f.dropped:,}"
        for f in directions
    ]
    return f"{phase} {seconds:>3.0f} s | " + " | ".join(parts)


def comparison(tables: Sequence[Compared], first: str, second: str) -> RenderableType:
    """The verdict by table."""
    shown = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False, show_edge=False, header_style="dim")
    shown.add_column("table", no_wrap=True)
    for name in (f"rows {first}", f"rows {second}", "equal", "differing", "bytes"):
        shown.add_column(name, justify="right", no_wrap=True)
    shown.add_column("", no_wrap=True)
    for table in tables:
        both = table.equal + table.differing
        numbers = (both + table.only_first, both + table.only_second, table.equal, table.differing, table.bytes)
        mark = Text("✓", "green") if table.same else Text("✗", "bold red")
        shown.add_row(table.table, *(f"{number:,}" for number in numbers), mark)
    return shown


def summary(directions: Sequence[Figures], tables: Sequence[Compared], seconds: float) -> RenderableType:
    """The last word. seconds: from the command's start."""
    equal = bool(tables) and all(table.same for table in tables)
    rows, size = sum(table.equal for table in tables), sum(table.bytes for table in tables)
    grid = Table.grid(padding=(0, 1))
    grid.add_column(no_wrap=True)
    for _ in range(len(_SUMMARY)):
        grid.add_column(justify="right", no_wrap=True)
    grid.add_row("", *(Text(name, "dim") for name in _SUMMARY))
    for f in directions:
        counts = (f"{f.applied:,}", f"{f.transactions:,}", f"{f.peak:,.0f}")
        latency = f"{_seconds(f.latency_p50)} / {_seconds(f.latency_p99)}"
        grid.add_row(Text(f.name, "bold cyan"), *counts, latency, f"{f.conflicts:,}", f"{f.dropped:,}")
    words = f"EQUAL  {rows:,} rows of {len(tables)} tables, {size:,} bytes" if equal else "NOT EQUAL  the two sides differ"
    verdict = Text(words, "bold green" if equal else "bold red")
    notes = ("p50 / p99: from a commit at one side until it can be read at the other", *_ECHOES, f"{seconds:.0f} s in all")
    shown = Group(verdict, Text(), grid, Text(), Text("\n".join(notes), "dim"))
    return Panel(shown, border_style="green" if equal else "red", padding=(1, 2), width=_WHOLE)


def sparkline(values: Sequence[float]) -> str:
    """One character a value, as high as it is beside the others."""
    highest = max(values, default=0.0) or 1.0
    return "".join(_BARS[round(value / highest * (len(_BARS) - 1))] for value in values[-15:])


def _seconds(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.1f} s"
