"""Who may: every route of the app against every kind of caller, from the table of routes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from desks import BY, FAST, GOOD, HOST, Desk, chosen, desk_of, staffed_desk
from flask import Flask
from werkzeug.routing import Rule

from classifier.errors import SettingRefused
from service.access import is_login_needed
from service.accounts import Accounts
from service.api.routes import ROLES
from service.app import ROUTES
from service.store import Store
from service.store.records import Role


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A desk that asks everybody to log in."""
    with staffed_desk(tmp_path) as made:
        yield made


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Desk]:
    """A desk of one person on one machine, without login."""
    with desk_of(tmp_path) as made:
        yield made


def endpoints(app: Flask) -> list[tuple[Rule, str]]:
    """Every rule of the app with every method it takes."""
    return [
        (rule, method) for rule in app.url_map.iter_rules() for method in sorted(rule.methods or ())
    ]


def some_path(rule: Rule) -> str:
    """A path that the rule matches, of things that do not exist."""
    path = re.sub(r"<int[^>]*>", "999999", rule.rule)
    return re.sub(r"<[^>]+>", "nothing", path)


def stated(app: Flask) -> dict[str, str]:
    """The role each endpoint states: the table of routes, and the pages beside it."""
    roles = app.extensions["gaoqian.roles"]
    assert isinstance(roles, dict)
    return roles


# Every route


def test_every_endpoint_states_a_role_and_no_role_is_stated_for_nothing(desk: Desk) -> None:
    """A new route or page without a role fails here; so does a statement left behind."""
    there = {rule.endpoint for rule in desk.app.url_map.iter_rules()}

    assert set(stated(desk.app)) == there
    assert set(stated(desk.app).values()) <= set(ROLES)
    assert {route.answer.__name__ for route in ROUTES} <= there


def test_what_the_weak_may_is_what_we_say_and_nothing_else() -> None:
    """What strangers may, and what readers may change, written out a second time by hand."""
    open_to_all = {route.path for route in ROUTES if route.role == "stranger"}
    own = {route.path for route in ROUTES if route.role == "reader" and route.method != "GET"}

    assert open_to_all == {"/healthz", "/readyz", "/v1/login", "/v1/logout"}
    assert own == {
        "/v1/predict",  # stores nothing
        "/v1/pages/split",  # nor does this
        "/v1/me/password",
        "/v1/tokens",
        "/v1/tokens/<int:number>",
    }
    for route in ROUTES:
        if route.path.startswith(("/v1/users", "/v1/audit")):
            assert route.role == "administrator"


CALLERS: dict[str, Callable[[Desk], tuple[str, str, str]]] = {
    # name → (role it counts as, cookie, token)
    "a stranger": lambda desk: ("stranger", "", ""),
    "a made-up session": lambda desk: ("stranger", "x" * 43, ""),
    "a made-up token": lambda desk: ("stranger", "", "gq_" + "x" * 43),
    "an empty token beside a session": lambda desk: ("stranger", desk.cookie("editor"), " "),
    **{
        f"{role}'s session": lambda desk, role=role: (role, desk.cookie(role), "")  # type: ignore[misc]
        for role in ROLES[1:]
    },
    **{
        f"{role}'s token": lambda desk, role=role: (role, "", desk.token(role)[1])  # type: ignore[misc]
        for role in ROLES[1:]
    },
}


def expired_token(desk: Desk) -> tuple[str, str, str]:
    _, secret = desk.token("administrator", days=1)
    desk.clock.now += timedelta(days=1, seconds=1)
    return "stranger", "", secret


def revoked_token(desk: Desk) -> tuple[str, str, str]:
    number, secret = desk.token("administrator")
    desk.accounts.revoke_token(number, by=BY)
    return "stranger", "", secret


def idle_session(desk: Desk) -> tuple[str, str, str]:
    cookie = desk.cookie("administrator")
    desk.clock.now += timedelta(hours=13)
    return "stranger", cookie, ""


def closed_session(desk: Desk) -> tuple[str, str, str]:
    cookie = desk.cookie("administrator")
    desk.accounts.log_out(cookie)
    return "stranger", cookie, ""


def disabled_owner(desk: Desk) -> tuple[str, str, str]:
    desk.accounts.add_user("离职者", role=Role.EDITOR, password=GOOD, by=BY)
    cookie = desk.cookie("离职者")
    desk.accounts.change_user("离职者", disabled=True, by=BY)
    return "stranger", cookie, ""


def demoted_owner(desk: Desk) -> tuple[str, str, str]:
    _, secret = desk.token("editor")
    desk.accounts.change_user("editor", role=Role.READER, by=BY)
    return "reader", "", secret


CALLERS |= {
    "an expired token": expired_token,
    "a revoked token": revoked_token,
    "an idle session": idle_session,
    "a closed session": closed_session,
    "a disabled account's session": disabled_owner,
    "a demoted editor's token": demoted_owner,
}


@pytest.mark.parametrize("caller", CALLERS)
def test_everybody_gets_exactly_what_the_role_allows(desk: Desk, caller: str) -> None:
    """Every method of every route: 401 to whom we do not know, 403 below the role, else neither."""
    role, cookie, token = CALLERS[caller](desk)
    wrong = []

    for rule, method in endpoints(desk.app):
        if rule.endpoint in {"log_in", "log_out"} and cookie:
            continue  # would end the session that the others need
        response = desk.ask(method, some_path(rule), cookie=cookie, token=token)
        needed = stated(desk.app)[rule.endpoint]
        if ROLES.index(role) >= ROLES.index(needed):  # type: ignore[arg-type]
            right = response.status_code not in {401, 403}
        else:
            right = response.status_code == (401 if role == "stranger" else 403)
        if not right or response.status_code == 500:
            wrong.append((method, rule.rule, response.status_code))
        if response.status_code >= 400 and method != "HEAD":
            assert response.mimetype == "application/problem+json"

    assert wrong == []


FOREIGN = [
    {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
    {"Sec-Fetch-Site": "same-site", "Origin": "http://other.example.cn"},
    {"Sec-Fetch-Site": "cross-site", "Origin": f"http://{HOST}"},
    {"Sec-Fetch-Site": "same-site"},
    {"Origin": "https://evil.example"},
    {"Origin": f"http://{HOST}.evil.example"},
    {"Origin": f"http://{HOST}:8080"},
    {"Origin": f"http://evil.example/{HOST}"},
    {"Origin": "null"},
    {"Origin": ""},
    {"Origin": "http://["},
]
OWN = [
    {},
    {"Sec-Fetch-Site": "same-origin", "Origin": f"http://{HOST}"},
    {"Sec-Fetch-Site": "none"},
    {"Origin": f"http://{HOST}"},
    {"Origin": f"https://{HOST}"},  # TLS ended before us
]


@pytest.mark.parametrize("headers", FOREIGN)
def test_a_foreign_page_changes_nothing_with_somebody_elses_cookie(
    desk: Desk, headers: dict[str, str]
) -> None:
    """Every unsafe method of every route, also login and logout, is refused from elsewhere."""
    cookie = desk.cookie("administrator")

    for rule, method in endpoints(desk.app):
        if method in {"GET", "HEAD", "OPTIONS"}:
            continue
        response = desk.ask(method, some_path(rule), cookie=cookie, headers=headers)
        assert (response.status_code, method) == (403, method)
        assert "别的网站" in json.loads(response.text)["detail"]
    assert desk.ask("GET", "/v1/me", cookie=cookie, headers=headers).status_code == 200


@pytest.mark.parametrize("headers", OWN)
def test_our_own_pages_and_programs_may(desk: Desk, headers: dict[str, str]) -> None:
    """The same requests from our own pages, or from what is no browser, go through."""
    cookie = desk.cookie("administrator")
    response = desk.ask(
        "PATCH", "/v1/users/reader", cookie=cookie, headers=headers, json={"shown": "读者"}
    )

    assert response.status_code == 200


def test_a_token_may_come_from_any_page(desk: Desk) -> None:
    """No browser adds a token by itself, so its holder may write from wherever he is."""
    _, token = desk.token("administrator")
    response = desk.ask(
        "PATCH", "/v1/users/reader", token=token, headers=FOREIGN[0], json={"shown": "读者"}
    )

    assert response.status_code == 200


def test_an_endpoint_without_a_role_is_refused(desk: Desk) -> None:
    """Forgetting to state a role closes a page instead of opening it."""
    desk.app._got_first_request = False
    desk.app.add_url_rule("/forgotten", endpoint="forgotten", view_func=lambda: "secret")

    response = desk.ask("GET", "/forgotten", cookie=desk.cookie("administrator"))
    assert response.status_code == 403 and "secret" not in response.text


def test_the_document_says_who_may(desk: Desk) -> None:
    """The OpenAPI document asks for a login exactly where the guard does, and tells 401 and 403."""
    document = json.loads(desk.ask("GET", "/openapi.json").text)
    schemes = set(document["components"]["securitySchemes"])

    for route in ROUTES:
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", route.path)
        one = document["paths"][path][route.method.lower()]
        assert one["x-role"] == route.role
        assert {name for way in one["security"] for name in way} == (
            set() if route.role == "stranger" else schemes
        )
        assert ("401" in one["responses"]) >= (route.role != "stranger")
        assert ("403" in one["responses"]) >= (route.role in {"editor", "administrator"})
        assert str(route.status) in one["responses"]


def test_refusals_name_what_to_do(desk: Desk) -> None:
    """401 carries a challenge that opens no dialogue of the browser's own; both say why."""
    unknown = desk.ask("GET", "/v1/themes")
    low = desk.ask("GET", "/v1/users", cookie=desk.cookie("editor"))

    assert unknown.headers["WWW-Authenticate"].startswith("Bearer")
    assert json.loads(unknown.text)["title"] == "请先登录"
    assert "管理员" in json.loads(low.text)["detail"]


# Alone on one machine


def test_alone_on_one_machine_nobody_logs_in(alone: Desk) -> None:
    """On loopback without accounts everything is open, and says so."""
    me = alone.ask("GET", "/v1/me", base_url="http://127.0.0.1:8600")

    assert me.json == {
        "name": "本机",
        "shown": "本机",
        "role": "administrator",
        "by": "local",
        "must_change": False,
        "login": False,
    }
    for host in ("localhost", "localhost:8600", "127.0.0.1:1", "[::1]:8600", "LOCALHOST"):
        assert alone.ask("GET", "/v1/users", base_url=f"http://{host}").status_code == 200


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({"base_url": "http://evil.example:8600"}, 400),  # a name turned to 127.0.0.1
        ({"base_url": "http://127.0.0.1.evil.example"}, 400),
        ({"headers": {"X-Forwarded-For": "203.0.113.9"}}, 403),  # through a proxy
        ({"headers": {"Forwarded": "for=203.0.113.9"}}, 403),
        ({"environ_overrides": {"REMOTE_ADDR": "203.0.113.9"}}, 403),
        ({"environ_overrides": {"REMOTE_ADDR": ""}}, 403),
        ({"headers": {"Authorization": "Bearer gq_wrong"}}, 401),
    ],
)
def test_alone_means_from_this_machine(alone: Desk, given: dict[str, Any], status: int) -> None:
    """Whoever comes by another name, address or through a proxy is not alone."""
    response = alone.ask("GET", "/v1/users", **{"base_url": "http://127.0.0.1", **given})

    assert response.status_code == status
    assert response.mimetype == "application/problem+json"


@pytest.mark.parametrize("headers", FOREIGN)
def test_a_foreign_page_changes_nothing_on_this_machine_either(
    alone: Desk, headers: dict[str, str]
) -> None:
    """A page of the internet open in the same browser cannot post to the desk."""
    response = alone.ask(
        "POST", "/v1/users", base_url="http://127.0.0.1:8600", headers=headers, json={}
    )

    assert response.status_code == 403


def test_a_program_token_names_its_owner_also_without_login(alone: Desk) -> None:
    """Who writes with a token is written down as its owner and bound to its scope."""
    alone.accounts.add_program("采编系统", role=Role.READER, by=BY)
    _, secret = alone.accounts.add_token(
        "采编系统", name="", scope=Role.READER, lasts=timedelta(days=1), by=BY
    )
    base = "http://127.0.0.1:8600"

    me = alone.ask("GET", "/v1/me", token=secret, base_url=base)
    assert me.json is not None and me.json["name"] == "采编系统"
    assert alone.ask("GET", "/v1/users", token=secret, base_url=base).status_code == 403
    body = {"name": "x", "scope": "reader"}
    assert alone.ask("POST", "/v1/tokens", base_url=base, json=body).status_code == 409


@pytest.mark.parametrize(
    ("values", "password", "needed"),
    [
        ({}, False, False),
        ({"host": "localhost"}, False, False),
        ({"host": "::1"}, False, False),
        ({"host": "127.9.9.9"}, False, False),
        ({"host": "0.0.0.0"}, False, True),
        ({"host": "::"}, False, True),
        ({"host": ""}, False, True),
        ({"host": "192.168.1.2"}, False, True),
        ({"host": "desk.example.cn"}, False, True),
        ({"behind_proxy": True}, False, True),
        ({}, True, True),  # accounts exist: people are meant to be told apart
        ({"login": "off"}, True, False),
        ({"login": "off", "host": "0.0.0.0"}, False, None),
        ({"login": "off", "behind_proxy": True}, False, None),
        ({"login": "required"}, False, True),
    ],
)
def test_when_a_login_is_needed(
    store: Store, tmp_path: Path, values: dict[str, Any], password: bool, needed: bool | None
) -> None:
    """Only loopback without a proxy may do without; asking for more is refused at start."""
    accounts = Accounts(store.accounts, clock=store.clock, passwords=FAST)
    accounts.add_program("采编系统", role=Role.EDITOR, by=BY)
    if password:
        accounts.add_user("王编辑", role=Role.EDITOR, by=BY)

    if needed is None:
        with pytest.raises(SettingRefused, match=r"127\.0\.0\.1"):
            is_login_needed(chosen(tmp_path, **values), accounts)
    else:
        assert is_login_needed(chosen(tmp_path, **values), accounts) is needed


@pytest.mark.parametrize(
    ("trusted", "host", "allowed"),
    [
        ("", "anything.example", True),
        ("desk.example.cn", "desk.example.cn", True),
        ("desk.example.cn", "DESK.example.cn:8443", True),
        ("desk.example.cn, 10.0.0.5", "10.0.0.5:8600", True),
        (".example.cn", "a.b.example.cn", True),
        (".example.cn", "example.cn", True),
        (".example.cn", "evilexample.cn", False),
        ("desk.example.cn", "desk.example.cn.evil.example", False),
        ("desk.example.cn", "[::1]:8600", False),
    ],
)
def test_only_trusted_hosts_are_answered(
    tmp_path: Path, trusted: str, host: str, allowed: bool
) -> None:
    """With trusted_hosts set, a request by any other name is refused before anything else."""
    with desk_of(tmp_path, login="required", trusted_hosts=trusted) as desk:
        response = desk.ask("GET", "/healthz", base_url=f"http://{host}")

    assert response.status_code == (200 if allowed else 400)
