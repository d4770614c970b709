"""One line of the precheck."""

from __future__ import annotations

from dataclasses import dataclass

PASS, WARN, FAIL = "pass", "warn", "fail"
TOPOLOGY, REACHABLE, LOGIN, BROKER = "topology", "reachable", "login", "broker"  # items that others look at


@dataclass(frozen=True)
class Item:
    """An item of `precheck -o json`. fix: a statement to run, or what to change; none for what passed."""

    item: str
    side: str | None  # None: of the whole topology
    result: str
    seen: str
    why: str = ""
    fix: str | None = None
    away: bool = False  # failed because a server could not be reached; not printed

    def as_json(self) -> dict[str, str | None]:
        """Give the form of interface.md."""
        names = ("item", "side", "result", "seen", "why", "fix")
        return {name: getattr(self, name) for name in names}
