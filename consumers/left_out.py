"""Values that a server has left out of an answer, since they were longer than its max_allowed_packet allows.

It only warns of them. In their place is NULL, or no text at all where a document was to be printed, as if the row had that.
"""

from __future__ import annotations

from pymysql.cursors import Cursor

from bisync_topology.errors import ApplyError, Where

_LEFT_OUT = 1301


def left_out(cursor: Cursor) -> str:
    """What the rows that were read lack, in the server's words; "" for nothing. The cursor has read all of them."""
    warnings = cursor.warning_count & 0xFFFF  # which PyMySQL reads as signed
    if not warnings:
        return ""
    cursor.execute("SHOW WARNINGS")
    kept = cursor.fetchall()
    others = f"{warnings} warnings, of which it keeps {len(kept)}" if len(kept) < warnings else ""
    return next((str(text) for _, number, text in kept if number == _LEFT_OUT), others)


def check_whole(cursor: Cursor, server: str, table: str | None = None) -> None:
    """Raise ApplyError where the rows that were read lack something."""
    if found := left_out(cursor):
        raise ApplyError(
            f"{server} does not give all values as they are: {found}",
            code="packet_too_large",
            hint=f"raise max_allowed_packet on {server} (SET PERSIST), to 1 GB at most",
            where=Where(table=table),
        )
