"""A TRANSACTION_PAYLOAD_EVENT (`binlog_transaction_compression`) → the events that are compressed in it.

Layout (`codecs::binary::Transaction_payload`): fields of type, length and value, each a length-encoded integer, up to a type
of 0; then the payload, which is the transaction's events from BEGIN to its commit, without checksums. It is decompressed as it
is read: what is held in that form is one event and a chunk, however large the transaction.
"""

import io
from collections.abc import Iterator
from typing import Any, NamedTuple

import zstandard

from producers.events import HEADER, HEADER_BYTES, ROWS, Event
from producers.long_values import LARGE_BYTES
from producers.map_fields import packed_int

_END, _SIZE, _COMPRESSION, _UNCOMPRESSED_SIZE = range(4)  # types of fields
_ZSTD, _NONE = 0, 255  # compression types
_CHUNK = 1 << 20


class Payload(NamedTuple):
    """Where in its event the payload lies, and its size when decompressed."""

    start: int
    end: int
    compression: int
    size: int


def read_payload(data: bytes) -> Payload:
    """Read the fields before the payload; unknown ones are passed over.

    Raises ValueError, IndexError.
    """
    found: dict[int, int] = {}
    pos = HEADER_BYTES
    while True:
        field, pos = packed_int(data, pos)
        if field == _END:
            break
        length, pos = packed_int(data, pos)
        if field in (_SIZE, _COMPRESSION, _UNCOMPRESSED_SIZE):
            found[field], _ = packed_int(data, pos)
        pos += length
    if _SIZE not in found or _COMPRESSION not in found:
        raise ValueError("its size or its compression is not said")
    size, compression = found[_SIZE], found[_COMPRESSION]
    if compression not in (_ZSTD, _NONE):
        raise ValueError(f"it is compressed in way {compression}, which is not known")
    if pos + size != len(data):
        raise ValueError(f"the payload has {len(data) - pos} bytes, its header says {size}")
    if compression == _ZSTD and _UNCOMPRESSED_SIZE not in found:
        raise ValueError("its uncompressed size is not said")
    return Payload(pos, pos + size, compression, found.get(_UNCOMPRESSED_SIZE, size))


def inner_events(event: Event) -> Iterator[Event]:
    """The events of a payload, in order. The end of each is that of the payload's event: no position lies inside of it.

    Raises ValueError, IndexError for a damaged one, after the events before the damage.
    """
    payload = read_payload(event.data)
    source = _decompressed(memoryview(event.data)[payload.start : payload.end], payload.compression)
    left = payload.size
    try:
        while left:
            header = source.read(HEADER_BYTES)
            if len(header) < HEADER_BYTES:
                raise ValueError(f"{left} bytes of what is compressed are missing")
            _, code, server_id, size, _, flags = HEADER.unpack(header)
            if not HEADER_BYTES <= size <= left:
                raise ValueError(f"an event of {size} bytes inside, where {left} are left")
            left -= size
            data = _read(source, header, size)
            yield Event(code, server_id, event.end, flags, data if code in ROWS else bytes(data))
            del data
        if source.read(1):
            raise ValueError(f"what is compressed is more than the {payload.size} bytes that its header says")
    except zstandard.ZstdError as error:
        raise ValueError(f"zstd: {error}") from error


def _decompressed(payload: memoryview, compression: int) -> io.BufferedIOBase:
    if compression == _NONE:
        return io.BytesIO(payload)
    reader: Any = zstandard.ZstdDecompressor().stream_reader(payload, read_across_frames=True)
    return io.BufferedReader(reader, _CHUNK)


def _read(source: io.BufferedIOBase, header: bytes, size: int) -> Any:
    """An event of so many bytes; asked for in chunks, so that a size that is wrong does not reserve what it says.

    One that is larger than a chunk is a buffer that has grown, and is held once.
    """
    data = bytearray(header)
    while len(data) < size:
        piece = source.read(min(size - len(data), _CHUNK))
        if not piece:
            raise ValueError(f"{size - len(data)} bytes of an event inside are missing")
        data += piece
    return data if size > LARGE_BYTES else bytes(data)
