"""What is done with a loaded model before the first request: it is warmed up, and told who may join."""

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from byoc_serving.algorithm import call_warmup, is_meant_for_the_process
from byoc_serving.batching import FEWEST_SAMPLES, rows_are_independent
from byoc_serving.errors import RequestError
from byoc_serving.formats.tables import model_input
from byoc_serving.loading import LoadedModel
from byoc_serving.settings import Settings

log = logging.getLogger("loading")


def warmed(model: LoadedModel, settings: Settings, prepare: Callable[[int], None]) -> LoadedModel:
    """Warm a model up, and return it as it is to be used from then on (AlgorithmError: it cannot be).

    Requests may join where their rows are independent of each other: settings say so, or the sample rows do.
    """
    model = warm_up(replace(model, prepare=prepare))
    joins, why = _joins(model, settings, sample_of(model))
    log.info(f"requests are {'' if joins else 'not '}predicted together: {why}")
    return replace(model, batch_rows=settings.batch_rows if joins else 0)


def warm_up(model: LoadedModel) -> LoadedModel:
    """Call model_warmup_fn, and predict the sample rows once; return the model.

    A sample that cannot be predicted is logged, and changes nothing: requests may be of another kind.

    Raises:
        AlgorithmError: model_warmup_fn failed.
    """
    call_warmup(model.algorithm, model.model, model.model_dir)
    rows = sample_of(model)
    if rows is not None:
        _predicted(model, rows)
    return model


def sample_of(model: LoadedModel) -> Any:  # noqa: ANN401 - as model_input
    """Return the manifest's sample rows as predict_fn gets them, or None where there are none."""
    if not model.sample_rows or model.algorithm.input_fn or model.algorithm.transform_fn:
        return None
    try:
        return model_input(list(model.sample_rows), model.n_features)
    except RequestError as error:
        log.warning(f"the sample rows of the model version are no rows of this model: {error}")
        return None


def _joins(model: LoadedModel, settings: Settings, rows: Any) -> tuple[bool, str]:  # noqa: ANN401
    """Whether requests may be predicted together, and why or why not."""
    if settings.batching == "off":
        return False, "MODEL_SERVER_BATCHING is off"
    if why := _must_stay_alone(model):
        return False, why
    if settings.batching == "on":
        return True, "MODEL_SERVER_BATCHING is on"
    return _tried(model, rows)


def _must_stay_alone(model: LoadedModel) -> str:
    algorithm = model.algorithm
    for name in ("transform_fn", "input_fn"):
        if getattr(algorithm, name):
            return f"{algorithm.name} has {name}"
    for name in ("predict_fn", "route_fn"):
        if name in algorithm.wants_context:
            return f"{name} of {algorithm.name} takes the context of one request"
    return ""


def _tried(model: LoadedModel, rows: Any) -> tuple[bool, str]:  # noqa: ANN401
    if not _is_table_of_numbers(rows) or len(np.unique(rows, axis=0)) < FEWEST_SAMPLES:
        return False, f"the manifest has not {FEWEST_SAMPLES} different sample rows of numbers to try it with"
    try:
        independent = rows_are_independent(lambda some: model.predict(some, None), rows)
    except BaseException as error:
        if is_meant_for_the_process(error):
            raise
        return False, f"the sample rows cannot be predicted: {type(error).__name__}: {error}"
    if not independent:
        return False, "a sample row is predicted otherwise alone than among others"
    return True, "each sample row is predicted alike alone and among others"


def _predicted(model: LoadedModel, rows: Any) -> None:  # noqa: ANN401
    try:
        model.predict(rows, None)
    except BaseException as error:
        if is_meant_for_the_process(error):
            raise
        why = f"{type(error).__name__}: {error}"
        log.warning(f"the sample rows of the model version cannot be predicted: {why}")


def _is_table_of_numbers(rows: Any) -> bool:  # noqa: ANN401
    return isinstance(rows, np.ndarray) and rows.ndim == 2 and rows.dtype.kind == "f"
