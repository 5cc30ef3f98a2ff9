"""The child in which a file is read: an order on standard input, an answer on standard output.

The order is a line of JSON (`name`, `charset`, `limits`) and then the file's bytes; the answer is
`{"documents": [...]}` or `{"refused": {...}}`.
"""

from __future__ import annotations

import json
import logging
import resource
import sys
from dataclasses import asdict
from typing import Any

from classifier.errors import InputRefused
from service.intake.document import Limits
from service.intake.reading import read_document

_FORBIDDEN = (
    "socket.",
    "subprocess.",
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.fork",
    "ctypes.",
)


def main() -> None:
    """Read one order, answer it, and end."""
    order: dict[str, Any] = json.loads(sys.stdin.buffer.readline())
    limits = Limits(**order["limits"])
    _confine(limits)
    content = sys.stdin.buffer.read()
    try:
        documents = read_document(
            content, name=order["name"], charset=order["charset"], limits=limits
        )
        answer: dict[str, Any] = {"documents": [asdict(document) for document in documents]}
    except InputRefused as refusal:
        answer = {
            "refused": {
                "slug": refusal.slug,
                "what": refusal.what,
                "where": refusal.where,
                "fix": refusal.fix,
            }
        }
    sys.stdout.buffer.write(json.dumps(answer).encode())


def _confine(limits: Limits) -> None:
    """Give up what reading a file does not need: time, memory, files, processes, the network."""
    resource.setrlimit(resource.RLIMIT_CPU, (limits.cpu_seconds, limits.cpu_seconds + 1))
    resource.setrlimit(resource.RLIMIT_AS, (limits.memory_bytes, limits.memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    logging.disable()
    sys.addaudithook(_forbid)


def _forbid(event: str, _: tuple[object, ...]) -> None:
    if event.startswith(_FORBIDDEN):
        raise PermissionError(event)


if __name__ == "__main__":
    main()
