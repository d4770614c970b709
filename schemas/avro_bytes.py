"""Avro's binary encoding of what every event holds: numbers, texts, and rows of nullable columns.

fastavro's general writer searches each nullable field's union for the branch that a value belongs to, and its reader makes a
dict of each row. Here the types are known, and most numbers and lengths are short: two to four times as fast, and the same
bytes, which tests/unit/test_avro_bytes.py has fastavro read and write.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from schemas.records import Row

NULL, SOME, OTHER = b"\x00", b"\x02", b"\x04"  # the branches of ["null", …]; a value follows the second or third one
_KNOWN = 4096  # numbers below it, and lengths, are looked up
_LIMIT = 1 << 64


def _bytes_of(zigzag: int) -> bytes:
    out = bytearray()
    while zigzag >= 0x80:
        out.append(zigzag & 0x7F | 0x80)
        zigzag >>= 7
    out.append(zigzag)
    return bytes(out)


_SMALL = [_bytes_of(n << 1) for n in range(_KNOWN)]
_SOME = [SOME + encoded for encoded in _SMALL]  # of the second branch
_LAST = [_bytes_of(n) for n in range(1 << 14)]  # the last two groups of seven bits
_MORE = [bytes((n & 0x7F | 0x80, n >> 7 | 0x80)) for n in range(1 << 14)]  # two groups with others behind them


def varint(value: int) -> bytes:
    """A non-negative int or long: zigzag, then seven bits a byte, low first."""
    return _SMALL[value] if 0 <= value < _KNOWN else _long(value)


def text(value: str) -> bytes:
    """A string: its length in bytes, then UTF-8."""
    encoded = value.encode()
    return varint(len(encoded)) + encoded


repeated_text = lru_cache(maxsize=4096)(text)  # of names, which come again and again


def nullable_text(value: str | None) -> bytes:
    """A union of null and string."""
    return NULL if value is None else SOME + text(value)


def _long(value: int) -> bytes:
    zigzag = value << 1 if value >= 0 else ~(value << 1)
    if zigzag >= _LIMIT:
        raise OverflowError(f"{value} does not fit an Avro long")
    if zigzag < 1 << 14:
        return _LAST[zigzag]
    if zigzag < 1 << 28:
        return _MORE[zigzag & 0x3FFF] + _LAST[zigzag >> 14]
    out = []
    while zigzag >= 1 << 14:
        out.append(_MORE[zigzag & 0x3FFF])
        zigzag >>= 14
    out.append(_LAST[zigzag])
    return b"".join(out)


def _some_long(value: int) -> bytes:
    return _SOME[value] if 0 <= value < _KNOWN else SOME + _long(value)


def _some_text(value: str) -> bytes:
    encoded = value.encode()
    length = len(encoded)
    return (_SOME[length] if length < _KNOWN else SOME + _long(length)) + encoded


def _some_bytes(value: bytes) -> bytes:
    length = len(value)
    return (_SOME[length] if length < _KNOWN else SOME + _long(length)) + value


def _some_text_or_bytes(value: str | bytes) -> bytes:
    if isinstance(value, str):
        return _some_text(value)
    return OTHER + varint(len(value)) + value


_FLOAT, _DOUBLE = struct.Struct("<Bf"), struct.Struct("<Bd")


def _some_float(value: float) -> bytes:
    return _FLOAT.pack(2, value)


def _some_double(value: float) -> bytes:
    return _DOUBLE.pack(2, value)


# Avro type, or two of them → the writer of a value of the union of null and it
SOME_OF: dict[str, Callable[[Any], bytes]] = {
    "long": _some_long,
    "string": _some_text,
    "bytes": _some_bytes,
    "string|bytes": _some_text_or_bytes,
    "float": _some_float,
    "double": _some_double,
}


def compile_writer(types: Sequence[str], positions: Sequence[int] | None = None) -> Callable[[Row], bytes]:
    """Generate the writer of a record whose fields are each a union of null and one of `types`.

    positions: where in the row each field is; by default the row has these fields and no others.
    The writer raises ValueError for a row of another length, OverflowError, AttributeError or struct.error for a value that
    is not of its type.
    """
    names = [f"c{n}" for n in range(len(types))]
    writers = {avro: f"some{n}" for n, avro in enumerate(SOME_OF)}
    scope: dict[str, Any] = {writers[avro]: SOME_OF[avro] for avro in types} | {"join": b"".join}
    unpacked = f"{', '.join(names)}, = row"
    if positions is not None:
        unpacked = f"{', '.join(names)}, = {''.join(f'row[{n}], ' for n in positions)}"
    fields = [f"NULL if {name} is None else {writers[avro]}({name})" for name, avro in zip(names, types, strict=True)]
    scope["NULL"] = NULL
    code = f"def write(row):\n    {unpacked}\n    return join(({', '.join(fields)},))"
    exec(compile(code, "<Avro record>", "exec"), scope)  # noqa: S102  numbers and names of our own
    writer: Callable[[Row], bytes] = scope["write"]
    return writer


def read_varint(buffer: bytes, at: int) -> tuple[int, int]:
    """The number at `at` before zigzag is undone, and where the next field begins.

    Raises ValueError for more than 64 bits, IndexError where the buffer ends.
    """
    first = buffer[at]
    if first < 0x80:
        return first, at + 1
    second = buffer[at + 1]
    if second < 0x80:
        return first & 0x7F | second << 7, at + 2
    third = buffer[at + 2]
    if third < 0x80:
        return first & 0x7F | (second & 0x7F) << 7 | third << 14, at + 3
    result, shift = first & 0x7F | (second & 0x7F) << 7 | (third & 0x7F) << 14, 21
    for end in range(at + 3, at + 10):
        byte = buffer[end]
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            if result >= _LIMIT:
                raise ValueError("an Avro long has more than 64 bits")
            return result, end + 1
        shift += 7
    raise ValueError("an Avro long has more than ten bytes")


def bad_branch(branch: int) -> ValueError:
    """What to raise where a nullable field begins with a branch that its union does not have."""
    return ValueError(f"a nullable Avro field starts with byte {branch:#04x}, which its union does not have")


# Statements that leave a raw varint in `n` and go behind it; one and two bytes in place, as most have no more.
_VARINT = """
n = v[p]
if n < 0x80: p += 1
else:
    m = v[p + 1]
    if m < 0x80: n = n & 0x7F | m << 7; p += 2
    else: n, p = read_varint(v, p)"""
_LENGTH = f"""{_VARINT}
if n & 1: raise ValueError("an Avro length is negative")
end = p + (n >> 1)"""

# Avro type → statements that read a value at `p` of `v` into `{}` and go behind it
_READ: dict[str, str] = {
    "long": f"{_VARINT}\n{{0}} = n >> 1 ^ -(n & 1)",
    "string": f"{_LENGTH}\n{{0}} = v[p:end].decode()\np = end",
    "bytes": f"{_LENGTH}\n{{0}} = v[p:end]\np = end",
    "float": "{0}, = read_float(v, p)\np += 4",
    "double": "{0}, = read_double(v, p)\np += 8",
}


def compile_reader(types: Sequence[str]) -> Callable[[bytes, int], tuple[Row, int]]:
    """Generate the reader of such a record: (buffer, where it begins) → (row, where the next field begins).

    A buffer that ends inside the last field gives an end beyond it, which is for the caller to look at. The reader raises
    IndexError or struct.error for one that ends before, ValueError for bytes that are no such record.
    """
    lines = []
    for n, avro in enumerate(types):
        lines += ["b = v[p]", "p += 1"]
        for branch, name in zip((2, 4), avro.split("|"), strict=False):
            lines += [f"{'if' if branch == 2 else 'elif'} b == {branch}:", *_indented(_READ[name].format(f"c{n}"))]
        lines += [f"elif b == 0: c{n} = None", "else: raise bad_branch(b)"]
    row = "".join(f"c{n}, " for n in range(len(types)))
    code = "\n".join(["def read(v, p):", *_indented("\n".join(lines)), f"    return ({row}), p"])
    scope: dict[str, Any] = {
        "read_varint": read_varint,
        "bad_branch": bad_branch,
        "read_float": struct.Struct("<f").unpack_from,
        "read_double": struct.Struct("<d").unpack_from,
    }
    exec(compile(code, "<Avro record>", "exec"), scope)  # noqa: S102  numbers and names of our own
    reader: Callable[[bytes, int], tuple[Row, int]] = scope["read"]
    return reader


def _indented(code: str) -> list[str]:
    return [f"    {line}" for line in code.splitlines() if line]
