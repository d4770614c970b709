"""What is shipped and how it is installed: the wheel, exact versions, the image, CI's script, and no address anywhere."""

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterable
from email.parser import HeaderParser
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from bisync_topology import __version__
from bisync_topology.cli import PACKAGES
from producers.row_events import VERSION

HOME = Path(__file__).parents[2]
PROJECT: dict[str, Any] = tomllib.loads((HOME / "pyproject.toml").read_text())
SHIPPED = (*PACKAGES, "sandbox")
DATA = ("bisync_topology/control.sql", "schemas/transaction.avsc", "schemas/ddl.avsc", "sandbox/pom.xml")
INSTALLERS = ("uv", "editables")  # what installs the rest; no package asks for them


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel, built from this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder]
    done = subprocess.run(command, cwd=HOME, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return zipfile.ZipFile(next(folder.glob("*.whl")))


def test_wheel_holds_the_packages_side_by_side(wheel: zipfile.ZipFile) -> None:
    """One wheel has all packages at its top, and nothing else but its metadata: no tests, no demo."""
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == set(SHIPPED)


def test_wheel_holds_every_module_and_data_file(wheel: zipfile.ZipFile) -> None:
    """Whatever lies in a package's folder is shipped: modules, SQL, Avro schemas, Maven's file."""
    here = {
        path.relative_to(HOME).as_posix()
        for package in SHIPPED
        for path in (HOME / package).rglob("*")
        if path.is_file() and path.suffix in (".py", ".sql", ".avsc", ".xml")
    }
    assert set(DATA) <= here
    assert here <= set(wheel.namelist())


def test_wheel_s_metadata(wheel: zipfile.ZipFile) -> None:
    """The command, the licence and its text, and the oldest Python are those of the project."""
    folder = next(name.split("/")[0] for name in wheel.namelist() if ".dist-info/" in name)
    metadata = HeaderParser().parsestr(wheel.read(f"{folder}/METADATA").decode())
    assert metadata["Name"] == "bisync-topology"
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Requires-Python"] == ">=3.11"
    assert "Apache License" in wheel.read(f"{folder}/licenses/LICENSE").decode()
    assert "bisync-topology = bisync_topology.cli:main" in wheel.read(f"{folder}/entry_points.txt").decode()


def test_version_is_one() -> None:
    """Package, command line, wire and image agree on the version; the changelog has it."""
    version = PROJECT["project"]["version"]
    assert (__version__, VERSION) == (version, version)
    assert f"image: bisync-topology:{version}" in (HOME / "docker-compose.yml").read_text()
    assert f"## [{version}]" in (HOME / "CHANGELOG.md").read_text()


def pinned() -> dict[str, str]:
    """Name → version of constraints.txt."""
    return dict(line.split("==") for line in (HOME / "constraints.txt").read_text().splitlines())


def closure(wanted: Iterable[str]) -> set[str]:
    """Everything that these requirements bring along on the oldest Python, as far as it is installed here."""
    oldest = {"python_version": "3.11", "python_full_version": "3.11.0", "extra": ""}
    found: set[str] = set()
    queue = [(Requirement(text), oldest) for text in wanted]
    while queue:
        requirement, environment = queue.pop()
        name = canonicalize_name(requirement.name)
        if requirement.marker is not None and not requirement.marker.evaluate(environment):
            continue
        if name not in found:
            found.add(name)
            try:
                needs = requires(name) or []
            except PackageNotFoundError:
                continue
            queue += [(Requirement(text), oldest) for text in needs]
    return found


def test_constraints_are_exact_and_complete() -> None:
    """constraints.txt has an exact version, and only that, of everything that is installed, and of nothing else."""
    for line in (HOME / "constraints.txt").read_text().splitlines():
        assert re.fullmatch(r"[a-z0-9-]+==[0-9][0-9A-Za-z.]*", line), line
    groups = PROJECT["dependency-groups"]
    wanted = [*PROJECT["project"]["dependencies"], *groups["dev"], *groups["sandbox"], *PROJECT["build-system"]["requires"]]
    assert closure(wanted) | set(INSTALLERS) == pinned().keys()


def test_constraints_fit_the_project() -> None:
    """Each version that is pinned is one that pyproject.toml allows."""
    groups = PROJECT["dependency-groups"]
    versions = pinned()
    for text in (*PROJECT["project"]["dependencies"], *groups["dev"], *groups["sandbox"]):
        requirement = Requirement(text)
        assert versions[canonicalize_name(requirement.name)] in requirement.specifier, text


def test_no_registry_s_address() -> None:
    """What installs something names no address: the machine's own settings say where packages come from."""
    files = [
        HOME / name for name in ("Makefile", ".ci/run", "constraints.txt", "pyproject.toml", "Dockerfile", "docker-compose.yml")
    ]
    files += [*(HOME / "docker").iterdir(), *(HOME / "sandbox").glob("*.py"), HOME / "sandbox/pom.xml"]
    for file in files:
        text = file.read_text()
        assert not re.search(r"[a-z]+://[\w.-]+\.[a-z]{2,}", text), file
        assert not re.search(r"index-url|extra-index|find-links|<repositor", text), file


def test_image_holds_the_packages() -> None:
    """The Dockerfile copies every package, .dockerignore lets each in, and the health check is where Compose looks."""
    dockerfile, ignored = (HOME / "Dockerfile").read_text(), (HOME / ".dockerignore").read_text().splitlines()
    for package in SHIPPED:
        assert f"COPY {package} {package}\n" in dockerfile
        assert f"!{package}" in ignored
    for copied in re.findall(r"^COPY (?!--from)(?:--\S+ )*(.+) \S+$", dockerfile, re.MULTILINE):
        for name in copied.split():
            assert f"!{name}" in ignored, name
            assert (HOME / name).exists(), name
    assert "/opt/bisync/bin/healthcheck" in dockerfile


def test_ci_runs_lint_and_tests() -> None:
    """.ci/run can be run, stops at the first failure, and calls the two targets."""
    script = HOME / ".ci/run"
    assert os.access(script, os.X_OK)
    lines = script.read_text().splitlines()
    assert "set -euo pipefail" in lines
    assert [line for line in lines if line.startswith("make ")] == ["make lint", "make test"]


def test_make_lists_its_targets() -> None:
    """`make` alone says what each target does, and every target that is documented is there."""
    done = subprocess.run(["make", "-C", HOME], capture_output=True, text=True, check=True)
    listed = set(re.findall(r"^  ([a-z-]+) +\S", done.stdout, re.MULTILINE))
    assert {"setup", "demo", "test", "test-unit", "lint", "bench", "kills", "sandbox-up", "sandbox-down", "clean"} <= listed
    for page in ("README.md", "CONTRIBUTING.md", "docs/performance.md"):
        assert set(re.findall(r"(?:^    |`)make ([a-z-]+)", (HOME / page).read_text(), re.MULTILINE)) <= listed
