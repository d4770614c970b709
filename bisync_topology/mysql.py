"""Connections to a side: one place for TLS, time-outs and the session that every statement of ours relies on."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import sys
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from pymysql.connections import Connection
from pymysql.constants import CLIENT

from bisync_topology.errors import UsageError
from bisync_topology.topology import MySQL, Ssl, SslMode

CONNECT_TIMEOUT = 10.0  # seconds
# how often something is to be heard on a link (the variable is for tests of dead links)
HEARTBEAT_SECONDS = float(os.environ.get("BISYNC_TEST_HEARTBEAT", "5"))
# A link on which nothing was heard for longer is dead, though it may be open; less than two, so that it is also told within two.
DEAD_SECONDS = 1.8 * HEARTBEAT_SECONDS
READ_TIMEOUT = 120.0  # seconds; longer than innodb_lock_wait_timeout, so that the server answers first


def ssl_context(settings: Ssl) -> ssl.SSLContext | None:
    """The context that stream, control and apply connections share; None without TLS, and for `preferred`.

    PyMySQL's own options verify nothing unless told to twice, so the context is made here.
    """
    if settings.mode in (SslMode.DISABLED, SslMode.PREFERRED):
        return None
    paths = [None if path is None else str(path) for path in (settings.ca, settings.cert, settings.key)]
    try:
        written = tuple(Path(path).stat().st_mtime_ns for path in paths if path is not None)
        return _context(settings.mode, *paths, written)
    except OSError as error:  # ssl.SSLError is one
        raise UsageError(f"the TLS files cannot be read: {error}", hint="check ssl.ca, ssl.cert and ssl.key") from error


@lru_cache(maxsize=4)
def _context(mode: SslMode, ca: str | None, cert: str | None, key: str | None, _written: tuple[int, ...]) -> ssl.SSLContext:
    """_written: when the files were last changed, as certificates are renewed while we run."""
    context = ssl.create_default_context(cafile=ca)
    if cert is not None:
        context.load_cert_chain(cert, key, password="")  # a key that has one is refused; OpenSSL would ask on the terminal
    context.check_hostname = mode is SslMode.VERIFY_IDENTITY
    if mode is SslMode.REQUIRED:
        context.verify_mode = ssl.CERT_NONE
    return context


@cache
def _unverified() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class _Connection(Connection):
    """For `preferred` PyMySQL makes a context a connection, and reads all the system's authorities each time, to ask none."""

    def _create_ssl_ctx(self, sslp: Any) -> ssl.SSLContext:
        return sslp if isinstance(sslp, ssl.SSLContext) else _unverified()


def connection_settings(mysql: MySQL) -> dict[str, Any]:
    """Keyword arguments for `pymysql.connect` that reach one side."""
    return {
        "host": mysql.host,
        "port": mysql.port,
        "user": mysql.user,
        "password": mysql.password.get_secret_value(),
        "charset": "utf8mb4",
        "connect_timeout": CONNECT_TIMEOUT,
        "ssl": ssl_context(mysql.ssl),
        "ssl_disabled": mysql.ssl.mode is SslMode.DISABLED,
    }


def connect(mysql: MySQL, *, autocommit: bool = True, read_timeout: float = READ_TIMEOUT, **more: Any) -> Connection[Any]:
    """A connection whose counts of affected rows are counts of matched rows.

    The session's wait_timeout bounds how long the server keeps locks of a process that was frozen or cut off.
    Raises pymysql.err.MySQLError; bisync_topology.errors.rule_for knows what to do about it.
    """
    connection: Any = _Connection(
        **connection_settings(mysql),
        autocommit=autocommit,
        read_timeout=min(read_timeout, CONNECT_TIMEOUT),  # a greeting that does not come is not waited for as an answer is
        write_timeout=read_timeout,
        client_flag=CLIENT.FOUND_ROWS,
        **more,
    )
    connection._read_timeout = read_timeout
    keep_watch(connection._sock)
    return connection  # type: ignore[no-any-return]


def keep_watch(link: socket.socket) -> None:
    """Let the kernel end a link whose other end acknowledges nothing for DEAD_SECONDS, also while an answer is waited for.

    So a statement may take as long as it takes: the other end's kernel acknowledges meanwhile.
    """
    link.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if sys.platform == "linux":  # elsewhere time-outs alone find a dead link
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, int(HEARTBEAT_SECONDS))
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 1)
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, max(1, int(DEAD_SECONDS - HEARTBEAT_SECONDS)))
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(DEAD_SECONDS * 1000))


def interrupt(connection: Connection[Any] | None) -> None:
    """From another thread: let whoever waits for an answer on this connection find it lost."""
    link = None if connection is None else connection._sock  # type: ignore[attr-defined]
    if link is not None:
        with contextlib.suppress(OSError):  # it is lost already
            link.shutdown(socket.SHUT_RDWR)
