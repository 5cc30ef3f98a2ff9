"""A whole installation in one file, taken while it runs, put back on any machine.

    gaoqian-20261124.tar
      manifest.json        what this is, and the digest of every other member
      database.sqlite3     or database.dump, from PostgreSQL
      models/…             the models folder: versions, current, history, pinned, answers, themes

Paths of the machine it was taken on are not in it. Whatever is put back is read, measured and
compared with its digest beside its place first, and moved there only when all of it is right.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sqlite3
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import IO, Any

from sqlalchemy import inspect
from sqlalchemy.engine import URL

from classifier.errors import BackupRefused, Busy, Conflict, ExtraMissing, StorageFull
from classifier.registry import POINTER, Registry, sync_folder
from service.store.database import Database, read_url

FORMAT = 1
MANIFEST = "manifest.json"
DATABASES = {"sqlite": "database.sqlite3", "postgresql": "database.dump"}
MODELS = "models"

_PARTIAL = ".part-"
_MAX_MANIFEST_BYTES = 50_000_000
_BLOCK = 1 << 20
# Of the program, of this machine, or half written.
_PASSES_OVER = re.compile(r"README\.md|\.lock|\..+\.lock|\.part-.*")
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Contents:
    """What a backup holds."""

    made: str  # ISO 8601
    program: str  # the version that made it
    database: str  # "sqlite" or "postgresql"
    current: str  # the id of the model in service, "" where there was none
    files: Mapping[str, tuple[str, int]]  # member → sha256, bytes

    def __str__(self) -> str:
        size = sum(count for _, count in self.files.values())
        versions = {name.split("/")[1] for name in self.files if name.count("/") > 1}
        return (
            f"{self.made} 的 {self.database} 数据库，{len(versions)} 个模型版本"
            f"（在岗 {self.current or '没有'}），{size / 1e6:.1f} MB"
        )


def back_up(file: Path, *, database: str, models: Path, now: datetime) -> Contents:
    """Write a backup of database and models folder; both may be in use meanwhile.

    Raises Conflict where the file is there already, Busy where the database does not answer,
    ExtraMissing without pg_dump, StorageFull.
    """
    if file.exists():
        raise _taken(file)
    url = read_url(database)
    kind = url.get_backend_name()
    with _written_beside(file) as (stage, stream):
        taken = stage / DATABASES[kind]
        if kind == "sqlite":
            _copy_sqlite(Path(url.database or ""), taken)
        else:
            _dump_postgresql(url, taken)
        registry = Registry(models)
        with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
            # The database first: the model of every receipt in it is then among the models.
            files = {taken.name: _add(archive, taken, taken.name)}
            current = ""
            if models.is_dir():
                # Held, so that no version is pruned or promoted half-way through the folder.
                with registry.locked():
                    for path in _kept(models):
                        name = f"{MODELS}/{path.relative_to(models).as_posix()}"
                        files[name] = _add(archive, path, name)
                    pointer = models / POINTER
                    current = pointer.read_text("utf-8").strip() if pointer.is_file() else ""
            made = now.astimezone().isoformat(timespec="seconds")
            contents = Contents(made, version("gaoqian"), kind, current, files)
            manifest = stage / MANIFEST
            manifest.write_bytes(_manifest(contents))
            archive.add(manifest, MANIFEST, filter=_plain)
    return contents


def check_backup(file: Path) -> Contents:
    """Read a backup to its end and compare every digest; raises BackupRefused."""
    with _opened(file) as archive:
        contents = _read_manifest(archive, file)
        for name in contents.files:
            for _ in _verified(archive, name, contents, file):
                pass
    return contents


def put_back(file: Path, *, database: str, models: Path) -> Contents:
    """Put a backup where `database` and `models` say, which may be elsewhere than it came from.

    Nothing is overwritten and nothing is done by halves: raises Conflict where something else is
    there, BackupRefused for a file that is damaged or from another kind of database.
    """
    url = read_url(database)
    registry = Registry(models)
    with _opened(file) as archive:
        contents = _read_manifest(archive, file)
        if contents.database != url.get_backend_name():
            raise BackupRefused(
                f"备份出自 {contents.database}，而设置的数据库是 {url.get_backend_name()}",
                where=str(file),
                fix="请把设置 database 改成同一种数据库",
            )
        member = DATABASES[contents.database]
        target = Path(url.database or "") if contents.database == "sqlite" else None
        with registry.locked():
            _refuse_other_models(models, contents)
            if target is None:
                _refuse_other_tables(database)
            else:
                target.parent.mkdir(parents=True, exist_ok=True)
                _refuse_other_file(target, contents.files[member][0])
            beside = target.parent if target else models
            with _staged(models) as stage, _staged(beside) as database_stage:
                for name in contents.files:
                    to = database_stage / member if name == member else stage / _inside(name)
                    _extract(archive, name, contents, file, to=to)
                _move_models(stage, models, contents)
                if target is None:
                    _load_postgresql(url, database_stage / member)
                else:
                    _place_sqlite(database_stage / member, target, contents.files[member][0])
                # Last of all: until now this machine had no model in service.
                _move(stage / POINTER, models / POINTER)
                sync_folder(models)
    return contents


# Writing


@contextmanager
def _written_beside(file: Path) -> Iterator[tuple[Path, IO[bytes]]]:
    """A folder to work in and a stream that becomes the file in one step, or not at all."""
    if not file.parent.is_dir():
        raise BackupRefused("没有这个文件夹", where=str(file.parent), fix="请先建好它")
    stage = Path(tempfile.mkdtemp(prefix=_PARTIAL, dir=file.parent))
    try:
        partial = stage / file.name
        with partial.open("xb") as stream:
            partial.chmod(0o600)  # manuscripts and password hashes are nobody else's business
            yield stage, stream
            stream.flush()
            os.fsync(stream.fileno())
        _place(partial, file)
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _place(staged: Path, place: Path) -> None:
    """Move a file to where nothing is yet; raises Conflict where something is."""
    try:
        os.link(staged, place)  # unlike a rename it never takes the place of another file
    except FileExistsError:
        raise _taken(place) from None
    except OSError:
        if place.exists():
            raise _taken(place) from None
        staged.rename(place)  # a disk without hard links
    sync_folder(place.parent)


def _taken(file: Path) -> Conflict:
    return Conflict("已有这个文件，没有覆盖它", where=str(file), fix="请换一处，或先把它移开")


def _kept(models: Path) -> list[Path]:
    return sorted(
        path
        for path in models.rglob("*")
        if path.is_file()
        and not any(_PASSES_OVER.fullmatch(part) for part in path.relative_to(models).parts)
    )


def _add(archive: tarfile.TarFile, path: Path, name: str) -> tuple[str, int]:
    # Digest and content from one and the same opening: files of a folder in use get replaced.
    with path.open("rb") as stream:
        told = hashlib.sha256()
        while block := stream.read(_BLOCK):
            told.update(block)
        size = stream.tell()
        stream.seek(0)
        entry = _plain(archive.gettarinfo(arcname=name, fileobj=stream))
        entry.size = size
        archive.addfile(entry, stream)
    return told.hexdigest(), size


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """Without names and numbers of this machine's accounts."""
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.type = tarfile.REGTYPE
    entry.mode = 0o600
    return entry


def _manifest(contents: Contents) -> bytes:
    record = {
        "format": FORMAT,
        "made": contents.made,
        "program": contents.program,
        "database": contents.database,
        "current": contents.current,
        "files": {
            name: {"sha256": digest, "bytes": size}
            for name, (digest, size) in contents.files.items()
        },
    }
    return (json.dumps(record, ensure_ascii=False, indent=1) + "\n").encode()


# Reading


@contextmanager
def _opened(file: Path) -> Iterator[tarfile.TarFile]:
    try:
        with tarfile.open(file, mode="r:") as archive:
            yield archive
    except (tarfile.TarError, EOFError) as error:
        raise BackupRefused(
            f"不是完整的备份文件（{error}）", where=str(file), fix="请换一份备份"
        ) from None


def _read_manifest(archive: tarfile.TarFile, file: Path) -> Contents:
    try:
        member = archive.getmember(MANIFEST)
        stream = archive.extractfile(member)
        if stream is None or member.size > _MAX_MANIFEST_BYTES:
            raise ValueError(MANIFEST)
        record: dict[str, Any] = json.loads(stream.read())
        files = {
            str(name): (str(one["sha256"]), int(one["bytes"]))
            for name, one in record["files"].items()
        }
        contents = Contents(
            str(record["made"]),
            str(record["program"]),
            str(record["database"]),
            str(record["current"]),
            files,
        )
        if record["format"] != FORMAT:
            raise BackupRefused(
                f"备份格式是 {record['format']}，本程序只读格式 {FORMAT}",
                where=str(file),
                fix=f"请用写它的程序（{contents.program}）恢复",
            )
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError):
        raise BackupRefused("里面没有读得懂的清单", where=str(file), fix="请换一份备份") from None
    sound = contents.database in DATABASES and DATABASES[contents.database] in files
    if not sound or not all(_is_ours(name, contents) for name in files):
        raise BackupRefused("清单里有不该有的文件", where=str(file), fix="请换一份备份")
    if sorted(archive.getnames()) != sorted([*files, MANIFEST]):
        raise BackupRefused("里面的文件与清单不符", where=str(file), fix="请换一份备份")
    return contents


def _is_ours(name: str, contents: Contents) -> bool:
    """Whether a name stays within the places that a backup fills."""
    digest, size = contents.files[name]
    if not _DIGEST.fullmatch(digest) or size < 0:
        return False
    if name == DATABASES[contents.database]:
        return True
    path = PurePosixPath(name)
    return (
        path.as_posix() == name
        and path.parts[0] == MODELS
        and len(path.parts) > 1
        and "\0" not in name
        and not any(part == ".." or _PASSES_OVER.fullmatch(part) for part in path.parts)
    )


def _inside(name: str) -> Path:
    return Path(*PurePosixPath(name).parts[1:])


def _verified(
    archive: tarfile.TarFile, name: str, contents: Contents, file: Path
) -> Iterator[bytes]:
    """The blocks of a member; raises BackupRefused at its end where it is not what was written."""
    digest, size = contents.files[name]
    member = archive.getmember(name)
    stream = archive.extractfile(member) if member.isreg() and member.size == size else None
    told = hashlib.sha256()
    if stream is not None:
        while block := stream.read(_BLOCK):
            told.update(block)
            yield block
    if told.hexdigest() != digest:
        raise BackupRefused(f"{name} 与清单中的摘要不符", where=str(file), fix="请换一份备份")


def _extract(
    archive: tarfile.TarFile, name: str, contents: Contents, file: Path, *, to: Path
) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    with to.open("xb") as stream:
        to.chmod(0o600 if name in DATABASES.values() else 0o644)
        for block in _verified(archive, name, contents, file):
            stream.write(block)
        stream.flush()
        os.fsync(stream.fileno())


# Putting in place


@contextmanager
def _staged(folder: Path) -> Iterator[Path]:
    stage = Path(tempfile.mkdtemp(prefix=_PARTIAL, dir=folder))
    try:
        yield stage
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _refuse_other_models(models: Path, contents: Contents) -> None:
    """The folder may hold nothing but what the backup has too: an earlier try."""
    for path in _kept(models):
        relative = path.relative_to(models)
        digest, _ = contents.files.get(f"{MODELS}/{relative.as_posix()}", ("", 0))
        if digest != _digest(path):
            raise Conflict(
                f"模型文件夹里已有 {relative}，没有覆盖它",
                where=str(models),
                fix="请把设置 models 指到空文件夹，或先把它移开",
            )


def _move_models(stage: Path, models: Path, contents: Contents) -> None:
    for name in contents.files:
        inside = _inside(name)
        if name not in DATABASES.values() and inside != Path(POINTER):
            _move(stage / inside, models / inside)
    for folder in {(models / _inside(name)).parent for name in contents.files if "/" in name}:
        sync_folder(folder)


def _move(staged: Path, place: Path) -> None:
    if staged.is_file():
        place.parent.mkdir(parents=True, exist_ok=True)
        staged.replace(place)


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


# SQLite


def _copy_sqlite(path: Path, to: Path) -> None:
    if not path.is_file():
        raise BackupRefused("还没有数据库", where=str(path), fix="请检查设置 database")
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as base:
            # One reading transaction: what is written meanwhile neither waits nor gets in.
            base.execute("VACUUM INTO ?", (str(to),))
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL:
            raise StorageFull("磁盘放不下备份", where=str(to.parent)) from None
        raise Busy(f"数据库读不出来（{error}）", where=str(path), fix="请稍后再试") from None


def _refuse_other_file(target: Path, digest: str) -> None:
    if target.exists() and _digest(target) != digest:
        raise _taken(target)


def _place_sqlite(staged: Path, target: Path, digest: str) -> None:
    with closing(sqlite3.connect(f"{staged.absolute().as_uri()}?mode=ro", uri=True)) as base:
        told = [row[0] for row in base.execute("PRAGMA quick_check(3)")]
    if told != ["ok"]:
        raise BackupRefused(f"备份里的数据库已损坏（{told[0]}）", fix="请换一份备份")
    if target.exists():
        _refuse_other_file(target, digest)  # an earlier try came as far as here
    else:
        _place(staged, target)


# PostgreSQL


def _dump_postgresql(url: URL, to: Path) -> None:
    _run("pg_dump", url, "--format=custom", "--no-owner", "--no-privileges", "--file", str(to))


def _load_postgresql(url: URL, dump: Path) -> None:
    _run(
        "pg_restore",
        url,
        "--single-transaction",
        "--exit-on-error",
        "--no-owner",
        "--no-privileges",
        str(dump),
    )


def _refuse_other_tables(address: str) -> None:
    database = Database(address)
    try:
        with database.reading() as connection:
            tables = inspect(connection).get_table_names()
    finally:
        database.close()
    if tables:
        raise Conflict(
            f"数据库里已有 {len(tables)} 张表，没有覆盖它们",
            where=database.address,
            fix="请先建一个空的数据库（createdb），再改设置 database",
        )


def _run(program: str, url: URL, *arguments: str) -> None:
    """One of PostgreSQL's own programs; the password goes by the environment, not by the list."""
    found = shutil.which(program)
    if found is None:
        raise ExtraMissing(
            f"没有找到 {program}", fix="请安装 postgresql-client，版本不低于数据库服务器"
        )
    address = url.set(drivername="postgresql", password=None)
    environment = {**os.environ, "LC_MESSAGES": "C"}
    if url.password is not None:
        environment["PGPASSWORD"] = str(url.password)
    done = subprocess.run(
        [found, "--no-password", "--dbname", address.render_as_string(), *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode != 0:
        told = (done.stderr.strip().splitlines() or ["没有说明原因"])[0]
        raise Busy(
            f"{program} 没有做成（{told}）",
            where=url.render_as_string(hide_password=True),
            fix=f"请检查数据库，以及 {program} 的版本是否不低于服务器",
        )
