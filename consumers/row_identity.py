"""Which rows have the same key, as far as can be said without the target's collations."""

import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Hashable, Sequence
from operator import itemgetter

from consumers.target import TablePlan
from schemas.key_values import WILD, KeyPart, Keys, KeyValue
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


def unique_keys(plan: TablePlan) -> Keys:
    """The target's unique keys, for rows in the order of the source's columns."""
    target = plan.target
    keys = [
        [KeyPart(target.columns[n].name, prefix, target.columns[n].collation) for n, prefix in zip(key, prefixes, strict=True)]
        for key, prefixes in zip(target.unique_keys, target.prefixes, strict=True)
    ]
    return Keys(target.full_name, keys, plan.columns)


def apart(keys: Keys, images: Sequence[Sequence[Row | None]], chosen: Collection[int]) -> bool:
    """Whether none of the chosen changes shares a value of a unique key with another change; images: those of each change."""
    values = [{value for row in rows if row is not None for value in keys.of(row)} for rows in images]
    same, any_of, wild = Counter[KeyValue](), Counter[object](), set()
    for each in values:
        same.update(each)
        any_of.update({key for key, _ in each})
        wild |= {key for key, value in each if value is WILD}
    return not any(
        any_of[key] > 1 if value is WILD or key in wild else same[key, value] > 1 for n in chosen for key, value in values[n]
    )
