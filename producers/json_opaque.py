"""Opaque values of MySQL's binary JSON: those with a type that JSON has not.

Layout: the server's sql-common/json_binary.h and json_dom.cc: the field type's number, a length, then for a DECIMAL its
precision, scale and packed digits; for a date or time eight bytes of its packed form, low byte first; for others their bytes.
"""

from base64 import b64encode

from producers.packed_decimal import decimal_reader

_DECIMAL, _DATE, _TIME, _DATETIME, _TIMESTAMP, _BIT = 246, 10, 11, 12, 7, 16
_BINARY = {15: "VARBINARY", 250: "MEDIUMBLOB", 251: "LONGBLOB", 252: "BLOB", 254: "BINARY"}


class UnsupportedJson(ValueError):
    """A document holds a value of a type that no expression of an applier would make again."""


def opaque_value(data: bytes, pos: int) -> tuple[str, str, str]:
    """(SQL type, value, the text that the server prints for it in a document); see schemas/typed_json.py.

    Raises UnsupportedJson for another type, ValueError for a broken value.
    """
    code = data[pos]
    length, start = varint(data, pos + 1)
    value = data[start : start + length]
    if len(value) != length:
        raise ValueError(f"an opaque JSON value of {length} bytes has {len(value)}")
    if code == _DECIMAL:
        precision, scale = value[0], value[1]
        reader, size = decimal_reader(precision, scale)
        if size != length - 2:
            raise ValueError(f"a DECIMAL({precision},{scale}) in a JSON document has {length - 2} bytes")
        text = reader(value[2:])
        return f"DECIMAL(65,{scale})", text, text
    if code in (_DATE, _TIME, _DATETIME, _TIMESTAMP):
        if length != 8:
            raise ValueError(f"a date or time in a JSON document has {length} bytes")
        text = _temporal(code, int.from_bytes(value, "little", signed=True))
        sql_type = {_DATE: "DATE", _TIME: "TIME(6)", _DATETIME: "DATETIME(6)", _TIMESTAMP: "TIMESTAMP(6)"}[code]
        return sql_type, text, f'"{text}"'
    printed = f'"base64:type{code}:{b64encode(value).decode()}"'
    if code == _BIT:
        return f"BIT({8 * length})", str(int.from_bytes(value, "big")), printed
    if code not in _BINARY:
        raise UnsupportedJson(f"a JSON value of the MySQL type number {code}")
    sql_type = _BINARY[code]
    return (f"BINARY({length})" if sql_type == "BINARY" else sql_type), value.hex(), printed


def _temporal(code: int, packed: int) -> str:
    """`TIME_from_longlong_packed` and its kin: whole seconds as a mixed-radix number above 24 bits of microseconds."""
    sign = "-" if packed < 0 else ""
    whole, micros = abs(packed) >> 24, abs(packed) & 0xFFFFFF
    clock = f"{whole >> 12 & (0x3FF if code == _TIME else 0x1F):02d}:{whole >> 6 & 63:02d}:{whole & 63:02d}.{micros:06d}"
    if code == _TIME:
        return sign + clock
    year, month = divmod(whole >> 22, 13)
    day = f"{year:04d}-{month:02d}-{whole >> 17 & 31:02d}"
    return day if code == _DATE else f"{day} {clock}"


def varint(data: bytes, pos: int) -> tuple[int, int]:
    """A length of seven bits a byte, low first, and the position after it."""
    result = shift = 0
    while True:
        byte = data[pos]
        pos += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result, pos
        shift += 7
