"""Claims about classifier.model."""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifier.article import MAX_CHARS, Article, Decision
from classifier.errors import EmptyArticle, ModelForeign, ModelMissing, ModelRefused, TooLarge
from classifier.model import ARRAYS, MANIFEST, Classifier, _self_digest, load
from training.fit import Trained
from training.labelled import Corpus
from training.pipeline import read_features


def test_served_scores_are_those_of_scikit_learn(
    model: Classifier, trained: Trained, corpus: Corpus
) -> None:
    """Arrays give the scikit-learn pipeline's scores to 1e-9, also on articles it never saw."""
    articles = [labelled.article for labelled in corpus.articles[::3]]
    readings = [read_features(article, model.tokenizer) for article in articles]

    served, fitted = model.scores(articles), trained.pipeline.decision_function(readings)

    assert np.abs(served - fitted).max() < 1e-9
    assert np.ptp(fitted) > 1


def test_a_batch_gives_the_very_bits_of_one_at_a_time(model: Classifier, corpus: Corpus) -> None:
    """A receipt does not depend on what else was tagged in the same call."""
    articles = [labelled.article for labelled in corpus.articles[:60]]

    assert list(model.tag_many(articles, chunk=900)) == [model.tag(one) for one in articles]


@settings(max_examples=60, deadline=None)
@given(text=st.text(max_size=80), title=st.text(max_size=20))
def test_any_text_gets_a_slip_or_a_refusal(model: Classifier, text: str, title: str) -> None:
    """Whatever comes in, probabilities are probabilities and nothing but a refusal is raised."""
    try:
        tagging = model.tag(Article(text, title))
    except EmptyArticle:
        assert not (text.strip() or title.strip())
        return
    assert all(0 <= probability <= 1 for probability in tagging.scores.values())
    assert 0 <= tagging.coverage <= 1
    strengths = [tagging.scores[theme] for theme in tagging.themes]
    assert strengths == sorted(strengths, reverse=True)


@pytest.mark.parametrize(
    "text",
    [
        "党建引领好",
        "The quick brown fox jumps over the lazy dog. " * 20,
        "asdkjh qwlekj zxmcnb " * 30,
        "😀🎉" * 50,
        "龘靐齉爩鱻麤" * 30,
        "，。！？" * 40,
        "0123456789" * 30,
        "2.5%,13.8%,7.01%\n" * 30,
        "2023年5月," * 30,
        "党员" * 200,
        "的" * 3000,
        "养老服务中心。" * 40,
    ],
)
def test_what_the_model_hardly_knows_is_never_settled(model: Classifier, text: str) -> None:
    """Five characters, Latin, gibberish, signs, one thing over and over: an editor looks at them."""
    assert model.tag(Article(text)).decision is Decision.REVIEW


def test_a_settled_article_has_every_theme_beyond_its_cutoffs(
    model: Classifier, corpus: Corpus
) -> None:
    """auto and none are given only where no theme lies between its two cut-offs."""
    decisions = set()
    for tagging in model.tag_many(labelled.article for labelled in corpus.articles):
        decisions.add(tagging.decision)
        if tagging.decision is Decision.REVIEW:
            continue
        assert (tagging.decision is Decision.AUTO) == bool(tagging.themes)
        for slug, cutoffs in zip(model.manifest.slugs, model.manifest.cutoffs, strict=True):
            probability = tagging.scores[slug]
            if slug in tagging.themes:
                assert cutoffs.sure_in is not None
                assert probability >= cutoffs.sure_in
            else:
                assert cutoffs.sure_out is not None
                assert probability < cutoffs.sure_out
    assert Decision.NONE in decisions


def test_nothing_and_too_much_are_refused(model: Classifier) -> None:
    """An empty article and one beyond the limit are named with what to do."""
    with pytest.raises(EmptyArticle):
        model.tag(Article(" \n　"))
    with pytest.raises(TooLarge, match=str(MAX_CHARS)):
        model.tag(Article("的" * (MAX_CHARS + 1)))


@pytest.fixture
def folder(tmp_path: Path, packed_model: dict[str, bytes]) -> Path:
    """A model folder to damage."""
    for name, content in packed_model.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


def test_a_written_model_loads_as_it_was(folder: Path, model: Classifier, corpus: Corpus) -> None:
    """From disk it gives the very slips it gave before."""
    articles = [labelled.article for labelled in corpus.articles[:40]]
    assert list(load(folder).tag_many(articles)) == list(model.tag_many(articles))


@pytest.mark.parametrize("name", [MANIFEST, ARRAYS])
def test_no_damaged_file_ever_loads(folder: Path, name: str) -> None:
    """Flipped, cut, zeroed or swapped bytes are refused with a sentence, every time."""
    rng = random.Random(3)
    whole = (folder / name).read_bytes()
    for turn in range(60):
        broken = bytearray(whole)
        at = rng.randrange(len(broken))
        if turn % 4 == 0:
            broken = broken[:at]
        elif turn % 4 == 1:
            broken[at : at + 64] = bytes(len(broken[at : at + 64]))
        else:
            broken[at] ^= 1 << rng.randrange(8)
        if bytes(broken) == whole:
            continue
        (folder / name).write_bytes(bytes(broken))
        with pytest.raises(ModelRefused):
            load(folder)


def test_loading_runs_nothing_that_was_planted(folder: Path) -> None:
    """A pickle in the place of the arrays, with a manifest that vouches for it, is refused."""
    import pickle

    class Planted:
        def __reduce__(self) -> tuple[object, tuple[object, ...]]:
            return sys.exit, (3,)

    content = pickle.dumps(Planted())
    (folder / ARRAYS).write_bytes(content)
    _vouch(folder, content)

    with pytest.raises(ModelRefused):
        load(folder)


def test_object_arrays_are_refused(folder: Path) -> None:
    """An npz that needs pickle is not opened, though its digest is right."""
    np.savez(folder / ARRAYS, weights=np.array([object()], dtype=object))
    _vouch(folder, (folder / ARRAYS).read_bytes())

    with pytest.raises(ModelRefused):
        load(folder)


def _vouch(folder: Path, content: bytes) -> None:
    import hashlib

    record = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    record["arrays"] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    record["digest"] = _self_digest(record)
    (folder / MANIFEST).write_text(json.dumps(record), encoding="utf-8")


@pytest.mark.parametrize(
    ("field", "value"), [("format", 99), ("cleaning", "0"), ("features", {"gram_lengths": [9]})]
)
def test_a_model_of_another_make_is_refused(folder: Path, field: str, value: object) -> None:
    """Another format, cleaning or feature set is foreign, and the sentence says so."""
    record = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    record[field] = value
    record["digest"] = _self_digest(record)
    (folder / MANIFEST).write_text(json.dumps(record), encoding="utf-8")

    with pytest.raises(ModelForeign, match="重新训练"):
        load(folder)


def test_a_manifest_that_names_huge_sizes_costs_nothing(folder: Path) -> None:
    """Sizes are compared with what is there; nothing is allocated for a claim."""
    record = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    record["arrays"]["bytes"] = 10**15
    record["digest"] = _self_digest(record)
    (folder / MANIFEST).write_text(json.dumps(record), encoding="utf-8")

    with pytest.raises(ModelRefused):
        load(folder)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    """The refusal says where it looked."""
    with pytest.raises(ModelMissing, match="nowhere"):
        load(tmp_path / "nowhere")
