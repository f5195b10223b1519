"""LightGBM's text files, as Booster.save_model writes them."""

import mmap
import re
from pathlib import Path
from typing import Any

import numpy as np

from byoc_serving.errors import ModelFileError
from byoc_serving.model_files.categories import Codes, coded, codes_of
from byoc_serving.model_files.columns import columns_named
from byoc_serving.model_files.predictor import Predictor
from byoc_serving.settings import Settings


def is_model(_path: Path, head: bytes) -> bool:
    """Whether a file begins as LightGBM's do."""
    return head.startswith((b"tree\n", b"tree\r\n"))


def load(path: Path, _settings: Settings) -> Any:  # noqa: ANN401 - a lightgbm.Booster
    """Return the Booster (ModelFileError: the file is not whole)."""
    import lightgbm

    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        # LightGBM ends the whole process on some broken files, so they are kept from it.
        if content.rfind(b"\nend of trees") < 0:
            raise ModelFileError(
                f"{path.name} is not a whole LightGBM text file: it has no end of trees. Save it again with "
                "Booster.save_model."
            )
    return lightgbm.Booster(model_file=str(path))


def predictor(booster: Any) -> Predictor:  # noqa: ANN401
    """Return what predicts with a Booster: its own predict, with as many threads as OpenMP is told.

    Raises:
        ModelFileError: it cannot be told which of its columns are of categories.
    """
    columns = columns_named(booster.feature_name(), booster.num_feature())
    codes = _codes(booster)

    def predict(data: Any) -> Any:  # noqa: ANN401
        table = coded(columns.ordered(data), codes, refuses_others=False) if codes else columns.numbers(data)
        return np.asarray(booster.predict(table))

    return Predictor(predict, columns.width)


def _codes(booster: Any) -> dict[int, Codes]:  # noqa: ANN401
    """Return LightGBM's number for each category of pandas, by column.

    A model keeps the values, and not whose they are; but only a column of categories has a list of numbers
    for its range, as in 0:1:2 beside [-0.5:1.5] (GBDT::SaveModelToString).
    """
    kept = booster.pandas_categorical
    if not kept:
        return {}
    text = booster.model_to_string(num_iteration=1)
    ranges = re.findall(r"^feature_infos=(.*)$", text, re.MULTILINE)[0].split(" ")
    places = [place for place, values in enumerate(ranges) if values[0] != "[" and values != "none"]
    if len(places) != len(kept):
        raise ModelFileError(
            "It cannot be told which columns of this model are of categories. Write model_fn and "
            "predict_fn in apps/inference.py."
        )
    return {place: codes_of(values) for place, values in zip(places, kept, strict=True)}
