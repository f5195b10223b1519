"""What answers where apps/ has no predict_fn: the model's own library."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Predictor:
    """A model's own way to predict.

    Attributes:
        predict: data as decoded -> prediction; raises BadRequestError for what the model cannot take.
        n_features: how many columns its tables have, where it says so.
    """

    predict: Callable[[Any], Any]
    n_features: int | None = None
