"""`python -m benchmarks`."""

from __future__ import annotations

import json
import logging
import signal
import sys
from pathlib import Path
from types import FrameType

import click
import structlog
from rich.console import Console

from benchmarks.run import Options, run
from sandbox import SandboxError
from sandbox.cache import cache_dir


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--rows", type=click.IntRange(1), default=200_000, help="Rows inserted, in transactions of 1,000.")
@click.option("--updates", type=click.IntRange(1), default=50_000, help="Transactions that update one row.")
@click.option("--singles", type=click.IntRange(1), default=500, help="Rows one at a time, for the latency.")
@click.option("--repeat", type=click.IntRange(1), default=1, help="Runs of everything, of which medians are taken.")
@click.option("--seed", type=int, default=1, help="Of what is written.")
@click.option("--json", "file", type=click.Path(dir_okay=False, path_type=Path), help="Where to write the results as JSON.")
@click.option(
    "--root",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the servers' data is; emptied at the start, removed at the end.  [default: `bench` in the cache folder]",
)
def main(rows: int, updates: int, singles: int, repeat: int, seed: int, file: Path | None, root: Path | None) -> None:
    """This project and MySQL's own replication, catching up with the same backlog, one after the other.

    Exit code 0 if every server ends with the same rows, whatever the figures: a miss is printed, not punished.
    """
    console = Console()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    signal.signal(signal.SIGTERM, _terminated)
    root = (root or cache_dir() / "bench").absolute()
    try:
        options = Options(root=root, rows=rows, updates=updates, singles=singles, repeat=repeat, seed=seed)
        results = run(options, console)
    except KeyboardInterrupt:
        console.print("[yellow]interrupted; everything is stopped[/]")
        sys.exit(130)
    except SandboxError as error:
        console.print(f"[bold red]error:[/] {error}", highlight=False, soft_wrap=True)
        console.print(f"logs and data are in {root}", highlight=False, soft_wrap=True)
        sys.exit(1)
    console.print()
    console.print(results.shown())
    if file is not None:
        file.write_text(json.dumps(results.as_json(), indent=2) + "\n")
    sys.exit(0 if results.equal else 1)


def _terminated(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
