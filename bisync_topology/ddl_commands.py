"""The commands `ddl list`, `show`, `approve`, `skip` and `guard-triggers`; see commands.py."""

from __future__ import annotations

import os

import click

from bisync_topology.command_options import OUTPUT, complete_side, put_out, topology_of


@click.group()
def ddl() -> None:
    """DDL that was seen, what was done about it, and triggers that applied rows must not fire.

    \b
    Example:
      bisync-topology ddl list --state held
    """


@ddl.command("list")
@click.option("--from", "from_", metavar="SIDE", shell_complete=complete_side, help="Only that of this side.")
@click.option("--to", metavar="SIDE", shell_complete=complete_side, help="Only that which came to this side.")
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice(["applied", "held", "ignored", "drift", "skipped"]),
    help="May be repeated.",
)
@click.option("--limit", type=click.IntRange(min=0), default=100, show_default=True, help="The newest; 0: all.")
@OUTPUT
@click.pass_context
def ddl_list(ctx: click.Context, from_: str | None, to: str | None, states: tuple[str, ...], limit: int, output: str) -> None:
    """List the DDL on record, newest first, with what was done and why.

    \b
    Example:
      bisync-topology ddl list --to west --state held --state drift
    """
    from bisync_topology import ddl_records as records

    found = records.find(topology_of(ctx), records.Filter(from_=from_, to=to, states=states, limit=limit))
    put_out(output, found, records.show_list)


@ddl.command("show")
@click.argument("identity", metavar="ID")
@OUTPUT
@click.pass_context
def ddl_show(ctx: click.Context, identity: str, output: str) -> None:
    """Show one statement whole, with the session that it was written in, and what is to be done about a held one.

    \b
    Example:
      bisync-topology ddl show west-3
    """
    from bisync_topology import ddl_records as records

    found = records.read(topology_of(ctx), identity)
    put_out(output, found, records.show_one)


@ddl.command("approve")
@click.argument("identity", metavar="ID")
@click.pass_context
def ddl_approve(ctx: click.Context, identity: str) -> None:
    """Have a held statement run at its target, as it was written.

    \b
    Example:
      bisync-topology ddl approve west-3
    """
    from bisync_topology import ddl_decisions

    click.echo("\n".join(ddl_decisions.decide(topology_of(ctx), identity, "approve")))


@ddl.command("skip")
@click.argument("identity", metavar="ID")
@click.option("--reason", help="Why it is not to be run; kept with it.")
@click.pass_context
def ddl_skip(ctx: click.Context, identity: str, reason: str | None) -> None:
    """Pass a held statement: it is not run at its target, and holds nothing back any more.

    \b
    Example:
      bisync-topology ddl skip west-3 --reason "index made by hand"
    """
    from bisync_topology import ddl_decisions

    click.echo("\n".join(ddl_decisions.decide(topology_of(ctx), identity, "skip", reason or "")))


@ddl.command("guard-triggers")
@click.option("--dry-run", is_flag=True, help="Only say what would be made.")
@click.pass_context
def ddl_guard_triggers(ctx: click.Context, dry_run: bool) -> None:
    """Make triggers again, on both sides, so that they do not run for rows that are applied.

    Each table is locked for the moment between the old trigger and the new one. It may be ended and run again at any time.

    \b
    Example:
      bisync-topology ddl guard-triggers --dry-run
    """
    from bisync_topology import failpoints, guard_triggers

    failpoints.arm(os.environ.get("BISYNC_FAILPOINT"))
    guard_triggers.guard_triggers(topology_of(ctx), click.echo, dry_run=dry_run)
