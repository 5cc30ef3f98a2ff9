"""The gate: whether a freshly trained model may take the place of the one in service.

Both are judged on the same articles, the newest (`held_out`), and each article by a model that has
learned neither from it nor from its near-duplicates, but from everything else it would know: what
the candidate says is what it said out of fold; what the serving model says is found the same way,
from the articles it was made from (`Incumbent.corpus`), and of articles it has never seen it is
asked itself, though it may have seen a near-duplicate. Were all the newest articles kept from both,
what the candidate has newly learned would be set aside with them and the two would always be equal.

A candidate passes when no theme is lost, no theme's F1 may have fallen by more than a margin
(paired bootstrap over clusters, 95 %), every promise it makes or inherits holds, and every pinned
article comes out right.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from classifier.article import Article
from classifier.model import Classifier, Manifest
from classifier.tokens import open_tokenizer
from training.duplicates import duplicate_groups
from training.fit import OutOfFold, Trained, score_by_folds
from training.holdout import held_out
from training.labelled import Corpus, Labelled
from training.measure import lower_bounds
from training.pipeline import Recipe, label_matrix, read_features
from training.verdict import Comparison, Flip, Outcome, PinnedOutcome, PromiseCheck, Verdict

Floats = NDArray[np.float64]
Labels = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Rules:
    """What the gate asks for."""

    share: float = 0.3  # of each theme's articles that judge
    margin: float = 0.03  # of F1 that a theme may lose
    enough: int = 50  # of a theme's judging articles; with fewer only a clear loss counts
    rounds: int = 2000  # of the bootstrap
    seed: int = 20260901
    shown: int = 100  # flipped articles kept with their text


@dataclass(frozen=True, slots=True)
class Incumbent:
    """The model in service, its themes called as they are called today."""

    model: Classifier
    corpus: Corpus | None  # what it learned from; None where its folder does not say


@dataclass(frozen=True, slots=True)
class Pinned:
    """An article that must come out with exactly these themes."""

    article: Article
    themes: frozenset[str]


def judge(
    candidate: Trained,
    incumbent: Incumbent | None,
    *,
    pinned: Sequence[Pinned] = (),
    rules: Rules = Rules(),
    tell: Callable[[str], None] = lambda _: None,
) -> Verdict:
    """Compare a candidate with the serving model; neither is changed.

    With no serving model only promises and pinned articles count.
    """
    pool = _pool(candidate.corpus, incumbent)
    groups = duplicate_groups([one.article for one in pool])
    judging = held_out(pool, groups, share=rules.share)
    judges = [one for one, own in zip(pool, judging.tolist(), strict=True) if own]
    tell(f"用 {len(judges)} 篇最近的稿件比较新旧两个模型")
    slugs = candidate.manifest.slugs
    truth = {
        slug: np.array([slug in one.themes for one in judges], dtype=bool)
        for slug in dict.fromkeys((*slugs, *(incumbent.model.manifest.slugs if incumbent else ())))
    }
    model = Classifier(
        candidate.manifest, candidate.arrays, open_tokenizer(candidate.manifest.tokenizer)
    )
    new = _said(model, _by_article(candidate.corpus, candidate.out_of_fold), judges)
    notes: list[str] = []
    comparisons: tuple[Comparison, ...] = ()
    mean = None
    flips: list[Flip] = []
    if incumbent is not None:
        if incumbent.corpus is None:
            notes.append("在岗模型没有留下训练稿，它可能学过用来比较的稿件，比较对它有利")
        old = _said(incumbent.model, _known_of(incumbent, candidate, judges), judges)
        comparisons, mean = _compare(
            candidate.manifest,
            incumbent.model.manifest,
            truth,
            old.accepted,
            new.accepted,
            groups[judging],
            rules,
        )
        flips = _flips(judges, old.accepted, new.accepted)
    promises = _check_promises(candidate.manifest, incumbent, truth, new.probabilities)
    outcomes = _pinned(model, pinned)
    compared = sorted(comparisons, key=lambda one: one.outcome is not Outcome.LOST)
    reasons = [one.sentence for one in compared if not one.passed]
    if mean and not mean.passed:
        fallen = min(comparisons, key=lambda one: one.difference or 0.0)
        reasons.append(f"{mean.sentence}，降得最多的是{fallen.sentence}")
    reasons += [one.sentence for one in promises if not one.passed]
    reasons += [
        f"必须标对的《{one.title or one.id}》标成了{_listed(one.found)}，应是{_listed(one.wanted)}"
        for one in outcomes
        if not one.passed
    ]
    dates = sorted(one.date for one in judges if one.date)
    return Verdict(
        candidate=candidate.manifest.id,
        serving=incumbent.model.id if incumbent else None,
        promoted=not reasons,
        reasons=tuple(reasons),
        sentence=_sentence(candidate.manifest.id, incumbent, mean, reasons),
        notes=tuple(notes),
        judged=len(judges),
        since=dates[0] if dates else "",
        mean=mean,
        themes=comparisons,
        promises=promises,
        pinned=outcomes,
        flips=tuple(flips[: rules.shown]),
        flipped=len(flips),
    )


@dataclass(frozen=True, slots=True)
class _Said:
    """What one of the two says of the judging articles, theme by theme."""

    probabilities: Mapping[str, Floats]
    accepted: Mapping[str, Labels]


def _key(labelled: Labelled) -> tuple[str, str]:
    return labelled.article.title, labelled.article.text


def _pool(corpus: Corpus, incumbent: Incumbent | None) -> list[Labelled]:
    """The candidate's articles, and what the serving model alone learned from.

    Without the latter a corpus would be judged only by what is left in it.
    """
    known = {_key(one) for one in corpus.articles}
    before = incumbent.corpus.articles if incumbent and incumbent.corpus else ()
    return [*corpus.articles, *(one for one in before if _key(one) not in known)]


def _said(
    model: Classifier, known: Mapping[tuple[str, str], Floats], judges: Sequence[Labelled]
) -> _Said:
    """What is `known` of articles, out of fold; of the others, what the model says itself."""
    slugs = list(dict.fromkeys(model.manifest.slugs))  # merged themes share one
    taggings = model.tag_many(one.article for one in judges)
    probabilities = np.array(
        [
            known.get(_key(one), [tagging.scores[slug] for slug in slugs])
            for one, tagging in zip(judges, taggings, strict=True)
        ]
    ).reshape(len(judges), len(slugs))
    columns = dict(zip(slugs, probabilities.T, strict=True))
    accept = {
        slug: own.accept
        for slug, own in zip(model.manifest.slugs, model.manifest.cutoffs, strict=True)
    }
    return _Said(columns, {slug: column >= accept[slug] for slug, column in columns.items()})


def _by_article(corpus: Corpus, found: OutOfFold) -> Mapping[tuple[str, str], Floats]:
    return dict(zip(map(_key, corpus.articles), found.probabilities, strict=True))


def _known_of(
    incumbent: Incumbent, candidate: Trained, judges: Sequence[Labelled]
) -> Mapping[tuple[str, str], Floats]:
    """What the serving model's recipe says, out of fold, of the articles that it was made from."""
    manifest, corpus = incumbent.model.manifest, incumbent.corpus
    if corpus is None or {_key(one) for one in corpus.articles}.isdisjoint(map(_key, judges)):
        return {}
    tokenizer = open_tokenizer(manifest.tokenizer)
    found = score_by_folds(
        [read_features(one.article, tokenizer) for one in corpus.articles],
        label_matrix([one.themes for one in corpus.articles], list(dict.fromkeys(manifest.slugs))),
        _same_folds(corpus, candidate),
        recipe=Recipe.from_json(manifest.training.get("recipe", {})),
        jobs=1,
    )
    return _by_article(corpus, found)


def _same_folds(corpus: Corpus, candidate: Trained) -> NDArray[np.intp]:
    """The candidate's folds for the articles of another corpus; others go with their duplicates.

    With folds of its own the serving model would differ from the candidate by chance alone.
    """
    folds = candidate.out_of_fold.folds
    fold_of = dict(zip(map(_key, candidate.corpus.articles), folds.tolist(), strict=True))
    groups = duplicate_groups([one.article for one in corpus.articles]).tolist()
    fold_of_group = {
        group: fold_of[_key(one)]
        for group, one in zip(groups, corpus.articles, strict=True)
        if _key(one) in fold_of
    }
    count = int(folds.max()) + 1
    return np.array([fold_of_group.get(group, group % count) for group in groups], dtype=np.intp)


def _compare(
    new: Manifest,
    old: Manifest,
    truth: Mapping[str, Labels],
    old_found: Mapping[str, Labels],
    new_found: Mapping[str, Labels],
    groups: NDArray[np.intp],
    rules: Rules,
) -> tuple[tuple[Comparison, ...], Comparison | None]:
    names = {theme.slug: theme.name for theme in (*old.themes, *new.themes)}
    shared = [slug for slug in new.slugs if slug in old_found]
    compared: dict[str, Comparison] = {}
    mean = None
    if shared and len(groups):
        before, after = (
            _resampled_f1(truth, found, shared, groups, rules) for found in (old_found, new_found)
        )
        for place, slug in enumerate(shared):
            compared[slug] = _comparison(
                slug,
                names[slug],
                int(truth[slug].sum()),
                before[:, place],
                after[:, place],
                rules,
            )
        support = int(np.any([truth[slug] for slug in shared], axis=0).sum())
        pooled = replace(rules, enough=rules.enough * len(shared))
        mean = _comparison(
            "", "各主题平均", support, before.mean(axis=1), after.mean(axis=1), pooled
        )
    for slug in new.slugs:
        if slug not in compared:
            compared[slug] = _only_new(slug, names[slug], truth[slug], new_found[slug])
    for slug in old_found:
        if slug not in compared:
            compared[slug] = _lost(slug, names[slug], truth[slug], old_found[slug])
    return tuple(compared.values()), mean


def _resampled_f1(
    truth: Mapping[str, Labels],
    found: Mapping[str, Labels],
    slugs: Sequence[str],
    groups: NDArray[np.intp],
    rules: Rules,
) -> Floats:
    """F1 on the judging articles, then on `rounds` resamples of their clusters: (1 + rounds, themes)."""
    _, clusters = np.unique(groups, return_inverse=True)
    count = int(clusters.max()) + 1
    generator = np.random.default_rng(rules.seed)
    # The same draws for both models: what is resampled is the pair.
    weights = generator.multinomial(count, np.full(count, 1 / count), size=rules.rounds)
    weights = np.concatenate((np.ones((1, count), dtype=weights.dtype), weights))
    columns = []
    for slug in slugs:
        right = np.bincount(clusters, weights=truth[slug] & found[slug], minlength=count)
        total = np.bincount(
            clusters, weights=truth[slug].astype(float) + found[slug], minlength=count
        )
        columns.append(2 * (weights @ right) / np.maximum(weights @ total, 1))
    return np.column_stack(columns)


def _comparison(
    slug: str, name: str, support: int, before: Floats, after: Floats, rules: Rules
) -> Comparison:
    """From F1 values, the real one first and the resampled behind it."""
    differences = after - before
    low, high = (float(value) for value in np.percentile(differences[1:], [2.5, 97.5]))
    difference = float(differences[0])
    if low > 0:
        outcome, said = Outcome.BETTER, "更好"
    elif low >= -rules.margin:
        outcome, said = Outcome.EQUAL, "不差于在岗模型"
    elif support >= rules.enough or high < 0:
        outcome, said = Outcome.WORSE, f"可能变差，超过容许的 {rules.margin:.2f}"
    else:
        outcome, said = Outcome.UNCLEAR, f"只有 {support} 篇可比，看不出好坏"
    sentence = (
        f"{name}：F1 由 {before[0]:.3f} 到 {after[0]:.3f}，"
        f"相差 {difference:+.3f}（95% 区间 {low:+.3f} 至 {high:+.3f}），{said}"
    )
    return Comparison(
        slug,
        name,
        support,
        float(before[0]),
        float(after[0]),
        difference,
        low,
        high,
        outcome,
        sentence,
    )


def _f1(truth: Labels, found: Labels) -> float:
    return float(2 * (truth & found).sum() / max(int(truth.sum() + found.sum()), 1))


def _only_new(slug: str, name: str, truth: Labels, found: Labels) -> Comparison:
    value = _f1(truth, found)
    sentence = f"{name}：新主题，{int(truth.sum())} 篇可验，F1 {value:.3f}"
    return Comparison(
        slug, name, int(truth.sum()), None, value, None, None, None, Outcome.NEW, sentence
    )


def _lost(slug: str, name: str, truth: Labels, found: Labels) -> Comparison:
    sentence = (
        f"{name}：新语料里没有这个主题的稿件，新模型不会再标它；"
        f"若要停用，请用 gaoqian themes retire {slug}"
    )
    value = _f1(truth, found)
    return Comparison(
        slug, name, int(truth.sum()), value, None, None, None, None, Outcome.LOST, sentence
    )


def _check_promises(
    new: Manifest,
    incumbent: Incumbent | None,
    truth: Mapping[str, Labels],
    probabilities: Mapping[str, Floats],
) -> tuple[PromiseCheck, ...]:
    kept_before = (
        {
            slug
            for slug, promise in zip(
                incumbent.model.manifest.slugs, incumbent.model.manifest.promises, strict=True
            )
            if promise.get("precision_kept")
        }
        if incumbent
        else set()
    )
    checks = []
    for theme, cutoffs, promise in zip(new.themes, new.cutoffs, new.promises, strict=True):
        wanted = float(promise["wanted"])
        edge = np.inf if cutoffs.sure_in is None else cutoffs.sure_in
        settled = probabilities[theme.slug] >= edge
        count, right = int(settled.sum()), int((settled & truth[theme.slug]).sum())
        low, high = precision_interval(right, count)
        passed, said = True, f"{theme.name}：尚不足以承诺 {wanted:.0%}，可能有此主题的一律送审"
        if cutoffs.sure_in is not None:
            passed = high >= wanted
            said = (
                f"{theme.name}：承诺 {wanted:.0%}，验证 {count} 篇中对 {right} 篇"
                f"（95% 区间 {low:.1%} 至 {high:.1%}），{'守住' if passed else '守不住'}"
            )
        elif theme.slug in kept_before:
            passed = False
            said = f"{theme.name}：在岗模型承诺得起 {wanted:.0%}，新模型承诺不起，会全部改为送审"
        checks.append(
            PromiseCheck(theme.slug, theme.name, wanted, count, right, low, high, passed, said)
        )
    return tuple(checks)


def precision_interval(right: int, count: int) -> tuple[float, float]:
    """95 % interval of a share (Clopper and Pearson 1934); all of it where nothing was counted.

    >>> [round(edge, 3) for edge in precision_interval(38, 40)]
    [0.831, 0.994]
    """
    if count == 0:
        return 0.0, 1.0
    pair = np.array([right, count - right]), np.array([count, count])
    low, wrong = lower_bounds(*pair, confidence=0.975).tolist()
    return low, 1.0 - wrong


def _pinned(model: Classifier, pinned: Sequence[Pinned]) -> tuple[PinnedOutcome, ...]:
    """The candidate's own answers: these it may have learned, what counts is that they are right."""
    return tuple(
        PinnedOutcome(one.article.id, one.article.title, tuple(sorted(one.themes)), tagging.themes)
        for one, tagging in zip(pinned, model.tag_many(one.article for one in pinned), strict=True)
    )


def _flips(
    judges: Sequence[Labelled], old: Mapping[str, Labels], new: Mapping[str, Labels]
) -> list[Flip]:
    """Articles tagged differently; those where the candidate does harm come first."""
    flips = []
    for place, one in enumerate(judges):
        before, after = (
            tuple(slug for slug, found in side.items() if found[place]) for side in (old, new)
        )
        if set(before) != set(after):
            flips.append(
                Flip(
                    one.article.id,
                    one.article.title,
                    one.article.text,
                    tuple(sorted(one.themes)),
                    before,
                    after,
                )
            )
    order = {False: 0, None: 1, True: 2}
    return sorted(flips, key=lambda flip: order[flip.better])


def _listed(themes: Sequence[str]) -> str:
    return "、".join(themes) or "无主题"


def _sentence(
    version: str, incumbent: Incumbent | None, mean: Comparison | None, reasons: Sequence[str]
) -> str:
    if reasons:
        return f"新模型 {version} 不换上岗：{'；'.join(reasons)}"
    if incumbent is None:
        return f"新模型 {version} 可以上岗：没有在岗模型可比"
    grounds = f"，{mean.sentence}" if mean else ""
    return f"新模型 {version} 可以换下 {incumbent.model.id}{grounds}"
