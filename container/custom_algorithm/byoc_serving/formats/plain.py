"""The plain JSON value of a prediction."""

import datetime
import math
from typing import Any

import numpy as np


class UnencodableError(TypeError):
    """A prediction has no form in the media type asked for: the algorithm's fault, not the caller's."""

    def __init__(self, prediction: object, media_type: str, wanted: str) -> None:
        super().__init__(
            f"The prediction is or holds a {type(prediction).__qualname__}, which has no {media_type} form. "
            f"Return {wanted} from predict_fn, or define output_fn."
        )


def plain(value: Any) -> Any:  # noqa: ANN401 - predictions and JSON values have every type
    """Return a value made of dict, list, str, int, float, bool and None.

    Arrays and Series become lists, DataFrames lists of records, dates ISO 8601 texts; NaN, NaT and the
    infinities become None, for JSON has no word for them.

    Raises:
        UnencodableError: there is something else in it, such as a generator.
    """
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {_key(key): plain(item) for key, item in value.items()}
        case list() | tuple():
            return [plain(item) for item in value]
        case np.ndarray():
            return _plain_array(value)
    return _plain_foreign(value)


def _plain_array(array: np.ndarray[Any, Any]) -> Any:  # noqa: ANN401
    if array.dtype.kind in "biu" or (array.dtype.kind == "f" and np.isfinite(array).all()):
        return array.tolist()
    return plain(array.tolist())


def _plain_foreign(value: Any) -> Any:  # noqa: ANN401
    """Convert what other libraries make, known by what it can do, so that none of them is imported."""
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat() if value == value else None  # noqa: PLR0124 - NaT differs from itself
    if is_frame(value):
        return plain(value.to_dict(orient="records"))
    if hasattr(value, "tolist"):  # numpy's scalars, pandas' Series and Index, torch's tensors
        return plain(value.tolist())
    if type(value).__name__ == "NAType":  # pandas.NA
        return None
    raise UnencodableError(value, "JSON", "arrays, lists, dicts, texts or numbers")


def is_frame(value: object) -> bool:
    """Whether a value is a pandas DataFrame, told without pandas."""
    return hasattr(value, "columns") and hasattr(value, "to_dict") and hasattr(value, "to_numpy")


def _key(key: Any) -> str | int | float | bool | None:  # noqa: ANN401
    scalar = plain(key)
    if isinstance(scalar, list | dict):
        raise UnencodableError(key, "JSON", "dicts whose keys are texts or numbers")
    return scalar  # type: ignore[no-any-return]  # a scalar by now
