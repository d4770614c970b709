"""The commands: arguments in, one call, an exit code out. What a command does is in the module that it imports when it runs."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from bisync_topology.topology import Topology


def _complete_side(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    try:
        sides = list(_topology(ctx).sides)
    except Exception:  # noqa: BLE001  a shell that completes shows no errors
        return []
    return [CompletionItem(side) for side in sides if side.startswith(incomplete)]


def _topology(ctx: click.Context) -> Topology:
    from bisync_topology.topology_file import load

    return load(_file(ctx), os.environ)


def _file(ctx: click.Context) -> Path:
    file: Path = ctx.find_root().params["file"]
    return file


def _side(name: str) -> Callable[[Any], Any]:
    return click.argument(name, shell_complete=_complete_side, metavar=name.rstrip("_").upper())


_OUTPUT = click.option(
    "-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True, help="For people, or for programs."
)
_PARENT = click.option("--parent", type=int, hidden=True)  # pid of the supervisor that the process ends with


@click.command()
@click.pass_context
def up(ctx: click.Context) -> None:
    """Check, then run every producer and applier; in the foreground.

    Each is a process of its own and is started again when it dies. SIGTERM or Ctrl-C lets them finish what they have begun.

    \b
    Example:
      bisync-topology -f topology.yaml up
    """
    from bisync_topology import supervisor

    supervisor.up(_topology(ctx), _file(ctx))


@click.command()
@_side("side")
@_PARENT
@click.pass_context
def producer(ctx: click.Context, side: str, parent: int | None) -> None:
    """Run the process that reads a side's changes into Kafka; a second one waits as its standby.

    \b
    Example:
      bisync-topology -f topology.yaml producer east
    """
    from bisync_topology import process

    process.run(process.PRODUCER, _topology(ctx), side, parent=parent)


@click.command()
@_side("side")
@_PARENT
@click.pass_context
def applier(ctx: click.Context, side: str, parent: int | None) -> None:
    """Run the process that applies the other side's changes to a side; a second one waits as its standby.

    \b
    Example:
      bisync-topology -f topology.yaml applier west
    """
    from bisync_topology import process

    process.run(process.APPLIER, _topology(ctx), side, parent=parent)


@click.command()
@_OUTPUT
@click.pass_context
def precheck(ctx: click.Context, output: str) -> int:
    """Say what keeps the topology from running, why, and the statement that mends it. Changes nothing.

    \b
    Example:
      bisync-topology -f topology.yaml precheck -o json
    """
    from bisync_topology.precheck import Results
    from bisync_topology.precheck_facts import gather

    topology = _topology(ctx)
    results = Results.of(topology, gather(topology))
    if output == "json":
        click.echo(json.dumps([item.as_json() for item in results.items], indent=2, ensure_ascii=False))
    else:
        from bisync_topology.display import show_precheck

        show_precheck(results)
    error = results.failure()
    return 0 if error is None else error.exit_status


@click.command()
@click.option("--watch", is_flag=True, help="Go on showing it, every second, until Ctrl-C.")
@_OUTPUT
@click.pass_context
def status(ctx: click.Context, watch: bool, output: str) -> int:
    """Show each direction's state and figures, and every process.

    Exits with 3 when a direction has failed. Where a server cannot be reached, what is known is shown.

    \b
    Example:
      bisync-topology -f topology.yaml status --watch
    """
    from bisync_topology.status_command import show, show_again

    topology = _topology(ctx)
    return show_again(topology, output) if watch else show(topology, output)


@click.command()
@click.option("--timeout", type=click.FloatRange(min=0), default=60.0, show_default=True, metavar="S", help="In seconds.")
@click.pass_context
def wait(ctx: click.Context, timeout: float) -> None:
    """Return once everything committed on every side before the call has been applied on the other.

    Exits with 1 when time is up or a direction is paused, with 3 at once when one has failed.

    \b
    Example:
      bisync-topology -f topology.yaml wait --timeout 30
    """
    from bisync_topology import barrier
    from bisync_topology.status import build, standing
    from bisync_topology.status_facts import collect

    topology = _topology(ctx)
    seconds = barrier.wait(topology, timeout, lambda key: standing(build(topology, collect(topology)), *key))
    click.echo(f"both sides have everything, after {seconds:.2f} s")


@click.command()
@_side("from_")
@_side("to")
@click.pass_context
def pause(ctx: click.Context, from_: str, to: str) -> None:
    """Stop applying a direction, between two transactions; its changes go on being captured.

    \b
    Example:
      bisync-topology -f topology.yaml pause east west
    """
    from bisync_topology import operate

    click.echo("\n".join(operate.pause(_topology(ctx), from_, to)))


@click.command()
@_side("from_")
@_side("to")
@click.pass_context
def resume(ctx: click.Context, from_: str, to: str) -> None:
    """Go on with a direction that was paused or has failed.

    \b
    Example:
      bisync-topology -f topology.yaml resume east west
    """
    from bisync_topology import operate

    click.echo("\n".join(operate.resume(_topology(ctx), from_, to)))


@click.command()
@_side("from_")
@_side("to")
@click.option(
    "--gtid", required=True, help="Of the transaction: what `status` says, uuid:number, uuid:tag:number or file:position."
)
@click.option("--reason", required=True, help="Why it may be passed; kept with the skip.")
@click.pass_context
def skip(ctx: click.Context, from_: str, to: str, gtid: str, reason: str) -> None:
    """Pass one transaction that cannot be captured or applied. It is recorded, its tables are marked for verify.

    \b
    Example:
      bisync-topology skip east west --gtid 3e11fa47-71ca-11e1-9e33-c80aa9429562:23 --reason "index made on both sides"
    """
    from bisync_topology import operate

    click.echo("\n".join(operate.skip(_topology(ctx), from_, to, gtid, reason)))


@click.command()
@click.option(
    "--reset", nargs=2, required=True, metavar="FROM TO", help="The direction to begin anew.", shell_complete=_complete_side
)
@click.pass_context
def init(ctx: click.Context, reset: tuple[str, str]) -> None:
    """Begin a direction anew from now on. Its processes must be stopped; rows are not copied in this version.

    What the direction has not carried by now it never will: make both sides alike before, with writes off.

    \b
    Example:
      bisync-topology -f topology.yaml init --reset east west
    """
    from bisync_topology.reset import reset as begin_anew

    stream = begin_anew(_topology(ctx), *reset)
    click.echo(f"{reset[0]} to {reset[1]} begins anew as stream {stream}; `up` goes on from here")


@click.group()
def conflicts() -> None:
    """What was in conflict, and what was done about it.

    \b
    Example:
      bisync-topology conflicts list --decision pending
    """


@conflicts.command("list")
@click.option("--from", "from_", metavar="SIDE", shell_complete=_complete_side, help="Only changes of this side.")
@click.option("--to", metavar="SIDE", shell_complete=_complete_side, help="Only those that came to this side.")
@click.option("--table", metavar="PATTERN", help="Only these tables, as in `objects`: shop, shop.stock, shop.s*.")
@click.option("--type", "types", multiple=True, metavar="TYPE", help="insert_exists, update_differs, …; may be repeated.")
@click.option(
    "--decision",
    "decisions",
    multiple=True,
    type=click.Choice(["source", "target", "merged", "pending", "skipped"]),
    help="May be repeated.",
)
@click.option("--limit", type=click.IntRange(min=0), default=100, show_default=True, help="The newest; 0: all.")
@_OUTPUT
@click.pass_context
def conflicts_list(
    ctx: click.Context,
    from_: str | None,
    to: str | None,
    table: str | None,
    types: tuple[str, ...],
    decisions: tuple[str, ...],
    limit: int,
    output: str,
) -> None:
    """List the conflicts on record, newest first.

    \b
    Example:
      bisync-topology conflicts list --to west --table shop.* --decision pending
    """
    from bisync_topology import conflicts as records

    wanted = records.Filter(from_=from_, to=to, table=table, types=types, decisions=decisions, limit=limit)
    found = records.find(_topology(ctx), wanted)
    if output == "json":
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        records.show_list(found)


@conflicts.command("show")
@click.argument("identity", metavar="ID")
@_OUTPUT
@click.pass_context
def conflicts_show(ctx: click.Context, identity: str, output: str) -> None:
    """Show one conflict: its rows side by side, with what differs marked.

    \b
    Example:
      bisync-topology conflicts show west-17
    """
    from bisync_topology import conflicts as records

    conflict = records.read(_topology(ctx), identity)
    if output == "json":
        click.echo(json.dumps(conflict, indent=2, ensure_ascii=False))
    else:
        records.show_one(conflict)


COMMANDS: Final = (up, producer, applier, init, precheck, status, wait, pause, resume, skip, conflicts)
