"""What has to be done now and then while the service runs: tagging what waited, throwing out.

Every serving process has a caretaker, and one at a time does the work: whoever holds the lock in
the models folder, until it dies. Each piece of work is a transaction of its own and is found again
by looking, so a caretaker may be killed at any moment and the next one goes on.
"""

from __future__ import annotations

import fcntl
import logging
import threading
from datetime import datetime, timedelta
from typing import IO

from classifier.errors import GaoqianError
from classifier.registry import Registry
from service.receive import tag_waiting
from service.serving import ServedModel
from service.store import Store

LOCK = ".caretaker.lock"
EVENTS_KEPT = timedelta(days=30)
"""How long programs that listen may be away and still hear of everything."""

TAGGED_EVERY, SWEPT_EVERY = timedelta(minutes=1), timedelta(hours=1)

log = logging.getLogger(__name__)


class Caretaker:
    """Looks after one store for the serving processes."""

    def __init__(self, store: Store, registry: Registry, served: ServedModel) -> None:
        self._store = store
        self._registry = registry
        self._served = served
        self._lock: IO[str] | None = None
        self._tagged_with: str | None = None  # the model that was there at the last tagging
        self._tagged: datetime | None = None
        self._swept: datetime | None = None
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def look(self) -> bool:
        """Do what is due, if nobody else does; returns whether it is ours to do.

        What came in while there was no model is tagged as soon as there is one.
        """
        if not self._holds_the_lock():
            return False
        now = self._store.clock()
        serving = self._served.status().serving
        if serving != self._tagged_with or _is_due(self._tagged, TAGGED_EVERY, now):
            if serving is not None:
                count = tag_waiting(self._store, self._served.model())
                if count:
                    log.info("tagged what had waited for a model: %d", count)
            self._tagged_with, self._tagged = serving, now
        if _is_due(self._swept, SWEPT_EVERY, now):
            self._store.events.prune(now - EVENTS_KEPT)
            self._store.accounts.sweep()
            self._swept = now
        return True

    def start(self, *, interval: float = 1.0) -> None:
        """Go on looking in a thread; once in each process, after it has forked."""
        self._thread = threading.Thread(
            target=self._run, args=(interval,), name="caretaker", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """End the thread, after the work in hand, and let another take over."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _run(self, interval: float) -> None:
        while not self._stopped.wait(interval):
            try:
                self.look()
            except GaoqianError as refusal:
                log.warning("caretaker: %s", refusal)
            except Exception:
                # The thread must outlive whatever one piece of work does to it.
                log.exception("caretaker")

    def _holds_the_lock(self) -> bool:
        if self._lock is not None:
            return True
        self._registry.folder.mkdir(parents=True, exist_ok=True)
        handle = (self._registry.folder / LOCK).open("a")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            handle.close()
            return False
        self._lock = handle
        return True


def _is_due(last: datetime | None, every: timedelta, now: datetime) -> bool:
    return last is None or now - last >= every
