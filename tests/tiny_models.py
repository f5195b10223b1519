"""Tiny model files for the tests: those kept in tests/golden/models, and ONNX, made by hand."""

import shutil
from pathlib import Path

GOLDEN = Path(__file__).parent / "golden" / "models"

ROW = [0.5, -1.0, 2.0]

# What each library itself says of ROW. The models were trained on 60 random rows of 3 columns, to tell
# whether the first is above 0; model.onnx negates what it gets.
PREDICTED = {
    "model.txt": [0.58105923],
    "model.json": [0.7114985],
    "model.ubj": [0.7114985],
    "model.onnx": [[-0.5, 1.0, -2.0]],
    "model.skops": ["above"],
}

FLOAT, INT64, STRING, BOOL = 1, 7, 8, 9  # onnx.proto, TensorProto.DataType


def put(name, model_dir):
    """Copy a golden model into a folder, which is made; return its place there."""
    model_dir.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copy(GOLDEN / name, model_dir))


def onnx(inputs, outputs, nodes):
    """Return a ModelProto (onnx.proto).

    Args:
        inputs: name -> (type, shape); an axis of any length is None.
        outputs: likewise.
        nodes: (operator, inputs with spaces between, output), of the standard's version 13.
    """
    graph = b"".join(_field(1, _node(*node)) for node in nodes) + _field(2, b"tiny")
    graph += b"".join(_field(11, _value(name, *of)) for name, of in inputs.items())
    graph += b"".join(_field(12, _value(name, *of)) for name, of in outputs.items())
    return _field(1, 8) + _field(7, graph) + _field(8, _field(1, b"") + _field(2, 13))


def _node(operator, inputs, output):
    names = b"".join(_field(1, name.encode()) for name in inputs.split())
    return names + _field(2, output.encode()) + _field(4, operator.encode())


def _value(name, element, shape):
    axes = b"".join(_field(1, _field(2, b"n") if length is None else _field(1, length)) for length in shape)
    return _field(1, name.encode()) + _field(2, _field(1, _field(1, element) + _field(2, axes)))


def _field(number, value):
    """Return a protobuf field: a number as a varint, bytes with their length before them."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _varint(value):
    return bytes([value]) if value < 128 else bytes([value & 127 | 128]) + _varint(value >> 7)
