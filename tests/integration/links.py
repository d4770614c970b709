"""Links that a test can spoil: connections to a port of this machine, through a thread that hands on what comes, or does not."""

import contextlib
import selectors
import socket
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
                if self._damage is not None and self._damage[0] in data:
                    data, self._damage = data.replace(*self._damage, 1), None
                other.sendall(data)
                return
        except OSError:
            data = b""
        for each in (end, other):
            del self._ends[each]
            self._selector.unregister(each)
            with contextlib.suppress(OSError):
                each.close()
