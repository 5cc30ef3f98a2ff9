"""Accounts, logins, tokens and the audit, as rows: on SQLite and on PostgreSQL."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from conftest import NOW, Clock

from classifier.errors import Conflict, NotFound
from service.store import Store, open_store
from service.store.records import Role

HOUR = timedelta(hours=1)


@pytest.fixture
def li(store: Store) -> str:
    """A store with an administrator and the editor Li."""
    store.accounts.add_first("admin", password_hash="h0")
    store.accounts.add_user("Li", role=Role.EDITOR, password_hash="h1", shown="李编辑")
    return "Li"


def test_names_are_taken_without_regard_to_case(store: Store, li: str) -> None:
    """LI is Li: it can be asked for, and not be given to another."""
    user = store.accounts.user("LI")
    assert (user.name, user.shown, user.role, user.created) == ("Li", "李编辑", Role.EDITOR, NOW)
    with pytest.raises(Conflict):
        store.accounts.add_user("lI", role=Role.READER, password_hash="h2")
    with pytest.raises(NotFound):
        store.accounts.user("zhao")
    assert [one.name for one in store.accounts.users()] == ["admin", "Li"]


def test_the_first_administrator_is_made_once(store: Store, store_url: str) -> None:
    """Of eight processes that start together one makes the administrator."""
    others = [open_store(store_url, clock=store.clock) for _ in range(2)]
    started, made = threading.Barrier(8), []

    def start(number: int) -> None:
        started.wait()
        user = others[number % 2].accounts.add_first(f"admin{number}", password_hash="h")
        made.append(user)

    threads = [threading.Thread(target=start, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for other in others:
        other.close()
    (user,) = [one for one in made if one is not None]
    assert store.accounts.users() == (user,)
    assert (user.role, user.must_change) == (Role.ADMINISTRATOR, True)


def test_a_login_ends_with_its_time_or_when_closed(store: Store, clock: Clock, li: str) -> None:
    """A session is found by its digest until it expires, is closed, or all are closed."""
    accounts = store.accounts
    for digest in ("s1", "s2", "s3"):
        accounts.open_session(digest, "li", lasts=HOUR, address="10.0.0.7", agent="Firefox")
    session = accounts.session("s1")
    assert session is not None
    assert (session.user, session.expires, session.address) == ("Li", NOW + HOUR, "10.0.0.7")
    accounts.close_session("s2")
    assert [one.digest for one in accounts.sessions("LI")] == ["s1", "s3"]
    clock.now += timedelta(minutes=5)
    assert accounts.session("s1") is not None
    seen = accounts.session("s1")
    assert seen is not None
    assert seen.seen == clock.now
    clock.now = NOW + HOUR
    assert accounts.session("s1") is None
    assert accounts.sweep() == 2
    accounts.open_session("s4", "li", lasts=HOUR)
    accounts.close_sessions("Li")
    assert accounts.session("s4") is None


@pytest.mark.parametrize(
    "change", [{"password_hash": "h9"}, {"role": Role.READER}, {"disabled": True}]
)
def test_a_change_of_right_ends_all_logins(
    store: Store, li: str, change: dict[str, object]
) -> None:
    """A new password, a new role and being disabled end every session of the account."""
    store.accounts.open_session("s1", li, lasts=HOUR)
    store.accounts.change_user(li, shown="老李")
    assert store.accounts.session("s1") is not None
    changed = store.accounts.change_user(li, **change)  # type: ignore[arg-type]
    assert changed.shown == "老李"
    assert store.accounts.session("s1") is None


def test_disabling_an_account_ends_its_tokens(store: Store, li: str) -> None:
    """Tokens of a disabled account are dead, and stay so when it is enabled again."""
    store.accounts.add_token("t1", li, name="CMS", hint="gq_ab", scope=Role.EDITOR)
    store.accounts.open_session("s1", li, lasts=HOUR)
    assert store.accounts.token("t1") is not None
    user = store.accounts.change_user(li, disabled=True)
    assert user.disabled == NOW
    assert store.accounts.token("t1") is None
    assert store.accounts.change_user(li, disabled=False).disabled is None
    assert store.accounts.token("t1") is None
    assert store.accounts.session("s1") is None


def test_the_last_administrator_stays(store: Store, li: str) -> None:
    """Neither disabling nor demoting may leave nobody in charge; two cannot do it to each other."""
    for change in ({"disabled": True}, {"role": Role.EDITOR}):
        with pytest.raises(Conflict):
            store.accounts.change_user("admin", **change)  # type: ignore[arg-type]
    store.accounts.change_user(li, role=Role.ADMINISTRATOR)
    started, refused = threading.Barrier(2), []

    def disable(name: str) -> None:
        started.wait()
        try:
            store.accounts.change_user(name, disabled=True)
        except Conflict:
            refused.append(name)

    threads = [threading.Thread(target=disable, args=(name,)) for name in ("admin", "Li")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    left = [one.name for one in store.accounts.users() if one.disabled is None]
    assert left == refused
    assert len(left) == 1


def test_a_token_ends_by_expiry_or_revocation(store: Store, clock: Clock, li: str) -> None:
    """A token is found by its digest while it lasts; its last use is noted."""
    accounts = store.accounts
    accounts.add_token("t1", li, name="CMS", hint="gq_ab", scope=Role.READER, expires=NOW + HOUR)
    second = accounts.add_token("t2", li, name="脚本", hint="gq_cd", scope=Role.EDITOR)
    assert accounts.token("t1") is not None
    found = accounts.token("t1")
    assert found is not None
    assert (found.user, found.name, found.scope, found.used) == ("Li", "CMS", Role.READER, NOW)
    clock.now += HOUR
    assert accounts.token("t1") is None
    assert accounts.token("none") is None
    with pytest.raises(NotFound):
        accounts.revoke_token(second.id, user="admin")
    revoked = accounts.revoke_token(second.id, user="LI")
    assert revoked.revoked == clock.now
    clock.now += HOUR
    assert accounts.revoke_token(second.id) == revoked
    assert accounts.token("t2") is None
    assert [one.name for one in accounts.tokens("li")] == ["脚本", "CMS"]
    assert accounts.tokens("admin") == ()


def test_failed_logins_are_counted_by_name_and_address(store: Store, clock: Clock) -> None:
    """Counts look back no further than asked, and a success forgets a name's failures."""
    for name, address in (("li", "1"), ("LI", "2"), ("zhao", "1")):
        store.accounts.record_failure(name, address)
        clock.now += timedelta(minutes=1)
    ask = store.accounts.failures
    assert (ask(name="Li", within=HOUR), ask(address="1", within=HOUR)) == (2, 2)
    assert ask(name="li", address="2", within=HOUR) == 1
    assert ask(name="li", within=timedelta(minutes=2, seconds=30)) == 1
    store.accounts.forget_failures("Li")
    assert ask(within=HOUR) == 1
    clock.now += timedelta(days=2)
    assert store.accounts.sweep() == 1


def test_the_audit_is_read_backwards_in_pages(store: Store, clock: Clock) -> None:
    """Entries come newest first, from below a given one, of one account or of all."""
    for number in range(7):
        store.accounts.record(
            "login",
            by=("li", "zhao")[number % 2],
            subject=f"第{number}次",
            detail={"n": number, "字": ["甲", 1.5, None]},
            address="::1",
        )
    first = store.accounts.audit(limit=3)
    assert [one.detail["n"] for one in first] == [6, 5, 4]
    rest = store.accounts.audit(before=first[-1].id)
    assert [one.subject for one in rest] == ["第3次", "第2次", "第1次", "第0次"]
    assert [one.detail["n"] for one in store.accounts.audit(by="zhao")] == [5, 3, 1]
    assert first[0].detail["字"] == ["甲", 1.5, None]
    assert (first[0].at, first[0].by, first[0].address) == (clock.now, "li", "::1")
