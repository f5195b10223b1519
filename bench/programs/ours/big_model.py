"""A model of 500 MB in plain memory, for what several workers hold of it."""

import numpy as np

MODEL_BYTES = 500_000_000


def model_fn(model_dir):  # noqa: ANN001, ANN201, ARG001 - as SageMaker's convention has it
    """Make the model."""
    return np.random.default_rng(7).random(MODEL_BYTES // 8)


def predict_fn(data, model):  # noqa: ANN001, ANN201
    """Predict: a weighted sum, of weights that lie anywhere in the model."""
    columns = data.shape[1]
    return data @ model[:: len(model) // columns][:columns]
