"""What `ddl` commands say, without servers: elements of the list, the page of one statement, what is decided."""

from io import StringIO
from typing import Any

from rich.console import Console

from bisync_topology import ddl_decisions
from bisync_topology.ddl_records import context_of, listed, show_list, show_one, ways_out
from bisync_topology.sql_modes import mode_names

ROW = {
    "id": 3,
    "at": 1_700_000_000_123_456,
    "source_side": "east",
    "statement": "ALTER TABLE t\n ADD x INT",
    "why": "new [grammar]",
}
CONTEXT = {"default_db": "shop", "time_zone": None, "foreign_key_checks": False}


def row(state: str, **more: Any) -> dict[str, Any]:
    """A row of ddl_log."""
    return {**ROW, "state": state, "connection_id": None, **more}


def shown(state: str, **more: Any) -> dict[str, Any]:
    """What `ddl show -o json` prints."""
    facts = {"to": "west", "gtid": "u:7", "decision": None, "holds_back": ["shop.t"], "context": CONTEXT}
    return {**listed("west", row(state)), **facts, **more}


def printed(act: Any, *arguments: Any) -> str:
    """What a function prints on a console of 80 columns."""
    text = StringIO()
    act(*arguments, Console(file=text, width=80, highlight=False))
    return text.getvalue()


def test_an_element_of_the_list() -> None:
    """The fields of the interface; what is running is held, and why says so."""
    found = listed("west", row("applied"))
    assert found == {
        "id": "west-3",
        "at": "2023-11-14T22:13:20.123456Z",
        "origin": "east",
        "statement": ROW["statement"],
        "state": "applied",
        "why": "new [grammar]",
    }
    running = listed("west", row("running", connection_id=8))
    assert running["state"] == "held" and running["why"] == "it is being applied, in session 8 of west; new [grammar]"


def test_the_list_for_people() -> None:
    """A line a statement, which is on one line and clipped; brackets are no markup."""
    long = {**listed("west", row("held")), "id": "west-4", "statement": "ALTER TABLE t " + "x" * 200}
    text = printed(show_list, [long, listed("west", row("applied"))])
    assert "west-3" in text and "[grammar]" in text and "…" in text and "x" * 121 not in text.replace("\n", "")
    assert "no DDL" in printed(show_list, [])


def test_one_statement_for_people() -> None:
    """Whole as it was written, with its session and what leads on; of one that is not held nothing is to be done."""
    text = printed(show_one, shown("held"))
    assert (
        ROW["statement"] in text
        and "[grammar]" in text
        and "foreign_key_checks    off" in text
        and "time_zone             –" in text
    )
    assert "it holds back changes of shop.t" in text and "ddl skip west-3 --reason" in text and "resume east west" in text
    assert "everything behind it" in printed(show_one, shown("held", holds_back=None))
    assert "ddl approve" not in printed(show_one, shown("applied", context=None))
    assert ways_out(shown("held", decision="approve"))[0] == "decided, and not done yet: approve"


def test_a_session_that_is_not_on_record() -> None:
    """Rows of commands hold something else, which is not taken for it."""
    assert context_of(None, {}) is None
    assert context_of(b'{"db": "shop"}', {}) is None and context_of(b"", {}) is None


def test_modes() -> None:
    """Names in the order of their bits; what has none is given as its number."""
    assert mode_names(0) == ""
    assert mode_names(1 << 30 | 4) == "ANSI_QUOTES,NO_ENGINE_SUBSTITUTION"
    assert mode_names(1 << 40 | 1 << 2) == f"ANSI_QUOTES,{1 << 40}"


def test_reasons_do_not_add_up() -> None:
    """The last one counts; one that is taken back leaves why it is held."""
    once = ddl_decisions.noted("held", " by hand ")
    assert once == "held\nreason to skip: by hand"
    assert ddl_decisions.noted(once, "of no use") == "held\nreason to skip: of no use"
    assert ddl_decisions.noted(once, "") == "held"


def test_what_is_said_of_a_decision() -> None:
    """The next command: `resume` where the direction stands, else the one that shows what became of it."""
    (going,) = ddl_decisions.said("west-3", "approve", "east", "west", failed=False, paused=False)
    (failed,) = ddl_decisions.said("west-3", "skip", "east", "west", failed=True, paused=False)
    (paused,) = ddl_decisions.said("west-3", "skip", "east", "west", failed=False, paused=True)
    assert "ddl show west-3" in going and "resume" not in going
    assert "has failed" in failed and "`bisync-topology resume east west`" in failed and "is paused" in paused
