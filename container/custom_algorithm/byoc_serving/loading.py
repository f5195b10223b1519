"""Loads the algorithm and its model once, whoever asks first, and remembers how that went."""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from byoc_serving.algorithm import (
    Algorithm,
    Context,
    asking_itself,
    bind,
    is_meant_for_the_process,
    load_model,
)
from byoc_serving.calls import rows_of
from byoc_serving.conformity import Check, schema_check
from byoc_serving.copies import Copies
from byoc_serving.errors import AlgorithmError, NotReadyError, ServingError, SettingsError
from byoc_serving.family import Family
from byoc_serving.formats.codecs import ENCODERS
from byoc_serving.routing import read_routes
from byoc_serving.settings import Settings
from byoc_serving.versions.manifest import read_manifest
from byoc_serving.versions.schema import names_of, read_schema

log = logging.getLogger("loading")


@dataclass(frozen=True)
class LoadedModel:
    """All that an invocation needs: the user's functions, their model, and what its manifest promises.

    Attributes:
        name: of the model; None where it has no manifest, and so is version.
        sample_rows: a few rows of what the model takes, as `main.py` gave them.
        batch_rows: how many rows of several requests may be predicted at once; 0 for those of one only.
        check: holds decoded data against the schema of the model version, and returns them in its order;
            None where that is not asked for.
        prepare: is told the number of rows before each prediction, 1 where it is unknown.
        names: of the columns, as the schema has them; read only where a bad record gets a placeholder.
    """

    algorithm: Algorithm
    model: Any
    model_dir: Path
    n_features: int | None
    allow_nan: bool
    name: str | None = None
    version: str | None = None
    sample_rows: Sequence[Any] = ()
    batch_rows: int = 0
    prepare: Callable[[int], None] = lambda _rows: None
    check: Check | None = None
    names: Sequence[str] = ()

    def predict(self, data: Any, context: Context | None) -> Any:  # noqa: ANN401 - of the user's choice
        """Return what predict_fn makes of data."""
        rows = rows_of(data)
        self.prepare(1 if rows is None else rows)
        return self.algorithm.predict_fn(data, self.model, context)


def loaded_model(settings: Settings, model_dir: Path, copies: Copies) -> LoadedModel:
    """Bind apps/, load the model and read its manifest, if it has one; or the parent of several models.

    Args:
        settings: of the process.
        model_dir: where the model is.
        copies: where children are, once a row has gone to them.

    Raises:
        ServingError: one of them cannot be used; the message says which and why.
    """
    algorithm = bind(settings)
    encodes = algorithm.output_fn is None and algorithm.transform_fn is None
    if encodes and settings.default_accept not in ENCODERS:
        raise SettingsError(
            f"SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT is {settings.default_accept!r}. "
            f"Give one of {', '.join(ENCODERS)}, or define output_fn in {algorithm.name}."
        )
    manifest = read_manifest(model_dir)
    routes = read_routes(model_dir)
    if routes:
        model: Any = Family(algorithm, routes, model_dir, copies)
        algorithm, width = model.algorithm, model.n_features
    else:
        model = load_model(algorithm, model_dir)
        algorithm, width = asking_itself(algorithm, model)
    n_features = manifest.n_features if manifest else None
    return LoadedModel(
        algorithm=algorithm,
        model=model,
        model_dir=model_dir,
        n_features=width if n_features is None else n_features,
        allow_nan=manifest.allow_nan if manifest else True,
        name=manifest.name if manifest else None,
        version=manifest.version if manifest else None,
        sample_rows=manifest.sample_rows if manifest else (),
        check=schema_check(settings, model_dir),
        names=names_of(read_schema(model_dir)) if settings.bad_record else (),
    )


class Loading:
    """The loading of one model in this process; any thread may ask for it.

    Args:
        settings: of the process.
        model_dir: where the model is.
        finish: makes of the loaded model the one that is used.
        copies: the models of this process that load when they are first used, and may leave.

    Attributes:
        state: starting, ready or failed, as `serve` has it on /ping; read without waiting.
        reason: why it is not ready, fit to be shown; empty when it is.
        model_dir: where the model is.
    """

    state: Literal["starting", "ready", "failed"]
    reason: str

    def __init__(
        self,
        settings: Settings,
        model_dir: Path,
        finish: Callable[[LoadedModel], LoadedModel],
        copies: Copies,
    ) -> None:
        self._finish = finish
        self._copies = copies
        self.state = "starting"
        self.reason = "The model is loading."
        self._settings = settings
        self.model_dir = model_dir
        self._model: LoadedModel | None = None
        self._lock = threading.Lock()
        self._started = threading.Lock()

    def load(self) -> LoadedModel:
        """Return the model: load it, or wait while another thread does.

        Raises:
            ServingError: loading failed now.
            NotReadyError: it failed before; it is not tried again.
        """
        with self._lock:
            if self._model is None:
                self._model = self._load()
            return self._model

    @property
    def batch_rows(self) -> int:
        """That of the model, once it is loaded; read without waiting."""
        return self._model.batch_rows if self._model else 0

    def change(self, act: Callable[[LoadedModel], LoadedModel]) -> None:
        """Put what an act makes of the loaded model in its place (ServingError: there is none)."""
        changed = act(self.load())
        with self._lock:
            self._model = changed

    def start(self) -> None:
        """Load in a thread of its own, unless somebody has begun; a failure goes to the log."""
        if self.state == "starting" and self._started.acquire(blocking=False):
            threading.Thread(target=self._load_or_log, name="loading", daemon=True).start()

    def _load(self) -> LoadedModel:
        if self.state == "failed":
            raise NotReadyError(self.reason)
        try:
            model = self._finish(loaded_model(self._settings, self.model_dir, self._copies))
        except ServingError as error:
            self.state, self.reason = "failed", str(error)
            raise
        except BaseException as error:
            if is_meant_for_the_process(error):
                raise
            self.state, self.reason = "failed", f"Loading failed: {type(error).__name__}: {error}."
            raise AlgorithmError(self.reason) from error
        self.state, self.reason = "ready", ""
        return model

    def _load_or_log(self) -> None:
        try:
            self.load()
        except NotReadyError:
            pass  # whoever saw it fail has logged it
        except ServingError:
            log.exception("the model cannot be served")
