"""Runs → medians, ratios, targets; as a table for people and as JSON. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from benchmarks.measure import CatchUp

NATIVE, OURS = "native", "ours"
INSERTS, UPDATES = "inserts", "updates"
_TITLES = {INSERTS: "bulk inserts", UPDATES: "one-row updates"}


@dataclass(frozen=True)
class Target:
    """What is to be reached; at least it, or at most."""

    name: str
    value: float
    wanted: float
    at_least: bool
    unit: str

    @property
    def met(self) -> bool:
        """Whether it was."""
        return self.value >= self.wanted if self.at_least else self.value <= self.wanted


@dataclass(frozen=True, kw_only=True)
class Results:
    """Of all runs: by workload and contender; latencies in seconds, by contender."""

    catch_ups: Mapping[str, Mapping[str, Sequence[CatchUp]]]
    latencies: Mapping[str, Sequence[float]]
    equal: bool
    machine: Mapping[str, Any]

    def median(self, workload: str, contender: str, figure: Callable[[CatchUp], float]) -> float:
        """The median of a figure over the runs."""
        return statistics.median(figure(run) for run in self.catch_ups[workload][contender])

    def ratio(self, workload: str) -> float:
        """Ours to native."""
        ours, native = (self.median(workload, name, lambda run: run.transactions_per_second) for name in (OURS, NATIVE))
        return ours / native

    def targets(self) -> list[Target]:
        """Those of the issue."""
        return [
            Target("bulk inserts, ours to native", self.ratio(INSERTS), 0.25, True, "×"),
            Target("one-row updates, ours to native", self.ratio(UPDATES), 3.0, True, "×"),
            Target("latency p99 when idle", percentile(self.latencies[OURS], 0.99) * 1000, 100.0, False, " ms"),
        ]

    def as_json(self) -> dict[str, Any]:
        """Everything, for programs."""
        return {
            "machine": dict(self.machine),
            "equal": self.equal,
            "catch_up": {
                workload: {
                    **{name: [_run_json(run) for run in runs] for name, runs in found.items()},
                    "ratio": round(self.ratio(workload), 3),
                }
                for workload, found in self.catch_ups.items()
            },
            "latency_ms": {name: _latency_json(seconds) for name, seconds in self.latencies.items()},
            "targets": [{**asdict(target), "met": target.met} for target in self.targets()],
        }

    def shown(self) -> RenderableType:
        """The tables for people."""
        return Group(
            self._throughput(),
            Text(),
            self._costs(),
            Text(),
            self._latency(),
            Text(),
            self._verdict(),
            Text(_words(self.machine), "dim"),
        )

    def _throughput(self) -> RenderableType:
        table = _table("catching up", "rows/s", "tx/s", "seconds", "+ start", "CPU s", "ratio")
        for workload, found in self.catch_ups.items():
            for name in found:
                figures = (
                    self.median(workload, name, lambda run: run.rows_per_second),
                    self.median(workload, name, lambda run: run.transactions_per_second),
                )
                times = (
                    self.median(workload, name, lambda run: run.seconds),
                    self.median(workload, name, lambda run: run.seconds_with_start),
                    self.median(workload, name, lambda run: sum(cost.cpu_seconds for cost in run.costs.values())),
                )
                ratio = f"{self.ratio(workload):.2f} ×" if name == OURS else ""
                cells = (*(f"{figure:,.0f}" for figure in figures), *(f"{seconds:.1f}" for seconds in times), ratio)
                table.add_row(f"{_TITLES[workload]}, {name}", *cells, style="bold" if name == OURS else "")
        return table

    def _costs(self) -> RenderableType:
        table = _table("CPU s", *(f"{_TITLES[workload]}" for workload in self.catch_ups), "peak MiB")
        for contender in (NATIVE, OURS):
            runs = {workload: found[contender] for workload, found in self.catch_ups.items() if contender in found}
            for process in next(iter(runs.values()))[0].costs:
                seconds = (statistics.median(run.costs[process].cpu_seconds for run in found) for found in runs.values())
                peak = max(run.costs[process].peak_mib for found in runs.values() for run in found)
                table.add_row(f"{contender}: {process}", *(f"{value:.1f}" for value in seconds), f"{peak:,.0f}")
        return table

    def _latency(self) -> RenderableType:
        table = _table("latency when idle, ms", "p50", "p90", "p99", "max", "rows")
        for name, seconds in self.latencies.items():
            cells = (f"{value:.1f}" for value in list(_latency_json(seconds).values())[:4])
            table.add_row(name, *cells, f"{len(seconds):,}", style="bold" if name == OURS else "")
        return table

    def _verdict(self) -> RenderableType:
        grid = Table.grid(padding=(0, 2))
        for target in self.targets():
            word = Text("pass", "green") if target.met else Text("miss", "bold red")
            bound = f"{'at least' if target.at_least else 'at most'} {target.wanted:g}{target.unit}"
            grid.add_row(word, target.name, f"{target.value:.2f}{target.unit}", Text(bound, "dim"))
        same = Text("pass", "green") if self.equal else Text("miss", "bold red")
        grid.add_row(same, "all three servers hold the same rows", "", "")
        return grid


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of them does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -(-len(ordered) * round(share * 1000) // 1000) - 1))]


def _latency_json(seconds: Sequence[float]) -> dict[str, float]:
    shares = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
    return {name: round(percentile(seconds, share) * 1000, 2) for name, share in shares.items()} | {"rows": len(seconds)}


def _run_json(run: CatchUp) -> dict[str, Any]:
    rates = {"rows_per_second": round(run.rows_per_second), "transactions_per_second": round(run.transactions_per_second)}
    return {**asdict(run), **rates}


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False, show_edge=False, header_style="dim")
    table.add_column(columns[0], no_wrap=True)
    for column in columns[1:]:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _words(machine: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in machine.items())
