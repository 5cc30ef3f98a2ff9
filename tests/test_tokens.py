"""Claims about classifier.tokens."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from growth import is_linear
from hypothesis import given, settings
from hypothesis import strategies as st

from classifier import tokens
from classifier.cleaning import clean
from classifier.errors import ModelForeign
from classifier.tokens import RUN, Tokenizer, TokenizerSpec, current_tokenizer, open_tokenizer
from tests.conftest import SHARED
from training.labelled import Corpus

MILLION = 1_000_000


@pytest.fixture(scope="module")
def spec() -> TokenizerSpec:
    """The plain dictionary."""
    return current_tokenizer().spec


@pytest.fixture(scope="module")
def jieba(spec: TokenizerSpec) -> Tokenizer:
    """The reference engine."""
    return Tokenizer(spec, *tokens._jieba(spec))


@pytest.fixture(scope="module")
def rjieba(spec: TokenizerSpec) -> Tokenizer:
    """The fast engine."""
    return Tokenizer(spec, *tokens._rjieba(spec))


@pytest.mark.no_cover
def test_both_engines_cut_a_million_characters_alike(
    jieba: Tokenizer, rjieba: Tokenizer, corpus: Corpus
) -> None:
    """On real articles, headlines and random Han, jieba and rjieba give the same words."""
    texts = [one.article.title + "\n" + one.article.text for one in corpus.articles]
    titles = SHARED / "data" / "thucnews-titles" / "train.tsv"
    if titles.is_file():
        texts += titles.read_text(encoding="utf-8").split("\n")
    rng = random.Random(7)
    common = sorted({character for text in texts for character in text})
    while sum(map(len, texts)) < MILLION:
        length = rng.randrange(1, 400)
        texts.append("".join(rng.choices(common, k=length)))
        texts.append("".join(chr(rng.randrange(0x3400, 0xA000)) for _ in range(50)))

    for start in range(0, len(texts), 500):
        chunk = clean("。\n".join(texts[start : start + 500]))
        assert jieba.words(chunk) == rjieba.words(chunk)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=120))
def test_both_engines_cut_any_text_alike(text: str) -> None:
    """No letter, sign, digit or rare character makes them differ."""
    spec = current_tokenizer().spec
    one = Tokenizer(spec, *_engines(spec)[0])
    other = Tokenizer(spec, *_engines(spec)[1])

    assert one.words(clean(text)) == other.words(clean(text))


_cache: dict[TokenizerSpec, tuple[object, object]] = {}


def _engines(spec: TokenizerSpec):  # type: ignore[no-untyped-def]
    if spec not in _cache:
        _cache[spec] = (tokens._jieba(spec), tokens._rjieba(spec))
    return _cache[spec]


def test_a_newsrooms_own_words_are_cut_alike_by_both() -> None:
    """User words are kept whole by both engines, also where they overlap dictionary words."""
    words = ("村级督查", "流动党员驿站", "为老", "寅寺镇", "招商专班")
    spec = TokenizerSpec("jieba", tokens.dictionary_digest(), words)
    text = clean("寅寺镇开展村级督查，招商专班走访流动党员驿站，为老服务温暖人心")
    one, other = (Tokenizer(spec, *engine(spec)) for engine in (tokens._jieba, tokens._rjieba))

    assert one.words(text) == other.words(text)
    assert set(words) - {"为老"} <= set(one.words(text))


def test_words_stand_where_located_says(rjieba: Tokenizer) -> None:
    """Each located word is the text of the codes from its start."""
    cleaned = clean("老人" * 300 + "用APP点餐，gdp增长")
    for word, start in rjieba.located(cleaned):
        assert cleaned.codes[start : start + len(word)].tobytes().decode("utf-16-le") == word


def test_located_and_plain_words_are_the_same(rjieba: Tokenizer) -> None:
    """Evidence counts the words that scoring counts."""
    cleaned = clean("党员干部" * 90 + "在APP上报名")
    assert [word for word, _ in rjieba.located(cleaned)] == rjieba.words(cleaned)


@pytest.mark.parametrize("engine", ["jieba", "rjieba"])
def test_cost_grows_with_length_and_not_faster(engine: str, request: pytest.FixtureRequest) -> None:
    """Eight times the 的 takes nowhere near sixty-four times as long: no run is cut whole."""
    tokenizer: Tokenizer = request.getfixturevalue(engine)

    assert is_linear(lambda length: tokenizer.words(clean("的" * length)), 32_000)


def test_a_run_is_cut_after_every_two_hundred_characters(rjieba: Tokenizer) -> None:
    """No word crosses a multiple of RUN inside one run of Han."""
    cleaned = clean("中华人民共和国" * 100)
    ends = np.cumsum([len(word) for word in rjieba.words(cleaned)])
    assert set(range(RUN, 700, RUN)) <= set(ends.tolist())


def test_another_dictionary_is_refused_with_what_to_do() -> None:
    """A model trained with a dictionary that is not here is named and not served."""
    with pytest.raises(ModelForeign, match="重新训练"):
        open_tokenizer(TokenizerSpec("jieba", "0" * 64))


def test_jieba_leaves_and_reads_no_cache_in_the_shared_temporary_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: TokenizerSpec
) -> None:
    """A planted jieba.cache is not read: the words stay those of the dictionary."""
    import marshal
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "jieba.cache").write_bytes(marshal.dumps(({"党": 1}, 1)))

    words = Tokenizer(spec, *tokens._jieba(spec)).words(clean("党员干部"))

    assert words in (["党员干部"], ["党员", "干部"])
    assert [path.name for path in tmp_path.iterdir()] == ["jieba.cache"]
