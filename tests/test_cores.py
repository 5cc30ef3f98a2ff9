"""Claims about which cores the processes of a real server run on."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from conftest import copied_models
from running import running, wait_until

from service.cores import keep_to_a_core, on_every_core

CORES = os.sched_getaffinity(0)
pytestmark = pytest.mark.skipif(len(CORES) < 2, reason="one core leaves no choice")


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """What a test does to this thread ends with it."""
    yield
    os.sched_setaffinity(0, CORES)


def test_fewer_workers_than_cores_go_where_they_like() -> None:
    """Other servers may have their workers on the same machine."""
    keep_to_a_core(0, workers=len(CORES) - 1)
    assert os.sched_getaffinity(0) == CORES


def test_what_a_worker_starts_may_use_every_core() -> None:
    """A retraining is not kept to the core of the request that asked for it."""
    keep_to_a_core(1, workers=len(CORES))
    own = os.sched_getaffinity(0)
    assert len(own) == 1
    with on_every_core():
        assert os.sched_getaffinity(0) == os.sched_getaffinity(os.getppid())
    assert os.sched_getaffinity(0) == own


def test_each_worker_keeps_to_a_core_also_the_one_that_takes_a_dead_ones_place(
    tmp_path: Path, served_models: Path
) -> None:
    """As many workers as cores: each core has one, after a kill as before."""
    copied_models(served_models, tmp_path / "models")
    with running(tmp_path, workers=len(CORES)) as server:
        master = psutil.Process(server.process.pid)

        def kept() -> list[int]:
            return sorted(core for child in master.children() for core in child.cpu_affinity())

        wait_until(lambda: kept() == sorted(CORES), while_alive=server)
        victim = master.children()[0].pid
        os.kill(victim, signal.SIGKILL)
        wait_until(
            lambda: (
                victim not in {child.pid for child in master.children()} and kept() == sorted(CORES)
            ),
            while_alive=server,
        )
        assert server.ask("GET", "/healthz").status == 200
