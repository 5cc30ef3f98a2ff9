"""Claims about service.patience, on a real server: who sends slowly keeps nobody waiting."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest
from conftest import copied_models
from running import Running, running, wait_until

from service import patience

HEAD = b"POST /v1/predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
ARTICLE = json.dumps({"text": "镇里的河长下河捞垃圾，护河队员清理河道。"}).encode()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, served_models: Path) -> Iterator[Running]:
    """One process with two threads: three slow clients would be enough to stop a plain one."""
    folder = tmp_path_factory.mktemp("patience")
    copied_models(served_models, folder / "models")
    with running(folder, threads=2) as started:
        yield started


def connected(server: Running) -> socket.socket:
    """A connection."""
    return socket.create_connection(("127.0.0.1", server.port), timeout=60)


@pytest.mark.parametrize(
    "sent",
    [b"", b"GET", HEAD, HEAD + b"Content-Length: 500\r\n\r\n{", HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{"],
    ids=["nothing", "a word", "half a head", "half a body", "half a chunk"],
)  # fmt: skip
def test_a_thousand_who_say_no_more_keep_nobody_waiting(server: Running, sent: bytes) -> None:
    """With 1,000 such connections open every other request is answered."""
    with ExitStack() as open_ones:
        for _ in range(1_000):
            one = open_ones.enter_context(connected(server))
            one.sendall(sent)
        for _ in range(5):
            assert server.ask("GET", "/healthz").status == 200
            assert server.ask("POST", "/v1/predict", json_body={"text": "河长"}).status == 200


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n",
        HEAD + b"Content-Length: 100000000\r\n\r\n",
        b"nonsense\r\n\r\n",
    ],
    ids=["answered", "refused unread", "no request"],
)
def test_who_does_not_hang_up_keeps_nobody_waiting(server: Running, sent: bytes) -> None:
    """Two hundred have their answer and stay on the line: the loop does not wait for them.

    If it did, two seconds for each, the time of a request would long be over.
    """
    with ExitStack() as open_ones:
        for _ in range(200):
            open_ones.enter_context(connected(server)).sendall(sent)
        for _ in range(5):
            assert server.ask("GET", "/healthz").status == 200


def test_a_request_that_comes_byte_by_byte_is_answered(server: Running) -> None:
    """Slow is not wrong."""
    request = HEAD + b"Content-Length: %d\r\n\r\n" % len(ARTICLE) + ARTICLE
    with connected(server) as one:
        for place in range(len(request)):
            one.sendall(request[place : place + 1])
        assert one.recv(15) == b"HTTP/1.1 200 OK"


def test_requests_one_behind_the_other_are_all_answered(server: Running) -> None:
    """Also where the last of them is cut in two."""
    with connected(server) as one:
        told = b""
        for sent, answers in ((HEALTH * 7 + HEALTH[:20], 7), (HEALTH[20:], 8)):
            one.sendall(sent)
            while told.count(b'"status"') < answers:
                arrived = one.recv(65536)
                assert arrived
                told += arrived
    assert told.count(b"200 OK") == 8


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_of_twenty_megabytes_costs_no_more_than_its_size(
    server: Running, chunked: bool
) -> None:
    """Eight times the size is about eight times the work, over a connection that then serves on."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)

    def cost(size: int) -> float:
        before = server.spent()
        body = ARTICLE + b" " * size
        pieces = (body[at : at + 65536] for at in range(0, len(body), 65536))
        connection.request(
            "POST",
            "/v1/predict",
            body=pieces if chunked else body,
            headers={"Content-Type": "application/json"},
            encode_chunked=chunked,
        )
        reply = connection.getresponse()
        assert reply.status == 200
        assert json.loads(reply.read())["results"]
        return server.spent() - before

    whole = 19 * 1024 * 1024
    eighth = max(min(cost(whole // 8) for _ in range(2)), 0.03)
    assert any(cost(whole) < 30 * eighth for _ in range(3))
    connection.request("GET", "/healthz")
    assert connection.getresponse().status == 200
    connection.close()


def test_who_asks_before_sending_is_told_to_go_on(server: Running) -> None:
    """`Expect: 100-continue` is answered before the body is there."""
    with connected(server) as one:
        one.sendall(HEAD + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(ARTICLE))
        assert one.recv(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        one.sendall(ARTICLE)
        told = b""
        while b"200 OK" not in told:
            arrived = one.recv(65536)
            assert arrived
            told += arrived


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 200_000, b"431"),
        (HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n" + b"{}    ", b"400"),
        (HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"400"),
        (HEAD + b"Content-Length: -5\r\n\r\n", b"400"),
        (HEAD + b"Content-Length: 9999999999999999999999\r\n\r\n", b"413"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b"400"),
    ],
    ids=["endless head", "two lengths", "length and chunks", "negative", "huge", "tls"],
)
def test_a_head_that_makes_no_sense_is_refused_at_once(
    server: Running, sent: bytes, status: bytes
) -> None:
    """And the connection is closed, so that nothing behind it is taken for a request."""
    with connected(server) as one:
        told = b""
        try:
            one.sendall(sent)
            while arrived := one.recv(65536):
                told += arrived
        except ConnectionError:
            assert status == b"431"  # closed while we were still sending
        assert told[9:12] == status or not told
    assert server.ask("GET", "/healthz").status == 200


def test_a_connection_may_be_late_by_its_size_and_no_more() -> None:
    """Nothing in 15 seconds is too slow; 8 KiB a second for ever is not."""
    one = patience._Gathering(None, bytearray(), 0.0)
    assert not one.is_late(14.9)
    assert one.is_late(15.1)
    one.received += b"x" * 80 * 1024
    assert not one.is_late(24.9)
    assert one.is_late(25.1)


def test_connections_that_stay_open_are_shared_between_the_workers(
    tmp_path: Path, served_models: Path
) -> None:
    """Of forty opened at once neither of two processes is left with hardly any."""
    copied_models(served_models, tmp_path / "models")
    with running(tmp_path, workers=2) as server, ExitStack() as stack:
        both = psutil.Process(server.process.pid).children
        wait_until(lambda: len(both()) == 2, while_alive=server)

        def held() -> list[int]:
            return [
                sum(one.status == psutil.CONN_ESTABLISHED for one in worker.net_connections())
                for worker in both()
            ]

        for _ in range(40):
            stack.enter_context(connected(server))
        wait_until(lambda: sum(held()) == 40, while_alive=server)
        assert min(held()) >= 5
