"""The folder of model versions, and the pointer to the one that is current.

    models/
      20261124-3fa1c2/   manifest.json, arrays.npz; report.json, report.html, pipeline.joblib
      current            the id of the version in service, one line
      history.jsonl      who promoted what and when, one JSON object a line

Every change is made beside its place and moved there in one step, so that a reader, or a power
cut, meets the old state or the new one and nothing between.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from classifier.article import Article
from classifier.errors import Conflict, ModelMissing, ModelRefused
from classifier.model import MANIFEST, Classifier, load, read_manifest

POINTER, HISTORY, LOCK = "current", "history.jsonl", ".lock"
_ID = re.compile(r"[0-9a-z][0-9a-z-]{0,63}")
_PARTIAL = ".part-"


@dataclass(frozen=True, slots=True)
class Version:
    """One line of `gaoqian models list`; `problem` is "" where the manifest reads well."""

    id: str
    current: bool
    created: str
    articles: int
    themes: tuple[str, ...]
    problem: str


@dataclass(frozen=True, slots=True)
class Registry:
    """The model versions in one folder."""

    folder: Path

    def current_id(self) -> str:
        """Which version is in service; raises ModelMissing where none is."""
        try:
            name = (self.folder / POINTER).read_text(encoding="ascii").strip()
        except (FileNotFoundError, NotADirectoryError):
            name = ""
        except (OSError, UnicodeDecodeError):
            name = "?"
        if not name:
            raise ModelMissing(
                "还没有可用的模型", where=str(self.folder), fix="请先运行 gaoqian train"
            )
        if not _ID.fullmatch(name):
            raise ModelMissing(
                f"{POINTER} 文件的内容不是模型编号",
                where=str(self.folder),
                fix="请用 gaoqian models promote 编号 重新指定",
            )
        return name

    def path(self, version: str) -> Path:
        """The folder of a version; raises ModelMissing where there is none."""
        if not _ID.fullmatch(version) or not (self.folder / version / MANIFEST).is_file():
            raise ModelMissing(
                f"没有编号为 {version} 的模型",
                where=str(self.folder),
                fix="请用 gaoqian models list 查看现有编号",
            )
        return self.folder / version

    def load(self, version: str | None = None) -> Classifier:
        """The current model, or the one asked for; raises ModelRefused with the cause."""
        return load(self.path(version or self.current_id()))

    def versions(self) -> list[Version]:
        """All versions, newest first."""
        try:
            current = self.current_id()
        except ModelMissing:
            current = ""
        folders = self.folder.glob(f"*/{MANIFEST}") if self.folder.is_dir() else ()
        names = [path.parent.name for path in folders if _ID.fullmatch(path.parent.name)]
        found = [self._version(name, current) for name in names]
        return sorted(found, key=lambda version: (version.created, version.id), reverse=True)

    def _version(self, name: str, current: str) -> Version:
        try:
            record = read_manifest(self.folder / name)
        except ModelRefused as error:
            return Version(name, name == current, "", 0, (), error.what)
        return Version(
            id=name,
            current=name == current,
            created=record["created"],
            articles=record["training"]["articles"],
            themes=tuple(theme["slug"] for theme in record["themes"]),
            problem="",
        )

    def add(self, version: str, files: Mapping[str, bytes]) -> Path:
        """Write a version's files, all or none; an existing version of that id is left alone."""
        with self.locked():
            for leftover in self.folder.glob(f"{_PARTIAL}*"):
                shutil.rmtree(leftover, ignore_errors=True)
            if not (self.folder / version / MANIFEST).is_file():
                write_folder(self.folder / version, files)
        return self.folder / version

    def promote(self, version: str, *, now: datetime, by: str, expected: str | None = None) -> None:
        """Put a version into service, once it has loaded and answered its probes.

        Raises ModelRefused where it does not, Conflict where `expected` is given ("" for none)
        and another version than that is in service by now.
        """
        check_probes(load(self.path(version)))
        with self.locked():
            self._point_to(version, now=now, by=by, expected=expected)

    def remove(self, version: str) -> None:
        """Delete a version; raises Conflict for the one in service, ModelMissing for none."""
        with self.locked():
            folder = self.path(version)
            if version == self.current_id():
                raise Conflict(
                    f"{version} 正在岗", where=str(self.folder), fix="请先把别的版本换上岗"
                )
            # Renamed first: a version is there whole or not at all.
            leaving = self.folder / f"{_PARTIAL}{version}"
            folder.rename(leaving)
            shutil.rmtree(leaving, ignore_errors=True)

    def rollback(self, *, now: datetime, by: str, expected: str | None = None) -> str:
        """Put the version before the current one back into service; answers its id.

        Raises Conflict as `promote` does, ModelMissing where none was before.
        """
        with self.locked():
            current = self.current_id()
            self._check_current(expected)
            for record in reversed(self.history()):
                if record["to"] == current and record["from"]:
                    previous = str(record["from"])
                    break
            else:
                raise ModelMissing(
                    f"{current} 之前没有用过别的模型", where=str(self.folder), fix="无需回退"
                )
            check_probes(load(self.path(previous)))
            self._point_to(previous, now=now, by=by, expected=current)
        return previous

    def history(self) -> list[dict[str, Any]]:
        """Every promotion and rollback, oldest first."""
        try:
            lines = (self.folder / HISTORY).read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []
        records = []
        for line in lines:
            try:
                records.append(json.loads(line))
            except ValueError:
                continue  # a line cut short by a power cut; the pointer is what counts
        return records

    def _check_current(self, expected: str | None) -> str | None:
        """The version in service; raises Conflict where another is expected."""
        try:
            current: str | None = self.current_id()
        except ModelMissing:
            current = None
        if expected is not None and (current or "") != expected:
            raise Conflict(
                f"在岗的应是 {expected or '空'}，现在是 {current or '空'}",
                where=str(self.folder),
                fix="请看过 gaoqian models list 再决定",
            )
        return current

    def _point_to(self, version: str, *, now: datetime, by: str, expected: str | None) -> None:
        current = self._check_current(expected)
        record = {"at": now.isoformat(timespec="seconds"), "by": by, "from": current, "to": version}
        with (self.folder / HISTORY).open("a", encoding="utf-8") as history:
            history.write(json.dumps(record, ensure_ascii=False) + "\n")
            history.flush()
            os.fsync(history.fileno())
        replace_file(self.folder / POINTER, f"{version}\n".encode("ascii"))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One writer at a time, across processes; freed by the system when its holder dies."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / LOCK).open("a") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield


def check_probes(model: Classifier) -> None:
    """Ask a model the questions stored in its manifest; raises ModelRefused on another answer."""
    probes = model.manifest.probes
    if not probes:
        return
    scores = model.scores([Article(probe["text"], probe["title"]) for probe in probes])
    # Not the very bits: another processor may round a logarithm another way.
    if not np.allclose(scores, [probe["scores"] for probe in probes], rtol=0, atol=1e-9):
        raise ModelRefused(
            "自检稿的得分与训练时不同", where=model.id, fix="请在本机用 gaoqian train 重新训练"
        )


def write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write a folder of files, durably, all or none."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=_PARTIAL, dir=folder.parent))
    try:
        for name, content in files.items():
            with (partial / name).open("wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
        partial.chmod(0o755)
        partial.rename(folder)
        sync_folder(folder.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def replace_file(path: Path, content: bytes) -> None:
    """Replace a small file, durably, in one step."""
    handle, name = tempfile.mkstemp(prefix=_PARTIAL, dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
        sync_folder(path.parent)
    finally:
        Path(name).unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make a rename in a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
