"""A server process that gives a thread only to requests that have come in whole.

gunicorn's threaded worker hands a connection to a thread as soon as it is there; a few clients
that send nothing, or a byte at a time, then hold all threads. Here the one loop that waits for
connections gathers their bytes as well, which costs no thread; who dawdles is let go. And a worker with more
connections than another lets that one take the next: of a few clients that keep their connections
open, as nginx does, all could else sit with one process while its neighbour has nothing to do.
"""

from __future__ import annotations

import io
import mmap
import re
import resource
import selectors
import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count
from typing import Any

from gunicorn import http
from gunicorn.workers.gthread import ThreadWorker

from service.cores import keep_to_a_core

CONNECTIONS = 4_000
"""Connections that one process keeps open at once."""

HEAD_BYTES = 64 * 1024
"""As long as a head may be, and as much of a body as is always kept."""

PLACES = 128
"""For workers at once: twice the most there may be, for while new ones take over from old ones."""

NOBODY = 2**32 - 1

GRACE_SECONDS = 15.0
LEAST_RATE = 8 * 1024
"""Bytes a second that a sender must manage after the grace."""

MOST_HELD = 64 * 1024 * 1024
"""Bytes of unfinished bodies longer than a head, in one process."""

LINGER_SECONDS = 2.0
LINGER_BYTES = 1024 * 1024
LEAVING = 1_000
"""How long, for how much, and how many answered connections wait for the other side to close."""

YIELD_SECONDS = 0.001
"""How long a worker with more connections waits for one with fewer to take the next."""

WAIT_SECONDS = 30.0
"""Longest wait of a thread for one read or one write."""

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*0*([0-9]+)[ \t]*\r\n", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:", re.IGNORECASE)
_EXPECTS = re.compile(rb"\r\nexpect:[ \t]*100-continue", re.IGNORECASE)


class _Source:
    """What the parser reads from: first what was gathered, then the connection."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._gathered = memoryview(b"")

    def give(self, gathered: bytes) -> None:
        """Read this before the connection."""
        self._gathered = memoryview(gathered)

    def take(self) -> bytes:
        """What was gathered and not read."""
        rest, self._gathered = bytes(self._gathered), memoryview(b"")
        return rest

    def recv(self, size: int) -> bytes:
        """As a socket's; large bodies are handed out piece by piece and not copied each time."""
        if not self._gathered:
            return self._sock.recv(size)
        piece, self._gathered = bytes(self._gathered[:size]), self._gathered[size:]
        return piece

    def gettimeout(self) -> float | None:
        """As a socket's."""
        return self._sock.gettimeout()

    def settimeout(self, seconds: float | None) -> None:
        """As a socket's."""
        self._sock.settimeout(seconds)


@dataclass(slots=True)
class _Gathering:
    """What has come of one request."""

    connection: Any
    received: bytearray
    since: float
    size: int | None = None  # of the whole request, once the head is there
    chunked: bool = False

    def read_head(self, *, most_body: int) -> bool:
        """Learn from the head, if it is there, how much belongs to the request."""
        end = self.received.find(b"\r\n\r\n")
        if end < 0:
            return False
        head = bytes(self.received[: end + 2])
        self.chunked = _CHUNKED.search(head) is not None
        length = _LENGTH.search(head)
        body = int(length[1][:18]) if length and not self.chunked else 0  # no petabytes either
        # What is too long is refused by the application, unread, and nothing can follow it.
        self.connection.is_last = body > most_body
        self.size = end + 4 + (0 if self.connection.is_last else body)
        return bool(self.size > len(self.received) or self.chunked) and bool(_EXPECTS.search(head))

    def is_whole(self, *, most_body: int) -> bool:
        """Whether a thread would not have to wait for the rest."""
        if self.size is None:
            return False
        if self.chunked:
            body = len(self.received) - self.size
            return body > most_body or (body > 0 and self.received.endswith(b"0\r\n\r\n"))
        return len(self.received) >= self.size

    def is_late(self, now: float) -> bool:
        """Whether the sender has used up its patience."""
        return now > self.since + GRACE_SECONDS + len(self.received) / LEAST_RATE

    def held(self) -> int:
        """Bytes that count against `MOST_HELD`."""
        return max(0, len(self.received) - HEAD_BYTES)


def allow_open_files() -> None:
    """Let this process and its children open as many files as the system allows it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * CONNECTIONS
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


# Of each worker by its place; made before the fork and shared by all.
_connections = memoryview(mmap.mmap(-1, PLACES * 4)).cast("I")
for _place in range(PLACES):
    _connections[_place] = NOBODY


class PatientWorker(ThreadWorker):  # type: ignore[misc]
    """gunicorn's threaded worker, with the gathering before the threads."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._gathering: dict[Any, _Gathering] = {}
        self._leaving: dict[Any, tuple[float, int]] = {}  # until when, and what came since
        self._most_body = 0
        self.place = 0  # among the workers that are alive

    def take_place(self, others: Iterable[PatientWorker]) -> None:
        """Take the first place that none of the others has; called before the fork."""
        taken = {other.place for other in others}
        self.place = next(place for place in count() if place not in taken)

    def leave_place(self) -> None:
        """Let go of the place; called by the process that noticed the end of this one."""
        _connections[self.place] = NOBODY

    def init_process(self) -> None:
        keep_to_a_core(self.place, workers=self.cfg.workers)
        _connections[self.place] = 0
        super().init_process()

    def accept(self, listener: Any) -> None:
        """Take the next connection, unless a worker with fewer is quick enough."""
        if self.nr_conns > min(_connections):
            time.sleep(YIELD_SECONDS)
        super().accept(listener)
        _connections[self.place] = self.nr_conns

    def load_wsgi(self) -> None:
        super().load_wsgi()
        self._most_body = self.wsgi.config["MAX_CONTENT_LENGTH"] or MOST_HELD

    def enqueue_req(self, conn: Any) -> None:
        """Gather a request of this connection; a thread gets it when it is whole."""
        if conn.parser is None:
            conn.parser = http.get_parser(self.cfg, _Source(conn.sock), conn.client)
            # gunicorn's own close would have the loop wait for each client that does not.
            conn.close = lambda graceful=False: self._part(conn, graceful=graceful)
        conn.data_ready = True
        left_over = conn.parser.unreader.buf.getvalue()
        conn.parser.unreader.buf = io.BytesIO()
        conn.sock.setblocking(False)
        self._receive(_Gathering(conn, bytearray(left_over), time.monotonic()))

    def murder_pending(self) -> None:
        """Let go of who dawdles; at the end also of who has said nothing yet."""
        super().murder_pending()
        _connections[self.place] = self.nr_conns
        now = time.monotonic()
        for one in list(self._gathering.values()):
            if one.is_late(now) or not (self.alive or one.received):
                self._refuse(one, b"408 Request Timeout" if one.received else b"")
        for connection, (ends, _) in list(self._leaving.items()):
            if now > ends:
                self._see_off(connection)

    def handle(self, conn: Any) -> Any:
        """Answer in a thread; what came behind the request is left where the worker looks."""
        outcome = super().handle(conn)
        unreader = conn.parser.unreader
        unreader.buf.seek(0, io.SEEK_END)
        unreader.buf.write(unreader.sock.take())
        return outcome

    def handle_request(self, req: Any, conn: Any) -> Any:
        """Answer; no read or write of the thread waits for ever."""
        conn.sock.settimeout(WAIT_SECONDS)
        return super().handle_request(req, conn)

    def _keepalive_after(self, conn: Any, keepalive: Any) -> bool:
        return not conn.is_last and bool(super()._keepalive_after(conn, keepalive))

    def _receive(self, gathering: _Gathering) -> None:
        sock: socket.socket = gathering.connection.sock
        try:
            arrived = sock.recv(HEAD_BYTES)
        except BlockingIOError:
            arrived = None
        except OSError:
            arrived = b""
        if arrived == b"":
            self._refuse(gathering, b"")
            return
        gathering.received += arrived or b""
        if gathering.size is None and gathering.read_head(most_body=self._most_body):
            sock.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        if gathering.is_whole(most_body=self._most_body):
            self._forget(gathering)
            gathering.connection.parser.unreader.sock.give(bytes(gathering.received))
            super().enqueue_req(gathering.connection)
        elif gathering.size is None and len(gathering.received) > HEAD_BYTES:
            self._refuse(gathering, b"431 Request Header Fields Too Large")
        elif gathering.held() and sum(one.held() for one in self._gathering.values()) > MOST_HELD:
            self._refuse(gathering, b"503 Service Unavailable\r\nRetry-After: 5")
        elif gathering.connection not in self._gathering:  # most come whole, and never wait
            self._gathering[gathering.connection] = gathering
            self.poller.register(
                sock, selectors.EVENT_READ, lambda _socket: self._receive(gathering)
            )

    def _refuse(self, gathering: _Gathering, status: bytes) -> None:
        self._forget(gathering)
        connection = gathering.connection
        if status:
            line = b"HTTP/1.1 %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" % status
            try:
                connection.sock.send(line)
            except OSError:
                self.log.debug("gone before it was refused")
        self.nr_conns -= 1
        connection.close()

    def _forget(self, gathering: _Gathering) -> None:
        if self._gathering.pop(gathering.connection, None) is not None:
            self.poller.unregister(gathering.connection.sock)

    def _part(self, connection: Any, *, graceful: bool) -> None:
        """Close; in good order only after the other side, lest its last bytes undo our answer."""
        try:
            if graceful and len(self._leaving) < LEAVING:
                connection.sock.shutdown(socket.SHUT_WR)
                connection.sock.setblocking(False)
                self.poller.register(
                    connection.sock, selectors.EVENT_READ, lambda _socket: self._drain(connection)
                )
                self._leaving[connection] = (time.monotonic() + LINGER_SECONDS, 0)
                return
        except OSError:
            self.log.debug("gone before we were")
        type(connection).close(connection)

    def _drain(self, connection: Any) -> None:
        ends, came = self._leaving[connection]
        try:
            arrived = len(connection.sock.recv(HEAD_BYTES))
        except BlockingIOError:
            return
        except OSError:
            arrived = 0
        self._leaving[connection] = (ends, came + arrived)
        if not arrived or came + arrived > LINGER_BYTES:
            self._see_off(connection)

    def _see_off(self, connection: Any) -> None:
        del self._leaving[connection]
        self.poller.unregister(connection.sock)
        type(connection).close(connection)
