"""Which rows have the same key, as far as can be said without the target's collations."""

import unicodedata
from collections.abc import Callable, Hashable, Sequence
from operator import itemgetter

from consumers.target import TablePlan
from schemas.records import Row

Pair = tuple[Row, Row]  # before image, after image

TEXTUAL = ("text", "encoded", "enum", "set")  # matched by collation, compared as bytes


def distinct_prefix(pairs: Sequence[Pair], identity: Callable[[Row], Hashable]) -> int:
    """How many pairs, from the first, name no key twice. An update's own before and after image count as one."""
    seen: set[Hashable] = set()
    for n, (before, after) in enumerate(pairs):
        old, new = identity(before), identity(after)
        if old in seen or new in seen:
            return n
        seen.add(old)
        seen.add(new)
    return len(pairs)


def loose(text: str) -> str:
    """A form that texts share which a collation may hold equal; a false "equal" costs a smaller batch, no more.

    Neither does a false "different" do harm: a batch compares keys as bytes too, and then finds fewer rows than given.
    """
    if text.isascii():
        return text.lower().replace(" ", "")
    folded = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in folded if c != " " and not unicodedata.combining(c)).casefold()


def row_identity(plan: TablePlan) -> Callable[[Row], Hashable]:
    """What tells rows apart by the target's key."""
    collations = [(n, plan.columns[n].kind in TEXTUAL and plan.columns[n].collation) for n in plan.key]
    if not any(collation and not collation.endswith("_bin") for _, collation in collations):
        return itemgetter(*plan.key)
    folded = [(n, bool(collation) and not str(collation).endswith("_bin")) for n, collation in collations]
    return lambda row: tuple(loose(str(row[n])) if fold else row[n] for n, fold in folded)
