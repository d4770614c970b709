"""The command line's entry: the group of all commands, and what becomes of an error. The commands are in `commands.py`."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from pathlib import Path
from typing import Final, NoReturn

import click

from bisync_topology import __version__
from bisync_topology.commands import COMMANDS

PACKAGES: Final = ("bisync_topology", "producers", "consumers", "initialization", "recovery", "verification", "schemas")
LAZY: Final = {  # groups of other packages, loaded when they are used: name → (module:object, what --help says)
    "sandbox": ("sandbox.cli:sandbox", "Two real MySQL servers and a Kafka broker on this machine, without Docker."),
}
EPILOG: Final = """\b
Example:
  bisync-topology -f topology.yaml precheck
  bisync-topology -f topology.yaml up

\b
Exit codes: 0 done; 1 it did not hold; 2 usage or configuration; 3 a direction has
failed; 4 a server could not be reached; 70 internal error.

\b
Completion of commands and side names, for bash (zsh and fish likewise):
  eval "$(_BISYNC_TOPOLOGY_COMPLETE=bash_source bisync-topology)"
"""


class _Lazy(click.Group):
    """A group whose members of other packages are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), *LAZY])

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in LAZY:
            return super().get_command(ctx, name)
        module, _, attribute = LAZY[name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        shown = {name: command.get_short_help_str(90) for name, command in self.commands.items() if not command.hidden}
        shown |= {name: text for name, (_, text) in LAZY.items()}
        with formatter.section("Commands"):
            formatter.write_dl(sorted(shown.items()))


def main() -> NoReturn:
    """Run a command and exit with the code that interface.md gives its outcome."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run a command; gives its exit code. Errors are one message on standard error, with the remedy."""
    try:
        check_packages()
        result = cli.main(arguments, prog_name="bisync-topology", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return 130
    except BrokenPipeError:  # `… | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except Exception as error:  # noqa: BLE001  the last one that can say something about it
        return _say(error)
    return result if isinstance(result, int) else 0


def _say(error: Exception) -> int:
    from bisync_topology.errors import BisyncError, Category, exit_code, rule_for, words

    if type(error).__name__ == "KafkaException":
        from bisync_topology.kafka import as_ours

        error = as_ours(error)
    rule = rule_for(error)
    internal = rule.category is Category.INTERNAL and not isinstance(error, BisyncError)
    text = f"{type(error).__name__}: {error}" if internal else words(error)
    hint = "this is a defect; BISYNC_LOG_LEVEL=debug shows where" if internal else rule.advice
    click.echo(f"{click.style('error:', fg='red', bold=True)} {text}", err=True)
    if hint:
        click.echo(f"{click.style('hint:', fg='cyan', bold=True)} {hint}", err=True)
    if os.environ.get("BISYNC_LOG_LEVEL", "").lower() == "debug":
        import traceback

        traceback.print_exception(error)
    return exit_code(error)


def check_packages(home: Path = Path(__file__).parent.parent) -> None:
    """Raise UsageError where one of our packages is not the one that lies beside this one; PyPI has others of their names."""
    for name in PACKAGES:
        spec = importlib.util.find_spec(name)
        found = Path(spec.origin).parent.parent if spec is not None and spec.origin else None
        if found != home:
            from bisync_topology.errors import UsageError

            raise UsageError(
                f"package `{name}` is {'missing' if found is None else f'another one, in {found}'}; it belongs into {home}",
                hint="install into an environment of its own: `uv tool install bisync-topology`, or pipx",
            )


@click.group(cls=_Lazy, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "-f",
    "--file",
    type=click.Path(path_type=Path),
    default="topology.yaml",
    show_default=True,
    envvar="BISYNC_FILE",
    show_envvar=True,
    help="The topology.",
)
@click.version_option(__version__, prog_name="bisync-topology")
def cli(file: Path) -> None:
    """Two MySQL servers that both take writes, kept in step through Kafka."""


for _command in COMMANDS:
    cli.add_command(_command)


if __name__ == "__main__":
    main()
