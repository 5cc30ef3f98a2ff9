"""Login, accounts, tokens and the record, as other programs and the desk's pages see them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from desks import BY, Desk, session_of, staffed_desk


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A desk that asks everybody to log in."""
    with staffed_desk(tmp_path) as made:
        yield made


# Login over HTTP


def test_the_cookie_is_for_us_alone(desk: Desk) -> None:
    """Scripts cannot read it, other sites' requests do not carry it, no cache keeps the reply."""
    response = desk.log_in()
    cookie = session_of(response)

    assert response.json is not None and response.json["role"] == "editor"
    assert cookie["httponly"] and cookie["samesite"] == "Lax" and cookie["path"] == "/"
    assert cookie["domain"] == "" and int(cookie["max-age"]) == 168 * 3600
    assert response.headers["Cache-Control"] == "no-store"
    assert desk.ask("GET", "/v1/me", cookie=cookie.value).status_code == 200


def test_an_id_from_before_login_is_worth_nothing_after_it(desk: Desk) -> None:
    """Neither a planted cookie nor the session of before is the session of after."""
    before = session_of(desk.log_in()).value
    after = session_of(desk.log_in(cookie=before)).value
    planted = session_of(desk.log_in(cookie="p" * 43)).value

    assert len({before, after, planted, "p" * 43}) == 4
    statuses = [desk.ask("GET", "/v1/me", cookie=one).status_code for one in (before, "p" * 43)]
    assert statuses == [401, 401]


def test_the_cookie_is_secure_behind_tls_and_only_a_stated_proxy_says_so(tmp_path: Path) -> None:
    """X-Forwarded-Proto and -For count with behind_proxy, and are ignored without."""
    seen = {}
    for behind in (False, True):
        with staffed_desk(tmp_path / str(behind), behind_proxy=behind) as desk:
            headers = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "10.7.7.7"}
            cookie = session_of(desk.log_in(headers=headers))
            (entry,) = [one for one in desk.accounts.audit(limit=9) if one.action == "login"]
            seen[behind] = (bool(cookie["secure"]), entry.address)

    assert seen == {False: (False, "127.0.0.1"), True: (True, "10.7.7.7")}


def test_too_many_wrong_passwords_are_told_when_to_come_back(desk: Desk) -> None:
    """The sixth wrong try is 429 with the true number of seconds."""
    statuses = [desk.log_in(password="不对不对").status_code for _ in range(6)]
    last = desk.log_in()

    assert statuses == [401] * 5 + [429]
    assert last.status_code == 429 and last.headers["Retry-After"] == "900"


def test_logging_out_always_works(desk: Desk) -> None:
    """With a session, without one and with an old one: 204, and the cookie is taken away."""
    cookie = desk.cookie("editor")

    for sent in (cookie, cookie, ""):
        response = desk.ask("POST", "/v1/logout", cookie=sent)
        assert response.status_code == 204 and session_of(response).value == ""
    assert desk.ask("GET", "/v1/me", cookie=cookie).status_code == 401


def test_a_password_given_by_another_must_be_changed_first(desk: Desk) -> None:
    """With it one can see who one is, choose another, log out, and nothing else."""
    given = desk.accounts.reset_password("editor", by=BY)
    cookie = session_of(desk.log_in(password=given)).value

    me = desk.ask("GET", "/v1/me", cookie=cookie)
    assert me.json is not None and me.json["must_change"] is True
    assert desk.ask("GET", "/v1/tokens", cookie=cookie).status_code == 403
    change = {"current": given, "password": "河长说：三月栽柳 28 棵"}
    changed = desk.ask("POST", "/v1/me/password", cookie=cookie, json=change)
    assert changed.status_code == 200
    fresh = session_of(changed).value
    assert desk.ask("GET", "/v1/tokens", cookie=fresh).status_code == 200
    assert desk.ask("GET", "/v1/me", cookie=cookie).status_code == 401


# Accounts and tokens over HTTP


def test_an_administrator_runs_the_accounts_over_http(desk: Desk) -> None:
    """Made, used, demoted, given another password, disabled: each takes hold at once."""
    cookie = desk.cookie("administrator")

    def ask(method: str, path: str, body: object = None) -> Any:
        return desk.ask(method, path, cookie=cookie, json=body)

    made = ask("POST", "/v1/users", {"name": "李编辑", "role": "editor", "shown": "李"})
    assert made.status_code == 201 and len(made.json["password"]) == 19
    assert ask("POST", "/v1/users", {"name": "李编辑", "role": "reader"}).status_code == 409
    assert ask("POST", "/v1/users", {"name": "a b", "role": "reader"}).status_code == 422
    assert ask("POST", "/v1/users", {"name": "赵", "role": "owner"}).status_code == 400
    session = session_of(desk.log_in("李编辑", made.json["password"])).value
    assert ask("PATCH", "/v1/users/李编辑", {}).status_code == 400
    assert ask("PATCH", "/v1/users/李编辑", {"role": "reader"}).json["role"] == "reader"
    assert desk.ask("GET", "/v1/me", cookie=session).status_code == 401
    password = ask("POST", "/v1/users/李编辑/password").json["password"]
    assert desk.log_in("李编辑", password).status_code == 200
    assert ask("PATCH", "/v1/users/李编辑", {"disabled": True}).json["disabled"]
    assert desk.log_in("李编辑", password).status_code == 401
    assert ask("PATCH", "/v1/users/没有", {"disabled": True}).status_code == 404
    assert ask("PATCH", "/v1/users/administrator", {"disabled": True}).status_code == 409
    names = [user["name"] for user in ask("GET", "/v1/users").json["users"]]
    assert sorted(names) == sorted(["administrator", "editor", "reader", "李编辑"])
    assert "argon2" not in ask("GET", "/v1/users").text


def test_a_token_over_http(desk: Desk) -> None:
    """Shown once, good for its scope, not for making more of its kind, void when revoked."""
    cookie = desk.cookie("editor")
    body = {"name": "采编系统", "scope": "editor", "days": 30}
    made = desk.ask("POST", "/v1/tokens", cookie=cookie, json=body)
    assert made.status_code == 201 and made.json is not None
    secret, number = made.json["secret"], made.json["token"]["id"]

    assert (
        secret.startswith("gq_") and secret not in desk.ask("GET", "/v1/tokens", cookie=cookie).text
    )
    me = desk.ask("GET", "/v1/me", token=secret)
    assert me.json is not None and (me.json["name"], me.json["by"]) == ("editor", "token")
    assert desk.ask("POST", "/v1/tokens", token=secret, json=body).status_code == 403
    assert (
        desk.ask("POST", "/v1/tokens", cookie=cookie, json={**body, "scope": "administrator"})
    ).status_code == 403
    other = desk.cookie("reader")
    assert desk.ask("DELETE", f"/v1/tokens/{number}", cookie=other).status_code == 404
    assert desk.ask("DELETE", f"/v1/tokens/{10**30}", cookie=cookie).status_code == 404
    assert desk.ask("DELETE", f"/v1/tokens/{number}", cookie=cookie).status_code == 200
    assert desk.ask("GET", "/v1/me", token=secret).status_code == 401


def test_the_record_pages_back_to_its_beginning(desk: Desk) -> None:
    """Page by page every entry comes once, the newest first; wrong queries are refused."""
    cookie = desk.cookie("administrator")
    for _ in range(5):
        desk.log_in()
    whole = [entry.id for entry in desk.accounts.audit(limit=100)]

    seen: list[int] = []
    before: int | None = 2**53 - 1
    while before is not None:
        page = desk.ask("GET", f"/v1/audit?limit=3&before={before}", cookie=cookie).json
        assert page is not None
        seen += [entry["id"] for entry in page["entries"]]
        before = page["before"]
    assert seen == whole
    for query in ("limit=0", "limit=x", "limit=1&limit=2", "before=-1", "colour=red"):
        assert desk.ask("GET", f"/v1/audit?{query}", cookie=cookie).status_code == 400
