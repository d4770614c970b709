"""MySQL's binary JSON → the text that the server prints for it.

Layout: the server's sql-common/json_binary.h. A value is a type byte and its data; objects and arrays have a count, a size,
key entries (offset, length), value entries (type, offset or inlined value), with two-byte (small) or four-byte (large)
offsets from the container's start. Read by offset, so the time is linear in the document's size.
"""

import math
import re
import struct
from contextlib import suppress
from typing import NamedTuple

from producers.json_opaque import opaque_value, varint
from schemas.typed_json import Typed, typed_json

_SMALL_OBJECT, _LARGE_OBJECT, _SMALL_ARRAY, _LARGE_ARRAY, _LITERAL = 0, 1, 2, 3, 4
_INT16, _UINT16, _INT32, _UINT32, _INT64, _UINT64, _DOUBLE, _STRING, _OPAQUE = 5, 6, 7, 8, 9, 10, 11, 12, 15
_NUMBERS = {
    _INT16: struct.Struct("<h"),
    _UINT16: struct.Struct("<H"),
    _INT32: struct.Struct("<i"),
    _UINT32: struct.Struct("<I"),
    _INT64: struct.Struct("<q"),
    _UINT64: struct.Struct("<Q"),
}
_LITERALS = ("null", "true", "false")
_SIGN_BIT = {_INT16: 1 << 15, _INT32: 1 << 31}
_SPECIAL = re.compile(r'[\x00-\x1f"\\]')
_DOUBLE_BYTES = struct.Struct("<d")


class _Format(NamedTuple):
    """A container: its count and size; a key's offset and length; a value's type and offset, or the value itself."""

    head: struct.Struct
    key: struct.Struct | None
    entry: struct.Struct


_FORMATS = {
    _SMALL_OBJECT: _Format(struct.Struct("<HH"), struct.Struct("<HH"), struct.Struct("<BH")),
    _LARGE_OBJECT: _Format(struct.Struct("<II"), struct.Struct("<IH"), struct.Struct("<BI")),
    _SMALL_ARRAY: _Format(struct.Struct("<HH"), None, struct.Struct("<BH")),
    _LARGE_ARRAY: _Format(struct.Struct("<II"), None, struct.Struct("<BI")),
}
_IN_TWO_BYTES = frozenset({_LITERAL, _INT16, _UINT16})
_IN_FOUR_BYTES = _IN_TWO_BYTES | {_INT32, _UINT32}
INLINED = {code: _IN_FOUR_BYTES if code in (_LARGE_OBJECT, _LARGE_ARRAY) else _IN_TWO_BYTES for code in _FORMATS}
_ESCAPES = {n: f"\\u{n:04x}" for n in range(0x20)} | {
    ord('"'): '\\"',
    ord("\\"): "\\\\",
    8: "\\b",
    9: "\\t",
    10: "\\n",
    12: "\\f",
    13: "\\r",
}


class _Opaque(Exception):
    """A document holds values that its text would not bring back."""


def json_value(data: bytes) -> str | bytes:
    """The document's text, or its typed form (schemas/typed_json.py); an empty value is JSON null after some ALTERs.

    Raises UnsupportedJson for an opaque value of an unknown type; ValueError, IndexError or struct.error for a broken document.
    """
    if not data:
        return "null"
    with suppress(_Opaque):
        return value_text(data[0], data, 1, None, "")
    typed: list[Typed] = []
    text = value_text(data[0], data, 1, typed, "$")
    return typed_json(text, typed)


def value_text(code: int, data: bytes, pos: int, typed: list[Typed] | None, path: str) -> str:
    """One value's text. typed: collects opaque values with their paths; without it, one of them raises _Opaque."""
    if code == _STRING:
        length, pos = varint(data, pos)
        return _quote(data, pos, length)
    if code in _FORMATS:
        return _container(code, data, pos, typed, path)
    if code in _NUMBERS:
        return str(_NUMBERS[code].unpack_from(data, pos)[0])
    if code == _DOUBLE:
        return double_text(_DOUBLE_BYTES.unpack_from(data, pos)[0])
    if code == _LITERAL:
        return _LITERALS[data[pos]]
    if code == _OPAQUE:
        if typed is None:
            raise _Opaque
        sql_type, text, printed = opaque_value(data, pos)
        typed.append((path, sql_type, text))
        return printed
    raise ValueError(f"unknown JSON type byte {code}")


def _container(code: int, data: bytes, start: int, typed: list[Typed] | None, path: str) -> str:
    keys, entries = container(code, data, start)
    inlined = INLINED[code]
    legs = (
        [""] * len(entries) if typed is None else [f".{name}" for name in keys or ()] or [f"[{n}]" for n in range(len(entries))]
    )
    texts = [
        inlined_text(kind, offset) if kind in inlined else value_text(kind, data, start + offset, typed, path + leg)
        for leg, (kind, offset) in zip(legs, entries, strict=True)
    ]
    if keys is None:
        return f"[{', '.join(texts)}]"
    members = [f"{name}: {text}" for name, text in zip(keys, texts, strict=True)]
    return f"{{{', '.join(members)}}}"


def container(code: int, data: bytes, start: int) -> tuple[list[str] | None, list[tuple[int, int]]]:
    """An object's keys as they are printed, None for an array; of each value its type, and its offset from start or itself."""
    head, key, entry = _FORMATS[code]
    count, length = head.unpack_from(data, start)
    keys_at = start + head.size
    values_at = keys_at + count * key.size if key is not None else keys_at
    end = values_at + count * entry.size
    if start + length > len(data) or end > start + length:
        raise ValueError(f"a JSON container of {length} bytes has {len(data) - start}")
    keys: list[str] | None = None
    if key is not None:
        keys = [_quote(data, start + offset, size) for offset, size in key.iter_unpack(data[keys_at:values_at])]
    return keys, list(entry.iter_unpack(data[values_at:end]))


def inlined_text(kind: int, value: int) -> str:
    """A value that stands in place of its offset, read as that."""
    if kind == _LITERAL:
        return _LITERALS[value & 0xFF]
    sign = _SIGN_BIT.get(kind)
    if sign is not None:
        value &= 2 * sign - 1
        return str(value - 2 * sign if value & sign else value)
    return str(value & 0xFFFF if kind == _UINT16 else value)


def _quote(data: bytes, pos: int, length: int) -> str:
    if pos + length > len(data):
        raise ValueError(f"a JSON string of {length} bytes has {len(data) - pos}")
    return quoted(str(data[pos : pos + length], "utf-8"))


def quoted(text: str) -> str:
    """A string or key as it is printed."""
    return f'"{text.translate(_ESCAPES) if _SPECIAL.search(text) else text}"'


def double_text(value: float) -> str:
    """A double as the server's JSON prints it: the shortest digits that read back the same, `.0` where integral.

    The server's `my_gcvt` (strings/dtoa.cc) goes over to an exponent below 1e-15, and from 1e15 on unless there are digits
    after the point; Python does so at 1e-5 and 1e16.
    """
    if 1e-4 <= abs(value) < 1e15 or not value:
        return repr(value)
    if not math.isfinite(value):
        raise ValueError("JSON has no infinite numbers")
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    point = int(exponent or 0) + len(whole) - (len(whole + fraction) - len(digits))  # where it is, counted from the first digit
    digits = digits.rstrip("0")
    sign = "-" if value < 0 else ""
    if point < -14 or (point > 15 and point >= len(digits)):
        rest = f".{digits[1:]}" if len(digits) > 1 else ""
        return f"{sign}{digits[0]}{rest}e{point - 1}"
    if point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    return f"{sign}{digits[:point]}.{digits[point:]}"
