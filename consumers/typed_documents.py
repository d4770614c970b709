"""JSON documents read at a server by SQL → canonical values, with the types that their text lacks. Pure.

The server says of each number and string in a document which type it has (JSON_TYPE); the rest is in its text. See
schemas/typed_json.py for what is made of it.
"""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from schemas.typed_json import Typed, typed_json

_TEMPORAL = {"DATE": "DATE", "TIME": "TIME(6)", "DATETIME": "DATETIME(6)", "TIMESTAMP": "TIMESTAMP(6)"}
_BINARY = {15: "VARBINARY", 250: "MEDIUMBLOB", 251: "LONGBLOB", 252: "BLOB", 254: "BINARY"}  # by the field type's number
_BIT = 16


class Leaf(NamedTuple):
    """A number or a string of a document: its path, and its text as printed, without quotes."""

    path: str
    text: str


class _Number(str):
    __slots__ = ()


def leaves(document: str) -> list[Leaf]:
    """What of a document may have a type that its text lacks, in its order."""
    return list(_leaves(json.loads(document, parse_int=_Number, parse_float=_Number), "$"))


def _leaves(value: object, path: str) -> Iterator[Leaf]:
    if isinstance(value, str):
        yield Leaf(path, value)
    elif isinstance(value, list):
        for n, item in enumerate(value):
            yield from _leaves(item, f"{path}[{n}]")
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from _leaves(item, f"{path}.{json.dumps(name, ensure_ascii=False)}")


def canonical(document: str, types: Sequence[tuple[Leaf, str]]) -> str | bytes:
    """The canonical value of a document whose leaves have these types. Raises ValueError for a type that is not known."""
    found = [typed for leaf, kind in types if (typed := _typed(leaf, kind)) is not None]
    return typed_json(document, found) if found else document


def _typed(leaf: Leaf, kind: str) -> Typed | None:
    if kind == "DECIMAL":
        return leaf.path, f"DECIMAL(65,{len(leaf.text.partition('.')[2])})", leaf.text
    if kind in _TEMPORAL:
        return leaf.path, _TEMPORAL[kind], leaf.text
    if kind in ("STRING", "INTEGER", "UNSIGNED INTEGER", "DOUBLE"):
        return None
    head, _, rest = leaf.text.partition(":")
    code, _, coded = rest.partition(":")
    if head != "base64" or not code.startswith("type"):
        raise ValueError(f"a value of type {kind} in a JSON document")
    number, value = int(code.removeprefix("type")), b64decode(coded)
    if number == _BIT:
        return leaf.path, f"BIT({8 * len(value)})", str(int.from_bytes(value, "big"))
    if number not in _BINARY:
        raise ValueError(f"a value of the MySQL type number {number} in a JSON document")
    name = _BINARY[number]
    return leaf.path, f"BINARY({len(value)})" if name == "BINARY" else name, value.hex()
