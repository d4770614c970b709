"""The work of a shop on one connection: a catalogue, then orders that are placed, paid, shipped and cancelled.

Keys are kept apart by side: auto_increment gives east the odd ids and west the even ones, and a side changes its own rows
only. So the two sides never conflict, which `on_conflict: task_failed` proves. Stock moves by `on_hand = on_hand - n`: a change
that was applied twice, or lost, would stay visible for ever.
"""

from __future__ import annotations

import json
import random
from collections import deque
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from pymysql.connections import Connection

INCREMENT = 2  # of auto_increment, on both sides
OFFSETS = {"east": 1, "west": 2}
PRODUCTS, CUSTOMERS = 3000, 1500  # of the catalogue, a side
_BATCH = 250  # rows of one INSERT of the catalogue

_FIRST = (
    "Zoë",
    "José",
    "Łukasz",
    "Nguyễn",
    "Björk",
    "Mária",
    "Анна",
    "Дмитрий",
    "李",
    "さくら",
    "محمد",
    "Σοφία",
    "O'Neill",
    "अनु",
)
_LAST = ("Müller", "Ångström", "García", "Kowalski", "Иванова", "王", "田中", "Çelik", "Papadópoulos", "Sørensen", "D’Arcy", "김")
_CITIES = ("Zürich", "São Paulo", "København", "Kraków", "東京", "Москва", "İzmir", "Reykjavík", "N'Djamena", "Αθήνα")
_THINGS = ("Teapot", "Fahrradklingel", "Lámpara", "Книга", "扇子", "Kahvipannu", "Crème brûlée set 🍮", "Ukulele 🎸")
_NOTES = (None, "leave at the door", "cadeau 🎁 s'il vous plaît", "ring twice", "с открыткой", '50 % off \\ "agreed"')
_TAGS = ("retail", "retail,newsletter", "wholesale", "retail,vip", "")


@dataclass
class Order:
    """What a clerk remembers of an order that is not finished."""

    id: int
    lines: list[tuple[int, int]]  # product, quantity
    total: Decimal


@dataclass
class Clerk:
    """One connection's work. Counts committed transactions and the rows that they changed."""

    connection: Connection[Any]
    side: str
    dice: random.Random
    products: list[tuple[int, Decimal]] = field(default_factory=list)  # of this side: id, price
    customers: list[int] = field(default_factory=list)
    transactions: int = 0
    rows: int = 0

    def __post_init__(self) -> None:
        self._new: deque[Order] = deque()
        self._paid: deque[Order] = deque()
        with self.connection.cursor() as cursor:
            cursor.execute(f"SET SESSION auto_increment_increment = {INCREMENT}, auto_increment_offset = {OFFSETS[self.side]}")

    def stock_catalogue(self) -> None:
        """Insert this side's customers, products and stock, a batch of rows a transaction."""
        for start in range(0, CUSTOMERS, _BATCH):
            self._insert_many("customers", [self._customer(start + n) for n in range(_BATCH)])
        for start in range(0, PRODUCTS, _BATCH):
            self._insert_many("products", [self._product(start + n) for n in range(_BATCH)])
        self.read_catalogue()
        for start in range(0, PRODUCTS, _BATCH):
            stock = [{"product_id": number, "on_hand": 1000} for number, _ in self.products[start : start + _BATCH]]
            self._insert_many("stock", stock)

    def read_catalogue(self) -> None:
        """Learn what this side has inserted."""
        mine = f"id % {INCREMENT} = {OFFSETS[self.side] % INCREMENT}"
        with self.connection.cursor() as cursor:
            cursor.execute(f"SELECT id, price FROM products WHERE {mine} ORDER BY id")
            self.products = list(cursor.fetchall())
            cursor.execute(f"SELECT id FROM customers WHERE {mine} ORDER BY id")
            self.customers = [number for (number,) in cursor.fetchall()]

    def work(self) -> None:
        """Do one transaction, whichever the dice say. Raises MySQLError, with nothing of it done."""
        dice = self.dice.random()
        if dice < 0.08 and self._new:
            self._cancel(self._new.popleft())
        elif dice < 0.35 and self._new:
            self._pay(self._new.popleft())
        elif dice < 0.55 and self._paid:
            self._ship(self._paid.popleft())
        elif dice < 0.58:
            self._restock()
        elif dice < 0.61:
            self._change_address()
        else:
            self._place()

    def _place(self) -> None:
        """An order, its lines, the stock that they reserve, and its total."""
        chosen = sorted(self.dice.sample(range(len(self.products)), self.dice.randint(1, 5)))  # sorted: no deadlocks
        lines = [(*self.products[n], self.dice.randint(1, 4)) for n in chosen]
        total = sum((price * quantity for _, price, quantity in lines), Decimal(0))
        with self.connection.cursor() as cursor:
            self.connection.begin()
            rows = cursor.execute(
                "INSERT INTO orders (customer_id, note) VALUES (%s, %s)",
                (self.dice.choice(self.customers), self.dice.choice(_NOTES)),
            )
            number = int(cursor.lastrowid or 0)
            values = [(number, line, product, quantity, price) for line, (product, price, quantity) in enumerate(lines, start=1)]
            rows += cursor.executemany("INSERT INTO order_lines VALUES (%s, %s, %s, %s, %s)", values) or 0
            for product, _, quantity in lines:
                rows += cursor.execute(
                    "UPDATE stock SET on_hand = on_hand - %s, reserved = reserved + %s WHERE product_id = %s",
                    (quantity, quantity, product),
                )
            rows += cursor.execute("UPDATE orders SET total = %s WHERE id = %s", (total, number))
        self._commit(rows)
        self._new.append(Order(number, [(product, quantity) for product, _, quantity in lines], total))

    def _pay(self, order: Order) -> None:
        with self.connection.cursor() as cursor:
            self.connection.begin()
            method, token = self.dice.choice(("card", "transfer", "voucher")), self.dice.randbytes(32)
            rows = cursor.execute(
                "INSERT INTO payments (order_id, method, amount, paid_at, token) VALUES (%s, %s, %s, NOW(6), _binary %s)",
                (order.id, method, order.total, token),
            )
            rows += cursor.execute("UPDATE orders SET status = 'paid' WHERE id = %s", (order.id,))
        self._commit(rows)
        self._paid.append(order)

    def _ship(self, order: Order) -> None:
        with self.connection.cursor() as cursor:
            self.connection.begin()
            rows = cursor.execute("UPDATE orders SET status = 'shipped' WHERE id = %s", (order.id,))
            for product, quantity in order.lines:
                rows += cursor.execute("UPDATE stock SET reserved = reserved - %s WHERE product_id = %s", (quantity, product))
        self._commit(rows)

    def _cancel(self, order: Order) -> None:
        with self.connection.cursor() as cursor:
            self.connection.begin()
            rows = 0
            for product, quantity in order.lines:
                rows += cursor.execute(
                    "UPDATE stock SET on_hand = on_hand + %s, reserved = reserved - %s WHERE product_id = %s",
                    (quantity, quantity, product),
                )
            rows += cursor.execute("DELETE FROM order_lines WHERE order_id = %s", (order.id,))
            rows += cursor.execute("DELETE FROM orders WHERE id = %s", (order.id,))
        self._commit(rows)

    def _restock(self) -> None:
        start = self.dice.randrange(len(self.products) - 20)
        first, last = self.products[start][0], self.products[start + 19][0]
        with self.connection.cursor() as cursor:
            self.connection.begin()
            rows = cursor.execute(
                f"UPDATE stock SET on_hand = on_hand + 25 WHERE product_id BETWEEN %s AND %s"
                f" AND product_id % {INCREMENT} = {OFFSETS[self.side] % INCREMENT}".replace("% ", "%% "),
                (first, last),
            )
        self._commit(rows)

    def _change_address(self) -> None:
        with self.connection.cursor() as cursor:
            self.connection.begin()
            rows = cursor.execute(
                "UPDATE customers SET address = %s WHERE id = %s", (self._address(), self.dice.choice(self.customers))
            )
        self._commit(rows)

    def _commit(self, rows: int) -> None:
        self.connection.commit()
        self.transactions += 1
        self.rows += rows

    def _insert_many(self, table: str, rows: list[dict[str, Any]]) -> None:
        names = ", ".join(rows[0])
        with self.connection.cursor() as cursor:
            self.connection.begin()
            marks = ", ".join("_binary %s" if isinstance(value, bytes) else "%s" for value in rows[0].values())
            statement = f"INSERT INTO {table} ({names}) VALUES ({marks})"
            count = cursor.executemany(statement, [tuple(row.values()) for row in rows]) or 0
        self._commit(count)

    def _customer(self, number: int) -> dict[str, Any]:
        dice = self.dice
        born = f"{dice.randint(1940, 2005)}-{dice.randint(1, 12):02d}-{dice.randint(1, 28):02d}"
        return {
            "email": f"{self.side}.{number}@exämple.org",
            "name": f"{dice.choice(_FIRST)} {dice.choice(_LAST)}",
            "address": self._address(),
            "birthday": dice.choice((born, None)),
            "tags": dice.choice(_TAGS),
        }

    def _address(self) -> str:
        dice = self.dice
        street = f"{dice.choice(_LAST)}-Straße {dice.randint(1, 200)}"
        place = {"street": street, "city": dice.choice(_CITIES), "geo": [round(dice.uniform(-90, 90), 5), dice.random()]}
        return json.dumps({**place, "floor": dice.choice((None, 1, 2.5)), "lift": dice.random() < 0.5}, ensure_ascii=False)

    def _product(self, number: int) -> dict[str, Any]:
        dice = self.dice
        return {
            "sku": f"{self.side[0].upper()}-{number:06d}",
            "name": f"{dice.choice(_THINGS)} {dice.choice(_LAST)} {number}",
            "price": Decimal(dice.randint(99, 99999)) / 100,
            "weight_kg": dice.choice((None, dice.uniform(0.01, 30))),
            "attributes": json.dumps(
                {"colour": dice.choice(("blå", "紫", "red")), "sizes": [dice.randint(1, 60) for _ in range(3)]}
            ),
            "picture_hash": dice.randbytes(16),
            "description": dice.choice((None, "Nur für Kenner. " * dice.randint(1, 12))),
        }
