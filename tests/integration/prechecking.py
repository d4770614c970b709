"""Items of the precheck of a World: made to fail, read, their remedies run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from topologies import World

from bisync_topology.precheck import Results
from bisync_topology.precheck_facts import gather, with_tables
from bisync_topology.precheck_item import PASS, Item
from bisync_topology.precheck_seen import Facts, KafkaFacts
from bisync_topology.precheck_side_facts import read_side
from bisync_topology.topology import Topology
from bisync_topology.topology_file import load


@dataclass
class Prechecking:
    """A world, and the items that precheck gives of it."""

    world: World
    _read: str = ""
    _topology: Topology | None = None

    @property
    def topology(self) -> Topology:
        """The topology as its file is now."""
        text = self.world.file.read_text()
        if text != self._read:
            self._read, self._topology = text, load(self.world.file, {})
        assert self._topology is not None
        return self._topology

    def results(self, *, whole: bool = False) -> Results:
        """Every item, in this process. whole: the broker is asked too, and the marker is tried, which takes a little longer."""
        topology = self.topology
        if whole:
            return Results.of(topology, gather(topology))
        sides = {side: read_side(topology, side) for side in topology.sides}
        return Results.of(topology, with_tables(topology, Facts(sides=sides, kafka=KafkaFacts(brokers=1))))

    def items(self, name: str, side: str | None, *, whole: bool = False) -> list[Item]:
        """Those of a name and a side, or of both, that did not pass; one that is not there at all has not passed."""
        results = self.results(whole=whole)
        found = [item for item in results.items if item.item == name and item.side in (side, None)]
        assert found, f"precheck has no item {name} of {side}: {results.failed}"
        return [item for item in found if item.result != PASS]

    def one(self, name: str, side: str | None, result: str, seen: str, fix: str, *, whole: bool = False) -> Item:
        """The only one with these words, which did not pass."""
        found = self.items(name, side, whole=whole)
        (item,) = (each for each in found if seen in each.seen) if any(seen in each.seen for each in found) else found
        assert seen in item.seen and fix in (item.fix or "") and item.why, item
        assert (item.result, item.side) == (result, side), item
        return item

    def mend(self, item: Item) -> None:
        """Run the remedy at its side, as it is printed."""
        assert item.side is not None and item.fix is not None
        self.world.sql(item.side, *statements(item.fix))

    def mended(self, name: str, side: str | None, *, whole: bool = False) -> None:
        """Nothing is left of it."""
        assert self.items(name, side, whole=whole) == []


def statements(fix: str) -> list[str]:
    """The statements of a remedy: those that end with a semicolon; what stands behind `--` is for people."""
    text = re.sub(r";  -- .*", ";", fix)
    assert text.rstrip().endswith(";"), fix
    return [part.strip() for part in re.split(r";(?:\s+|$)", text) if part.strip()]


@contextmanager
def kept(world: World, side: str, *variables: str) -> Iterator[None]:
    """Set global variables of a server that others use back afterwards."""
    before = [(name, world.sql(side, f"SELECT @@GLOBAL.{name}")[0][0]) for name in variables]
    try:
        yield
    finally:
        for name, value in before:
            text = str(value) if isinstance(value, int) else f"'{value}'"
            world.sql(side, f"RESET PERSIST IF EXISTS {name}", f"SET GLOBAL {name} = {text}")
