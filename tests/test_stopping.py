"""service.stopping: a command asked to end by a signal ends, whatever it was doing."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from service.stopping import Stop, stopped_by_signals

# Each round a signal falls somewhere in or around the wait.
WAITS = """
import signal
from service.stopping import Stop
stop, heard = Stop(), 0
def handler(*_):
    global heard
    heard += 1
    stop.set()
signal.signal(signal.SIGALRM, handler)
for round in range(5000):
    signal.setitimer(signal.ITIMER_REAL, 1e-6 * (1 + round % 50))
    while heard <= round:
        stop.wait(0.00001)
print(heard == 5000 and stop.is_set())
"""


def test_a_signal_at_any_moment_of_a_wait_blocks_nothing() -> None:
    """Five thousand signals among waits; a threading.Event in its place hangs after a few."""
    child = subprocess.run(
        [sys.executable, "-c", WAITS],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (child.returncode, child.stdout.strip()) == (0, "True"), child.stderr


def test_a_wait_ends_when_somebody_asks_and_not_before() -> None:
    """A pause asked for by nobody lasts; one asked for from another thread ends early."""
    stop = Stop()
    began = time.monotonic()
    stop.wait(0.2)
    assert not stop.is_set()
    assert time.monotonic() - began >= 0.2
    threading.Timer(0.1, stop.set).start()
    stop.wait(600)
    assert stop.is_set()
    stop.close()


def test_within_it_signals_only_ask_and_after_it_they_are_as_before() -> None:
    """SIGTERM and SIGINT both set the stop, many times over, and the old handlers come back."""
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    with stopped_by_signals() as stop:
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGINT)
        assert stop.is_set()
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
