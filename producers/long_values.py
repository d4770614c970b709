"""Values of a large row event: what is long stays in the event's own buffer, as a view of it.

A row of 64 MB is an event of 64 MB, its update one of twice that, which is held once. So a value of more than LONG_BYTES is
given as a memoryview of its bytes, which are what travels: text is in UTF-8 already. Only what has to be converted is copied.
"""

import codecs
from collections.abc import Callable

from schemas.parts import LONG_BYTES, PART_BYTES
from schemas.values import decode_latin1

LARGE_BYTES = PART_BYTES  # a row event of more is read in this way
_CHUNK = 1 << 20


class Window:
    """A large event's bytes: a slice is bytes as long as it is short, and a view of the buffer where it is long."""

    def __init__(self, data: bytes) -> None:
        self._view = memoryview(data)

    def __getitem__(self, at: int | slice) -> int | bytes | memoryview:
        """A byte, or a slice."""
        if isinstance(at, int):
            return self._view[at]
        part = self._view[at]
        return part if len(part) > LONG_BYTES else bytes(part)


def long_text(data: bytes | memoryview) -> str | memoryview:
    """UTF-8 as text, or where it is long as it is, but checked."""
    if isinstance(data, bytes):
        return str(data, "utf-8")
    decode = codecs.getincrementaldecoder("utf-8")().decode
    for start in range(0, len(data), _CHUNK):
        decode(data[start : start + _CHUNK], final=start + _CHUNK >= len(data))
    return data


def long_latin1(data: bytes | memoryview) -> str | memoryview:
    """MySQL's latin1 as text; where it is long in UTF-8, for which only what is not ASCII has to be copied."""
    if isinstance(data, bytes):
        return decode_latin1(data)
    chunks = [data[start : start + _CHUNK] for start in range(0, len(data), _CHUNK)]
    if all(bytes(chunk).isascii() for chunk in chunks):
        return data
    converted = bytearray()
    for chunk in chunks:
        converted += decode_latin1(bytes(chunk)).encode()
    return memoryview(converted)


def whole(convert: Callable[[bytes], object]) -> Callable[[bytes | memoryview], object]:
    """A conversion that needs all bytes at once: of JSON, and of text in other character sets."""
    return lambda data: convert(bytes(data))
