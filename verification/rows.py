"""Rows in full, by their keys: for examples, for a repair, and for documents that are equal though their text is not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from consumers.records import plain
from consumers.statements import read_value, value_read
from consumers.target import quote_name
from schemas.literals import quote_text
from schemas.records import Row
from schemas.tables import Column
from verification.keys import KeyValues
from verification.sessions import Session
from verification.suspects import Suspect
from verification.tables import Half, Pair

AT_ONCE = 50  # rows that are read by one statement


@dataclass(frozen=True, kw_only=True)
class Reader:
    """Reads some columns of one side's rows."""

    session: Session
    half: Half
    columns: tuple[Column, ...]

    def read(self, keys: Sequence[KeyValues], *, lock: bool = False) -> dict[KeyValues, Row]:
        """Identity → canonical values; lock: and keep the rows, and what is missing of them, as they are."""
        key = self.half.key
        values = [read_value(column, quote_name(column.name)) for column in self.columns]
        found = {}
        for start in range(0, len(keys), AT_ONCE):
            sql = f"SELECT {', '.join([*key.identity, *values])} FROM {self.half.source}"
            sql += f" WHERE {key.among(keys[start : start + AT_ONCE])}{' FOR UPDATE' * lock}"
            for row in self.session.rows(sql):
                identity, fetched = row[: len(key.columns)], row[len(key.columns) :]
                found[tuple(identity)] = tuple(map(value_read, self.columns, fetched))
        return found


def readers(pair: Pair, sessions: tuple[Session, Session]) -> tuple[Reader, Reader]:
    """All columns of both sides, each as its side has them."""
    here, there = (
        Reader(session=session, half=half, columns=half.table.columns)
        for session, half in zip(sessions, pair.halves, strict=True)
    )
    return here, there


def as_json(columns: Iterable[Column], row: Row | None) -> dict[str, object] | None:
    """A row for people and programs: bytes as hex digits, of a long value its SHA-256. None: there is none."""
    return None if row is None else {column.name: plain(value) for column, value in zip(columns, row, strict=True)}


def key_json(half: Half, row: Row) -> dict[str, object]:
    """The key of a row that `readers` gave."""
    named = as_json(half.table.columns, row)
    assert named is not None
    return {column.name: named[column.name] for column in half.key.columns}


def with_equal_documents(pair: Pair, sessions: tuple[Session, Session], suspects: Sequence[Suspect]) -> Iterator[KeyValues]:
    """Which rows differ in nothing but the text of documents that the server holds equal: 1 and 1.0 are, inside of one."""
    both = [suspect for suspect in suspects if None not in suspect.digests]
    if not pair.halves[0].documents:
        return
    for start in range(0, len(both), AT_ONCE):
        keys = [suspect.key for suspect in both[start : start + AT_ONCE]]
        here, there = (_documents(session, half, keys) for session, half in zip(sessions, pair.halves, strict=True))
        for identity in here.keys() & there.keys():
            if here[identity][0] == there[identity][0] and _equal(sessions[0], here[identity][1:], there[identity][1:]):
                yield identity


def _documents(session: Session, half: Half, keys: Sequence[KeyValues]) -> dict[KeyValues, tuple[Any, ...]]:
    """Identity → a digest of what is no document, and the texts of those."""
    texts = [read_value(column, quote_name(column.name)) for column in half.documents]
    sql = f"SELECT {', '.join([*half.key.identity, half.rest, *texts])} FROM {half.source} WHERE {half.key.among(keys)}"
    width = len(half.key.columns)
    return {tuple(row[:width]): row[width:] for row in session.rows(sql)}


def _equal(session: Session, here: Sequence[str | None], there: Sequence[str | None]) -> bool:
    """Asked with a document a statement: two of them may be more than max_allowed_packet."""
    for texts in zip(here, there, strict=True):
        if texts[0] == texts[1]:
            continue
        if None in texts:
            return False
        for name, text in zip(("@bisync_here", "@bisync_there"), texts, strict=True):
            session.rows(f"SET {name} = {quote_text(str(text))}")
        if not session.rows("SELECT CAST(@bisync_here AS JSON) = CAST(@bisync_there AS JSON)")[0][0]:
            return False
    return True
