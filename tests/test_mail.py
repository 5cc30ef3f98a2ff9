"""The mailbox, against a real IMAP server: Debian's dovecot on loopback."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread

import pytest
from intake_desk import Desk
from mailboxes import PASSWORD, Dovecot, Mailbox, free_port, letter, real_server

from classifier.errors import Busy, NotAllowed, SettingRefused, UnreadableFile
from service import mail
from service.arrival import into_store
from service.mail import (
    Account,
    MailIntake,
    Round,
    letter_key,
    letter_name,
    manuscripts,
)
from service.stopping import Stop
from service.store import open_store
from service.store.records import Query


@pytest.fixture(scope="module")
def dovecot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dovecot]:
    """A server of this module's own."""
    running = Dovecot(tmp_path_factory.mktemp("imap"))
    try:
        yield running
    finally:
        running.stop()


@pytest.fixture
def server(dovecot: Dovecot) -> Mailbox:
    """A mailbox that no other test has touched."""
    return Mailbox.of(dovecot)


def intake(account: Account, desk: Desk, told: list[str] | None = None) -> MailIntake:
    """The mailbox, at the desk."""
    tell = (told if told is not None else []).append
    return MailIntake(account, desk, most_bytes=1 << 17, tell=tell)


@real_server
def test_unseen_letters_come_in_once_and_are_marked(server: Mailbox) -> None:
    """Byte for byte, under their subject; the second look finds nothing."""
    letters = [letter(f"来稿{number}", "河长在岸边清点垃圾。") for number in range(3)]
    server.deliver(*letters)
    desk = Desk()

    assert intake(server.account, desk).look() == Round(taken=3)
    assert intake(server.account, desk).look() == Round()

    expected = [letter.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n") for letter in letters]
    assert [content for _, content in desk.kept.values()] == expected
    assert [name for name, _ in desk.kept.values()] == [f"来稿{number}.eml" for number in range(3)]
    assert server.flags() == [{b"\\Seen", b"$Gaoqian"}] * 3


@real_server
def test_a_letter_that_cannot_be_read_is_starred_told_and_kept(server: Mailbox) -> None:
    """Also one that is too large, which is not fetched; the others come in."""
    server.deliver(
        letter("加密稿", "secret"), letter("大稿", "x\n" * 80_000), letter("好稿", "河长清河。")
    )
    desk, told = Desk(), list[str]()
    desk.trouble = lambda content: (
        UnreadableFile("附件有密码", where="加密稿.eml") if b"secret" in content else None
    )

    assert intake(server.account, desk, told).look() == Round(taken=1, refused=2)

    refused = {b"\\Seen", b"\\Flagged", b"$GaoqianRefused"}
    assert server.flags() == [refused, refused, {b"\\Seen", b"$Gaoqian"}]
    assert "附件有密码" in told[0]
    assert "大稿.eml" in told[1]
    assert "上限是 0.125 MB" in told[1]
    assert desk.calls == 2


@real_server
def test_what_the_store_will_not_have_now_stays_unseen(server: Mailbox) -> None:
    """Busy ends the look, the letter is taken at the next; a crash after storing doubles nothing."""
    server.deliver(letter("一", "河长清河。"), letter("二", "河长巡河。"))
    desk = Desk()
    desk.trouble = lambda content: Busy("数据库正忙") if desk.calls == 1 else None

    with pytest.raises(Busy, match="数据库正忙"):
        intake(server.account, desk).look()
    assert server.flags() == [set(), set()]

    for content in (letter("一", "河长清河。"),):  # stored, but the mark was lost
        stored = content.replace(b"\n", b"\r\n")
        desk(stored, name="一.eml", key=letter_key(stored))
    assert intake(server.account, desk).look() == Round(taken=2)
    assert len(desk.kept) == 2


@real_server
def test_a_letter_that_makes_the_program_fail_is_starred_at_the_third_look(server: Mailbox) -> None:
    """The one behind it comes in at the first."""
    server.deliver(letter("坏", "bad"), letter("好", "good"))
    desk = Desk()
    desk.trouble = lambda content: ZeroDivisionError() if b"bad" in content else None
    box = intake(server.account, desk)

    assert [box.look() for _ in range(3)] == [Round(taken=1), Round(), Round(refused=1)]
    assert b"\\Flagged" in server.flags()[0]


@real_server
def test_a_chinese_folder_and_starttls_work_as_well(server: Mailbox) -> None:
    """Folder names travel in modified UTF-7."""
    server.deliver(letter("来稿", "河长清河。"), folder="投稿 & 来信")
    account = replace(
        server.account, folder="投稿 & 来信", port=server.dovecot.ports[1], security="starttls"
    )

    assert intake(account, Desk()).look() == Round(taken=1)
    assert server.flags("投稿 & 来信") == [{b"\\Seen", b"$Gaoqian"}]


@real_server
def test_what_is_wrong_with_the_account_is_said(server: Mailbox) -> None:
    """Password, folder, certificate, host: each its own sentence, none with the password."""
    wrong = {
        "用户名或密码": (replace(server.account, password="falsch"), NotAllowed),
        "打不开": (replace(server.account, folder="没有"), SettingRefused),
        "证书不可信": (replace(server.account, ca=""), Busy),
        "连接出错": (replace(server.account, port=free_port()), Busy),
        "读不出证书": (replace(server.account, ca="/nowhere.pem"), SettingRefused),
    }
    for sentence, (account, kind) in wrong.items():
        with pytest.raises(kind, match=sentence) as refusal:
            intake(account, Desk()).look()
        assert "falsch" not in str(refusal.value)
        assert PASSWORD not in str(refusal.value) + repr(account)


@real_server
def test_a_lost_server_is_tried_again_until_it_is_back(
    server: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Letters that came while it was away are taken; pauses double."""
    monkeypatch.setattr(mail, "SHORTEST_PAUSE", 0.1)
    desk, told, stop = Desk(), list[str](), Stop()
    box = intake(server.account, desk, told)
    server.deliver(letter("一", "河长清河。"))
    looking = Thread(target=box.keep_looking, args=(stop,), kwargs={"interval": 0.1})
    looking.start()
    try:
        wait_for(lambda: len(desk.kept) == 1)
        server.dovecot.stop()
        try:
            wait_for(lambda: sum("秒后再试" in line for line in told) >= 2)
        finally:
            server.dovecot.start()
        server.deliver(letter("二", "河长巡河。"))
        wait_for(lambda: len(desk.kept) == 2)
    finally:
        stop.set()
        looking.join(timeout=60)
    assert [line.rsplit("。", 2)[1] for line in told if "再试" in line][:2] == [
        "0.1 秒后再试",
        "0.2 秒后再试",
    ]


def wait_for(happens: Callable[[], bool]) -> None:
    """Until something happens, a minute at most."""
    until = time.monotonic() + 60
    while not happens():
        assert time.monotonic() < until
        time.sleep(0.02)


@real_server
def test_the_real_command_brings_bodies_and_attachments_into_the_store(
    server: Mailbox, tmp_path: Path
) -> None:
    """Two looks of `gaoqian mail --once`; a covering note is no manuscript; the second adds none."""
    article = "　　六月二十日，河长在岸边清点垃圾三十斤，村民一起清河。\n"
    server.deliver(
        letter("河长清河", article * 2),
        letter("投稿", "编辑您好：稿件见附件，请查收。", attached={
            "春耕.txt": ("春耕开始\n\n" + "田里忙起来了。" * 20).encode("gb18030"),
            "植树.txt": ("植树\n\n" + "山上种了树。" * 20).encode(),
        }),
        letter("坏稿", "请查收附件。", attached={"a.docx": b"PK\x03\x04 broken"}),
    )  # fmt: skip
    environment = {
        "PATH": os.environ["PATH"],
        "GAOQIAN_DATABASE": str(tmp_path / "store.db"),
        "GAOQIAN_MODELS": str(tmp_path / "models"),
        **server.environment(tmp_path),
    }
    for _ in range(2):
        once = subprocess.run(
            [sys.executable, "-m", "service.cli", "mail", "--once"],
            env=environment,
            cwd=Path(__file__).parents[1],
            capture_output=True,
            check=False,
            text=True,
            timeout=60,
        )
        assert once.returncode == 0, once.stderr
        assert PASSWORD not in once.stderr

    with closing(open_store(str(tmp_path / "store.db"), clock=lambda: datetime.now(UTC))) as store:
        stored = [*store.submissions.each(Query(with_twins=True))]
    assert {(one.name, one.title) for one in stored} == {
        ("河长清河.eml", "河长清河"),
        ("春耕.txt", "春耕开始"),
        ("植树.txt", "植树"),
        ("坏稿.eml", "坏稿"),
    }
    assert {one.source for one in stored} == {f"mail:{server.account.user}@127.0.0.1"}
    (bad,) = (one for one in stored if one.title == "坏稿")
    assert "a.docx" in " ".join(bad.warnings)


def test_the_key_is_the_letter_s_and_not_the_delivery_s() -> None:
    """Headers of delivery do not matter; body, Message-ID or, without one, date and subject do."""
    one = letter("来稿", "河长清河。", id="1")
    delivered = b"Return-Path: <ge@weishan.cn>\nReceived: from a by b\nX-Spam: no\n" + one

    assert letter_key(delivered) == letter_key(one)
    others = [
        letter("来稿", "河长清河。", id="2"),
        letter("来稿", "河长巡河。", id="1"),
        one.replace(b"Message-ID", b"X-Was"),
        one.replace(b"Message-ID", b"X-Was").replace(b"22:15", b"22:16"),
    ]
    assert len({letter_key(letter) for letter in (one, *others)}) == 5


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"Subject: =?GB2312?B?1dDJzNL9?= =?GB2312?B?18o=?=\r\n\r\nx", "招商引资.eml"),
        (b"From: a\r\n\r\nx", "无主题.eml"),
        (b"", "无主题.eml"),
        (b"Subject: " + "稿".encode() * 100 + b"\n\n", "稿" * 60 + ".eml"),
    ],
)
def test_a_letter_is_called_by_its_subject(content: bytes, name: str) -> None:
    """In whatever way it is written; cut where it is long."""
    assert letter_name(content) == name


def test_a_note_that_points_to_the_attachment_is_no_manuscript() -> None:
    """But it is one when there is nothing else, or when it is an article itself."""
    attachment = {"春耕.txt": "田里忙起来了。".encode() * 20}
    article = "六月二十日，河长在岸边清点垃圾。" * 20

    def formats(content: bytes) -> list[str]:
        return [piece.format for piece in manuscripts(content, "信.eml")]

    assert formats(letter("投稿", "稿件见附件，请查收。", attached=attachment)) == ["txt"]
    assert formats(letter("投稿", "", attached=attachment)) == ["txt"]
    assert formats(letter("投稿", article + "请查收。", attached=attachment)) == ["eml", "txt"]
    assert formats(letter("投稿", "稿件见附件，请查收。")) == ["eml"]


def test_the_message_id_stays_with_the_submission(tmp_path: Path) -> None:
    """So that a desk can find the letter again."""
    content = letter("河长清河", "六月二十日，河长在岸边清点垃圾。", id="42")
    with closing(open_store(str(tmp_path / "s.db"), clock=lambda: datetime.now(UTC))) as store:
        receive = into_store(store, lambda: None, read=manuscripts, source="mail:a", scope="mail:a")
        first = receive(content, name=letter_name(content), key=letter_key(content))
        second = receive(content, name=letter_name(content), key=letter_key(content))
        (found,) = store.submissions.with_external_id("mail:a", "<42@weishan.cn>")

    assert first.ids == second.ids == (found.id,)
    assert (first.again, second.again) == (False, True)
    assert first.lines == (f"{found.id}　河长清河：还没有模型，待标引",)
