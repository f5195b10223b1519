"""Serves as AWS's scikit bring-your-own example does: Flask, with pandas on the way in and out."""

import io
import os

import flask
import lightgbm as lgb
import pandas as pd

app = flask.Flask(__name__)


class ScoringService:
    """Keeps the model once it is loaded."""

    model: lgb.Booster | None = None

    @classmethod
    def get_model(cls) -> lgb.Booster:
        """Load the model on first use."""
        if cls.model is None:
            cls.model = lgb.Booster(model_file=os.environ["MODEL"])
        return cls.model

    @classmethod
    def predict(cls, table: pd.DataFrame) -> object:
        """Predict."""
        return cls.get_model().predict(table)


@app.route("/ping", methods=["GET"])
def ping() -> flask.Response:
    """Say whether the model can be loaded."""
    status = 200 if ScoringService.get_model() else 404
    return flask.Response(response="\n", status=status, mimetype="application/json")


@app.route("/invocations", methods=["POST"])
def transformation() -> flask.Response:
    """Predict the rows of a CSV."""
    if flask.request.content_type != "text/csv":
        return flask.Response(response="This predictor only supports CSV data", status=415)
    table = pd.read_csv(io.StringIO(flask.request.data.decode("utf-8")), header=None)
    out = io.StringIO()
    pd.DataFrame({"results": ScoringService.predict(table)}).to_csv(out, header=False, index=False)
    return flask.Response(response=out.getvalue(), status=200, mimetype="text/csv")
