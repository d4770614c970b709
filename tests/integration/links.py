"""Links that a test can spoil: connections to a port of this machine, through a thread that hands on what comes, or does not."""

import contextlib
import selectors
import socket
import struct
import threading

_PIECE = 1 << 16


class Link:
    """Listens at `port` and hands everything on to `target`, both ways."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listening, selectors.EVENT_READ)
        self._ends: dict[socket.socket, socket.socket] = {}  # each end of a connection → the other one
        self._dead: list[socket.socket] = []
        self._silent = self._closed = False
        self._damage: tuple[bytes, bytes] | None = None
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="link", daemon=True)
        self._thread.start()

    def vanish(self) -> None:
        """From now on nothing comes through, and nobody is told: connections stay open, new ones are never answered."""
        with self._lock:
            self._silent = True
            for end in self._ends:
                self._selector.unregister(end)
            self._dead += self._ends
            self._ends.clear()

    def restore(self) -> None:
        """New connections come through again; those that were there stay as they are."""
        with self._lock:
            self._silent = False

    def damage(self, text: bytes) -> None:
        """Change a bit of these bytes where they next come by, once."""
        self._damage = text, bytes([text[0] ^ 1]) + text[1:]

    @property
    def damaged(self) -> bool:
        """Whether that has happened."""
        return self._damage is None

    def close(self) -> None:
        """End everything."""
        self._closed = True
        self._thread.join()
        for link in (*self._ends, *self._dead, self._listening):
            link.close()

    def _run(self) -> None:
        while not self._closed:
            for key, _ in self._selector.select(0.05):
                with self._lock:
                    found = key.fileobj
                    assert isinstance(found, socket.socket)
                    if found is self._listening:
                        self._accept()
                    elif found in self._ends:
                        self._hand_on(found)

    def _accept(self) -> None:
        near, _ = self._listening.accept()
        if self._silent:
            self._dead.append(near)
            return
        try:
            far = socket.create_connection(("127.0.0.1", self._target))
        except OSError:
            near.close()
            return
        for end, other in ((near, far), (far, near)):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._ends[end] = other
            self._selector.register(end, selectors.EVENT_READ)

    def _hand_on(self, end: socket.socket) -> None:
        other = self._ends[end]
        try:
            data = end.recv(_PIECE)
            if data:
                self._pass(end, other, data)
                return
        except OSError:
            data = b""
        for each in (end, other):
            del self._ends[each]
            self._selector.unregister(each)
            with contextlib.suppress(OSError):
                each.close()

    def _pass(self, _end: socket.socket, other: socket.socket, data: bytes) -> None:
        if self._damage is not None and self._damage[0] in data:
            data, self._damage = data.replace(*self._damage, 1), None
        other.sendall(data)


class RefusingLink(Link):
    """A link to a Kafka broker that answers a topic's first Produce request itself: not the leader, as a new one may say."""

    def __init__(self, target: int, topic: str) -> None:
        super().__init__(target)
        self._topic = topic.encode()
        self._begun: dict[socket.socket, bytes] = {}  # an end → the beginning of a request of which more is to come
        self.refused = 0

    def _pass(self, end: socket.socket, other: socket.socket, data: bytes) -> None:
        if end.getsockname()[1] != self.port:
            other.sendall(data)
            return
        data = self._begun.pop(end, b"") + data
        while len(data) >= 4 and len(data) >= (size := 4 + int.from_bytes(data[:4], "big")):
            request, data = data[:size], data[size:]
            kind, version, number = struct.unpack(">hhi", request[4:12])
            if kind == 0 and not self.refused and self._topic in request:
                assert version == 10, f"this is written for version 10 of Produce, the client uses {version}"
                self.refused += 1
                end.sendall(self._refusal(number))
            else:
                other.sendall(request)
        self._begun[end] = data

    def _refusal(self, number: int) -> bytes:
        """Of partition 0, as the protocol has it: https://kafka.apache.org/protocol, Produce Response (Version: 10)."""
        partition = struct.pack(">ihqqq", 0, 6, -1, -1, -1) + b"\x01\x00\x00"  # NOT_LEADER_OR_FOLLOWER; no offset, no text
        topic = bytes([len(self._topic) + 1]) + self._topic + b"\x02" + partition + b"\x00"
        answer = struct.pack(">i", number) + b"\x00\x02" + topic + struct.pack(">i", 0) + b"\x00"
        return struct.pack(">i", len(answer)) + answer
