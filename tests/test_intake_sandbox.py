"""The child process: the same answers, and a bound on what a file may cost."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from made_files import SENTENCES, document_xml, docx, mail, paragraph, pdf, pdf_of_pages, stream

from classifier.errors import (
    Busy,
    EmptyArticle,
    InputRefused,
    TooLarge,
    UnknownEncoding,
    UnreadableFile,
)
from service.intake import Document, Limits, read_document, read_in_sandbox

ROOT = Path(__file__).parents[1]
WORD_FILE = docx(document_xml(paragraph(SENTENCES[0]) + paragraph("\ue000")))


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (WORD_FILE, "稿件.docx"),
        (pdf_of_pages([[SENTENCES[1]], []]), "版面.pdf"),
        (f"<html><h1>题</h1>{SENTENCES[2]}\x01".encode("gbk"), "网页.html"),
        (mail(SENTENCES[3].encode("gbk"), "Subject: =?gbk?B?1dDJzA==?="), "\udcd5\udcd0.eml"),
        (SENTENCES[4].encode("gb18030"), "稿件.txt"),
    ],
)
def test_the_answer_is_that_of_reading_here(content: bytes, name: str) -> None:
    """Documents, titles, names and warnings survive the way back."""
    assert read_in_sandbox(content, name=name) == read_document(content, name=name)


@pytest.mark.parametrize(
    ("content", "refusal"),
    [
        (WORD_FILE[:100], UnreadableFile),
        (docx(document_xml(paragraph(""))), EmptyArticle),
        (docx(document_xml("<w:p/>" * 200_000), stored=True), TooLarge),
        (mail(SENTENCES[0].encode() + b"\xff"), UnknownEncoding),
        (b"", EmptyArticle),
        (b"\xff\xfe\x00", UnknownEncoding),
        (b"\x89PNG\r\n\x1a\n", UnreadableFile),
    ],
)
def test_a_refusal_is_that_of_reading_here(content: bytes, refusal: type[InputRefused]) -> None:
    """Kind, sentence, place and advice."""
    with pytest.raises(refusal) as there:
        read_in_sandbox(content, name="稿件.x")
    with pytest.raises(refusal) as here:
        read_document(content, name="稿件.x")
    assert str(there.value) == str(here.value)
    assert there.type is here.type


def heavy_pdf(operators: int) -> bytes:
    """A PDF that takes seconds to lay out."""
    page = b"<</Type/Page/Parent 2 0 R/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>"
    tree = b"<</Type/Pages/Count 1/Kids[3 0 R]>>"
    shown = b"BT /F1 12 Tf 5 5 Td (a) Tj ET\n" * operators
    return pdf([b"<</Type/Catalog/Pages 2 0 R>>", tree, page, stream(shown), b"<</Type/Font>>"])


def test_a_file_that_costs_too_much_time_is_stopped() -> None:
    """After one second of processor time the child is ended and the parent says so."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with pytest.raises(UnreadableFile, match="1 秒以上的处理器时间"):
        read_in_sandbox(
            heavy_pdf(300_000), name="慢.pdf", limits=Limits(cpu_seconds=1, wall_seconds=600)
        )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 3


def test_a_child_that_hangs_is_ended_by_the_clock() -> None:
    """Also a child that uses no processor time at all may not stay."""
    with pytest.raises(UnreadableFile, match="还没有读完"):
        read_in_sandbox(heavy_pdf(300_000), name="慢.pdf", limits=Limits(wall_seconds=0.2))


def test_a_file_that_costs_too_much_memory_is_stopped() -> None:
    """Address space is bounded in the child; the parent's memory does not grow."""
    content = docx(document_xml(paragraph("字" * 5_000_000)), stored=True)
    limits = Limits(characters=10**8, memory_bytes=80 << 20)
    with pytest.raises(InputRefused) as refusal:
        read_in_sandbox(content, name="大.docx", limits=limits)
    assert refusal.value.where == "大.docx"


def test_a_file_beyond_the_limit_is_refused_before_a_child_starts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Size is checked first, and plain text needs no child."""
    monkeypatch.setattr(subprocess, "Popen", pytest.fail)
    with pytest.raises(TooLarge, match=r"1\.0 MB，上限是 0\.5 MB"):
        read_in_sandbox(WORD_FILE + bytes(1 << 20), limits=Limits(file_bytes=1 << 19))
    assert read_in_sandbox(SENTENCES[0].encode())[0].text == SENTENCES[0]


def test_a_machine_without_processes_left_is_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    """That is no fault of the file."""

    def refuse(*_: object, **__: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    with pytest.raises(Busy, match="稍后"):
        read_in_sandbox(WORD_FILE)


def run(code: str) -> str:
    """What a fresh interpreter prints that has given up what the child gives up."""
    done = subprocess.run(
        [sys.executable, "-P", "-s", "-c", code],
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
    )
    return done.stdout + done.stderr


def test_the_child_imports_nothing_heavy() -> None:
    """Neither the web framework nor the database nor the classifier's arrays."""
    loaded = run("import sys, service.intake.__main__; print(*sys.modules)").split()
    assert "service.intake.reading" in loaded
    heavy = {
        "flask",
        "apiflask",
        "sqlalchemy",
        "numpy",
        "jieba",
        "sklearn",
        "pydantic",
        "lxml",
        "pypdf",
    }
    assert not heavy & set(loaded)


@pytest.mark.parametrize(
    "attempt",
    [
        "import socket; socket.create_connection(('127.0.0.1', 9))",
        "import os; os.system('true')",
        "import subprocess; subprocess.run(['true'])",
        "import os; os.fork()",
        "open({path!r}, 'w')",
        "import os; os.open({path!r}, os.O_CREAT)",
        "import os; os.remove({path!r})",
    ],
)
def test_the_child_can_neither_connect_nor_start_nor_write(attempt: str, tmp_path: Path) -> None:
    """A parser that is taken over finds little to do."""
    confined = "import service.intake.__main__ as m; m._confine(m.Limits())"
    attempt = attempt.format(path=str(tmp_path / "x"))
    assert "PermissionError" in run(f"{confined}\n{attempt}")
    assert not list(tmp_path.iterdir())


def test_many_files_at_once_leave_nothing_behind() -> None:
    """No zombie, no open file, after good files and killed ones."""
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    files = Path("/proc/self/fd")
    before = children.read_text(), len(list(files.iterdir()))
    for _ in range(3):
        read_in_sandbox(WORD_FILE)
    with pytest.raises(InputRefused):
        read_in_sandbox(WORD_FILE, limits=Limits(wall_seconds=0.001))
    assert (children.read_text(), len(list(files.iterdir()))) == before


def test_the_protocol_is_json() -> None:
    """One line of order, then the file; one object back."""
    order: dict[str, object] = {"name": "稿件.docx", "charset": None, "limits": {}}
    done = subprocess.run(
        [sys.executable, "-P", "-m", "service.intake"],
        input=json.dumps(order).encode() + b"\n" + WORD_FILE,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=True,
    )
    (told,) = json.loads(done.stdout)["documents"]
    assert Document(**{**told, "warnings": ()}).text.startswith(SENTENCES[0])
