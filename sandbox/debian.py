"""Unpack a package of Debian's suite sid, with all that it needs or a part of it alone, into a folder. Nothing is installed.

Debian's stable suites have no MySQL. apt is run with lists, status and cache of its own, on a list of sources that
names only sid at the mirror that this machine is already set up to use, and checks signatures as ever. Its
"installed" status is empty, so that every library comes along, libc and the dynamic linker included: the program then
runs through that linker, whatever the machine's own libraries are.
"""

import re
import shutil
import subprocess
import tarfile
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path

from sandbox.cache import say
from sandbox.errors import SandboxError
from sandbox.programs import run

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
SUITE = "sid"
HINT = "check this machine's way to its Debian mirror: apt-get update"
UNNEEDED = re.compile(r"^(perl|libperl)")  # only scripts of the package want it; a third of the space

APT_CONFIG = """\
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Pre-Invoke;
#clear DPkg::Post-Invoke;
#clear DPkg::Pre-Install-Pkgs;
Dir::State "{folder}/state";
Dir::State::lists "{folder}/lists";
Dir::State::status "{folder}/status";
Dir::Cache "{folder}/cache";
Dir::Cache::archives "{folder}/archives";
Dir::Log "{folder}/log";
Dir::Etc::sourcelist "{folder}/sources.list";
Dir::Etc::sourceparts "-";
Dir::Etc::preferences "-";
Dir::Etc::preferencesparts "-";
APT::Default-Release "";
APT::Sandbox::User "";
APT::Install-Recommends "false";
APT::Keep-Downloaded-Packages "true";
Acquire::Languages "none";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled "false";
Acquire::Retries "3";
Debug::NoLocking "true";
quiet "1";
"""


def unpack(package: str, target: Path) -> None:
    """Download `package` of sid with its dependencies and unpack them into `target`."""
    work = target / ".apt"
    apt = _apt(package, work)
    say(f"{package}: downloading it and its libraries (60 MB)")
    run([*apt, "--download-only", "install", package], what=f"{package} cannot be downloaded", hint=HINT)
    say(f"{package}: unpacking")
    for archive in sorted((work / "archives").glob("*.deb")):
        if not UNNEEDED.match(archive.name):
            run(["dpkg-deb", "--extract", archive, target], what=f"{archive.name} cannot be unpacked")
    shutil.rmtree(work)
    for folder in ("doc", "man", "locale", "lintian", "gdb"):
        shutil.rmtree(target / "usr/share" / folder, ignore_errors=True)


def unpack_part(package: str, patterns: Sequence[str], target: Path) -> None:
    """Download `package` of sid alone and unpack into `target` only what fits one of `patterns` (globs over `usr/…`)."""
    work = target / ".apt"
    apt = _apt(package, work)
    say(f"{package}: downloading it (340 MB, of which little is kept)")
    run([*apt, "download", package], what=f"{package} cannot be downloaded", hint=HINT, cwd=work / "archives")
    for archive in (work / "archives").glob("*.deb"):
        _extract(archive, patterns, target)
    shutil.rmtree(work)


def _apt(package: str, work: Path) -> list[str]:
    """Lay out what apt works in, have it read sid's list of packages, and give the beginning of its command."""
    for folder in ("state", "lists/partial", "cache", "archives/partial", "log"):
        (work / folder).mkdir(parents=True)
    (work / "status").touch()
    signed_by = f"[signed-by={KEYRING}] " if KEYRING.exists() else ""
    (work / "sources.list").write_text(f"deb {signed_by}{mirror(package)} {SUITE} main\n")
    config = work / "apt.conf"
    config.write_text(APT_CONFIG.format(folder=work))
    apt = ["apt-get", "-c", str(config), "-y"]
    say(f"{package}: reading the package list of Debian {SUITE}")
    run([*apt, "--error-on=any", "update"], what=f"the package list of Debian {SUITE} cannot be read", hint=HINT)
    return apt


def _extract(archive: Path, patterns: Sequence[str], target: Path) -> None:
    """Unpack members as they come by: the whole would take twice the package's size on disk."""
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", archive], stdout=subprocess.PIPE) as unpacking:
        assert unpacking.stdout is not None
        with tarfile.open(fileobj=unpacking.stdout, mode="r|") as members:
            for member in members:
                name = member.name.removeprefix("./")
                if member.isfile() and any(fnmatch(name, pattern) for pattern in patterns):
                    members.extract(member, target, filter="data")
    if unpacking.returncode != 0:
        raise SandboxError(f"{archive.name} cannot be unpacked: dpkg-deb ended with {unpacking.returncode}")


def mirror(package: str) -> str:
    """Find the address of this machine's Debian mirror in apt's own configuration; package: what it is wanted for."""
    release = _os_release()
    if release.get("ID") != "debian":
        raise SandboxError(
            f"this machine is not Debian, so that {package} cannot be unpacked",
            hint="for the servers, install one so that `mysqld` (8.0.30 or later) is on PATH (Ubuntu: apt-get install "
            "mysql-server-core-8.0); tests that need more run on Debian only",
        )
    listed = run(
        ["apt-get", "indextargets", "--no-release-info", "--format", "$(CREATED_BY) $(COMPONENT) $(RELEASE) $(REPO_URI)"],
        what="apt's sources cannot be listed",
    )
    return pick_mirror(listed, release.get("VERSION_CODENAME", ""))


def pick_mirror(listed: str, codename: str) -> str:
    """Pick the first source of Debian itself out of `apt-get indextargets`, by the suite that it is asked for."""
    suites = {codename, "stable", "testing", "unstable", SUITE} - {""}
    for line in listed.splitlines():
        kind, component, suite, address = (line.split(maxsplit=3) + [""] * 4)[:4]
        if kind == "Packages" and component == "main" and suite in suites and address:
            return address
    raise SandboxError(f"apt is set up with no mirror of Debian's {codename or 'suites'}", hint="see /etc/apt/sources.list(.d)")


def _os_release() -> dict[str, str]:
    path = Path("/etc/os-release")
    lines = path.read_text().splitlines() if path.exists() else []
    return {key: value.strip('"') for key, _, value in (line.partition("=") for line in lines)}
