"""Times as they are shown: microseconds since 1970 in, text out."""

from datetime import UTC, datetime


def utc(microseconds: int) -> str:
    """`2026-11-22T12:00:00.123456Z`."""
    seconds, rest = divmod(microseconds, 1_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:06d}Z"
