"""Where a model lies in memory: in pages of 2 MiB, where the system has them."""

from __future__ import annotations

import ctypes
from pathlib import Path

_HUGE = 2 << 20
_PREFER, _COLLAPSE = 14, 25  # MADV_HUGEPAGE; MADV_COLLAPSE, which Linux has since 6.1
_SWITCH = Path("/sys/kernel/mm/transparent_hugepage/enabled")
_MAPS = Path("/proc/self/maps")


def gather_in_huge_pages() -> None:
    """Have the system put the large pieces of this process's memory into huge pages.

    A tokenizer jumps about in a dictionary of 25 MiB, and a third of its time goes into finding
    the 4 KiB pages that this is scattered over. No number changes. Where the system has no huge
    pages, or whoever runs it has switched them off, nothing happens.
    """
    try:
        if "[never]" in _SWITCH.read_text():
            return
        mapped = [line.split(maxsplit=5) for line in _MAPS.read_text().splitlines()]
        advise = ctypes.CDLL(None).madvise
    except (OSError, AttributeError):
        return
    advise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    for addresses, rights, _, _, inode, *_ in mapped:
        first, last = (int(end, 16) for end in addresses.split("-"))
        start = -(-first // _HUGE) * _HUGE
        length = last // _HUGE * _HUGE - start
        if rights == "rw-p" and inode == "0" and length > 0:
            for advice in (_PREFER, _COLLAPSE):
                advise(start, length, advice)  # a refusal costs nothing but the speed
