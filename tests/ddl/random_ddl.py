"""Valid random DDL, and rows for both sides while it runs.

Tables are of two kinds. *shared* ones have rows of both sides: there a column that is new, renamed or dropped never had its name
before, what a type can hold only grows, and defaults change of first columns only, so that a row that is under way
while the statement is means the same on either side. *own* ones have rows of the side that changes them: everything happens
to those, also TRUNCATE, RENAME, DROP and partitions.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

DATABASE = "ddl_random"
GROWING = (  # types that each hold whatever the one before holds
    ("TINYINT", "SMALLINT", "INT", "BIGINT"),
    ("VARCHAR(10)", "VARCHAR(40)", "VARCHAR(300)", "TEXT"),
    ("DECIMAL(6,2)", "DECIMAL(12,2)", "DECIMAL(20,4)"),
    ("DATE",),
    ("DATETIME", "DATETIME(3)", "DATETIME(6)"),
    ("VARBINARY(8)", "VARBINARY(80)"),
    ("ENUM('a','b')", "ENUM('a','b','c;d')", "ENUM('a','b','c;d','é')"),
    ("BIT(5)", "BIT(9)", "BIT(30)"),
    ("DOUBLE",),
)
VALUES: tuple[Callable[[Random], str], ...] = (
    lambda random: str(random.randint(-128, 127)),
    lambda random: "'" + "".join(random.choice("abß漢;`x ") for _ in range(random.randrange(10))) + "'",
    lambda random: f"{random.randint(-9999, 9999)}.{random.randint(0, 99):02d}",
    lambda random: f"'{random.randint(1900, 2100)}-{random.randint(1, 12):02d}-{random.randint(1, 28):02d}'",
    lambda random: f"'{random.randint(1900, 2100)}-05-06 {random.randint(0, 23):02d}:11:12'",
    lambda random: f"x'{random.randbytes(random.randrange(8)).hex()}'",
    lambda random: random.choice(("'a'", "'b'")),
    lambda random: f"b'{random.randrange(32):b}'",
    lambda random: repr(random.uniform(-1e6, 1e6)),
)
NO_DEFAULT = ("TEXT",)  # they take none but an expression


@dataclass
class Column:
    """A column as it is now."""

    name: str
    family: int
    step: int
    not_null: bool
    default: str | None

    @property
    def type(self) -> str:
        """As MySQL writes it."""
        return GROWING[self.family][self.step]

    @property
    def sql(self) -> str:
        """Its definition."""
        null = "NOT NULL" if self.not_null else "NULL"
        default = "" if self.default is None else f" DEFAULT {f'({self.default})' if self.type in NO_DEFAULT else self.default}"
        return f"`{self.name}` {self.type} {null}{default}"


@dataclass
class Table:
    """A table as it is now."""

    name: str
    shared: bool
    columns: list[Column] = field(default_factory=list)
    first: tuple[str, ...] = ()  # columns that it had from the beginning, and still has
    families: dict[str, int] = field(default_factory=dict)  # of the columns that it had then
    indexes: dict[str, tuple[Column, bool]] = field(default_factory=dict)  # name → column, and whether id follows it
    partitioned: bool = False
    triggers: list[str] = field(default_factory=list)

    def copy(self, name: str) -> Table:
        """A table of the same columns, without indexes."""
        return Table(name, False, [Column(**vars(column)) for column in self.columns])


class Shop:
    """The schema that is changed, and what may happen to it next."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self._numbers = itertools.count(1)
        self.tables = [self._table(shared) for shared in (True, True, False, False)]
        self.views: list[str] = []
        self.routines: list[tuple[str, str]] = []
        self.events: list[str] = []
        self.keys = itertools.count(1)

    def before(self) -> list[str]:
        """What both sides have from the beginning."""
        return [self._create(table) for table in self.tables]

    def _next(self, what: str) -> str:
        return f"{what}{next(self._numbers)}"

    def _column(self, *, must_have_default: bool) -> Column:
        family = self.random.randrange(len(GROWING))
        default = VALUES[family](self.random) if must_have_default or self.random.random() < 0.5 else None
        name = self._next(self.random.choice(("c", "größe ", "a`b", "key")))
        return Column(name.replace("`", "``"), family, 0, default is not None and self.random.random() < 0.5, default)

    def _table(self, shared: bool) -> Table:
        table = Table(self._next("shared" if shared else "own"), shared)
        table.columns = [self._column(must_have_default=False) for _ in range(self.random.randint(1, 4))]
        table.first = tuple(column.name for column in table.columns)
        table.families = {column.name: column.family for column in table.columns}
        return table

    def _create(self, table: Table) -> str:
        columns = ", ".join(column.sql for column in table.columns)
        return f"CREATE TABLE `{table.name}` (id BIGINT PRIMARY KEY, {columns})"

    # -- statements

    def statement(self) -> str:
        """The next statement; the schema is what it will be behind it."""
        while True:
            table = self.random.choice(self.tables)
            choices = [self._add, self._add, self._drop, self._rename_column, self._grow, self._index, self._drop_index]
            choices += [self._default, self._comment, self._position]
            if not table.shared:
                choices += [self._truncate, self._rename, self._swap, self._drop_table, self._recreate, self._partition]
                choices += [self._trigger, self._drop_trigger]
            choices += [self._new, self._like, self._select, self._view, self._drop_view, self._routine, self._drop_routine]
            choices += [self._event]
            if statement := self.random.choice(choices)(table):
                return statement

    def _add(self, table: Table) -> str:
        column = self._column(must_have_default=False)
        where = self.random.choice(("", " FIRST", f" AFTER `{self.random.choice(table.columns).name}`"))
        statement = f"ALTER TABLE `{table.name}` ADD COLUMN {column.sql}{where}"
        table.columns.append(column)
        if self.random.random() < 0.3:
            more = self._column(must_have_default=False)
            table.columns.append(more)
            statement += f", ADD {more.sql}"
        return statement

    def _drop(self, table: Table) -> str:
        if len(table.columns) < 3:
            return ""
        column = table.columns.pop(self.random.randrange(len(table.columns)))
        gone = [name for name, (of, and_id) in table.indexes.items() if of is column and not and_id]
        for name in gone:
            del table.indexes[name]
        return f"ALTER TABLE `{table.name}` DROP COLUMN `{column.name}`"

    def _rename_column(self, table: Table) -> str:
        if table.triggers:
            return ""
        column = self.random.choice(table.columns)
        old, column.name = column.name, self._next("renamed")
        table.first = tuple(name for name in table.first if name != old)
        if self.random.random() < 0.5:
            return f"ALTER TABLE `{table.name}` RENAME COLUMN `{old}` TO `{column.name}`"
        return f"ALTER TABLE `{table.name}` CHANGE `{old}` {column.sql}"

    def _grow(self, table: Table) -> str:
        indexed = [column for column, _ in table.indexes.values()]
        growing = [column for column in table.columns if column.step + 1 < len(GROWING[column.family])]
        growing = [c for c in growing if GROWING[c.family][c.step + 1] not in NO_DEFAULT or not any(c is i for i in indexed)]
        if not growing:
            return ""
        column = self.random.choice(growing)
        column.step += 1
        return f"ALTER TABLE `{table.name}` MODIFY {column.sql}"

    def _position(self, table: Table) -> str:
        column = self.random.choice(table.columns)
        return f"ALTER TABLE `{table.name}` MODIFY COLUMN {column.sql} {self.random.choice(('FIRST', 'AFTER id'))}"

    def _default(self, table: Table) -> str:
        columns = [c for c in table.columns if c.name in table.first or not table.shared]
        columns = [c for c in columns if c.type not in NO_DEFAULT]
        if not columns:
            return ""
        column = self.random.choice(columns)
        column.default = VALUES[column.family](self.random)
        return f"ALTER TABLE `{table.name}` ALTER `{column.name}` SET DEFAULT {column.default}"

    def _index(self, table: Table) -> str:
        columns = [column for column in table.columns if column.type not in NO_DEFAULT]
        if not columns or len(table.indexes) > 4:
            return ""
        column, name = self.random.choice(columns), self._next("i")
        and_id = self.random.random() < 0.5
        table.indexes[name] = (column, and_id)
        if not and_id:
            return f"CREATE INDEX `{name}` ON `{table.name}` (`{column.name}`)"
        return f"ALTER TABLE `{table.name}` ADD KEY `{name}` (`{column.name}`, id)"

    def _drop_index(self, table: Table) -> str:
        if not table.indexes:
            return ""
        name = self.random.choice(list(table.indexes))
        del table.indexes[name]
        return self.random.choice((f"DROP INDEX `{name}` ON `{table.name}`", f"ALTER TABLE `{table.name}` DROP KEY `{name}`"))

    def _comment(self, table: Table) -> str:
        more = self.random.choice(("", ", ROW_FORMAT=DYNAMIC", ", STATS_PERSISTENT=1", ", ENGINE=InnoDB"))
        return f"ALTER TABLE `{table.name}` COMMENT 'now; {self._next('é')}'{more}"

    def _truncate(self, table: Table) -> str:
        return f"TRUNCATE TABLE `{table.name}`"

    def _rename(self, table: Table) -> str:
        old, table.name = table.name, self._next("moved")
        return f"RENAME TABLE `{old}` TO `{table.name}`"

    def _swap(self, table: Table) -> str:
        others = [other for other in self.tables if not other.shared and other is not table]
        if not others or table.triggers:
            return ""
        other = self.random.choice(others)
        if other.triggers:
            return ""
        one, two = table.name, other.name
        table.name, other.name = two, one
        return f"RENAME TABLE `{one}` TO passing, `{two}` TO `{one}`, passing TO `{two}`"

    def _drop_table(self, table: Table) -> str:
        if len(self.tables) < 6:
            return ""
        self.tables.remove(table)
        return f"DROP TABLE `{table.name}`"

    def _recreate(self, table: Table) -> str:
        if table.partitioned:
            table.partitioned = False
            return f"ALTER TABLE `{table.name}` REMOVE PARTITIONING"
        collation = self.random.choice(("utf8mb4_bin", "utf8mb4_0900_ai_ci"))
        return f"ALTER TABLE `{table.name}` CONVERT TO CHARACTER SET utf8mb4 COLLATE {collation}"

    def _partition(self, table: Table) -> str:
        table.partitioned = True
        return f"ALTER TABLE `{table.name}` PARTITION BY HASH (id) PARTITIONS {self.random.randint(2, 4)}"

    def _new(self, table: Table) -> str:
        del table
        if len(self.tables) > 9:
            return ""
        made = self._table(False)
        self.tables.append(made)
        return self._create(made)

    def _like(self, table: Table) -> str:
        if len(self.tables) > 9:
            return ""
        made = table.copy(self._next("like"))
        made.partitioned = table.partitioned
        for name, (column, and_id) in table.indexes.items():
            position = next((n for n, each in enumerate(table.columns) if each is column), None)
            if position is not None:
                made.indexes[name] = (made.columns[position], and_id)
        self.tables.append(made)
        return f"CREATE TABLE `{made.name}` LIKE `{table.name}`"

    def _select(self, table: Table) -> str:
        if len(self.tables) > 9 or table.shared:
            return ""
        made = table.copy(self._next("selected"))
        self.tables.append(made)
        definitions = ", ".join(column.sql for column in made.columns)
        return f"CREATE TABLE `{made.name}` (id BIGINT PRIMARY KEY, {definitions}) SELECT * FROM `{table.name}`"

    def _trigger(self, table: Table) -> str:
        columns = [column for column in table.columns if column.family == 0]
        if not columns or table.triggers:
            return ""
        name = self._next("t")
        table.triggers.append(name)
        return (
            f"CREATE TRIGGER `{name}` BEFORE INSERT ON `{table.name}` FOR EACH ROW"
            " BEGIN IF NEW.id < 0 THEN SET NEW.id = -NEW.id; END IF; END"
        )

    def _drop_trigger(self, table: Table) -> str:
        return f"DROP TRIGGER `{table.triggers.pop()}`" if table.triggers else ""

    def _view(self, table: Table) -> str:
        if self.views and self.random.random() < 0.5:
            name = self.random.choice(self.views)
            return f"CREATE OR REPLACE VIEW `{name}` AS SELECT id, 'x;y' AS text FROM `{self.tables[0].name}`"
        del table
        self.views.append(self._next("v"))
        return f"CREATE VIEW `{self.views[-1]}` AS SELECT id FROM `{self.tables[0].name}`"

    def _drop_view(self, table: Table) -> str:
        del table
        return f"DROP VIEW `{self.views.pop()}`" if self.views else ""

    def _routine(self, table: Table) -> str:
        name = self._next("r")
        if self.random.random() < 0.5:
            self.routines.append(("PROCEDURE", name))
            return f"CREATE PROCEDURE `{name}`() BEGIN SELECT COUNT(*) FROM `{table.name}`; SELECT 'DROP TABLE x; '; END"
        self.routines.append(("FUNCTION", name))
        return f"CREATE FUNCTION `{name}`(x INT) RETURNS INT DETERMINISTIC RETURN x + {self.random.randrange(9)}"

    def _drop_routine(self, table: Table) -> str:
        del table
        if not self.routines:
            return ""
        kind, name = self.routines.pop(self.random.randrange(len(self.routines)))
        return f"DROP {kind} `{name}`"

    def _event(self, table: Table) -> str:
        del table
        if self.events and self.random.random() < 0.5:
            return f"DROP EVENT `{self.events.pop()}`"
        self.events.append(self._next("e"))
        return f"CREATE EVENT `{self.events[-1]}` ON SCHEDULE EVERY 1 YEAR STARTS '2050-01-01 00:00:00' DO SELECT 1"

    # -- rows

    def rows(self, table: Table, side: str) -> list[str]:
        """A few changes of this side, which knows the columns that the table has now, or had at first."""
        offset = {"east": 0, "west": 1_000_000}[side]
        new, old = (offset + next(self.keys) for _ in range(2))
        columns = [column for column in table.columns if self.random.random() < 0.7]
        if not columns:
            return [f"INSERT INTO `{table.name}` (id) VALUES ({new})"]
        names = ", ".join(f"`{column.name}`" for column in columns)
        values = ", ".join(VALUES[column.family](self.random) for column in columns)
        changed = self.random.choice(columns)
        value = VALUES[changed.family](self.random)
        mine = f"id {'<' if side == 'east' else '>='} 1000000"
        return [
            f"INSERT INTO `{table.name}` (id, {names}) VALUES ({new}, {values}), ({old}, {values})",
            f"UPDATE `{table.name}` SET `{changed.name}` = {value} WHERE id % 5 = {new % 5} AND {mine}",
            f"DELETE FROM `{table.name}` WHERE id % 11 = {new % 11} AND {mine}",
        ]
