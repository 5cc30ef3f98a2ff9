"""Two hundred submissions of every format by the three ways in, then all of them once more."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from made_files import SENTENCES, document_xml, docx, paragraph, pdf_of_pages
from mailboxes import Dovecot, Mailbox, letter, real_server
from running import Running, environment_of, running

from service.store import open_store
from service.store.records import Query

COUNT = int(os.environ.get("TORTURE_MIXED", "200"))
BY_HTTP, BY_FOLDER = COUNT * 2 // 5, COUNT * 7 // 20


def content_of(number: int, ending: str) -> bytes:
    """Article `number`, unlike any other, as a file of one format."""
    lines = [f"第{number}号来稿", f"编号{number:04d}。{SENTENCES[number % len(SENTENCES)]}"]
    if ending == "txt":
        return "\n\n".join(lines).encode("gb18030")
    if ending == "docx":
        return docx(document_xml("".join(map(paragraph, lines))))
    if ending == "pdf":
        return pdf_of_pages([lines])
    if ending == "html":
        return "<meta charset=utf-8><h1>{}</h1><p>{}</p>".format(*lines).encode()
    return letter(*lines)


ENDINGS = ("txt", "docx", "pdf", "html", "eml")


def files_of(numbers: range) -> dict[int, tuple[str, bytes]]:
    """A name and a content for each number, all formats in turn."""
    endings = {number: ENDINGS[number // 2 % len(ENDINGS)] for number in numbers}
    return {
        number: (f"{number}.{ending}", content_of(number, ending))
        for number, ending in endings.items()
    }


def posted(server: Running, number: int, name: str, content: bytes) -> tuple[str, ...]:
    """Post article `number`, every other one as a file; the ids that it got."""
    key = {"Idempotency-Key": f"稿-{number}".encode().hex()}
    if number % 2:
        answer = server.ask(
            "POST", "/v1/submissions",
            json_body={"title": f"第{number}号来稿", "text": f"编号{number:04d}。{SENTENCES[0]}"},
            headers=key,
        )  # fmt: skip
    else:
        head = (
            f'--b1\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        )
        answer = server.ask(
            "POST", "/v1/submissions",
            body=head.encode() + content + b"\r\n--b1--\r\n",
            headers={**key, "Content-Type": "multipart/form-data; boundary=b1"},
        )  # fmt: skip
    assert answer.status == 201, answer.body.decode()
    return tuple(one["id"] for one in answer.json()["submissions"])


def looked(way: list[str], environment: dict[str, str]) -> None:
    """`gaoqian watch` or `gaoqian mail`, once."""
    once = subprocess.run(
        [sys.executable, "-m", "service.cli", *way, "--once"],
        env=environment, cwd=Path(__file__).parents[2], capture_output=True, text=True,
        timeout=1200, check=False,
    )  # fmt: skip
    assert once.returncode == 0, once.stderr


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    """An empty mailbox, in a folder that dovecot's own user may enter."""
    with tempfile.TemporaryDirectory() as home:
        dovecot = Dovecot(Path(home))
        yield Mailbox.of(dovecot)
        dovecot.stop()


@real_server
def test_nothing_is_lost_on_three_ways_and_nothing_doubled_by_a_second_time(
    tmp_path: Path, mailbox: Mailbox
) -> None:
    """Counts are those of what was sent, before and after everything is sent again."""
    folder, by_folder = tmp_path / "来稿", range(BY_HTTP, BY_HTTP + BY_FOLDER)
    folder.mkdir()
    by_mail = range(by_folder.stop, COUNT)
    files = files_of(range(by_folder.stop))
    letters = [
        letter(f"第{number}号来稿", f"编号{number:04d}。{SENTENCES[1]}")
        if number % 2
        else letter("投稿", "稿件见附件，请查收。", id=str(number), attached={
            f"{number}.txt": content_of(number, "txt"),
        })
        for number in by_mail
    ]  # fmt: skip
    environment = {
        **environment_of(tmp_path, settle_seconds="0.1"),
        **mailbox.environment(tmp_path),
    }
    ids = []
    with running(tmp_path) as server:
        for _ in range(2):
            for number in by_folder:
                name, content = files[number]
                (folder / name).write_bytes(content)
            mailbox.deliver(*letters)  # the second time they lie there twice, unseen again
            ids.append([posted(server, number, *files[number]) for number in range(BY_HTTP)])
            looked(["watch", str(folder)], environment)
            looked(["mail"], environment)
            with closing(
                open_store(str(tmp_path / "gaoqian.db"), clock=lambda: datetime.now(UTC))
            ) as store:
                stored = [*store.submissions.each(Query(with_twins=True))]
            counts = Counter(one.source.partition(":")[0] for one in stored)
            assert len(stored) == COUNT, counts
            assert (counts["watch"], counts["mail"]) == (BY_FOLDER, len(by_mail))
    formats = Counter(one.format for one in stored)
    print(
        f"\n{COUNT} sent twice: {len(stored)} stored, by source {dict(counts)}, by format {dict(formats)}"
    )
    assert ids[0] == ids[1]
