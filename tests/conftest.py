"""What many tests stand on: one small model, trained once, and the shared material where present."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from databases import Server, lay_tables, postgresql_binaries, running_server

from classifier.model import Classifier
from classifier.registry import Registry
from classifier.tokens import open_tokenizer
from service.store import Store, open_store
from training.evaluation import evaluate_training
from training.fit import Trained, train
from training.labelled import Corpus, read_corpus
from training.pipeline import Recipe
from training.run import PIPELINE, REPORT, model_files

NOW = datetime(2026, 11, 24, 8, 30, tzinfo=UTC)
SHARED = Path(__file__).parents[2] / "shared"


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes are named by their argument: two workers must agree, and no terminal need show them."""
    return argname if isinstance(val, bytes) else None


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test sees the settings or models of whoever runs it."""
    for name in [name for name in os.environ if name.startswith("GAOQIAN_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GAOQIAN_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("GAOQIAN_DATABASE", str(tmp_path / "gaoqian.db"))


@pytest.fixture(scope="session")
def corpus() -> Corpus:
    """The first 1,400 bundled articles: what tests cost does not grow with the corpus."""
    bundled = read_corpus()
    return Corpus(bundled.articles[:1400], bundled.themes)


@pytest.fixture(scope="session")
def trained(corpus: Corpus) -> Trained:
    """A model of every third of them: quick to make, good enough to ask."""
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


@pytest.fixture(scope="session")
def served_models(
    tmp_path_factory: pytest.TempPathFactory, trained: Trained, packed_model: dict[str, bytes]
) -> Path:
    """A models folder with that model in service, to be copied and left as it is."""
    registry = Registry(tmp_path_factory.mktemp("served") / "models")
    registry.add(trained.manifest.id, packed_model)
    registry.promote(trained.manifest.id, now=NOW, by="test")
    return registry.folder


@pytest.fixture
def registry(tmp_path: Path, served_models: Path) -> Registry:
    """A copy of it for one test."""
    return copied_models(served_models, tmp_path / "models")


def copied_models(folder: Path, target: Path) -> Registry:
    """A models folder like another; what the service never opens is not written twice."""

    def link_or_copy(source: str, place: str) -> None:
        if source.endswith(PIPELINE):
            os.link(source, place)
        else:
            shutil.copy2(source, place)

    shutil.copytree(folder, target, copy_function=link_or_copy)
    return Registry(target)


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
        yield str(lay_tables(tmp_path / "store.db"))


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
