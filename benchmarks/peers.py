"""The peers that accuracy and speed are measured against, each as its users set it up."""

from __future__ import annotations

import tempfile
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.bool_]
Floats = NDArray[np.float64]
Cut = Callable[[str], list[str]]


def jieba_cut(text: str) -> list[str]:
    """Words as the tutorials get them."""
    import jieba

    return [word for word in jieba.lcut(text) if word.strip()]


def rjieba_cut(text: str) -> list[str]:
    """The same by rjieba."""
    import rjieba

    return [word for word in rjieba.cut(text) if word.strip()]


class Peer(ABC):
    """A tagger that learns from texts and answers one score per theme."""

    name: str

    @abstractmethod
    def fit(self, texts: Sequence[str], labels: Labels) -> None:
        """Learn from texts and (texts, themes)."""

    @abstractmethod
    def scores(self, texts: Sequence[str]) -> Floats:
        """(texts, themes); above `threshold` means: has it."""

    threshold: float = 0.0


class Tutorial(Peer):
    """jieba + TfidfVectorizer + LinearSVC, one-vs-rest, everything at its default."""

    def __init__(self, cut: Cut, name: str) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.multiclass import OneVsRestClassifier
        from sklearn.pipeline import make_pipeline
        from sklearn.svm import LinearSVC

        self.name = name
        self.pipeline = make_pipeline(
            TfidfVectorizer(tokenizer=cut, token_pattern=None, lowercase=False),
            OneVsRestClassifier(LinearSVC(random_state=0)),
        )

    def fit(self, texts: Sequence[str], labels: Labels) -> None:
        self.pipeline.fit(texts, labels.astype(int))

    def scores(self, texts: Sequence[str]) -> Floats:
        return np.asarray(self.pipeline.decision_function(texts))


class FastText(Peer):
    """fastText over words and characters, word 2-grams, one-vs-all loss for many labels."""

    threshold = 0.5

    def __init__(
        self, cut: Cut, name: str, *, characters: bool = True, single: bool = False
    ) -> None:
        self.name = name
        self._cut, self._characters, self._single = cut, characters, single

    def line(self, text: str) -> str:
        """A text as fastText reads it."""
        text = unicodedata.normalize("NFKC", text).lower()
        words = self._cut(text)
        if self._characters:
            words = words + [character for character in text if character.strip()]
        return " ".join(words)

    def fit(self, texts: Sequence[str], labels: Labels) -> None:
        import fasttext

        fasttext.FastText.eprint = lambda _: None
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "train.txt")
            lines = []
            for text, own in zip(texts, labels, strict=True):
                marks = " ".join(f"__label__{place}" for place in np.flatnonzero(own))
                lines.append(f"{marks or '__label__none'} {self.line(text)}")
            path.write_text("\n".join(lines), "utf-8")
            self._themes = labels.shape[1]
            self.model = fasttext.train_supervised(
                str(path),
                wordNgrams=2,
                epoch=25,
                lr=0.5,
                dim=100,
                thread=1,
                verbose=0,
                loss="softmax" if self._single else "ova",
            )

    def scores(self, texts: Sequence[str]) -> Floats:
        answers = np.zeros((len(texts), self._themes))
        for row, text in enumerate(texts):
            names, values = self.model.predict(self.line(text), k=-1)
            for name, value in zip(names, values, strict=True):
                if name != "__label__none":
                    answers[row, int(name.removeprefix("__label__"))] = value
        return answers


class AnnifTfidf(Peer):
    """The method of Annif's tfidf backend: each theme is the TF-IDF vector of its articles.

    Written after its description (cosine similarity to a theme's concatenated texts), since Annif
    itself does not install beside current packages; its threshold is set on the training articles.
    """

    name = "Annif tfidf (method), jieba"

    def fit(self, texts: Sequence[str], labels: Labels) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer

        self._vectorizer = TfidfVectorizer(tokenizer=jieba_cut, token_pattern=None, lowercase=False)
        themes = [
            "\n".join(text for text, has in zip(texts, own, strict=True) if has) for own in labels.T
        ]
        self._vectorizer.fit(texts)
        self._themes = self._vectorizer.transform(themes)
        own = self.scores(texts)
        grid = np.linspace(0.0, 0.8, 81)
        self.threshold = float(grid[np.argmax([_micro_f1(labels, own > at) for at in grid])])

    def scores(self, texts: Sequence[str]) -> Floats:
        return np.asarray((self._vectorizer.transform(texts) @ self._themes.T).toarray())


def _micro_f1(truth: Labels, found: Labels) -> float:
    return float(2 * (truth & found).sum() / max(truth.sum() + found.sum(), 1))
