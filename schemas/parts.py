"""A row event that is too large for one record, in parts of bounded size: framed Avro of part.avsc.

The parts of an event lie one behind the other in its partition, under its key. Their data, put together, are the event as one
record would have held it (schemas/envelope.py). Both ends hold a part at a time, and never the whole event.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from schemas.avro_bytes import read_varint, varint
from schemas.framing import HEADER_BYTES, frame
from schemas.registry import schema_id

PART_SCHEMA: dict[str, Any] = json.loads((Path(__file__).parent / "part.avsc").read_text())
PART_ID = schema_id(PART_SCHEMA)
PART_BYTES = 1 << 20  # of the data of one part; an event of no more is one record
LONG_BYTES = 1 << 16  # a value of more is never held as a whole
_FRAME = frame(PART_ID)

Buffer = bytes | memoryview


class Part(NamedTuple):
    """One record of a large event; see part.avsc."""

    sequence: int
    order: int
    number: int
    last: bool
    data: memoryview


def part_bytes(max_message_bytes: int) -> int:
    """How much data a part has where Kafka takes records of so many bytes: room is left for its key."""
    return min(PART_BYTES, max_message_bytes // 2)


def cut(pieces: Iterable[Buffer], size: int) -> Iterator[bytes]:
    """The same bytes in cuts of exactly `size` bytes, but for the last, which may be shorter; nothing gives nothing."""
    waiting: list[Buffer] = []
    room = size
    for piece in pieces:
        view = memoryview(piece)
        while len(view) >= room:
            yield b"".join((*waiting, view[:room]))
            view = view[room:]
            waiting, room = [], size
        if len(view):
            waiting.append(view)
            room -= len(view)
    if waiting:
        yield b"".join(waiting)


def parts(sequence: int, order: int, pieces: Iterable[Buffer], size: int) -> Iterator[bytes]:
    """The framed parts of the event that these pieces make; it has one byte at least."""
    head = _FRAME + varint(sequence) + varint(order)
    number = 0
    cuts = cut(pieces, size)
    data = next(cuts)
    for following in cuts:
        yield b"".join((head, varint(number), b"\x00", varint(len(data)), data))
        data = following
        number += 1
    yield b"".join((head, varint(number), b"\x01", varint(len(data)), data))


def decode_part(value: bytes) -> Part:
    """The inverse for one part. Raises ValueError for bytes that are none."""
    try:
        sequence, at = read_varint(value, HEADER_BYTES)
        order, at = read_varint(value, at)
        number, at = read_varint(value, at)
        last = value[at]
        length, at = read_varint(value, at + 1)
    except IndexError as error:
        raise ValueError("a part of an event ends inside its head") from error
    if last > 1 or length & 1 or at + (length >> 1) != len(value):
        raise ValueError(f"a part of an event is of {len(value) - at} bytes, its head says {length >> 1}")
    return Part(sequence >> 1, order >> 1, number >> 1, bool(last), memoryview(value)[at:])
