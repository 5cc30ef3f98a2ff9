"""The peers that accuracy and speed are measured against, each as its users set it up."""

from __future__ import annotations

import json
import subprocess
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
    """Annif's tfidf backend on text cut by jieba, in the environment of another Python.

    It scores every theme of every article; its threshold is set on the training articles.
    """

    name = "Annif tfidf, jieba"

    def __init__(self, python: str) -> None:
        self._python = python

    def fit(self, texts: Sequence[str], labels: Labels) -> None:
        self._labels = labels
        self._texts = [" ".join(jieba_cut(text)) for text in texts]

    def scores(self, texts: Sequence[str]) -> Floats:
        asked = {
            "train": self._texts,
            "labels": [np.flatnonzero(own).tolist() for own in self._labels],
            "judge": [" ".join(jieba_cut(text)) for text in texts],
        }
        told = subprocess.run(
            [self._python, "-P", Path(__file__).with_name("annif_tfidf.py")],
            input=json.dumps(asked), capture_output=True, text=True, check=True,
        )  # fmt: skip
        answers = json.loads(told.stdout)
        own = np.array(answers["train"])
        grid = np.linspace(0.0, 0.8, 81)
        self.threshold = float(grid[np.argmax([_micro_f1(self._labels, own > at) for at in grid])])
        return np.array(answers["judge"])


def _micro_f1(truth: Labels, found: Labels) -> float:
    return float(2 * (truth & found).sum() / max(truth.sum() + found.sum(), 1))
