"""Perfect hashing: from many numbers at once to the rows they stand for, in a few array operations."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.unsignedinteger[Any]]
Rows = NDArray[np.signedinteger[Any]]
Displacements = NDArray[np.uint32]

# Odd, their high bits well mixed: Fibonacci hashing.
_BUCKET_FACTOR = 0x9E3779B97F4A7C15
_SLOT_FACTOR = 0xC2B2AE3D27D4EB4F
_SALT_FACTOR = 0xD6E8FEB86659FD93


class KeyTable:
    """Rows by key: each key falls into a bucket, whose displacement sends it to a slot of its own.

    One comparison then tells whether it is the key that lives there. Keys are of 32 or 64 bits and
    never 0, which marks an empty slot.

    >>> keys = np.array([7, 11, 13], dtype=np.uint32)
    >>> table = KeyTable(keys, np.array([2, 0, 5]), displace(keys))
    >>> table.find(np.array([11, 12, 13], dtype=np.uint32), otherwise=9).tolist()
    [0, 9, 5]
    """

    def __init__(self, keys: Keys, rows: Rows, displacements: Displacements) -> None:
        self._hash = _Hash(keys.dtype, len(keys))
        self._salts = self._hash.salts(displacements)
        # Key and row side by side: one look into memory finds both.
        self._places = np.zeros((self._hash.slot_count, 2), dtype=keys.dtype)
        slots = self._hash.slots(keys, self._salts.take(self._hash.buckets(keys)))
        self._places[slots, 0] = keys
        self._places[slots, 1] = rows

    def find(self, keys: Keys, *, otherwise: int | NDArray[np.bool_]) -> Keys:
        """The row of each key, `otherwise` where it has none; 0 for 0, which is no key."""
        slots = self._hash.slots(keys, self._salts.take(self._hash.buckets(keys)))
        places = self._places.take(slots, axis=0)
        rows: Keys = np.where(places[:, 0] == keys, places[:, 1], otherwise)
        return rows


def displace(keys: Keys) -> Displacements:
    """Displacements that send every key to a slot of its own; made once, in training.

    The method is Belazzougui, Botelho and Dietzfelbinger's "hash, displace, and compress" (2009)
    without the compression: full buckets are placed first, each tries 0, 1, 2 … until all its keys
    fall on free slots.
    """
    hash = _Hash(keys.dtype, len(keys))
    displacements = np.zeros(hash.bucket_count, dtype=np.uint32)
    taken = np.zeros(hash.slot_count, dtype=bool)
    buckets = hash.buckets(keys)
    order = np.argsort(buckets, kind="stable")
    numbers, firsts = np.unique(buckets[order], return_index=True)
    members = np.split(keys[order], firsts[1:]) if len(keys) else []
    for place in sorted(range(len(members)), key=lambda place: -len(members[place])):
        for displacement in range(2**32):
            salts = hash.salts(np.full(len(members[place]), displacement, dtype=np.uint32))
            slots = hash.slots(members[place], salts)
            if not taken[slots].any() and len(np.unique(slots)) == len(slots):
                break
        taken[slots] = True
        displacements[numbers[place]] = displacement
    return displacements


class _Hash:
    """The two hash functions for so many keys of one width."""

    def __init__(self, dtype: np.dtype[Any], count: int) -> None:
        bits = dtype.itemsize * 8
        low = (1 << bits) - 1
        self.bucket_count = 1 << max(1, (count // 3).bit_length())
        self.slot_count = 1 << max(2, (count + count // 3).bit_length())
        self._bucket_factor = dtype.type(_BUCKET_FACTOR & low)
        self._slot_factor = dtype.type(_SLOT_FACTOR & low)
        self._salt_factor = dtype.type(_SALT_FACTOR & low)
        self._bucket_shift = dtype.type(bits - self.bucket_count.bit_length() + 1)
        self._slot_shift = dtype.type(bits - self.slot_count.bit_length() + 1)

    def buckets(self, keys: Keys) -> Keys:
        buckets: Keys = keys * self._bucket_factor
        buckets >>= self._bucket_shift
        return buckets

    def salts(self, displacements: Displacements) -> Keys:
        # Spread over all bits: two keys of one bucket must not keep their distance.
        salts: Keys = displacements.astype(self._salt_factor.dtype) * self._salt_factor
        return salts

    def slots(self, keys: Keys, salts: Keys) -> Keys:
        slots: Keys = keys ^ salts
        slots *= self._slot_factor
        slots >>= self._slot_shift
        return slots
