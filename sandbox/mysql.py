"""One MySQL server. Its data folder is a copy of a template, initialized once, so that a new server starts in seconds."""

import errno
import os
import pwd
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pymysql
from pymysql.cursors import Cursor

from sandbox import install
from sandbox.cache import START_BYTES, cache_dir, cached, make_folder, no_space, require_room, say
from sandbox.process import ServerProcess, claim, listens, remembered_port
from sandbox.programs import run

HOST = "127.0.0.1"
START_SECONDS = 120.0  # recovery after a crash takes its time
STOP_SECONDS = 90.0
ACCESS_DENIED = 1045
TEMPLATE_BYTES = 300_000_000
TEMPLATE_FORM = 2  # raised when what a template holds changes

# What a side of a topology needs, durable as in production, and small enough that several fit on one machine.
DEFAULTS: Mapping[str, str] = {
    "bind-address": HOST,
    "skip-name-resolve": "",
    "mysqlx": "OFF",
    "secure-file-priv": "NULL",
    "socket": "mysql.sock",  # relative to the data folder: a socket's whole path may have 107 bytes only
    "pid-file": "mysqld.pid",
    "log-bin": "binlog",
    "gtid-mode": "ON",
    "enforce-gtid-consistency": "ON",
    "binlog-row-image": "FULL",
    "binlog-row-metadata": "FULL",
    "log-bin-trust-function-creators": "ON",  # else an account without SUPER makes no trigger and no function
    "sync-binlog": "1",
    "innodb-flush-log-at-trx-commit": "1",
    "innodb-buffer-pool-size": "256M",
    "innodb-redo-log-capacity": "256M",
    "innodb-use-native-aio": "OFF",  # else some twenty servers use up what the system has for all (fs.aio-max-nr)
    "max-allowed-packet": "128M",
}

# With skip-name-resolve, root@localhost is for the socket only.
TEMPLATE_SQL = """\
CREATE USER 'root'@'127.0.0.1';
GRANT ALL PRIVILEGES ON *.* TO 'root'@'127.0.0.1' WITH GRANT OPTION;
GRANT PROXY ON ''@'' TO 'root'@'127.0.0.1' WITH GRANT OPTION;
"""


class MySQLServer:
    """A MySQL server below `root/name`, on this machine's loopback address. `root` has no password.

    `options` are server options by name (`gtid_mode` or `gtid-mode`), over DEFAULTS; an empty value is a bare option.
    """

    host = HOST

    def __init__(self, root: Path, name: str, options: Mapping[str, str] | None = None, port: int | None = None) -> None:
        self.name = name
        self.folder = Path(root).absolute() / name
        self.datadir = self.folder / "data"
        make_folder(self.folder)
        self.port = remembered_port(self.folder / "port", port)
        self.options = dict(options or {})
        self._process = ServerProcess(name, self.folder)

    @property
    def pid(self) -> int | None:
        """The server's pid, None when it is not running."""
        return self._process.pid

    @property
    def server_uuid(self) -> str:
        """The server's UUID, also while it is stopped; empty before its first start."""
        file = self.datadir / "auto.cnf"
        lines = file.read_text().splitlines() if file.exists() else []
        return next((line.partition("=")[2].strip() for line in lines if line.startswith("server-uuid")), "")

    def start(self) -> None:
        """Start the server and wait until it answers. Nothing is done if it is running."""
        if self.pid is None:
            program = install.mysql()
            user = unprivileged(program.folder, self.folder)
            if not self.datadir.exists():
                self._lay_out(template(program))
            require_room(self.folder, START_BYTES)
            own(self.datadir, user)
            claim(self.name, self.port)
            config = self.folder / "my.cnf"
            config.write_text(config_text(self._all_options(program)))
            command = [*program.command, f"--defaults-file={config}", f"--datadir={self.datadir}"]
            self._process.start(command + (["--user=root"] if user is None and os.geteuid() == 0 else []), user=user)
        self._process.wait(self._answers, START_SECONDS)

    def stop(self) -> None:
        """Shut the server down cleanly."""
        self._process.stop(STOP_SECONDS)

    def kill(self) -> None:
        """End the server as a crash would."""
        self._process.kill()

    def restart(self) -> None:
        """Shut the server down cleanly and start it again, with the present `options`."""
        self.stop()
        self.start()

    def connect(self, user: str = "root", password: str = "", **kw: Any) -> "pymysql.Connection[Cursor]":
        """Open a connection, in autocommit mode and in the clear unless asked otherwise; `kw` is PyMySQL's."""
        kw = {"autocommit": True, "charset": "utf8mb4", "ssl_disabled": "ssl" not in kw, **kw}
        return pymysql.connect(host=self.host, port=self.port, user=user, password=password, **kw)

    def log_tail(self) -> str:
        """Give the last lines of the error log."""
        return self._process.log_tail()

    def _answers(self) -> bool:
        if not listens(self.port):
            return False
        try:
            self.connect(connect_timeout=5).close()
        except pymysql.err.OperationalError as exc:
            return bool(exc.args[0] == ACCESS_DENIED)  # somebody gave root a password: it answers
        return True

    def _all_options(self, program: install.MySQLProgram) -> dict[str, str]:
        own_options = {"port": str(self.port), "server-id": str(self.port)}  # a port is unique on the machine
        options = {**DEFAULTS, **program.options, **own_options}
        chosen = {name.replace("_", "-"): value for name, value in self.options.items()}
        if "skip-log-bin" in chosen:
            del options["log-bin"]
        return {**options, **chosen}

    def _lay_out(self, source: Path) -> None:
        """Copy the template beside the data folder and rename it, so that a half-made copy is never started."""
        staging = Path(tempfile.mkdtemp(prefix="data.", dir=self.folder))
        try:
            shutil.copytree(source, staging / "data")
            (staging / "data").rename(self.datadir)
        except shutil.Error as exc:
            raise no_space(self.folder, str(exc.args[0][0][2])) from exc
        except OSError as exc:
            if exc.errno in (errno.ENOSPC, errno.EDQUOT):
                raise no_space(self.folder, str(exc.strerror)) from exc
            raise
        finally:
            shutil.rmtree(staging, ignore_errors=True)


def config_text(options: Mapping[str, str]) -> str:
    """Write an option file: it can be read beside the data, and be tried out by hand."""
    lines = [name if value == "" else f"{name}={value}" for name, value in options.items()]
    return "\n".join(["# written at each start of the server", "[mysqld]", *lines, ""])


def template(program: install.MySQLProgram) -> Path:
    """Give the initialized data folder of a MySQL version; made once, in some five seconds."""

    def build(staging: Path) -> None:
        say(f"mysql: initializing a data folder of MySQL {program.version}")
        user = unprivileged(program.folder, staging)
        sql = staging / "init.sql"
        sql.write_text(TEMPLATE_SQL)
        own(staging, user)
        as_root = ["--user=root"] if user is None and os.geteuid() == 0 else []
        options = [f"--{name}={value}" for name, value in program.options.items()]
        run(
            [
                *program.command, "--no-defaults", "--initialize-insecure", f"--init-file={sql}", "--mysqlx=OFF",
                "--innodb-redo-log-capacity=32M", "--innodb-use-native-aio=OFF",
                f"--datadir={staging / 'data'}", *options, *as_root,
            ],
            what="MySQL cannot initialize a data folder",
            user=user,
        )  # fmt: skip
        sql.unlink()
        (staging / "data/auto.cnf").unlink(missing_ok=True)  # each server makes a UUID of its own

    return cached(f"mysql-data-{program.key}-{TEMPLATE_FORM}", build, needs_bytes=TEMPLATE_BYTES) / "data"


def unprivileged(*folders: Path) -> tuple[int, int] | None:
    """Choose (uid, gid) to run a server as when we are root; None to run it as who we are.

    A server that must read a folder that is closed to others, such as one below /root or pytest's own, runs as root.
    """
    if os.geteuid() != 0 or not all(_open_to_others(folder) for folder in (*folders, cache_dir())):
        return None
    for name in ("mysql", "nobody"):
        try:
            account = pwd.getpwnam(name)
        except KeyError:
            continue
        return account.pw_uid, account.pw_gid
    return None


def own(folder: Path, user: tuple[int, int] | None) -> None:
    """Make a folder and what is in it belong to who will run the server, if we are root and it does not yet."""
    uid, gid = user or (os.geteuid(), os.getegid())
    if os.geteuid() != 0 or folder.stat().st_uid == uid:
        return
    for path in (*folder.rglob("*"), folder):  # the folder last: an interrupted run is then done again
        os.chown(path, uid, gid, follow_symlinks=False)


def _open_to_others(folder: Path) -> bool:
    return all(path.stat().st_mode & 0o001 for path in (folder, *folder.parents) if path.exists())
