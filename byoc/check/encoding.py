"""Hyperparameters as AWS's SDKs send them: all as text, which each makes in a way of its own."""

import ast
import json
from collections.abc import Callable, Mapping
from contextlib import suppress

ESTIMATOR = "SDK v2's Estimator"
TRAINER = "SDK v3's ModelTrainer"
FRAMEWORK = "SDK v2's framework estimators"

_Value = bool | None | str | list[object] | dict[object, object]


def others_of(given: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Return what each SDK sends for hyperparameters, by its name, where that is not what is given.

    What stands for a number is sent alike by all. Source: sagemaker 2.257.7 and 3.27.0, run.
    """
    found = {
        sdk: {name: _encoded(value, encode) for name, value in given.items()}
        for sdk, encode in _ENCODINGS.items()
    }
    return {sdk: encoded for sdk, encoded in found.items() if encoded != given}


def meant(text: str) -> _Value:
    """Return what a hyperparameter stands for, whoever wrote it: JSON, or a value as Python shows it."""
    for read in (json.loads, ast.literal_eval):
        with suppress(ValueError, SyntaxError, MemoryError, RecursionError):
            value = read(text)
            if value is None or isinstance(value, bool | str | list | dict):
                return value
    return text


def _encoded(text: str, encode: Callable[[_Value], str]) -> str:
    if _is_number(text):
        return text
    try:
        return encode(meant(text))
    except (TypeError, ValueError):  # no JSON can be made of it
        return text


def _is_number(text: str) -> bool:
    with suppress(ValueError):
        float(text)
        return True
    return False


def _json(value: _Value) -> str:
    return value if isinstance(value, str) else json.dumps(value)


_ENCODINGS: dict[str, Callable[[_Value], str]] = {ESTIMATOR: str, TRAINER: _json, FRAMEWORK: json.dumps}
