"""The commands: arguments in, one call, an exit code out. What a command does is in the module that it imports when it runs."""

from __future__ import annotations

import json
from typing import Final

import click

from bisync_topology.command_options import OUTPUT, complete_side, file_of, side_argument, topology_of
from bisync_topology.conflict_commands import conflicts
from bisync_topology.ddl_commands import ddl
from bisync_topology.recovery_commands import recover, replay

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

    supervisor.up(topology_of(ctx), file_of(ctx))


@click.command()
@side_argument("side")
@_PARENT
@click.pass_context
def producer(ctx: click.Context, side: str, parent: int | None) -> None:
    """Run the process that reads a side's changes into Kafka; a second one waits as its standby.

    \b
    Example:
      bisync-topology -f topology.yaml producer east
    """
    from bisync_topology import process

    process.run(process.PRODUCER, topology_of(ctx), side, parent=parent)


@click.command()
@side_argument("side")
@_PARENT
@click.pass_context
def applier(ctx: click.Context, side: str, parent: int | None) -> None:
    """Run the process that applies the other side's changes to a side; a second one waits as its standby.

    \b
    Example:
      bisync-topology -f topology.yaml applier west
    """
    from bisync_topology import process

    process.run(process.APPLIER, topology_of(ctx), side, parent=parent)


@click.command(hidden=True)
@side_argument("side")
@_PARENT
@click.pass_context
def verifier(ctx: click.Context, side: str, parent: int | None) -> None:
    """Run the process that compares both sides in the background; a side keeps what it found.

    \b
    Example:
      bisync-topology -f topology.yaml verifier east
    """
    from bisync_topology import process

    process.run(process.VERIFIER, topology_of(ctx), side, parent=parent)


@click.command()
@OUTPUT
@click.pass_context
def precheck(ctx: click.Context, output: str) -> int:
    """Say what keeps the topology from running, why, and the statement that mends it.

    Changes nothing; where the control tables are there, a row is written and read back from the binlog.

    \b
    Example:
      bisync-topology -f topology.yaml precheck -o json
    """
    from bisync_topology.precheck import Results
    from bisync_topology.precheck_facts import gather

    topology = topology_of(ctx)
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
@OUTPUT
@click.pass_context
def status(ctx: click.Context, watch: bool, output: str) -> int:
    """Show each direction's state and figures, and every process.

    Exits with 3 when a direction has failed. Where a server cannot be reached, what is known is shown.

    \b
    Example:
      bisync-topology -f topology.yaml status --watch
    """
    from bisync_topology.status_command import show, show_again

    topology = topology_of(ctx)
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
    from bisync_topology.status import build, left_to_initialize, standing
    from bisync_topology.status_facts import collect

    topology = topology_of(ctx)

    def initializing() -> list[tuple[str, str]]:
        return left_to_initialize(topology, build(topology, collect(topology)))

    def explain(direction: tuple[str, str]) -> str:
        return standing(build(topology, collect(topology)), *direction)

    copies = any(direction.initialize for direction in topology.directions)
    seconds = barrier.wait(topology, timeout, explain, initializing if copies else tuple)
    click.echo(f"both sides have everything, after {seconds:.2f} s")


@click.command()
@side_argument("from_")
@side_argument("to")
@click.pass_context
def pause(ctx: click.Context, from_: str, to: str) -> None:
    """Stop applying a direction, between two transactions; its changes go on being captured.

    \b
    Example:
      bisync-topology -f topology.yaml pause east west
    """
    from bisync_topology import operate

    click.echo("\n".join(operate.pause(topology_of(ctx), from_, to)))


@click.command()
@side_argument("from_")
@side_argument("to")
@click.pass_context
def resume(ctx: click.Context, from_: str, to: str) -> None:
    """Go on with a direction that was paused or has failed.

    \b
    Example:
      bisync-topology -f topology.yaml resume east west
    """
    from bisync_topology import operate

    click.echo("\n".join(operate.resume(topology_of(ctx), from_, to)))


@click.command()
@side_argument("from_")
@side_argument("to")
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

    click.echo("\n".join(operate.skip(topology_of(ctx), from_, to, gtid, reason)))


@click.command()
@click.option("--reset", nargs=2, metavar="FROM TO", help="Begin this direction anew, and end.", shell_complete=complete_side)
@click.pass_context
def init(ctx: click.Context, reset: tuple[str, str] | None) -> None:
    """Run everything until what `initialize` says is done, then stop. It goes on where it was stopped; `up` does it too.

    With --reset, a direction begins anew from now on. Its processes must be stopped. Without `initialize: [data]` what it has not
    carried by now it never will: make both sides alike before, with writes off.

    \b
    Example:
      bisync-topology -f topology.yaml init
    """
    if reset is None:
        from bisync_topology import supervisor

        supervisor.init(topology_of(ctx), file_of(ctx))
        return
    from bisync_topology.reset import reset as begin_anew

    stream = begin_anew(topology_of(ctx), *reset)
    click.echo(f"{reset[0]} to {reset[1]} begins anew as stream {stream}; `up` goes on from here")


@click.command()
@click.option(
    "--repair", nargs=2, metavar="FROM TO", help="Make the rows of TO like those of FROM.", shell_complete=complete_side
)
@click.option("--table", "tables", multiple=True, metavar="PATTERN", help="These tables alone, as in `objects`.")
@click.option("--examples", type=click.IntRange(min=0), default=10, show_default=True, help="Rows of a table to show.")
@OUTPUT
@click.pass_context
def verify(ctx: click.Context, repair: tuple[str, str] | None, tables: tuple[str, ...], examples: int, output: str) -> int:
    """Compare both sides: structure and rows, by checksums that the servers compute. Nothing is locked.

    Rows that differ are looked at again until changes on their way have arrived. Exits with 1 when something differs
    at the end, or kept changing so that nothing can be said of it.

    \b
    Example:
      bisync-topology -f topology.yaml verify
      bisync-topology -f topology.yaml verify --repair east west
    """
    from bisync_topology import logs
    from bisync_topology.object_patterns import parse_chosen
    from verification.command import bar, show
    from verification.run import Options
    from verification.run import verify as compare

    topology = topology_of(ctx)
    direction = topology.direction(*repair) if repair else topology.directions[0]
    try:
        only = [parse_chosen(pattern) for pattern in tables]
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--table") from error
    options = Options(from_=direction.from_, to=direction.to, repairs=repair is not None, only=only, examples=examples)
    logs.configure()
    with bar() as progress:
        report = compare(topology, options, progress)
    if output == "json":
        click.echo(json.dumps(report.as_json(), indent=2, ensure_ascii=False))
    else:
        show(report)
    return 0 if report.equal else 1


COMMANDS: Final = (
    up, producer, applier, init, precheck, status, wait, pause, resume, skip, replay, recover, conflicts, ddl, verify, verifier,
)  # fmt: skip
