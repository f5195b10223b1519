"""XGBoost's files of either kind, JSON and UBJSON, as Booster.save_model writes them."""

import json
import re
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from byoc_serving.errors import ModelFileError
from byoc_serving.model_files.categories import Codes, coded, codes_of
from byoc_serving.model_files.columns import columns_named
from byoc_serving.model_files.predictor import Predictor
from byoc_serving.settings import Settings

_JSON = re.compile(rb'\{\s*"learner"\s*:')
_UBJSON = b"{L\0\0\0\0\0\0\0\x07learner"
_CATEGORIES = '"cats":'


def is_model(_path: Path, head: bytes) -> bool:
    """Whether a file begins as XGBoost's do."""
    return head.startswith(_UBJSON) or _JSON.match(head) is not None


def load(path: Path, _settings: Settings) -> Any:  # noqa: ANN401 - an xgboost.Booster
    """Return the Booster; its bytes say which kind it is, where XGBoost would go by the name."""
    import xgboost

    content = bytearray(path.stat().st_size)
    with path.open("rb") as file:
        file.readinto(content)
    return xgboost.Booster(model_file=content)


def predictor(booster: Any) -> Predictor:  # noqa: ANN401
    """Return what predicts with a Booster, up to its best iteration where early stopping found one.

    Its threads are those that OpenMP is told.

    Raises:
        ModelFileError: it knows categories that are no plain text.
    """
    columns = columns_named(booster.feature_names, booster.num_features())
    best = booster.attr("best_iteration")
    rounds = (0, int(best) + 1 if best else 0)
    codes = _codes(booster)

    def numbers(data: Any) -> NDArray[Any]:  # noqa: ANN401
        if not codes:
            return columns.numbers(data)
        return coded(columns.ordered(data), codes, refuses_others=True)

    def in_place(data: Any) -> Any:  # noqa: ANN401
        return booster.inplace_predict(numbers(data), iteration_range=rounds, validate_features=False)

    def of_a_matrix(data: Any) -> Any:  # noqa: ANN401
        from xgboost import DMatrix

        return booster.predict(DMatrix(numbers(data)), iteration_range=rounds, validate_features=False)

    is_linear = json.loads(booster.save_config())["learner"]["gradient_booster"]["name"] == "gblinear"
    return Predictor(of_a_matrix if is_linear else in_place, columns.width)


def _codes(booster: Any) -> dict[int, Codes]:  # noqa: ANN401
    """Return XGBoost's number for each category, by column: from 3.1 on a model keeps them (cat_container.h).

    Its own coding wants them as pandas has them, and cannot take a column in which all are missing.
    """
    if "c" not in (booster.feature_types or ()):
        return {}
    text = booster.save_raw("json").decode()
    at = text.find(_CATEGORIES)
    if at < 0:
        return {}
    kept, _ = json.JSONDecoder().raw_decode(text, at + len(_CATEGORIES))
    return {place: _codes_of(column) for place, column in enumerate(kept["enc"]) if column["values"]}


def _codes_of(column: Mapping[str, Any]) -> Codes:
    values = column["values"]
    if ends := column.get("offsets"):
        content = bytes(value % 256 for value in values)  # they are signed there
        try:
            values = [content[start:end].decode() for start, end in pairwise(ends)]
        except UnicodeDecodeError:
            raise ModelFileError(
                "XGBoost did not keep the letters of this model's categories. Write model_fn and "
                "predict_fn in apps/inference.py, which code them."
            ) from None
    return codes_of(values)
