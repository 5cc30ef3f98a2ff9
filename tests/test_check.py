"""Claims about training.check."""

from __future__ import annotations

import json
from pathlib import Path

from training.check import check_corpus
from training.labelled import BUNDLED

ARTICLE = {
    "id": "t-1", "title": "题", "themes": [], "date": "2023-02", "province": "山东",
    "form": "news", "source": "town", "topic": "麦收",
}  # fmt: skip


def _written(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), "utf-8")
    return path


def _text(seed: int) -> str:
    """Sixty characters unlike those of any other seed."""
    return "".join(chr(0x4E00 + (seed * 7919 + place * 104729) % 20000) for place in range(60))


def test_the_bundled_corpus_keeps_its_own_rules() -> None:
    """No schema error, no near-duplicate, no worn opening, no shared run; sizes as promised."""
    result = check_corpus(sorted(BUNDLED.glob("*.jsonl")))

    assert result.breaches == ()
    assert result.counts["稿件"] >= 1000
    assert min(result.counts["主题"].values()) >= 200
    combinations = result.counts["主题组合"]
    assert combinations["无"] >= 300
    assert result.counts["无主题难例"] >= 150
    assert sum(n for name, n in combinations.items() if "+" in name) >= 200
    assert sum(n for name, n in combinations.items() if name.count("+") == 2) >= 10
    assert min(n for name, n in combinations.items() if name.count("+") == 1) >= 15
    assert len(result.counts["地区"]) >= 25
    assert len(result.counts["体裁"]) == 9


def test_each_kind_of_breach_is_found(tmp_path: Path) -> None:
    """A copied run, a doubled text, a wrong date, form and length are each named."""
    run = "这是一段在两篇稿件里都出现过的很长很长的句子绝不应该这样"
    rows = [
        {**ARTICLE, "id": "t-1", "text": _text(1) + run},
        {**ARTICLE, "id": "t-2", "text": run + _text(2)},
        {**ARTICLE, "id": "t-3", "text": _text(3)},
        {**ARTICLE, "id": "t-4", "text": _text(3)},
        {**ARTICLE, "id": "t-5", "text": _text(5), "date": "2007-13", "form": "poem"},
        {**ARTICLE, "id": "t-6", "text": "太短。"},
    ]
    told = "\n".join(check_corpus([_written(tmp_path / "c.jsonl", rows)]).breaches)

    for said in ("t-1", "20 字", "全文相同", "2007-13", "poem", "正文 3 字"):
        assert said in told


def test_a_worn_opening_is_a_breach(tmp_path: Path) -> None:
    """Three of fifty articles that begin alike are too many."""
    rows = [
        {**ARTICLE, "id": f"t-{n}", "text": ("为深入贯彻落" if n < 3 else "") + _text(n)}
        for n in range(50)
    ]
    told = check_corpus([_written(tmp_path / "c.jsonl", rows)]).breaches

    assert any("为深入贯彻落" in one for one in told)


def test_an_unreadable_file_is_a_breach_and_not_an_error(tmp_path: Path) -> None:
    """The check says where, like the training it guards."""
    path = tmp_path / "c.jsonl"
    path.write_text("{", "utf-8")

    assert "c.jsonl:1" in check_corpus([path]).breaches[0]
