"""How a table's structure differs between the sides: by the lines of SHOW CREATE TABLE, with what may differ put aside. Pure.

Put aside: the next automatic value, which each server counts by itself; the order of columns and indexes; and the widths of
integers, which servers before 8.0.19 print.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_AUTO_INCREMENT = re.compile(r" AUTO_INCREMENT=\d+")
_WIDTH = re.compile(r"\b((?:tiny|small|medium|big)?int)\(\d+\)(?! (?:unsigned )?zerofill)")


def lines(create: str) -> list[str]:
    """The definitions of a SHOW CREATE TABLE, and its options; the name is no part of it."""
    _, *body = create.splitlines()
    return [_WIDTH.sub(r"\1", _AUTO_INCREMENT.sub("", line)).strip().removesuffix(",") for line in body]


def differences(mine: str, theirs: str, here: str, there: str) -> Iterator[str]:
    """A line for each definition that one side alone has; here, there: the names of the sides."""
    ours, others = lines(mine), lines(theirs)
    for side, own, other in ((here, ours, others), (there, others, ours)):
        yield from (f"{side} alone: {line}" for line in own if line not in other)
