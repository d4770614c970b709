"""Values of two rows put together: which are the same, what a change added, and sums. Pure.

Canonical values as in schemas/values.py; of a long one, a row that was read from the target holds the SHA-256.
"""

from collections.abc import Mapping
from decimal import Context, Decimal
from hashlib import sha256

from consumers.long_rows import Long
from schemas.parts import LONG_BYTES
from schemas.records import Row

_EXACT = Context(prec=100)  # digits; a DECIMAL has 65 at most


def same(local: object, other: object) -> bool:
    """Whether a value of a row that was read here is that of an image."""
    if local == other:
        return True
    if isinstance(other, Long):
        digest = other.digest
    elif isinstance(other, str | bytes) and len(other) * 4 > LONG_BYTES:
        digest = sha256(other if isinstance(other, bytes) else other.encode()).hexdigest()
    else:
        return False
    return (local.hex() if isinstance(local, bytes) else local) == digest


def difference(before: object, after: object) -> object:
    """What a change added to a number."""
    if isinstance(before, str):  # a DECIMAL or a BIGINT UNSIGNED
        return _EXACT.subtract(Decimal(str(after)), Decimal(before))
    return after - before  # type: ignore[operator]


def summed(row: Row, local: Row, differences: Mapping[int, object]) -> Row:
    """A row in which some columns have what is here and what was added, in their canonical form."""
    if not differences:
        return row
    return tuple(_plus(local[n], differences[n]) if n in differences else value for n, value in enumerate(row))


def _plus(value: object, difference: object) -> object:
    if not difference:  # -0.0 and 0 would be 0.0
        return value
    if isinstance(value, str):
        return f"{_EXACT.add(Decimal(value), Decimal(str(difference))):f}"
    return value + difference  # type: ignore[operator]
