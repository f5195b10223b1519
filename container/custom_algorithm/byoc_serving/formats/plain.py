"""The plain JSON value of a prediction."""

import datetime
import math
from typing import Any

import numpy as np

_WANTED = "arrays, lists, dicts, strings or numbers"


class UnencodableError(TypeError):
    """A prediction has no form in the media type asked for: the algorithm's fault, not the caller's."""

    def __init__(self, prediction: object, media_type: str, wanted: str) -> None:
        super().__init__(
            f"The prediction is or holds a {type(prediction).__qualname__}, which has no {media_type} form. "
            f"Return {wanted} from predict_fn, or define output_fn."
        )


def plain(value: Any) -> Any:  # noqa: ANN401 - predictions and JSON values have every type
    """Return a value made of dict, list, str, int, float, bool and None.

    Arrays and Series become lists, DataFrames lists of records, dates ISO 8601 strings; NaN, NaT and the
    infinities become None, for JSON has no word for them; floats wider than 64 bits are rounded to 64.

    Raises:
        UnencodableError: there is something else in it, such as a generator.
    """
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else None
        case bytes() | bytearray() | memoryview():
            raise UnencodableError(value, "JSON", _WANTED)
        case dict():
            return {_key(key): plain(item) for key, item in value.items()}
        case list() | tuple():
            return [plain(item) for item in value]
        case np.ndarray() | np.generic():
            return _plain_array(np.asanyarray(value))
    return _plain_foreign(value)


def _plain_array(array: np.ndarray[Any, Any]) -> Any:  # noqa: ANN401
    match array.dtype.kind:
        case "b" | "i" | "u":
            return array.tolist()
        case "f":
            float64 = array.astype(np.float64) if array.itemsize > 8 else array
            return float64.tolist() if np.isfinite(float64).all() else plain(float64.tolist())
        case "M":
            dates = np.asarray(np.datetime_as_string(array)).astype(object)
            dates[np.isnat(array)] = None
            return dates.tolist()
        case "c" | "m":  # complex numbers, and times between dates
            raise UnencodableError(array.dtype.type(0), "JSON", _WANTED)
    return plain(array.tolist())


def _plain_foreign(value: Any) -> Any:  # noqa: ANN401
    """Convert what other libraries make, known by what it can do, so that none of them is imported."""
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat() if value == value else None  # noqa: PLR0124 - NaT differs from itself
    if is_frame(value):
        return plain(value.to_dict(orient="records"))
    if hasattr(value, "tolist"):  # pandas' Series and Index, torch's tensors
        return plain(value.tolist())
    if type(value).__name__ == "NAType":  # pandas.NA
        return None
    raise UnencodableError(value, "JSON", _WANTED)


def is_frame(value: object) -> bool:
    """Whether a value is a pandas DataFrame, told without pandas."""
    return hasattr(value, "columns") and hasattr(value, "to_dict") and hasattr(value, "to_numpy")


def _key(key: Any) -> str | int | float | bool | None:  # noqa: ANN401
    scalar = plain(key)
    if isinstance(scalar, list | dict):
        raise UnencodableError(key, "JSON", "dicts whose keys are strings or numbers")
    return scalar  # type: ignore[no-any-return]  # a scalar by now
