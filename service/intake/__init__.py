"""Intake: from the bytes of a file to what a person would read in it.

`read_document` reads a file here, `read_in_sandbox` in a process of its own with limits on time
and memory. Read are plain text (UTF-8, GB18030, Big5, UTF-16), .docx, .pdf with a text layer,
web pages and mails with their attachments.
"""

from __future__ import annotations

from service.intake.document import Document, Limits
from service.intake.reading import read_document
from service.intake.sandbox import read_in_sandbox

__all__ = ["Document", "Limits", "read_document", "read_in_sandbox"]
