"""Serves the sample's model: what SageMaker's convention asks for, and nothing else.

input_fn, output_fn and transform_fn may be added; docs/serving.md lists all that they may take and return.
"""

from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray


def model_fn(model_dir: str) -> lgb.Booster:
    """Return the model that main.py saved.

    Raises:
        ValueError: model.txt is no LightGBM model.
    """
    file = Path(model_dir, "model.txt")
    text = file.read_text(encoding="utf-8", errors="replace")
    # LightGBM ends the whole process on some broken files, so they are kept from it.
    if not text.startswith("tree\n") or "\nend of trees\n" not in text:
        raise ValueError(f"{file} is not a whole LightGBM text model. Save it with Booster.save_model.")
    return lgb.Booster(model_str=text)


def predict_fn(data: Any, model: lgb.Booster) -> NDArray[Any]:  # noqa: ANN401 - tables come in several types
    """Return the probability that each row's tumour is malignant: [n] floats for [n, 30] numbers.

    LightGBM takes as many threads as OMP_NUM_THREADS says: serve sets it to the worker's share of the cores.
    """
    return np.asarray(model.predict(np.asarray(data, dtype=float)))
