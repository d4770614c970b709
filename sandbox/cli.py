"""`bisync-topology sandbox up | down | status`: the servers of a try-out, and a topology.yaml that fits them."""

import io
import json
import shlex
import shutil
import time
from pathlib import Path
from typing import Any

import click
from pymysql.err import MySQLError
from ruamel.yaml import YAML

from sandbox.accounts import PASSWORD, USER
from sandbox.cache import cache_dir, locked, say
from sandbox.errors import SandboxError
from sandbox.instances import Sandbox

MARK = "# Written by `bisync-topology sandbox up`, which may write it again."
ROOT_OPTION = click.option(
    "--root",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the servers' data is.  [default: `sandbox` in the cache folder]",
)


@click.group()
def sandbox() -> None:
    """Two real MySQL servers and a real Kafka broker on this machine, without Docker.

    \b
    Example:
      bisync-topology sandbox up --write topology.yaml
      bisync-topology -f topology.yaml up
    """


@sandbox.command()
@ROOT_OPTION
@click.option(
    "--write",
    "target",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where to write the topology.yaml that fits.  [default: topology.yaml in the root folder]",
)
@click.option("--force", is_flag=True, help="Let --write replace a file that this command has not written.")
def up(root: Path | None, target: Path | None, force: bool) -> None:
    """Start the servers; download them first if they are not in the cache.

    Both sides get an empty database `shop` and the account `bisync`. What already runs is left alone.

    \b
    Example:
      bisync-topology sandbox up --write topology.yaml
    """
    root = _root(root)
    target = (target or root / "topology.yaml").absolute()
    if target.exists() and not force and not target.read_text().startswith(MARK):
        raise SandboxError(f"{target} is a file of yours", hint="choose another --write, or replace it with --force")
    before = time.monotonic()
    with locked(root / "lock"):
        servers = Sandbox(root)
        say(f"starting two MySQL servers and a Kafka broker in {root}")
        servers.start()
        servers.prepare()
        _write(target, servers.topology())
    say(f"ready after {time.monotonic() - before:.1f} s")
    for row in _rows(servers):
        click.echo(f"{row['name']:6} {row['host']}:{row['port']:<6} pid {row['pid']}")
    click.echo()
    where = _root_argument(root)
    click.echo("SQL, as root without a password, in the database shop:")
    for server in (servers.east, servers.west):
        click.echo(f"  bisync-topology sandbox sql{where} {server.name} 'SHOW TABLES'")
        if shutil.which("mysql"):
            click.echo(f"  mysql -h {server.host} -P {server.port} -u root shop")
    click.echo(f"The topology's account is {USER}, its password {PASSWORD}.")
    click.echo(f"Next:  bisync-topology -f {shlex.quote(str(target))} up")
    click.echo(f"Later: bisync-topology sandbox down{where}")


@sandbox.command()
@ROOT_OPTION
@click.option("--purge", is_flag=True, help="Remove the servers' data too.")
def down(root: Path | None, purge: bool) -> None:
    """Stop the servers cleanly; with --purge, also remove their data.

    \b
    Example:
      bisync-topology sandbox down --purge
    """
    root = _root(root)
    if not _made(root):
        click.echo(f"there is no sandbox in {root}")
        return
    with locked(root / "lock"):
        servers = Sandbox(root)
        running = [server.name for server in servers.servers if server.pid is not None]
        servers.stop()
        if purge:
            for server in servers.servers:
                shutil.rmtree(server.folder)
            written = root / "topology.yaml"
            if written.exists() and written.read_text().startswith(MARK):
                written.unlink()
    click.echo(f"stopped: {', '.join(running)}" if running else "nothing was running")
    if purge:
        click.echo(f"removed the data in {root}")


@sandbox.command()
@ROOT_OPTION
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def status(root: Path | None, output: str) -> None:
    """Show which servers run, where.

    \b
    Example:
      bisync-topology sandbox status -o json
    """
    root = _root(root)
    rows = _rows(Sandbox(root)) if _made(root) else []
    if output == "json":
        click.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        state = f"running  pid {row['pid']}" if row["running"] else "stopped"
        click.echo(f"{row['name']:6} {row['host']}:{row['port']:<6} {state}")
    if not rows:
        click.echo(f"there is no sandbox in {root}; `bisync-topology sandbox up` makes one")


@sandbox.command()
@ROOT_OPTION
@click.option("--database", default="shop", show_default=True)
@click.argument("side", type=click.Choice(["east", "west"]))
@click.argument("statements", nargs=-1, required=True)
def sql(root: Path | None, database: str, side: str, statements: tuple[str, ...]) -> None:
    """Run SQL on one side as root, for machines without a MySQL client; rows are tab-separated.

    \b
    Example:
      bisync-topology sandbox sql east "CREATE TABLE t (id INT PRIMARY KEY)" "INSERT INTO t VALUES (1)"
    """
    root = _root(root)
    server = getattr(Sandbox(root), side) if _made(root) else None
    if server is None or server.pid is None:
        raise SandboxError(f"{side} is not running", hint=f"bisync-topology sandbox up{_root_argument(root)}")
    try:
        with server.connect(database=database) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
                if cursor.description:
                    click.echo("\t".join(column[0] for column in cursor.description))
                for row in cursor.fetchall():
                    click.echo("\t".join("NULL" if value is None else str(value) for value in row))
    except MySQLError as exc:
        raise SandboxError(f"{side}: {exc.args[-1]}") from exc


def _rows(servers: Sandbox) -> list[dict[str, Any]]:
    return [
        {
            "name": server.name,
            "running": server.pid is not None,
            "host": server.host,
            "port": server.port,
            "pid": server.pid,
            "folder": str(server.folder),
        }
        for server in servers.servers
    ]


def _root(chosen: Path | None) -> Path:
    return (chosen or cache_dir() / "sandbox").absolute()


def _root_argument(root: Path) -> str:
    return "" if root == _root(None) else f" --root {shlex.quote(str(root))}"


def _made(root: Path) -> bool:
    """Tell whether `up` was run there, so that `status` makes no folders."""
    return (root / "kafka").is_dir()


def _write(target: Path, topology: dict[str, Any]) -> None:
    text = io.StringIO()
    yaml = YAML()
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.dump(topology, text)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(f"{MARK}\n{text.getvalue()}")
    except OSError as exc:
        raise SandboxError(f"{target} cannot be written: {exc.strerror}", hint="choose another place with --write") from exc
