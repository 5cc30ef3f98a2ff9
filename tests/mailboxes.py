"""Mailboxes on a real IMAP server, Debian's dovecot on loopback, and letters to lay into them."""

from __future__ import annotations

import getpass
import imaplib
import os
import pwd
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path

import pytest

from service.mail import Account, quoted_folder

DOVECOT = shutil.which("dovecot") or "/usr/sbin/dovecot"
OPENSSL = shutil.which("openssl")
real_server = pytest.mark.skipif(
    not (Path(DOVECOT).exists() and OPENSSL),
    reason="dovecot-imapd and openssl are not installed",
)
PASSWORD = "口令 pass"

CONFIG = """
protocols = imap
base_dir = {home}/run
state_dir = {home}/state
log_path = {home}/log
ssl = required
ssl_cert = <{home}/cert.pem
ssl_key = <{home}/key.pem
disable_plaintext_auth = yes
listen = 127.0.0.1
default_internal_user = {internal}
default_internal_group = {group}
default_login_user = {login}
first_valid_uid = 1
mail_location = maildir:{home}/mail/%u
auth_mechanisms = plain login
passdb {{
  driver = passwd-file
  args = {home}/users
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={home}/mail/%u
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {starttls}
  }}
  inet_listener imaps {{
    port = {tls}
    ssl = yes
  }}
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
"""


class Dovecot:
    """A running server with many empty mailboxes."""

    def __init__(self, home: Path) -> None:
        self.home, self.ports = home, (free_port(), free_port())
        self.users = (f"desk{number}" for number in range(50))
        prepare(home, *self.ports)
        self.start()

    def start(self) -> None:
        """Until it takes a login; it listens before it can check a password."""
        self.process = subprocess.Popen([DOVECOT, "-F", "-c", str(self.home / "dovecot.conf")])
        context = ssl.create_default_context(cafile=self.home / "cert.pem")
        for _ in range(200):
            with suppress(OSError, imaplib.IMAP4.error):
                with imaplib.IMAP4_SSL("127.0.0.1", self.ports[0], ssl_context=context) as box:
                    box.authenticate("PLAIN", lambda _: f"\0desk0\0{PASSWORD}".encode())
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        self.stop()
        log = self.home / "log"
        pytest.fail(log.read_text(encoding="utf-8") if log.exists() else "dovecot did not start")

    def stop(self) -> None:
        """End it and its children."""
        self.process.terminate()
        self.process.wait(timeout=10)


@dataclass(frozen=True, slots=True)
class Mailbox:
    """One empty mailbox on a running dovecot."""

    account: Account
    dovecot: Dovecot

    @classmethod
    def of(cls, dovecot: Dovecot) -> Mailbox:
        """One that nobody has touched."""
        ca, user = str(dovecot.home / "cert.pem"), next(dovecot.users)
        return cls(Account("127.0.0.1", dovecot.ports[0], user, PASSWORD, ca=ca), dovecot)

    def environment(self, folder: Path) -> dict[str, str]:
        """The settings of `gaoqian mail` for this mailbox, its password in a file of `folder`."""
        password = folder / "password"
        password.write_text(PASSWORD + "\n", encoding="utf-8")
        return {
            "GAOQIAN_MAIL_HOST": "127.0.0.1",
            "GAOQIAN_MAIL_PORT": str(self.account.port),
            "GAOQIAN_MAIL_USER": self.account.user,
            "GAOQIAN_MAIL_PASSWORD_FILE": str(password),
            "GAOQIAN_MAIL_CA": self.account.ca,
        }

    @contextmanager
    def reading(self, folder: str = "INBOX") -> Iterator[imaplib.IMAP4_SSL]:
        """The mailbox as a person's mail program opens it."""
        context = ssl.create_default_context(cafile=self.account.ca)
        with imaplib.IMAP4_SSL("127.0.0.1", self.account.port, ssl_context=context) as box:
            box.authenticate("PLAIN", lambda _: f"\0{self.account.user}\0{PASSWORD}".encode())
            box.create(quoted_folder(folder))
            box.select(quoted_folder(folder))
            yield box

    def deliver(self, *letters: bytes, folder: str = "INBOX") -> None:
        """Lay letters into the mailbox, unseen."""
        with self.reading(folder) as box:
            for letter in letters:
                assert box.append(quoted_folder(folder), None, None, letter)[0] == "OK"

    def flags(self, folder: str = "INBOX") -> list[set[bytes]]:
        """Of each letter its flags, in order."""
        with self.reading(folder) as box:
            _, lines = box.fetch("1:*", "(FLAGS)")
            return [
                set(imaplib.ParseFlags(line)) - {b"\\Recent"}
                for line in lines
                if isinstance(line, bytes)
            ]


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def prepare(home: Path, tls: int, starttls: int) -> None:
    """Configuration, certificate and users of a dovecot run by this user or, if root, by nobody."""
    root = os.geteuid() == 0
    owner = pwd.getpwnam("nobody" if root else getpass.getuser())
    me = pwd.getpwuid(os.geteuid())
    (home / "dovecot.conf").write_text(
        CONFIG.format(
            home=home,
            internal=owner.pw_name,
            login="daemon" if root else owner.pw_name,
            group=subprocess.check_output(["id", "-gn", owner.pw_name], text=True).strip(),
            uid=owner.pw_uid,
            gid=owner.pw_gid,
            tls=tls,
            starttls=starttls,
        ),
        encoding="utf-8",
    )
    users = "".join(f"desk{number}:{{PLAIN}}{PASSWORD}\n" for number in range(50))
    (home / "users").write_text(users, encoding="utf-8")
    (home / "mail").mkdir()
    (home / "state").mkdir()
    for path in (home, *home.parents):
        if path != Path("/") and path.owner() == me.pw_name:
            path.chmod(path.stat().st_mode | 0o011)
    if root:
        os.chown(home / "mail", owner.pw_uid, owner.pw_gid)
    subprocess.run(
        [
            OPENSSL or "", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1",
            "-keyout", str(home / "key.pem"), "-out", str(home / "cert.pem"),
            "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
        ],
        check=True,
        capture_output=True,
    )  # fmt: skip


def letter(
    subject: str, text: str, *, id: str = "", attached: dict[str, bytes] | None = None
) -> bytes:
    """A letter as a mail program sends it."""
    message = EmailMessage()
    message["From"] = "葛一山 <ge@weishan.cn>"
    message["To"] = "desk@paper.cn"
    message["Subject"] = subject
    message["Message-ID"] = f"<{id or subject.encode().hex()}@weishan.cn>"
    message["Date"] = "Mon, 23 Nov 2026 22:15:00 +0800"
    message.set_content(text)
    for name, content in (attached or {}).items():
        message.add_attachment(
            content, maintype="application", subtype="octet-stream", filename=name
        )
    return message.as_bytes()
