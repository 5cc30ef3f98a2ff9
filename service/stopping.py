"""How a long-running command is asked to end: at a signal, between two pieces of work."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Stop:
    """Whether the work is to end, and a pause that ends early when it is.

    A threading.Event will not do: its `set` takes a lock that the very `wait` it interrupts may
    hold, and a signal handler runs in the thread that waits. A byte in a pipe takes no lock.
    """

    def __init__(self) -> None:
        self._is_set = False
        self._heard, self._told = os.pipe()
        os.set_blocking(self._told, False)

    def set(self) -> None:
        """Ask for the end; from a signal handler or any thread, as often as one likes."""
        self._is_set = True
        with suppress(BlockingIOError):  # full of earlier askings
            os.write(self._told, b".")

    def is_set(self) -> bool:
        """Whether somebody has asked."""
        return self._is_set

    def wait(self, seconds: float) -> None:
        """Return after so many seconds, or as soon as somebody asks."""
        select.select([self._heard], [], [], seconds)

    def close(self) -> None:
        """Let go of the pipe; nobody may ask any more."""
        os.close(self._heard)
        os.close(self._told)


@contextmanager
def stopped_by_signals() -> Iterator[Stop]:
    """Within it, SIGTERM and SIGINT only ask for the end, and nothing is torn off."""
    stop = Stop()
    before = {
        number: signal.signal(number, lambda *_: stop.set())
        for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        stop.close()
