"""Binlog bytes written by hand: an encoder that shares no line with the decoder under test.

It follows the server's writing side (`Field::pack`, `json_binary::serialize`, `Table_map_log_event::write`), the decoder
its reading side. Sizes and biases are written out again here on purpose.
"""

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import zstandard

UUID = bytes(range(16))
UUID_TEXT = "00010203-0405-0607-0809-0a0b0c0d0e0f"
# Collations of the tests: id → character set, as information_schema.COLLATIONS tells it.
COLLATIONS = {8: "latin1", 11: "ascii", 33: "utf8mb3", 45: "utf8mb4", 63: "binary", 255: "utf8mb4", 28: "gbk", 54: "utf16"}
MAX_BYTES = {"latin1": 1, "ascii": 1, "utf8mb3": 3, "utf8mb4": 4, "binary": 1, "gbk": 2, "utf16": 4}


# --- values ---------------------------------------------------------------------------------------------------------


def decimal(text: str, precision: int, scale: int) -> bytes:
    """A DECIMAL as it is packed: groups of nine digits in four bytes, rests in fewer, sign bit, negative inverted."""
    whole, _, fraction = text.lstrip("-").partition(".")
    whole = whole.zfill(precision - scale)[-(precision - scale) :] if precision > scale else ""
    first = len(whole) % 9
    groups = [whole[:first], *(whole[n : n + 9] for n in range(first, len(whole), 9))]
    groups += [fraction[n : n + 9] for n in range(0, scale, 9)]
    packed = b"".join(int(group).to_bytes(4 if len(group) == 9 else (len(group) + 1) // 2, "big") for group in groups if group)
    if text.startswith("-"):
        packed = bytes(255 - byte for byte in packed)
    return bytes([packed[0] ^ 128]) + packed[1:]


def fraction_bytes(micros: int, digits: int) -> bytes:
    """The fraction of a temporal value: two digits a byte, an odd last digit in the upper one of its pair."""
    if not digits:
        return b""
    size = (digits + 1) // 2
    return (micros // 10 ** (6 - 2 * size)).to_bytes(size, "big")


def time2(negative: bool, hour: int, minute: int, second: int, micros: int, digits: int) -> bytes:
    """TIME(n), as my_time_packed_to_binary writes it: whole part and fraction borrow from each other below zero."""
    whole = hour * 4096 + minute * 64 + second
    size = (digits + 1) // 2
    fraction = micros // 10 ** (6 - 2 * size) if digits else 0
    if negative and fraction:
        whole, fraction = 0x800000 - whole - 1, 256**size - fraction
    else:
        whole = 0x800000 - whole if negative else 0x800000 + whole
    return whole.to_bytes(3, "big") + (fraction.to_bytes(size, "big") if digits else b"")


def datetime2(parts: tuple[int, int, int, int, int, int], micros: int, digits: int) -> bytes:
    """DATETIME(n); any part may be 0."""
    year, month, day, hour, minute, second = parts
    bits = f"1{year * 13 + month:017b}{day:05b}{hour:05b}{minute:06b}{second:06b}"
    return int(bits, 2).to_bytes(5, "big") + fraction_bytes(micros, digits)


def timestamp2(moment: datetime | None, digits: int) -> bytes:
    """TIMESTAMP(n); None is the zero date."""
    if moment is None:
        return bytes(4) + fraction_bytes(0, digits)
    seconds = int((moment.replace(microsecond=0) - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds())
    return seconds.to_bytes(4, "big") + fraction_bytes(moment.microsecond, digits)


def date3(year: int, month: int, day: int) -> bytes:
    """DATE: three bytes, low first."""
    return int(f"{year:015b}{month:04b}{day:05b}", 2).to_bytes(3, "little")


def prefixed(value: bytes, length_bytes: int) -> bytes:
    """A string or blob with its length before it."""
    return len(value).to_bytes(length_bytes, "little") + value


def packed(number: int) -> bytes:
    """A length-encoded integer."""
    if number < 251:
        return bytes([number])
    if number < 1 << 16:
        return b"\xfc" + number.to_bytes(2, "little")
    return b"\xfd" + number.to_bytes(3, "little") if number < 1 << 24 else b"\xfe" + number.to_bytes(8, "little")


# --- JSON -----------------------------------------------------------------------------------------------------------

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


def json_binary(value: Json, *, large: bool = False) -> bytes:
    """A JSON column's value; `large` writes four-byte offsets also where two bytes would do."""
    kind, data = _json(value, large)
    return bytes([kind]) + data


def _json(value: Json, large: bool) -> tuple[int, bytes]:
    if value is None or isinstance(value, bool):
        return 4, {None: b"\0", True: b"\1", False: b"\2"}[value]
    if isinstance(value, int):
        for kind, form in ((5, "<h"), (6, "<H"), (7, "<i"), (8, "<I"), (9, "<q"), (10, "<Q")):
            try:
                return kind, struct.pack(form, value)
            except struct.error:
                continue
        raise ValueError(value)
    if isinstance(value, float):
        return 11, struct.pack("<d", value)
    if isinstance(value, str):
        text = value.encode()
        return 12, _varint(len(text)) + text
    data = None if large else _container(value, large=False, inner_large=large)
    if data is None:
        data, large = _container(value, large=True, inner_large=large), True
    assert data is not None
    return (2 if isinstance(value, list) else 0) + large, data


def _container(value: "list[Json] | dict[str, Json]", *, large: bool, inner_large: bool) -> bytes | None:
    """An array or object; None where it does not fit two-byte offsets."""
    size = 4 if large else 2
    keys: list[bytes] = []
    members: Sequence[Json] = []
    if isinstance(value, dict):
        keys = sorted((key.encode() for key in value), key=lambda key: (len(key), key))
        members = [value[key.decode()] for key in keys]
    else:
        members = value
    values = [_json(member, inner_large) for member in members]
    start = 2 * size + len(keys) * (size + 2) + len(values) * (size + 1)
    key_entries, value_entries, tail = b"", b"", b"".join(keys)
    offset = start
    for key in keys:
        key_entries += offset.to_bytes(4, "little")[:size] + len(key).to_bytes(2, "little")
        offset += len(key)
    for kind, data in values:
        if kind in ({4, 5, 6, 7, 8} if large else {4, 5, 6}):
            value_entries += bytes([kind]) + data.ljust(size, b"\0" if kind in (4, 6, 8) or data[-1] < 128 else b"\xff")
        else:
            value_entries += bytes([kind]) + (start + len(tail)).to_bytes(4, "little")[:size]
            tail += data
    total = start + len(tail)
    if not large and (total > 0xFFFF or len(values) > 0xFFFF):
        return None
    return len(values).to_bytes(size, "little") + total.to_bytes(size, "little") + key_entries + value_entries + tail


def _varint(number: int) -> bytes:
    out = []
    while number > 127:
        out.append(number % 128 + 128)
        number //= 128
    return bytes([*out, number])


# --- events ---------------------------------------------------------------------------------------------------------


def event(
    code: int, body: bytes, *, end: int = 1000, checksum: bool = False, flags: int = 0, seconds: int = 1_700_000_000
) -> bytes:
    """An event with its header, and its CRC-32 where asked for. `end` is the position after it in its file."""
    size = 19 + len(body) + 4 * checksum
    data = struct.pack("<IBIIIH", seconds, code, 3306, size, end, flags) + body
    return data + struct.pack("<I", zlib.crc32(data)) if checksum else data


def gtid_body(number: int, uuid: bytes = UUID, committed_at: int = 1_700_000_000_123_456, original: int | None = None) -> bytes:
    """A GTID event's body: with `original`, the time of another server follows, as on a replica."""
    times = committed_at.to_bytes(7, "little")
    if original is not None:
        times = (committed_at | 1 << 55).to_bytes(7, "little") + original.to_bytes(7, "little")
    return b"\1" + uuid + struct.pack("<q", number) + b"\2" + struct.pack("<qq", 1, 2) + times + b"\xf4" + b"\0" * 4


def varint(number: int) -> bytes:
    """An unsigned integer as mysql::serialization writes it: ones that count further bytes, a zero, the value; low bits first."""
    for size in range(1, 9):
        if number < 1 << 7 * size:
            return (number << size | (1 << size - 1) - 1).to_bytes(size, "little")
    return b"\xff" + number.to_bytes(8, "little")


def tagged_gtid_body(
    number: int, tag: str, *, uuid: bytes = UUID, committed_at: int = 1_700_000_000_123_456, more: bytes = b"", must_know: int = 0
) -> bytes:
    """A tagged GTID event's body: fields behind their numbers. more: fields after those that every server writes."""
    fields = [
        varint(0) + varint(1),  # flags
        varint(1) + b"".join(varint(byte) for byte in uuid),
        varint(2) + varint(2 * number),  # the lowest bit is the sign
        varint(3) + varint(len(tag)) + tag.encode(),
        varint(4) + varint(2 * 1),
        varint(5) + varint(2 * 2),
        varint(6) + varint(committed_at),
        varint(8) + varint(300),  # the transaction's length
        varint(9) + varint(90704),
    ]
    rest = varint(must_know) + b"".join(fields) + more
    for size in range(len(rest), len(rest) + 11):  # the size is part of what it counts
        body = varint(1) + varint(size) + rest
        if len(body) == size:
            return body
    raise ValueError(size)


def query_body(statement: bytes, db: str = "shop", status: bytes = b"") -> bytes:
    """A QUERY event's body."""
    name = db.encode()
    return struct.pack("<IIBHH", 77, 0, len(name), 0, len(status)) + status + name + b"\0" + statement


def rotate_body(file: str, position: int = 4) -> bytes:
    """A ROTATE event's body."""
    return struct.pack("<Q", position) + file.encode()


def payload_body(inner: Sequence[bytes], *, compression: int | None = 0, size: int | None = None, more: bytes = b"") -> bytes:
    """A TRANSACTION_PAYLOAD event's body over whole events. compression: 0 is zstd, 255 none; size: what it says of the inner."""
    data = b"".join(inner)
    payload = zstandard.ZstdCompressor().compress(data) if compression == 0 else data
    fields = {3: len(data) if size is None else size, 1: len(payload)} if compression == 0 else {1: len(payload)}
    if compression is not None:
        fields = {2: compression, **fields}
    return b"".join(packed(n) + prefixed(packed(v), 1) for n, v in fields.items()) + more + b"\0" + payload


def format_description(*, checksum: bool) -> bytes:
    """A whole FORMAT_DESCRIPTION event; its checksum is there in either case, and an algorithm byte before it."""
    body = struct.pack("<H50sIB", 4, b"9.7.0", 0, 19) + bytes(42) + bytes([checksum])
    return event(15, body, end=0, checksum=True)


def packet(payload: bytes, number: int = 0) -> bytes:
    """A payload as MySQL's protocol sends it: pieces of 2^24-1 bytes at most, a full one is always followed by another."""
    out = []
    while True:
        piece, payload = payload[:0xFFFFFF], payload[0xFFFFFF:]
        out.append(len(piece).to_bytes(3, "little") + bytes([number % 256]) + piece)
        number += 1
        if len(piece) < 0xFFFFFF:
            return b"".join(out)


# --- tables and rows ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Col:
    """A column of a table map."""

    name: str
    type: int  # its type byte in the table map: 254 for CHAR, BINARY, ENUM and SET
    meta: bytes = b""
    nullable: bool = False
    unsigned: bool = False  # of numbers
    collation: int | None = None  # of text, binary, enum and set
    labels: tuple[str, ...] = ()
    number: int = 0  # of a geometry's type, or a vector's dimension

    @property
    def real_type(self) -> int:
        """ENUM and SET hide behind the type byte of CHAR."""
        return self.meta[0] if self.type == 254 and self.meta[0] in (247, 248) else self.type


NUMERIC = (1, 2, 3, 4, 5, 8, 9, 13, 246)
CHARACTER = (15, 252, 253, 254, 242)


def int_col(name: str, **more: object) -> Col:
    """An INT NOT NULL column."""
    return Col(name=name, type=3, **more)  # type: ignore[arg-type]


def varchar_col(name: str, length: int = 40, **more: object) -> Col:
    """A VARCHAR column of that many bytes; utf8mb4 unless said otherwise."""
    return Col(**{"name": name, "type": 15, "meta": length.to_bytes(2, "little"), "collation": 255, **more})  # type: ignore[arg-type]


def char_meta(length: int, real: int = 254) -> bytes:
    """A CHAR's two bytes: its length in bytes, whose bits 8 and 9 are stored inverted in the type byte."""
    return bytes([real ^ (length >> 4 & 0x30), length & 0xFF])


def table_map_body(
    columns: Sequence[Col],
    key: Sequence[int] | None = (0,),
    *,
    db: str = "shop",
    name: str = "t",
    number: int = 108,
    per_column: bool = False,
    metadata: bool = True,
    prefixes: Sequence[int] | None = None,
    extra: bytes = b"",
) -> bytes:
    """A table map's body.

    per_column: collations as one id a column instead of a default and exceptions. metadata: the optional part as with
    binlog_row_metadata=FULL. prefixes: a primary key with prefixes. extra: more optional fields.
    """
    head = number.to_bytes(6, "little") + b"\1\0"
    head += bytes([len(db.encode())]) + db.encode() + b"\0" + bytes([len(name.encode())]) + name.encode() + b"\0"
    head += packed(len(columns)) + bytes(c.type for c in columns)
    meta = b"".join(c.meta for c in columns)
    head += packed(len(meta)) + meta + bits([c.nullable for c in columns])
    numeric = [c.unsigned for c in columns if c.real_type in NUMERIC]
    fields = [(1, bits(numeric, high_first=True))] if numeric else []
    if metadata:
        text = [c.collation or 63 for c in columns if c.real_type in CHARACTER]
        listed = [c.collation or 63 for c in columns if c.real_type in (247, 248)]
        fields += _charset_field(text, 2, 3, per_column) + _charset_field(listed, 10, 11, per_column)
        fields.append((4, b"".join(packed(len(c.name.encode())) + c.name.encode() for c in columns)))
        real_types = {c.real_type for c in columns}
        numbered = [(code, [c.number for c in columns if c.type == kind]) for code, kind in ((7, 255), (13, 242))]
        fields += [(code, b"".join(map(packed, numbers))) for code, numbers in numbered if numbers]
        fields += [(code, _labels(columns, real)) for code, real in ((5, 248), (6, 247)) if real in real_types]
        if key is not None and prefixes is None:
            fields.append((8, b"".join(packed(n) for n in key)))
        if prefixes is not None:
            fields.append((9, b"".join(packed(n) + packed(p) for n, p in zip(key or (), prefixes, strict=True))))
        fields.append((12, bits([True] * len(columns), high_first=True)))
    return head + b"".join(bytes([code]) + packed(len(data)) + data for code, data in fields) + extra


def _charset_field(collations: list[int], default_field: int, column_field: int, per_column: bool) -> list[tuple[int, bytes]]:
    if not collations:
        return []
    if per_column:
        return [(column_field, b"".join(packed(c) for c in collations))]
    default = max(set(collations), key=collations.count)
    others = b"".join(packed(n) + packed(c) for n, c in enumerate(collations) if c != default)
    return [(default_field, packed(default) + others)]


def _labels(columns: Sequence[Col], real: int) -> bytes:
    out = b""
    for column in columns:
        if column.real_type == real:
            codec = {8: "cp1252", 28: "gbk", 54: "utf-16-be"}.get(column.collation or 0, "utf-8")
            values = [label.encode(codec) for label in column.labels]
            out += packed(len(values)) + b"".join(packed(len(value)) + value for value in values)
    return out


def bits(values: Sequence[bool], *, high_first: bool = False) -> bytes:
    """A bitmap of whole bytes."""
    out = bytearray((len(values) + 7) // 8)
    for n, value in enumerate(values):
        if value:
            out[n // 8] |= 128 >> n % 8 if high_first else 1 << n % 8
    return bytes(out)


def image(values: Sequence[bytes | None]) -> bytes:
    """A row image: which values are NULL, then the others."""
    return bits([value is None for value in values]) + b"".join(value for value in values if value is not None)


def rows_body(
    images: Sequence[bytes],
    columns: int,
    *,
    bitmaps: int = 1,
    number: int = 108,
    extra: bytes = b"",
    present: bytes | None = None,
) -> bytes:
    """A rows event's body (version 2). bitmaps: 2 for updates. present: the columns' bitmap, all where not given."""
    head = number.to_bytes(6, "little") + b"\1\0" + (len(extra) + 2).to_bytes(2, "little") + extra
    return head + packed(columns) + (present or bits([True] * columns)) * bitmaps + b"".join(images)
