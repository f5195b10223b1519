"""Whatever has a predict method, told its columns where it names them as scikit-learn's estimators do."""

from typing import Any

import numpy as np

from byoc_serving.formats.plain import is_frame
from byoc_serving.model_files.columns import columns_named
from byoc_serving.model_files.predictor import Predictor


def predictor(model: Any) -> Predictor | None:  # noqa: ANN401 - any object
    """Return what calls the model's own predict, or None where it has none.

    An estimator that was trained on a DataFrame gets one, in its order, where pandas can be imported.
    """
    if not callable(getattr(model, "predict", None)):
        return None
    names, width = getattr(model, "feature_names_in_", None), getattr(model, "n_features_in_", None)
    if names is None and width is None:
        return Predictor(model.predict)
    columns = columns_named(None if names is None else [str(name) for name in names], width)

    def predict(data: Any) -> Any:  # noqa: ANN401
        is_table = is_frame(data) or (isinstance(data, np.ndarray) and data.ndim == 2)
        return model.predict(columns.frame(data) if is_table else data)

    return Predictor(predict, columns.width)
