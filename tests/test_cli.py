"""Claims about the command line, run as a process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from classifier.registry import Registry
from classifier.tokens import open_tokenizer
from service.cli import COMMANDS
from tests.conftest import SHARED
from training.labelled import Corpus

GAOQIAN = str(Path(sys.executable).with_name("gaoqian"))


@pytest.fixture
def run(registry: Registry, tmp_path: Path) -> Any:
    """Run `gaoqian` with a model in service; never a traceback, whatever it is given."""

    def call(*arguments: str, given: bytes = b"") -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [GAOQIAN, *arguments],
            input=given,
            capture_output=True,
            cwd=tmp_path,
            env={**os.environ, "GAOQIAN_MODELS": str(registry.folder)},
            check=False,
        )
        out, err = done.stdout.decode("utf-8"), done.stderr.decode("utf-8")
        assert "Traceback" not in err, err
        return subprocess.CompletedProcess(done.args, done.returncode, out, err)

    return call


def _lines(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_jsonl_keeps_order_and_ids_and_answers_as_the_library(
    run: Any, registry: Registry, corpus: Corpus
) -> None:
    """Each line in gets its line out, and the numbers are those of `Classifier.tag`."""
    articles = [one.article for one in corpus.articles[:300]]
    rows = [{"id": one.id, "title": one.title, "text": one.text} for one in articles]
    given = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows).encode()

    answers = _lines(run("tag", "--jsonl", "-", given=given))

    assert answers == [one.as_json() for one in registry.load().tag_many(articles)]
    assert list(answers[0]) == [
        "id", "title", "themes", "decision", "scores", "coverage", "model",
    ]  # fmt: skip


def test_a_bad_line_is_named_and_the_others_are_tagged(run: Any) -> None:
    """Nothing is lost over one bad line; the exit code is 1."""
    given = b'{"id":"a","text":"\xe5\x85\x9a\xe5\x91\x98"}\n{nonsense\n{"id":"c","text":""}\n{"id":"d","text":"x"}'
    done = run("tag", "--jsonl", given=given)

    assert done.returncode == 1
    assert [one["id"] for one in _lines(done)] == ["a", "d"]
    assert ":2" in done.stderr
    assert "c：标题和正文都是空的" in done.stderr


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16", "big5"])
def test_text_in_any_encoding_gives_the_same_slip(run: Any, tmp_path: Path, encoding: str) -> None:
    """A file is recognised by what it holds."""
    text = "社區食堂為獨居老人送餐，義工每星期上門為老人量血壓，老人們都說這樣很方便。\n" * 3
    (tmp_path / "a.txt").write_bytes(text.encode(encoding))
    answer = _lines(run("tag", "--json", "a.txt"))[0]

    assert answer["id"] == "a"
    assert answer["themes"] == ["elder_care"]


def test_tag_page_is_split_then_tag(run: Any, tmp_path: Path) -> None:
    """Titles and order of the one are those of the other, on the bundled page."""
    page = str(Path(__file__).parents[1] / "service" / "demo-page.txt")
    pieces = _lines(run("split", page))
    taggings = _lines(run("tag", "--page", "--json", page))

    assert len(pieces) >= 6
    assert [one["title"] for one in taggings] == [one["title"] for one in pieces]
    assert list(pieces[0]) == ["id", "title", "text", "byline", "place", "section", "kind"]


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared seed page is not here")
def test_the_real_page_gives_its_twelve_articles(run: Any) -> None:
    """The page of a city paper comes apart into what a reader sees, in order."""
    taggings = _lines(run("tag", "--page", "--json", str(SHARED / "seed" / "page.txt")))

    assert len(taggings) == 12
    assert taggings[0]["title"] == "奋力实现招商引资“开门红”"
    assert taggings[5]["title"] == taggings[6]["title"] == ""
    assert "investment_promotion" in taggings[0]["themes"]


def test_explain_prints_the_article_with_marks(run: Any) -> None:
    """The reasons and the marked words stand in the output, in Chinese."""
    done = run("tag", "--explain", given="河长带队清理河道垃圾，整治排污口，河水变清。".encode())

    assert "环境" in done.stdout
    assert "【" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("tag", "nowhere.txt"), 1, "nowhere.txt"),
        (("tag", "."), 1, "文件夹"),
        (("tag", "--page", "--jsonl"), 2, "--page"),
        (("tag", "--nonsense"), 2, "nonsense"),
        (("frobnicate",), 2, "frobnicate"),
        (("models", "promote", "20990101-ffffff"), 1, "20990101-ffffff"),
        (("models", "rollback"), 1, "没有用过别的模型"),
        (("tag", "--model", "missing", "-"), 1, "missing"),
        (("train", "nowhere.jsonl"), 1, "nowhere.jsonl"),
        (("evaluate",), 2, "标注稿"),
        (("corpus", "check", "nowhere.jsonl"), 1, ""),
    ],
)
def test_what_cannot_be_done_is_told_with_its_exit_code(
    run: Any, arguments: tuple[str, ...], code: int, said: str
) -> None:
    """1 refused, 2 wrong usage; a sentence that names the thing."""
    done = run(*arguments)

    assert done.returncode == code
    assert said in done.stderr + done.stdout


def test_an_empty_file_says_so(run: Any, tmp_path: Path) -> None:
    """No slip is made up for nothing."""
    (tmp_path / "empty.txt").write_bytes(b"")
    done = run("tag", "empty.txt")

    assert done.returncode == 1
    assert done.stdout == ""


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_in_chinese(run: Any, command: str) -> None:
    """`--help` answers at once and says what the command is for."""
    done = run(command, "--help")

    assert done.returncode == 0
    assert any("\u4e00" <= character <= "\u9fff" for character in done.stdout)


def test_models_show_tells_what_is_promised(run: Any) -> None:
    """Each theme has its sentence."""
    told = run("models", "show").stdout

    assert told.count("%") >= 4
    assert "养老" in told


def test_a_trained_folder_tags_by_itself(run: Any, tmp_path: Path, corpus: Corpus) -> None:
    """`train --out DIR` and then `tag --model DIR`, with themes of the newsroom's own."""
    rows = [
        {"id": one.article.id, "title": one.article.title, "text": one.article.text,
         "themes": ["民生"] if "elder_care" in one.themes else []}
        for one in corpus.articles[::8]
    ]  # fmt: skip
    (tmp_path / "own.jsonl").write_text(
        "\n".join(json.dumps(row, ensure_ascii=False) for row in rows), "utf-8"
    )
    trained = run("train", "own.jsonl", "--out", "m", "--jobs", "1")
    answer = _lines(run("tag", "--json", "--model", "m", given="护工为失能老人助浴送餐".encode()))

    assert trained.returncode == 0, trained.stderr
    assert list(answer[0]["scores"]) == ["民生"]


def test_the_tokenizer_that_is_used_is_named(registry: Registry) -> None:
    """The engine is one of the two that are proven equal."""
    assert open_tokenizer(registry.load().manifest.tokenizer).engine in {"jieba", "rjieba"}
