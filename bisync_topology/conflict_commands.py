"""The commands `conflicts list`, `show` and `resolve`; see commands.py."""

from __future__ import annotations

import click

from bisync_topology.command_options import OUTPUT, complete_side, put_out, topology_of


@click.group()
def conflicts() -> None:
    """What was in conflict, and what was done about it.

    \b
    Example:
      bisync-topology conflicts list --decision pending
    """


_FROM = click.option("--from", "from_", metavar="SIDE", shell_complete=complete_side, help="Only changes of this side.")
_TO = click.option("--to", metavar="SIDE", shell_complete=complete_side, help="Only those that came to this side.")
_TABLE = click.option("--table", metavar="PATTERN", help="Only these tables, as in `objects`: shop, shop.stock, shop.s*.")
_TYPE = click.option("--type", "types", multiple=True, metavar="TYPE", help="insert_exists, update_differs, …; may be repeated.")


@conflicts.command("list")
@_FROM
@_TO
@_TABLE
@_TYPE
@click.option(
    "--decision",
    "decisions",
    multiple=True,
    type=click.Choice(["source", "target", "merged", "pending", "skipped"]),
    help="May be repeated.",
)
@click.option("--limit", type=click.IntRange(min=0), default=100, show_default=True, help="The newest; 0: all.")
@OUTPUT
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
    found = records.find(topology_of(ctx), wanted)
    put_out(output, found, records.show_list)


@conflicts.command("show")
@click.argument("identity", metavar="ID")
@OUTPUT
@click.pass_context
def conflicts_show(ctx: click.Context, identity: str, output: str) -> None:
    """Show one conflict: its rows side by side, with what differs marked.

    \b
    Example:
      bisync-topology conflicts show west-17
    """
    from bisync_topology import conflicts as records

    conflict = records.read(topology_of(ctx), identity)
    put_out(output, conflict, records.show_one)


@conflicts.command("resolve")
@click.argument("identity", metavar="[ID]", required=False)
@click.option("--use", type=click.Choice(["source", "target"]), required=True, help="Whose row both sides are to hold.")
@click.option("--all", "every", is_flag=True, help="All pending conflicts that fit the filters, in place of one by its id.")
@_FROM
@_TO
@_TABLE
@_TYPE
@click.pass_context
def conflicts_resolve(
    ctx: click.Context,
    identity: str | None,
    use: str,
    every: bool,
    from_: str | None,
    to: str | None,
    table: str | None,
    types: tuple[str, ...],
) -> None:
    """Decide about pending conflicts. It is stored at once, and applied when `resume` lets the direction go on.

    \b
    Example:
      bisync-topology conflicts resolve west-17 --use source
      bisync-topology conflicts resolve --all --table shop.orders --type update_differs --use target
    """
    from bisync_topology import conflicts as records
    from bisync_topology import resolutions

    wanted = records.Filter(from_=from_, to=to, table=table, types=types)
    if (identity is None) is not every:
        raise click.UsageError("give one conflict's id, as in `conflicts resolve west-17 --use source`, or --all with filters")
    if identity is None:
        said = resolutions.resolve_all(topology_of(ctx), wanted, use)
    elif wanted == records.Filter():
        said = resolutions.resolve_one(topology_of(ctx), identity, use)
    else:
        raise click.UsageError("filters go with --all, not with an id")
    click.echo("\n".join(said))
