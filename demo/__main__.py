"""`python -m demo`."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from types import FrameType

import click
from rich.console import Console

from demo.story import Options, Story
from sandbox import SandboxError
from sandbox.cache import cache_dir


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--seconds", type=click.FloatRange(1), default=15.0, help="How long both sides are written to.")
@click.option("--rate", type=click.FloatRange(0), default=120.0, help="Transactions a second and side; 0: as many as go.")
@click.option("--seed", type=int, default=1, help="Another one is another day in the shop.")
@click.option("--keep", is_flag=True, help="Leave everything running at the end, until Ctrl-C.")
@click.option(
    "--root",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the servers' data is; emptied at the start, removed at the end.  [default: `demo` in the cache folder]",
)
def main(seconds: float, rate: float, seed: int, keep: bool, root: Path | None) -> None:
    """Two MySQL servers, both taking orders, kept in step through Kafka; then compared byte by byte.

    Exit code 0 only if both sides are equal. Nothing is installed; servers are downloaded into the cache folder once.
    """
    console = Console()
    signal.signal(signal.SIGTERM, _terminated)
    options = Options(root=(root or cache_dir() / "demo").absolute(), seconds=seconds, rate=rate, seed=seed, keep=keep)
    story = Story(options, console)
    try:
        story.tell()
    except KeyboardInterrupt:
        console.print("[yellow]interrupted; everything is stopped[/]")
        sys.exit(130)
    except SandboxError as error:
        console.print(f"[bold red]error:[/] {error}", highlight=False, soft_wrap=True)
        console.print(f"logs and data are in {options.root}", highlight=False, soft_wrap=True)
        sys.exit(1)
    sys.exit(0 if story.equal else 1)


def _terminated(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
