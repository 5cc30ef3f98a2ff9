"""Reading a file in a process of its own, so that one bad file cannot take the service down.

The child is `python -m service.intake`; it is told what to read and answers in JSON, and never
gets or gives a pickle. It limits its own time and memory before it looks at the file.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from classifier.errors import (
    Busy,
    EmptyArticle,
    InputRefused,
    TooLarge,
    UnknownEncoding,
    UnreadableFile,
)
from service.intake.document import Document, Limits
from service.intake.encoding import read_name
from service.intake.reading import read_plain

_ROOT = Path(__file__).resolve().parents[2]
_REFUSALS = {
    refusal.slug: refusal
    for refusal in (InputRefused, EmptyArticle, TooLarge, UnknownEncoding, UnreadableFile)
}
_SIMPLER = "请把文字另存为 .docx 或 .txt 再投"


def read_in_sandbox(
    content: bytes, *, name: str = "", charset: str | None = None, limits: Limits | None = None
) -> tuple[Document, ...]:
    """What `read_document` answers, out of a child process with limits on time and memory.

    Plain text needs no parser and is read here. Raises what `read_document` raises; a child that
    runs out of time or memory, or dies, becomes UnreadableFile or TooLarge. Raises Busy when the
    machine cannot start another process.
    """
    limits = limits or Limits()
    plain = read_plain(content, name=name, charset=charset, limits=limits)
    if plain is not None:
        return (plain,)
    shown = read_name(name)
    order = {"name": shown, "charset": charset, "limits": asdict(limits)}
    answer, status = _ask_child(json.dumps(order).encode() + b"\n" + content, limits, shown)
    if status != 0:
        raise _death(status, limits, shown)
    return _documents(answer, shown)


def _ask_child(order: bytes, limits: Limits, shown: str) -> tuple[bytes, int]:
    """What a child printed, and how it ended."""
    try:
        child = subprocess.Popen(
            [sys.executable, "-P", "-s", "-B", "-X", "utf8", "-m", "service.intake"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env={"PYTHONPATH": str(_ROOT)},
            start_new_session=True,
        )
    except OSError as error:
        raise Busy("没有资源再读一个文件", where=shown, fix="请稍后再投") from error
    with child:
        try:
            answer, _ = child.communicate(order, timeout=limits.wall_seconds)
        except subprocess.TimeoutExpired as error:
            child.kill()
            raise UnreadableFile(
                f"读了 {limits.wall_seconds:g} 秒还没有读完，已停止", where=shown, fix=_SIMPLER
            ) from error
        except BaseException:
            child.kill()
            raise
    return answer, child.returncode


def _death(status: int, limits: Limits, shown: str) -> InputRefused:
    if status in (-signal.SIGXCPU, -signal.SIGKILL):
        return UnreadableFile(
            f"读取用了 {limits.cpu_seconds} 秒以上的处理器时间或过多内存，已停止",
            where=shown,
            fix=_SIMPLER,
        )
    return UnreadableFile("这份文件使读取程序出错，已停止", where=shown, fix=_SIMPLER)


def _documents(answer: bytes, shown: str) -> tuple[Document, ...]:
    """The documents in a child's answer, or its refusal raised."""
    told: dict[str, Any] = json.loads(answer)
    if "refused" in told:
        refused = told["refused"]
        refusal = _REFUSALS.get(refused["slug"], UnreadableFile)
        raise refusal(refused["what"], where=refused["where"] or shown, fix=refused["fix"])
    return tuple(
        Document(**{**document, "warnings": tuple(document["warnings"])})
        for document in told["documents"]
    )
