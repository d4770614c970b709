"""What ALTER TABLE … ADD gives to rows that are there, where the column's default does not: as SQL. Pure."""

from datetime import UTC, datetime, timedelta

from consumers.converters import digits_of
from consumers.drift import Moment
from schemas.literals import quote_text
from schemas.tables import Column
from schemas.values import labels_of


def implicit_default(column: Column) -> str:
    """Of a column that is NOT NULL and has no default. Source: MySQL manual, "Data Type Default Values"."""
    match column.kind:
        case "int" | "uint64" | "decimal" | "float" | "double" | "bit":
            return "0"
        case "date" | "datetime" | "timestamp":
            return "'0000-00-00'"
        case "time":
            return "'00:00:00'"
        case "json":
            return "CAST('null' AS JSON)"
        case "enum":
            return quote_text(labels_of(column.sql_type)[0].replace("''", "'"))
    return "''"


def then(column: Column, moment: Moment) -> str:
    """Of a column whose default is CURRENT_TIMESTAMP: what that was as it was added, for a DATETIME in the client's zone."""
    seconds, rest = divmod(moment.executed_at, 1_000_000)
    text = f"{datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds):%Y-%m-%d %H:%M:%S}"
    if digits := digits_of(column):
        text += f".{rest:06d}"[: digits + 1]
    value = quote_text(text)
    if column.kind == "timestamp" or not moment.time_zone:
        return value
    return f"COALESCE(CONVERT_TZ({value}, '+00:00', {quote_text(moment.time_zone)}), {value})"
