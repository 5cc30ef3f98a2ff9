"""Which cores of the machine a process runs on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


def keep_to_a_core(place: int, *, workers: int) -> None:
    """Keep this thread and those it will start to one core, if all workers together fill them all.

    Threads of one Python process take turns, and each array operation gives up a turn. Where the
    next thread waits on another core, that core has to be woken: under load a request then costs
    three times as much (`benchmarks.http`). A system that cannot do this is left as it is.
    """
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_setaffinity") else []
    if 1 < len(cores) <= workers:
        os.sched_setaffinity(0, {cores[place % len(cores)]})


@contextmanager
def on_every_core() -> Iterator[None]:
    """Within it, what this thread starts may run wherever the process that started ours may."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    own = os.sched_getaffinity(0)
    os.sched_setaffinity(0, own | os.sched_getaffinity(os.getppid()))
    try:
        yield
    finally:
        os.sched_setaffinity(0, own)
