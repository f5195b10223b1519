"""FastAPI as its documentation shows it: a plain function, a pydantic model of the body."""

import os

import lightgbm as lgb
import numpy as np
from fastapi import FastAPI
from pydantic import BaseModel

model = lgb.Booster(model_file=os.environ["MODEL"])
app = FastAPI()


class Rows(BaseModel):
    """The body of a request."""

    instances: list[list[float]]


@app.get("/ping")
def ping() -> dict[str, str]:
    """Say that the model is there."""
    return {}


@app.post("/invocations")
def invocations(rows: Rows) -> dict[str, list[float]]:
    """Predict."""
    return {"predictions": model.predict(np.array(rows.instances), num_threads=1).tolist()}
