"""Getting the sandbox's programs: what is read from other programs' words, and downloads that are whole or absent."""

import os
import subprocess
import sys
import tarfile
import threading
from pathlib import Path

import pytest

from sandbox import cache, debian, install, programs
from sandbox.errors import SandboxError


@pytest.fixture(autouse=True)
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own."""
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_failed_download_leaves_nothing() -> None:
    """What looks finished is finished: a build that fails half-way leaves neither target nor staging folder."""

    def build(staging: Path) -> None:
        (staging / "half").touch()
        raise SandboxError("the line went dead")

    with pytest.raises(SandboxError, match="line went dead"):
        cache.cached("thing", build, needs_bytes=0)
    assert [path.name for path in cache.cache_dir().iterdir()] == ["thing.lock"]


def test_a_killed_download_is_swept_up_by_the_next() -> None:
    """The staging folder of a process that was killed does not stay for ever, and does not count as the download."""
    stale = cache.cache_dir() / ".thing.abc"
    stale.mkdir()
    made = cache.cached("thing", lambda staging: (staging / "whole").touch(), needs_bytes=0)
    assert not stale.exists()
    assert [path.name for path in made.iterdir()] == ["whole"]


def test_two_that_want_the_same_download_it_once() -> None:
    """The second waits for the first and takes its result."""
    building, second_came, builds = threading.Event(), threading.Event(), []

    def build(staging: Path) -> None:
        builds.append(staging)
        building.set()
        second_came.wait(10)

    threads = [threading.Thread(target=cache.cached, args=("thing", build), kwargs={"needs_bytes": 0}) for _ in "ab"]
    threads[0].start()
    assert building.wait(10)
    threads[1].start()
    second_came.set()
    for thread in threads:
        thread.join()
    assert len(builds) == 1


def test_another_process_holds_the_lock(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A lock that another process holds is waited for, and the user is told what is waited for."""
    lock = tmp_path / "lock"
    script = f"import fcntl, sys; f = open({str(lock)!r}, 'w'); fcntl.flock(f, 2); print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        timer = threading.Timer(0.2, holder.communicate)
        timer.start()
        with cache.locked(lock):
            assert holder.wait(10) == 0
        timer.join()
    assert str(lock) in capsys.readouterr().err


def test_too_little_room_is_said_before_the_download() -> None:
    """A full disk is one clear line, with what mends it, before anything is fetched."""
    with pytest.raises(SandboxError, match=r"no space in .* MiB are needed") as caught:
        cache.cached("thing", lambda staging: pytest.fail("it was built"), needs_bytes=1 << 62)
    assert cache.VARIABLE in str(caught.value.hint)


def test_a_cache_that_cannot_be_made() -> None:
    """Its error names the variable that moves it."""
    with pytest.raises(SandboxError) as caught:
        cache.make_folder(Path("/proc/cache"))
    assert cache.VARIABLE in str(caught.value.hint)


@pytest.mark.parametrize(
    ("words", "version"),
    [
        ("/usr/sbin/mysqld  Ver 9.7.4-2 for Linux on x86_64 ((Debian))", (9, 7, 4)),
        ("mysqld  Ver 8.0.44-0ubuntu0.24.04.1 for Linux on x86_64 ((Ubuntu))", (8, 0, 44)),
        ("mysqld  Ver 10.11.14-MariaDB-0+deb12u2 for debian-linux-gnu on x86_64 (Debian 12)", None),
        ("what?", None),
    ],
)
def test_mysql_version(words: str, version: tuple[int, ...] | None) -> None:
    """MariaDB is also called mysqld; it is not what is wanted."""
    assert install.mysql_version(words) == version


def test_mysqld_on_path_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A MySQL that the user has installed is taken as it is; nothing is downloaded."""
    program = tmp_path / "mysqld"
    program.write_text("#!/bin/sh\necho mysqld  Ver 8.4.7 for Linux on x86_64\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"/nowhere:{tmp_path}:{os.environ['PATH']}")
    found = install.mysql.__wrapped__()
    assert (found.command, found.version, found.options) == ((str(program),), "8.4.7", {})


SOURCES = """\
Packages main cloud-sdk-bookworm https://tools.test/apt/
Packages contrib bookworm https://mirror.test/debian/
DEP-11 main bookworm https://mirror.test/debian/
Packages main bookworm-security https://security.test/debian-security/
Packages main bookworm https://mirror.test/debian/
"""


def test_pick_mirror() -> None:
    """Of apt's sources, the one of Debian itself is taken, not that of a vendor or of security updates."""
    assert debian.pick_mirror(SOURCES, "bookworm") == "https://mirror.test/debian/"
    with pytest.raises(SandboxError, match="no mirror"):
        debian.pick_mirror(SOURCES, "trixie")


def test_a_part_of_a_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what was asked for leaves the archive, and a damaged one is an error."""
    for name in ("kept/a", "kept/deep/b", "other/c"):
        (tmp_path / "made/usr" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "made/usr" / name).write_text(name)
    with tarfile.open(tmp_path / "made.deb", "w") as made:
        made.add(tmp_path / "made/usr", "./usr")
    unpacker = tmp_path / "dpkg-deb"
    unpacker.write_text('#!/bin/sh\ncat "$2" && ! grep -q broken "$0.log"\n')
    unpacker.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    (tmp_path / "dpkg-deb.log").touch()
    debian._extract(tmp_path / "made.deb", ["usr/kept/*"], tmp_path / "target")
    assert sorted(path.name for path in (tmp_path / "target").rglob("*") if path.is_file()) == ["a", "b"]
    (tmp_path / "dpkg-deb.log").write_text("broken")
    with pytest.raises(SandboxError, match=r"made\.deb cannot be unpacked"):
        debian._extract(tmp_path / "made.deb", ["usr/kept/*"], tmp_path / "target")


@pytest.mark.parametrize(
    ("output", "line"),
    [
        ("Reading...\nE: Failed to fetch\nE: Some index files failed\n", "E: Failed to fetch"),
        ("\x1b[0m[\x1b[31mERROR] No plugin\n[ERROR] see more\n", "[ERROR] No plugin"),
        ("2026-11-22T14:08:09Z 0 [ERROR] [MY-010119] Aborting\nbye\n", "2026-11-22T14:08:09Z 0 [ERROR] [MY-010119] Aborting"),
        (
            "... ERROR kafka.Kafka$ - Exiting\njava.io.IOException: disk on fire\n\tat kafka.Kafka",
            "java.io.IOException: disk on fire",
        ),
        ("one\ntwo\n", "two"),
        ("", "it ended without a word"),
    ],
)
def test_telling_line(output: str, line: str) -> None:
    """A failure of another program is told in the one line that says why."""
    assert programs.telling_line(output) == line


def test_a_program_that_is_not_there() -> None:
    """Its error is the sandbox's, with the command that mends it."""
    with pytest.raises(SandboxError, match=r"cannot go on.*absent-program.*apt-get install it"):
        programs.run(["absent-program"], what="cannot go on", hint="apt-get install it")


def test_no_address_of_a_registry_is_in_the_sources() -> None:
    """Addresses come from the machine's own configuration, so that a mirror or a proxy is honoured."""
    folder = Path(install.__file__).parent
    sources = "".join(file.read_text() for file in folder.iterdir() if file.suffix in {".py", ".xml"})
    assert "http" not in sources


def test_maven_is_asked_for_or_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An ordinary user is told the command; for root apt-get does it, with fresh package lists if the old ones fail."""
    apt = tmp_path / "apt-get"
    apt.write_text(
        f"#!/bin/sh\necho $1 >>{tmp_path}/calls\n"
        f'if [ $1 = update ]; then >{tmp_path}/lists; elif [ -e {tmp_path}/lists ]; then echo "#!/bin/sh" >{tmp_path}/mvn; '
        f"/bin/chmod +x {tmp_path}/mvn; else exit 100; fi\n"
    )
    apt.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(SandboxError, match="no mvn on PATH — sudo apt-get install maven"):
        install._maven()
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert install._maven() == str(tmp_path / "mvn")
    assert (tmp_path / "calls").read_text().split() == ["install", "update", "install"]
