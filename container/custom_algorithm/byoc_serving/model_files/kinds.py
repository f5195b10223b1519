"""The table of what can be served without code: how each kind of file is known, loaded and asked."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from byoc_serving.errors import ModelFileError
from byoc_serving.model_files import (
    estimator,
    lightgbm_text,
    onnx_graph,
    pickled,
    skops_archive,
    xgboost_model,
)
from byoc_serving.model_files.predictor import Predictor
from byoc_serving.settings import Settings

HEAD_BYTES = 64


@dataclass(frozen=True)
class Kind:
    """One kind of model file.

    Attributes:
        name: as a message has it.
        package: what apps/requirements.txt has to name so that it can be loaded.
        suffixes: names that no other file has, so that one which begins otherwise is broken.
        is_model: whether a file, of which the first HEAD_BYTES are given, is of this kind.
        load: file -> model.
    """

    name: str
    package: str
    suffixes: tuple[str, ...]
    is_model: Callable[[Path, bytes], bool]
    load: Callable[[Path, Settings], Any]


KINDS = (
    Kind("LightGBM text", "lightgbm", (), lightgbm_text.is_model, lightgbm_text.load),
    Kind("XGBoost JSON or UBJ", "xgboost", (".ubj",), xgboost_model.is_model, xgboost_model.load),
    Kind("ONNX", "onnxruntime", (".onnx",), onnx_graph.is_model, onnx_graph.load),
    Kind("skops", "skops", (".skops",), skops_archive.is_model, skops_archive.load),
    Kind("pickle", "joblib", (), pickled.is_model, pickled.load),
)

# A model of these libraries, whoever loaded it, is asked in its own way; every other by its predict.
_ASKED = (
    ("lightgbm", "Booster", lightgbm_text.predictor),
    ("xgboost", "Booster", xgboost_model.predictor),
    ("onnxruntime", "InferenceSession", onnx_graph.predictor),
)


def kind_of(path: Path) -> Kind | None:
    """Return what a file is, by its first bytes and its name, or None where it is no model.

    Raises:
        ModelFileError: its name says what its first bytes do not.
    """
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    for kind in KINDS:
        if kind.is_model(path, head):
            return kind
    if named := next((kind for kind in KINDS if path.suffix.lower() in kind.suffixes), None):
        raise ModelFileError(
            f"{path.name} is no {named.name} file, though its name says so: it begins with {head[:16]!r}. "
            "Save the model again, and see that all of it arrives here."
        )
    return None


def predictor_of(model: Any) -> Predictor | None:  # noqa: ANN401 - any object
    """Return what predicts with a model where the user's code does not say; None where nothing can."""
    for library, name, predictor in _ASKED:
        if library in sys.modules and isinstance(model, getattr(sys.modules[library], name)):
            return predictor(model)
    return estimator.predictor(model)
