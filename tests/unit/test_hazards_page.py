"""docs/hazards.md against the tests: each that it names exists, and each hazard test is named."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

HOME = Path(__file__).parents[2]
TESTS = {path.stem: path for path in (HOME / "tests").rglob("test_*.py")}
PAGE = (HOME / "docs/hazards.md").read_text(encoding="utf-8")
SECTIONS = {
    section.partition("\n")[0]: re.findall(r"^\| (?!hazard |---)(.+?) \| (.+) \|$", section, re.MULTILINE)
    for section in PAGE.split("\n## ")[1:]
}
LINES = [(section, hazard, shown) for section, lines in SECTIONS.items() for hazard, shown in lines]


@cache
def functions(module: str) -> frozenset[str]:
    """The tests of a module."""
    tree = ast.parse(TESTS[module].read_text(encoding="utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"))


def named(text: str = PAGE) -> Iterator[tuple[str, str]]:
    """(module, test) of every test that a text names."""
    yield from re.findall(r"`(test_\w+)::(\w+)`", text)


@pytest.mark.parametrize(("section", "hazard", "shown"), LINES)
def test_every_line_has_its_test(section: str, hazard: str, shown: str) -> None:
    """Each line names a test that exists, or says why there is none."""
    tests = list(named(shown))
    assert tests or shown.startswith("out: ")
    for module, test in tests:
        assert module in TESTS, f"{module} of {hazard!r} is no module"
        assert test in functions(module), f"{module} has no {test}"
    if tests and not shown.startswith("out: ") and section != "Accounts and security":
        assert any(module.startswith("test_hazards_") for module, _ in tests), "none of them shows what a library does"


def test_every_hazard_test_has_its_line() -> None:
    """No test of test_hazards_*.py is left out of the page, and nothing of the page is read over."""
    modules = {module for module in TESTS if module.startswith("test_hazards_")} - {Path(__file__).stem}
    assert {(module, test) for module in modules for test in functions(module)} <= set(named())
    assert len(LINES) == sum(line.startswith("| ") and not line.startswith("| hazard ") for line in PAGE.splitlines())
    assert set(named()) == {test for _, _, shown in LINES for test in named(shown)}
