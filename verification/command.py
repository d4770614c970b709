"""`verify` on the command line: the bar on a terminal, the tables for people."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from verification.report import Report, notes, shown


class Bar:
    """Rows gone through, rows a second, and how long it will take."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._task: TaskID | None = None
        self._passed = 0

    def begin(self, rows: int) -> None:
        """See run.Progress."""
        self._task = self._bar.add_task("comparing", total=max(rows, 1), speed="")

    def passed(self, rows: int) -> None:
        """See run.Progress. Servers only guess how many rows there are."""
        assert self._task is not None
        self._passed += rows
        task = self._bar.tasks[0]
        speed = f"{task.speed:,.0f} rows/s" if task.speed else ""
        total = max(task.total or 0, self._passed)
        self._bar.update(self._task, completed=self._passed, total=total, speed=speed)


@contextmanager
def bar() -> Iterator[Bar]:
    """A bar on standard error; nothing where that is no terminal."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[speed]}"))
    with Progress(*columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal, transient=True) as progress:
        yield Bar(progress)


def show(report: Report, console: Console | None = None) -> None:
    """Print it for people: a line a table, then rows that differ, side by side."""
    console = console or Console(highlight=False)
    sides = (report.from_, report.to)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("table", no_wrap=True)
    for name in ("rows", "equal", "differing", f"{sides[0]} alone", f"{sides[1]} alone", "repaired"):
        table.add_column(name, justify="right")
    for each in report.tables:
        equal = each.rows[0] - each.differing - each.only_from
        figures = [each.rows[0], equal, each.differing, each.only_from, each.only_to, each.repaired]
        style = "" if each.equal else "yellow"
        table.add_row(Text(each.full_name, style), *(f"{figure:,}" for figure in figures))
    console.print(table)
    for each in report.tables:
        for example in each.examples:
            first, *rest = shown(example, sides)
            console.print(Text("\n".join([f"{each.full_name}  {first}", *rest])), soft_wrap=True)
    for name, line in notes(report):
        console.print(Text.assemble(("! ", "yellow"), (name, "bold"), f"  {line}"), soft_wrap=True)
    if report.unsettled:
        text = f"changes on their way cannot be told from differences: {report.unsettled}"
        console.print(Text.assemble(("! ", "yellow"), text), soft_wrap=True)
    console.print(Text(*_verdict(report)))


def _verdict(report: Report) -> tuple[str, str]:
    rows = sum(each.rows[0] for each in report.tables)
    repaired = sum(each.repaired for each in report.tables)
    mended = f", {repaired:,} of them repaired" if repaired else ""
    if report.equal:
        return f"{len(report.tables)} tables with {rows:,} rows are equal{mended}, after {report.seconds:.1f} s", "green"
    different = [each for each in report.tables if each.differs]
    changing = [each for each in report.tables if each.changing]
    undecided = f"{sum(each.changing for each in changing):,} rows of {_tables(len(changing))} kept changing"
    if not different:
        return f"nothing differs, but {undecided}: nothing can be said of them, after {report.seconds:.1f} s", "yellow"
    number = sum(each.different for each in different)
    differ = f"{len(different)} of {_tables(len(report.tables))} differ, in {number:,} rows"
    return f"{differ}{f'; {undecided}' if changing else ''}, after {report.seconds:.1f} s", "yellow"


def _tables(number: int) -> str:
    return f"{number} table{'s' * (number != 1)}"
