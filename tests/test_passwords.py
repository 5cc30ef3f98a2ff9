"""Which passwords will do, and how they are stored."""

from __future__ import annotations

import pytest
from desks import FAST
from hypothesis import given
from hypothesis import strategies as st

from classifier.errors import Unfit
from service.passwords import check_password, make_password


@given(st.text(min_size=10, max_size=40))
def test_a_password_matches_itself_and_its_full_width_form_only(password: str) -> None:
    """Typed with a full-width input method it is the same password; with a letter more, another."""
    stored = FAST.hashed(password)
    wide = "".join(chr(ord(one) + 0xFEE0) if "!" <= one <= "~" else one for one in password)

    assert FAST.match(stored, password)
    assert FAST.match(stored, wide)
    assert not FAST.match(stored, password + "x")


@given(st.text(max_size=20))
def test_an_account_without_password_lets_nobody_in(password: str) -> None:
    """No text, the empty one included, matches an account that only tokens speak for."""
    assert not FAST.match("", password)


@pytest.mark.parametrize(
    "password",
    [
        "1234567890",
        "a123456789",
        "password2026",
        "Admin12345678",
        "qwertyuiop",
        "asdfghjkl123",
        "aaaaaaaaaaaaaaaa",
        "ABCDEFGHIJKLMNOP",
        "woaini1314520",
        "gaoqian12345",
        "王编辑123456789",
        "１２３４５６７８９０",
        "太短了",
        "长" * 201,
    ],
)
def test_passwords_tried_first_are_refused(password: str) -> None:
    """What stands at the top of every list of passwords is not accepted, however it is typed."""
    with pytest.raises(Unfit):
        check_password(password, name="王编辑")


@given(st.characters(), st.integers(10, 200))
def test_one_character_over_and_over_is_no_password(character: str, times: int) -> None:
    """Length alone does not make a password."""
    with pytest.raises(Unfit):
        check_password(character * times, name="王编辑")


def test_passwords_that_we_make_pass_our_own_rules() -> None:
    """A made password is never one that its owner would be told is too simple."""
    made = {make_password() for _ in range(300)}

    for password in made:
        check_password(password, name="admin")
    assert len(made) == 300
