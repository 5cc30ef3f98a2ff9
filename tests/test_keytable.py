"""Claims about classifier.keytable."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifier.keytable import KeyTable, displace


@pytest.mark.parametrize("width", [np.uint32, np.uint64])
@settings(max_examples=60, deadline=None)
@given(st.data())
def test_every_key_finds_its_own_row_and_a_stranger_none(width: type, data: st.DataObject) -> None:
    """The hash is perfect, for neighbouring numbers as for scattered ones."""
    numbers = st.integers(1, 60) | st.integers(1, np.iinfo(width).max)
    known = data.draw(st.lists(numbers, unique=True, max_size=80))
    strangers = data.draw(st.lists(numbers.filter(lambda number: number not in known)))
    keys = np.array(known, dtype=width)
    rows = np.arange(len(known))[::-1]
    table = KeyTable(keys, rows, displace(keys))

    assert table.find(keys, otherwise=99).tolist() == rows.tolist()
    assert (table.find(np.array(strangers, dtype=width), otherwise=99) == 99).all()


@pytest.mark.parametrize("width", [np.uint32, np.uint64])
def test_no_key_is_found_where_none_is_stored(width: type) -> None:
    """An empty slot is nobody's; the number that marks it finds 0."""
    table = KeyTable(np.zeros(0, width), np.zeros(0, np.intp), displace(np.zeros(0, width)))
    assert table.find(np.array([0, 1, 2], dtype=width), otherwise=9).tolist() == [0, 9, 9]
