"""Claims about backup and restore: whole, checked, elsewhere, and never over something else."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from databases import Server

from classifier.errors import BackupRefused, Conflict, ExtraMissing, GaoqianError
from classifier.registry import Registry
from service.answers import Answer, pin, read_pinned
from service.backup import DATABASES, MANIFEST, MODELS, back_up, check_backup, put_back
from service.receive import Piece, receive
from service.store import Store, open_store
from service.store.records import Action, Query
from training.labelled import Corpus

GAOQIAN = str(Path(sys.executable).with_name("gaoqian"))
NOW = datetime.fromisoformat("2026-11-24T08:30:00+00:00")


def _fill(store: Store, registry: Registry, corpus: Corpus, *, articles: int) -> None:
    model = registry.load()
    pieces = [
        Piece(one.article.text, one.article.title, external_id=one.article.id)
        for one in corpus.articles[:articles]
    ]
    receive(store, model, pieces, source="http")
    queue = store.submissions.page(Query(), limit=5).items
    store.reviews.review(queue[0].id, Action.CONFIRM, by="王编辑")
    store.reviews.review(queue[1].id, Action.SET, by="王编辑", themes=("elder_care",))
    store.reviews.review(queue[2].id, Action.UNSURE, by="李编辑")
    pin(registry, Answer(corpus.articles[0].article, ("environment",)), now=NOW, by="王编辑")


def _all(store: Store) -> list[object]:
    """Everything an editor or auditor can read about every submission."""
    return [
        (one, store.submissions.taggings(one.id), store.reviews.history(one.id))
        for one in store.submissions.each(Query())
    ]


@pytest.fixture
def other_url(request: pytest.FixtureRequest, store_url: str, tmp_path: Path) -> str:
    """An empty place for the same kind of database, on another machine as it were."""
    if store_url.startswith("postgresql"):
        server: Server = request.getfixturevalue("postgresql_server")
        held = server.database()
        url = held.__enter__()
        request.addfinalizer(lambda: held.__exit__(None, None, None))
        return url
    return str(tmp_path / "srv" / "稿 签" / "desk.sqlite")


@pytest.fixture
def saved(registry: Registry, corpus: Corpus, tmp_path: Path) -> Path:
    """A backup of a SQLite installation with a few submissions."""
    url = str(tmp_path / "first.db")
    store = open_store(url)
    _fill(store, registry, corpus, articles=6)
    store.close()
    back_up(tmp_path / "b.tar", database=url, models=registry.folder, now=NOW)
    return tmp_path / "b.tar"


def test_restored_elsewhere_it_has_the_same_taggings_and_gives_the_same_answers(
    store: Store,
    store_url: str,
    other_url: str,
    registry: Registry,
    corpus: Corpus,
    tmp_path: Path,
) -> None:
    """By the commands, into other paths: submissions, receipts, reviews, pins, pointer, scores."""
    _fill(store, registry, corpus, articles=20)
    before = _all(store)
    asked = [one.article for one in corpus.articles[:40]]
    answers = [*registry.load().tag_many(asked)]
    here = {"GAOQIAN_DATABASE": store_url, "GAOQIAN_MODELS": str(registry.folder)}
    there_models = tmp_path / "srv" / "models"
    there = {"GAOQIAN_DATABASE": other_url, "GAOQIAN_MODELS": str(there_models)}
    file = tmp_path / "备份.tar"

    for command, environment in (("backup", here), ("restore", there)):
        done = subprocess.run(
            [GAOQIAN, command, str(file)],
            env={**os.environ, **environment},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    restored = open_store(other_url)
    assert _all(restored) == before
    assert len(before) == 20
    restored.close()
    moved = Registry(there_models)
    assert moved.current_id() == registry.current_id()
    assert [*moved.load().tag_many(asked)] == answers
    assert moved.history() == registry.history()
    assert read_pinned(there_models) == read_pinned(registry.folder)
    assert file.stat().st_mode & 0o077 == 0


def test_a_backup_under_writing_is_of_one_moment(
    store: Store,
    store_url: str,
    other_url: str,
    registry: Registry,
    corpus: Corpus,
    tmp_path: Path,
) -> None:
    """Batches of three arrive meanwhile: each is in the copy whole or not at all, none is lost."""
    model = registry.load()
    stop = threading.Event()
    problems: list[BaseException] = []
    sent = 0

    def write() -> None:
        nonlocal sent
        try:
            while not stop.is_set():
                pieces = [
                    Piece(f"第{sent}批第{place}篇，河道清淤。", external_id=f"{sent}")
                    for place in range(3)
                ]
                receive(store, model, pieces, source="http")
                sent += 1
        except BaseException as error:
            problems.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(2):
            file = tmp_path / f"{number}.tar"
            back_up(file, database=store_url, models=registry.folder, now=NOW)
    finally:
        stop.set()
        writer.join()
    assert not problems
    assert sent > 0
    put_back(tmp_path / "1.tar", database=other_url, models=tmp_path / "elsewhere")

    copied = open_store(other_url)
    batches: dict[str, int] = {}
    for one in copied.submissions.each(Query()):
        batches[one.external_id] = batches.get(one.external_id, 0) + 1
    copied.close()
    assert set(batches.values()) <= {3}
    assert set(batches) == {str(number) for number in range(len(batches))}


def test_nothing_is_overwritten(saved: Path, tmp_path: Path) -> None:
    """A backup file, a database, a models folder that are there stay as they were, each by name."""
    models, database = tmp_path / "m", tmp_path / "d.db"
    content = saved.read_bytes()
    with pytest.raises(Conflict, match=r"b\.tar"):
        back_up(saved, database=str(tmp_path / "first.db"), models=models, now=NOW)
    database.write_bytes(b"something else")
    with pytest.raises(Conflict, match=r"d\.db"):
        put_back(saved, database=str(database), models=models)
    assert database.read_bytes() == b"something else"
    assert not [path for path in models.rglob("*") if path.is_file() and path.name != ".lock"]
    database.unlink()
    (models / "current").write_text("20200101-aaaaaa\n", encoding="ascii")
    with pytest.raises(Conflict, match="current"):
        put_back(saved, database=str(database), models=models)
    assert not database.exists()
    assert saved.read_bytes() == content


def test_tables_that_are_there_are_not_overwritten(
    postgres_url: str, registry: Registry, tmp_path: Path
) -> None:
    """A PostgreSQL database that holds anything is refused, its models folder left empty."""
    open_store(postgres_url).close()
    back_up(tmp_path / "p.tar", database=postgres_url, models=registry.folder, now=NOW)

    with pytest.raises(Conflict, match="张表"):
        put_back(tmp_path / "p.tar", database=postgres_url, models=tmp_path / "m")

    assert not (tmp_path / "m" / "current").exists()


def test_a_restore_that_was_cut_short_is_taken_up_again(saved: Path, tmp_path: Path) -> None:
    """Whatever an earlier try has put in place is recognised by its digest."""
    models, database = tmp_path / "m", tmp_path / "d.db"
    put_back(saved, database=str(database), models=models)
    (models / "current").unlink()
    next(models.glob("*/report.html")).unlink()

    put_back(saved, database=str(database), models=models)

    Registry(models).load()
    assert [*models.glob("*/report.html")]


def test_a_damaged_backup_is_refused_before_anything_is_put_in_place(
    saved: Path, tmp_path: Path
) -> None:
    """Cut, flipped or zeroed anywhere: restored whole as it was, or a refusal and empty places."""
    content = saved.read_bytes()
    good = check_backup(saved)
    chance = random.Random(6)
    bad, refused = tmp_path / "bad.tar", 0
    for number in range(60):
        place = chance.randrange(len(content))
        damaged = bytearray(content)
        match number % 3:
            case 0:
                damaged[place] ^= 1 << chance.randrange(8)
            case 1:
                del damaged[place:]
            case 2:
                damaged[place : place + 600] = bytes(len(damaged[place : place + 600]))
        bad.write_bytes(damaged)
        try:
            found = check_backup(bad)
        except GaoqianError as refusal:
            assert isinstance(refusal, BackupRefused)
            refused += 1
            continue
        assert (found.files, found.current) == (good.files, good.current)
    assert refused > 40
    place = content.index(b"SQLite format 3") + 5000
    bad.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    with pytest.raises(BackupRefused, match="摘要"):
        put_back(bad, database=str(tmp_path / "d.db"), models=tmp_path / "m")
    assert not (tmp_path / "d.db").exists()
    assert not (tmp_path / "m" / "current").exists()


@pytest.mark.parametrize(
    "name", ["models/../../x", "/etc/x", "models//x", "models/.part-x/y", "other", "models/a\0b"]
)
def test_a_name_that_leads_elsewhere_is_refused(saved: Path, tmp_path: Path, name: str) -> None:
    """However well its digest is stated."""

    def rename(record: dict[str, dict[str, object]]) -> None:
        old = next(one for one in record["files"] if one.endswith("history.jsonl"))
        record["files"][name] = record["files"].pop(old)

    _rewrite(saved, tmp_path / "bad.tar", rename)
    with pytest.raises(BackupRefused):
        put_back(tmp_path / "bad.tar", database=str(tmp_path / "d.db"), models=tmp_path / "m")
    assert not (tmp_path / "d.db").exists()


def _rewrite(file: Path, to: Path, change: Callable[[dict[str, dict[str, object]]], None]) -> None:
    with tarfile.open(file) as old, tarfile.open(to, "w") as new:
        for member in old.getmembers():
            stream = old.extractfile(member)
            assert stream is not None
            if member.name == MANIFEST:
                record = json.loads(stream.read())
                change(record)
                changed = to.with_suffix(".json")
                changed.write_text(json.dumps(record), encoding="utf-8")
                new.add(changed, MANIFEST)
            else:
                new.addfile(member, stream)


def test_other_databases_and_newer_formats_say_what_to_do(saved: Path, tmp_path: Path) -> None:
    """A backup of SQLite does not go into PostgreSQL; one of a newer program names it."""
    with pytest.raises(BackupRefused, match="database"):
        put_back(saved, database="postgresql://nobody@127.0.0.1:1/x", models=tmp_path / "m")
    _rewrite(saved, tmp_path / "new.tar", lambda record: record.update(format=99))
    with pytest.raises(BackupRefused, match="99"):
        check_backup(tmp_path / "new.tar")
    (tmp_path / "no.tar").write_text("不是备份", encoding="utf-8")
    with pytest.raises(BackupRefused, match=r"no\.tar"):
        check_backup(tmp_path / "no.tar")


def test_without_pg_dump_the_package_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And no file is left behind."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ExtraMissing, match="postgresql-client"):
        back_up(
            tmp_path / "b.tar",
            database="postgresql://nobody:geheim@127.0.0.1:1/x",
            models=tmp_path / "m",
            now=NOW,
        )
    assert not [*tmp_path.glob("*.tar")]


def test_a_database_that_is_away_is_named_without_its_password(tmp_path: Path) -> None:
    """What pg_dump says is passed on; the password is not."""
    with pytest.raises(GaoqianError) as refusal:
        back_up(
            tmp_path / "b.tar",
            database="postgresql://nobody:geheim@127.0.0.1:1/x",
            models=tmp_path / "m",
            now=NOW,
        )
    assert "127.0.0.1" in str(refusal.value)
    assert "geheim" not in str(refusal.value)


def test_a_backup_holds_nothing_of_its_machine(saved: Path, tmp_path: Path) -> None:
    """No path, no account, no lock: a manifest, a database and the models."""
    with tarfile.open(saved) as archive:
        members = archive.getmembers()
        stream = archive.extractfile(MANIFEST)
        assert stream is not None
        manifest = stream.read().decode()
    assert {name.split("/")[0] for name in [member.name for member in members]} == {
        MANIFEST, MODELS, DATABASES["sqlite"],
    }  # fmt: skip
    assert {(member.uid, member.uname) for member in members} == {(0, "")}
    assert not [member.name for member in members if ".lock" in member.name]
    assert str(tmp_path) not in manifest


def test_check_answers_without_restoring(saved: Path, tmp_path: Path) -> None:
    """`restore --check` says what is in a backup and leaves the machine as it was."""
    there = {"GAOQIAN_DATABASE": str(tmp_path / "x.db"), "GAOQIAN_MODELS": str(tmp_path / "x")}
    done = subprocess.run(
        [GAOQIAN, "restore", "--check", str(saved)],
        env={**os.environ, **there},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "1 个模型版本" in done.stdout
    assert not (tmp_path / "x.db").exists()
    assert not (tmp_path / "x").exists()
