"""MySQL's packed decimals → text.

Layout: the server's strings/decimal.cc, decimal2bin: groups of nine digits in four big-endian bytes, a shorter group
outermost on each side; the first bit inverted; all bits inverted when negative.
"""

from collections.abc import Callable
from functools import cache

_DIGIT_BYTES = (0, 1, 1, 2, 2, 3, 3, 4, 4, 4)  # bytes that hold n < 10 decimal digits


@cache
def decimal_reader(precision: int, scale: int) -> tuple[Callable[[bytes], str], int]:
    """(packed decimal → text with all digits of the scale, its size in bytes)."""
    whole = precision - scale
    groups = [n for n in (whole % 9, *[9] * (whole // 9), *[9] * (scale // 9), scale % 9) if n]  # digits of each
    sizes = [4 if digits == 9 else _DIGIT_BYTES[digits] for digits in groups]
    size = sum(sizes)
    shifts = [8 * sum(sizes[n + 1 :]) for n in range(len(groups))]
    parts = [(shift, (1 << 8 * bytes_) - 1, 10**digits) for shift, bytes_, digits in zip(shifts, sizes, groups, strict=True)]
    integral = (whole + 8) // 9
    left, right = parts[:integral], parts[integral:]
    sign_bit = 1 << 8 * size - 1
    inverted = sign_bit - 1
    from_bytes = int.from_bytes
    text = f"%d.%0{scale}d" if scale else "%d"

    def read(packed: bytes) -> str:
        number = from_bytes(packed, "big")
        negative = number < sign_bit
        number ^= inverted if negative else sign_bit
        units = fraction = 0
        for shift, mask, power in left:
            units = units * power + (number >> shift & mask)
        for shift, mask, power in right:
            fraction = fraction * power + (number >> shift & mask)
        result = text % (units, fraction) if scale else text % units
        return f"-{result}" if negative else result

    return read, size
