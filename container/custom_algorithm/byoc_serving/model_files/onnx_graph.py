"""ONNX files, run by ONNX Runtime: a table for one input, columns or named arrays for several."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from byoc_serving.errors import BadRequestError, ModelFileError
from byoc_serving.formats.plain import is_frame
from byoc_serving.model_files.columns import floats_in
from byoc_serving.model_files.predictor import Predictor
from byoc_serving.settings import Settings

_VERSION = b"\x08"  # the tag of ir_version, which comes first in a ModelProto (onnx.proto)
_PROVIDERS = ("CUDAExecutionProvider", "CPUExecutionProvider")
_TYPES = {
    "tensor(string)": np.dtype(object),
    "tensor(float)": np.dtype(np.float32),
    "tensor(double)": np.dtype(np.float64),
    "tensor(bool)": np.dtype(np.bool_),
} | {
    f"tensor({name})": np.dtype(name)
    for name in ("float16", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
}


@dataclass(frozen=True)
class _Input:
    """One input of a graph.

    Attributes:
        dtype: of its elements, object for strings.
        shape: a number for each axis, or a name or None where it may have any length.
    """

    name: str
    dtype: np.dtype[Any]
    shape: Sequence[int | str | None]

    def array(self, data: Any) -> NDArray[Any]:  # noqa: ANN401
        """Return data as this input takes them (BadRequestError: it cannot take them)."""
        try:
            array = np.asarray(data)
        except ValueError:
            raise BadRequestError(f"The lists for {self.name} differ in length. Send even ones.") from None
        if array.ndim == 2 and len(self.shape) == 1 and 1 in array.shape:
            array = array.reshape(-1)
        elif array.ndim == 1 and len(self.shape) == 2:
            array = array.reshape(-1, 1)
        lengths = zip(self.shape, array.shape, strict=False)
        if len(self.shape) != array.ndim or any(isinstance(n, int) and n != sent for n, sent in lengths):
            wanted = ", ".join(str(n) if isinstance(n, int) else "any" for n in self.shape)
            raise BadRequestError(
                f"The model's input {self.name} has the shape [{wanted}], and {list(array.shape)} was sent."
            )
        return self._cast(array)

    def _cast(self, array: NDArray[Any]) -> NDArray[Any]:
        if self.dtype == object:
            return array.astype(str).astype(object)
        numbers = array if array.dtype.kind in "fiub" else floats_in(array)
        with np.errstate(invalid="ignore", over="ignore"):
            cast = numbers.astype(self.dtype, copy=False)
        if self.dtype.kind != "f" and not np.array_equal(cast, numbers):
            raise BadRequestError(f"The model's input {self.name} takes {self.dtype}, and no other numbers.")
        return cast


def is_model(path: Path, head: bytes) -> bool:
    """Whether a file is named and begins as ONNX files do: the first bytes alone would not tell."""
    return path.suffix.lower() == ".onnx" and head.startswith(_VERSION)


def load(path: Path, settings: Settings) -> Any:  # noqa: ANN401 - an onnxruntime.InferenceSession
    """Return a session with the worker's share of threads, on a GPU where ONNX Runtime has one."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = settings.library_threads or 0
    available = onnxruntime.get_available_providers()
    chosen = [provider for provider in _PROVIDERS if provider in available]
    return onnxruntime.InferenceSession(str(path), options, providers=chosen)


def predictor(session: Any) -> Predictor:  # noqa: ANN401
    """Return what runs a session: the one output, or a dict of them by their names.

    Raises:
        ModelFileError: an input is no tensor of numbers or strings.
    """
    inputs = [_Input(given.name, _dtype(given), given.shape) for given in session.get_inputs()]
    outputs = [output.name for output in session.get_outputs()]
    feed = _of_one(inputs[0]) if len(inputs) == 1 else _of_several(inputs)

    def predict(data: Any) -> Any:  # noqa: ANN401
        results = session.run(outputs, feed(data))
        return results[0] if len(results) == 1 else dict(zip(outputs, results, strict=True))

    last = inputs[0].shape[-1] if len(inputs) == 1 and len(inputs[0].shape) == 2 else None
    return Predictor(predict, last if isinstance(last, int) else None)


def _of_one(only: _Input) -> Callable[[Any], dict[str, NDArray[Any]]]:
    def feed(data: Any) -> dict[str, NDArray[Any]]:  # noqa: ANN401
        named = isinstance(data, Mapping) and data.keys() == {only.name}
        return {only.name: only.array(data[only.name] if named else data)}

    return feed


def _of_several(inputs: Sequence[_Input]) -> Callable[[Any], dict[str, NDArray[Any]]]:
    names = [given.name for given in inputs]

    def feed(data: Any) -> dict[str, NDArray[Any]]:  # noqa: ANN401
        if isinstance(data, np.ndarray) and data.ndim == 2 and data.shape[1] == len(names):
            data = dict(zip(names, data.T, strict=True))
        sent = list(data) if isinstance(data, Mapping) or is_frame(data) else []
        if set(sent) != set(names):
            raise BadRequestError(
                f"The model takes {', '.join(names)}. Send an NPZ with arrays of these names, an object or "
                "records with these keys, or rows of as many columns.",
                expected=names,
            )
        return {given.name: given.array(data[given.name]) for given in inputs}

    return feed


def _dtype(given: Any) -> np.dtype[Any]:  # noqa: ANN401 - an onnxruntime.NodeArg
    if given.type not in _TYPES:
        raise ModelFileError(
            f"The model's input {given.name} is a {given.type}, which no request can hold. Write "
            "predict_fn(data, model) in apps/inference.py."
        )
    return _TYPES[given.type]
