"""The child in which a file is read: an order on standard input, an answer on standard output.

The order is a line of JSON (`name`, `charset`, `limits`) and then the file's bytes; the answer is
`{"documents": [...]}` or `{"refused": {...}}`.
"""

from __future__ import annotations

import json
import logging
import os
import resource
import sys
from dataclasses import asdict
from typing import Any

from classifier.errors import InputRefused
from service.intake.document import Limits
from service.intake.reading import out_of_memory, read_document

# Audit events, by their beginnings.
_FORBIDDEN = (
    "socket.",
    "subprocess.",
    "ctypes.",
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.fork",
    "os.remove",
    "os.rename",
    "os.mkdir",
    "os.link",
    "os.symlink",
)
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


def main() -> None:
    """Read one order, answer it, and end."""
    order: dict[str, Any] = json.loads(sys.stdin.buffer.readline())
    limits = Limits(**order["limits"])
    _confine(limits)
    try:
        content = sys.stdin.buffer.read()
        documents = read_document(
            content, name=order["name"], charset=order["charset"], limits=limits
        )
        answer = json.dumps({"documents": [asdict(document) for document in documents]})
    except InputRefused as refusal:
        answer = _refused(refusal)
    except MemoryError:
        answer = _refused(out_of_memory(order["name"]))
    sys.stdout.write(answer)


def _refused(refusal: InputRefused) -> str:
    told = {"slug": refusal.slug, "what": refusal.what, "where": refusal.where, "fix": refusal.fix}
    return json.dumps({"refused": told})


def _confine(limits: Limits) -> None:
    """Give up what reading a file does not need: time, memory, files, processes, the network."""
    resource.setrlimit(resource.RLIMIT_CPU, (limits.cpu_seconds, limits.cpu_seconds + 1))
    resource.setrlimit(resource.RLIMIT_AS, (limits.memory_bytes, limits.memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    logging.disable()
    sys.addaudithook(_forbid)


def _forbid(event: str, arguments: tuple[object, ...]) -> None:
    """The audit hook: refuse what a parser has no reason to do."""
    flags = arguments[2] if event == "open" else 0
    if event.startswith(_FORBIDDEN) or (isinstance(flags, int) and flags & _WRITING):
        raise PermissionError(event)


if __name__ == "__main__":
    main()
