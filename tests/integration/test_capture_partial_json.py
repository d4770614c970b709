"""Partial JSON updates of a real server: each image after is the document that the server has, though only changes are logged."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from typing import Any

import pytest
from capturing import Capture, printing

from producers import events
from producers.transactions import Rows
from sandbox.mysql import MySQLServer

SEED = 11
ROUNDS = int(os.environ.get("BISYNC_TEST_ROUNDS", "100"))
KEYS = ("a", "b", "zz", "key with space", 'quo"te', "ü", "back\\slash", "", "1a", "$x", "dotted.key", "a[0]")


@pytest.fixture
def cursor(source: MySQLServer) -> Iterator[Any]:
    """A session that logs changes of documents alone, in a fresh database d_part."""
    with printing(source) as connection, connection.cursor() as cursor:
        cursor.execute("DROP DATABASE IF EXISTS d_part")
        cursor.execute("CREATE DATABASE d_part")
        cursor.execute("USE d_part")
        cursor.execute("CREATE TABLE t (id INT PRIMARY KEY, j JSON, n INT, k JSON, v VARCHAR(20))")
        cursor.execute("SET binlog_row_value_options = PARTIAL_JSON")
        yield cursor
        cursor.execute("DROP DATABASE d_part")


def path_of(chance: random.Random, document: Any) -> str:
    """A path that leads to a place in a document, or to a new place beside one."""
    path = "$"
    while isinstance(document, dict | list) and (path == "$" or chance.random() < 0.7):
        if isinstance(document, dict):
            key = chance.choice(KEYS if chance.random() < 0.2 or not document else list(document))
            path += "." + json.dumps(key, ensure_ascii=False)
            document = document.get(key)
        else:
            cell = chance.randrange(len(document) + 2)
            path += f"[{cell}]" if chance.random() < 0.7 else "[last]" if chance.random() < 0.5 else f"[last-{cell}]"
            document = document[cell] if cell < len(document) and path.endswith(f"[{cell}]") else None
    return path


def value_of(chance: random.Random, depth: int = 0) -> Any:
    """A random value, sometimes long, so that what it replaces does not fit in its place."""
    kind = chance.randrange(8 if depth < 3 else 5)
    if kind == 0:
        return chance.choice([None, True, False, 0, -1, 70000, 2**40, 2**63, 0.5, 1e300])
    if kind < 5:
        return chance.choice(["", "x", "größe", 'a "quoted" text', "tab\there", "long " * chance.randrange(80)])
    if kind == 5:
        return [value_of(chance, depth + 1) for _ in range(chance.randrange(5))]
    return {chance.choice(KEYS): value_of(chance, depth + 1) for _ in range(chance.randrange(6))}


def sql_value(chance: random.Random) -> str:
    """A value in SQL: JSON, or a type that JSON has not."""
    if chance.random() < 0.15:
        return chance.choice(["1.50", "DATE'2024-02-29'", "TIME'-01:02:03.5'", "X'00ff'", "CAST('x' AS BINARY)"])
    text = json.dumps(value_of(chance), ensure_ascii=False).replace("\\", "\\\\").replace("'", "''")
    return f"CAST('{text}' AS JSON)"


def quoted(path: str) -> str:
    """A path as a string in SQL."""
    return "'" + path.replace("\\", "\\\\").replace("'", "''") + "'"


def images(source: MySQLServer, statements: list[str], cursor: Any) -> tuple[list[Any], set[int]]:
    """Run statements; gives the images of all updates, and the types of their events."""
    with Capture(source, ["d_part"]) as capture:
        for statement in statements:
            cursor.execute(statement)
        rows = [item for item in capture.items() if isinstance(item, Rows)]
        kinds = {event.type for event in capture.events if event.type in (events.UPDATE_ROWS, events.PARTIAL_UPDATE_ROWS)}
    return [image for item in rows for image in item.images], kinds


def text_of(value: object) -> object:
    """A canonical document's text."""
    return json.loads(value)["text"] if isinstance(value, bytes) else value


def test_set_replace_and_remove(source: MySQLServer, cursor: Any) -> None:
    """Several changes of two documents in one row, beside other columns and NULL, in updates of several rows."""
    long = "x" * 200
    cursor.execute(f"""INSERT INTO t VALUES (1, '{{"a": 1, "c": [1, 2, 3], "pad": "{long}"}}', 1, '["{long}", 5]', 'v')""")
    cursor.execute(f"""INSERT INTO t VALUES (2, '{{"b": {{"x": "y"}}, "pad": "{long}"}}', 2, NULL, NULL)""")
    found, kinds = images(
        source,
        [
            "UPDATE t SET j = JSON_SET(JSON_REMOVE(j, '$.c[0]'), '$.bb', 'new', '$.a', 2), k = JSON_REPLACE(k, '$[1]', 6), n = 9",
            "UPDATE t SET k = '[1]' WHERE id = 1",
            "UPDATE t SET j = NULL WHERE id = 2",
        ],
        cursor,
    )
    assert events.PARTIAL_UPDATE_ROWS in kinds
    assert found[1] == (1, f'{{"a": 2, "c": [2, 3], "bb": "new", "pad": "{long}"}}', 9, f'["{long}", 6]', "v")
    assert found[3] == (2, f'{{"a": 2, "b": {{"x": "y"}}, "bb": "new", "pad": "{long}"}}', 9, None, None)
    assert found[5][3] == "[1]"
    assert found[7][1] is None


def test_typed_values_stay_typed(source: MySQLServer, cursor: Any) -> None:
    """A DECIMAL and a DATE that a change leaves alone, and one that it brings, have their types in the image after."""
    cursor.execute("INSERT INTO t (id, j) VALUES (1, JSON_OBJECT('d', 1.50, 'pad', REPEAT('x', 300), 'list', JSON_ARRAY(1)))")
    found, kinds = images(source, ["UPDATE t SET j = JSON_SET(j, '$.list[0]', DATE'2024-02-29', '$.n', 1)"], cursor)
    assert kinds == {events.PARTIAL_UPDATE_ROWS}
    document = json.loads(found[1][1])
    assert document["typed"] == [['$."d"', "DECIMAL(65,2)", "1.50"], ['$."list"[0]', "DATE", "2024-02-29"]]


def test_random_changes(source: MySQLServer, cursor: Any) -> None:
    """Random documents and paths, several changes in a statement: the image after prints as the server's document."""
    chance = random.Random(SEED)
    partial = 0
    for _ in range(ROUNDS // 10):
        cursor.execute("DELETE FROM t")
        start = {**{key: value_of(chance) for key in chance.sample(KEYS, 4)}, "pad": "p" * 400}
        text = json.dumps(start, ensure_ascii=False).replace("\\", "\\\\").replace("'", "''")
        cursor.execute(f"INSERT INTO t (id, j) VALUES (1, '{text}')")
        with Capture(source, ["d_part"]) as capture:
            for _ in range(10):
                cursor.execute("SELECT j FROM t")
                document = json.loads(cursor.fetchall()[0][0])
                change = "j"
                for _ in range(chance.randrange(1, 4)):
                    path = quoted(path_of(chance, document))
                    function = chance.choice(["JSON_SET", "JSON_SET", "JSON_REPLACE", "JSON_REMOVE"])
                    if function != "JSON_REMOVE":
                        change = f"{function}({change}, {path}, {sql_value(chance)})"
                    elif path != "'$'":
                        change = f"JSON_REMOVE({change}, {path})"
                cursor.execute(f"UPDATE t SET j = {change}, n = IFNULL(n, 0) + 1")
                cursor.execute("SELECT j FROM t")
                printed = cursor.fetchall()[0][0]
                (rows,) = [item for item in capture.items() if isinstance(item, Rows)]
                partial += any(event.type == events.PARTIAL_UPDATE_ROWS for event in capture.events)
                assert text_of(rows.images[1][1]) == printed, change
    assert partial > ROUNDS // 2
