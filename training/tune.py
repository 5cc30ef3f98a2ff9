"""A recipe for a corpus, searched for honestly: the figure told is of folds the choice never saw.

Every trial is judged by models that learn from all folds but two and score those two. For each
fold there is then a choice that knows nothing of it, made by the pairs it belongs to and the
articles of the others; what such choices give on the fold that each has not seen is the figure
reported (nested cross-validation, Varma and Simon 2006). The recipe used is the one that is best
over all pairs. Near-duplicates are in one fold.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations, islice, product
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from classifier.model import sigmoid
from classifier.registry import sync_folder
from classifier.tokens import current_tokenizer
from training.cutoffs import ACCEPT, fit_calibration
from training.duplicates import duplicate_groups
from training.fit import Tell, assign_folds, provenance
from training.fit import _check as check_enough
from training.labelled import Corpus
from training.measure import macro_f1, macro_f1_interval
from training.pipeline import Recipe, count_features, label_matrix, read_features, score_counted

Floats = NDArray[np.float64]
Labels = NDArray[np.bool_]
Places = NDArray[np.intp]

# What is searched; everything else in a recipe is as asked for.
SPACE: Mapping[str, tuple[float, ...]] = {
    "cost": (0.3, 1.0, 3.0, 10.0, 30.0),
    "smoothing": (0.01, 0.03, 0.1, 0.3),
    "word_weight": (0.125, 0.25, 0.5, 1.0),
    "min_articles": (1, 2, 3),
}
LEAST_FOLDS = 3  # two are held out, one is learned from
SLOWER = 1.5  # a trial may take this much longer than the one before it
FINISH = 2.0  # trials' worth of time that judging the choice takes: ten fits and the doubt
_LEAST_PROBABILITY = 1e-6


@dataclass(frozen=True, slots=True)
class Search:
    """How long to search, and where trials are kept."""

    minutes: float
    folder: Path


@dataclass(frozen=True, slots=True)
class Judged:
    """How a recipe did where one fold was neither learned from nor looked at."""

    macro_f1: float
    log_loss: float  # nats, mean over articles and themes
    calibration: tuple[tuple[float, float], ...]  # slope and offset of each theme


@dataclass(frozen=True, slots=True)
class Trial:
    """One recipe and how it did, once for each fold that is kept out of it."""

    number: int
    recipe: Recipe
    without: tuple[Judged, ...]
    seconds: float

    @property
    def macro_f1(self) -> float:
        """Mean over the folds kept out."""
        return float(np.mean([one.macro_f1 for one in self.without]))

    @property
    def log_loss(self) -> float:
        """Mean over the folds kept out."""
        return float(np.mean([one.log_loss for one in self.without]))

    def as_json(self) -> dict[str, Any]:
        """The line that is kept."""
        return {
            "number": self.number,
            "point": _point(self.recipe),
            "without": [asdict(one) for one in self.without],
            "seconds": round(self.seconds, 3),
        }


@dataclass(frozen=True, slots=True)
class Found:
    """The recipe to train with, and what such a choice gave where it was not made."""

    recipe: Recipe
    trials: int
    macro_f1: float
    macro_f1_interval: tuple[float, float]
    start_macro_f1: float  # of the recipe that the search started from, on the same folds
    gain_interval: tuple[float, float]  # 95 %, of the difference

    def as_json(self) -> dict[str, Any]:
        """The form in manifests."""
        return {
            "trials": self.trials,
            "macro_f1": round(self.macro_f1, 4),
            "macro_f1_interval": [round(end, 4) for end in self.macro_f1_interval],
            "start_macro_f1": round(self.start_macro_f1, 4),
            "gain_interval": [round(end, 4) for end in self.gain_interval],
        }

    @property
    def sentence(self) -> str:
        """What the search gave, for people."""
        gain = self.macro_f1 - self.start_macro_f1
        low, high = self.gain_interval
        clear = "差别明显" if low > 0 or high < 0 else "差别在误差之内"
        return (
            f"试过 {self.trials} 种做法，选定 {told_recipe(self.recipe)}；"
            f"未参与挑选的折上宏 F1 {self.macro_f1:.4f}"
            f"（95% 区间 {self.macro_f1_interval[0]:.4f}–{self.macro_f1_interval[1]:.4f}），"
            f"原做法 {self.start_macro_f1:.4f}，差 {gain:+.4f}（{low:+.4f} 到 {high:+.4f}），{clear}"
        )


def find_recipe(
    corpus: Corpus,
    search: Search,
    *,
    start: Recipe,
    tell: Tell = lambda _: None,
    user_words: Sequence[str] = (),
    jobs: int = 2,
    clock: Callable[[], float] = time.monotonic,
) -> Found:
    """Search for a recipe, from `start` on, until the time is over or nothing is left to try.

    Trials are kept in a file of `search.folder` named by what they depend on, and taken up from
    there. The same trials give the same choice, by any number of processes or on a cluster.

    Raises CorpusRefused where there is too little to learn from.
    """
    check_enough(corpus)
    deadline = clock() + search.minutes * 60
    ground = Ground.of(corpus, start, user_words)
    recipes = _sequence(start)
    path = _trials_path(search.folder, corpus, start, user_words)
    trials = _read_trials(path, recipes, ground)
    tell(f"搜索做法：至多 {len(recipes)} 种，{search.minutes:g} 分钟；记在 {path}")
    if trials:
        tell(f"接着上次：已试 {len(trials)} 种，{_told_best(trials)}")
    # Seconds of the trial before; not the longest yet, since the first also starts the processes.
    latest = trials[max(trials)].seconds if trials else 0.0
    with joblib.Parallel(n_jobs=jobs) as pool:
        # As many trials at once as keep the whole of a large cluster busy.
        width = max(joblib.effective_n_jobs(jobs) // len(ground.pairs), 1)
        untried = (number for number in range(len(recipes)) if number not in trials)
        try:
            while numbers := [*islice(untried, width)]:
                left = deadline - clock()
                if 0 in trials and left < latest * (SLOWER + FINISH):
                    break
                made = judge_recipes(
                    {number: recipes[number] for number in numbers}, ground, pool, clock
                )
                latest = made[0].seconds
                _keep(path, made)
                for trial in made:
                    trials[trial.number] = trial
                    tell(
                        f"第 {trial.number + 1} 种 {_told(trial)}；{_told_best(trials)}；"
                        f"还剩 {max(deadline - clock(), 0):.0f} 秒"
                    )
        except KeyboardInterrupt:
            tell(f"已停下，试过的 {len(trials)} 种都已记下；再运行同一命令，从这里接着搜索")
            raise
        return _judge_choice([trials[number] for number in sorted(trials)], ground, pool)


def told_recipe(recipe: Recipe) -> str:
    """What the search chose, for people."""
    return (
        f"C={recipe.cost:g} 平滑={recipe.smoothing:g} "
        f"词权={recipe.word_weight:g} 至少 {recipe.min_articles} 篇"
    )


def choose(trials: Sequence[Trial], *, without: int | None = None) -> Trial:
    """The trial of the lowest log-loss, the earliest of equals; `without` a fold, if one is given.

    Not of the highest macro-F1: a few articles at the border move that, and the luckiest of a
    hundred recipes would be taken for the best.
    """
    return min(
        trials,
        key=lambda trial: trial.log_loss if without is None else trial.without[without].log_loss,
    )


@dataclass(frozen=True, slots=True)
class Ground:
    """What all trials share: counts of features by article, labels, folds."""

    words: sparse.csr_matrix  # (articles, words)
    grams: sparse.csr_matrix  # (articles, n-grams)
    truth: Labels
    folds: Places
    seed: int

    @classmethod
    def of(cls, corpus: Corpus, start: Recipe, user_words: Sequence[str]) -> Ground:
        tokenizer = current_tokenizer(user_words=user_words)
        articles = [labelled.article for labelled in corpus.articles]
        words, grams = count_features([read_features(one, tokenizer) for one in articles])
        truth = label_matrix(
            [labelled.themes for labelled in corpus.articles],
            [theme.slug for theme in corpus.themes],
        )
        folds = assign_folds(
            truth,
            duplicate_groups(articles),
            count=max(start.folds, LEAST_FOLDS),
            seed=start.seed,
        )
        return cls(words, grams, truth, folds, start.seed)

    @property
    def fold_count(self) -> int:
        return int(self.folds.max()) + 1

    @property
    def pairs(self) -> list[tuple[int, int]]:
        return list(combinations(range(self.fold_count), 2))

    def task(self, recipe: Recipe, held: Sequence[int]) -> Any:
        """Learn from all folds but `held`, and score those."""
        judged = np.isin(self.folds, held)
        return joblib.delayed(score_counted)(
            self.words,
            self.grams,
            self.truth,
            learned=np.flatnonzero(~judged),
            judged=np.flatnonzero(judged),
            recipe=recipe,
        )

    def judged(self, parts: Mapping[tuple[int, int], Floats]) -> tuple[Judged, ...]:
        """How a recipe did without each fold, from what its pairs of folds got."""
        return tuple(self._judged_without(fold, parts) for fold in range(self.fold_count))

    def _judged_without(self, kept_out: int, parts: Mapping[tuple[int, int], Floats]) -> Judged:
        scores = np.zeros(self.truth.shape)
        for pair, part in parts.items():
            if kept_out in pair:
                scores[np.isin(self.folds, pair)] = part
        seen = self.folds != kept_out
        scores, truth, folds = scores[seen], self.truth[seen], self.folds[seen]
        probabilities = np.zeros(truth.shape)
        for fold in np.unique(folds):
            own = folds == fold
            calibration = _calibration(scores[~own], truth[~own])
            probabilities[own] = _probabilities(scores[own], calibration)
        right = np.where(truth, probabilities, 1 - probabilities)
        return Judged(
            macro_f1(truth, probabilities >= ACCEPT),
            float(-np.log(np.maximum(right, _LEAST_PROBABILITY)).mean()),
            _calibration(scores, truth),
        )


def _calibration(scores: Floats, truth: Labels) -> tuple[tuple[float, float], ...]:
    return tuple(
        fit_calibration(scores[:, theme], truth[:, theme]) for theme in range(truth.shape[1])
    )


def _probabilities(scores: Floats, calibration: Sequence[tuple[float, float]]) -> Floats:
    slopes, offsets = np.array(calibration).T
    return sigmoid(scores * slopes + offsets)


def judge_recipes(
    recipes: Mapping[int, Recipe], ground: Ground, pool: Any, clock: Callable[[], float]
) -> list[Trial]:
    """Judge some recipes at once, by their places in the sequence."""
    begun = clock()
    pairs = ground.pairs
    parts = pool(ground.task(recipe, pair) for recipe in recipes.values() for pair in pairs)
    # A calibration is too small to be shared out: the library's threads would wait for each other.
    with threadpool_limits(1):
        judged = [
            ground.judged(dict(zip(pairs, parts[at : at + len(pairs)], strict=True)))
            for at in range(0, len(parts), len(pairs))
        ]
    seconds = clock() - begun
    return [
        Trial(number, recipe, own, seconds)
        for (number, recipe), own in zip(recipes.items(), judged, strict=True)
    ]


def _judge_choice(trials: Sequence[Trial], ground: Ground, pool: Any) -> Found:
    """What the choices made without each fold give on that fold, beside the first trial."""
    folds = range(ground.fold_count)
    chosen = [choose(trials, without=fold) for fold in folds]
    wanted = {(trial.number, fold): trial for fold in folds for trial in (trials[0], chosen[fold])}
    scored = pool(ground.task(trial.recipe, (fold,)) for (_, fold), trial in wanted.items())
    found = dict(zip(wanted, scored, strict=True))

    def accepted(made: Sequence[Trial]) -> Labels:
        whole = np.zeros(ground.truth.shape, dtype=bool)
        for fold, trial in enumerate(made):
            own = _probabilities(found[trial.number, fold], trial.without[fold].calibration)
            whole[ground.folds == fold] = own >= ACCEPT
        return whole

    ours, start = accepted(chosen), accepted([trials[0]] * len(chosen))
    return Found(
        recipe=choose(trials).recipe,
        trials=len(trials),
        macro_f1=macro_f1(ground.truth, ours),
        macro_f1_interval=macro_f1_interval(ground.truth, ours, seed=ground.seed),
        start_macro_f1=macro_f1(ground.truth, start),
        gain_interval=_gain_interval(ground.truth, ours, start, seed=ground.seed),
    )


def _gain_interval(
    truth: Labels, ours: Labels, start: Labels, *, seed: int, rounds: int = 1000
) -> tuple[float, float]:
    """95 % interval of the difference in macro-F1, the same articles drawn for both."""
    picks = np.random.default_rng(seed).integers(0, len(truth), (rounds, len(truth)))
    gains = [
        macro_f1(truth[pick], ours[pick]) - macro_f1(truth[pick], start[pick]) for pick in picks
    ]
    low, high = np.percentile(gains, [2.5, 97.5])
    return float(low), float(high)


def _point(recipe: Recipe) -> dict[str, float]:
    return {name: getattr(recipe, name) for name in SPACE}


def _sequence(start: Recipe) -> list[Recipe]:
    """`start` first, then all that differ from it in one value, in two, and so on.

    Among equals the seed decides: a short search sweeps each value once, a longer one their pairs.
    """
    recipes = [
        replace(start, **dict(zip(SPACE, values, strict=True)))  # type: ignore[arg-type]
        for values in product(*SPACE.values())
    ]
    random.Random(start.seed).shuffle(recipes)  # noqa: S311 (an order, no secret)
    own = _point(start).items()
    recipes.sort(key=lambda recipe: len(own - _point(recipe).items()))
    return list(dict.fromkeys((start, *recipes)))


def _trials_path(folder: Path, corpus: Corpus, start: Recipe, user_words: Sequence[str]) -> Path:
    """Named by all that a trial's figures depend on; the promise is not part of that."""
    made_from = provenance(corpus, replace(start, promise=Recipe().promise), user_words)
    return folder / f"search-{made_from['digest'][:12]}.jsonl"


def _read_trials(path: Path, recipes: Sequence[Recipe], ground: Ground) -> dict[int, Trial]:
    """Trials that were kept, by number; a line that a kill cut short is as if never written."""
    trials: dict[int, Trial] = {}
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return trials
    for line in lines:
        try:
            kept = json.loads(line)
            number = kept["number"]
            without = tuple(
                Judged(
                    float(one["macro_f1"]),
                    float(one["log_loss"]),
                    tuple((float(slope), float(offset)) for slope, offset in one["calibration"]),
                )
                for one in kept["without"]
            )
            if kept["point"] == _point(recipes[number]) and len(without) == ground.fold_count:
                trials[number] = Trial(number, recipes[number], without, float(kept["seconds"]))
        except (ValueError, KeyError, TypeError, IndexError):
            continue
    return trials


def _keep(path: Path, trials: Sequence[Trial]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(trial.as_json()).encode() + b"\n" for trial in trials]
    with path.open("a+b") as stream:
        if stream.seek(0, os.SEEK_END):
            stream.seek(-1, os.SEEK_END)
            if stream.read() != b"\n":  # cut short by a kill; it must not spoil the next line
                lines.insert(0, b"\n")
        stream.writelines(lines)
        stream.flush()
        os.fsync(stream.fileno())
    sync_folder(path.parent)


def _told(trial: Trial) -> str:
    return (
        f"宏 F1 {trial.macro_f1:.4f}，对数损失 {trial.log_loss:.5f}（{told_recipe(trial.recipe)}）"
    )


def _told_best(trials: Mapping[int, Trial]) -> str:
    best = choose([trials[number] for number in sorted(trials)])
    return f"最好的是第 {best.number + 1} 种，{best.macro_f1:.4f} / {best.log_loss:.5f}"
