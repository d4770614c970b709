"""The precheck of conflict policies: tables whose two sides may end unequal. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from bisync_topology.precheck_item import PASS, WARN, Item
from bisync_topology.precheck_seen import Name, SideFacts
from bisync_topology.precheck_tables import carried, includes, such_as
from bisync_topology.scope import settings_for
from bisync_topology.topology import Direction, Dml, Policy, Topology


def unequal_pairs(topology: Topology, facts: Mapping[str, SideFacts]) -> Iterator[tuple[Direction, Direction, list[Name]]]:
    """Tables that both directions carry under policies which do not converge: those of a pair of policies at a time."""
    for first, second in opposite(topology):
        pairs: dict[tuple[Policy, Policy], list[Name]] = {}
        for name in carried(topology, first, facts[first.from_].tables):
            one, two = settings_for(first, *name).on_conflict, settings_for(second, *name).on_conflict
            if includes(topology, second, name) and not (one.converges and two.converges):
                pairs.setdefault((one, two), []).append(name)
        for names in pairs.values():
            yield first, second, names


def one_way(topology: Topology, facts: Mapping[str, SideFacts]) -> Iterator[tuple[Direction, Policy, list[Name]]]:
    """Tables that one direction alone carries, under a policy that needs both."""
    for direction in topology.directions:
        back = next((each for each in topology.directions if (each.from_, each.to) == (direction.to, direction.from_)), None)
        found: dict[Policy, list[Name]] = {}
        for name in carried(topology, direction, facts[direction.from_].tables):
            policy = settings_for(direction, *name).on_conflict
            if policy.converges and (back is None or not includes(topology, back, name)):
                found.setdefault(policy, []).append(name)
        for policy, names in found.items():
            yield direction, policy, names


def filtered(topology: Topology, facts: Mapping[str, SideFacts]) -> Iterator[tuple[Direction, list[Name]]]:
    """Tables under a convergent policy of which a direction leaves some changes out."""
    for direction in topology.directions:
        names = [
            name
            for name in carried(topology, direction, facts[direction.from_].tables)
            if (settings := settings_for(direction, *name)).on_conflict.converges and settings.dml != frozenset(Dml)
        ]
        if names:
            yield direction, names


def evaluate(topology: Topology, facts: Mapping[str, SideFacts]) -> Iterator[Item]:
    """Warn of policies under which the sides may end unequal, or a direction stops."""
    convergent = " | ".join(policy for policy in Policy if policy.converges)
    told = False
    for first, second, names in unequal_pairs(topology, facts):
        told = True
        one, two = (settings_for(each, *names[0]).on_conflict for each in (first, second))
        if one is two is Policy.TASK_FAILED:
            what = "both directions stop, and wait for somebody to decide"
        elif Policy.TASK_FAILED in (one, two):
            stops, goes_on = (first, second) if one is Policy.TASK_FAILED else (second, first)
            what = f"{stops} stops, and waits for somebody to decide; {goes_on} does not, so that the sides may end unequal"
        else:
            what = "they may end unequal, whatever the order, and nothing stops"
        why = f"where both sides change the same row at once, {what}"
        fix = f"on_conflict: {convergent}, the same in both directions; or keep writes of a row to one side"
        yield Item("policies", None, WARN, f"{one} {first}, {two} {second}: {such_as(names)}", why, fix)
    for direction, policy, names in one_way(topology, facts):
        told = True
        seen = f"{policy} {direction}, and no direction back: {such_as(names)}"
        if direction.to == topology.arbiter:
            why = f"{direction.to} is the arbiter, and what it decides against {direction.from_} is not carried back there"
            fix = f"carry them from {direction.to} to {direction.from_} too, or on_conflict: overwrite"
        else:
            why = (
                f"{direction.from_} is the arbiter, which never sees what {direction.to} writes; that is overwritten as it is met"
            )
            fix = f"carry them from {direction.to} to {direction.from_} too, or say so: on_conflict: overwrite"
        yield Item("policies", direction.to, WARN, seen, why, fix)
    for direction, names in filtered(topology, facts):
        told = True
        seen = f"{direction} leaves changes out (dml) of {such_as(names)}, whose policy converges"
        why = "what is left out is at one side only, and stays so"
        yield Item("policies", direction.to, WARN, seen, why, "dml: [insert, update, delete]")
    if not told:
        yield Item(
            "policies",
            None,
            PASS,
            "no table goes both ways under a policy that does not converge, or one way under one that does",
        )


def opposite(topology: Topology) -> Iterator[tuple[Direction, Direction]]:
    """Give the pairs of directions that are each other's way back."""
    for number, first in enumerate(topology.directions):
        for second in topology.directions[number + 1 :]:
            if (first.from_, first.to) == (second.to, second.from_):
                yield first, second
