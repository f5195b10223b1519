"""A predictor as the well-known sample arranges it: the model is loaded by whoever needs it first."""

import io
import pickle
from pathlib import Path

import flask
import numpy

app = flask.Flask(__name__)
loaded = {}


def model():
    if "model" not in loaded:
        loaded["model"] = pickle.loads(Path("/opt/ml/model/model.pkl").read_bytes())
    return loaded["model"]


@app.route("/ping", methods=["GET"])
def ping():
    status = 200 if model() is not None else 404
    return flask.Response(response="\n", status=status, mimetype="application/json")


@app.route("/invocations", methods=["POST"])
def invocations():
    if flask.request.content_type != "text/csv":
        return flask.Response(response="only CSV is understood", status=415, mimetype="text/plain")
    rows = numpy.loadtxt(io.StringIO(flask.request.data.decode()), delimiter=",", ndmin=2)
    answer = "".join(f"{row @ model()}\n" for row in rows)
    return flask.Response(response=answer, status=200, mimetype="text/csv")
