"""Claims about service.serving: a process follows the pointer, and never into the ditch."""

from __future__ import annotations

import io
import json
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import Clock
from lessons import learned, shortened

from benchmarks.switch import serving, switch_under_load
from classifier.article import Article
from classifier.model import ARRAYS, MANIFEST, digest
from classifier.registry import POINTER, Registry
from service.serving import ServedModel
from service.taxonomy import Change, Kind, undo_step, write_step
from tests.conftest import NOW
from training.evaluation import evaluate_training
from training.fit import Trained
from training.labelled import Corpus
from training.run import model_files

BAD = "20990101-bad"
Files = dict[str, bytes]


class Run:
    """Remembers whether anything planted was ever run."""

    ran = False

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return setattr, (Run, "ran", True)


def _signed(files: Files, changed: dict[str, object], arrays: bytes | None = None) -> Files:
    """Files whose digests agree with each other, whatever they say."""
    record = {**json.loads(files[MANIFEST]), **changed}
    packed = files[ARRAYS] if arrays is None else arrays
    record["arrays"] = {"sha256": digest(packed), "bytes": len(packed)}
    record.pop("digest")
    record["digest"] = digest(json.dumps(record, ensure_ascii=False, sort_keys=True).encode())
    return {MANIFEST: json.dumps(record, ensure_ascii=False).encode(), ARRAYS: packed}


def _repacked(files: Files, **changed: np.ndarray) -> bytes:
    with np.load(io.BytesIO(files[ARRAYS])) as stored:
        arrays = {name: stored[name] for name in stored.files} | changed
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=True, **arrays)
    return buffer.getvalue()


def _huge(files: Files) -> Files:
    """An array whose header claims eight exabytes."""
    buffer = io.BytesIO()
    header = {"descr": "<f8", "fortran_order": False, "shape": (10**15, 1000)}
    np.lib.format.write_array_header_1_0(buffer, header)
    whole = bytearray(files[ARRAYS])
    place = whole.find(b"\x93NUMPY", whole.find(b"weights.npy"))
    whole[place : place + len(buffer.getvalue())] = buffer.getvalue()
    return _signed(files, {}, bytes(whole))


PLANTED: dict[str, Callable[[Files], Files]] = {
    "a flipped byte": lambda files: {
        **files,
        ARRAYS: files[ARRAYS][:5000] + bytes([files[ARRAYS][5000] ^ 1]) + files[ARRAYS][5001:],
    },
    "a truncated array file": lambda files: {**files, ARRAYS: files[ARRAYS][: 10**5]},
    "truncated and signed": lambda files: _signed(files, {}, files[ARRAYS][: 10**5]),
    "a pickle for arrays": lambda files: _signed(files, {}, pickle.dumps(Run())),
    "a pickle among the arrays": lambda files: _signed(
        files, {}, _repacked(files, idf=np.array([Run()], dtype=object))
    ),
    "an array of another shape": lambda files: _signed(
        files, {}, _repacked(files, bias=np.zeros(99))
    ),
    "an array that claims eight exabytes": _huge,
    "a manifest that names huge sizes": lambda files: {
        **files,
        MANIFEST: files[MANIFEST].replace(b'"bytes": ', b'"bytes": 9999999999'),
    },
    "an older format": lambda files: _signed(files, {"format": 0}),
    "another cleaning": lambda files: _signed(files, {"cleaning": "0"}),
    "another tokenizer": lambda files: _signed(
        files, {"tokenizer": {"name": "pkuseg", "dictionary": "0" * 64, "user_words": []}}
    ),
    "no manifest at all": lambda files: {**files, MANIFEST: b"\x80\x04."},
    "a manifest of nothing": lambda files: _signed(files, {"themes": None}),
    "probes with other answers": lambda files: _signed(
        files,
        {
            "probes": [
                {**probe, "scores": [score + 1 for score in probe["scores"]]}
                for probe in json.loads(files[MANIFEST])["probes"]
            ]
        },
    ),
}


class Seconds:
    """A monotonic clock that is set by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("planted", [*PLANTED])
def test_whatever_is_planted_as_a_model_the_old_one_serves(
    registry: Registry, packed_model: Files, trained: Trained, planted: str
) -> None:
    """The refusal is a sentence, nothing of it is run, and the lag is told."""
    seconds = Seconds()
    served = ServedModel(registry, clock=seconds)
    served.refresh()
    registry.add(BAD, PLANTED[planted](packed_model))
    (registry.folder / POINTER).write_text(f"{BAD}\n")

    served.refresh()
    seconds.now = 12.0
    served.refresh()

    status = served.status()
    assert served.model().id == status.serving == trained.manifest.id
    assert status.promoted == BAD
    assert status.problem.endswith("。")
    assert "Error" not in status.problem
    assert status.lag == 12.0
    assert not Run.ran

    registry.promote(trained.manifest.id, now=NOW, by="technician")
    served.refresh()
    assert (served.status().problem, served.status().lag) == ("", 0.0)


def test_a_step_in_the_themes_reaches_a_running_process(registry: Registry) -> None:
    """Retired at the next look, back at the look after its undoing; the model is not loaded anew."""
    served = ServedModel(registry)
    served.refresh()
    model = served.model()
    article = Article("河长巡河，清理垃圾两吨，水质好转。", "河长巡河")
    write_step(
        registry, Change(Kind.RETIRE, "environment"), model.manifest.themes, now=NOW, by="王主任"
    )

    served.refresh()
    assert "environment" not in served.model().tag(article).scores
    assert served.model().lexicon is model.lexicon
    undo_step(registry)
    served.refresh()
    assert served.model().tag(article) == model.tag(article)


def test_a_request_keeps_the_model_it_began_with(
    registry: Registry, packed_model: Files, trained: Trained
) -> None:
    """A switch in the midst of a batch does not touch that batch."""
    other = _signed(packed_model, {"id": "20990101-other"})
    registry.add("20990101-other", other)
    served = ServedModel(registry)
    model = served.model()
    slips = model.tag_many([Article("老人助餐点开张。")] * 3, chunk=1)
    first = next(slips)
    registry.promote("20990101-other", now=NOW, by="test")
    served.refresh()

    assert served.model().id == "20990101-other"
    assert {first.model, *(slip.model for slip in slips)} == {trained.manifest.id}


def test_switches_under_load_drop_nothing_and_mix_nothing(
    registry: Registry, trained: Trained, corpus: Corpus, tmp_path: Path, clock: Clock
) -> None:
    """Two processes, three connections, four moves; benchmarks/switch.py does twenty."""
    other = learned(shortened(corpus, every=12))
    registry.add(other.manifest.id, model_files(other, other.manifest, evaluate_training(other)))
    versions = [trained.manifest.id, other.manifest.id]
    articles = [one.article for one in corpus.articles[:4]]

    with serving(registry.folder, tmp_path / "load.db") as port:
        seen = switch_under_load(registry, versions, articles, port=port, moves=4, connections=3)

    assert seen.failures == []
    assert seen.mixed == []
    assert set(seen.answers) == set(versions)
    assert max(seen.settled) < 30  # after which it is not waited for
