"""A stand-in for the store, for what hands files and letters over."""

from __future__ import annotations

from collections.abc import Callable

from service.arrival import Received


class Desk:
    """Keeps each key once, and refuses or fails as told."""

    def __init__(self, *, note: str = "") -> None:
        self.kept: dict[str, tuple[str, bytes]] = {}
        self.calls = 0
        self.trouble: Callable[[bytes], Exception | None] = lambda content: None
        self._note = note

    def __call__(self, content: bytes, *, name: str, key: str) -> Received:
        self.calls += 1
        if (trouble := self.trouble(content)) is not None:
            raise trouble
        again = key in self.kept
        self.kept.setdefault(key, (name, content))
        return Received((key[:6],), (f"{key[:6]}　{name}{self._note}",), again)
