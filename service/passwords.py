"""Passwords: how they are stored, which will not do, and how one is made."""

from __future__ import annotations

import re
import secrets
import threading
import unicodedata
from itertools import pairwise

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from classifier.errors import Unfit

LEAST, MOST = 10, 200
"""How many characters a password may have."""

_SURPRISES = 6
_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_COMMON = re.compile(
    "password|passw0rd|admin|root|welcome|letmein|iloveyou|woaini|gaoqian|qwerty|abc|密码|稿签|"
    r"1314|520|(?:19|20)\d\d"
)
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"  # none that is taken for another


class Passwords:
    """argon2id, with a bound on how much memory all logins together may take.

    >>> passwords = Passwords(time_cost=1, memory_kib=8)
    >>> passwords.match(passwords.hashed("河长巡河护碧水清风"), "河长巡河护碧水清风")
    True
    """

    def __init__(
        self,
        *,
        time_cost: int = 2,
        memory_kib: int = 19_456,  # with 2 rounds and 1 lane: OWASP's least for argon2id
        at_once: int = 4,
    ) -> None:
        self._hasher = PasswordHasher(time_cost, memory_kib, parallelism=1)
        self._turns = threading.BoundedSemaphore(at_once)
        self._of_nobody = self._hasher.hash(secrets.token_hex())

    def hashed(self, password: str) -> str:
        """What is stored of a password."""
        with self._turns:
            return self._hasher.hash(plain(password))

    def match(self, stored: str, password: str) -> bool:
        """Whether this is the password; takes its time also where there is none ("")."""
        try:
            with self._turns:
                self._hasher.verify(stored or self._of_nobody, plain(password))
        except (VerificationError, InvalidHashError):
            return False
        return bool(stored)

    def is_dated(self, stored: str) -> bool:
        """Whether it was stored under other costs than today's."""
        return self._hasher.check_needs_rehash(stored)


def plain(password: str) -> str:
    """A password as it is hashed."""
    # An input method in full-width mode types １ for 1; a password must not depend on that.
    return unicodedata.normalize("NFKC", password)


def check_password(password: str, *, name: str) -> None:
    """Raise Unfit, saying why, for a password that would soon be guessed.

    >>> check_password("河长巡", name="wang")
    Traceback (most recent call last):
    classifier.errors.Unfit: 密码有 3 个字符。应有 10 到 200 个字符。
    """
    typed = plain(password).casefold()
    if not LEAST <= len(typed) <= MOST:
        raise Unfit(f"密码有 {len(typed)} 个字符", fix=f"应有 {LEAST} 到 {MOST} 个字符")
    left = _surprises(typed.replace(name.casefold(), "#"))
    if left < _SURPRISES:
        raise Unfit(
            f"密码太好猜：除去键盘顺序、连号、重复和常见词，只剩 {left} 个字符",
            fix="请换一个，例如几个不相干的词",
        )


def _surprises(password: str) -> int:
    """How many characters do not follow from the one before: repeated, next, or beside it."""
    short = _COMMON.sub("#", password)
    distinct = len(set(short))
    steps = sum(not _follows(one, other) for one, other in pairwise(short))
    return min(distinct, 1 + steps)


def _follows(one: str, other: str) -> bool:
    if abs(ord(one) - ord(other)) <= 1:
        return True
    return any(
        abs(row.find(one) - row.find(other)) <= 1 for row in _ROWS if one in row and other in row
    )


def make_password() -> str:
    """A password of 79 random bits that can be read out over the telephone."""
    return "-".join("".join(secrets.choice(_LETTERS) for _ in range(4)) for _ in range(4))
