"""The model that this process serves, and how it follows the pointer without dropping a request.

A request takes the model once and keeps it to its end. Beside the requests one thread looks at the
pointer; a new version is loaded, asked its probes, and only then put in place of the old one. What
cannot be loaded is not served: the old model goes on and `status` says why.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from classifier.errors import GaoqianError, ModelMissing
from classifier.model import Classifier
from classifier.registry import Registry, check_probes
from service.taxonomy import Taxonomy, answering, read_taxonomy

log = logging.getLogger(__name__)

Clock = Callable[[], float]  # seconds, monotonic


@dataclass(frozen=True, slots=True)
class ServingStatus:
    """What this process serves, and what it should serve."""

    serving: str | None
    promoted: str | None
    problem: str  # why the promoted version is not served, "" where there is nothing to say
    lag: float  # seconds since the two first differed, 0 where they agree


class ServedModel:
    """The current model of a registry, kept current."""

    def __init__(
        self,
        registry: Registry,
        *,
        interval: float = 1.0,
        clock: Clock = time.monotonic,
        tell: Callable[[str, str], None] = lambda _version, _problem: None,
    ) -> None:
        self._registry = registry
        self._interval = interval
        self._clock = clock
        self._tell = tell  # of a version, and why it could not be taken; "" where it was
        self._lock = threading.Lock()
        self._loaded: Classifier | None = None
        self._taxonomy = Taxonomy()
        self._model: Classifier | None = None
        self._earlier: Classifier | None = None
        self._status = ServingStatus(None, None, "", 0.0)
        self._differs_since: float | None = None
        self._refused: str | None = None
        self._watcher: threading.Thread | None = None
        self._stopped = threading.Event()

    def model(self) -> Classifier:
        """The model to answer with; raises ModelMissing with the cause where there is none."""
        model = self._model
        if model is None:
            self.refresh()
            model = self._model
        if model is None:
            raise ModelMissing(
                self._status.problem or "还没有可用的模型", fix="请先运行 gaoqian train"
            )
        return model

    def of(self, id: str) -> Classifier:
        """The model of a receipt; raises ModelRefused where it is no longer there.

        One beside the served model is kept, since receipts of the same time are read together.
        """
        for known in (self._model, self._earlier):
            if known is not None and known.id == id:
                return known
        self._earlier = model = self._registry.load(id)
        return model

    @property
    def taxonomy(self) -> Taxonomy:
        """What older theme ids are called today, as of the last look."""
        return self._taxonomy

    def status(self) -> ServingStatus:
        """The state as of the last look at the pointer, lag counted up to now."""
        status, since = self._status, self._differs_since
        lag = 0.0 if since is None else self._clock() - since
        return ServingStatus(status.serving, status.promoted, status.problem, lag)

    def refresh(self) -> None:
        """Look at the pointer and at the themes once, and follow them."""
        with self._lock:
            serving = self._loaded.id if self._loaded else None
            promoted, problem = serving, ""
            try:
                promoted = self._registry.current_id()
                if promoted == serving:
                    self._refused = None
                elif promoted != self._refused:
                    loaded = self._registry.load(promoted)
                    check_probes(loaded)
                    self._answer_with(loaded)
                    serving, self._refused = promoted, None
                    log.info("model in service: %s", promoted)
                    self._tell(promoted, "")
                else:
                    problem = self._status.problem  # already refused; do not load it every second
                if self._loaded is not None:
                    self._answer_with(self._loaded)
            except GaoqianError as error:
                problem = str(error)
                if promoted != serving:
                    self._refused = promoted
                    log.error("model not taken: %s", problem)
                    self._tell(promoted or "", problem)
            if promoted == serving:
                self._differs_since = None
            elif self._differs_since is None:
                self._differs_since = self._clock()
            self._status = ServingStatus(serving, promoted, problem, 0.0)

    def _answer_with(self, loaded: Classifier) -> None:
        """Put a model in place, its themes called as they are today."""
        taxonomy = read_taxonomy(self._registry.folder)
        if loaded is not self._loaded or taxonomy != self._taxonomy:
            model = answering(loaded, taxonomy)
            self._loaded, self._taxonomy, self._model = loaded, taxonomy, model

    def watch(self) -> None:
        """Follow the pointer from now on; call once in each process, after it has forked."""
        if self._watcher is None or not self._watcher.is_alive():
            self._watcher = threading.Thread(target=self._watch, name="model-watch", daemon=True)
            self._watcher.start()

    def stop(self) -> None:
        """End the watching thread."""
        self._stopped.set()
        if self._watcher is not None:
            self._watcher.join()

    def _watch(self) -> None:
        while not self._stopped.wait(self._interval):
            self.refresh()
