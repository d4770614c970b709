"""`status` and `status --watch`: facts fetched, made into the JSON, shown."""

from __future__ import annotations

import json
import time
from typing import Any

import click
from rich.console import Console
from rich.live import Live

from bisync_topology.display import Rates, show_status, status_view
from bisync_topology.status import build, exit_status, unreached
from bisync_topology.status_facts import collect
from bisync_topology.topology import Topology

WATCH_SECONDS = 1.0


def look(topology: Topology) -> tuple[dict[str, Any], list[str]]:
    """Give the status, and a line for each server that did not answer. Raises when no side did."""
    facts = collect(topology)
    return build(topology, facts), unreached(topology, facts)


def show(topology: Topology, output: str) -> int:
    """Print it once; gives the exit code."""
    status, away = look(topology)
    if output == "json":
        click.echo(json.dumps(status, indent=2, ensure_ascii=False))
        for line in away:
            click.echo(f"no answer from {line}", err=True)
    else:
        show_status(status, away)
    return exit_status(status)


def show_again(topology: Topology, output: str) -> int:
    """Print it every second until interrupted; a JSON object a line."""
    status: dict[str, Any] = {"directions": []}
    rates = Rates()
    try:
        with Live(console=Console(highlight=False), auto_refresh=False) as live:
            while True:
                began = time.monotonic()
                status, away = look(topology)
                if output == "json":
                    click.echo(json.dumps(status, ensure_ascii=False))
                else:
                    live.update(status_view(status, away, rates.of(status)), refresh=True)
                time.sleep(max(0.0, began + WATCH_SECONDS - time.monotonic()))
    except KeyboardInterrupt:
        return exit_status(status)
