"""The webhook against a real receiver: signed, at least once, and patient with one that is down."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from conftest import Clock
from made_submissions import new

from classifier.errors import SettingRefused
from service import webhook
from service.settings import read_settings
from service.store import Store
from service.store.records import Action
from service.webhook import MOST_ATTEMPTS, Courier, Target, read_target, wait_after

KEY = b"a secret of the newsroom"


@dataclass
class Letter:
    """What the receiver got."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def said(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found


@dataclass
class Receiver:
    """A CMS that takes letters, or answers something else."""

    port: int = 0
    letters: list[Letter] = field(default_factory=list)
    answer: Callable[[int], int] = lambda _: 204  # number of the letter → status

    @property
    def target(self) -> Target:
        return Target(f"http://127.0.0.1:{self.port}/hook?desk=1", KEY)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A real HTTP server on loopback."""
    found = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            found.letters.append(Letter(self.path, headers, body))
            status = found.answer(len(found.letters))
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("Location", f"http://127.0.0.1:{found.port}/elsewhere")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


def courier_of(store: Store, target: Target) -> Courier:
    return Courier(store, target, chance=lambda: 0.0)


def test_every_event_arrives_signed(store: Store, clock: Clock, receiver: Receiver) -> None:
    """And the signature is what anybody computes from id, time, body and the shared secret."""
    courier = courier_of(store, receiver.target)
    store.submissions.add([new("早先的")])
    courier.carry()  # from here on
    one = store.submissions.add([new("河长巡河", external_id="cms-7")]).submissions[0]
    store.reviews.review(one.id, Action.NONE, by="王主任")
    assert courier.carry() == 2

    assert [letter.said["type"] for letter in receiver.letters] == ["received", "settled"]
    assert receiver.letters[1].said["data"]["external_id"] == "cms-7"
    for letter in receiver.letters:
        assert letter.path == "/hook?desk=1"
        id, at = letter.headers["webhook-id"], letter.headers["webhook-timestamp"]
        assert int(at) == int(clock().timestamp())
        signed = id.encode() + b"." + at.encode() + b"." + letter.body
        computed = base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
        assert letter.headers["webhook-signature"] == f"v1,{computed}"
    assert courier.carry() == 0 and len(receiver.letters) == 2


def test_a_letter_not_taken_comes_again_later_with_the_same_id(
    store: Store, clock: Clock, receiver: Receiver
) -> None:
    """Not at once, but when the wait is over; and then no more."""
    courier = courier_of(store, receiver.target)
    courier.carry()
    store.submissions.add([new("甲")])
    receiver.answer = lambda number: 503 if number < 3 else 200

    assert courier.carry() == 0 and courier.carry() == 0 and len(receiver.letters) == 1
    clock.now += timedelta(seconds=6)
    assert courier.carry() == 0 and len(receiver.letters) == 2
    clock.now += timedelta(seconds=11)
    assert courier.carry() == 1
    clock.now += timedelta(days=1)
    assert courier.carry() == 0 and len(receiver.letters) == 3
    assert len({letter.headers["webhook-id"] for letter in receiver.letters}) == 1
    assert len({letter.headers["webhook-timestamp"] for letter in receiver.letters}) == 3


def test_after_days_a_letter_is_given_up_and_says_why(
    store: Store, clock: Clock, receiver: Receiver
) -> None:
    """It stays to be seen as failed; later letters go on."""
    courier = courier_of(store, receiver.target)
    courier.carry()
    store.submissions.add([new("甲")])
    began = clock.now
    receiver.answer = lambda _: 500
    while (wait := wait_after(len(receiver.letters) + 1)) is not None:
        courier.carry()
        clock.now += wait
    courier.carry()
    lasted = clock.now - began

    (delivery,) = store.events.deliveries(receiver.target.url)
    assert (delivery.state, delivery.attempts) == ("failed", MOST_ATTEMPTS)
    assert "500" in delivery.error
    assert timedelta(days=2) < lasted < timedelta(days=4)
    receiver.answer = lambda _: 204
    store.submissions.add([new("乙")])
    assert courier.carry() == 1


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(store: Store, receiver: Receiver, status: int) -> None:
    """A signed letter goes to the address that was set and to no other."""
    courier = courier_of(store, receiver.target)
    courier.carry()
    store.submissions.add([new("甲")])
    receiver.answer = lambda _: status

    assert courier.carry() == 0
    assert [letter.path for letter in receiver.letters] == ["/hook?desk=1"]
    assert str(status) in store.events.deliveries(receiver.target.url)[0].error


def test_nobody_there_loses_nothing(store: Store, clock: Clock, receiver: Receiver) -> None:
    """A closed port, then the receiver: every event arrives in the end."""
    nowhere = Target("http://127.0.0.1:9/hook", KEY)
    courier = courier_of(store, nowhere)
    courier.carry()
    store.submissions.add([new(f"稿{number}") for number in range(7)])
    assert courier.carry() == 0
    assert "连不上" in store.events.deliveries(nowhere.url)[-1].error

    courier._target = Target(nowhere.url, KEY)
    connect = webhook._connect
    webhook._connect = lambda _: connect(receiver.target.url)
    try:
        for _ in range(20):
            clock.now += timedelta(minutes=1)
            courier.carry()
    finally:
        webhook._connect = connect
    said = [letter.said["seq"] for letter in receiver.letters]
    assert sorted(said) == [*range(1, 8)]


def test_two_processes_do_not_send_twice(store: Store, receiver: Receiver) -> None:
    """Each letter is one courier's while he has it in hand."""
    couriers = [courier_of(store, receiver.target) for _ in range(3)]
    for courier in couriers:
        courier.carry()
    store.submissions.add([new(f"稿{number}") for number in range(30)])
    threads = [threading.Thread(target=courier.carry) for courier in couriers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    couriers[0].carry()

    assert sorted(letter.said["seq"] for letter in receiver.letters) == [*range(1, 31)]


def test_the_thread_carries_on_and_stops(store: Store, receiver: Receiver) -> None:
    """Started once, it takes what comes; stopped, it is gone."""
    courier = courier_of(store, receiver.target)
    courier.carry()  # from here on
    courier.start(interval=0.05)
    store.submissions.add([new("甲")])
    ends = time.monotonic() + 60
    while not receiver.letters and time.monotonic() < ends:
        time.sleep(0.02)
    courier.stop()
    store.submissions.add([new("乙")])

    assert len(receiver.letters) == 1
    assert "webhook" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize(
    ("url", "secret", "where"),
    [
        ("ftp://cms/hook", "x" * 16, "webhook_url"),
        ("cms/hook", "x" * 16, "webhook_url"),
        ("http://", "x" * 16, "webhook_url"),
        ("https://user:word@cms/hook", "x" * 16, "webhook_url"),
        ("https://cms:x/hook", "x" * 16, "webhook_url"),
        ("https://cms/a b", "x" * 16, "webhook_url"),
        ("https://cms/钩", "x" * 16, "webhook_url"),
        ("https://cms/hook", "", "webhook_secret"),
        ("https://cms/hook", "short", "webhook_secret"),
        ("https://cms/hook", "whsec_not base64!", "webhook_secret"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused_at_start(
    url: str, secret: str, where: str
) -> None:
    """With its name; a secret is not told."""
    given = read_settings({}).replaced({"webhook_url": url, "webhook_secret": secret})
    with pytest.raises(SettingRefused) as refused:
        read_target(given)

    assert refused.value.where == where
    assert not secret or secret not in str(refused.value)


def test_the_secret_of_standard_webhooks_is_read_as_they_say() -> None:
    """`whsec_` and base64; the vector is theirs."""
    given = read_settings({}).replaced(
        {
            "webhook_url": "https://cms.example.cn/hook",
            "webhook_secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        }
    )
    target = read_target(given)
    assert target is not None
    made = webhook.signature(
        target.key,
        id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        timestamp=1614265330,
        body=b'{"test": 2432232314}',
    )

    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert read_target(read_settings({})) is None
