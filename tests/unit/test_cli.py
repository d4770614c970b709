"""The command line: help, completion, exit codes and what is said of errors; no server is needed."""

import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pymysql.err
import pytest
import structlog
from click.shell_completion import ShellComplete
from confluent_kafka import KafkaError, KafkaException

from bisync_topology import __version__, cli
from bisync_topology.errors import CheckFailed, DirectionFailed, InternalError, Unreachable, UsageError

HOME = Path(__file__).parent.parent.parent
TOPOLOGY = """
name: shop
kafka: {bootstrap.servers: "127.0.0.1:1"}
sides:
  east: {mysql: {host: 127.0.0.1, port: 1, user: u, password: p}}
  west: {mysql: {host: 127.0.0.1, port: 2, user: u, password: p}}
directions:
  - {from: east, to: west, objects: [shop]}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A topology of which nothing can be reached."""
    path = tmp_path / "topology.yaml"
    path.write_text(TOPOLOGY)
    return path


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in [name for name in os.environ if name.startswith("BISYNC_") and not name.startswith("BISYNC_SANDBOX_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr("bisync_topology.logs.configure", lambda: None)  # it would keep the stream that pytest gives this test
    yield
    structlog.contextvars.clear_contextvars()


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Give every command with its words, groups among them."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


@pytest.mark.parametrize("words", [words for words, _ in commands(cli.cli)], ids=" ".join)
def test_every_command_is_explained(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """Each command's --help says what it does and has an example that names it."""
    assert cli.run([*words, "--help"]) == 0
    text = capsys.readouterr().out
    assert "Example:" in text
    assert f"{' '.join(words)}" in text.split("Example:")[1]


def test_commands_of_the_interface() -> None:
    """The commands of interface.md that this version has are there under their names."""
    expected = {"applier", "pause", "precheck", "producer", "resume", "sandbox", "skip", "status", "up", "wait"}
    assert expected <= set(cli.cli.list_commands(click.Context(cli.cli)))


def test_help_is_quick() -> None:
    """Help and completion import neither a client library nor the models: they are typed at a prompt."""
    code = "import sys, bisync_topology.cli as c; c.run(['--help']); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], cwd=HOME, capture_output=True, text=True, check=True)
    loaded = set(done.stderr.split())
    assert not loaded & {"pymysql", "confluent_kafka", "pydantic", "rich", "structlog", "ruamel.yaml", "fastavro"}


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """--version is the version of the package."""
    assert cli.run(["--version"]) == 0
    assert capsys.readouterr().out == f"bisync-topology, version {__version__}\n"
    assert tomllib.loads((HOME / "pyproject.toml").read_text())["project"]["version"] == __version__


@pytest.mark.parametrize(
    ("words", "incomplete", "expected"),
    [
        (["pause"], "", ["east", "west"]),
        (["pause", "east"], "w", ["west"]),
        (["producer"], "e", ["east"]),
        ([], "sta", ["status"]),
        (["sandbox"], "do", ["down"]),
    ],
)
def test_completion(file: Path, words: list[str], incomplete: str, expected: list[str]) -> None:
    """Commands are completed, and side names from the topology that -f names."""
    completion = ShellComplete(cli.cli, {}, "bisync-topology", "_BISYNC_TOPOLOGY_COMPLETE")
    found = completion.get_completions(["-f", str(file), *words], incomplete)
    assert [item.value for item in found] == expected


def test_completion_without_a_file(tmp_path: Path) -> None:
    """A file that is missing or wrong completes nothing and says nothing."""
    completion = ShellComplete(cli.cli, {}, "bisync-topology", "_BISYNC_TOPOLOGY_COMPLETE")
    assert completion.get_completions(["-f", str(tmp_path / "none"), "pause"], "") == []


@pytest.mark.parametrize("command", ["up", "producer east", "applier west", "precheck", "status", "wait", "pause east west"])
def test_a_wrong_file(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every command reports all mistakes of the file with their positions and exits with 2."""
    path = tmp_path / "topology.yaml"
    path.write_text(TOPOLOGY.replace("name: shop", "nam: shop").replace("to: west", "to: wset"))
    assert cli.run(["-f", str(path), *command.split()]) == 2
    text = capsys.readouterr().err
    assert f"{path}:2:1: nam:" in text and f"{path}:8:22: directions[0].to:" in text


def test_the_file_by_the_environment(file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """BISYNC_FILE stands for -f, and is not taken for a key of the topology."""
    monkeypatch.setenv("BISYNC_FILE", str(file))
    assert cli.run(["pause", "east", "nowhere"]) == 2
    assert "there is no direction east to nowhere" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["producer", "west"],
        ["applier", "east"],
        ["applier", "north"],
        ["pause", "west", "east"],
        ["resume", "east", "east"],
        ["skip", "east", "west", "--gtid", "latest", "--reason", "x"],
        ["skip", "east", "west", "--gtid", "3e11fa47-71ca-11e1-9e33-c80aa9429562:1", "--reason", " "],
        ["skip", "east", "west", "--gtid", "3e11fa47-71ca-11e1-9e33-c80aa9429562:1"],
        ["wait", "--timeout", "-1"],
        ["status", "-o", "xml"],
        ["frobnicate"],
    ],
    ids=" ".join,
)
def test_usage(file: Path, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """What is wrong on the command line exits with 2 before anything is connected to."""
    assert cli.run(["-f", str(file), *words]) == 2
    assert capsys.readouterr().err


def test_nothing_can_be_reached(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Commands that need a server exit with 4 and name it."""
    for words in (["status"], ["wait"], ["pause", "east", "west"]):
        assert cli.run(["-f", str(file), *words]) == 4
        assert "127.0.0.1:1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (CheckFailed("it does not hold", hint="do that"), 1, ["it does not hold", "do that"]),
        (UsageError("wrong"), 2, ["wrong"]),
        (DirectionFailed("stopped", hint="resume"), 3, ["stopped", "resume"]),
        (Unreachable("away"), 4, ["away"]),
        (InternalError("invariant"), 70, ["invariant"]),
        (pymysql.err.OperationalError(2003, "Can't connect"), 4, ["Can't connect", "topology.yaml"]),
        (pymysql.err.OperationalError(1045, "Access denied"), 2, ["Access denied", "password"]),
        (KafkaException(KafkaError(KafkaError._ALL_BROKERS_DOWN)), 4, ["_ALL_BROKERS_DOWN", "bootstrap.servers"]),
        (ZeroDivisionError("division by zero"), 70, ["ZeroDivisionError", "a defect", "BISYNC_LOG_LEVEL=debug"]),
        (KeyboardInterrupt(), 130, []),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_exit_codes(
    error: BaseException,
    code: int,
    said: list[str],
    file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Each kind of error has its exit code and one message with the remedy, without a traceback."""

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("bisync_topology.operate.pause", fail)
    assert cli.run(["-f", str(file), "pause", "east", "west"]) == code
    text = capsys.readouterr().err
    assert all(words in text for words in said)
    assert "Traceback" not in text


def test_a_defect_shows_its_place_on_request(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """BISYNC_LOG_LEVEL=debug adds the traceback."""
    monkeypatch.setenv("BISYNC_LOG_LEVEL", "debug")
    monkeypatch.setattr("bisync_topology.operate.pause", lambda *_: 1 / 0)
    assert cli.run(["-f", str(file), "pause", "east", "west"]) == 70
    assert "Traceback" in capsys.readouterr().err


def test_the_four_packages_lie_side_by_side(tmp_path: Path) -> None:
    """A package of the same name from PyPI in place of ours is noticed at the start, with the way to install that avoids it."""
    cli.check_packages()
    with pytest.raises(UsageError, match="another one, in") as caught:
        cli.check_packages(tmp_path)
    assert "uv tool install" in str(caught.value)


def test_an_unknown_failpoint(file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A misspelt failpoint is a usage error and not a test that passes by itself."""
    monkeypatch.setenv("BISYNC_FAILPOINT", "producer.nowhere")
    assert cli.run(["-f", str(file), "producer", "east"]) == 2
    assert "producer.after_lock" in capsys.readouterr().err


@pytest.mark.parametrize("words", ["verify", "conflicts list", "conflicts resolve --all --use source"])
def test_tables_are_chosen_not_taken_out(words: str, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A pattern with `!` would choose the very tables that it is to leave out: to compare, or to decide about."""
    assert cli.run(["-f", str(file), *words.split(), "--table", "!shop.orders"]) == 2
    assert "name those that are meant" in " ".join(capsys.readouterr().err.split())
