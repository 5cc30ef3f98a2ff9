"""`gaoqian corpus check`: what a labelled corpus holds, and where it breaks its own rules."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from classifier.cleaning import clean
from classifier.errors import CorpusRefused
from training.duplicates import similar_pairs
from training.labelled import Labelled, read_corpus

FORMS = [
    "news",
    "brief",
    "feature",
    "caption",
    "notice",
    "commentary",
    "first_person",
    "qa",
    "letter",
]
SOURCES = [
    "town",
    "county",
    "city",
    "department",
    "company",
    "school",
    "hospital",
    "agency",
    "reader",
]
QUIRKS = ["traditional", "broken_lines", "full_width", "half_width", "no_title", "credits"]
ABOUT = frozenset({"province", "form", "source", "topic", "hard", "quirk"})

LENGTHS = (30, 1500)  # characters
CAPTION_LENGTHS = (30, 100)
OPENING, MAX_OPENING_SHARE = 6, 0.02
LONG_RUN, REPORTED_RUN = 20, 12

_DATE = re.compile(r"20(?:0[89]|1\d|2[0-5])-(?:0[1-9]|1[0-2])")
_ID = re.compile(r"[a-z0-9-]+")
_HAN = re.compile(r"[^\u4e00-\u9fff]")

# Names of rules, laws and programmes that any two articles may share.
STOCK = (
    "习近平新时代中国特色社会主义思想",
    "不忘初心牢记使命",
    "学习贯彻习近平",
    "中国共产党成立",
    "新时代文明实践",
)


@dataclass(frozen=True, slots=True)
class CorpusCheck:
    """Counts, and every breach with its place."""

    counts: dict[str, Any]
    breaches: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {**self.counts, "breaches": [*self.breaches]}

    def __str__(self) -> str:
        lines = []
        for name, value in self.counts.items():
            counted = value.items() if isinstance(value, dict) else ()
            told = "  ".join(f"{key} {count}" for key, count in counted) or value
            lines.append(f"{name}：{told}")
        lines += [f"不合规则：{breach}" for breach in self.breaches]
        return "\n".join([*lines, f"共 {len(self.breaches)} 处不合规则"])


def check_corpus(files: Sequence[Path]) -> CorpusCheck:
    """Count and check labelled files; a file that cannot be read is one breach."""
    try:
        articles = read_corpus(files).articles
    except CorpusRefused as refusal:
        return CorpusCheck({}, (str(refusal),))
    bundled_fields = any(set(labelled.about) & ABOUT for labelled in articles)
    breaches = [
        f"{labelled.where}：{labelled.article.id}：{breach}"
        for labelled in articles
        for breach in _schema_breaches(labelled, described=bundled_fields)
    ]
    openings = Counter(labelled.article.text[:OPENING] for labelled in articles)
    limit = max(2, int(len(articles) * MAX_OPENING_SHARE))
    breaches += [
        f"开头“{opening}”有 {count} 篇，超过 {limit} 篇"
        for opening, count in openings.items()
        if count > limit
    ]
    names = [f"{labelled.where}（{labelled.article.id}）" for labelled in articles]
    letters = [_HAN.sub("", str(clean(labelled.article.text))) for labelled in articles]
    exact = _exact_duplicates(letters, names)
    near = similar_pairs([labelled.article for labelled in articles])
    runs = _shared_runs(letters, LONG_RUN)
    breaches += [f"{one} 与 {other} 全文相同" for one, other in exact]
    breaches += [
        f"{names[one]} 与 {names[other]} 雷同，相似度 {share:.2f}"
        for one, other, share in near
        if letters[one] != letters[other]
    ]
    breaches += [
        f"{names[one]} 与 {names[other]} 有同样的 {LONG_RUN} 字“{run}”"
        for (one, other), run in runs.items()
    ]
    counts = _counts(articles)
    counts["常见开头"] = dict(openings.most_common(8))
    counts["全文相同"], counts["雷同"] = len(exact), len(near)
    counts[f"共有 {REPORTED_RUN} 字以上的稿件对"] = len(_shared_runs(letters, REPORTED_RUN))
    counts[f"共有 {LONG_RUN} 字以上的稿件对"] = len(runs)
    return CorpusCheck(counts, tuple(breaches))


def _schema_breaches(labelled: Labelled, *, described: bool) -> Iterable[str]:
    """Fields of one article; those beyond the contract only where the corpus has them at all."""
    about, length = labelled.about, len(labelled.article.text)
    if not described:
        return
    form = about.get("form")
    low, high = CAPTION_LENGTHS if form == "caption" else LENGTHS
    if not low <= length <= high:
        yield f"正文 {length} 字，应在 {low} 到 {high} 之间"
    if not _ID.fullmatch(labelled.article.id):
        yield "id 只能用小写字母、数字和连字符"
    if not _DATE.fullmatch(labelled.date):
        yield f"date 是 {labelled.date!r}，应为 2008-01 到 2025-12"
    for name, allowed in (("form", FORMS), ("source", SOURCES)):
        if about.get(name) not in allowed:
            yield f"{name} 是 {about.get(name)!r}，应是 {'、'.join(allowed)} 之一"
    for name in ("province", "topic"):
        if not isinstance(about.get(name), str) or not about[name]:
            yield f"缺 {name}"
    quirks = about.get("quirk", [])
    if not isinstance(quirks, list) or set(quirks) - set(QUIRKS):
        yield f"quirk 是 {quirks!r}，只能有 {'、'.join(QUIRKS)}"
    elif ("no_title" in quirks) != (labelled.article.title == "") and form != "caption":
        yield "有无标题与 quirk 不符"
    if about.get("hard") and labelled.themes:
        yield "有主题的稿件不能标 hard"
    if unknown := set(about) - ABOUT:
        yield f"多出字段 {'、'.join(sorted(unknown))}"


def _counts(articles: Sequence[Labelled]) -> dict[str, Any]:
    lengths = sorted(len(labelled.article.text) for labelled in articles)

    def tally(values: Iterable[str]) -> dict[str, int]:
        return dict(Counter(values).most_common())

    return {
        "稿件": len(articles),
        "主题": tally(theme for labelled in articles for theme in sorted(labelled.themes)),
        "主题组合": tally("+".join(sorted(labelled.themes)) or "无" for labelled in articles),
        "无主题难例": sum(bool(labelled.about.get("hard")) for labelled in articles),
        "字数": f"最少 {lengths[0]}，中位 {median(lengths):.0f}，最多 {lengths[-1]}",
        "体裁": tally(str(labelled.about.get("form", "—")) for labelled in articles),
        "来源": tally(str(labelled.about.get("source", "—")) for labelled in articles),
        "地区": tally(str(labelled.about.get("province", "—")) for labelled in articles),
        "年份": dict(sorted(tally(labelled.date[:4] or "—" for labelled in articles).items())),
        "特征": tally(quirk for labelled in articles for quirk in labelled.about.get("quirk", ())),
    }


def _exact_duplicates(letters: Sequence[str], names: Sequence[str]) -> list[tuple[str, str]]:
    first: dict[str, str] = {}
    pairs = []
    for text, name in zip(letters, names, strict=True):
        if first.setdefault(text, name) != name:
            pairs.append((first[text], name))
    return pairs


def _shared_runs(letters: Sequence[str], length: int) -> dict[tuple[int, int], str]:
    """Pairs of articles that share a run of Han, and one such run; stock phrases left out."""
    seen: dict[str, int] = {}
    pairs: dict[tuple[int, int], str] = {}
    for place, text in enumerate(letters):
        for start in range(len(text) - length + 1):
            run = text[start : start + length]
            other = seen.setdefault(run, place)
            if other != place and not any(phrase in run for phrase in STOCK):
                pairs.setdefault((other, place), run)
    return pairs
