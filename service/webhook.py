"""The webhook: every event is told to one address, signed, until it is taken or days have passed.

The signature is that of Standard Webhooks, for which libraries exist in most languages: HMAC-SHA256
of `id.timestamp.body` in `webhook-signature: v1,<base64>`. At least once, and mostly in order: the
receiver knows a repetition by `webhook-id`, and what is older than it has by `data.version`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import http.client
import json
import logging
import random
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from classifier.errors import GaoqianError, SettingRefused
from service.settings import Settings
from service.store import Store
from service.store.records import Delivery, Event

TIMEOUT_SECONDS = 10.0
FIRST_RETRY = timedelta(seconds=5)
LONGEST_RETRY = timedelta(hours=6)
MOST_ATTEMPTS = 22
"""With the waits above: given up after about three days."""

_TOGETHER = 5
_LEASE = timedelta(seconds=_TOGETHER * 3 * TIMEOUT_SECONDS)
_ENCODED = "whsec_"  # how a secret of Standard Webhooks begins
_LONGEST_PAUSE = 60.0  # seconds, while nobody is there

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Target:
    """Where letters go, and the key they are signed with."""

    url: str
    key: bytes

    @property
    def address(self) -> str:
        """Path and query, as a request names them."""
        parts = urlsplit(self.url)
        return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def read_target(settings: Settings) -> Target | None:
    """The webhook of the settings, None without one; raises SettingRefused."""
    url, secret = str(settings["webhook_url"]), str(settings["webhook_secret"])
    if not url:
        return None
    try:
        parts = urlsplit(url)
        sound = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        sound = False
    if not sound or "@" in parts.netloc or not url.isascii() or not url.isprintable() or " " in url:
        raise SettingRefused(
            "webhook 地址读不懂", where="webhook_url", fix="应是 https://主机/路径，不带用户名密码"
        )
    if len(secret) < 16:
        raise SettingRefused(
            "没有密钥，或短于 16 个字符", where="webhook_secret", fix="请设一个长的随机密钥"
        )
    return Target(url, _key(secret))


def _key(secret: str) -> bytes:
    if secret.startswith(_ENCODED):
        try:
            return base64.b64decode(secret.removeprefix(_ENCODED), validate=True)
        except binascii.Error:
            raise SettingRefused("whsec_ 之后不是 base64", where="webhook_secret") from None
    return secret.encode()


def signature(key: bytes, *, id: str, timestamp: int, body: bytes) -> str:
    """The value of `webhook-signature`.

    >>> signature(b"0123456789abcdef", id="evt_1", timestamp=1795509000, body=b"{}")
    'v1,ilbJFkXp4KX7KUgvFFyN1jvsOWNNjOCOxUH0oFXA8As='
    """
    signed = hmac.digest(key, f"{id}.{timestamp}.".encode() + body, hashlib.sha256)
    return f"v1,{base64.b64encode(signed).decode()}"


def told(event: Event) -> dict[str, Any]:
    """An event as JSON, the same for the webhook and for listeners on /v1/events."""
    return {
        "seq": event.seq,
        "type": event.kind,
        "timestamp": event.at.isoformat().replace("+00:00", "Z"),
        "data": {**event.payload},
    }


def wait_after(attempts: int, *, chance: float = 0.0) -> timedelta | None:
    """How long to wait after so many attempts, up to a fifth longer by chance; None: give up.

    >>> [str(wait_after(n)) for n in (1, 2, 3, 13, 21, 22)]
    ['0:00:05', '0:00:10', '0:00:20', '5:41:20', '6:00:00', 'None']
    """
    if attempts >= MOST_ATTEMPTS:
        return None
    doubled: timedelta = FIRST_RETRY * 2 ** (attempts - 1)
    return min(doubled, LONGEST_RETRY) * (1 + 0.2 * chance)


class Courier:
    """Carries letters to a target; any number of processes may have one for the same."""

    def __init__(
        self, store: Store, target: Target, *, chance: Callable[[], float] = random.random
    ) -> None:
        self._store = store
        self._target = target
        self._chance = chance
        self._seen = -1
        self._failures = 0  # in a row
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def carry(self) -> int:
        """Send all that is due now; returns how many letters were taken.

        After a letter that finds nobody the rest of the round waits as well.
        """
        last = self._store.events.last()
        if last != self._seen:
            self._store.events.enqueue(self._target.url)
            self._seen = last
        taken = 0
        while due := self._store.events.due(self._target.url, limit=_TOGETHER, lease=_LEASE):
            for place, delivery in enumerate(due):
                problem = self._send(delivery)
                if problem is None:
                    self._store.events.delivered(delivery.id)
                    taken, self._failures = taken + 1, 0
                    continue
                self._failures += 1
                self._put_off(delivery, problem)
                for waiting in due[place + 1 :]:
                    self._put_off(waiting, "前一封没有送到，稍后再送")
                return taken
        return taken

    def start(self, *, interval: float = 1.0) -> None:
        """Go on carrying in a thread; once in each process, after it has forked."""
        self._thread = threading.Thread(
            target=self._run, args=(interval,), name="webhook", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """End the thread, after the letter in hand."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self, interval: float) -> None:
        while not self._stopped.wait(min(interval * 2 ** min(self._failures, 10), _LONGEST_PAUSE)):
            try:
                self.carry()
            except GaoqianError as refusal:
                log.warning("webhook: %s", refusal)
            except Exception:
                # The thread must outlive whatever one letter does to it.
                log.exception("webhook")

    def _put_off(self, delivery: Delivery, problem: str) -> None:
        wait = wait_after(delivery.attempts + 1, chance=self._chance())
        retry_at = None if wait is None else self._store.clock() + wait
        self._store.events.failed(delivery.id, problem, retry_at=retry_at)

    def _send(self, delivery: Delivery) -> str | None:
        """Try once; None where the target took the letter, else why not."""
        body = json.dumps(told(delivery.event), ensure_ascii=False).encode()
        id, timestamp = f"evt_{delivery.event.seq}", int(self._store.clock().timestamp())
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "gaoqian",
            "Webhook-Id": id,
            "Webhook-Timestamp": str(timestamp),
            "Webhook-Signature": signature(self._target.key, id=id, timestamp=timestamp, body=body),
        }
        connection = _connect(self._target.url)
        try:
            connection.request("POST", self._target.address, body=body, headers=headers)
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException) as error:
            return f"连不上（{type(error).__name__}）"
        finally:
            connection.close()
        if 300 <= status < 400:
            return f"对方答 {status}；不跟随重定向"
        return None if 200 <= status < 300 else f"对方答 {status}"


def _connect(url: str) -> http.client.HTTPConnection:
    # Of the standard library, since it follows no redirect and asks no proxy.
    parts = urlsplit(url)
    assert parts.hostname is not None
    if parts.scheme == "https":
        return http.client.HTTPSConnection(
            parts.hostname,
            parts.port,
            timeout=TIMEOUT_SECONDS,
            context=ssl.create_default_context(),
        )
    return http.client.HTTPConnection(parts.hostname, parts.port, timeout=TIMEOUT_SECONDS)
