"""Claims about the examination: each fault is found, named with what to do, and nothing changes."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifier.registry import Registry
from service.doctor import NETWORK_FILESYSTEMS, Finding, Level, examine, filesystem_of
from service.settings import read_settings
from service.store import open_store

GAOQIAN = str(Path(sys.executable).with_name("gaoqian"))


@pytest.fixture
def registry(registry: Registry) -> Registry:
    """The usual models folder, promoted today rather than on the fixtures' own date."""
    history = registry.folder / "history.jsonl"
    lines = [json.loads(line) for line in history.read_text(encoding="utf-8").splitlines()]
    dated = [{**line, "at": datetime.now(UTC).isoformat()} for line in lines]
    history.write_text("".join(json.dumps(line) + "\n" for line in dated), encoding="utf-8")
    return registry


def _examined(tmp_path: Path, *, now: datetime | None = None, **given: str) -> list[Finding]:
    environment = {
        "GAOQIAN_MODELS": str(tmp_path / "models"),
        "GAOQIAN_DATABASE": str(tmp_path / "gaoqian.db"),
        **{f"GAOQIAN_{name.upper()}": value for name, value in given.items()},
    }
    settings = read_settings(environment)
    return [*examine(settings, now=now or datetime.now(UTC))]


def _broken(findings: list[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.level is Level.BROKEN]


def test_a_sound_installation_has_nothing_broken(registry: Registry, tmp_path: Path) -> None:
    """Every line is well or deserves a look, and the examination leaves no trace."""
    open_store(str(tmp_path / "gaoqian.db")).close()
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}

    findings = _examined(tmp_path)

    assert not _broken(findings)
    assert registry.current_id() in " ".join(finding.what for finding in findings)
    after = {
        path: path.stat().st_mtime_ns
        for path in tmp_path.rglob("*")
        if path.is_file() and not path.name.endswith(("-wal", "-shm"))
    }
    assert after == before


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _zero(tmp_path: Path) -> None:
    with (tmp_path / "gaoqian.db").open("r+b") as stream:
        stream.seek(4096)
        stream.write(b"\xff" * 8192)


FAULTS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "no model": ("当前模型", lambda folder: (folder / "models" / "current").unlink()),
    "a pointer to nowhere": (
        "当前模型",
        lambda folder: (folder / "models" / "current").write_text("20990101-abc\n"),
    ),
    "a flipped bit in the model": (
        "当前模型",
        lambda folder: _flip(next((folder / "models").glob("*/arrays.npz"))),
    ),
    "a spoilt list of themes": (
        "themes.json",
        lambda folder: (folder / "models" / "themes.json").write_text("{"),
    ),
    "a spoilt list of pinned articles": (
        "pinned.jsonl",
        lambda folder: (folder / "models" / "pinned.jsonl").write_text("{"),
    ),
    "a spoilt database": ("数据库", _zero),
    "something else than a database": (
        "数据库",
        lambda folder: (folder / "gaoqian.db").write_text("稿件" * 5000, encoding="utf-8"),
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found_and_named(fault: str, registry: Registry, tmp_path: Path) -> None:
    """In its own line, with something to do about it, and only there."""
    open_store(str(tmp_path / "gaoqian.db")).close()
    about, spoil = FAULTS[fault]
    spoil(tmp_path)

    broken = _broken(_examined(tmp_path))

    assert {finding.about for finding in broken} == {about}
    assert all(finding.what for finding in broken)


def test_a_clock_that_went_back_is_found(registry: Registry, tmp_path: Path) -> None:
    """Whatever is stored is dated later than now."""
    broken = _broken(_examined(tmp_path, now=datetime.now(UTC) - timedelta(days=1)))

    assert [finding.about for finding in broken] == ["时钟"]
    assert "timedatectl" in broken[0].fix


def test_a_disk_that_takes_nothing_is_found(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tried by writing, since permissions say nothing of a disk that is full or read-only."""
    findings = _examined(tmp_path, database="/proc/gaoqian/gaoqian.db")

    assert "数据库文件夹" in {finding.about for finding in _broken(findings)}


@pytest.mark.parametrize(
    ("given", "level"),
    [
        ({"webhook_url": "ftp://x"}, Level.BROKEN),
        ({"webhook_url": "https://cms.example.cn/x", "webhook_secret": "short"}, Level.BROKEN),
        ({"login": "off", "host": "0.0.0.0"}, Level.BROKEN),
        ({"mail_password_file": "/nowhere/password"}, Level.BROKEN),
        ({"corpus": "/nowhere/corpus"}, Level.BROKEN),
        ({"host": "0.0.0.0"}, Level.LOOK),
        ({"behind_proxy": "true"}, Level.LOOK),
        ({"log_articles": "true"}, Level.LOOK),
    ],
)
def test_settings_that_contradict_each_other_are_found(
    given: dict[str, str], level: Level, registry: Registry, tmp_path: Path
) -> None:
    """Each makes sense by itself."""
    told = [finding for finding in _examined(tmp_path, **given) if finding.about == "设置"]

    assert level in {finding.level for finding in told}
    assert all(finding.fix for finding in told if finding.level is Level.BROKEN or level)


def test_a_database_that_is_away_is_named_without_its_password(
    registry: Registry, tmp_path: Path
) -> None:
    """Host and reason, no secret."""
    (broken,) = _broken(_examined(tmp_path, database="postgresql://desk:geheim@127.0.0.1:1/desk"))

    assert "127.0.0.1" in str(broken)
    assert "geheim" not in str(broken)


def test_postgresql_is_examined_too(registry: Registry, tmp_path: Path, postgres_url: str) -> None:
    """Empty it deserves a look, with our tables it is well."""
    for level, prepare in ((Level.LOOK, None), (Level.WELL, open_store)):
        if prepare is not None:
            prepare(postgres_url).close()
        told = [
            finding
            for finding in _examined(tmp_path, database=postgres_url)
            if finding.about == "数据库"
        ]
        assert [finding.level for finding in told] == [level]


def test_tables_of_another_program_deserve_a_look(registry: Registry, tmp_path: Path) -> None:
    """And both revisions are named."""
    open_store(str(tmp_path / "gaoqian.db")).close()
    with sqlite3.connect(tmp_path / "gaoqian.db") as base:
        base.execute("UPDATE alembic_version SET version_num = '9999'")
    base.close()

    told = [finding for finding in _examined(tmp_path) if finding.about == "数据库"]

    assert [finding.level for finding in told] == [Level.LOOK]
    assert "9999" in told[0].what


@given(
    kinds=st.lists(st.sampled_from([*NETWORK_FILESYSTEMS, "ext4", "xfs"]), min_size=1, max_size=5)
)
def test_the_innermost_mount_tells_the_filesystem(kinds: list[str]) -> None:
    """Whatever the order of the lines, and however its path is written."""
    points = ["/", "/srv", "/srv/稿\\040签", "/srv/稿\\040签/深", "/srv/稿\\040签/深/处"][
        : len(kinds)
    ]
    lines = [
        f"{number} 1 0:{number} / {point} rw shared:1 - {kind} source rw"
        for number, (point, kind) in enumerate(zip(points, kinds, strict=True))
    ]
    place = Path("/srv/稿 签/深/处/gaoqian.db")

    assert filesystem_of(place, "\n".join(lines)) == kinds[-1]
    assert filesystem_of(place, "\n".join(reversed(lines))) == kinds[-1]
    assert filesystem_of(Path("/opt/x"), "\n".join(lines)) == kinds[0]


def test_a_database_on_a_network_disk_is_broken(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite's locks do not hold there."""
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"1 0 0:1 / {tmp_path} rw - nfs4 host:/x rw\n", encoding="utf-8")
    monkeypatch.setattr("service.doctor._MOUNTS", mounts)

    (broken,) = _broken(_examined(tmp_path))

    assert "nfs4" in broken.what
    assert "PostgreSQL" in broken.fix


def test_the_command_leaves_with_1_where_something_is_broken(
    registry: Registry, tmp_path: Path
) -> None:
    """Each line begins with its verdict; as JSON it is the same; a bad setting is a line too."""

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [GAOQIAN, "doctor", *arguments],
            env={**os.environ, **environment},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )

    sound = run()
    assert sound.returncode == 0, sound.stdout
    assert {line.split("\t")[0] for line in sound.stdout.splitlines()} <= {"好", "注意"}
    (registry.folder / "current").unlink()
    broken = run("--json")
    assert broken.returncode == 1
    levels = [json.loads(line)["level"] for line in broken.stdout.splitlines()]
    assert levels.count("坏") == 1
    unset = run(GAOQIAN_PORT="abc")
    assert unset.returncode == 1
    assert unset.stdout.startswith("坏\t设置")
    assert "Traceback" not in unset.stderr + broken.stderr
