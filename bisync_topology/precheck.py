"""What must hold before anything is started: each item with what was seen, why it matters and the statement that mends it.

Pure: facts in (`precheck_facts.py` has them fetched, `precheck_seen.py` is their shape), items out. A theme is a module. Of one
server: `precheck_connection.py`, `precheck_privileges.py`, `precheck_server.py` (its binlog). Of both: `precheck_sides.py`,
`precheck_tables.py`, `precheck_structure.py`, `precheck_objects.py`, `precheck_policies.py`, `precheck_ddl.py`. And
`precheck_kafka.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bisync_topology import (
    precheck_connection,
    precheck_ddl,
    precheck_kafka,
    precheck_objects,
    precheck_policies,
    precheck_privileges,
    precheck_server,
    precheck_sides,
    precheck_structure,
    precheck_tables,
)
from bisync_topology.errors import BisyncError, CheckFailed, Unreachable, UsageError, rule_for, words
from bisync_topology.ownership import waits_out
from bisync_topology.precheck_item import FAIL, LOGIN, PASS, REACHABLE, TOPOLOGY, WARN, Item
from bisync_topology.precheck_seen import Facts, SideFacts
from bisync_topology.topology import Topology


def evaluate(topology: Topology, facts: Facts) -> list[Item]:
    """Give every item, in the order in which a person would look: the file, the servers, the tables, the broker."""
    items, known = [_topology(topology)], {}
    for side, found in facts.sides.items():
        address = f"{topology.sides[side].mysql.host}:{topology.sides[side].mysql.port}"
        if isinstance(found, SideFacts):
            items.append(Item(REACHABLE, side, PASS, f"{address} answers"))
            items.append(Item(LOGIN, side, PASS, f"as {found.account}"))
            items.append(version := precheck_connection.version(side, found))
            if version.result == FAIL:
                continue  # of the rest nothing was asked
            known[side] = found
            items += precheck_connection.evaluate(topology, side, found)
            items += precheck_privileges.evaluate(topology, side, found)
            items += precheck_server.evaluate(topology, side, found)
        else:
            items.append(_refused(side, address, topology.sides[side].mysql.user, found))
    if len(known) == len(topology.sides):
        for theme in (precheck_sides, precheck_tables, precheck_structure, precheck_objects, precheck_policies, precheck_ddl):
            items += theme.evaluate(topology, known)
    items += precheck_kafka.evaluate(topology, facts.kafka, runs=facts.runs)
    return items


@dataclass(frozen=True)
class Results:
    """The items, and what follows from them."""

    items: list[Item]

    @classmethod
    def of(cls, topology: Topology, facts: Facts) -> Results:
        """Evaluate facts."""
        return cls(evaluate(topology, facts))

    @property
    def failed(self) -> list[Item]:
        """Those that keep the topology from running."""
        return [item for item in self.items if item.result == FAIL]

    @property
    def warnings(self) -> list[Item]:
        """Those that a person should know of."""
        return [item for item in self.items if item.result == WARN]

    def failure(self) -> BisyncError | None:
        """The error that says all that failed, None when nothing did.

        Unreachable where a server or the broker is away; UsageError where the file's account is refused and nothing else is
        wrong; else CheckFailed.
        """
        if not self.failed:
            return None
        text = "\n".join(line for item in self.failed for line in _lines(item))
        message = f"precheck: {len(self.failed)} of {len(self.items)} items failed; nothing was created or started\n{text}"
        if any(item.away for item in self.failed):
            return Unreachable(message)
        if all(item.item in (LOGIN, TOPOLOGY) for item in self.failed):
            return UsageError(message)
        return CheckFailed(message)


def _topology(topology: Topology) -> Item:
    arrows = ", ".join(map(str, topology.directions))
    return Item(TOPOLOGY, None, PASS, f"{topology.name}: {arrows}")


def _refused(side: str, address: str, user: str, error: Exception) -> Item:
    rule = rule_for(error)
    if waits_out(error):
        why = "changes are read from this server and written to it"
        return Item(REACHABLE, side, FAIL, f"{address} cannot be reached: {words(error)}", why, rule.advice, away=True)
    if rule.code in ("access_denied", "tls"):
        seen = f"{address} refuses user {user}: {words(error)}"
        return Item(LOGIN, side, FAIL, seen, "the topology works under this account", rule.advice)
    why = "without its answers nothing is known of this server"
    return Item(REACHABLE, side, FAIL, f"{address} refuses a question: {words(error)}", why, rule.advice)


def _lines(item: Item) -> Iterator[str]:
    yield f"  ✗ {item.side + ': ' if item.side else ''}{item.item}: {item.seen}"
    yield f"    why: {item.why}"
    if item.fix:
        yield "    fix: " + item.fix.replace("\n", "\n         ")
