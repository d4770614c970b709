"""Topic names: any name fits, and no two tables share one, also where Kafka takes `.` and `_` for the same."""

import re

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from schemas.topics import (
    MAX_LENGTH,
    checkpoints_topic,
    conflicts_topic,
    consumer_group,
    ddl_topic,
    schemas_topic,
    side_prefix,
    table_topic,
    transactions_topic,
)

# What MySQL takes as a name: up to 64 characters of the basic plane, but no NUL.
NAMES = st.text(st.characters(codec="utf-8", min_codepoint=1, max_codepoint=0xFFFF), min_size=1, max_size=64)
TRICKY = st.text("ab._-h0x", min_size=1, max_size=6)
TABLES = st.tuples(NAMES | TRICKY, NAMES | TRICKY)
SIDES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}", fullmatch=True) | st.text("ab_-", min_size=1, max_size=4)
KAFKA = re.compile(r"[A-Za-z0-9._-]{1,249}")


def as_metric(topic: str) -> str:
    """What Kafka compares: two topics that differ in `.` and `_` alone collide."""
    return topic.replace(".", "_")


@given(SIDES, TABLES, SIDES, TABLES)
@settings(max_examples=400)
@example("e", ("a_b", "c"), "e", ("a", "b_c"))
@example("e", ("a", "b.c"), "e", ("a", "b_c"))
@example("e", ("a.b", "c"), "e", ("a", "b.c"))
@example("e", ("a-2eb", "c"), "e", ("a.b", "c"))
@example("e_a", ("b", "c"), "e", ("a", "b_c"))
@example("e", ("x" * 64, "ж" * 64), "e", ("x" * 64, "ж" * 63 + "з"))
def test_no_two_tables_share_a_topic(side: str, table: tuple[str, str], other_side: str, other: tuple[str, str]) -> None:
    """Different sides, databases or tables have topics that differ in more than `.` and `_`."""
    assume((side, table) != (other_side, other))
    assert as_metric(table_topic("shop", side, *table)) != as_metric(table_topic("shop", other_side, *other))


@given(SIDES, TABLES)
@settings(max_examples=200)
@example("s" * 32, ("ж" * 64, "ж" * 64))
def test_every_name_fits_kafka(side: str, table: tuple[str, str]) -> None:
    """Any MySQL name, in any script and of any length, is escaped and capped; never refused."""
    topic = table_topic("n" * 32, side, *table)
    assert KAFKA.fullmatch(topic)
    assert topic not in (".", "..")
    assert topic.startswith(side_prefix("n" * 32, side) + ".")


@given(SIDES, TABLES, st.sampled_from([ddl_topic, transactions_topic]))
def test_tables_do_not_take_the_topics_of_a_side(side: str, table: tuple[str, str], of_side: object) -> None:
    """A database called `transactions`, or one without letters, does not collide with a side's own topics."""
    assert callable(of_side)
    mine = {as_metric(of_side("shop", other)) for other in (side, "east", "west")}
    mine |= {checkpoints_topic("shop"), schemas_topic("shop"), conflicts_topic("shop")}
    assert as_metric(table_topic("shop", side, *table)) not in {as_metric(topic) for topic in mine}


@given(st.lists(SIDES, min_size=2, max_size=2, unique=True))
def test_sides_do_not_share_topics(sides: list[str]) -> None:
    """Each side has its own list and DDL topic, and they differ from each other."""
    topics = [as_metric(of(*("shop", side))) for side in sides for of in (ddl_topic, transactions_topic)]
    assert len(set(topics)) == 4


@pytest.mark.parametrize(
    ("db", "table", "topic"),
    [
        ("shop", "orders", "shop.east.shop.orders"),
        ("shop", "order_lines", "shop.east.shop.order_lines"),
        ("my_shop", "order_lines", "shop.east.my-5fshop.order_lines"),
        ("shop", "a.b", "shop.east.shop.a-2eb"),
        ("shop", "größe", "shop.east.shop.gr-c3-b6-c3-9fe"),
        ("shop", "a-2eb", "shop.east.shop.a-2d2eb"),
    ],
)
def test_ordinary_names_stay_readable(db: str, table: str, topic: str) -> None:
    """Names are as one would write them, and what is escaped is so by its UTF-8 bytes."""
    assert table_topic("shop", "east", db, table) == topic


def test_long_names_are_cut_and_marked() -> None:
    """What is beyond 249 characters ends in a hash of the whole; exactly 249 stays whole."""
    room = MAX_LENGTH - len("shop.east.d.")
    assert table_topic("shop", "east", "d", "t" * room) == "shop.east.d." + "t" * room
    capped = table_topic("shop", "east", "d", "t" * (room + 1))
    assert len(capped) == MAX_LENGTH
    assert re.search(r"t-h[0-9a-f]{32}$", capped)


def test_names_of_a_sides_topics_and_group() -> None:
    """The names that the documentation promises."""
    assert transactions_topic("shop", "east") == "shop.east.transactions"
    assert ddl_topic("shop", "east") == "shop.east"
    assert (checkpoints_topic("shop"), schemas_topic("shop")) == ("shop.checkpoints", "shop.schemas")
    assert consumer_group("shop", "east") == "shop.east.applier"


@pytest.mark.parametrize("side", ["checkpoints", "schemas"])
def test_a_sides_ddl_topic_is_not_a_control_topic(side: str) -> None:
    """A side may have any name that the configuration takes, also that of a topic of the topology."""
    assert ddl_topic("shop", side) not in (checkpoints_topic("shop"), schemas_topic("shop"))
