"""Files of `mysqltest` and the gates that are put into them."""

import pytest
from integration.mysqltest_files import commands, gated, statement_of

FILE = """\
--disable_warnings
DROP TABLE IF EXISTS t1; # gone
# it's a comment; with an apostrophe
let $i=2;
while($i){
eval INSERT INTO t1 VALUES('a;\\'b', "c;", $i);
dec $i;
}
-- error ER_M_BIGGER_THAN_D
CREATE TABLE t1(c1 DECIMAL(1,2)
  DEFAULT ';');
--sorted_result
SELECT * FROM t1;
"""


def test_commands() -> None:
    """Quoted semicolons end nothing, apostrophes in comments quote nothing, and nothing is lost on the way."""
    found = list(commands(FILE))
    assert "".join(found) == FILE
    assert [command.strip() for command in found] == [
        "--disable_warnings",
        "DROP TABLE IF EXISTS t1;",
        "# gone",
        "# it's a comment; with an apostrophe",
        "let $i=2;",
        "while($i){",
        "eval INSERT INTO t1 VALUES('a;\\'b', \"c;\", $i);",
        "dec $i;",
        "}",
        "-- error ER_M_BIGGER_THAN_D",
        "CREATE TABLE t1(c1 DECIMAL(1,2)\n  DEFAULT ';');",
        "--sorted_result",
        "SELECT * FROM t1;",
        "",
    ]


@pytest.mark.parametrize(
    ("command", "statement"),
    [
        ("\n  truncate t5;", "truncate t5"),
        ("eval ALTER TABLE t ADD b INT;", "ALTER TABLE t ADD b INT"),
        ("INSERT INTO t VALUES ('create table x');", None),
        ("#DROP TABLE t;", None),
        ("--let $x = create", None),
    ],
)
def test_statement_of(command: str, statement: str | None) -> None:
    """What changes a structure is told by its first word, whatever stands before it."""
    assert statement_of(command) == statement


def test_gates_leave_the_file_as_it_is() -> None:
    """A gate stands before what belongs to its statement, such as the error that is expected; the rest is not touched."""
    seen: list[str] = []

    def before(statement: str) -> str:
        seen.append(statement)
        return f"<gate {len(seen)}>\n"

    text = gated(FILE, before, "<after>")
    assert seen == ["DROP TABLE IF EXISTS t1", "CREATE TABLE t1(c1 DECIMAL(1,2)\n  DEFAULT ';')"]
    assert text.index("<gate 2>") < text.index("-- error ER_M_BIGGER_THAN_D") < text.index("CREATE TABLE t1")
    for added in ("\n<gate 1>\n", "\n<gate 2>\n", "\n<after>"):
        text = text.replace(added, "", text.count(added))
    assert text.replace("\n\n", "\n") == FILE.replace("\n\n", "\n")


def test_a_structure_that_depends_on_variables_is_refused() -> None:
    """What it would be is not known before it runs, so the other side could not be made alike."""
    with pytest.raises(ValueError, match="depends on variables"):
        gated("eval CREATE TABLE t1 (c1 BIT($i));", str, "")
