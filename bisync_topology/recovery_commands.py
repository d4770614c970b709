"""The commands `replay` and `recover`: what Kafka holds is applied once more."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from functools import partial
from typing import Any

import click

from bisync_topology.command_options import OUTPUT, put_out, side_argument, topology_of


@click.command()
@side_argument("from_")
@side_argument("to")
@click.option(
    "--to-datetime",
    "moment",
    metavar="T",
    help="From the first transaction that was committed then or later; UTC unless it says.",
)
@click.option(
    "--to-earliest", "earliest", is_flag=True, help="From the earliest one of which, and of all behind it, Kafka has every event."
)
@click.option(
    "--to-offset", "offset", type=click.IntRange(min=0), metavar="N", help="From this offset of `<name>.<FROM>.transactions`."
)
@click.option("--execute", is_flag=True, help="Not a dry run: exits with 1 where rows differ and are not written.")
@click.option("--force", is_flag=True, help="With --execute: write the rows that differ as they were sent.")
@OUTPUT
@click.pass_context
def replay(
    ctx: click.Context,
    from_: str,
    to: str,
    moment: str | None,
    earliest: bool,
    offset: int | None,
    execute: bool,
    force: bool,
    output: str,
) -> int:
    """Compare what a direction has applied since a point with its target, and write it again. A dry run unless --execute.

    The direction must be paused. What it has not applied yet is counted alone: `resume` applies it. Each row is compared by its
    last image; --force overwrites what the target has now, so keep writes off such rows.

    \b
    Example:
      bisync-topology replay east west --to-datetime 2026-11-22T12:00:00Z
      bisync-topology replay east west --to-earliest --execute --force
    """
    from bisync_topology.display import show_replay
    from bisync_topology.errors import UsageError
    from recovery.replay import replay as run
    from recovery.replay_plan import at_offset, at_time

    if (moment is not None) + earliest + (offset is not None) != 1:
        raise UsageError("one of --to-datetime, --to-earliest and --to-offset is required")
    if force and not execute:
        raise UsageError("--force goes with --execute")
    chosen = None if earliest else at_time(microseconds(moment)) if moment is not None else at_offset(offset or 0)
    found: dict[str, Any] = run(topology_of(ctx), from_, to, chosen, partial(click.echo, err=True), execute=execute, force=force)
    put_out(output, found, show_replay)
    return 1 if execute and not force and not found["equal"] else 0


@click.command()
@side_argument("side")
@click.option("--force", is_flag=True, help="Overwrite rows that are not as the stream has them; pass what is refused.")
@OUTPUT
@click.pass_context
def recover(ctx: click.Context, side: str, force: bool, output: str) -> None:
    """Bring a server that was restored from a backup back to where its own stream ends; its processes must be stopped.

    What it had written and applied since the backup is applied to it again, in order and once. Where Kafka does not have all
    of it, the gap is named, nothing is written, and the exit code is 1. Ended at any moment, it goes on when it is run again.

    \b
    Example:
      bisync-topology -f topology.yaml recover west
    """
    from bisync_topology import failpoints
    from recovery.recover import recover as run

    failpoints.arm(os.environ.get("BISYNC_FAILPOINT"))
    found = run(topology_of(ctx), side, lambda line: click.echo(line, err=output == "json"), force=force)
    put_out(output, found, _show_recovery)


def _show_recovery(found: dict[str, Any]) -> None:
    forced = f", {found['overwritten']} changes by force" if found["overwritten"] else ""
    click.echo(f"{found['transactions']} transactions were applied again{forced}")
    click.echo(f"{found['side']} goes on as stream {found['stream']}, behind {found['behind']}")
    click.echo("`up` goes on from here, and writes may be let on again")


def microseconds(text: str) -> int:
    """A time in ISO 8601, in UTC unless it says otherwise → microseconds since 1970. Raises UsageError."""
    from bisync_topology.errors import UsageError

    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"{text!r} is no time: {error}", hint="as 2026-11-22T12:00:00Z, or with an offset, +02:00") from error
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    whole = moment.replace(microsecond=0)
    return int(whole.timestamp()) * 1_000_000 + moment.microsecond
