"""Partial JSON updates (`binlog_row_value_options = PARTIAL_JSON`): a document and its changes → the document after them.

Layout (the server's json_diff.cc): changes one after another, each an operation, a path with its length before it, and for all
but REMOVE a value with its length before it, in the binary form of json_binary.py. A path is text: `$.a."b c"[1]`.

The document is read into a tree whose leaves are already text, as the server prints them, since of a leaf nothing but that is
needed again.
"""

import json
import re
from dataclasses import dataclass

from producers.json_binary import INLINED, container, inlined_text, quoted, value_text
from producers.map_fields import sized
from schemas.typed_json import Typed, typed_json

_REPLACE, _INSERT, _REMOVE = range(3)
_LEG = re.compile(r'\.("(?:[^"\\]|\\.)*")|\.([^."\[\]]+)|\[(last-)?(last|\d+)\]')


@dataclass(frozen=True, slots=True)
class _Leaf:
    text: str
    typed: tuple[Typed, ...] = ()  # what it is where JSON has no form for it; its path is empty


_Node = _Leaf | dict[str, "_Node"] | list["_Node"]  # an object's keys as they are printed, in the server's order
_Leg = str | int  # a key as it is printed; a cell, from the end where negative


def changed_json(document: bytes, diffs: bytes) -> str | bytes:
    """The canonical value of a document (its bytes) after changes.

    Raises ValueError, IndexError or struct.error where they do not fit the document.
    """
    root = _tree(document) if document else _Leaf("null")
    pos = 0
    while pos < len(diffs):
        operation = diffs[pos]
        path, pos = sized(diffs, pos + 1)
        value: _Node | None = None
        if operation != _REMOVE:
            data, pos = sized(diffs, pos)
            value = _tree(data)
        root = _change(root, operation, _legs(path.decode()), value)
    typed: list[Typed] = []
    text = _text(root, typed, "$")
    return typed_json(text, typed) if typed else text


def _tree(data: bytes) -> _Node:
    return _read(data[0], data, 1)


def _read(code: int, data: bytes, start: int) -> _Node:
    if code not in INLINED:
        typed: list[Typed] = []
        text = value_text(code, data, start, typed, "")
        return _Leaf(text, tuple(typed))
    keys, entries = container(code, data, start)
    nodes = [
        _Leaf(inlined_text(kind, offset)) if kind in INLINED[code] else _read(kind, data, start + offset)
        for kind, offset in entries
    ]
    return nodes if keys is None else dict(zip(keys, nodes, strict=True))


def _legs(path: str) -> list[_Leg]:
    legs: list[_Leg] = []
    pos = 1
    while pos < len(path):
        found = _LEG.match(path, pos)
        if found is None or not path.startswith("$"):
            raise ValueError(f"a change at the path {path!r}")
        key, plain, before_last, cell = found.groups()
        if cell is None:
            legs.append(quoted(json.loads(key) if key is not None else plain))
        else:
            legs.append(-1 - int(cell) if before_last else -1 if cell == "last" else int(cell))
        pos = found.end()
    return legs


def _change(root: _Node, operation: int, legs: list[_Leg], value: _Node | None) -> _Node:
    """The tree after one change; all of it but the root is changed in place."""
    while legs and legs[-1] in (0, -1) and not isinstance(_at(root, legs[:-1]), list):
        legs = legs[:-1]  # what is no array is its own only cell
    if not legs:
        if operation != _REPLACE or value is None:
            raise ValueError("a change of the whole document that is no replacement")
        return value
    parent, leg = _at(root, legs[:-1]), legs[-1]
    if isinstance(parent, dict) and isinstance(leg, str):
        if (leg in parent) == (operation == _INSERT):
            raise ValueError(f"a change at the key {leg}, which is there or not against what it says")
        if value is None:
            del parent[leg]
        else:
            parent[leg] = value
        if operation == _INSERT:
            members = sorted(parent.items(), key=lambda member: _order(member[0]))
            parent.clear()
            parent.update(members)
    elif isinstance(parent, list) and isinstance(leg, int):
        if operation == _INSERT and value is not None:
            parent.insert(leg, value)
        elif value is None:
            del parent[leg]
        else:
            parent[leg] = value
    else:
        raise ValueError(f"a change at {leg!r} of something that has no such place")
    return root


def _at(node: _Node, legs: list[_Leg]) -> _Node:
    for leg in legs:
        child = node.get(leg) if isinstance(node, dict) and isinstance(leg, str) else None
        if isinstance(node, list) and isinstance(leg, int):
            child = node[leg]
        if child is not None:
            node = child
        elif isinstance(node, list) or leg not in (0, -1):
            raise ValueError(f"a change below {leg!r} of something that has no such place")
    return node


def _order(key: str) -> tuple[int, bytes]:
    """The server keeps the shorter key first, by its bytes, then in their order."""
    data = json.loads(key).encode()
    return len(data), data


def _text(node: _Node, typed: list[Typed], path: str) -> str:
    if isinstance(node, _Leaf):
        typed += [(path, sql_type, value) for _, sql_type, value in node.typed]
        return node.text
    if isinstance(node, list):
        return f"[{', '.join(_text(item, typed, f'{path}[{n}]') for n, item in enumerate(node))}]"
    members = (f"{key}: {_text(value, typed, f'{path}.{key}')}" for key, value in node.items())
    return f"{{{', '.join(members)}}}"
