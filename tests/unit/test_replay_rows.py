"""What a replay makes of the pieces that it reads; no server."""

from typing import Any, cast

import pytest
from test_recovery_plans import record

from consumers.assemble import Assembled
from recovery.latest import Found, Latest
from recovery.replay import _take
from schemas.list_records import encode_ddl
from schemas.records import DdlEvent

TABLES = ("shop.t", "shop.u")


@pytest.mark.parametrize(
    ("statement", "named", "forgotten"),
    [
        ("TRUNCATE TABLE t", "shop.t", "shop.t"),
        ("ALTER TABLE t TRUNCATE PARTITION p0", "shop.t", "shop.t"),
        ("ALTER TABLE t DROP PARTITION p0, p1", "shop.t", "shop.t"),
        ("ALTER TABLE t EXCHANGE PARTITION p0 WITH TABLE u", "shop.t shop.u", "shop.t shop.u"),
        ("ALTER TABLE t DISCARD TABLESPACE", "shop.t", "shop.t"),
        ("ALTER TABLE t IMPORT TABLESPACE", "shop.t", "shop.t"),
        ("ALTER TABLE t RENAME TO u", "shop.t shop.u", "shop.t shop.u"),
        ("ALTER TABLE t ADD c INT, RENAME u", "shop.t shop.u", "shop.t shop.u"),
        ("ALTER TABLE t RENAME COLUMN a TO b, RENAME COLUMN b TO a", "shop.t", "shop.t"),
        ("ALTER TABLE t ADD c INT, ALGORITHM=INSTANT", "shop.t", ""),
        ("CREATE INDEX i ON t (a)", "shop.t", ""),
        ("CREATE PROCEDURE p() SELECT 1", "", ""),
        ("ALTER TABLE t SPLIT ROWS (", "", "shop.t shop.u"),
    ],
)
def test_rows_that_a_statement_may_have_taken_are_compared_no_more(statement: str, named: str, forgotten: str) -> None:
    """No row event says that they are gone or are others now: written again, they would be invented. What adds a column or an
    index leaves rows as they were, and of a statement that is not understood nobody knows which tables it is about.
    """
    latest = Latest(cast(Any, None))
    latest.tables = {name: Found(equal=1) for name in TABLES}
    event = DdlEvent(1, 0, statement, "shop", 0, "", (255, 255, 255), tuple(named.split()))
    _take(latest, cast(Any, None), Assembled(record(1, kind="ddl"), [encode_ddl(event)], {}, False))
    assert set(TABLES) - set(latest.tables) == set(forgotten.split())
