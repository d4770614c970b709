"""A trigger's statements without a server: as they were, guarded, as a probe, and on record."""

from dataclasses import replace

import pytest

from bisync_topology.sql_tokens import NotUnderstood
from bisync_topology.triggers import PROBE, Trigger

TRIGGER = Trigger(
    db="shop",
    table="it`em",
    name="count",
    timing="AFTER",
    event="INSERT",
    definer="o`x@y@%",
    sql_mode="STRICT_TRANS_TABLES",
    charset="utf8mb4",
    connection_collation="utf8mb4_0900_ai_ci",
    database_collation="utf8mb4_0900_ai_ci",
    database_now="utf8mb4_0900_ai_ci",
    body="INSERT INTO log VALUES (NEW.id) -- once",
    followers=("next", "last"),
)
HEAD = "CREATE DEFINER=`o``x@y`@`%` TRIGGER `shop`.`count` AFTER INSERT ON `shop`.`it``em` FOR EACH ROW "


def test_statements() -> None:
    """Names are quoted whatever is in them; the head is as the server prints it; a follower is named where its place is kept."""
    assert TRIGGER.create() == HEAD + TRIGGER.body
    assert TRIGGER.create("ne`xt") == f"{HEAD}PRECEDES `ne``xt` {TRIGGER.body}"
    assert TRIGGER.head == "CREATE DEFINER=`o``x@y`@`%` TRIGGER `count` AFTER INSERT ON `it``em` FOR EACH ROW "
    assert str(TRIGGER) == "trigger shop.count, AFTER INSERT ON shop.it`em"


def test_the_guard() -> None:
    """It is seen where it is, put once, behind the place."""
    assert not TRIGGER.guarded
    text = TRIGGER.create_guarded("next")
    assert text.startswith(f"{HEAD}PRECEDES `next` BEGIN IF @bisync_applying IS NULL THEN\nINSERT INTO log")
    body = TRIGGER.create_guarded().removeprefix(HEAD)
    again = replace(TRIGGER, body=body)
    assert again.guarded and again.create_guarded() == HEAD + body
    assert not replace(TRIGGER, body="SELECT 'not closed").guarded
    with pytest.raises(NotUnderstood):
        replace(TRIGGER, body="SELECT 'not closed").create_guarded()


def test_the_probe_does_nothing() -> None:
    """Its name is its own and its body is never run; a text in which that cannot be told is refused."""
    text = TRIGGER.create_probe()
    assert f"`shop`.`{PROBE}`" in text and "BEGIN IF FALSE THEN\nINSERT INTO log" in text and not TRIGGER.guards(text)
    with pytest.raises(NotUnderstood):
        replace(TRIGGER, body="/* IF @bisync_applying IS NULL THEN */ SET @a = 1").create_probe()


def test_quotes_are_those_of_its_sql_mode() -> None:
    """A string that ends in a backslash, and a name in double quotes, are read as its maker's session had them."""
    body = r"SET @a = '\'"
    with pytest.raises(NotUnderstood):
        replace(TRIGGER, body=body).create_guarded()
    modes = "ANSI_QUOTES,NO_BACKSLASH_ESCAPES"
    assert replace(TRIGGER, body=body, sql_mode=modes).create_guarded().startswith(HEAD)


def test_it_is_kept_whole() -> None:
    """What is on record makes the same trigger again, also where its text is no text of its character set."""
    for body in (TRIGGER.body, "SET @a = 'é\udce9€'"):
        trigger = replace(TRIGGER, body=body)
        assert Trigger.from_json(trigger.as_json()) == trigger
