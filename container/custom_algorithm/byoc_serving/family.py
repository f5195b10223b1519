"""A parent model and its children, served as one: the parent chooses, children answer, in the rows' order."""

import re
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from byoc_serving.algorithm import (
    Algorithm,
    Context,
    UserFunction,
    asking_itself,
    call_warmup,
    is_meant_for_the_process,
    load_model,
)
from byoc_serving.copies import Copies, Wanted, size_of
from byoc_serving.errors import AlgorithmError, ChildError, ModelVersionError, RequestError
from byoc_serving.routing import (
    FILE,
    Child,
    Routes,
    Rows,
    check_length,
    count_of,
    has_rows,
    merged,
    places_of,
    read_routes,
    rows_at,
)


def size_without_children(model_dir: Path) -> int:
    """Return about how many bytes a model takes once loaded; the children of a parent load later."""
    routes = read_routes(model_dir)
    if routes is None:
        return size_of(model_dir)
    return size_of(model_dir / routes.parent) if routes.parent else 0


class Family:
    """The models of one version, whose children are loaded when a row first goes to them.

    Args:
        algorithm: whose model_fn loads each of them, whose model_warmup_fn warms it up, and whose predict_fn
            asks it; by its own library where apps/ has none of these.
        routes: the table.
        model_dir: of the version.
        copies: the models of this process; a child that is not used may leave it again.

    Raises:
        ServingError: the parent cannot be loaded, or the table does not go with the algorithm or the files.

    Attributes:
        n_features: how many columns the parent's tables have, where it chooses and its library says so.
    """

    def __init__(self, algorithm: Algorithm, routes: Routes, model_dir: Path, copies: Copies) -> None:
        _check(algorithm, routes, model_dir)
        self._algorithm = algorithm
        self._routes = routes
        self._model_dir = model_dir
        self._copies = copies
        self._key = object()  # and not the family itself, which children in memory would keep there
        self._parent: Any = None
        self._choose = algorithm.route_fn
        self.n_features: int | None = None
        if routes.parent:
            self._parent = _warm_model(algorithm, model_dir / routes.parent)
        if routes.parent and not algorithm.route_fn:
            choosing, self.n_features = asking_itself(algorithm, self._parent)
            self._choose = choosing.predict_fn

    @property
    def algorithm(self) -> Algorithm:
        """The algorithm that asks the whole family where it would ask one model; each of them is warm."""
        return replace(
            self._algorithm,
            predict_fn=lambda data, _family, context: self.predict(data, context),
            model_warmup_fn=None,
        )

    def predict(self, data: Any, context: Context | None) -> Any:  # noqa: ANN401 - of the user's choice
        """Return what the children make of their rows, in the order of the rows.

        Raises:
            RequestError: data have no rows, a row has no child, or a child refuses one.
            ChildError: a child cannot be loaded, or failed.
        """
        if self._choose is None:
            return self._asked(self._routes.children[0], data, None, context, None)
        rows = count_of(data)
        choice = self._choose(data, self._parent, self._context(context, self._routes.parent))
        places = places_of(choice, self._routes, rows)
        chosen = [self._routes.children[place] for place in dict.fromkeys(places.tolist())]
        if len(chosen) == 1:
            return self._asked(chosen[0], data, None, context, rows)
        parts = []
        for child in chosen:
            at = np.flatnonzero(places == self._routes.places[child.name])
            parts.append((at, self._asked(child, rows_at(data, at), at, context, len(at))))
        return merged(parts, rows)

    def _asked(
        self,
        child: Child,
        rows: Any,  # noqa: ANN401
        at: Rows | None,
        context: Context | None,
        many: int | None,
    ) -> Any:  # noqa: ANN401
        """Return a child's prediction for rows of the request.

        Args:
            at: which they are, None for all of them.
            many: how many they are, None where the data need have none.
        """
        try:
            with self._copies.held(self._wanted(child)) as (model, predict_fn):
                prediction = predict_fn(rows, model, self._context(context, child.path))
            if many is not None and (at is not None or has_rows(prediction)):
                check_length(prediction, many)
        except RequestError as error:
            if at is not None:
                _place_among_all(error, at)
            raise
        except BaseException as error:
            if is_meant_for_the_process(error):
                raise
            raise ChildError(f"The child model {child.name!r} failed, for {_named(at)}") from error
        return prediction

    def _wanted(self, child: Child) -> Wanted[tuple[Any, UserFunction]]:
        folder = self._model_dir / child.path
        return Wanted(
            key=(self._key, child.name),
            label=f"{self._model_dir.name}/{child.name}",
            load=partial(_loaded_child, self._algorithm, folder),
            size=partial(size_of, folder),
            group=str(self._model_dir),
            is_part=True,
        )

    def _context(self, context: Context | None, path: str | None) -> Context | None:
        return replace(context, model_dir=str(self._model_dir / path)) if context and path else context


def _warm_model(algorithm: Algorithm, folder: Path) -> Any:  # noqa: ANN401 - as load_model
    model = load_model(algorithm, folder)
    call_warmup(algorithm, model, folder)
    return model


def _loaded_child(algorithm: Algorithm, folder: Path) -> tuple[Any, UserFunction]:
    """Return a child, and what predicts with it."""
    model = _warm_model(algorithm, folder)
    return model, asking_itself(algorithm, model)[0].predict_fn


def _check(algorithm: Algorithm, routes: Routes, model_dir: Path) -> None:
    if algorithm.transform_fn:
        raise AlgorithmError(
            f"{algorithm.name} has transform_fn, and the model version {FILE}. Rows can go to several "
            "models only between input_fn and output_fn: define predict_fn instead."
        )
    if len(routes.children) > 1 and not (routes.parent or algorithm.route_fn):
        raise AlgorithmError(
            f"{FILE} has {len(routes.children)} children and no parent, and {algorithm.name} has no "
            "route_fn(data, model). Give one of them, to choose the child of each row."
        )
    for path in (*(child.path for child in routes.children), *([routes.parent] if routes.parent else [])):
        if not (model_dir / path).is_dir():
            raise ModelVersionError(f"Bad routes: {FILE} names the folder {path!r}, which {model_dir} lacks.")


def _named(at: Rows | None, most: int = 5) -> str:
    """Name the rows that a child got, counted from 1."""
    if at is None:
        return "all rows"
    return f"row {', '.join(str(row + 1) for row in at[:most])}{', ...' if len(at) > most else ''}"


def _place_among_all(error: RequestError, at: Rows) -> None:
    """Make the row that a child complains of, counted from 1 among its own, that of the request."""
    row = error.details.get("row")
    if isinstance(row, int) and 1 <= row <= len(at):
        place = error.details["row"] = int(at[row - 1]) + 1
        error.args = (re.sub(rf"^Row {row}\b", f"Row {place}", str(error)),)
