"""A batch that does not fit → each of its rows once: in batches where they fit, alone where they do not.

A look says which rows do not fit. What it says is a guess: a row of the same batch may free or take a unique value, another
session may change rows after it. So those that seem to fit are tried as a batch, which is the check, and cut further when it
fails. The end is always a row alone, which is looked up under locks and decided.

Rows that share no key value can be done in any order: where no misfit shares one with another row, all that fit are one batch,
and the misfits follow. Otherwise nothing is moved past anything: there is a batch for each run between two misfits.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import NamedTuple


class Part(NamedTuple):
    """Rows of a batch, by their numbers. alone: each by itself, as a look said that they do not fit."""

    rows: Sequence[int]
    alone: bool = False


def apply_split(
    number: int,
    *,
    look_first: bool,
    batch: Callable[[Sequence[int]], bool],
    misfits: Callable[[Sequence[int]], Collection[int]],
    apart: Callable[[Sequence[int], Sequence[int]], bool],
    alone: Callable[[Sequence[int]], None],
) -> bool:
    """Do the rows 0 to before `number`; gives whether one was done alone.

    look_first: look before the whole is tried.
    batch: do rows at once; False where they do not fit, with nothing done.
    misfits: which of them do not seem to fit.
    apart: of rows, and misfits among them, whether no misfit shares a key value with another row.
    alone: do rows one by one, whatever they meet; several are apart from each other.
    """
    any_alone = False
    whole: Sequence[int] = range(number)
    waiting = [Part(whole)]  # the next one last
    if look_first and number > 1:
        waiting = list(reversed(list(cut(whole, misfits(whole), apart))))
    while waiting:
        part = waiting.pop()
        if not part.alone and batch(part.rows):
            continue
        if part.alone or len(part.rows) == 1:
            alone(part.rows)
            any_alone = True
        else:
            parts = list(cut(part.rows, misfits(part.rows), apart))
            waiting += reversed(parts if len(parts) > 1 or parts[0].alone else halves(part.rows))
    return any_alone


def cut(rows: Sequence[int], misfits: Collection[int], apart: Callable[[Sequence[int], Sequence[int]], bool]) -> Iterator[Part]:
    """Those that fit and the misfits, in an order in which they can be done."""
    chosen = sorted(misfits)
    if not chosen:
        yield Part(rows)
    elif apart(rows, chosen):
        rest = [row for row in rows if row not in misfits]
        if rest:
            yield Part(rest)
        yield Part(chosen, alone=True)
    else:
        run: list[int] = []
        for row in rows:
            if row not in misfits:
                run.append(row)
                continue
            if run:
                yield Part(run)
            yield Part([row], alone=True)
            run = []
        if run:
            yield Part(run)


def halves(rows: Sequence[int]) -> tuple[Part, Part]:
    """Where a look finds nothing, and the batch fails all the same."""
    middle = len(rows) // 2
    return Part(rows[:middle]), Part(rows[middle:])
