"""`verify`, from its beginning to its end. Read this first.

tables.py finds the tables of both sides → chunks.py compares each, range by range, down to suspect rows → settle.py looks at
them again until changes on their way have arrived → repair.py makes what is left alike, if that is wanted → report.py. Two tables
at a time, both sides of each at the same time; nothing is locked, but for the rows of a repair.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from bisync_topology.errors import ApplyError, BisyncError, CheckFailed, DirectionFailed, UsageError
from bisync_topology.object_patterns import ObjectPattern
from bisync_topology.topology import Topology
from verification.barriers import Settling
from verification.chunks import CHUNK_ROWS, Ranges
from verification.marks import read_marks, unmark
from verification.repair import Repair
from verification.report import Report, TableResult
from verification.rows import as_json, key_json, readers, with_equal_documents
from verification.sessions import Session, number_of, opened
from verification.settle import settle
from verification.suspects import Suspect
from verification.tables import Found, Name, Pair, find, names

EXAMPLES = 10  # rows of a table that are shown
_TABLES_AT_ONCE = 2
_SUSPECTS = 1000  # rows that are looked at again together
_GONE = (1051, 1054, 1146, 1176, 1412)  # the table was dropped or altered meanwhile


class Progress(Protocol):
    """Is told how far it has come."""

    def begin(self, rows: int) -> None:
        """About so many rows are to be gone through."""

    def passed(self, rows: int) -> None:
        """So many more were. May take its time, where they are not to be gone through as fast as they can."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What is to be done. from_, to: what FROM and TO of the report are, and of a repair. only: of these tables."""

    from_: str
    to: str
    repairs: bool = False
    only: Sequence[ObjectPattern] = ()
    examples: int = EXAMPLES
    tables_at_once: int = _TABLES_AT_ONCE
    chunk_rows: int = CHUNK_ROWS


def verify(topology: Topology, options: Options, progress: Progress) -> Report:
    """Compare, and repair if that is wanted.

    Raises Unreachable, UsageError (an account lacks a privilege, or a pattern means no table), CheckFailed and DirectionFailed
    (a repair cannot be made).
    """
    began = time.monotonic()
    sides = (options.from_, options.to)
    settling = Settling(topology)
    if options.repairs and not settling():
        raise CheckFailed(
            f"a repair waits for what is on its way, and that does not arrive: {settling.why_not}",
            hint="`bisync-topology status` says more; without --repair both sides are compared all the same",
            code="not_repaired",
        )
    with opened(topology, *sides) as (here, there):
        known = (names(here, topology, options.only), names(there, topology, options.only))
        _check_names(options.only, known)
        found = list(find((here, there), known))
    marks = read_marks(topology)
    progress.begin(sum(each.rows for each in found if each.pair is not None))
    work = _Tables(topology, options, settling, progress)
    with ThreadPoolExecutor(options.tables_at_once) as pool:
        results = list(pool.map(work.compare, found))
    for result in results:
        result.skipped = marks.of(result.full_name)
    unmark(topology, marks, {result.full_name for result in results if result.equal})
    return Report(
        from_=options.from_, to=options.to, tables=results, unsettled=settling.why_not, seconds=time.monotonic() - began
    )


def _check_names(only: Sequence[ObjectPattern], known: Sequence[Collection[Name]]) -> None:
    """A misspelt name would be found equal, as nothing of it differs."""
    names = {name for each in known for name in each}
    if missing := [pattern.text for pattern in only if not any(pattern.matches(*name) for name in names)]:
        raise UsageError(
            f"no table that a direction carries is meant by `{'`, `'.join(missing)}`, on either side",
            hint="is the name right, and does the account have SELECT there?",
        )


class _Tables:
    """Compares one table after another; called by several threads."""

    def __init__(self, topology: Topology, options: Options, settling: Settling, progress: Progress) -> None:
        self._topology = topology
        self._options = options
        self._settling = settling
        self._progress = progress
        self._repair = Repair(topology, options.from_, options.to) if options.repairs else None

    def compare(self, found: Found) -> TableResult:
        """Compare one, and repair it."""
        result = TableResult(name=found.name, schema=found.schema, not_compared=found.why)
        if found.pair is None:
            return result
        try:
            self._compare(found.pair, result)
        except ApplyError as error:
            result.not_compared = error.message
        except BisyncError as error:
            if number_of(error) not in _GONE:
                raise
            result.not_compared = f"it was altered meanwhile: {error.message}"
        return result

    def _compare(self, pair: Pair, result: TableResult) -> None:
        sides = (self._options.from_, self._options.to)
        with opened(self._topology, *sides, sides[0]) as (here, there, ahead), ThreadPoolExecutor(3) as pool:
            ranges = Ranges(pair, (here, there), ahead, pool, self._progress.passed, self._options.chunk_rows)
            result.rows = ranges.counted
            for suspects in _gathered(ranges.suspects(), _SUSPECTS):
                settled = settle(suspects, ranges.again, self._settling)
                equal = set(with_equal_documents(pair, (here, there), settled.different))
                different = [suspect for suspect in settled.different if suspect.identity not in equal]
                result.changing += len(settled.changing)
                self._count(result, different)
                self._show(result, pair, (here, there), different)
                if self._repair is not None and different:
                    self._mend(self._repair, result, ranges, different)

    def _count(self, result: TableResult, different: Sequence[Suspect]) -> None:
        for suspect in different:
            mine, other = suspect.digests
            result.only_from += other is None
            result.only_to += mine is None
            result.differing += mine is not None and other is not None

    def _show(self, result: TableResult, pair: Pair, sessions: tuple[Session, Session], different: Sequence[Suspect]) -> None:
        chosen = different[: max(0, self._options.examples - len(result.examples))]
        if not chosen:
            return
        found = [reader.read([suspect.key for suspect in chosen]) for reader in readers(pair, sessions)]
        for suspect in chosen:
            rows = [each.get(suspect.identity) for each in found]
            if rows != [None, None]:
                here, there = (as_json(half.table.columns, row) for half, row in zip(pair.halves, rows, strict=True))
                at = next(n for n, row in enumerate(rows) if row is not None)
                row = rows[at]
                assert row is not None
                result.examples.append({"key": key_json(pair.halves[at], row), "from": here, "to": there})

    def _mend(self, repair: Repair, result: TableResult, ranges: Ranges, different: Sequence[Suspect]) -> None:
        if result.refused:
            return
        try:
            repair.rows(ranges.pair, [suspect.key for suspect in different])
        except (ApplyError, CheckFailed, DirectionFailed, UsageError) as error:
            result.refused = error.message
        left = settle(list(different), ranges.again, self._settling)
        result.repaired += len(different) - len(left.different) - len(left.changing)


def _gathered(parts: Iterator[list[Suspect]], most: int) -> Iterator[list[Suspect]]:
    """Parts put together to about so many."""
    held: list[Suspect] = []
    for part in parts:
        held += part
        if len(held) >= most:
            yield held
            held = []
    if held:
        yield held
