"""Reads hyperparameters.json and inputdataconfig.json, in every form in which the SDKs send their values.

All values arrive as strings. SDK v2's Estimator writes Python's str(), its framework estimators and SDK v3
JSON, and plain strings come with quotes or without (sagemaker-contract, CreateTrainingJob.HyperParameters).
"""

import ast
import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from byoc_serving.errors import SettingsError

_PYTHON_WORDS = {"True": True, "False": False, "None": None}


def read_hyperparameters(config_dir: Path) -> dict[str, Any]:
    """Return hyperparameters.json as it stands, {} where there is none (a container run by hand).

    Raises:
        SettingsError: the file is no JSON object.
    """
    return _read_object(config_dir / "hyperparameters.json")


def read_channel_configs(config_dir: Path) -> dict[str, Any]:
    """Return inputdataconfig.json, by channel, {} where there is none (errors as read_hyperparameters)."""
    return _read_object(config_dir / "inputdataconfig.json")


def decoded(value: object) -> Any:  # noqa: ANN401 - whatever the user meant
    """Return what a hyperparameter's string means: JSON, a Python literal, or the string itself."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        pass
    if value in _PYTHON_WORDS:
        return _PYTHON_WORDS[value]
    if value[:1] not in {"'", '"', "[", "{", "("}:
        return value
    try:
        with warnings.catch_warnings(action="ignore"):  # the parser's remarks on what is no literal after all
            return ast.literal_eval(value)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return value


def string_of(hyperparameters: Mapping[str, object], name: str) -> str | None:
    """Return a hyperparameter that is a string, None where it is absent, empty or none.

    Quotes are taken off, and nothing else is decoded: a digest such as 12e4 is no number.

    Raises:
        SettingsError: the file gives a number or another JSON value, whose digits may already be lost.
    """
    value = hyperparameters.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise SettingsError(f"Hyperparameter {name} is {value!r}. Give it as a string, in quotes.")
    text = value.strip()
    if len(text) >= 2 and text[0] == text[-1] and text[0] in "\"'":
        meaning = decoded(text)
        text = meaning.strip() if isinstance(meaning, str) else text
    return None if text in {"", "None", "null"} else text


def _read_object(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (ValueError, RecursionError) as error:
        raise SettingsError(
            f"{path} is not JSON: {error}. SageMaker writes this file; fix or remove it."
        ) from error
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}.") from error
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise SettingsError(f"{path} holds {type(document).__name__}, not an object of names and values.")
    return document
