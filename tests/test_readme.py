"""Claims about what the documents tell people to type."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

from classifier.registry import Registry
from service.cli import COMMANDS

ROOT = Path(__file__).parents[1]
READMES = ("README.md", "README.zh-CN.md")


@pytest.mark.parametrize("name", READMES)
def test_the_ten_lines_do_what_they_say(
    name: str, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The example in the README, run as it stands beside a models folder."""
    monkeypatch.chdir(registry.folder.parent)
    failed, tried = doctest.testfile(
        str(ROOT / name), module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE
    )
    assert tried >= 7
    assert failed == 0


@pytest.mark.parametrize("path", [*READMES, *(f"docs/{p.name}" for p in ROOT.glob("docs/*.md"))])
def test_every_command_and_file_named_in_a_document_exists(path: str) -> None:
    """`gaoqian x`, `make x`, tests and links that a document names are there."""
    text = (ROOT / path).read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for command in re.findall(r"(?:`|bin/)gaoqian ([a-z]+)\b", text):
        assert command in COMMANDS, command
    for target in re.findall(r"`make ([a-z]+)`", text):
        assert f"\n{target}:" in makefile, target
    for link in re.findall(r"\]\(([^)#:]+)\)", text):
        assert ((ROOT / path).parent / link).exists(), link


def test_the_two_readmes_tell_the_same_commands() -> None:
    """What one language says to type, the other says too."""
    english, chinese = (
        re.findall(r"^(?:make|\.venv|curl|echo).*$", (ROOT / name).read_text("utf-8"), re.M)
        for name in READMES
    )
    strip = [[line.split("#")[0].strip() for line in lines] for lines in (english, chinese)]
    assert strip[0] == strip[1]
