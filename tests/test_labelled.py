"""Claims about training.labelled."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import openpyxl
import pytest

from classifier.errors import CorpusRefused
from training.labelled import MAX_SHOWN, read_corpus

ROWS = [
    {"id": "1", "title": "河长巡河", "text": "河长清理垃圾。", "themes": ["environment"]},
    {"id": "2", "title": "", "text": "支部联合养老院慰问老人。", "themes": ["party_building", "elder_care"]},
    {"id": "3", "title": "小麦开镰", "text": "收割机进田。", "themes": []},
]  # fmt: skip


def _jsonl(path: Path, rows: list[object]) -> Path:
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), "utf-8")
    return path


def _csv(path: Path, encoding: str) -> Path:
    with path.open("w", encoding=encoding, newline="") as stream:
        writer = csv.DictWriter(stream, ["id", "title", "text", "themes"])
        writer.writeheader()
        writer.writerows({**row, "themes": "；".join(row["themes"])} for row in ROWS)
    return path


def _xlsx(path: Path) -> Path:
    book = openpyxl.Workbook()
    book.active.append(["id", "title", "text", "themes"])
    for row in ROWS:
        book.active.append([row["id"], row["title"], row["text"], "|".join(row["themes"])])
    book.save(path)
    return path


def _folders(path: Path) -> Path:
    for row in ROWS:
        for theme in row["themes"] or ["none"]:
            (path / theme).mkdir(parents=True, exist_ok=True)
            (path / theme / f"{row['id']}.txt").write_text(str(row["text"]), "gb18030")
    return path


def test_every_format_gives_the_same_articles(tmp_path: Path) -> None:
    """JSONL, CSV in UTF-8 and GB18030, XLSX and folders hold the same labels and texts."""
    expected = sorted((row["text"], frozenset(row["themes"])) for row in ROWS)
    for source in (
        _jsonl(tmp_path / "a.jsonl", list(ROWS)),
        _csv(tmp_path / "b.csv", "utf-8-sig"),
        _csv(tmp_path / "c.csv", "gb18030"),
        _xlsx(tmp_path / "d.xlsx"),
        _folders(tmp_path / "folders"),
    ):
        corpus = read_corpus([source])
        found = sorted((one.article.text, one.themes) for one in corpus.articles)
        assert found == expected, source


def test_themes_are_those_of_the_labels_with_bundled_definitions(tmp_path: Path) -> None:
    """A newsroom's own label is a theme without more ado; a known one keeps its name."""
    rows = [{**ROWS[0], "themes": ["environment", "文旅"]}]
    themes = {
        theme.slug: theme.name for theme in read_corpus([_jsonl(tmp_path / "a.jsonl", rows)]).themes
    }

    assert themes == {"environment": "环境", "文旅": "文旅"}


@pytest.mark.parametrize(
    ("row", "field", "said"),
    [
        ("{broken", "", "JSON"),
        ("[1]", "", "对象"),
        ('{"id":"1","text":"好"}', "themes", r"\[\]"),
        ('{"id":"1","text":"好","themes":[1]}', "themes", "1"),
        ('{"id":"1","text":5,"themes":[]}', "text", "文字"),
        ('{"id":"1","title":" ","text":"","themes":[]}', "text", "空"),
        ('{"id":"1","text":"\\ud800","themes":[]}', "text", "代理"),
    ],
)
def test_a_bad_row_is_named_by_file_line_and_field(
    tmp_path: Path, row: str, field: str, said: str
) -> None:
    """The sentence leads to the very place."""
    path = tmp_path / "bad.jsonl"
    path.write_text(json.dumps(ROWS[1], ensure_ascii=False) + "\n" + row + "\n", "utf-8")

    with pytest.raises(CorpusRefused, match=rf"bad\.jsonl:2.*{field}.*{said}"):
        read_corpus([path])


def test_all_problems_are_told_up_to_twenty_and_then_counted(tmp_path: Path) -> None:
    """Thousands of bad rows neither hide the first nor flood the screen."""
    path = tmp_path / "many.jsonl"
    path.write_text("{\n" * 57, "utf-8")

    with pytest.raises(CorpusRefused) as told:
        read_corpus([path])
    assert str(told.value).count("many.jsonl:") == MAX_SHOWN
    assert f"另有 {57 - MAX_SHOWN} 处" in str(told.value)


def test_a_doubled_id_names_both_places(tmp_path: Path) -> None:
    """The second use of an id points at the first."""
    path = _jsonl(tmp_path / "twice.jsonl", [ROWS[0], ROWS[1], ROWS[0]])

    with pytest.raises(CorpusRefused, match=r"twice\.jsonl:3.*twice\.jsonl:1"):
        read_corpus([path])


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    """A file in no known encoding is named, never decoded with replacements."""
    path = tmp_path / "x.csv"
    path.write_bytes(b"id,text,themes\n1,\xff\xff\xff,\n")

    with pytest.raises(CorpusRefused, match=r"x\.csv"):
        read_corpus([path])
