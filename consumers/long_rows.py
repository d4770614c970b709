"""A row event in parts → a change, without ever holding the row.

A row of 64 MB is 128 MB in its update, before and after. As its parts come, each value that is long goes on at once: of the
after image into user variables of the target's session, a piece each, which the statement of the row puts together there; of the
before image, which is only compared, into a SHA-256. Both have one, so that a long value here is its length and its digest.
Pure: `keep` is who has the connection.
"""

import struct
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from schemas.envelope import OPS, RowDecoder
from schemas.framing import HEADER_BYTES
from schemas.parts import LONG_BYTES, Part
from schemas.records import Row, RowEvent
from schemas.tables import Column

Keep = Callable[[Column, int], Callable[[bytes], str]]  # (column, length of its value) → takes each piece, gives its variable
_LONG_KINDS = ("text", "binary")  # canonical bytes are those that the server has, or converts; others are held
_Steps = Generator[None, memoryview, "RowEvent"]


@dataclass(frozen=True, kw_only=True)
class Long:
    """A canonical value that is not held. pieces: the user variables that make it up, of an after image."""

    length: int  # bytes, of text in UTF-8
    digest: str  # SHA-256, hexadecimal
    pieces: tuple[str, ...] = field(default=(), compare=False)


class LongRow:
    """One event that comes in parts."""

    def __init__(self, decoder: RowDecoder, keep: Callable[[RowEvent], Keep | None]) -> None:
        """keep: for the event without its images, where its long values go; None: it will not be applied."""
        self._name = decoder.table.full_name
        self._columns = decoder.table.columns
        self._types = decoder.types
        self._keep = keep
        self._buffer = bytearray()  # what has come and is not read
        self._part = 0  # that comes next
        self._event: RowEvent | None = None
        self._steps = self._read()
        next(self._steps)

    def add(self, part: Part) -> RowEvent | None:
        """Take the next part; gives the event with the last one.

        Raises ValueError for what is no event of the decoder's schema.
        """
        if part.number != self._part:
            raise ValueError(f"part {part.number} of an event of {self._name} where part {self._part} belongs")
        self._part += 1
        if self._event is None:
            try:
                self._steps.send(part.data)
            except StopIteration as end:
                self._event = end.value
        if part.last and self._event is None:
            raise ValueError(f"the event of {self._name} ends inside its row")
        return self._event if part.last else None

    def _read(self) -> _Steps:
        self._buffer += yield
        yield from self._take(HEADER_BYTES)
        sequence, order = (yield from self._number()), (yield from self._number())
        op = OPS.get((yield from self._take(2)))
        if op is None:
            raise ValueError(f"the bytes are no event of {self._name}")
        event = RowEvent(sequence >> 1, order >> 1, op, None, None, (yield from self._take(1)) == b"\1")
        before = yield from self._image(None)
        after = yield from self._image(self._keep(event))
        return event._replace(before=before, after=after)

    def _image(self, keep: Keep | None) -> Generator[None, memoryview, Row | None]:
        if (yield from self._take(1)) == b"\0":
            return None
        row = []
        for column, avro in zip(self._columns, self._types, strict=True):
            row.append((yield from self._value(column, avro.split("|"), keep)))
        return tuple(row)

    def _value(self, column: Column, types: Sequence[str], keep: Keep | None) -> Generator[None, memoryview, object]:
        branch = (yield from self._take(1))[0]
        if not branch:
            return None
        if branch & 1 or branch // 2 > len(types):
            raise ValueError(f"a value of {self._name} starts with byte {branch:#04x}")
        avro = types[branch // 2 - 1]
        if avro in ("float", "double"):
            form = struct.Struct("<f" if avro == "float" else "<d")
            return form.unpack((yield from self._take(form.size)))[0]
        number = yield from self._number()
        if avro == "long":
            return number >> 1 ^ -(number & 1)
        if number & 1:
            raise ValueError("an Avro length is negative")
        length = number >> 1
        if length > LONG_BYTES and column.kind in _LONG_KINDS:
            return (yield from self._long(length, None if keep is None else keep(column, length)))
        value = yield from self._take(length)
        return value.decode() if avro == "string" else value

    def _long(self, length: int, keep: Callable[[bytes], str] | None) -> Generator[None, memoryview, Long]:
        digest, pieces, left = sha256(), [], length
        while left:
            if not self._buffer:
                self._buffer += yield
            piece = bytes(memoryview(self._buffer)[:left])
            del self._buffer[: len(piece)]
            digest.update(piece)
            if keep is not None:
                pieces.append(keep(piece))
            left -= len(piece)
        return Long(length=length, digest=digest.hexdigest(), pieces=tuple(pieces))

    def _number(self) -> Generator[None, memoryview, int]:
        """A number before zigzag is undone."""
        number = shift = 0
        while True:
            byte = (yield from self._take(1))[0]
            number |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return number
            if shift > 63:
                raise ValueError("an Avro long has more than ten bytes")

    def _take(self, size: int) -> Generator[None, memoryview, bytes]:
        while len(self._buffer) < size:
            self._buffer += yield
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken
