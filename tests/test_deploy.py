"""Claims about deploy/ and the operator's pages: they fit the settings, routes and counts there are."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from classifier.registry import Registry
from service.app import ROUTES, create_app
from service.cli import COMMANDS
from service.settings import PREFIX, SETTINGS, Setting, read_settings

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").iterdir())
PAGES = [ROOT / "docs" / "operate.md", ROOT / "docs" / "operate.zh-CN.md"]
DEFAULTS = {setting.name: setting.default for setting in SETTINGS}

# What differs from machine to machine is shown by its meaning.
SHOWN = {"models": "models/", "database": "~/.local/share/gaoqian/gaoqian.db"}


def _compose() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
    return read


def _nginx() -> str:
    return (DEPLOY / "nginx" / "gaoqian.conf").read_text("utf-8")


def _directive(name: str) -> str:
    (value,) = set(re.findall(rf"^\s*{name}\s+([^;]+);", _nginx(), re.MULTILINE))
    return str(value)


def _unit(path: Path) -> dict[str, dict[str, list[str]]]:
    """A unit's sections; systemd lets a key stand several times."""
    found: dict[str, dict[str, list[str]]] = {}
    section = ""
    for line in path.read_text("utf-8").splitlines():
        if line.startswith("["):
            section = line.strip("[]")
            found[section] = {}
        elif line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found[section].setdefault(key, []).append(value)
    return found


# Settings


def test_every_setting_of_the_compose_file_is_one_and_makes_sense() -> None:
    """Read as the server itself would."""
    given = _compose()["services"]["gaoqian"]["environment"]
    settings = read_settings({name: str(value) for name, value in given.items()})

    assert given
    assert settings["behind_proxy"] is True
    assert settings["login"] == "required"
    assert settings["database"].startswith("postgresql://")
    assert str(settings.models) in given["GAOQIAN_MODELS"]
    assert any(
        volume.endswith(f":{settings.models}")
        for volume in _compose()["services"]["gaoqian"]["volumes"]
    )


def test_every_setting_of_the_dockerfile_is_one_and_makes_sense() -> None:
    """And the port it opens is the one that is served."""
    told = (DEPLOY / "Dockerfile").read_text("utf-8")
    given = dict(re.findall(rf"({PREFIX}\w+)=(\S+)", told))

    settings = read_settings(given)

    assert settings["host"] == "0.0.0.0"
    assert re.findall(r"^EXPOSE (\d+)", told, re.MULTILINE) == [str(settings["port"])]
    assert f"127.0.0.1:{settings['port']}/healthz" in told
    copied = [word for line in re.findall(r"^COPY ([^-].*)", told, re.MULTILINE) for word in
              line.split()[:-1]]  # fmt: skip
    assert copied
    assert all((ROOT / name).exists() for name in copied)
    assert {"classifier", "training", "service"} <= {*copied}


def test_the_example_of_a_settings_file_makes_sense(tmp_path: Path) -> None:
    """And its names fit nginx's."""
    settings = read_settings({"GAOQIAN_CONFIG": str(DEPLOY / "gaoqian.toml")})

    assert _directive("server_name") in settings["trusted_hosts"].split(",")
    assert settings["behind_proxy"] is True


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_pages_list_every_setting_as_it_is(page: Path) -> None:
    """One row each, in the table's order, with variable, default and limits; none beside them."""
    chinese = page.name.endswith("zh-CN.md")
    rows = re.findall(r"^\| `([a-z_]+)` \|.*\|$", page.read_text("utf-8"), re.MULTILINE)
    lines = re.findall(r"^\| `[a-z_]+` \|.*\|$", page.read_text("utf-8"), re.MULTILINE)
    wanted = [_row(setting, chinese=chinese) for setting in SETTINGS]
    told = "\n".join(f"{row} …" for row in wanted)

    assert rows == [setting.name for setting in SETTINGS], told
    for line, row in zip(lines, wanted, strict=True):
        assert line.startswith(row), row


def _row(setting: Setting, *, chinese: bool) -> str:
    shown = SHOWN.get(setting.name, setting.default)
    default = str(shown).lower() if isinstance(shown, bool) else f"{shown}" if shown != "" else "–"
    if setting.choices:
        limits = " ".join(f"`{choice}`" for choice in setting.choices)
    elif setting.least is not None or setting.most is not None:
        limits = f"{setting.least}…{setting.most}"
    else:
        limits = "–"
    row = f"| `{setting.name}` | {default} | {limits} |"
    return f"{row} {setting.help.replace('|', '/')} |" if chinese else row


# nginx


def test_nginx_takes_as_much_and_waits_as_long_as_we_do() -> None:
    """The same limit for bodies; longer than our own time-outs; connections dropped before ours."""
    assert _directive("client_max_body_size") == f"{DEFAULTS['max_body_mb']}m"
    longest = max(int(DEFAULTS["timeout"]), int(DEFAULTS["event_seconds"]))
    assert int(_directive("proxy_read_timeout").removesuffix("s")) > longest
    for name in ("client_header_timeout", "client_body_timeout", "send_timeout"):
        assert int(_directive(name).removesuffix("s")) <= 30
    for upstream in ("local", "compose"):
        told = (DEPLOY / "nginx" / f"upstream-{upstream}.conf").read_text("utf-8")
        assert f":{DEFAULTS['port']} " in told
        (kept,) = re.findall(r"keepalive_timeout (\d+)s", told)
        assert int(kept) < 15


def test_every_location_of_nginx_is_a_route() -> None:
    """Live notices leave unbuffered, exports without temporary files, counts not at all."""
    there = {rule.rule for rule in create_app(read_settings()).url_map.iter_rules()}
    exact = re.findall(r"location = (\S+) \{", _nginx())
    (pattern,) = re.findall(r"location ~ (\S+) \{", _nginx())
    streams = {route.path for route in ROUTES if route.media == "text/event-stream"}
    exports = {route.path for route in ROUTES if re.search(pattern, route.path)}

    assert {*exact} == streams | {"/metrics"}
    assert {*exact} <= there
    assert len(exports) == 3
    assert re.search(r"location = /v1/events \{[^}]*proxy_buffering off", _nginx())
    assert re.search(r"location = /metrics \{\s*return 404", _nginx())
    assert not re.search(r"proxy_set_header X-Forwarded-For \$proxy_add", _nginx())


@pytest.fixture
def nginx_files(tmp_path: Path) -> Path:
    """A main configuration around ours, with a certificate, for a user without rights."""
    if shutil.which("nginx") is None or shutil.which("openssl") is None:
        pytest.skip("nginx or openssl is not installed (apt-get install nginx-light openssl)")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
         "-subj", "/CN=desk.example.cn", "-keyout", "gaoqian.key", "-out", "gaoqian.crt"],
        cwd=tmp_path, check=True, capture_output=True,
    )  # fmt: skip
    (tmp_path / "site.conf").write_text(
        _nginx().replace("/etc/nginx/tls/", f"{tmp_path}/"), encoding="utf-8"
    )
    shutil.copy(DEPLOY / "nginx" / "upstream-local.conf", tmp_path / "upstream.conf")
    temporary = "".join(
        f"{kind}_temp_path {tmp_path}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (tmp_path / "nginx.conf").write_text(
        f"pid {tmp_path}/pid;\nerror_log {tmp_path}/error.log;\ndaemon off;\n"
        + "user root;\n" * (os.geteuid() == 0)
        + "events { worker_connections 4096; }\n"
        f"http {{\naccess_log off;\n{temporary}"
        f"include {tmp_path}/upstream.conf;\ninclude {tmp_path}/site.conf;\n}}\n",
        encoding="utf-8",
    )
    return tmp_path


def test_nginx_accepts_the_file(nginx_files: Path) -> None:
    """`nginx -t` on the very file, but for where the certificate lies."""
    done = subprocess.run(
        ["nginx", "-t", "-c", str(nginx_files / "nginx.conf")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def front(nginx_files: Path, registry: Registry, tmp_path: Path) -> Iterator[str]:
    """Our server behind a real nginx with the file as it is shipped but for ports and TLS."""
    back, front = _free_port(), _free_port()
    site = (nginx_files / "site.conf").read_text("utf-8")
    plain = re.sub(r"server \{\s*listen 80;.*?\n\}\n", "", site, count=1, flags=re.DOTALL)
    plain = re.sub(r"\n\s*listen [^;]*443[^;]*;", "", plain)
    plain = re.sub(r"\n\s*ssl_[^;]*;", "", plain)
    plain = plain.replace("    server_name", f"    listen 127.0.0.1:{front};\n    server_name", 1)
    (nginx_files / "site.conf").write_text(plain, encoding="utf-8")
    upstream = nginx_files / "upstream.conf"
    upstream.write_text(upstream.read_text("utf-8").replace("8600", str(back)), encoding="utf-8")
    environment = {
        **os.environ,
        "GAOQIAN_BEHIND_PROXY": "true",
        "GAOQIAN_LOGIN": "required",
        "GAOQIAN_TRUSTED_HOSTS": "127.0.0.1",
    }
    server = subprocess.Popen(
        [sys.executable, "-m", "service.cli", "serve", "--port", str(back), "--workers", "1"],
        env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    proxy = subprocess.Popen(
        ["nginx", "-c", str(nginx_files / "nginx.conf")],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    address = f"http://127.0.0.1:{front}"
    for _ in range(600):
        if _status(f"{address}/readyz") == 200:
            break
        time.sleep(0.1)
    yield address
    for process in (proxy, server):
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)


def _status(url: str, body: bytes | None = None, **headers: str) -> int:
    request = urllib.request.Request(url, data=body, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refusal:
        return refusal.code
    except OSError:
        return 0


def test_behind_nginx_it_answers_and_slow_clients_keep_nobody_waiting(front: str) -> None:
    """Counts stay inside, a large body is refused, 40 half-sent requests block nobody."""
    assert _status(f"{front}/readyz") == 200
    assert _status(f"{front}/metrics") == 404
    assert _status(f"{front}/v1/predict", b"{}") == 401
    assert _status(f"{front}/v1/predict", b" " * (21 << 20)) in {413, 0}  # 0: closed meanwhile
    host, port = front.removeprefix("http://").split(":")
    slow = [socket.create_connection((host, int(port))) for _ in range(40)]
    try:
        for number, one in enumerate(slow):
            head = b"POST /v1/predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 900\r\n"
            one.sendall(head + (b"\r\n{" if number % 2 else b"X-Slow: "))
        assert _status(f"{front}/readyz") == 200
        slow[-1].setblocking(False)
        with pytest.raises(BlockingIOError):  # it waits still, for all the time it has
            slow[-1].recv(1)
    finally:
        for one in slow:
            one.close()


# Units, compose, board, rules


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_units_run_commands_that_exist(path: Path) -> None:
    """With the settings file, as a user of its own; every timer has its service."""
    unit = _unit(path)
    if path.suffix == ".timer":
        assert path.with_suffix(".service") in UNITS
        assert unit["Install"]["WantedBy"] == ["timers.target"]
        return
    service = unit["Service"]
    (run,) = re.findall(r"/gaoqian (\w+)", " ".join(service["ExecStart"]))
    assert run in COMMANDS
    assert "GAOQIAN_CONFIG=/etc/gaoqian/gaoqian.toml" in service["Environment"]
    assert service["User"] == ["gaoqian"]
    assert service["ProtectSystem"] == ["strict"]
    folders = " ".join(service["StateDirectory"]).split()
    written = read_settings({"GAOQIAN_CONFIG": str(DEPLOY / "gaoqian.toml")})
    assert {str(written.models.parent), str(Path(written["database"]).parent)} <= {
        f"/var/lib/{folder}" for folder in folders
    }


def test_units_are_what_systemd_reads(tmp_path: Path) -> None:
    """`systemd-analyze verify`, where it is installed, has nothing to say of our lines."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd is not installed")
    for path in UNITS:
        told = path.read_text("utf-8").replace("/opt/gaoqian/bin/gaoqian", "/bin/true")
        (tmp_path / path.name).write_text(told, encoding="utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", *(str(tmp_path / path.name) for path in UNITS)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    ours = [line for line in done.stderr.splitlines() if str(tmp_path) in line]
    assert not ours


def test_a_stop_waits_for_what_is_in_hand() -> None:
    """systemd and compose both wait longer than the longest request may take."""
    stop = _unit(DEPLOY / "systemd" / "gaoqian.service")["Service"]["TimeoutStopSec"]
    grace = _compose()["services"]["gaoqian"]["stop_grace_period"].removesuffix("s")

    assert int(stop[0]) > int(DEFAULTS["timeout"])
    assert int(grace) > int(DEFAULTS["timeout"])


def test_compose_starts_replicas_that_share_database_and_models() -> None:
    """Nothing but nginx is reached from outside, and every file named is there."""
    services = _compose()["services"]

    assert services["gaoqian"]["deploy"]["replicas"] >= 2
    assert {name for name, service in services.items() if "ports" in service} == {"nginx"}
    for service in services.values():
        for volume in service["volumes"]:
            source = volume.split(":")[0]
            assert source == "./tls" or source in _compose()["volumes"] or (
                DEPLOY / source
            ).is_file(), volume  # fmt: skip
    assert (DEPLOY / services["gaoqian"]["build"]["context"]).resolve() == ROOT
    client, server = "trixie", services["postgres"]["image"]
    assert client in (DEPLOY / "Dockerfile").read_text("utf-8")
    assert server == "postgres:17"  # whose client is trixie's
    major, minor = services["nginx"]["image"].removeprefix("nginx:").split(".")[:2]
    assert (int(major), int(minor)) >= (1, 28)  # `resolve` in an upstream


def test_board_and_rules_ask_for_counts_that_exist(registry: Registry) -> None:
    """Every name in an expression is in /metrics, and every count of ours is on the board."""
    app = create_app(read_settings())
    app.extensions["gaoqian.served"].refresh()
    client = app.test_client()
    client.post("/v1/predict", json={"text": "镇里组织党员清理河道，请老人吃饭。"})
    client.post("/v1/predict", json={"text": ""})
    told = text_string_to_metric_families(client.get("/metrics").text)
    there = {sample.name for family in told for sample in family.samples}
    there |= {"up", "tagger_retrain_timestamp_seconds", "tagger_retrain_duration_seconds"}
    board = json.loads((DEPLOY / "grafana.json").read_text("utf-8"))
    rules = yaml.safe_load((DEPLOY / "alerts.yaml").read_text("utf-8"))["groups"][0]["rules"]
    shown = [target["expr"] for panel in board["panels"] for target in panel["targets"]]

    asked = {
        name
        for expression in [*shown, *(rule["expr"] for rule in rules)]
        for name in re.findall(r"\b(?:tagger|http)_\w+|\bup\b", expression)
    }

    assert asked <= there
    ours = {re.sub(r"_(bucket|sum|count)$", "", name) for name in there - {"up"}}
    seen = {re.sub(r"_(bucket|sum|count)$", "", name) for name in re.findall(r"\w+", str(shown))}
    assert ours <= seen
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


def test_every_alarm_is_explained() -> None:
    """In both pages, under its name."""
    rules = yaml.safe_load((DEPLOY / "alerts.yaml").read_text("utf-8"))["groups"][0]["rules"]
    for page in PAGES:
        told = page.read_text("utf-8")
        assert {rule["alert"] for rule in rules} <= {*re.findall(r"`(Gaoqian\w+)`", told)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_pages_name_commands_files_and_settings_that_exist(page: Path) -> None:
    """Every `gaoqian …` is a command, every deploy/… a file, every GAOQIAN_… a variable."""
    told = page.read_text("utf-8")
    known = {setting.variable for setting in SETTINGS} | {
        "GAOQIAN_CONFIG",
        "GAOQIAN_MAIL_PASSWORD",
    }

    assert {*re.findall(r"(?:^|`|bin/|&& )gaoqian ([a-z]+)", told, re.MULTILINE)} <= {*COMMANDS}
    for name in re.findall(r"deploy/[\w./-]*\w", told):
        assert (ROOT / name).exists(), name
    assert {*re.findall(r"\bGAOQIAN_\w+", told)} <= known
