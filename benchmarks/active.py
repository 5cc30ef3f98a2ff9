"""`python -m benchmarks.active`: labels needed when editors go by the queue, and by chance.

The bundled corpus, near-duplicates on one side: 40 % is set aside, from the rest an editor labels
60 articles drawn by chance and then 40 at a time, either those the model is least sure of with a
tenth by chance (the order of 今日待审), or all by chance. Mean of several draws.
"""

from __future__ import annotations

import argparse
import random

import numpy as np
from numpy.typing import NDArray

from classifier.tokens import current_tokenizer
from training.duplicates import duplicate_groups
from training.labelled import read_corpus
from training.measure import macro_f1
from training.pipeline import Reading, Recipe, build_pipeline, label_matrix, read_features

START, STEP, STEPS = 60, 40, 12
ASIDE, BY_CHANCE = 0.4, 0.1


def main() -> None:
    """Print macro-F1 by number of labels, and how many labels each way needs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=5)
    draws = parser.parse_args().draws
    corpus = read_corpus()
    tokenizer = current_tokenizer()
    readings = [read_features(one.article, tokenizer) for one in corpus.articles]
    truth = label_matrix(
        [one.themes for one in corpus.articles], [theme.slug for theme in corpus.themes]
    )
    groups = duplicate_groups([one.article for one in corpus.articles])
    curves = {
        name: np.mean(
            [_curve(readings, truth, groups, active, seed=seed) for seed in range(draws)], axis=0
        )
        for name, active in (("待审", True), ("随机", False))
    }
    counts = START + STEP * np.arange(STEPS + 1)
    print("标注篇数  待审    随机")
    for count, queue, chance in zip(counts, curves["待审"], curves["随机"], strict=True):
        print(f"{count:6d}   {queue:.4f}  {chance:.4f}")
    for wanted in (0.90, 0.93, 0.95, 0.96):
        needed = [_needed(curves[name], counts, wanted) for name in ("待审", "随机")]
        print(f"宏 F1 {wanted}：待审 {needed[0]}，随机 {needed[1]}")


def _needed(curve: NDArray[np.float64], counts: NDArray[np.intp], wanted: float) -> str:
    reached = np.flatnonzero(curve >= wanted)
    return f"{counts[reached[0]]} 篇" if len(reached) else "没有达到"


def _curve(
    readings: list[Reading],
    truth: NDArray[np.bool_],
    groups: NDArray[np.intp],
    active: bool,
    *,
    seed: int,
) -> list[float]:
    chance = random.Random(seed)
    clusters = np.unique(groups)
    aside = set(chance.sample(clusters.tolist(), int(ASIDE * len(clusters))))
    test = [place for place, group in enumerate(groups.tolist()) if group in aside]
    pool = [place for place, group in enumerate(groups.tolist()) if group not in aside]
    chance.shuffle(pool)
    labelled, rest = pool[:START], pool[START:]
    values = []
    for _ in range(STEPS + 1):
        fitted = build_pipeline(Recipe()).fit([readings[one] for one in labelled], truth[labelled])
        scores = fitted.decision_function([readings[one] for one in test])
        values.append(macro_f1(truth[test], scores > 0))
        by_chance = round(STEP * BY_CHANCE) if active else STEP
        chosen = chance.sample(rest, by_chance)
        if active:
            open_still = [one for one in rest if one not in set(chosen)]
            doubt = np.abs(fitted.decision_function([readings[one] for one in open_still])).min(1)
            chosen += [open_still[place] for place in np.argsort(doubt)[: STEP - by_chance]]
        labelled = [*labelled, *chosen]
        rest = [one for one in rest if one not in set(chosen)]
    return values


if __name__ == "__main__":
    main()
