"""What commands have in common: the topology that they speak of, arguments that are sides, the form of their output."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from bisync_topology.topology import Topology


def complete_side(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of sides, for shells that complete."""
    try:
        sides = list(topology_of(ctx).sides)
    except Exception:  # noqa: BLE001  a shell that completes shows no errors
        return []
    return [CompletionItem(side) for side in sides if side.startswith(incomplete)]


def topology_of(ctx: click.Context) -> Topology:
    """The topology of the command line's file. Raises TopologyError."""
    from bisync_topology.topology_file import load

    return load(file_of(ctx), os.environ)


def file_of(ctx: click.Context) -> Path:
    """The file that `-f` names."""
    file: Path = ctx.find_root().params["file"]
    return file


def side_argument(name: str) -> Callable[[Any], Any]:
    """The decorator of an argument that is a side."""
    return click.argument(name, shell_complete=complete_side, metavar=name.rstrip("_").upper())


def put_out(output: str, found: Any, show: Callable[[Any], None]) -> None:
    """Print what was found: as JSON for `-o json`, else as `show` does it for people."""
    if output == "json":
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        show(found)


OUTPUT = click.option(
    "-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True, help="For people, or for programs."
)
