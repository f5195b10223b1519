"""LitServe as its documentation shows it: an API of four methods, one worker for each core."""

import os
from typing import Any

import lightgbm as lgb
import litserve as ls
import numpy as np


class Bench(ls.LitAPI):
    """Serves the model."""

    def setup(self, device: str) -> None:  # noqa: ARG002 - LitServe's signature
        """Load the model."""
        self.model = lgb.Booster(model_file=os.environ["MODEL"])

    def decode_request(self, request: dict[str, Any]) -> np.ndarray:
        """Return the rows."""
        return np.array(request["instances"])

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Predict."""
        return self.model.predict(x, num_threads=1)

    def encode_response(self, output: np.ndarray) -> dict[str, list[float]]:
        """Return the answer."""
        return {"predictions": output.tolist()}


if __name__ == "__main__":
    server = ls.LitServer(Bench(), accelerator="cpu", workers_per_device=int(os.environ["WORKERS"]))
    server.run(port=int(os.environ["PORT"]), generate_client_file=False, log_level="warning")
