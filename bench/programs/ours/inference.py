"""What a user of ours writes to serve a LightGBM model, with nothing tuned."""

from pathlib import Path

import lightgbm as lgb


def model_fn(model_dir):  # noqa: ANN001, ANN201 - as SageMaker's convention has it
    """Load the model."""
    return lgb.Booster(model_file=Path(model_dir) / "model.txt")


def predict_fn(data, model):  # noqa: ANN001, ANN201
    """Predict."""
    return model.predict(data)
