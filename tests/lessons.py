"""Corpora and models that tests of retraining share: short articles, so that training is quick."""

from __future__ import annotations

import gzip
import random
from dataclasses import replace
from pathlib import Path

from classifier.article import Article
from classifier.model import Classifier
from classifier.tokens import open_tokenizer
from tests.conftest import NOW
from training.fit import Trained, train
from training.labelled import Corpus, Labelled
from training.pipeline import Recipe
from training.run import learned_file

QUICK = Recipe(folds=2)


def shortened(corpus: Corpus, *, every: int, offset: int = 0, length: int = 220) -> Corpus:
    """Some articles of a corpus, cut to their beginnings."""
    return Corpus(
        tuple(
            replace(
                one, article=Article(one.article.text[:length], one.article.title, one.article.id)
            )
            for one in corpus.articles[offset::every]
        ),
        corpus.themes,
    )


def learned(corpus: Corpus) -> Trained:
    """A quick model."""
    return train(corpus, recipe=QUICK, now=NOW, jobs=1)


def served(trained: Trained) -> Classifier:
    """A trained model as it answers."""
    return Classifier(trained.manifest, trained.arrays, open_tokenizer(trained.manifest.tokenizer))


def shuffled(corpus: Corpus, theme: str, *, share: float, seed: int = 3) -> Corpus:
    """One theme's labels dealt out anew among a share of the articles."""
    chance = random.Random(seed)
    places = [place for place in range(len(corpus.articles)) if chance.random() < share]
    labels = [theme in corpus.articles[place].themes for place in places]
    chance.shuffle(labels)
    articles = list(corpus.articles)
    for place, label in zip(places, labels, strict=True):
        own = articles[place].themes - {theme}
        articles[place] = replace(articles[place], themes=own | {theme} if label else own)
    return Corpus(tuple(articles), corpus.themes)


def without(corpus: Corpus, theme: str) -> Corpus:
    """A corpus from which one theme's articles are gone."""
    return Corpus(
        tuple(one for one in corpus.articles if theme not in one.themes),
        tuple(one for one in corpus.themes if one.slug != theme),
    )


def written(path: Path, articles: tuple[Labelled, ...]) -> Path:
    """A corpus file."""
    path.write_bytes(gzip.decompress(learned_file(Corpus(articles, ()))))
    return path
