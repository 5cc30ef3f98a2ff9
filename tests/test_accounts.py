"""Login, sessions, tokens and roles, on both databases, with a clock of our own."""

from __future__ import annotations

import ipaddress
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from conftest import Clock
from desks import BY, FAST, GOOD
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from classifier.errors import (
    Busy,
    Conflict,
    GaoqianError,
    LoginNeeded,
    NotAllowed,
    NotFound,
    TooMany,
    Unfit,
)
from service.accounts import Accounts, Lifetimes, Throttle, digest, neighbourhood, read_name
from service.passwords import Passwords, make_password
from service.store import open_store
from service.store.records import Role

DESK = "192.168.1.20"


@contextmanager
def opened(url: str, clock: Callable[[], datetime], **given: Any) -> Iterator[Accounts]:
    store = open_store(url, clock=clock)
    try:
        yield Accounts(store.accounts, clock=clock, **{"passwords": FAST, **given})
    finally:
        store.close()


@pytest.fixture
def accounts(store_url: str, clock: Clock) -> Iterator[Accounts]:
    with opened(store_url, clock) as made:
        made.add_user("王编辑", role=Role.EDITOR, password=GOOD, by=BY)
        yield made


def refusal(work: Callable[..., object], *given: object, **named: object) -> GaoqianError:
    with pytest.raises(GaoqianError) as caught:
        work(*given, **named)
    return caught.value


# Names and addresses


@given(st.text(max_size=60))
def test_a_name_once_read_reads_as_itself(name: str) -> None:
    """What is kept of a name does not change when it is read again, and has no space or sign."""
    with suppress(Unfit):
        kept = read_name(name)
        assert read_name(kept) == kept
        assert not set(kept) & set(" /\\<>\"'&?#%\t\n")


@given(st.ip_addresses(v=6), st.integers(0, 2**64 - 1))
def test_one_subscriber_of_ipv6_counts_once(address: ipaddress.IPv6Address, other: int) -> None:
    """Changing the lower half of an IPv6 address gives no further guesses."""
    twin = ipaddress.IPv6Address((int(address) >> 64 << 64) + other)

    if address.ipv4_mapped is None and twin.ipv4_mapped is None:
        assert neighbourhood(str(address)) == neighbourhood(str(twin))


# Login


def test_a_password_stored_under_older_costs_is_stored_anew_at_login(
    store_url: str, clock: Clock
) -> None:
    """Raising the costs reaches old accounts when they next log in."""
    with opened(store_url, clock) as old:
        old.add_user("王编辑", role=Role.EDITOR, password=GOOD, by=BY)
    dearer = Passwords(time_cost=2, memory_kib=16)

    with opened(store_url, clock, passwords=dearer) as new:
        assert dearer.is_dated(new.user("王编辑").password_hash)
        made = new.log_in("王编辑", GOOD, address=DESK)
        assert not dearer.is_dated(new.user("王编辑").password_hash)
        assert new.by_cookie(made.cookie) is not None
        new.log_in("王编辑", GOOD, address=DESK)


def test_unknown_wrong_and_disabled_are_told_the_same_after_the_same_work(
    store_url: str, clock: Clock
) -> None:
    """A guesser learns nothing of which names exist, from neither the words nor the work done."""

    class Counted(Passwords):
        times = 0

        def match(self, stored: str, password: str) -> bool:
            self.times += 1
            return super().match(stored, password)

    counted = Counted(time_cost=1, memory_kib=8)
    with opened(store_url, clock, passwords=counted) as accounts:
        accounts.add_user("王编辑", role=Role.EDITOR, password=GOOD, by=BY)
        accounts.add_user("离职者", role=Role.READER, password=GOOD, by=BY)
        accounts.add_program("采编系统", role=Role.EDITOR, by=BY)
        accounts.change_user("离职者", disabled=True, by=BY)
        told = []
        for name, password in [
            ("王编辑", "错的密码错的密码"),
            ("没有这人", GOOD),
            ("离职者", GOOD),
            ("采编系统", ""),
        ]:
            before = counted.times
            error = refusal(accounts.log_in, name, password, address=DESK)
            told.append((type(error), str(error), counted.times - before))

    assert set(told) == {(LoginNeeded, "账号或密码不对。请重新输入；忘了密码请找管理员。", 1)}


def test_a_name_is_found_however_it_is_typed(accounts: Accounts) -> None:
    """Case, full width and surrounding spaces do not keep anybody out."""
    accounts.add_user("Li.Ming", role=Role.READER, password=GOOD, by=BY)

    for typed in ("Li.Ming", "li.ming", " LI.MING ", "Ｌｉ.Ｍｉｎｇ"):
        assert accounts.log_in(typed, GOOD, address=DESK).user.name == "Li.Ming"
    assert isinstance(refusal(accounts.add_user, "LI.ming", role=Role.READER, by=BY), Conflict)


def test_after_five_wrong_passwords_the_right_one_waits(accounts: Accounts, clock: Clock) -> None:
    """The sixth try in a quarter of an hour is refused, right or wrong; elsewhere and later not."""
    for _ in range(5):
        assert isinstance(
            refusal(accounts.log_in, "王编辑", "不对不对不对", address=DESK), LoginNeeded
        )

    shut = refusal(accounts.log_in, "王编辑", GOOD, address=DESK)
    assert isinstance(shut, TooMany) and shut.seconds == 900
    assert accounts.log_in("王编辑", GOOD, address="192.168.1.21").user.name == "王编辑"
    for _ in range(5):
        refusal(accounts.log_in, "王编辑", "不对不对不对", address=DESK)
    clock.now += timedelta(minutes=15, seconds=1)
    assert accounts.log_in("王编辑", GOOD, address=DESK).user.name == "王编辑"


def test_a_password_given_anew_opens_the_door_again(accounts: Accounts) -> None:
    """Whoever is shut out need not wait when an administrator resets the password."""
    for _ in range(5):
        refusal(accounts.log_in, "王编辑", "不对不对不对", address=DESK)
    given = accounts.reset_password("王编辑", by=BY)

    assert accounts.log_in("王编辑", given, address=DESK).user.must_change


def test_an_idle_session_is_not_revived_by_looking_at_it(accounts: Accounts, clock: Clock) -> None:
    """Two requests after a long pause both find nobody; the first does not count as use."""
    cookie = accounts.log_in("王编辑", GOOD, address=DESK).cookie
    clock.now += timedelta(hours=12, seconds=1)

    assert [accounts.by_cookie(cookie) for _ in range(2)] == [None, None]


def test_trying_while_shut_out_does_not_prolong_it(accounts: Accounts, clock: Clock) -> None:
    """The quarter of an hour counts from the wrong passwords, not from knocking meanwhile."""
    for _ in range(5):
        refusal(accounts.log_in, "王编辑", "不对不对不对", address=DESK)
    clock.now += timedelta(minutes=10)
    for _ in range(6):
        assert isinstance(refusal(accounts.log_in, "王编辑", GOOD, address=DESK), TooMany)
    clock.now += timedelta(minutes=5, seconds=1)

    assert accounts.log_in("王编辑", GOOD, address=DESK)


def test_guesses_at_the_same_instant_do_not_slip_by(accounts: Accounts) -> None:
    """Of ten guesses that all begin before the first has failed, at most five are looked at."""
    book, line = accounts._book, Barrier(10)

    class Together:
        def __getattr__(self, name: str) -> object:
            return getattr(book, name)

        def record_failure(self, name: str, address: str) -> None:
            line.wait(20)
            book.record_failure(name, address)

    together: Any = Together()
    accounts._book = together

    def guess(_: int) -> type[GaoqianError]:
        return type(refusal(accounts.log_in, "王编辑", "不对不对不对", address=DESK))

    with ThreadPoolExecutor(10) as threads:
        told = list(threads.map(guess, range(10)))

    assert set(told) <= {LoginNeeded, TooMany}
    assert told.count(LoginNeeded) <= 5


def test_a_subscriber_of_ipv6_gets_no_guesses_from_changing_address(accounts: Accounts) -> None:
    """The addresses of one /64 are one to the throttle."""
    told = [
        type(refusal(accounts.log_in, "王编辑", "不对不对", address=f"2001:db8:1:2::{n}"))
        for n in range(1, 8)
    ]

    assert told == [LoginNeeded] * 5 + [TooMany] * 2


def test_names_that_do_not_exist_are_throttled_like_those_that_do(accounts: Accounts) -> None:
    """That a name is refused for too many tries does not tell that it exists."""
    told = {
        name: [type(refusal(accounts.log_in, name, "不对不对", address=place)) for _ in range(7)]
        for name, place in (("王编辑", "10.0.0.1"), ("没有这人", "10.0.0.2"))
    }

    assert told["王编辑"] == told["没有这人"] == [LoginNeeded] * 5 + [TooMany] * 2


def test_one_address_cannot_go_through_many_names(accounts: Accounts) -> None:
    """Spreading guesses over names helps no more than the limit of the address."""
    told = [type(refusal(accounts.log_in, f"名字{n}", "不对不对", address=DESK)) for n in range(35)]

    assert told == [LoginNeeded] * 30 + [TooMany] * 5


GUESS = """
import sys
from datetime import UTC, datetime
from classifier.errors import LoginNeeded, TooMany
from service.accounts import Accounts
from service.passwords import Passwords
from service.store import open_store
store = open_store(sys.argv[1], clock=lambda: datetime.now(UTC))
accounts = Accounts(store.accounts, clock=lambda: datetime.now(UTC),
                    passwords=Passwords(time_cost=1, memory_kib=8))
sys.stdin.readline()
for _ in range(6):
    try:
        accounts.log_in("王编辑", "不对不对不对", address="10.0.0.9")
    except LoginNeeded:
        print("tried")
    except TooMany:
        print("shut")
"""


def test_the_throttle_holds_over_processes(store_url: str, clock: Clock) -> None:
    """Three processes guessing at once get five guesses in all, not five each."""
    with opened(store_url, clock) as accounts:
        accounts.add_user("王编辑", role=Role.EDITOR, password=GOOD, by=BY)
    command = [sys.executable, "-c", GUESS, store_url]
    guessers = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]

    for guesser in guessers:
        assert guesser.stdin is not None
        guesser.stdin.write("go\n")
        guesser.stdin.flush()
    told = [line for guesser in guessers for line in guesser.communicate()[0].split()]

    assert len(told) == 18
    assert 1 <= told.count("tried") <= 5


# Sessions


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(waits=st.lists(st.integers(1, 90), min_size=1, max_size=12))
def test_a_session_lives_as_long_as_it_is_used_and_no_longer_than_its_limit(
    accounts: Accounts, clock: Clock, waits: list[int]
) -> None:
    """Used at least every hour less a minute it lives, unused for more than an hour it is dead,
    and after five hours it is dead in any case."""
    limits = Lifetimes(absolute=timedelta(hours=5), idle=timedelta(hours=1))
    brief = Accounts(accounts._book, clock=clock, passwords=FAST, lifetimes=limits)
    cookie = brief.log_in("王编辑", GOOD, address=DESK).cookie

    total, dead = 0, False
    for minutes in waits:
        clock.now += timedelta(minutes=minutes)
        total += minutes
        alive = brief.by_cookie(cookie) is not None
        if dead or minutes > 60 or total >= 300:
            assert not alive
        elif minutes < 59:
            assert alive
        dead = not alive


def test_each_login_has_an_id_of_its_own_and_voids_the_one_it_came_with(
    accounts: Accounts,
) -> None:
    """An id planted in a browser before login is worth nothing after it."""
    first = accounts.log_in("王编辑", GOOD, address=DESK).cookie
    second = accounts.log_in("王编辑", GOOD, address=DESK, instead_of=first).cookie

    assert second != first and len(second) >= 43
    assert accounts.by_cookie(first) is None
    assert accounts.by_cookie(second) is not None
    third = accounts.log_in("王编辑", GOOD, address=DESK, instead_of="planted").cookie
    assert accounts.by_cookie("planted") is None
    accounts.log_out(third)
    assert accounts.by_cookie(third) is None and accounts.by_cookie(second) is not None


def test_a_new_password_ends_every_session_but_the_one_it_opens(accounts: Accounts) -> None:
    """Whoever sits at a stolen session is out once the password is changed."""
    stolen = accounts.log_in("王编辑", GOOD, address="10.9.9.9").cookie
    other = "河长说：三月栽柳 28 棵"

    made = accounts.change_password("王编辑", GOOD, other, address=DESK)

    assert accounts.by_cookie(stolen) is None and accounts.by_cookie(made.cookie) is not None
    assert isinstance(refusal(accounts.log_in, "王编辑", GOOD, address=DESK), LoginNeeded)
    assert accounts.log_in("王编辑", other, address=DESK).user.must_change is False


def test_changing_a_password_takes_the_old_one_and_a_good_new_one(accounts: Accounts) -> None:
    """A wrong current password is refused and counted; a weak or the same new one is refused."""

    def change(current: str, new: str) -> type[GaoqianError]:
        return type(refusal(accounts.change_password, "王编辑", current, new, address=DESK))

    assert change(GOOD, "1234567890") is Unfit
    assert change(GOOD, GOOD) is Unfit
    assert [change("不对不对", make_password()) for _ in range(6)] == [NotAllowed] * 5 + [TooMany]


# Users and roles


def test_the_first_start_makes_one_administrator(store_url: str, clock: Clock) -> None:
    """Of many processes starting at once one gets a password; it works and must be changed."""
    with opened(store_url, clock) as accounts:
        with ThreadPoolExecutor(8) as threads:
            made = list(threads.map(lambda _: accounts.first_administrator(), range(8)))

        (password,) = [one for one in made if one]
        user = accounts.log_in("admin", password, address=DESK).user
        assert user.role is Role.ADMINISTRATOR and user.must_change
        assert accounts.first_administrator() is None
        assert len(accounts.users()) == 1


def test_there_is_always_an_administrator(accounts: Accounts) -> None:
    """The last one can neither be disabled nor made an editor, by two at once neither."""
    for name in ("甲", "乙"):
        accounts.add_user(name, role=Role.ADMINISTRATOR, password=GOOD, by=BY)

    def demote(name: str) -> bool:
        with suppress(Conflict):
            accounts.change_user(name, role=Role.EDITOR, by=BY)
            return True
        return False

    with ThreadPoolExecutor(2) as threads:
        done = list(threads.map(demote, ("甲", "乙")))

    assert sorted(done) == [False, True]
    (left,) = [user for user in accounts.users() if user.role is Role.ADMINISTRATOR]
    assert isinstance(refusal(accounts.change_user, left.name, disabled=True, by=BY), Conflict)


def test_disabling_ends_sessions_and_tokens_and_enabling_does_not_revive_them(
    accounts: Accounts,
) -> None:
    """Somebody who has left is out at once, and what he had is void for good."""
    cookie = accounts.log_in("王编辑", GOOD, address=DESK).cookie
    _, secret = token(accounts)

    accounts.change_user("王编辑", disabled=True, by=BY)
    assert accounts.by_cookie(cookie) is None and accounts.by_token(secret) is None
    accounts.change_user("王编辑", disabled=False, by=BY)
    assert accounts.by_cookie(cookie) is None and accounts.by_token(secret) is None
    assert accounts.log_in("王编辑", GOOD, address=DESK)


# Tokens


def token(
    accounts: Accounts, *, scope: Role = Role.EDITOR, days: float = 30, owner: str = "王编辑"
) -> tuple[int, str]:
    made, secret = accounts.add_token(
        owner, name="采编系统", scope=scope, lasts=timedelta(days=days), by=BY
    )
    return made.id, secret


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.sampled_from(Role), st.sampled_from(Role), st.sampled_from(Role))
def test_a_token_can_do_what_both_its_scope_and_its_owner_can(
    accounts: Accounts, role: Role, scope: Role, later: Role
) -> None:
    """A token is made within its owner's role, and shrinks with it when the owner is demoted."""
    order = ["reader", "editor", "administrator"]
    name = f"程序{len(accounts.users())}"
    accounts.add_program(name, role=role, by=BY)
    accounts.add_user(f"管{name}", role=Role.ADMINISTRATOR, by=BY)

    if order.index(scope) > order.index(role):
        assert isinstance(refusal(token, accounts, scope=scope, owner=name), NotAllowed)
        return
    _, secret = token(accounts, scope=scope, owner=name)
    accounts.change_user(name, role=later, by=BY)

    holder = accounts.by_token(secret)
    assert holder is not None and holder.name == name
    assert order.index(holder.role) == min(order.index(scope), order.index(later))


def test_a_token_ends_on_its_day_and_when_revoked(accounts: Accounts, clock: Clock) -> None:
    """Expired and revoked tokens are nobody; others of the same owner live on."""
    _, brief = token(accounts, days=1)
    number, revoked = token(accounts)
    _, kept = token(accounts)

    accounts.revoke_token(number, by=BY)
    assert accounts.by_token(revoked) is None
    assert accounts.by_token(brief) is not None
    clock.now += timedelta(days=1, seconds=1)
    assert accounts.by_token(brief) is None and accounts.by_token(kept) is not None


def test_nobody_revokes_what_is_not_his(accounts: Accounts) -> None:
    """Another's token looks as if it did not exist."""
    accounts.add_user("李编辑", role=Role.EDITOR, password=GOOD, by=BY)
    number, secret = token(accounts)

    assert isinstance(refusal(accounts.revoke_token, number, owner="李编辑", by=BY), NotFound)
    assert accounts.by_token(secret) is not None
    assert [one.id for one in accounts.tokens("王编辑")] == [number]
    assert accounts.tokens("李编辑") == ()


@given(st.text(max_size=60))
def test_what_is_no_token_is_nobody(text: str) -> None:
    """Only what begins like a token is looked up at all."""
    unused: Any = None
    if not text.startswith("gq_"):
        assert Accounts(unused, clock=Clock(), passwords=FAST).by_token(text) is None


def test_a_token_known_just_now_outlives_a_short_failure_of_the_database(
    accounts: Accounts, clock: Clock
) -> None:
    """Predictions go on for five minutes without a database; unknown tokens wait."""
    _, secret = token(accounts)
    _, unseen = token(accounts)
    assert accounts.by_token(secret) is not None

    class Down:
        def __getattr__(self, name: str) -> Callable[..., object]:
            def fail(*_: object, **__: object) -> object:
                raise Busy("数据库暂时连不上")

            return fail

    down: Any = Down()
    accounts._book = down
    clock.now += timedelta(minutes=4)
    assert accounts.by_token(secret) is not None
    assert isinstance(refusal(accounts.by_token, unseen), Busy)
    clock.now += timedelta(minutes=2)
    assert isinstance(refusal(accounts.by_token, secret), Busy)


# What is written down


def test_no_secret_is_in_the_database(tmp_path: Path, clock: Clock) -> None:
    """Whoever steals the file has no password, cookie or token from it, also none mistyped."""
    mistyped = "密码打进了名字栏 77"
    with opened(str(tmp_path / "accounts.db"), clock) as accounts:
        accounts.add_user("王编辑", role=Role.EDITOR, password=GOOD, by=BY)
        cookie = accounts.log_in("王编辑", GOOD, address=DESK).cookie
        _, secret = token(accounts)
        refusal(accounts.log_in, mistyped, GOOD, address=DESK)
        accounts.by_cookie(cookie)
        accounts.by_token(secret)
        stored = b"".join(path.read_bytes() for path in tmp_path.glob("accounts.db*"))

    for clear in (GOOD, cookie, secret, mistyped):
        assert clear.encode() not in stored
    assert digest(secret).encode() in stored


def test_everything_done_to_accounts_is_written_down(accounts: Accounts) -> None:
    """Who logged in, failed, changed whom, made and revoked what: each once, the newest first."""
    made = accounts.log_in("王编辑", GOOD, address=DESK)
    refusal(accounts.log_in, "王编辑", "不对不对", address="10.6.6.6")
    refusal(accounts.log_in, "没有这人", "不对不对", address="10.6.6.6")
    number, _ = token(accounts)
    accounts.change_user("王编辑", role=Role.READER, by=BY)
    accounts.revoke_token(number, by=BY)
    accounts.reset_password("王编辑", by=BY)
    accounts.log_out(made.cookie)

    told = [
        (entry.action, entry.by, entry.subject, entry.address)
        for entry in reversed(accounts.audit(limit=100))
    ]
    assert told == [
        ("user.add", "王主任", "王编辑", "10.0.0.1"),
        ("login", "王编辑", "王编辑", DESK),
        ("login.failed", "", "王编辑", "10.6.6.6"),
        ("login.failed", "", "", "10.6.6.6"),
        ("token.add", "王主任", str(number), "10.0.0.1"),
        ("user.change", "王主任", "王编辑", "10.0.0.1"),
        ("token.revoke", "王主任", str(number), "10.0.0.1"),
        ("password.reset", "王主任", "王编辑", "10.0.0.1"),
    ]
    (change,) = [one for one in accounts.audit(limit=100) if one.action == "user.change"]
    assert change.detail == {"role": "reader"}


def test_the_throttle_can_be_set(store_url: str, clock: Clock) -> None:
    """The limits are those given, not numbers in the code."""
    strict = Throttle(per_name_and_address=1, window=timedelta(minutes=1))
    with opened(store_url, clock, throttle=strict) as accounts:
        assert isinstance(refusal(accounts.log_in, "甲", "x", address=DESK), LoginNeeded)
        assert isinstance(refusal(accounts.log_in, "甲", "x", address=DESK), TooMany)
        clock.now += timedelta(seconds=61)
        assert isinstance(refusal(accounts.log_in, "甲", "x", address=DESK), LoginNeeded)
