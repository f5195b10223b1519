"""BentoML as its documentation shows a service: a class, one process for each core."""

import os

import bentoml
import lightgbm as lgb
import numpy as np


@bentoml.service(workers=int(os.environ["WORKERS"]))
class Bench:
    """Serves the model."""

    def __init__(self) -> None:
        self.model = lgb.Booster(model_file=os.environ["MODEL"])

    @bentoml.api
    def predict(self, instances: np.ndarray) -> np.ndarray:
        """Predict."""
        return self.model.predict(instances, num_threads=1)
