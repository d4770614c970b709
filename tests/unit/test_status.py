"""`status` without servers: facts in, the JSON of interface.md out; and what people see of it."""

from dataclasses import replace
from io import StringIO
from typing import Any

import pymysql.err
import pytest
from rich.console import Console

from bisync_topology.display import Rates, show_status, status_view
from bisync_topology.errors import Unreachable
from bisync_topology.initialization import CopiedTable
from bisync_topology.ownership import Wanted
from bisync_topology.status import SILENT_SECONDS, build, exit_status, initializes, left_to_initialize, standing, unreached
from bisync_topology.status_facts import Applied, ProcessRow, SideStatus, StatusFacts
from bisync_topology.topology import Step, Topology

NOW = 1_795_348_800_000_000  # microseconds: 2026-11-22T12:00:00Z
SECOND = 1_000_000
AWAY = pymysql.err.OperationalError(2003, "Can't connect to MySQL server on '127.0.0.1' ([Errno 111] Connection refused)")
ERROR = {"code": "conflict", "message": "a row differs", "hint": "resolve it", "conflict_id": "west-1", "gtid": "g:7"}
FREE = Wanted(paused=False, error=None, skips=[], skipped=[])
TOPOLOGY = Topology.model_validate(
    {
        "name": "shop",
        "kafka": {"bootstrap.servers": "127.0.0.1:9092"},
        "sides": {
            name: {"mysql": {"host": "127.0.0.1", "port": port, "user": "bisync", "password": "x"}}
            for name, port in (("east", "3306"), ("west", "3307"))
        },
        "directions": [{"from": "east", "to": "west", "objects": ["shop"]}, {"from": "west", "to": "east", "objects": ["shop"]}],
    }
)


def process(**changes: Any) -> ProcessRow:
    """A process that runs."""
    return replace(ProcessRow(state="running", host="h", pid=1, restarts=0, seen_at=NOW - SECOND, detail={}), **changes)


def applied(**changes: Any) -> Applied:
    """A direction that has applied ten transactions, the last committed a minute ago."""
    standard = Applied(
        sequence=10,
        gtid="g:10",
        committed_at=NOW - 60 * SECOND,
        barrier=2,
        transactions=9,
        rows=90,
        dropped_own_origin=1,
        conflicts=0,
    )
    return replace(standard, **changes)


def side(name: str, other: str, **changes: Any) -> SideStatus:
    """A side of a topology that works and is idle."""
    standard = SideStatus(
        now=NOW,
        applied={other: applied()},
        wanted={("east", "west"): FREE, ("west", "east"): FREE},
        processes={f"producer {name}": process(), f"applier {name}": process(pid=2)},
    )
    return replace(standard, **changes)


def facts(**changes: Any) -> StatusFacts:
    """Everything in order; `east` and `west` are changes of a side, or an exception in its place."""
    sides = {}
    for name, other in (("east", "west"), ("west", "east")):
        change = changes.pop(name, {})
        sides[name] = change if isinstance(change, Exception) else side(name, other, **change)
    return replace(StatusFacts(sides=sides, sequences={"east": 10, "west": 10}), **changes)


def eastward(found: StatusFacts) -> dict[str, Any]:
    """The status of east to west."""
    direction: dict[str, Any] = build(TOPOLOGY, found)["directions"][0]
    return direction


def test_the_fixed_form() -> None:
    """A topology that works has exactly the keys and kinds of interface.md."""
    status = build(TOPOLOGY, facts())
    assert status == {
        "topology": "shop",
        "directions": [
            {
                "from": source,
                "to": target,
                "state": "syncing",
                "lag_seconds": 0.0,
                "lag_events": 0,
                "applied_transactions": 9,
                "applied_rows": 90,
                "dropped_own_origin": 1,
                "conflicts": 0,
                "last_applied": {"sequence": 10, "gtid": "g:10", "committed_at": "2026-11-22T11:59:00.000000Z"},
                "initialization": {"tables": 0, "tables_done": 0, "rows": 0, "rows_done": 0},
                "error": None,
            }
            for source, target in (("east", "west"), ("west", "east"))
        ],
        "processes": [
            {"name": f"{kind} {name}", "state": "running", "pid": pid, "restarts": 0}
            for name in ("east", "west")
            for kind, pid in (("producer", 1), ("applier", 2))
        ],
        "verification": None,
    }
    assert exit_status(status) == 0


def test_lag_is_the_age_of_the_oldest_change_not_applied() -> None:
    """After an hour of quiet, one change under way is late by its own age and not by the quiet's."""
    late = eastward(facts(sequences={"east": 13, "west": 10}, oldest={("east", "west"): NOW - 20_000}))
    assert (late["lag_events"], late["lag_seconds"]) == (3, 0.02)


def test_lag_without_the_list() -> None:
    """Where the oldest change cannot be read, the last applied one's age is the bound."""
    late = eastward(facts(sequences={"east": 13, "west": 10}))
    assert (late["lag_events"], late["lag_seconds"]) == (3, 60.0)


def test_lag_is_never_negative() -> None:
    """An applier that went on between the two questions is not ahead of its source; clocks that differ give no negative age."""
    assert eastward(facts(sequences={"east": 7, "west": 10}))["lag_events"] == 0
    skewed = facts(sequences={"east": 11, "west": 10}, oldest={("east", "west"): NOW + SECOND})
    assert eastward(skewed)["lag_seconds"] == 0.0


@pytest.mark.parametrize("where", ["east", "west"])
def test_failed_on_either_side(where: str) -> None:
    """An error of the capture (source) or of the apply (target) makes the direction failed, and only that one; exit code 3."""
    rows = {("east", "west"): replace(FREE, error=ERROR, paused=True), ("west", "east"): FREE}
    status = build(TOPOLOGY, facts(**{where: {"wanted": rows}}))
    assert [direction["state"] for direction in status["directions"]] == ["failed", "syncing"]
    assert status["directions"][0]["error"] == ERROR
    assert exit_status(status) == 3


def test_states_before_one_another() -> None:
    """Paused comes before stopped, stopped before initializing: the first that a person has to deal with."""
    nothing = {"applied": {}, "processes": {}}
    paused = {("east", "west"): replace(FREE, paused=True), ("west", "east"): FREE}
    assert eastward(facts(west={**nothing, "wanted": paused}, sequences={}))["state"] == "paused"
    at_work = facts(west={"wanted": paused})
    assert eastward(at_work)["state"] == "syncing", "its applier has not come to the end of what it writes"
    assert eastward(facts(west=nothing, sequences={}))["state"] == "stopped"
    assert eastward(facts(west={"applied": {}}, sequences={}))["state"] == "initializing"
    assert eastward(facts(west={"applied": {}}))["state"] == "syncing"


@pytest.mark.parametrize(("where", "name"), [("east", "producer east"), ("west", "applier west")])
def test_stopped_when_either_process_is_silent(where: str, name: str) -> None:
    """A direction needs its producer and its applier; one that has not been seen for 15 s, or said goodbye, is not there."""
    both = {f"producer {where}": process(), f"applier {where}": process()}
    for gone in (process(seen_at=NOW - int(SILENT_SECONDS * SECOND)), process(state="stopped"), None):
        rows = {**both, name: gone} if gone else {key: row for key, row in both.items() if key != name}
        found = facts(**{where: {"processes": rows}})
        assert eastward(found)["state"] == "stopped"
        status = build(TOPOLOGY, found)
        shown = next(each for each in status["processes"] if each["name"] == name)
        assert (shown["state"], shown["pid"]) == ("stopped", None)


def test_a_process_that_waits_says_for_what() -> None:
    """An outage is waited out: the direction goes on syncing, the process says what it waits for."""
    detail = {"waits_for": "Kafka at x does not answer", "since": 1.0, "hint": None}
    rows = {"producer east": process(state="waiting", detail=detail), "applier east": process()}
    status = build(TOPOLOGY, facts(east={"processes": rows}))
    assert status["directions"][0]["state"] == "syncing"
    assert status["processes"][0]["state"] == "waiting"
    assert status["processes"][0]["detail"] == "Kafka at x does not answer"
    assert standing(status, "east", "west") == "syncing, producer east is waiting for: Kafka at x does not answer"


def test_a_process_that_repeats_a_transaction_says_why() -> None:
    """It runs all the same: what holds it up, how often it has tried, and what that means."""
    repeats = {"waits_for": "Lock wait timeout exceeded", "hint": "another session holds the row", "attempt": 3}
    status = build(
        TOPOLOGY, facts(west={"processes": {"producer west": process(), "applier west": process(detail={"repeats": repeats})}})
    )
    assert (status["processes"][3]["state"], status["processes"][3]["repeats"]) == ("running", repeats)
    assert standing(status, "east", "west") == "syncing, applier west repeats a transaction: Lock wait timeout exceeded"
    console = Console(width=80, record=True, file=StringIO())
    show_status(status, console=console)
    shown = console.export_text()
    assert "applier west repeats a transaction, attempt 3: Lock wait timeout exceeded" in shown
    assert "another session holds the row" in shown


def test_before_the_first_up() -> None:
    """Servers without control tables are no error: nothing has run, so everything is stopped, and nothing was applied."""
    empty = {"applied": {}, "wanted": {}, "processes": {}}
    status = build(TOPOLOGY, facts(east=empty, west=empty, sequences={}))
    assert {direction["state"] for direction in status["directions"]} == {"stopped"}
    assert status["directions"][0]["last_applied"] is None
    assert status["processes"][0] == {"name": "producer east", "state": "stopped", "pid": None, "restarts": 0}


def test_a_side_that_is_away() -> None:
    """What only that side knows is null or unknown; the rest is shown, and the side is named."""
    found = facts(west=AWAY)
    status = build(TOPOLOGY, found)
    first, second = status["directions"]
    assert first["applied_rows"] is None and first["lag_events"] is None
    assert second["applied_rows"] == 90
    assert {each["state"] for each in status["processes"] if each["name"].endswith("west")} == {"unknown"}
    assert unreached(TOPOLOGY, found) == [f"west (127.0.0.1:3307): {AWAY.args[1]}"]


def test_no_side_answers() -> None:
    """With no side to ask there is no status: Unreachable, which exits with 4; a refused login keeps its own code."""
    with pytest.raises(Unreachable, match=r"east .* west"):
        unreached(TOPOLOGY, facts(east=AWAY, west=AWAY))
    refused = pymysql.err.OperationalError(1045, "Access denied")
    with pytest.raises(pymysql.err.OperationalError, match="Access denied"):
        unreached(TOPOLOGY, facts(east=refused, west=AWAY))


def test_the_broker_is_away() -> None:
    """The lag is not known without the broker; everything else is."""
    found = facts(sequences=Unreachable("Kafka at 127.0.0.1:9092 does not answer"))
    direction = eastward(found)
    assert (direction["state"], direction["lag_events"], direction["lag_seconds"]) == ("syncing", None, None)
    assert unreached(TOPOLOGY, found) == ["Kafka at 127.0.0.1:9092 does not answer"]


def test_the_supervisor_is_there_while_its_children_are() -> None:
    """`up` writes its row only when a child comes or goes; the children's rows tell whether it lives."""
    up = process(pid=9, seen_at=0, detail={"children": {"producer east": 1, "applier east": None}})
    rows = {"producer east": process(), "applier east": process(pid=2), "supervisor": up}
    assert build(TOPOLOGY, facts(east={"processes": rows}))["processes"][-1]["state"] == "running"
    rows["supervisor"] = replace(up, detail={"children": {"producer east": 77}})
    assert build(TOPOLOGY, facts(east={"processes": rows}))["processes"][-1]["state"] == "stopped"


def test_rates() -> None:
    """Rows a second are counted between two looks, and are not made up at the first or where nothing is known."""
    rates = Rates()
    assert rates.of(build(TOPOLOGY, facts()), now=100.0) == {}
    later = build(TOPOLOGY, facts(west={"applied": {"east": applied(rows=1090)}}, east=AWAY))
    assert rates.of(later, now=102.0) == {("east", "west"): 500.0}


def test_what_people_see() -> None:
    """The view fits 80 columns and says in words what needs a person: the failure with its remedy, who waits, who is away."""
    detail = {"waits_for": "the broker"}
    rows = {"producer west": process(state="waiting", detail=detail), "applier west": process(state="failed", restarts=3)}
    failed = {("east", "west"): replace(FREE, error=ERROR), ("west", "east"): replace(FREE, paused=True)}
    resting = {"producer east": process(), "applier east": process(state="paused")}
    status = build(TOPOLOGY, facts(west={"processes": rows, "wanted": failed}, east={"wanted": failed, "processes": resting}))
    console = Console(width=80, force_terminal=False)
    with console.capture() as captured:
        console.print(status_view(status, ["east (127.0.0.1:3306): gone"], {("east", "west"): 12345.0}))
    text = captured.get()
    assert max(map(len, text.splitlines())) <= 80
    assert "12,345" in text
    with console.capture() as captured:
        show_status(status, ["east (127.0.0.1:3306): gone"], console)
    text = captured.get()
    for words in (
        "east → west",
        "● failed",
        "● paused",
        "[conflict]: a row differs",
        "fix  resolve it",
        "bisync-topology resume west east",
        "producer west waits for: the broker",
        "no answer from east (127.0.0.1:3306): gone",
    ):
        assert words in text


@pytest.mark.parametrize(
    ("different", "changing", "words"),
    [(["shop.a"], 0, "shop.a differ"), ([], 3, "3 rows kept changing"), (["shop.a"], 3, "shop.a differ, 3 rows kept changing")],
)
def test_what_verify_found_in_the_background(different: list[str], changing: int, words: str) -> None:
    """What differs, and what no look has decided about, each in its words."""
    detail = {"at": 0, "equal": False, "rows": 9, "different": different, "changing": changing}
    status = build(TOPOLOGY, facts(east={"processes": {"verifier": process(detail=detail)}}))
    console = Console(width=120, record=True, file=StringIO())
    show_status(status, console=console)
    assert f"verify compared 9 rows at 00:00:00 UTC: {words}\n" in console.export_text()


COPYING = TOPOLOGY.model_copy(
    update={
        "directions": (TOPOLOGY.directions[0].model_copy(update={"initialize": (Step.DATA,)}), TOPOLOGY.directions[1]),
    }
)


def copied(state: str, rows: int) -> dict[tuple[str, str], list[CopiedTable]]:
    """A table of which so many of a thousand rows are copied, beside one that is done."""
    tables = [
        CopiedTable(name=("shop", "a"), state="done", rows=10, rows_done=10),
        CopiedTable(name=("shop", "b"), state=state, rows=1000, rows_done=rows),
    ]
    return {("east", "west"): tables}


def test_a_direction_initializes_until_its_tables_are_copied() -> None:
    """Then it is syncing by itself; the direction that copies nothing is so all the time."""
    status = build(COPYING, facts(west={"copied": copied("copying", 250)}))
    assert [one["state"] for one in status["directions"]] == ["initializing", "syncing"]
    assert status["directions"][0]["initialization"] == {"tables": 2, "tables_done": 1, "rows": 1010, "rows_done": 260}
    assert initializes(COPYING, status, status["directions"][0])
    assert not initializes(COPYING, status, status["directions"][1])
    done = build(COPYING, facts(west={"copied": copied("done", 1000)}))
    assert [one["state"] for one in done["directions"]] == ["syncing", "syncing"]
    assert not initializes(COPYING, done, done["directions"][0])
    starting = build(COPYING, facts(west={"processes": {"applier west": process(state="starting")}}))
    assert initializes(COPYING, starting, starting["directions"][0])


@pytest.mark.parametrize(
    ("applier", "noted", "state"),
    [
        ("starting", False, "initializing"),
        ("waiting", False, "initializing"),
        ("running", False, "syncing"),  # the source has no tables
        ("starting", True, "initializing"),  # there may be more of them now
        ("waiting", True, "syncing"),
        ("running", True, "syncing"),
    ],
)
def test_what_is_to_be_copied_is_not_known_yet(applier: str, noted: bool, state: str) -> None:
    """An applier that was killed early, and comes again, may not have looked for tables: nothing is called syncing till then."""
    tables = copied("done", 1000) if noted else {}
    found = facts(west={"copied": tables, "processes": {"producer west": process(), "applier west": process(state=applier)}})
    assert [one["state"] for one in build(COPYING, found)["directions"]] == [state, "syncing"]
    assert build(TOPOLOGY, found)["directions"][0]["state"] == "syncing"


def test_what_wait_waits_for() -> None:
    """A direction that copies is waited for until all is there, whoever runs; one that has failed is looked at."""
    both = [("east", "west")], []
    failed = {("east", "west"): replace(FREE, error=ERROR)}
    for change, left in (
        ({"copied": copied("copying", 250)}, both[0]),
        ({"copied": copied("copying", 250), "processes": {}}, both[0]),
        ({"copied": copied("done", 1000), "wanted": failed}, both[0]),
        ({"copied": copied("done", 1000)}, both[1]),
    ):
        assert left_to_initialize(COPYING, build(COPYING, facts(west=change))) == left


def test_a_copy_is_shown_as_a_bar_with_the_time_that_is_left() -> None:
    """At the rate since the look before, where there was one."""
    status = build(COPYING, facts(west={"copied": copied("copying", 242)}))
    console = Console(width=100, record=True, file=StringIO())
    show_status(status, console=console)
    assert "██░░░░░░░░ 25%" in console.export_text()
    console.print(status_view(status, [], {("east", "west"): 100.0}))
    assert "██░░░░░░░░ 25%, 8 s left" in console.export_text()
