"""Tables with random columns around a key, and what is written to them."""

from random import Random

import pymysql.err
from pymysql.cursors import Cursor
from random_types import random_columns

TOO_LARGE = (1118, 1074)  # row size too large; column length too big


class RandomTable:
    """One table with random columns around its key, and what the server prints for it."""

    def __init__(self, name: str, random: Random) -> None:
        self.name = name
        self.random = random
        self.columns = random_columns(random)
        self.key_at = random.randint(0, len(self.columns))

    def create(self, cursor: Cursor) -> str:
        """CREATE TABLE, without columns that do not fit into a row; gives the statement."""
        while True:
            definitions = [column.definition for column in self.columns]
            definitions.insert(self.key_at, "id INT NOT NULL")
            key = self.random.choice(["PRIMARY KEY (id)", "UNIQUE KEY (id)"])
            statement = f"CREATE TABLE {self.name} ({', '.join(definitions)}, {key}) ROW_FORMAT=DYNAMIC"
            try:
                cursor.execute(statement)
            except pymysql.err.OperationalError as error:
                if error.args[0] not in TOO_LARGE:
                    raise
                self.columns.pop()
                self.key_at = min(self.key_at, len(self.columns))
            else:
                return statement

    def fill(self, cursor: Cursor, rows: int) -> None:
        """Insert random rows in statements of several."""
        names = ", ".join(["id", *(column.quoted for column in self.columns)])
        values = [
            f"({', '.join([str(n), *(column.literal(self.random) for column in self.columns)])})" for n in range(1, rows + 1)
        ]
        for start in range(0, rows, 4):
            cursor.execute(f"INSERT INTO {self.name} ({names}) VALUES {', '.join(values[start : start + 4])}")

    def update(self, cursor: Cursor, rows: int) -> None:
        """Change some columns of each row."""
        for n in range(1, rows + 1):
            changed = self.random.sample(self.columns, self.random.randint(0, len(self.columns)))
            if changed:
                values = ", ".join(f"{column.quoted} = {column.literal(self.random)}" for column in changed)
                cursor.execute(f"UPDATE {self.name} SET {values} WHERE id = {n}")
