"""How the price of work grows with its size, told so that a busy machine cannot change the answer."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

_EIGHTFOLD = 30  # work of eight times the size: linear is 8, quadratic 64
_MEASURABLE = 0.002  # seconds; what costs less is only noise
_RUNS = 5


def is_linear(work: Callable[[int], object], size: int) -> bool:
    """Whether work of a size costs nowhere near 64 times what an eighth of it costs.

    Processor time, the least of several runs: whatever else the machine does can make a run
    dearer, never cheaper.
    """
    work(size // 8)  # tables that are built on first use are not the work
    eighth = whole = math.inf
    for _ in range(_RUNS):
        eighth = min(eighth, _spent(work, size // 8), _spent(work, size // 8))
        whole = min(whole, _spent(work, size))
        if whole < _EIGHTFOLD * max(eighth, _MEASURABLE):
            return True
    return False


def _spent(work: Callable[[int], object], size: int) -> float:
    started = time.process_time()
    work(size)
    return time.process_time() - started
