"""TABLE_MAP_EVENT with full metadata → the source table and what its row images need for decoding.

Layout: MySQL internals, `binary_log::Table_map_event` (rows_event.h): table id (6 bytes), flags (2), database and table name
(length, bytes, 0), column count, a type byte a column, per-type metadata, the bitmap of nullable columns, then optional
metadata as type-length-value fields, complete only with binlog_row_metadata=FULL.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from bisync_topology.errors import CaptureError, Where
from producers.map_fields import (
    bits_high_first,
    bits_low_first,
    collations_of,
    ints,
    lists_of_strings,
    optional_fields,
    packed_int,
    sized_strings,
)
from schemas.charsets import NAMES
from schemas.charsets import charset as charset_of_name
from schemas.tables import Column, Table
from schemas.values import TEXT_CHARSETS, decode_latin1, text_kind

# Type bytes, as in the server's field_types.h.
TINY, SHORT, LONG, FLOAT, DOUBLE = 1, 2, 3, 4, 5
LONGLONG, INT24, DATE, YEAR, VARCHAR, BIT = 8, 9, 10, 13, 15, 16
TIMESTAMP2, DATETIME2, TIME2, VECTOR, JSON, NEWDECIMAL = 17, 18, 19, 242, 245, 246
ENUM, SET, BLOB, VAR_STRING, STRING, GEOMETRY = 247, 248, 252, 253, 254, 255

_NUMERIC = {TINY, SHORT, INT24, LONG, LONGLONG, NEWDECIMAL, FLOAT, DOUBLE, YEAR}  # those that have a sign bit, YEAR too
_CHARACTER = {STRING, VAR_STRING, VARCHAR, BLOB, VECTOR}  # those that have a collation in the map: the binary one, for a VECTOR
_METADATA_BYTES = {FLOAT: 1, DOUBLE: 1, VARCHAR: 2, BIT: 2, NEWDECIMAL: 2, BLOB: 1, JSON: 1, GEOMETRY: 1, VECTOR: 1}
_METADATA_BYTES |= {STRING: 2, VAR_STRING: 2, ENUM: 2, SET: 2, TIMESTAMP2: 1, DATETIME2: 1, TIME2: 1}
_INT_TYPES = {TINY: "tinyint", SHORT: "smallint", INT24: "mediumint", LONG: "int", LONGLONG: "bigint"}
_TEMPORAL_TYPES = {TIMESTAMP2: "timestamp", DATETIME2: "datetime", TIME2: "time"}
_TEXT_BY_LENGTH = {1: "tiny", 2: "", 3: "medium", 4: "long"}  # bytes of a blob's length
_GEOMETRIES = (
    "geometry",
    "point",
    "linestring",
    "polygon",
    "multipoint",
    "multilinestring",
    "multipolygon",
    "geomcollection",
)

# Types of optional metadata fields.
_SIGNEDNESS, _DEFAULT_CHARSET, _COLUMN_CHARSET, _COLUMN_NAME, _SET_VALUES, _ENUM_VALUES = 1, 2, 3, 4, 5, 6
_GEOMETRY_TYPE, _SIMPLE_KEY, _PREFIX_KEY, _ENUM_SET_DEFAULT_CHARSET, _ENUM_SET_COLUMN_CHARSET = 7, 8, 9, 10, 11
_VECTOR_DIMENSION = 13
_NUMBERED = {GEOMETRY: _GEOMETRY_TYPE, VECTOR: _VECTOR_DIMENSION}  # what has a number in them, in the order of the columns
BINARY_COLLATION = 63


@dataclass(frozen=True, kw_only=True)
class Storage:
    """How one column's value lies in a row image.

    type: its real type byte. size: bytes of an int, enum or set; bytes of the length of a string or blob; digits of a
    fraction. precision: digits of a DECIMAL, bytes of a CHAR or VARCHAR, bits of a BIT, dimensions of a VECTOR, the number
    of a geometry's type. pad: BINARY(n)'s n, else 0.
    """

    type: int
    size: int
    unsigned: bool = False
    precision: int = 0
    scale: int = 0
    pad: int = 0
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class TableMap:
    """A decoded table map: the table as others know it, and the storage of its columns."""

    table: Table
    storage: tuple[Storage, ...]


def table_name(data: bytes) -> tuple[str, str]:
    """Database and table of a table map body, without reading the rest."""
    db_end = 9 + data[8]
    table_end = db_end + 2 + data[db_end + 1]
    return data[9:db_end].decode(), data[db_end + 2 : table_end].decode()


def parse_table_map(
    data: bytes, charset_of: Mapping[int, str], mbmaxlen: Mapping[str, int], unique_key: Callable[[str, str], tuple[str, ...]]
) -> TableMap:
    """Parse a table map's body (from the table id on, without checksum).

    charset_of: collation id → character set. unique_key: (db, table) → columns of the first NOT NULL unique key, asked for
    when the table map names no key: MySQL names the primary key, or the NOT NULL unique key that stands in for it.
    Raises CaptureError where metadata is missing, a type is not decoded yet, or the table has no key.
    """
    db, name = table_name(data)
    where = Where(table=f"{db}.{name}")
    pos = 9 + data[8] + 1
    pos += 1 + data[pos] + 1
    count, pos = packed_int(data, pos)
    types = data[pos : pos + count]
    pos += count
    _, pos = packed_int(data, pos)
    storage = []
    for n, code in enumerate(types):
        size = _METADATA_BYTES.get(code, 0)
        if code not in _INT_TYPES and code not in (DATE, YEAR) and not size:
            raise CaptureError(
                f"column {n + 1} has type number {code}, which is not decoded yet",
                code="unsupported_type",
                hint=f'take the table out of `objects` with "!{db}.{name}", or change the column\'s type',
                where=where,
            )
        storage.append(_storage(code, data[pos : pos + size]))
        pos += size
    nullable = bits_low_first(data[pos : pos + (count + 7) // 8], count)
    fields = optional_fields(data, pos + (count + 7) // 8)
    if _COLUMN_NAME not in fields or (_SIGNEDNESS not in fields and any(s.type in _NUMERIC for s in storage)):
        raise CaptureError(
            "the binlog has no column names and signs for this table",
            code="row_metadata",
            hint="SET PERSIST binlog_row_metadata = FULL on this server, then `init --reset` of its directions: events "
            "that were written before cannot be decoded",
            where=where,
        )
    storage, columns = _columns(storage, nullable, fields, charset_of, mbmaxlen, where)
    names = [column.name for column in columns]
    key = _primary_key(fields)
    if not key:
        unique = unique_key(db, name)
        if set(unique) <= set(names):  # the server's key is that of now, the map is of then
            key = tuple(names.index(column) for column in unique)
    if not key or any(columns[n].nullable for n in key):
        raise CaptureError(
            "the table has neither a primary key nor a NOT NULL unique key, so its rows cannot be told apart",
            code="no_key",
            hint=f"ALTER TABLE `{db}`.`{name}` ADD PRIMARY KEY (…) on both sides, or take it out of `objects` with "
            f'"!{db}.{name}"; rows written before are led past with `skip`',
            where=where,
        )
    return TableMap(table=Table(db=db, name=name, columns=columns, key=key), storage=tuple(storage))


def _storage(code: int, meta: bytes) -> Storage:
    if code in _INT_TYPES:
        return Storage(type=code, size={TINY: 1, SHORT: 2, INT24: 3, LONG: 4, LONGLONG: 8}[code])
    if code == NEWDECIMAL:
        return Storage(type=code, size=0, precision=meta[0], scale=meta[1])
    if code in (VARCHAR, VAR_STRING):
        length = int.from_bytes(meta, "little")
        return Storage(type=VARCHAR, size=1 if length < 256 else 2, precision=length)
    if code in (STRING, ENUM, SET):
        real, length = meta
        if real & 0x30 != 0x30:  # the two high bits of a CHAR's length hide in the type byte
            length |= ((real & 0x30) ^ 0x30) << 4
            real |= 0x30
        if real in (ENUM, SET):
            return Storage(type=real, size=length)
        return Storage(type=STRING, size=1 if length < 256 else 2, precision=length)
    if code == BIT:
        bits = 8 * meta[1] + meta[0]
        return Storage(type=code, size=(bits + 7) // 8, precision=bits)
    return Storage(type=code, size=meta[0] if meta else 0)


def _columns(
    storage: list[Storage],
    nullable: list[bool],
    fields: dict[int, bytes],
    charset_of: Mapping[int, str],
    mbmaxlen: Mapping[str, int],
    where: Where,
) -> tuple[list[Storage], tuple[Column, ...]]:
    names = sized_strings(fields[_COLUMN_NAME])
    numeric = [n for n, s in enumerate(storage) if s.type in _NUMERIC]
    signs = dict(zip(numeric, bits_high_first(fields.get(_SIGNEDNESS, b""), len(numeric)), strict=True))
    texts = [n for n, s in enumerate(storage) if s.type in _CHARACTER]
    collations = collations_of(texts, fields, _DEFAULT_CHARSET, _COLUMN_CHARSET)
    listed = [n for n, s in enumerate(storage) if s.type in (ENUM, SET)]
    collations |= collations_of(listed, fields, _ENUM_SET_DEFAULT_CHARSET, _ENUM_SET_COLUMN_CHARSET)
    numbers = {code: iter(ints(fields.get(field, b""))) for code, field in _NUMBERED.items()}
    labels = {code: iter(lists_of_strings(fields.get(field, b""))) for code, field in ((SET, _SET_VALUES), (ENUM, _ENUM_VALUES))}
    columns = []
    for n, raw in enumerate(storage):
        item = replace(raw, unsigned=signs.get(n, False))
        collation = collations.get(n, BINARY_COLLATION)
        charset = None if collation == BINARY_COLLATION and item.type not in labels else charset_of.get(collation, "")
        if charset is not None and text_kind(charset) is None:
            raise CaptureError(
                f"column {names[n].decode()} has character set {charset or f'of collation {collation}'}, "
                "which is not decoded yet",
                code="unsupported_charset",
                hint=f'take the table out of `objects` with "!{where.table}", or convert the column to utf8mb4',
                where=where,
            )
        if item.type in labels:
            item = replace(item, labels=tuple(_label(label, charset, where) for label in next(labels[item.type], ())))
        if item.type in numbers:
            item = replace(item, precision=next(numbers[item.type], 0))
        if item.type == STRING and charset is None:
            item = replace(item, pad=item.precision)
        kind, sql_type = _kind(item, charset, mbmaxlen)
        columns.append(Column(name=names[n].decode(), kind=kind, sql_type=sql_type, nullable=nullable[n], charset=charset))
        storage[n] = item
    return storage, tuple(columns)


def _kind(item: Storage, charset: str | None, mbmaxlen: Mapping[str, int]) -> tuple[str, str]:
    """(kind of value, the type as SQL writes it)."""
    code, sign = item.type, " unsigned" if item.unsigned else ""
    if code in _INT_TYPES:
        return ("uint64" if code == LONGLONG and item.unsigned else "int"), _INT_TYPES[code] + sign
    if code == NEWDECIMAL:
        return "decimal", f"decimal({item.precision},{item.scale}){sign}"
    if code in (FLOAT, DOUBLE):
        name = "float" if code == FLOAT else "double"
        return name, name + sign
    if code in _TEMPORAL_TYPES:
        name = _TEMPORAL_TYPES[code]
        return name, f"{name}({item.size})" if item.size else name
    if code == DATE:
        return "date", "date"
    if code == YEAR:
        return "int", "year"
    if code == JSON:
        return "json", "json"
    if code == BIT:
        return "bit", f"bit({item.precision})"
    if code == GEOMETRY:
        return "geometry", _GEOMETRIES[item.precision]
    if code == VECTOR:
        return "vector", f"vector({item.precision})"
    if code in (ENUM, SET):
        name = "enum" if code == ENUM else "set"
        quoted = ",".join("'" + label.replace("'", "''") + "'" for label in item.labels)
        return ("bit" if code == SET and "" in item.labels else name), f"{name}({quoted})"
    text = text_kind(charset) or "binary"
    if code == BLOB:
        return text, _TEXT_BY_LENGTH[item.size] + ("text" if charset else "blob")
    length = item.precision // (mbmaxlen.get(charset, 1) if charset else 1)
    base = "char" if code == STRING else "varchar"
    return text, f"{base if charset else base.replace('char', 'binary')}({length})"


def _label(value: bytes, charset: str | None, where: Where) -> str:
    """A label as text; it is logged in its column's character set."""
    if charset in TEXT_CHARSETS:
        return decode_latin1(value) if charset == "latin1" else value.decode("utf-8")
    label = charset_of_name(charset).decode(value) if charset in NAMES else value
    if isinstance(label, bytes):
        raise CaptureError(
            f"the label X'{label.hex()}' of an ENUM or SET in character set {charset} is no text",
            code="unsupported_charset",
            hint=f'take the table out of `objects` with "!{where.table}", or convert the column to utf8mb4',
            where=where,
        )
    return label


def _primary_key(fields: dict[int, bytes]) -> tuple[int, ...]:
    if _SIMPLE_KEY in fields:
        return tuple(ints(fields[_SIMPLE_KEY]))
    # Two rows differ in a column whose prefix is in the key, so the whole column tells them apart too.
    return tuple(ints(fields.get(_PREFIX_KEY, b""))[::2])
