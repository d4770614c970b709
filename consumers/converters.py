"""How a value of a type that was changed becomes one of the other type, where no value can be lost. Pure."""

import re
from collections.abc import Callable
from typing import Any

from schemas.tables import Column
from schemas.values import labels_of


def converter(source: Column, target: Column) -> Callable[[Any], Any] | None:
    """How a value becomes one of the target's type without loss; None where it is one, or where there is no way."""
    make = _CONVERTERS.get((source.kind, target.kind))
    if make is not None:
        return make(source, target)
    if source.kind == target.kind and source.kind in ("decimal", "time", "datetime", "timestamp") and source.sql_type:
        more = digits_of(target) - digits_of(source)
        if more > 0:
            return lambda value: _longer(value, more, dot=not digits_of(source))
    return None


def digits_of(column: Column) -> int:
    """Behind the point: the scale of decimal(10,2), the digits of datetime(6), 0 of datetime."""
    numbers = re.findall(r"\d+", column.sql_type)
    if column.kind == "decimal":
        return int(numbers[1]) if len(numbers) > 1 else 0
    return int(numbers[0]) if numbers else 0


def _longer(value: str, more: int, *, dot: bool) -> str:
    return f"{value}{'.' if dot else ''}{'0' * more}"


def _to_decimal(_: Column, target: Column) -> Callable[[Any], str]:
    digits = digits_of(target)
    return lambda value: _longer(str(value), digits, dot=True) if digits else str(value)


def _to_datetime(_: Column, target: Column) -> Callable[[Any], str]:
    digits = digits_of(target)
    return lambda value: _longer(f"{value} 00:00:00", digits, dot=True) if digits else f"{value} 00:00:00"


def _unsigned(value: int) -> str:
    if value < 0:
        raise ValueError(f"{value} has a sign")
    return str(value)


def _exact_double(value: int | str) -> float:
    if int(float(value)) != int(value):
        raise ValueError(f"{value} has more digits than a DOUBLE")
    return float(value)


def _text(value: str | bytes) -> str:
    if isinstance(value, bytes):
        raise ValueError("the bytes are no text")
    return value


def _to_enum(_: Column, target: Column) -> Callable[[Any], str]:
    labels = {label.replace("''", "'").replace("\\\\", "\\") for label in labels_of(target.sql_type)}

    def label(value: str) -> str:
        if value not in labels:
            raise ValueError(f"{value!r} is none of its labels")
        return value

    return label


def _by(function: Callable[[Any], Any]) -> Callable[[Column, Column], Callable[[Any], Any]]:
    return lambda _source, _target: function


_CONVERTERS: dict[tuple[str, str], Callable[[Column, Column], Callable[[Any], Any]]] = {
    ("int", "uint64"): _by(_unsigned),
    ("uint64", "int"): _by(int),
    ("int", "decimal"): _to_decimal,
    ("uint64", "decimal"): _to_decimal,
    ("int", "double"): _by(_exact_double),
    ("uint64", "double"): _by(_exact_double),
    ("float", "double"): _by(float),
    ("date", "datetime"): _to_datetime,
    **{(kind, "text"): _by(str) for kind in ("date", "enum", "set")},  # of numbers, ZEROFILL decides, which no event tells
    ("encoded", "text"): _by(_text),
    ("text", "encoded"): _by(_text),
    ("json", "text"): _by(_text),
    ("bit", "uint64"): _by(str),
    ("bit", "int"): _by(int),
    ("text", "enum"): _to_enum,
}
