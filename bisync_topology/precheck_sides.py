"""The precheck of the two servers against each other: identities, settings in which they should agree or differ. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from bisync_topology.precheck_item import FAIL, PASS, WARN, Item
from bisync_topology.precheck_policies import opposite
from bisync_topology.precheck_seen import Name, SideFacts
from bisync_topology.precheck_tables import carried, dotted, such_as
from bisync_topology.scope import policies
from bisync_topology.topology import Policy, Topology

SKEW, SKEW_NEWEST = 60.0, 1.0  # seconds by which clocks may differ; and where they decide which row is the newer one


def evaluate(topology: Topology, facts: Mapping[str, SideFacts]) -> Iterator[Item]:
    """Give the items, once both sides have answered."""
    yield from _server_uuids(facts)
    yield _server_ids(facts)
    yield _case(topology, facts)
    yield from _packets(topology, facts)
    yield _sql_mode(facts)
    yield from _auto_increment(topology, facts)
    yield _clocks(topology, facts)


def _server_uuids(facts: Mapping[str, SideFacts]) -> Iterator[Item]:
    uuids = {side: found.variables.get("server_uuid", "") for side, found in facts.items()}
    seen = ", ".join(f"{side} {uuid}" for side, uuid in uuids.items())
    if len(set(uuids.values())) == len(uuids):
        yield Item("server_uuid", None, PASS, f"they differ: {seen}")
        return
    why = "both sides are one server, or one is a copy of the other's files; their transactions could not be told apart"
    fix = "point topology.yaml at two servers; for a copy: stop it, remove auto.cnf from its data folder, start it"
    yield Item("server_uuid", None, FAIL, f"they are the same: {seen}", why, fix)


def _server_ids(facts: Mapping[str, SideFacts]) -> Item:
    numbers = {side: found.variables.get("server_id", "") for side, found in facts.items()}
    seen = ", ".join(f"{side} {number}" for side, number in numbers.items())
    (_, first), (side, second) = numbers.items()
    if first != second:
        return Item("server_ids", None, PASS, f"they differ: {seen}")
    why = "MySQL's own replication takes events of its own number for its own, and passes them over"
    fix = f"SET PERSIST server_id = {int(second or 0) + 1};"
    return Item("server_ids", side, WARN, f"they are the same: {seen}", why, fix)


def _case(topology: Topology, facts: Mapping[str, SideFacts]) -> Item:
    modes = {side: found.variables.get("lower_case_table_names", "0") for side, found in facts.items()}
    seen = ", ".join(f"{side} {mode}" for side, mode in modes.items())
    if len(set(modes.values())) == 1:
        return Item("lower_case_table_names", None, PASS, f"equal: {seen}")
    folded = [name for found in facts.values() for name in sorted(found.tables) if dotted(name) != dotted(name).lower()]
    why = "names are compared as the binlog has them: a server that folds them logs them in lower case"
    if folded:
        fix = "RENAME TABLE … to names in lower case, on both sides; or set one server up anew: it is chosen at the first start"
        return Item("lower_case_table_names", None, FAIL, f"{seen}; {such_as(folded)} is not in lower case", why, fix)
    fix = "keep all names in lower case; or set one of the servers up anew, as this is chosen at its first start"
    return Item("lower_case_table_names", None, WARN, f"{seen}; all names are in lower case now", why, fix)


def _packets(topology: Topology, facts: Mapping[str, SideFacts]) -> Iterator[Item]:
    for direction in topology.directions:
        theirs, mine = (int(facts[each].variables.get("max_allowed_packet", "0")) for each in (direction.from_, direction.to))
        if theirs <= mine:
            yield Item("max_allowed_packet", direction.to, PASS, f"{mine:,} bytes; {direction.from_} has {theirs:,}")
            continue
        seen = f"{mine:,} bytes; {direction.from_} has {theirs:,}"
        why = f"a row that {direction.from_} takes may be too large here, and stops the direction"
        yield Item("max_allowed_packet", direction.to, WARN, seen, why, f"SET PERSIST max_allowed_packet = {theirs};")


def _sql_mode(facts: Mapping[str, SideFacts]) -> Item:
    modes = {side: found.variables.get("sql_mode", "") for side, found in facts.items()}
    (first, one), (side, two) = modes.items()
    ours, theirs = (frozenset(filter(None, mode.split(","))) for mode in (one, two))
    if ours == theirs:
        return Item("sql_mode", None, PASS, "equal on both sides")
    only = [
        f"{name} has {', '.join(sorted(has - other))} beside"
        for name, has, other in ((first, ours, theirs), (side, theirs, ours))
        if has - other
    ]
    why = (
        "clients of one side are refused what those of the other may write, and routines behave otherwise; rows are carried alike"
    )
    return Item("sql_mode", side, WARN, "; ".join(only), why, f"SET PERSIST sql_mode = '{one}';")


def disjoint(one: tuple[int, int], two: tuple[int, int]) -> bool:
    """Whether two (increment, offset) never give the same number. An offset beyond its increment is ignored by the server."""
    (step, start), (other_step, other_start) = one, two
    return start <= step and other_start <= other_step and (start - other_start) % math.gcd(step, other_step) != 0


def _auto_increment(topology: Topology, facts: Mapping[str, SideFacts]) -> Iterator[Item]:
    names = sorted(_counted(topology, facts))
    if not names:
        yield Item("auto_increment", None, PASS, "no table with AUTO_INCREMENT goes both ways")
        return
    steps = {
        side: tuple(int(found.variables.get(f"auto_increment_{each}", "1")) for each in ("increment", "offset"))
        for side, found in facts.items()
    }
    seen = ", ".join(f"{side} by {step} from {start}" for side, (step, start) in steps.items())
    one, two = ((step, start) for step, start in steps.values())
    if disjoint(one, two):
        yield Item("auto_increment", None, PASS, f"numbers never meet: {seen}")
        return
    why = "both sides give the same numbers to different new rows, which are then conflicts"
    for start, side in enumerate(steps, start=1):
        wanted = (len(steps), start)
        if steps[side] != wanted:
            fix = f"SET PERSIST auto_increment_increment = {wanted[0]}; SET PERSIST auto_increment_offset = {wanted[1]};"
            yield Item(
                "auto_increment", side, WARN, f"numbers meet: {seen}; {such_as(names)}", why, fix + "  -- then reconnect clients"
            )


def _counted(topology: Topology, facts: Mapping[str, SideFacts]) -> set[Name]:
    """Tables with AUTO_INCREMENT that go both ways."""
    found = set()
    for first, second in opposite(topology):
        for side in facts.values():
            both = set(carried(topology, first, side.tables)) & set(carried(topology, second, side.tables))
            found |= {name for name in both if side.tables[name].auto_increment}
    return found


def _clocks(topology: Topology, facts: Mapping[str, SideFacts]) -> Item:
    (first, one), (side, two) = ((name, found.clock) for name, found in facts.items())
    skew, newest = abs(one - two), Policy.NEWEST in policies(topology)
    limit = SKEW_NEWEST if newest else SKEW
    seen = f"{first} and {side} differ by {skew:.1f} s"
    if skew <= limit:
        return Item("clocks", None, PASS, seen)
    why = "of two changes the one of the fast clock counts as the newer" if newest else "lag is told wrong, and NOW() differs"
    fix = "let both machines follow the same time servers: `chronyc makestep`, or `timedatectl set-ntp true`, on each"
    return Item("clocks", None, WARN, seen, why, fix)
