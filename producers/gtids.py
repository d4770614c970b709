"""GTID sets that grow by one transaction at a time.

A set is kept beside every transaction, so adding is one comparison in the usual case. What a number counts within is the TSID,
the server's word for a UUID with or without a tag (MySQL 8.3 and later): here `uuid` or `uuid:tag`.
"""

import re
import struct
from bisect import bisect_right

_TAG = re.compile(r"[a-z_][a-z0-9_]{0,31}")


class GtidSet:
    """TSID → sorted, disjoint intervals [first, last]. Text as MySQL writes it: `uuid:1-5:8:tag:1-2,uuid:3`."""

    def __init__(self, text: str = "") -> None:
        """Raise ValueError for text that is not a GTID set."""
        self._intervals: dict[str, list[list[int]]] = {}
        for member in text.replace("\n", "").split(","):
            if member.strip():
                self._read(member.strip().lower(), text)

    def _read(self, member: str, text: str) -> None:
        """One UUID with its intervals, and its tags with theirs."""
        uuid, *parts = member.split(":")
        tsid, numbers = uuid, 0
        for n, part in enumerate(parts):
            if _TAG.fullmatch(part):
                if n and not numbers:
                    break
                tsid, numbers = f"{uuid}:{part}", 0
            else:
                self._add_interval(tsid, *_interval(part, text))
                numbers += 1
        if not numbers:
            raise ValueError(f"GTID set {text!r} has {tsid} without numbers")

    def add(self, tsid: str, number: int) -> None:
        """Add one transaction."""
        intervals = self._intervals.get(tsid)
        if intervals and intervals[-1][1] == number - 1:
            intervals[-1][1] = number
        else:
            self._add_interval(tsid, number, number)

    def _add_interval(self, tsid: str, first: int, last: int) -> None:
        intervals = self._intervals.setdefault(tsid, [])
        at = bisect_right(intervals, [first, last])
        intervals.insert(at, [first, last])
        merged = [intervals[0]]
        for begin, end in intervals[1:]:
            if begin <= merged[-1][1] + 1:
                merged[-1][1] = max(merged[-1][1], end)
            else:
                merged.append([begin, end])
        self._intervals[tsid] = merged

    def __contains__(self, gtid: tuple[str, int]) -> bool:
        tsid, number = gtid
        return any(first <= number <= last for first, last in self._intervals.get(tsid, ()))

    def minus(self, other: "GtidSet") -> str:
        """What other lacks, as text; empty when other holds everything."""
        missing = GtidSet()
        for tsid, intervals in self._intervals.items():
            for first, last in intervals:
                begin = first
                for a, b in other._intervals.get(tsid, []):
                    if b < begin or a > last:
                        continue
                    if a > begin:
                        missing._add_interval(tsid, begin, a - 1)
                    begin = b + 1
                if begin <= last:
                    missing._add_interval(tsid, begin, last)
        return str(missing)

    def without(self, tsid: str, number: int) -> str:
        """All but one transaction, as text."""
        one = GtidSet()
        one.add(tsid, number)
        return self.minus(one)

    def __str__(self) -> str:
        members: dict[str, list[str]] = {}
        for tsid, intervals in sorted(self._intervals.items()):
            uuid, _, tag = tsid.partition(":")
            parts = members.setdefault(uuid, [uuid])
            parts += [tag] * bool(tag)
            parts += (str(a) if a == b else f"{a}-{b}" for a, b in intervals)
        return ",".join(map(":".join, members.values()))

    def encoded(self) -> bytes:
        """As COM_BINLOG_DUMP_GTID sends it (`Gtid_set::encode`, rpl_gtid_set.cc).

        How many TSIDs (8 bytes), then of each: UUID (16), tag, how many intervals (8), first and one after the last number of
        each (8, 8). Only a set with tags has the tag's length, twice, and bytes; its first 8 bytes then lie between two 1 bytes,
        which a server before 8.3 refuses.
        """
        tagged = any(":" in tsid for tsid in self._intervals)
        count = len(self._intervals)
        out = [struct.pack("<Q", 1 << 56 | count << 8 | 1 if tagged else count)]
        for tsid, intervals in sorted(self._intervals.items()):
            uuid, _, tag = tsid.partition(":")
            out.append(bytes.fromhex(uuid.replace("-", "")))
            if tagged:
                out.append(bytes([2 * len(tag)]) + tag.encode())
            out.append(struct.pack("<Q", len(intervals)))
            out += (struct.pack("<QQ", first, last + 1) for first, last in intervals)
        return b"".join(out)


def _interval(part: str, text: str) -> tuple[int, int]:
    """`first-last` or one number of the set text."""
    first, _, last = part.partition("-")
    try:
        interval = int(first), int(last or first)
    except ValueError:
        interval = 0, 0
    if not 0 < interval[0] <= interval[1]:
        raise ValueError(f"GTID set {text!r} has the interval {part!r}")
    return interval
