"""Claims about classifier.evidence."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifier.article import Article
from classifier.evidence import explain, tag_with_evidence, telling
from classifier.model import Classifier
from training.labelled import Corpus

PIECES = (
    "流动党员", "為老服務", "河長巡河", "招商\n引資", "垃圾分類，", "ＧＤＰ增長５％", "老人\n\n食堂", "。",
    "本报讯（记者 王明）", "电话0537-2345678", "https://a.cn/b", "　", "a", "龘", "😀", "党支部的主题党日",
)  # fmt: skip


@settings(max_examples=50, deadline=None)
@given(
    pieces=st.lists(st.sampled_from(PIECES), min_size=1, max_size=25), title=st.sampled_from(PIECES)
)
def test_weights_and_bias_add_up_to_the_score(
    model: Classifier, pieces: list[str], title: str
) -> None:
    """In plain, Traditional, full-width and broken-line text the sum is the score to 1e-9."""
    article = Article("".join(pieces), title)
    logits = model.logits(model.scores([article]))[0]

    for explanation, logit in zip(explain(model, article), logits, strict=True):
        total = explanation.bias + sum(span.weight for span in explanation.spans)
        assert abs(total - logit) < 1e-9
        assert explanation.logit == logit


@settings(max_examples=50, deadline=None)
@given(
    pieces=st.lists(st.sampled_from(PIECES), min_size=1, max_size=25), title=st.sampled_from(PIECES)
)
def test_offsets_slice_back_to_the_words_shown(
    model: Classifier, pieces: list[str], title: str
) -> None:
    """Each span is the original's own characters, in order and without overlap in its field."""
    article = Article("".join(pieces), title)

    for explanation in explain(model, article):
        ends = {"title": 0, "text": 0}
        for span in explanation.spans:
            original = article.title if span.field == "title" else article.text
            assert original[span.start : span.end] == span.text
            assert span.start >= ends[span.field]
            ends[span.field] = span.end


def test_traditional_copy_is_explained_in_its_own_characters(model: Classifier) -> None:
    """The reasons of a Traditional text are Traditional words of it, weighing what 养老 weighs."""
    traditional = "社區食堂為獨居老人送餐，義工上門量血壓，老人們都說方便。"
    simplified = "社区食堂为独居老人送餐，义工上门量血压，老人们都说方便。"

    one = tag_with_evidence(model, Article(traditional))
    other = tag_with_evidence(model, Article(simplified))

    assert one.scores == other.scores
    assert one.evidence
    assert other.evidence
    assert [reason.weight for reason in one.evidence] == [r.weight for r in other.evidence]
    assert all(reason.text in traditional for reason in one.evidence)


def test_a_word_broken_over_two_lines_is_one_reason(model: Classifier) -> None:
    """The span covers both halves and the line end between them."""
    article = Article("全镇流动党\n员返乡后到党支部报到，参加主题党日。")
    shown = [r.text for r in tag_with_evidence(model, article).evidence or ()]

    assert any("\n" in text for text in shown)


def test_shown_phrases_are_few_and_say_something(model: Classifier, corpus: Corpus) -> None:
    """At most twelve a theme, each at least one word that the model reads, none mere signs."""
    for labelled in corpus.articles[:40]:
        for explanation in explain(model, labelled.article):
            shown = telling(explanation)
            assert len(shown) <= 12
            assert all(any(map(str.isalnum, reason.text)) for reason in shown)


@pytest.mark.parametrize(
    ("theme", "word", "text"),
    [
        ("party_building", "党", "支部书记把流动党员的组织生活会开到了工地上，党员逐一发言。"),
        ("elder_care", "老人", "食堂每天为八十岁以上老人送餐，护工给老人量血压。"),
        ("environment", "河", "河长带队清理河道垃圾，整治排污口，河水变清。"),
        (
            "investment_promotion",
            "项目",
            "开发区举行项目签约仪式，招商专班落户企业三家，总投资十亿元。",
        ),
    ],
)
def test_the_telling_words_are_those_a_reader_would_name(
    model: Classifier, theme: str, word: str, text: str
) -> None:
    """On a plain example the strongest reasons for a theme hold its plain word."""
    explanation = next(one for one in explain(model, Article(text)) if one.theme == theme)

    assert any(word in reason.text for reason in telling(explanation) if reason.weight > 0)
