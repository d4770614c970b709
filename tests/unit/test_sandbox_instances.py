"""The sandbox's servers without starting one: accounts, option files, ports, processes, topology."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from ruamel.yaml import YAML

from bisync_topology.topology_file import load
from sandbox import KafkaBroker, MySQLServer, Sandbox, SandboxError, cache, cli, grants
from sandbox.install import MySQLProgram
from sandbox.kafka import properties_text
from sandbox.mysql import config_text, own, unprivileged
from sandbox.process import ServerProcess, began, claim, free_port, remembered_port


def test_grants_are_the_least() -> None:
    """Capture needs the binlog and rows; apply needs rows, and to see triggers; the control schema is the tool's own. No more."""
    assert grants(["shop", "crm"]) == [
        "GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO 'bisync'@'%'",
        "GRANT SELECT, INSERT, UPDATE, DELETE, TRIGGER ON `shop`.* TO 'bisync'@'%'",
        "GRANT SELECT, INSERT, UPDATE, DELETE, TRIGGER ON `crm`.* TO 'bisync'@'%'",
        "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX ON `bisync`.* TO 'bisync'@'%'",
    ]


def test_grants_for_ddl() -> None:
    """With DDL or structure initialization, the synced schemas and all in them may be changed as well."""
    assert grants(["shop"], ddl=True)[1] == (
        "GRANT SELECT, INSERT, UPDATE, DELETE, TRIGGER, CREATE, ALTER, DROP, INDEX, REFERENCES, CREATE VIEW, CREATE ROUTINE,"
        " ALTER ROUTINE, EVENT, LOCK TABLES ON `shop`.* TO 'bisync'@'%'"
    )


def test_grants_quote_names() -> None:
    r"""`_` and `%` are wildcards in a GRANT's schema; quotes end a name or a string."""
    assert grants(["a_b%`c"], control_schema="c", user="o'x", host="h")[1] == (
        r"GRANT SELECT, INSERT, UPDATE, DELETE, TRIGGER ON `a\_b\%``c`.* TO 'o''x'@'h'"
    )


def test_option_files() -> None:
    """An option without a value is a bare word for mysqld."""
    assert config_text({"port": "1", "skip-name-resolve": ""}).splitlines()[1:] == [
        "[mysqld]",
        "port=1",
        "skip-name-resolve",
    ]
    assert properties_text({"node.id": "1"}).splitlines()[1:] == ["node.id=1"]


def test_options_of_a_test_win(tmp_path: Path) -> None:
    """Options are taken with either spelling, over the defaults, and without a binlog if it is switched off."""
    program = cli_program()
    options = MySQLServer(tmp_path, "east", {"gtid_mode": "OFF", "skip_log_bin": ""})._all_options(program)
    assert options["gtid-mode"] == "OFF"
    assert "log-bin" not in options
    other = MySQLServer(tmp_path, "west")
    assert other._all_options(program)["server-id"] == str(other.port)
    assert other._all_options(program)["binlog-row-metadata"] == "FULL"


def cli_program() -> MySQLProgram:
    """Describe a mysqld that is never run."""

    return MySQLProgram(command=("mysqld",), options={}, version="8.4.0", folder=Path("/"))


def test_ports_stay(tmp_path: Path) -> None:
    """A server has the same port at each start, whoever asks; two servers have different ones."""
    east = MySQLServer(tmp_path, "east")
    broker = KafkaBroker(tmp_path)
    assert MySQLServer(tmp_path, "east").port == east.port
    assert KafkaBroker(tmp_path).bootstrap == f"127.0.0.1:{broker.port}"
    assert len({east.port, MySQLServer(tmp_path, "west").port, broker.port, broker.controller_port}) == 4
    assert MySQLServer(tmp_path, "north", port=12345).port == 12345
    assert remembered_port(tmp_path / "north" / "port", None) == 12345


def test_a_port_in_use_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """A foreign program at the port is one clear line with the command that shows it."""
    monkeypatch.setattr("sandbox.process.CLAIM_SECONDS", 0.1)
    with socket.socket() as other:
        other.bind(("127.0.0.1", free_port()))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(SandboxError, match=f"east cannot start: port {port} is in use.*ss -ltnp"):
            claim("east", port)


def sleeper(folder: Path, code: str = "import time; time.sleep(60)") -> ServerProcess:
    """Start a process that does nothing for a minute."""
    process = ServerProcess("sleeper", folder)
    process.start([sys.executable, "-c", code])
    return process


def test_a_process_is_found_again_and_stopped(tmp_path: Path) -> None:
    """Another command finds the process by its pid file, in a session of its own, and ends it."""
    pid = sleeper(tmp_path).pid
    assert pid is not None
    assert os.getsid(pid) == pid
    found = ServerProcess("sleeper", tmp_path)
    assert found.pid == pid
    found.stop(10)
    assert found.pid is None
    assert not found.pid_file.exists()
    found.stop(10)  # again is no error


def test_a_reused_pid_is_not_the_server(tmp_path: Path) -> None:
    """A pid file whose process is gone, and whose pid is another's by now, is of no process; nobody is signalled."""
    (tmp_path / "pid").write_text(json.dumps({"pid": os.getpid(), "began": 1}))
    process = ServerProcess("east", tmp_path)
    assert process.pid is None
    process.kill()  # would end this test
    (tmp_path / "pid").write_text("{")
    assert process.pid is None


def test_a_killed_process_leaves_no_pid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where it dies just after it was asked for: mysqld does not start while the pid in its lock file is there."""
    process = sleeper(tmp_path)
    pid = process.pid
    assert pid is not None
    monkeypatch.setattr("subprocess.Popen.poll", lambda self: None)
    process.kill()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_process_that_ignores_the_request_is_killed(tmp_path: Path) -> None:
    """SIGTERM first, SIGKILL when time is over."""
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
    process = sleeper(tmp_path, code)
    process.wait(lambda: "deaf" in process.log_tail(), 10)
    process.stop(0.2)
    assert process.pid is None


def test_a_child_of_another_that_is_dead_but_not_reaped(tmp_path: Path) -> None:
    """A zombie is not running, although it has a pid."""
    with subprocess.Popen(["sleep", "60"]) as child:
        assert began(child.pid) is not None
        os.kill(child.pid, signal.SIGKILL)
        deadline = time.monotonic() + 10
        while began(child.pid) is not None and time.monotonic() < deadline:
            time.sleep(0.01)
        assert began(child.pid) is None


def test_a_start_that_fails_shows_the_log(tmp_path: Path) -> None:
    """Whoever reads the error sees what the server said."""
    process = sleeper(tmp_path, "print('disk on fire')")
    with pytest.raises(SandboxError, match=r"ended while starting: disk on fire"):
        process.wait(lambda: False, 10)
    slow = sleeper(tmp_path)
    with pytest.raises(SandboxError, match="does not answer"):
        slow.wait(lambda: False, 0.1)
    slow.kill()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs servers as somebody else")
def test_servers_of_root_run_as_somebody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As an ordinary user where that one can reach the data; as root in a closed folder, as pytest's own is."""
    monkeypatch.setenv(cache.VARIABLE, "/var/cache/bisync-topology")
    user = unprivileged(Path("/usr"))
    assert user is not None
    assert user[0] != 0
    (tmp_path / "closed").mkdir(mode=0o700)
    assert unprivileged(tmp_path / "closed") is None
    file = tmp_path / "closed/file"
    file.touch()
    own(tmp_path / "closed", user)
    assert (file.stat().st_uid, file.parent.stat().st_uid) == (user[0], user[0])
    own(tmp_path / "closed", None)
    assert file.stat().st_uid == 0


def test_the_topology_fits(tmp_path: Path) -> None:
    """What `up` writes is a topology.yaml that loads without a mistake."""
    servers = Sandbox(tmp_path / "root")
    file = tmp_path / "topology.yaml"
    cli._write(file, servers.topology())
    topology = load(file, {})
    assert topology.sides["west"].mysql.port == servers.west.port
    assert "&" not in file.read_text()  # no YAML anchors: people copy from it
    other = servers.topology("crm", objects=["crm"], topics={"partitions": 1})
    assert (other["name"], other["topics"], other["directions"][1]["objects"]) == ("crm", {"partitions": 1}, ["crm"])


def test_up_does_not_replace_the_users_file(tmp_path: Path) -> None:
    """A topology.yaml that somebody wrote is refused before anything is started; one of its own is replaced."""
    file = tmp_path / "topology.yaml"
    file.write_text("name: mine\n")
    result = CliRunner().invoke(cli.sandbox, ["up", "--root", str(tmp_path / "root"), "--write", str(file)])
    assert isinstance(result.exception, SandboxError)
    assert "--force" in str(result.exception)
    assert file.read_text() == "name: mine\n"
    assert not (tmp_path / "root").exists()
    cli._write(file, {"name": "again"})
    assert YAML().load(file)["name"] == "again"


def test_commands_where_nothing_was_started(tmp_path: Path) -> None:
    """`status` and `down` say so, make no folders, and succeed; `sql` names the command that starts it."""
    root = tmp_path / "root"
    run = CliRunner().invoke
    assert json.loads(run(cli.sandbox, ["status", "--root", str(root), "-o", "json"]).output) == []
    assert "sandbox up" in run(cli.sandbox, ["status", "--root", str(root)]).output
    assert run(cli.sandbox, ["down", "--root", str(root)]).exit_code == 0
    assert "sandbox up" in str(run(cli.sandbox, ["sql", "--root", str(root), "east", "SELECT 1"]).exception)
    assert not root.exists()


def test_status_of_stopped_servers(tmp_path: Path) -> None:
    """A stopped server keeps its port, has no pid."""
    servers = Sandbox(tmp_path)
    result = CliRunner().invoke(cli.sandbox, ["status", "--root", str(tmp_path), "-o", "json"])
    rows = json.loads(result.output)
    assert [(row["name"], row["running"], row["pid"]) for row in rows] == [
        ("east", False, None),
        ("west", False, None),
        ("kafka", False, None),
    ]
    assert rows[0]["port"] == servers.east.port
    assert servers.east.server_uuid == ""
    assert servers.east.log_tail() == ""


@pytest.mark.parametrize("command", ["up", "down", "status", "sql"])
def test_every_command_has_an_example(command: str) -> None:
    """--help shows how it is used."""
    assert "Example:" in CliRunner().invoke(cli.sandbox, [command, "--help"]).output
