"""Row images → canonical values, by a decoder that is generated once per table map.

Layout: MySQL internals, `binary_log::Rows_event`: a bitmap of present columns, then per row a null bitmap and the values of
the non-null columns, each stored as its table map says. Generated code has the column loop unrolled, the offsets of
fixed-size runs folded into one struct, and no dispatch by type: 10 times the rows/s of a loop over columns.
"""

import struct
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from producers import table_map as tm
from producers.json_binary import json_value
from producers.json_diff import changed_json
from producers.long_values import Window, long_latin1, long_text, whole
from producers.map_fields import packed_int
from producers.packed_decimal import decimal_reader
from producers.table_map import Storage, TableMap
from schemas.charsets import charset as charset_of_name
from schemas.records import Row
from schemas.values import TEXT_CHARSETS, decode_latin1

# images(data, pos, end) → the row images from pos to end
ImagesDecoder = Callable[[bytes, int, int], list[Row]]
_Scope = dict[str, Any]  # what generated code finds by name

_STRUCT_CODES = {1: "b", 2: "h", 4: "i", 8: "q"}


def compile_decoder(table: TableMap, *, partial: bool = False, large: bool = False) -> ImagesDecoder:
    """Generate the decoder of one table's row images.

    partial: of the images of a PARTIAL_UPDATE_ROWS_EVENT. There an after image begins with its options (a packed int); with
    bit 0 a bitmap follows that tells which JSON columns hold changes of the document before.
    large: of events of many MB, whose long values are given as views of the event (long_values.py).
    It raises UnicodeDecodeError, struct.error, IndexError or ValueError when an image is not what the table map says.
    """
    scope: _Scope = {"from_bytes": int.from_bytes, "packed_int": packed_int, "set_text": set_text}
    scope |= {"time_text": time_text, "datetime_text": datetime_text, "timestamp_text": timestamp_text, "date_text": date_text}
    scope |= {"unpack_float": _unpacker("<f", large=large), "unpack_double": _unpacker("<d", large=large)}
    scope |= {"long_text": long_text, "latin1_text": long_latin1 if large else decode_latin1, "large": large}
    scope |= {"json_value": whole(json_value) if large else json_value, "changed_json": changed_json}
    scope["window"] = Window
    lines = [
        "def images(data, pos, end):",
        *(["    data = window(data)"] if large else []),
        "    rows = []",
        "    while pos < end:",
    ]
    if partial:
        documents = [n for n, item in enumerate(table.storage) if item.type == tm.JSON]
        lines += [f"        raw{n} = None" for n in documents]
        lines += _image_lines(
            table, scope, {n: [f"raw{n} = bytes(data[pos:end{n}])", f"c{n} = json_value(raw{n})"] for n in documents}
        )
        lines += [
            "        options, pos = packed_int(data, pos)",
            "        if options & ~1: raise ValueError('an image with the options %#x' % options)",
            f"        partial = from_bytes(data[pos:pos + {(len(documents) + 7) // 8}], 'little') if options else 0",
            f"        if options: pos += {(len(documents) + 7) // 8}",
        ]
        changed = {
            n: [
                f"c{n} = changed_json(raw{n}, bytes(data[pos:end{n}])) if partial & {1 << bit} else json_value(data[pos:end{n}])",
            ]
            for bit, n in enumerate(documents)
        }
        lines += _image_lines(table, scope, changed)
    else:
        lines += _image_lines(table, scope, {})
    lines.append("    if pos != end:")
    lines.append("        raise ValueError('row images end at %d instead of %d' % (pos, end))")
    lines.append("    return rows")
    exec(compile("\n".join(lines), f"<rows of {table.table.full_name}>", "exec"), scope)  # noqa: S102 - numbers and names of our own
    decoder: ImagesDecoder = scope["images"]
    return decoder


def _unpacker(layout: str, *, large: bool) -> Callable[[Any, int], tuple[Any, ...]]:
    """(data, pos) → the values there."""
    form = struct.Struct(layout)
    return (lambda data, pos: form.unpack(data[pos : pos + form.size])) if large else form.unpack_from


def _image_lines(table: TableMap, scope: _Scope, documents: Mapping[int, list[str]]) -> list[str]:
    """Lines that read one image at pos and append its row. documents: how to read the JSON of some columns otherwise."""
    count = len(table.storage)
    lines = [f"        nulls = from_bytes(data[pos:pos + {(count + 7) // 8}], 'little')", f"        pos += {(count + 7) // 8}"]
    n = 0
    while n < count:
        run = _fixed_run(table, n)
        if run:
            layout = "<" + "".join(_struct_code(table.storage[c]) for c in run)
            scope[f"unpack{n}"] = _unpacker(layout, large=scope["large"])
            lines.append(f"        {''.join(f'c{c}, ' for c in run)} = unpack{n}(data, pos)")
            lines.append(f"        pos += {struct.calcsize(layout)}")
            lines += [f"        c{c} = str(c{c})" for c in run if table.table.columns[c].kind == "uint64"]
            n = run[-1] + 1
            continue
        code = _value_code(n, table.storage[n], table.table.columns[n].charset, scope, documents.get(n))
        if table.table.columns[n].nullable:
            lines.append(f"        if nulls & {1 << n}:")
            lines.append(f"            c{n} = None")
            lines.append("        else:")
            lines += [f"            {line}" for line in code]
        else:
            lines += [f"        {line}" for line in code]
        n += 1
    lines.append(f"        rows.append(({''.join(f'c{c}, ' for c in range(count))}))")
    return lines


def _fixed_run(table: TableMap, start: int) -> list[int]:
    """The columns from start on that are NOT NULL and lie side by side in a fixed number of bytes."""
    run = []
    for n in range(start, len(table.storage)):
        if table.table.columns[n].nullable or not _struct_code(table.storage[n]):
            break
        run.append(n)
    return run


def _struct_code(item: Storage) -> str:
    if item.type in (tm.TINY, tm.SHORT, tm.LONG, tm.LONGLONG):
        code = _STRUCT_CODES[item.size]
        return code.upper() if item.unsigned else code
    return {tm.FLOAT: "f", tm.DOUBLE: "d"}.get(item.type, "")


def _value_code(n: int, item: Storage, charset: str | None, scope: _Scope, document: list[str] | None) -> list[str]:
    """Lines that read one non-null value at pos into c<n> and move pos. document: those in between that read a JSON value."""
    code = item.type
    if code in (tm.TINY, tm.SHORT, tm.INT24, tm.LONG, tm.LONGLONG):
        value = f"from_bytes(data[pos:pos + {item.size}], 'little', signed={not item.unsigned})"
        return [f"c{n} = {f'str({value})' if code == tm.LONGLONG and item.unsigned else value}", f"pos += {item.size}"]
    if code in (tm.FLOAT, tm.DOUBLE):
        name, size = ("float", 4) if code == tm.FLOAT else ("double", 8)
        return [f"c{n}, = unpack_{name}(data, pos)", f"pos += {size}"]
    if code == tm.NEWDECIMAL:
        reader, size = decimal_reader(item.precision, item.scale)
        scope[f"decimal{n}"] = reader
        return [f"c{n} = decimal{n}(data[pos:pos + {size}])", f"pos += {size}"]
    if code == tm.DATE:
        return [f"c{n} = date_text(from_bytes(data[pos:pos + 3], 'little'))", "pos += 3"]
    if code == tm.YEAR:
        return [f"c{n} = data[pos]", f"if c{n}: c{n} += 1900", "pos += 1"]
    if code in (tm.TIME2, tm.DATETIME2, tm.TIMESTAMP2):
        name, size = {tm.TIME2: ("time", 3), tm.DATETIME2: ("datetime", 5), tm.TIMESTAMP2: ("timestamp", 4)}[code]
        size += (item.size + 1) // 2
        return [f"c{n} = {name}_text(data[pos:pos + {size}], {item.size})", f"pos += {size}"]
    if code == tm.ENUM:
        scope[f"labels{n}"] = (None, *item.labels)
        return [
            f"c{n} = labels{n}[from_bytes(data[pos:pos + {item.size}], 'little')]",
            f"if c{n} is None: raise ValueError('column {n + 1}: an ENUM holds the error value, whose label is empty')",
            f"pos += {item.size}",
        ]
    if code == tm.BIT:
        return [f"c{n} = str(from_bytes(data[pos:pos + {item.size}], 'big'))", f"pos += {item.size}"]
    if code == tm.SET and "" in item.labels:
        return [f"c{n} = str(from_bytes(data[pos:pos + {item.size}], 'little'))", f"pos += {item.size}"]
    if code == tm.SET:
        scope[f"labels{n}"] = item.labels
        return [f"c{n} = set_text(from_bytes(data[pos:pos + {item.size}], 'little'), labels{n})", f"pos += {item.size}"]
    length = "data[pos]" if item.size == 1 else f"from_bytes(data[pos:pos + {item.size}], 'little')"
    lines = [f"end{n} = pos + {item.size} + {length}", f"pos += {item.size}"]
    if code == tm.JSON:
        lines += document or [f"c{n} = json_value(data[pos:end{n}])"]
    elif charset == "latin1":
        lines.append(f"c{n} = latin1_text(data[pos:end{n}])")
    elif charset in TEXT_CHARSETS:
        lines.append(f"c{n} = long_text(data[pos:end{n}])" if scope["large"] else f"c{n} = str(data[pos:end{n}], 'utf-8')")
    elif charset is not None:
        decode = charset_of_name(charset).decode
        scope[f"text{n}"] = whole(decode) if scope["large"] else decode
        lines.append(f"c{n} = text{n}(data[pos:end{n}])")
    elif item.pad:
        lines.append(f"c{n} = data[pos:end{n}].ljust({item.pad}, b'\\0')")
    else:
        lines.append(f"c{n} = data[pos:end{n}]")
    return [*lines, f"if end{n} > end: raise ValueError('column {n + 1} reaches beyond the event')", f"pos = end{n}"]


@lru_cache(maxsize=8192)
def date_text(packed: int) -> str:
    """DATE: day in 5 bits, month in 4, then the year."""
    return f"{packed >> 9:04d}-{packed >> 5 & 15:02d}-{packed & 31:02d}"


def _fraction(data: bytes, at: int, digits: int) -> str:
    if not digits:
        return ""
    size = (digits + 1) // 2
    return f".{int.from_bytes(data[at : at + size], 'big'):0{2 * size}d}"[: digits + 1]


def datetime_text(data: bytes, digits: int) -> str:
    """DATETIME2: 40 bits big-endian, biased: sign, year * 13 + month (17), day (5), hour (5), minute (6), second (6)."""
    text = _datetime_text(data[:5])
    return text + _fraction(data, 5, digits) if digits else text


@lru_cache(maxsize=8192)
def _datetime_text(data: bytes) -> str:
    packed = int.from_bytes(data, "big") - 0x8000000000
    day, time = packed >> 17, packed & 0x1FFFF
    year, month = divmod(day >> 5, 13)
    return f"{year:04d}-{month:02d}-{day & 31:02d} {time >> 12:02d}:{time >> 6 & 63:02d}:{time & 63:02d}"


def timestamp_text(data: bytes, digits: int) -> str:
    """TIMESTAMP2: seconds since 1970 UTC, big-endian, 0 for the zero date; then the fraction."""
    text = _timestamp_text(data[:4])
    return text + _fraction(data, 4, digits) if digits else text


@lru_cache(maxsize=8192)
def _timestamp_text(data: bytes) -> str:
    seconds = int.from_bytes(data, "big")
    if not seconds:
        return "0000-00-00 00:00:00"
    days, rest = divmod(seconds, 86400)
    year, month, day = _civil(days)
    return f"{year:04d}-{month:02d}-{day:02d} {rest // 3600:02d}:{rest // 60 % 60:02d}:{rest % 60:02d}"


def _civil(days: int) -> tuple[int, int, int]:
    """Days since 1970-01-01 → (year, month, day), proleptic Gregorian."""
    from_march = days + 719468  # days since 0000-03-01, so that leap days end a year
    era, day_of_era = divmod(from_march, 146097)
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36524 - day_of_era // 146096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    month = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * month + 2) // 5 + 1
    month = month + 3 if month < 10 else month - 9
    return year_of_era + era * 400 + (month <= 2), month, day


def time_text(data: bytes, digits: int) -> str:
    """TIME2: 24 bits big-endian, biased, with the fraction below them, so that a negative value is one negative number."""
    bits = (digits + 1) // 2 * 8
    packed = int.from_bytes(data, "big") - (0x800000 << bits)
    text = _clock(packed >> bits) if packed >= 0 else "-" + _clock(-packed >> bits)
    return text + f".{abs(packed) & (1 << bits) - 1:0{bits // 4}d}"[: digits + 1] if digits else text


@lru_cache(maxsize=8192)
def _clock(packed: int) -> str:
    return f"{packed >> 12:02d}:{packed >> 6 & 63:02d}:{packed & 63:02d}"


def set_text(bits: int, labels: tuple[str, ...]) -> str:
    """The labels of the set bits, in their order of definition."""
    if bits >> len(labels):
        raise ValueError(f"a SET holds bits {bits:#x}, it has {len(labels)} labels")
    return ",".join(label for n, label in enumerate(labels) if bits >> n & 1)
