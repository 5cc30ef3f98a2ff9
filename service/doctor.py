"""An installation examined from end to end: what is well, what deserves a look, what is broken.

Looking changes nothing: the database is opened for reading only, and what a folder takes is tried
with a file that has no name.
"""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path

from sqlalchemy import text

from classifier.errors import Busy, GaoqianError, ModelRefused
from classifier.model import Classifier
from classifier.registry import HISTORY, Registry, check_probes
from service.access import is_loopback
from service.answers import read_answers, read_pinned
from service.retrain import Stage, read_status
from service.settings import Settings
from service.store.database import Database, read_url
from service.store.migrations import needed_revision, revision_of
from service.store.store import with_reason
from service.taxonomy import read_taxonomy
from service.webhook import read_target

NEEDED_BYTES, WANTED_BYTES = 200_000_000, 2_000_000_000
"""Free space below which the installation is broken, and below which it deserves a look."""

NETWORK_FILESYSTEMS = frozenset(
    {"nfs", "nfs4", "cifs", "smb2", "smb3", "smbfs", "ncpfs", "afs", "9p", "ceph", "glusterfs",
     "lustre", "gpfs", "beegfs", "ocfs2", "gfs2", "davfs", "fuse.sshfs", "fuse.glusterfs",
     "fuse.rclone", "fuse.s3fs", "fuse.davfs2", "vboxsf", "virtiofs"}
)  # fmt: skip
"""Where locks between processes, on which SQLite stands, cannot be trusted."""

_DRIFT = timedelta(minutes=2)
_FILES = 1024
_MOUNTS = Path("/proc/self/mountinfo")
_ESCAPE = re.compile(r"\\([0-7]{3})")  # how a blank in a path is written there


class Level(StrEnum):
    """How a finding is, in the word shown."""

    WELL = "好"
    LOOK = "注意"
    BROKEN = "坏"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the examination."""

    level: Level
    about: str  # what was looked at
    what: str
    fix: str = ""

    def __str__(self) -> str:
        return f"{self.about}：{self.what}" + (f"。{self.fix}" if self.fix else "")


Check = Callable[[Settings, datetime], Iterable[Finding]]


def examine(settings: Settings, *, now: datetime) -> Iterator[Finding]:
    """Every check, in the order in which their causes build on each other."""
    for check in CHECKS:
        yield from check(settings, now)


def _well(about: str, what: str) -> Finding:
    return Finding(Level.WELL, about, what)


def _look(about: str, what: str, fix: str) -> Finding:
    return Finding(Level.LOOK, about, what, fix)


def _broken(about: str, what: str, fix: str) -> Finding:
    return Finding(Level.BROKEN, about, what, fix)


def _refused(about: str, error: GaoqianError) -> Finding:
    where = f"（{error.where}）" if error.where else ""
    return _broken(about, f"{error.what}{where}", error.fix)


# Settings


def check_settings(settings: Settings, _: datetime) -> Iterator[Finding]:
    """Values that each make sense but not together."""
    about = "设置"
    findings: list[Finding] = []
    try:
        read_target(settings)
    except GaoqianError as error:
        findings.append(_refused(about, error))
    local = is_loopback(settings["host"])
    if settings["login"] == "off" and (settings["behind_proxy"] or not local):
        findings.append(
            _broken(about, "login 是 off，服务却不只给本机用", '请设 login = "required"')
        )
    if not local and not settings["behind_proxy"]:
        findings.append(
            _look(
                about,
                f"服务直接监听 {settings['host']}，登录内容在网络上是明文",
                "请放在 nginx 后面，设 behind_proxy = true",
            )
        )
    if settings["behind_proxy"] and not settings["trusted_hosts"]:
        findings.append(_look(about, "没有写明可用的主机名", "请把网站的域名写进 trusted_hosts"))
    if settings["log_articles"]:
        findings.append(_look(about, "日志里记着稿件原文", "排错结束后请设 log_articles = false"))
    for name in ("mail_password_file", "mail_ca"):
        path = settings[name]
        if path and not os.access(path, os.R_OK):
            findings.append(_broken(about, f"{name} 指的文件读不到（{path}）", "请检查路径和权限"))
    for part in settings["corpus"].split(os.pathsep):
        if part and not Path(part).expanduser().exists():
            findings.append(_broken(about, f"corpus 里没有 {part}", "请改正路径"))
    yield from findings or [_well(about, f"{len(settings.values)} 项都合理")]


# Folders, disk, clock


def _sqlite_path(settings: Settings) -> Path | None:
    """The file of the database; None on PostgreSQL."""
    url = read_url(settings["database"])
    return Path(url.database or "") if url.get_backend_name() == "sqlite" else None


def _folders(settings: Settings) -> dict[str, Path]:
    found = {"模型文件夹": settings.models, "临时文件夹": Path(tempfile.gettempdir())}
    try:
        path = _sqlite_path(settings)
    except GaoqianError:
        path = None  # said by the check of the database
    if path is not None:
        found = {"数据库文件夹": path.parent, **found}
    return found


def check_folders(settings: Settings, _: datetime) -> Iterator[Finding]:
    """Folders that must take files, and the room there is."""
    for about, folder in _folders(settings).items():
        there = _nearest(folder)
        try:
            # Really written: permissions alone say nothing of a disk mounted read-only.
            with tempfile.TemporaryFile(dir=there) as trial:
                trial.write(b"\0" * 4096)
                trial.flush()
                os.fsync(trial.fileno())
        except OSError as error:
            yield _broken(
                about,
                f"{there} 写不进去（{error.strerror}）",
                "请检查权限和磁盘，服务要以能写它的账号运行",
            )
            continue
        free = shutil.disk_usage(there).free
        told = f"{there} 可写，剩 {free / 1e9:.1f} GB"
        if free < NEEDED_BYTES:
            yield _broken(about, f"{there} 只剩 {free / 1e6:.0f} MB", "请腾出磁盘空间")
        elif _is_out_of_inodes(there):
            yield _broken(about, f"{there} 所在的磁盘已建不了新文件", "请删去用不着的文件")
        elif free < WANTED_BYTES:
            yield _look(about, told, "请尽早腾出或加大磁盘")
        else:
            yield _well(about, told)


def _nearest(folder: Path) -> Path:
    """The folder, or where it would be made."""
    folder = folder.absolute()
    return next((one for one in (folder, *folder.parents) if one.is_dir()), Path("/"))


def _is_out_of_inodes(folder: Path) -> bool:
    told = os.statvfs(folder)
    return told.f_files > 0 and told.f_favail == 0


def check_filesystem(settings: Settings, _: datetime) -> Iterator[Finding]:
    """SQLite on a disk of this machine; its locks do not hold on a network's."""
    try:
        path = _sqlite_path(settings)
        mounts = _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape")
    except (GaoqianError, OSError):
        return
    if path is None:
        return
    kind = filesystem_of(_nearest(path.parent).resolve(), mounts)
    if kind in NETWORK_FILESYSTEMS:
        yield _broken(
            "数据库文件夹",
            f"{path.parent} 在网络文件系统 {kind} 上，SQLite 在那里会坏",
            "请把 database 改到本机磁盘，或改用 PostgreSQL",
        )


def filesystem_of(path: Path, mounts: str) -> str:
    """The kind of the file system under a path, as /proc/self/mountinfo has it; "" if unknown.

    >>> lines = "1 0 8:1 / / rw - ext4 /dev/a rw\\n2 1 0:5 / /srv/a\\\\040b rw - nfs4 host:/x rw"
    >>> filesystem_of(Path("/srv/a b/gaoqian.db"), lines), filesystem_of(Path("/srv/a"), lines)
    ('nfs4', 'ext4')
    """
    best, kind = -1, ""
    for line in mounts.splitlines():
        left, _, right = line.partition(" - ")
        fields = left.split()
        if len(fields) < 5 or not right:
            continue
        point = Path(_ESCAPE.sub(lambda found: chr(int(found[1], 8)), fields[4]))
        # The last of several mounts on one point is the one that shows.
        if (path == point or point in path.parents) and len(point.parts) >= best:
            best, kind = len(point.parts), right.split()[0]
    return kind


def check_clock(settings: Settings, now: datetime) -> Iterator[Finding]:
    """The time of day, against whatever this installation has already dated."""
    about = "时钟"
    known = []
    for record in Registry(settings.models).history():
        try:
            known.append(datetime.fromisoformat(record["at"]).astimezone())
        except (KeyError, TypeError, ValueError):
            continue  # a line that somebody else wrote
    try:
        path = _sqlite_path(settings)
    except GaoqianError:
        path = None
    for file in (settings.models / HISTORY, path):
        if file is not None and file.is_file():
            known.append(datetime.fromtimestamp(file.stat().st_mtime, now.tzinfo))
    latest = max(known, default=now)
    told = now.astimezone().strftime("%Y-%m-%d %H:%M:%S %z")
    if latest - now > _DRIFT:
        yield _broken(
            about,
            f"现在是 {told}，比已存下的 {latest.astimezone():%Y-%m-%d %H:%M:%S} 还早",
            "时钟被拨回了，请校时（timedatectl set-ntp true）",
        )
    else:
        yield _well(about, told)


def check_limits(_: Settings, __: datetime) -> Iterator[Finding]:
    """How many files a process may open."""
    import resource

    soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < _FILES:
        yield _look("系统限制", f"一个进程只能打开 {soft} 个文件", f"请设 LimitNOFILE={4 * _FILES}")


# Database


def check_database(settings: Settings, now: datetime) -> Iterator[Finding]:
    """There, whole, of the tables this program needs, and of the same opinion about the time."""
    about = "数据库"
    try:
        path = _sqlite_path(settings)
        if path is not None:
            yield _check_sqlite(about, path)
        else:
            yield from _check_postgresql(about, settings, now)
    except GaoqianError as error:
        yield _refused(about, error)


def _check_sqlite(about: str, path: Path) -> Finding:
    if not path.exists():
        return _look(about, f"还没有 {path}", "第一次启动服务时会建立")
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as base:
            told = [row[0] for row in base.execute("PRAGMA quick_check(3)")]
            size = path.stat().st_size
            if told != ["ok"]:
                return _broken(
                    about, f"{path} 已损坏（{told[0]}）", "请用 gaoqian restore 恢复备份"
                )
            tables = {row[0] for row in base.execute("SELECT name FROM sqlite_master")}
            revision = None
            if "alembic_version" in tables:
                revision = next(iter(base.execute("SELECT version_num FROM alembic_version")), None)
    except sqlite3.Error as error:
        return _broken(about, f"{path} 打不开（{error}）", "请检查权限，或恢复备份")
    return _of_revision(about, f"{path}，{size / 1e6:.1f} MB", revision[0] if revision else None)


def _of_revision(about: str, told: str, revision: str | None) -> Finding:
    needed = needed_revision()
    if revision == needed:
        return _well(about, told)
    if revision is None:
        return _look(about, f"{told}，还是空的", "第一次启动服务时会建表")
    return _look(
        about,
        f"{told}，表是 {revision}，本程序用 {needed}",
        "先备份；启动服务时会升级，若说表更新则请换用较新的程序",
    )


def _check_postgresql(about: str, settings: Settings, now: datetime) -> Iterator[Finding]:
    database = Database(settings["database"])
    try:
        with database.reading() as connection:
            version = connection.execute(text("SHOW server_version")).scalar_one()
            theirs = connection.execute(text("SELECT now()")).scalar_one()
            revision = revision_of(connection)
    except Busy as refusal:
        raise with_reason(refusal, database) from refusal
    finally:
        database.close()
    yield _of_revision(about, f"{database.address}，PostgreSQL {version}", revision)
    if abs(theirs - now) > _DRIFT:
        yield _broken(
            "时钟",
            f"与数据库服务器差 {abs(theirs - now)}",
            "请两边校时（timedatectl set-ntp true）",
        )
    if shutil.which("pg_dump") is None:
        yield _look(about, "没有 pg_dump，不能备份", "请安装 postgresql-client")


# Models


def check_models(settings: Settings, _: datetime) -> Iterator[Finding]:
    """The current model loads, answers its probes, and its tokenizer is the one it learned with."""
    registry = Registry(settings.models)
    try:
        model = registry.load()
        check_probes(model)
    except ModelRefused as error:
        yield _refused("当前模型", error)
    else:
        probes = len(model.manifest.probes)
        yield _well("当前模型", f"{model.id}，{probes} 篇自检稿得分与训练时相同")
        yield _of_tokenizer(model)
    damaged = [version for version in registry.versions() if version.problem]
    for version in damaged:
        if not version.current:
            yield _look(
                "模型文件夹", f"旧版本 {version.id} 不能用：{version.problem}", "不再需要可以删去"
            )
    for name, read in (
        ("themes.json", read_taxonomy),
        ("pinned.jsonl", read_pinned),
        ("answers.jsonl", read_answers),
    ):
        try:
            read(registry.folder)
        except GaoqianError as error:
            yield _refused(name, error)


def _of_tokenizer(model: Classifier) -> Finding:
    engine = model.tokenizer.engine
    if engine != "rjieba":
        return _look("分词", f"用的是 {engine}，结果相同，但慢", "请运行 pip install rjieba==0.2.2")
    return _well("分词", f"{engine}，词典与训练时相同")


def check_retraining(settings: Settings, _: datetime) -> Iterator[Finding]:
    """How the last retraining ended."""
    status = read_status(Registry(settings.models))
    told = f"{status.sentence}（{status.at}）" if status.at else status.sentence
    if status.stage in (Stage.FAILED, Stage.BROKEN):
        yield _look("上次重训", told, "在岗模型没有变；请看 gaoqian retrain 的说明后再跑一次")
    else:
        yield _well("上次重训", told)


CHECKS: tuple[Check, ...] = (
    check_settings,
    check_folders,
    check_filesystem,
    check_clock,
    check_limits,
    check_database,
    check_models,
    check_retraining,
)
