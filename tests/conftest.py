"""What many tests stand on: one small model, trained once, and the shared material where present."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from databases import Server, postgresql_binaries, running_server

from classifier.model import Classifier
from classifier.registry import Registry
from classifier.tokens import open_tokenizer
from service.store import Store, open_store
from training.evaluation import evaluate_training
from training.fit import Trained, train
from training.labelled import Corpus, read_corpus
from training.pipeline import Recipe
from training.run import REPORT, model_files

NOW = datetime(2026, 11, 24, 8, 30, tzinfo=UTC)
SHARED = Path(__file__).parents[2] / "shared"


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test sees the settings or models of whoever runs it."""
    for name in [name for name in os.environ if name.startswith("GAOQIAN_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GAOQIAN_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("GAOQIAN_DATABASE", str(tmp_path / "gaoqian.db"))


@pytest.fixture(scope="session")
def corpus() -> Corpus:
    """The bundled corpus."""
    return read_corpus()


@pytest.fixture(scope="session")
def trained(corpus: Corpus) -> Trained:
    """A model of every third bundled article: quick to make, good enough to ask."""
    third = Corpus(corpus.articles[::3], corpus.themes)
    return train(third, recipe=Recipe(folds=3), now=NOW, jobs=1)


@pytest.fixture(scope="session")
def model(trained: Trained) -> Classifier:
    """The same model as it is served."""
    return Classifier(trained.manifest, trained.arrays, open_tokenizer(trained.manifest.tokenizer))


@pytest.fixture(scope="session")
def packed_model(trained: Trained) -> dict[str, bytes]:
    """The files of its model folder."""
    files = model_files(trained, trained.manifest, evaluate_training(trained))
    assert REPORT in files
    return files


@pytest.fixture
def registry(tmp_path: Path, trained: Trained, packed_model: dict[str, bytes]) -> Registry:
    """A models folder with that model in service."""
    registry = Registry(tmp_path / "models")
    registry.add(trained.manifest.id, packed_model)
    registry.promote(trained.manifest.id, now=NOW, by="test")
    return registry


@pytest.fixture
def seed_page() -> str:
    """The real newspaper page, where it is present."""
    path = SHARED / "seed" / "page.txt"
    if not path.is_file():
        pytest.skip("the shared seed page is not here")
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[Server]:
    """A PostgreSQL server of our own, where Debian's package is installed."""
    binaries = postgresql_binaries()
    if binaries is None:
        pytest.skip("PostgreSQL is not installed (apt-get install postgresql)")
    with running_server(binaries) as server:
        yield server


@pytest.fixture
def postgres_url(postgresql_server: Server) -> Iterator[str]:
    """The address of an empty PostgreSQL database."""
    with postgresql_server.database() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of an empty store, on SQLite and on PostgreSQL in turn."""
    if request.param == "postgresql":
        server: Server = request.getfixturevalue("postgresql_server")
        with server.database(like=server.with_tables()) as url:
            yield url
    else:
        yield str(tmp_path / "store.db")


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """The clock of `store`."""
    return Clock()


@pytest.fixture
def store(store_url: str, clock: Callable[[], datetime]) -> Iterator[Store]:
    """An empty store, on SQLite and on PostgreSQL in turn."""
    opened = open_store(store_url, clock=clock)
    yield opened
    opened.close()
