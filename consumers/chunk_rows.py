"""One chunk's rows, read at the source: fast as a list, or whole as canonical values; see chunk_sql.py."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

from pymysql.connections import Connection
from pymysql.cursors import Cursor, SSCursor

from bisync_topology.errors import ApplyError, Where
from consumers.chunk_sql import Bound, ChunkSql
from consumers.chunks import Chunk, Chunks, Pieces
from consumers.left_out import check_whole, left_out
from consumers.typed_documents import canonical, leaves
from schemas.parts import LONG_BYTES
from schemas.records import Row

FAST_BYTES = 8 << 20  # of a list of rows that is read at once; larger ones are read whole, and cut
WHOLE_BYTES = 4 << 20  # of canonical values in a chunk; behind it, it is cut
WHOLE_ROWS = 200  # of one SELECT: what is behind a cut is sent in vain
PIECE = 1 << 20  # characters, or bytes, of a long value that are read at once
TYPES = 200  # of values of a document that are asked for at once


def read_rows(source: Connection[Any], chunks: Chunks, chunk: Chunk) -> bool:
    """Read a chunk's rows, in the snapshot that the connection has; False where that has to wait until it is the first in line.

    Raises pymysql.err.MySQLError, ApplyError.
    """
    return (not chunk.whole and _fast(source, chunk)) or _whole(source, chunks, chunk)


def _fast(source: Connection[Any], chunk: Chunk) -> bool:
    """Read the rows as a list; False where it would lose something, or rows are too large for it."""
    with source.cursor(Cursor) as cursor:
        cursor.execute(chunk.sql.read(chunk.low, chunk.high))
        number, values, lossy = cursor.fetchall()[0]
        lacks = left_out(cursor)
    chunk.rows, chunk.values = int(number), values or b""
    if lacks or int(lossy) or len(chunk.values) > FAST_BYTES - 8:  # a list is cut there without a word
        chunk.whole, chunk.values = True, b""
        return False
    return True


def _whole(source: Connection[Any], chunks: Chunks, chunk: Chunk) -> bool:
    """Read the rows one by one, up to a size; the rest is a chunk of its own, and so is a row of long values."""
    keys, size, last = len(chunk.sql.source.key), 0, chunk.low
    chunk.images, chunk.long, cut = [], False, False
    documents = len(chunk.sql.documents)
    typed: list[tuple[int, int, Bound]] = []
    more = True
    while more and not cut:
        read = 0
        with source.cursor(SSCursor) as cursor:
            cursor.execute(chunk.sql.read_whole(last, chunk.high, WHOLE_ROWS))
            lines = _lines(cursor)
            for line in lines:
                read += 1
                if size > WHOLE_BYTES or int(line[keys]) > LONG_BYTES:
                    chunk.long, cut = not chunk.images, True
                    chunks.cut(chunk, _bound(line, keys) if chunk.long or last is None else last)
                    break
                flags, values = line[keys + 1 : keys + 1 + documents], line[keys + 1 + documents :]
                last = _bound(line, keys)
                typed += [(len(chunk.images), n, last) for n, flag in zip(chunk.sql.documents, flags, strict=True) if flag == 1]
                chunk.images.append(chunk.sql.rows.canonical(values))
                size += sum(len(value) for value in line if isinstance(value, str | bytes))
            deque(lines, maxlen=0)  # to the end, where the server says what it has left out
            check_whole(cursor, "the source", chunk.sql.source.full_name)
        more = read == WHOLE_ROWS
    if chunk.long and not chunks.first(chunk):
        chunk.reading = False
        return False
    if chunk.long:
        assert chunk.high is not None
        chunk.images = [_long_row(source, chunk.sql, chunk.high)]
        typed = [(0, n, chunk.high) for n in chunk.sql.documents if chunk.images[0][n] is not None]
    for number, position, at in typed:
        row = list(chunk.images[number])
        row[position] = _document(source, chunk.sql, position, at, str(row[position]))
        chunk.images[number] = tuple(row)
    chunk.rows = len(chunk.images)
    return True


def _long_row(source: Connection[Any], sql: ChunkSql, at: Bound) -> Row:
    """A row of long values, whose bytes are held as `Pieces`."""
    in_pieces = sql.in_pieces
    with source.cursor(Cursor) as cursor:
        cursor.execute(sql.row(at, without=in_pieces))
        row = list(sql.rows.canonical(cursor.fetchall()[0]))
        check_whole(cursor, "the source", sql.source.full_name)
        for position in in_pieces:
            pieces: list[bytes] = []
            while True:
                cursor.execute(sql.piece(position, at, len(pieces) * PIECE + 1, PIECE))
                piece = cursor.fetchall()[0][0]
                if piece:
                    pieces.append(piece.encode() if isinstance(piece, str) else bytes(piece))
                if not piece or len(piece) < PIECE:
                    break
            if piece is not None:
                row[position] = Pieces(pieces) if sum(map(len, pieces)) > LONG_BYTES else _value(sql, position, b"".join(pieces))
    return tuple(row)


def _document(source: Connection[Any], sql: ChunkSql, position: int, at: Bound, text: str) -> str | bytes:
    """A document's canonical value, with the types of what it holds. Raises ApplyError for one that is not known."""
    found = leaves(text)
    types: list[str] = []
    with source.cursor(Cursor) as cursor:
        for start in range(0, len(found), TYPES):
            cursor.execute(sql.types(position, at, [leaf.path for leaf in found[start : start + TYPES]]))
            types += map(str, cursor.fetchall()[0])
    try:
        return canonical(text, list(zip(found, types, strict=True)))
    except ValueError as error:
        hint = f'take the table out of `objects` with "!{sql.source.full_name}", or change the document'
        raise ApplyError(str(error), code="unsupported_type", hint=hint, where=Where(table=sql.source.full_name)) from error


def _value(sql: ChunkSql, position: int, value: bytes) -> str | bytes:
    return value.decode() if sql.source.columns[position].kind == "text" else value


def _lines(cursor: SSCursor) -> Iterator[tuple[Any, ...]]:
    while (line := cursor.fetchone()) is not None:
        yield line


def _bound(line: tuple[Any, ...], keys: int) -> Bound:
    return tuple(str(value) for value in line[:keys])
