"""A retraining from end to end: reviewed submissions and a corpus in, a judged model out.

The command (cron, a systemd timer) and the button in the desk do the same. Until the pointer is
moved, in one step and last of all, everything happens beside the serving model: a run that is
killed has changed nothing, and the next one clears away what it left.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from classifier.errors import Busy, Conflict, GaoqianError, ModelMissing, ModelRefused
from classifier.model import digest, read_manifest
from classifier.registry import Registry, replace_file
from service.answers import mark_of, read_answers, read_pinned
from service.cores import on_every_core
from service.lessons import FATES, SUSPECTS, gather, gather_corrections, renamed
from service.taxonomy import Taxonomy, answering, read_taxonomy

if TYPE_CHECKING:
    from service.store import Store
    from training.fit import Trained
    from training.gate import Incumbent, Pinned, Rules
    from training.labelled import Labelled
    from training.pipeline import Recipe
    from training.verdict import Verdict

STATUS, LOCK = "retrain.json", ".retrain.lock"
GATE, GATE_PAGE = "gate.json", "gate.html"
SHOWN_SUSPECTS = 300
_PARTIAL = ".part-*"
_STARTING = 20.0  # seconds until a started process has said so

Tell = Callable[[str], None]
Clock = Callable[[], datetime]


class Stage(StrEnum):
    """Where a retraining stands, or how it ended."""

    RUNNING = "running"
    PROMOTED = "promoted"
    REFUSED = "refused"  # by the gate
    UNCHANGED = "unchanged"
    FAILED = "failed"  # with a sentence
    BROKEN = "broken"  # killed
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Status:
    """What the desk shows of the last retraining, or the one under way."""

    stage: Stage
    sentence: str = ""
    done: float = 0.0  # 0 to 1
    pid: int = 0
    by: str = ""
    since: str = ""  # ISO 8601
    at: str = ""  # ISO 8601, of the last word
    version: str = ""  # the candidate, once there is one


@dataclass(frozen=True, slots=True)
class Retrained:
    """What came of a retraining."""

    stage: Stage  # PROMOTED, REFUSED or UNCHANGED
    sentence: str
    version: str  # the candidate; with UNCHANGED the serving model
    verdict: Verdict | None


def retrain(
    registry: Registry,
    *,
    paths: Sequence[Path],
    store: Store | None,
    clock: Clock,
    by: str,
    recipe: Recipe,
    rules: Rules,
    user_words: Sequence[str] = (),
    jobs: int = 2,
    tell: Tell = lambda _: None,
) -> Retrained:
    """Train, judge, and promote or refuse.

    Raises Conflict where another retraining is under way, CorpusRefused where there is too little
    or faulty to learn from; the serving model then goes on as it was.
    """
    with _alone(registry, by=by, clock=clock) as report:

        def say(sentence: str, done: float = 0.0) -> None:
            report(Status(Stage.RUNNING, sentence, done))
            tell(sentence)

        try:
            outcome = _retrain(
                registry,
                paths=paths,
                store=store,
                clock=clock,
                by=by,
                recipe=recipe,
                rules=rules,
                user_words=user_words,
                jobs=jobs,
                say=say,
            )
        except GaoqianError as error:
            report(Status(Stage.FAILED, str(error), 1.0))
            raise
        report(Status(outcome.stage, outcome.sentence, 1.0, version=outcome.version))
    if store is not None and outcome.verdict is not None:
        store.accounts.record(
            f"retrain.{outcome.stage}",
            by=by,
            subject=outcome.version,
            detail={"sentence": outcome.sentence},
        )
    return outcome


def _retrain(
    registry: Registry,
    *,
    paths: Sequence[Path],
    store: Store | None,
    clock: Clock,
    by: str,
    recipe: Recipe,
    rules: Rules,
    user_words: Sequence[str],
    jobs: int,
    say: Callable[[str, float], None],
) -> Retrained:
    from training.evaluation import evaluate_training
    from training.fates import tell_fates
    from training.fit import provenance, train
    from training.gate import Pinned, judge
    from training.run import model_files

    say("收集审定过的稿件和语料", 0.02)
    taxonomy = read_taxonomy(registry.folder)
    serving, incumbent, problem = _serving(registry, taxonomy, paths)
    known = incumbent.model.manifest.themes if incumbent else ()
    # Corrections first: one made in between would be in the lesson and wait for its fate.
    corrections = [] if store is None else gather_corrections(store)
    lesson = gather(registry.folder, paths=paths, store=store, taxonomy=taxonomy, known=known)
    for note in (*lesson.notes, *([problem] if problem else [])):
        say(note, 0.05)
    made_from = provenance(lesson.corpus, recipe, user_words)
    if incumbent and made_from["digest"] == incumbent.model.manifest.training.get("digest"):
        version = incumbent.model.id
        return Retrained(Stage.UNCHANGED, f"标注没有变化，{version} 继续在岗", version, None)
    pinned = [
        Pinned(one.article, frozenset(taxonomy.labels(one.themes)))
        for one in read_pinned(registry.folder)
    ]
    grounds = _grounds(serving, pinned, rules)
    before = _refused_before(registry, made_from["digest"], grounds)
    if before is not None:
        version, said = before
        sentence = f"标注没有变化，与 {version} 相同，它已被拒绝：{said}"
        return Retrained(Stage.REFUSED, sentence, version, None)
    say(f"训练：{len(lesson.corpus.articles)} 篇，其中审定稿 {lesson.reviewed} 篇", 0.1)
    trained = train(
        lesson.corpus,
        recipe=recipe,
        now=clock(),
        tell=lambda line: say(line, 0.15),
        user_words=user_words,
        jobs=jobs,
    )
    say("与在岗模型比较", 0.7)
    verdict = judge(trained, incumbent, pinned=pinned, rules=rules)
    say("写报告", 0.85)
    evaluation = evaluate_training(trained)
    summary = {name: evaluation[name] for name in ("macro_f1", "macro_f1_interval", "exact_sets")}
    summary |= {"parent": serving, "reviewed": lesson.reviewed}
    manifest = replace(trained.manifest, training={**trained.manifest.training, **summary})
    fates = tell_fates(corrections, trained, today=taxonomy.replaced())
    beside = {
        **_verdict_files(verdict, grounds),
        FATES: _json([told.as_json() for told in fates]),
        SUSPECTS: _json(_doubts(trained, registry.folder)),
    }
    folder = registry.add(manifest.id, {**model_files(trained, manifest, evaluation), **beside})
    for name, content in beside.items():
        # The same version judged again: what is said of it is new, though the model is not.
        if (folder / name).read_bytes() != content:
            replace_file(folder / name, content)
    if not verdict.promoted:
        return Retrained(Stage.REFUSED, verdict.sentence, manifest.id, verdict)
    say("自检，换上岗", 0.95)
    registry.promote(manifest.id, now=clock(), by=by, expected=serving or "")
    return Retrained(Stage.PROMOTED, verdict.sentence, manifest.id, verdict)


def _serving(
    registry: Registry, taxonomy: Taxonomy, paths: Sequence[Path]
) -> tuple[str | None, Incumbent | None, str]:
    """The id in the pointer, the model to compare with where it can be used, and why it cannot."""
    from training.fit import corpus_digest
    from training.gate import Incumbent
    from training.labelled import read_corpus
    from training.run import read_learned

    try:
        serving = registry.current_id()
    except ModelMissing:
        return None, None, ""
    try:
        model = registry.load(serving)
    except ModelRefused as error:
        return serving, None, f"在岗模型不能用，无从比较：{error}"
    learned = read_learned(registry.path(serving), model.manifest)
    if learned is None:
        # A folder from before models kept what they learned from.
        corpus = read_corpus(paths)
        if corpus_digest(corpus) == model.manifest.training.get("corpus"):
            learned = corpus
    named = None if learned is None else renamed(learned, taxonomy, learned.themes)
    return serving, Incumbent(answering(model, taxonomy), named), ""


def _verdict_files(verdict: Verdict, grounds: str) -> dict[str, bytes]:
    from training.verdict import verdict_page

    record = {**verdict.as_json(), "grounds": grounds}
    return {GATE: _json(record), GATE_PAGE: verdict_page(verdict).encode()}


def _grounds(serving: str | None, pinned: Sequence[Pinned], rules: Rules) -> str:
    """A digest of what a candidate is judged by: the same candidate on the same is judged alike."""
    wanted = sorted([one.article.title, one.article.text, *sorted(one.themes)] for one in pinned)
    told = [serving, wanted, asdict(rules)]
    return digest(json.dumps(told, ensure_ascii=False, sort_keys=True).encode())


def _refused_before(registry: Registry, made_from: str, grounds: str) -> tuple[str, str] | None:
    """The version made from the same that was refused on the same grounds, and what was said."""
    for version in registry.versions():
        if version.problem:
            continue
        learned = read_manifest(registry.path(version.id))["training"].get("digest")
        verdict = read_verdict(registry, version.id) if learned == made_from else None
        if verdict and not verdict["promoted"] and verdict.get("grounds") == grounds:
            return version.id, str(verdict["sentence"])
    return None


def read_verdict(registry: Registry, version: str) -> dict[str, Any] | None:
    """What the gate said of a version, None of one that it was never asked about."""
    try:
        record = json.loads((registry.path(version) / GATE).read_text(encoding="utf-8"))
    except (ModelMissing, OSError, ValueError):
        return None
    return record if isinstance(record, dict) and "sentence" in record else None


def _doubts(trained: Trained, folder: Path) -> dict[str, Any]:
    """Doubted labels and contradicting twins, without those that a person has already judged."""
    from training.suspects import contradictions, rank_suspects

    found = trained.out_of_fold
    articles = trained.corpus.articles
    answered = {mark: frozenset(answer.themes) for mark, answer in read_answers(folder).items()}

    def open_to_doubt(one: Labelled) -> bool:
        return answered.get(mark_of(one.article)) != one.themes

    suspects = [
        {
            **suspect.as_json(),
            "title": articles[suspect.place].article.title,
            "text": articles[suspect.place].article.text,
            "themes": sorted(articles[suspect.place].themes),
        }
        for suspect in rank_suspects(
            trained.truth, found.probabilities, trained.manifest.slugs, articles
        )
        if suspect.confident and open_to_doubt(articles[suspect.place])
    ]
    return {
        "suspects": suspects[:SHOWN_SUSPECTS],
        "contradictions": [pair.as_json() for pair in contradictions(articles)],
    }


def _json(record: Any) -> bytes:
    return (json.dumps(record, ensure_ascii=False, indent=1) + "\n").encode()


# One at a time, and what the desk sees of it


@contextmanager
def _alone(registry: Registry, *, by: str, clock: Clock) -> Iterator[Callable[[Status], None]]:
    """Hold the lock of retraining; freed by the system when its holder dies.

    Raises Conflict that says who holds it, and since when.
    """
    registry.folder.mkdir(parents=True, exist_ok=True)
    with (registry.folder / LOCK).open("a") as handle:
        if not _taken(handle):
            running = read_status(registry)
            raise Conflict(
                f"已有一次重训在进行：{running.by} 于 {running.since} 开始，进程 {running.pid}",
                where=str(registry.folder),
                fix="请等它结束",
            )
        clear_leftovers(registry)
        started = clock().isoformat(timespec="seconds")

        def report(status: Status) -> None:
            at = clock().isoformat(timespec="seconds")
            full = replace(status, pid=os.getpid(), by=by, since=started, at=at)
            replace_file(registry.folder / STATUS, _json(asdict(full)))

        report(Status(Stage.RUNNING, "开始"))
        yield report


def _taken(handle: IO[str]) -> bool:
    """Whether the lock is ours now; whoever only looks (`_is_running`) holds it for a moment."""
    for _ in range(5):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.05)
        else:
            return True
    return False


def clear_leftovers(registry: Registry) -> None:
    """Remove what a killed run left half written."""
    with registry.locked():
        for leftover in registry.folder.glob(_PARTIAL):
            if leftover.is_dir():
                shutil.rmtree(leftover, ignore_errors=True)
            else:
                leftover.unlink(missing_ok=True)


def read_status(registry: Registry) -> Status:
    """The last retraining, or the one under way; one that was killed is told as such."""
    try:
        record = json.loads((registry.folder / STATUS).read_text(encoding="utf-8"))
        status = Status(**{**record, "stage": Stage(record["stage"])})
    except (OSError, ValueError, KeyError, TypeError):
        return Status(Stage.NEVER, "还没有重训过")
    if status.stage is Stage.RUNNING and not _is_running(registry):
        return replace(status, stage=Stage.BROKEN, sentence="上次重训中途被打断，在岗模型没有变")
    return status


def _is_running(registry: Registry) -> bool:
    try:
        with (registry.folder / LOCK).open("r") as handle:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def start_retraining(registry: Registry, *, database: str, by: str) -> Status:
    """Start the command in a process of its own, for the desk; `read_status` follows it.

    Returns once it has begun. Raises Conflict where one is under way, Busy where it did not begin.
    """
    if _is_running(registry):
        running = read_status(registry)
        raise Conflict(f"已有一次重训在进行（{running.by}，{running.since}）", fix="请等它结束")
    places = {"GAOQIAN_MODELS": str(registry.folder.absolute()), "GAOQIAN_DATABASE": database}
    with on_every_core():
        started = subprocess.Popen(
            [sys.executable, "-m", "service.cli", "retrain", f"--by={by}"],
            env={**os.environ, **places},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    # Somebody has to wait for a child, or it stays in the table of processes.
    threading.Thread(target=started.wait, daemon=True).start()
    end = time.monotonic() + _STARTING
    while time.monotonic() < end:
        ended = started.poll() is not None  # asked first: what it said last is on the disk by then
        status = read_status(registry)
        if status.pid == started.pid:
            return status
        if ended and _is_running(registry):
            raise Conflict(f"已有一次重训在进行（{status.by}，{status.since}）", fix="请等它结束")
        if ended:
            break
        time.sleep(0.05)
    raise Busy("重训没有开始", fix="请技术人员运行 gaoqian retrain，看它说什么")
