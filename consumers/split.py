"""A batch that does not fit → each of its rows once, in their order: in batches where they fit, alone where they do not.

A look says which rows do not fit. What it says is a guess: a row of the same batch may free or take a unique value, another
session may change rows after it. So each run of rows that seem to fit is tried as a batch, which is the check, and cut further
when it fails. The end is always a row alone, which is looked up under locks and decided. Nothing is moved past anything.
"""

from collections.abc import Callable, Collection, Iterator
from typing import NamedTuple


class Span(NamedTuple):
    """Rows `start` to before `end` of a batch. alone: one row, of which a look said that it does not fit."""

    start: int
    end: int
    alone: bool = False


def apply_split(
    number: int,
    *,
    look_first: bool,
    batch: Callable[[int, int], bool],
    misfits: Callable[[int, int], Collection[int]],
    alone: Callable[[int], None],
) -> bool:
    """Do the rows 0 to before `number`; gives whether one was done alone.

    look_first: look before the whole is tried.
    batch: do rows `start` to before `end` at once; False where they do not fit, with nothing done.
    misfits: which of them do not seem to fit.
    alone: do one row, whatever it meets.
    """
    any_alone = False
    waiting = [Span(0, number)]  # the next one last
    if look_first and number > 1:
        waiting = list(reversed(list(cut(waiting[0], misfits(0, number)))))
    while waiting:
        span = waiting.pop()
        if not span.alone and batch(span.start, span.end):
            continue
        if span.end - span.start == 1:
            alone(span.start)
            any_alone = True
        else:
            parts = list(cut(span, misfits(span.start, span.end)))
            waiting += reversed(parts if len(parts) > 1 else halves(span))
    return any_alone


def cut(span: Span, misfits: Collection[int]) -> Iterator[Span]:
    """The misfits one by one, and the runs between them."""
    start = span.start
    for each in sorted(misfits):
        if start < each:
            yield Span(start, each)
        yield Span(each, each + 1, alone=True)
        start = each + 1
    if start < span.end:
        yield Span(start, span.end)


def halves(span: Span) -> tuple[Span, Span]:
    """Where a look finds nothing, and the batch fails all the same."""
    middle = (span.start + span.end) // 2
    return Span(span.start, middle), Span(middle, span.end)
