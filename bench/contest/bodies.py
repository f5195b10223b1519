"""The bodies in which a table of numbers travels to each server, and how its answer is read."""

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Table = NDArray[np.float64]


@dataclass(frozen=True)
class Dialect:
    """How one kind of server is spoken to.

    Attributes:
        encode: makes a body of a table [rows, columns].
        read: makes predictions [rows] of the body of an answer.
        path: where it is posted.
    """

    content_type: str
    encode: Callable[[Table], bytes]
    read: Callable[[bytes], Table]
    path: str = "/invocations"


def instances(table: Table) -> bytes:
    """Return {"instances": [[...], ...]}, as TensorFlow Serving has it, and this project."""
    return json.dumps({"instances": table.tolist()}, separators=(",", ":")).encode()


def inputs(table: Table) -> bytes:
    """Return {"inputs": [[...], ...]}, one of the shapes of MLflow's scoring server."""
    return json.dumps({"inputs": table.tolist()}, separators=(",", ":")).encode()


def open_inference(table: Table) -> bytes:
    """Return a request of the Open Inference Protocol, version 2, with the numbers in one flat list."""
    tensor = {"name": "rows", "shape": list(table.shape), "datatype": "FP64", "data": table.ravel().tolist()}
    return json.dumps({"inputs": [tensor]}, separators=(",", ":")).encode()


def csv(table: Table) -> bytes:
    """Return lines of numbers with all their digits, without a header."""
    return "".join(",".join(map(repr, row)) + "\n" for row in table.tolist()).encode()


def npy(table: Table) -> bytes:
    """Return what numpy.save writes."""
    stream = io.BytesIO()
    np.save(stream, table)
    return stream.getvalue()


def parquet(table: Table) -> bytes:
    """Return a Parquet file with the columns f0, f1, ..."""
    import pyarrow as pa
    from pyarrow import parquet as pq

    names = [f"f{number}" for number in range(table.shape[1])]
    stream = io.BytesIO()
    pq.write_table(pa.table(dict(zip(names, table.T, strict=True))), stream)
    return stream.getvalue()


def read_json(answer: bytes) -> Table:
    """Return the numbers of an answer in JSON: a list, or an object with one under a name in use for it."""
    said: Any = json.loads(answer)
    while isinstance(said, dict):
        said = next(said[key] for key in ("predictions", "outputs", "data", "output") if key in said)
        if said and isinstance(said[0], dict):
            (said,) = said
    return np.asarray(said, dtype=float).ravel()


def read_csv(answer: bytes) -> Table:
    """Return the numbers of an answer with one in each line."""
    return np.array([float(line) for line in answer.decode().split()])


JSON = Dialect("application/json", instances, read_json)
CSV = Dialect("text/csv", csv, read_csv)
NPY = Dialect("application/x-npy", npy, read_json)
PARQUET = Dialect("application/x-parquet", parquet, read_json)
MLFLOW = Dialect("application/json", inputs, read_json)
V2 = Dialect("application/json", open_inference, read_json, "/v2/models/bench/infer")
PREDICT = Dialect("application/json", instances, read_json, "/predict")
