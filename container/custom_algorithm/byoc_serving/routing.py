"""A table of child models as data: who is in it, which child each row goes to, and answers in row order."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from byoc_serving.errors import BadRequestError, ModelVersionError, UnprocessableError
from byoc_serving.formats.plain import is_frame
from byoc_serving.versions.manifest import readable
from byoc_serving.versions.paths import check_path

FILE = "routes.json"
FORMAT = "byoc-routes/1"

Rows = NDArray[np.intp]


@dataclass(frozen=True)
class Child:
    """A model among several: its name, and its folder below that of the model version."""

    name: str
    path: str


@dataclass(frozen=True)
class Routes:
    """The models of one version (docs/contracts.md has the file).

    Attributes:
        parent: the folder of the model that chooses, None where there is none.
        children: in the order of the file, by which numbers name them.
    """

    parent: str | None
    children: tuple[Child, ...]

    @cached_property
    def places(self) -> Mapping[object, int]:
        """Where a child is in the table, by its name and by its number."""
        places: dict[object, int] = {child.name: place for place, child in enumerate(self.children)}
        return places | {place: place for place in range(len(self.children))}


def read_routes(model_dir: Path) -> Routes | None:
    """Return the table in a model directory, None where there is none (ModelVersionError: it is unusable)."""
    path = model_dir / FILE
    with readable(path):
        try:
            content = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
    return parse_routes(content)


def parse_routes(content: bytes) -> Routes:
    """Return the table that routes.json states.

    Raises:
        ModelVersionError: it is not of this format, names an unusable path or a child twice, or has several
            children and nobody who chooses.
    """
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        _refuse(f"is not JSON ({error})")
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        _refuse(f"is not of the format {FORMAT!r}")
    parent, listed = document.get("parent"), document.get("children")
    if not isinstance(listed, list) or not listed:
        _refuse("has no children. List at least one")
    if not isinstance(parent, str | None):
        _refuse("has a parent that is not a folder's path, or null")
    children = tuple(_child(entry) for entry in listed)
    if len({child.name for child in children}) < len(children):
        _refuse("names a child twice")
    for path in (*(child.path for child in children), *([parent] if parent else [])):
        if path != ".":
            check_path(path)
    return Routes(parent, children)


def places_of(choice: Any, routes: Routes, rows: int) -> Rows:  # noqa: ANN401 - of the user's code
    """Return the child of each row, by its place in the table.

    Args:
        choice: for each row a child's name, or its number from 0; an array, Series or list.
        routes: the table.
        rows: how many there are.

    Raises:
        UnprocessableError: a row's child is not in the table; the row is named, from 1.
        ValueError: there is not one choice for each row.
    """
    values = choice.ravel().tolist() if isinstance(choice, np.ndarray) else list(choice)
    if len(values) != rows:
        raise ValueError(f"{len(values)} children were chosen for {rows} rows. Choose one for each row.")
    places = routes.places
    found = [places.get(value, -1) for value in values]
    if -1 in found:
        row = found.index(-1)
        raise UnprocessableError(
            f"Row {row + 1} goes to the child {values[row]!r}, which {FILE} does not have.",
            row=row + 1,
            child=values[row],
        )
    return np.array(found, dtype=np.intp)


def count_of(data: Any) -> int:  # noqa: ANN401 - as predict_fn gets it
    """Return the number of rows (BadRequestError: the data have none that could be told apart)."""
    is_rows = is_frame(data) or isinstance(data, list | tuple) or (isinstance(data, np.ndarray) and data.ndim)
    if not is_rows:
        kind = type(data).__name__
        raise BadRequestError(f"The data are no rows that could go to different models, but one {kind}.")
    return len(data)


def rows_at(data: Any, at: Rows) -> Any:  # noqa: ANN401 - as predict_fn gets it
    """Return some rows of data, of the same type."""
    if is_frame(data):
        return data.iloc[at]
    return data[at] if isinstance(data, np.ndarray) else [data[place] for place in at]


def merged(parts: Sequence[tuple[Rows, Any]], rows: int) -> Any:  # noqa: ANN401 - predictions have every type
    """Return the predictions of all children in the order of the rows.

    Arrays become one array where their rows have one shape and one kind, DataFrames one DataFrame; everything
    else becomes a list. Each prediction must have as many rows as it was made for (`check_length`).
    """
    predictions = [prediction for _, prediction in parts]
    order = np.concatenate([at for at, _ in parts])
    if all(is_frame(prediction) for prediction in predictions):
        import pandas as pd

        return pd.concat(predictions, ignore_index=True).iloc[np.argsort(order)]
    if _are_alike(predictions):
        together = np.concatenate(predictions)
        result = np.empty_like(together)
        result[order] = together
        return result
    listed: list[Any] = [None] * rows
    for place, value in zip(order, chain.from_iterable(map(_listed, predictions)), strict=True):
        listed[place] = value
    return listed


def has_rows(prediction: Any) -> bool:  # noqa: ANN401
    """Whether a prediction could be one for each of several rows."""
    is_long = hasattr(prediction, "__len__") and getattr(prediction, "shape", None) != ()
    return is_long and not isinstance(prediction, str | bytes | Mapping)


def check_length(prediction: Any, rows: int) -> None:  # noqa: ANN401
    """Raise ValueError unless a prediction has as many rows."""
    if not has_rows(prediction):
        raise ValueError(f"It answers {rows} rows with a {type(prediction).__name__}, not with one each.")
    if len(prediction) != rows:
        raise ValueError(f"It answers {rows} rows with {len(prediction)} predictions.")


def _are_alike(predictions: Sequence[Any]) -> bool:
    if not all(isinstance(prediction, np.ndarray) for prediction in predictions):
        return False
    shapes = {prediction.shape[1:] for prediction in predictions}
    kinds = {"number" if p.dtype.kind in "fiu" else p.dtype.kind for p in predictions}
    return len(shapes) == len(kinds) == 1


def _listed(prediction: Any) -> Sequence[Any]:  # noqa: ANN401
    if is_frame(prediction):
        return prediction.to_dict("records")  # type: ignore[no-any-return]  # of pandas
    return prediction.tolist() if hasattr(prediction, "tolist") else list(prediction)


def _child(entry: object) -> Child:
    told = entry if isinstance(entry, dict) else {}
    name, path = told.get("name"), told.get("path")
    if not (isinstance(name, str) and name and isinstance(path, str)):
        _refuse('has a child that is not {"name": "...", "path": "..."}')
    return Child(name, path)


def _refuse(reason: str) -> NoReturn:
    raise ModelVersionError(f"Bad routes: {FILE} {reason}.")
