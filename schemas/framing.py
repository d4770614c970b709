"""Confluent framing: 0x00, a 4-byte big-endian schema id, then the Avro body."""

import struct

from schemas.avro_bytes import read_varint

_HEADER = struct.Struct(">bI")
HEADER_BYTES = _HEADER.size


def frame(identity: int) -> bytes:
    """The five bytes before an Avro body."""
    return _HEADER.pack(0, identity)


def framed_id(value: bytes) -> int:
    """The schema id of a framed value.

    Raises ValueError when it is not Confluent framing.
    """
    if len(value) < HEADER_BYTES:
        raise ValueError(f"a value of {len(value)} bytes has no schema id")
    magic, identity = _HEADER.unpack_from(value)
    if magic != 0:
        raise ValueError(f"value starts with byte {magic:#04x}, not with 0x00 and a schema id")
    return int(identity)


def peek_sequence(value: bytes) -> int:
    """The sequence of a framed row event without decoding it: the first field."""
    try:
        return read_varint(value, HEADER_BYTES)[0] >> 1
    except IndexError:
        raise ValueError("no sequence at the start of the event") from None
