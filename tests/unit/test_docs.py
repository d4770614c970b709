"""The docs say what the code does: commands, errors, failpoints, tables, files and links are compared with their sources."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from bisync_topology import control, failpoints, precheck_server
from bisync_topology.cli import cli
from bisync_topology.error_table import KAFKA, MYSQL
from bisync_topology.errors import CheckFailed, DirectionFailed, InternalError, LostOwnership, Unreachable, UsageError
from bisync_topology.grants import CONTROL, REPLICATION, ROWS, SEEN
from bisync_topology.precheck_item import BROKER, LOGIN, REACHABLE, TOPOLOGY
from bisync_topology.topology import Policy
from bisync_topology.topology_file import load
from consumers import decision_page
from producers.events import NAMES
from schemas import types_page
from schemas.topics import table_topic

HOME = Path(__file__).parents[2]
PACKAGES = ("bisync_topology", "producers", "consumers", "initialization", "recovery", "verification", "schemas", "sandbox")
PAGES = sorted(path for path in (*HOME.glob("*.md"), *HOME.glob("docs/**/*.md")))


def page(name: str) -> str:
    """Give a page's text."""
    return (HOME / name).read_text(encoding="utf-8")


def commands(group: click.Command = cli, prefix: str = "") -> Iterator[tuple[str, click.Command]]:
    """(name as it is typed, command) of every command that `--help` shows."""
    if not isinstance(group, click.Group):
        yield prefix, group
        return
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if not command.hidden:
            yield from commands(command, f"{prefix} {name}".strip())


def codes() -> set[str]:
    """Every `code` that an error can have: of the error tables, of classes, and of what modules raise."""
    found = {rule.code for rule in (*MYSQL.values(), *KAFKA.values())}
    for package in PACKAGES:
        for path in (HOME / package).glob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                match node:
                    case ast.keyword(arg="code", value=ast.Constant(value=str(code))):
                        found.add(code)
                    case ast.AnnAssign(target=ast.Name(id="default_code"), value=ast.Constant(value=str(code))):
                        found.add(code)
                    case ast.Assign(targets=[ast.Name(id="default_code")], value=ast.Constant(value=str(code))):
                        found.add(code)
                    case ast.Call(func=ast.Attribute(attr="_error"), args=[ast.Constant(value=str(code)), *_]):
                        found.add(code)
                    case ast.Call(func=ast.Name(id="Rule"), args=[_, ast.Constant(value=str(code)), *_]):
                        found.add(code)
    return found


def anchor(heading: str) -> str:
    """A heading as the fragment of a link, by the rules of Git hosts."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def items() -> set[str]:
    """Every item that a precheck can give: the first argument of `Item`, and the names of settings that must have one value."""
    found = {setting.name for setting in precheck_server.SETTINGS} | {TOPOLOGY, REACHABLE, LOGIN, BROKER}
    for path in (HOME / "bisync_topology").glob("precheck*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(func=ast.Name(id="Item"), args=[ast.Constant(value=str(name)), *_]):
                    found.add(name)
    return found


def test_items_of_the_precheck_are_listed() -> None:
    """Operations has a row for each item, and for none that there is not."""
    table = page("docs/operations.md").partition("## Precheck\n")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == items()


@pytest.mark.parametrize("name", [name for name, _ in commands()])
def test_every_command_is_documented(name: str) -> None:
    """Operations has each command of the command line, and each of its options that is not everyone's."""
    section = page("docs/operations.md").partition("## Commands")[2].partition("\n## ")[0]
    group, _, last = name.rpartition(" ")
    line = next((line for line in section.splitlines() if line.startswith(f"| `{group or last}")), None)
    assert line is not None, f"`{name}` is not in the table of commands"
    assert f"`{last}`" in line or f"`{name}" in line
    command = dict(commands())[name]
    for option in command.params:
        if isinstance(option, click.Option) and not option.hidden and group != "sandbox":
            assert option.name in ("output", "file") or any(word in line for word in option.opts), f"{name} {option.opts}"


def test_no_command_is_documented_that_is_not_there() -> None:
    """What the table of commands lists can be typed."""
    section = page("docs/operations.md").partition("## Commands")[2].partition("\n## ")[0]
    listed = [re.match(r"\| `([a-z]+)", line) for line in section.splitlines()]
    assert {found[1] for found in listed if found} == {name.split()[0] for name, _ in commands()}


def test_the_page_of_types_is_that_of_the_code() -> None:
    """`make docs` was run since the tables changed."""
    assert page("docs/types.md") == types_page.page()


def test_the_tables_of_conflicts_are_those_of_the_code() -> None:
    """`make docs` was run since a decision changed."""
    found = page("docs/conflicts.md")
    assert found.count(decision_page.BEGIN) == found.count(decision_page.END) == 1
    assert found == decision_page.replaced(found)


def test_every_error_code_is_explained() -> None:
    """Each code that `status` or a command can show is in the tables of errors, and they list no other."""
    section = page("docs/operations.md").partition("## Errors and ways out")[2].partition("\n### DDL")[0]
    first_cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    assert {code for cell in first_cells for code in re.findall(r"`(\w+)`", cell)} == codes()


def test_exit_codes() -> None:
    """README and operations give the exit codes that errors have."""
    wanted = {
        CheckFailed.exit_status: "it did not hold",
        UsageError.exit_status: "usage or configuration",
        DirectionFailed.exit_status: "a direction has failed",
        Unreachable.exit_status: "a server could not be reached",
        InternalError.exit_status: "a defect",
    }
    assert LostOwnership.exit_status == CheckFailed.exit_status
    for name in ("README.md", "docs/operations.md"):
        sentence = page(name).partition("Exit codes: ")[2].partition("\n\n")[0].replace("\n", " ")
        said = {int(number): text for number, text in re.findall(r"(\d+) ([^;.]+)", sentence)}
        assert said.pop(0) == "done"
        assert said.keys() == wanted.keys()
        assert all(said[number].startswith(text) for number, text in wanted.items())


def test_every_failpoint_has_its_line() -> None:
    """Architecture says of each failpoint what happens next, and names no other."""
    lines = re.findall(
        r"^\| `((?:producer|applier|supervisor|init|guard_triggers|recover)\.\w+)` \|", page("docs/architecture.md"), re.MULTILINE
    )
    assert tuple(lines) == failpoints.NAMES


def test_every_control_table_is_documented() -> None:
    """Operations has a line for each control table, and no other."""
    section = page("docs/operations.md").partition("## Control tables")[2].partition("\n## ")[0]
    assert tuple(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == control.TABLES


def test_grants_of_the_readme_are_those_of_precheck() -> None:
    """The GRANTs that the README shows are what precheck asks for: no more, no less."""
    shown = re.findall(r"^GRANT (.*) ON (\S+) TO bisync@'%';$", page("README.md"), re.MULTILINE)
    assert [(tuple(privileges.split(", ")), place) for privileges, place in shown] == [
        (REPLICATION, "*.*"),
        ((*ROWS, *SEEN), "shop.*"),
        (CONTROL, "bisync.*"),
    ]


def test_topology_of_the_readme_runs(tmp_path: Path) -> None:
    """The README's least topology.yaml loads, and has nothing in it that this version refuses."""
    text = re.search(r"```yaml\n(name: shop.*?)```", page("README.md"), re.DOTALL)
    assert text is not None
    secret = tmp_path / "west"
    secret.write_text("hunter2")
    (tmp_path / "ca.pem").write_text("")
    file = tmp_path / "topology.yaml"
    file.write_text(text[1].replace("/run/secrets/west", str(secret)))
    assert load(file, {"EAST_PASSWORD": "hunter1"}).directions[0].initialize


def test_limits_name_the_policies() -> None:
    """The README says of each policy whether the sides end equal under it."""
    limits = page("README.md").partition("**Policies**")[2].partition("\n- ")[0]
    converge, _, others = limits.partition("make the sides converge")
    for policy in Policy:
        assert f"`{policy}`" in (converge if policy.converges else others)


def test_topic_names_of_the_docs() -> None:
    """The examples of escaped names are what the code writes."""
    rows = re.findall(r"^\| `(.+?)`, `(.+?)`, `(.+?)` \| `(.+?)` \|$", page("docs/architecture.md"), re.MULTILINE)
    assert len(rows) >= 3
    for side, db, table, topic in rows:
        assert table_topic("shop", side, db, table) == topic


def test_events_that_stop_are_known() -> None:
    """The kinds of event that the README says stop a direction are ones that capture refuses by name."""
    assert "incidents" in page("README.md").partition("**Events** that stop")[2].partition("\n- ")[0]
    assert "INCIDENT" in NAMES.values()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(HOME)))
def test_links_lead_somewhere(path: Path) -> None:
    """Every link within the project has its file, and every fragment its heading."""
    for text, target in re.findall(r"\[([^\]]*)\]\(([^)\s]+)\)", path.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        file, _, fragment = target.partition("#")
        goal = (path.parent / file).resolve() if file else path
        assert goal.exists(), f"{text}: {target}"
        if fragment:
            headings = re.findall(r"^#+ (.+)$", goal.read_text(encoding="utf-8"), re.MULTILINE)
            assert fragment in map(anchor, headings), f"{text}: {target}"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(HOME)))
def test_files_that_are_named_exist(path: Path) -> None:
    """A file of the project that a page names in backticks is there."""
    named = re.findall(r"`((?:[a-z_]+/)+[\w.-]+\.(?:py|sql|md|yaml|svg|avsc))`", path.read_text(encoding="utf-8"))
    missing = [name for name in named if not (HOME / name).exists()]
    assert not missing


def test_commands_of_hints_exist_or_are_said_to_be_missing() -> None:
    """A command that an error's hint names is there, or operations says what to do instead in this version."""
    there = {name.split()[0] for name, _ in commands()}
    section = page("docs/operations.md").partition("## What this version lacks")[2]
    lacking = set(re.findall(r"`([a-z]+)[ `]", "\n".join(re.findall(r"^\| (.*?) \|", section, re.MULTILINE))))
    texts = "".join(path.read_text(encoding="utf-8") for package in PACKAGES for path in (HOME / package).glob("*.py"))
    named = set(re.findall(r"`bisync-topology (?:-f \S+ )?([a-z]+)", texts)) | {
        word for word in ("verify", "replay", "recover", "conflicts") if f"`{word}`" in texts
    }
    assert named - there <= lacking
