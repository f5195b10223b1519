"""Binds the functions of apps/ once and says what is missing; the only importer of apps/."""

import importlib
import inspect
import logging
import signal
import sys
import sysconfig
import threading
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

from byoc_serving.errors import AlgorithmError, ModelFileError
from byoc_serving.metrics.own import OwnMetrics
from byoc_serving.metrics.table import Table
from byoc_serving.model_files.kinds import predictor_of
from byoc_serving.model_files.load import load_model_file
from byoc_serving.model_files.predictor import Predictor
from byoc_serving.remedies import listing, remedy_of
from byoc_serving.settings import Settings
from byoc_serving.stopping import StoppedError

log = logging.getLogger("algorithm")

UserFunction = Callable[..., Any]

# What AWS's inference toolkit passes to each function, before the optional context
# (aws/sagemaker-inference-toolkit, default_handler_service and transformer). route_fn is ours.
_ARGUMENTS: Mapping[str, tuple[str, ...]] = {
    "model_fn": ("model_dir",),
    "model_warmup_fn": ("model",),
    "input_fn": ("body", "content_type"),
    "predict_fn": ("data", "model"),
    "route_fn": ("data", "model"),
    "output_fn": ("prediction", "accept"),
    "transform_fn": ("model", "data", "content_type", "accept"),
}


@dataclass(frozen=True)
class Context:
    """What a function of apps/ may ask about the call it serves; passed where it takes a `context`.

    `system_properties` and `get_request_header` answer as the context of AWS's own containers does.
    """

    model_dir: str
    metrics: OwnMetrics = field(default_factory=lambda: OwnMetrics(Table.private()))
    request_id: str = ""
    inference_id: str | None = None
    custom_attributes: str | None = None
    content_type: str | None = None
    accept: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    response_headers: dict[str, str] = field(default_factory=dict)

    @property
    def system_properties(self) -> Mapping[str, str | None]:
        """The properties that scripts for AWS's containers read."""
        return {"model_dir": self.model_dir, "gpu_id": None}

    def get_request_header(self, _index: int, key: str) -> str | None:
        """Return a header of the request; its index in a batch is always 0."""
        return self.headers.get(key.lower())


@dataclass(frozen=True)
class Algorithm:
    """The functions of one inference script; every one takes the context as its last argument."""

    source: Path
    model_fn: UserFunction
    predict_fn: UserFunction
    input_fn: UserFunction | None
    output_fn: UserFunction | None
    transform_fn: UserFunction | None
    model_warmup_fn: UserFunction | None
    needs_model_predict: bool
    wants_context: frozenset[str] = frozenset()  # which of them asked for it
    route_fn: UserFunction | None = None

    @cached_property
    def needs_context(self) -> bool:
        """Whether one of its functions may look at the context of a call."""
        return bool(self.wants_context or self.output_fn or self.transform_fn)

    @property
    def name(self) -> str:
        """The script as its author knows it, such as apps/inference.py."""
        return _name(self.source)


def bind(settings: Settings) -> Algorithm:
    """Import apps/'s inference script, where it has one, and return its functions.

    Where it has no model_fn, the one model file is loaded by its own library.

    Raises:
        AlgorithmError: a script that was asked for by name is missing, it cannot be imported, or has a
            function with other parameters than SageMaker's convention gives it.
    """
    source = settings.apps_dir / settings.program
    is_optional = settings.program == Settings.program
    module = None if is_optional and not source.exists() else _import_script(source)
    name = _name(source)
    wants_context: set[str] = set()
    found = {fn: _bind_function(module, fn, name, wants_context) for fn in _ARGUMENTS}
    beside = [fn for fn in ("input_fn", "predict_fn", "output_fn") if found[fn]]
    if found["transform_fn"] and beside:
        raise AlgorithmError(
            f"{name} has transform_fn and {', '.join(beside)}. Keep one or the other: "
            "transform_fn does the work of all three."
        )
    return Algorithm(
        source=source,
        model_fn=found["model_fn"] or _by_its_library(settings, name, module is not None),
        predict_fn=found["predict_fn"] or _predict_by_the_model,
        input_fn=found["input_fn"],
        output_fn=found["output_fn"],
        transform_fn=found["transform_fn"],
        model_warmup_fn=found["model_warmup_fn"],
        needs_model_predict=not (found["predict_fn"] or found["transform_fn"]),
        wants_context=frozenset(wants_context),
        route_fn=found["route_fn"],
    )


def load_model(algorithm: Algorithm, model_dir: Path) -> Any:  # noqa: ANN401 - a model is whatever model_fn returns
    """Return what model_fn makes of the model directory.

    Raises:
        AlgorithmError: model_fn failed (the message lists the files that it found there).
    """
    try:
        return algorithm.model_fn(str(model_dir), Context(model_dir=str(model_dir)))
    except ModelFileError:
        raise
    except BaseException as error:
        if is_meant_for_the_process(error):
            raise
        raise AlgorithmError(
            f"{algorithm.name}: model_fn failed: {_describe(error, algorithm.source.parent)}. "
            f"{model_dir} holds {listing(model_dir)}."
        ) from error


def own_predictor(algorithm: Algorithm, model: Any) -> Predictor | None:  # noqa: ANN401
    """Return what predicts with the model where apps/ has no predict_fn and needs one.

    Raises:
        AlgorithmError: the model has no predict of its own.
    """
    if not algorithm.needs_model_predict:
        return None
    found = predictor_of(model)
    if found is None:
        raise AlgorithmError(
            f"{algorithm.name} has no predict_fn(data, model), and the {type(model).__name__} that "
            "model_fn returned has no predict method to call instead. Define predict_fn."
        )
    log.info(f"{algorithm.name} has no predict_fn: calling the model's own predict")
    return found


def asking_itself(algorithm: Algorithm, model: Any) -> tuple[Algorithm, int | None]:  # noqa: ANN401
    """Return the algorithm as it asks a model, by the model's own library where apps/ does not say how.

    With it comes how many columns the model's tables have, where its library says so.

    Raises:
        AlgorithmError: the model has no predict of its own, and needs one.
    """
    predictor = own_predictor(algorithm, model)
    if predictor is None:
        return algorithm, None
    predict = predictor.predict
    return replace(algorithm, predict_fn=lambda data, _model, _context: predict(data)), predictor.n_features


def call_warmup(algorithm: Algorithm, model: Any, model_dir: Path) -> None:  # noqa: ANN401 - as load_model
    """Call model_warmup_fn, where there is one.

    Raises:
        AlgorithmError: it failed.
    """
    if algorithm.model_warmup_fn is None:
        return
    try:
        algorithm.model_warmup_fn(model, Context(model_dir=str(model_dir)))
    except BaseException as error:
        if is_meant_for_the_process(error):
            raise
        why = _describe(error, algorithm.source.parent)
        raise AlgorithmError(f"{algorithm.name}: model_warmup_fn failed: {why}.") from error


def training_function(settings: Settings) -> UserFunction:
    """Return `train` of apps/main.py.

    Raises:
        AlgorithmError: there is no apps/main.py, it cannot be imported, or it has no `train`.
    """
    source = settings.apps_dir / "main.py"
    function = getattr(_import_script(source), "train", None)
    if not callable(function):
        raise AlgorithmError(
            f"{_name(source)} has no train(model_dir, channels, hyperparameters). Define it, or "
            "leave out mode=train to pull a model version instead."
        )
    return function  # type: ignore[no-any-return]  # getattr knows no better


def is_meant_for_the_process(error: BaseException) -> bool:
    """Whether a signal raised this on top of the user's code, not the user's code, which may raise anything.

    Signal handlers run in the main thread only. Python's own turns ^C into a KeyboardInterrupt, `train`'s
    raises StoppedError. gunicorn's leave by sys.exit: then a frame of gunicorn lies below ours in the
    traceback. Any other SystemExit, CancelledError or the like is a failure of the code that raised it.
    """
    if threading.current_thread() is not threading.main_thread():
        return False
    match error:
        case StoppedError():
            return True
        case KeyboardInterrupt():
            return signal.getsignal(signal.SIGINT) is signal.default_int_handler
        case SystemExit():
            frames = (frame for frame, _ in traceback.walk_tb(error.__traceback__))
            return any(str(frame.f_globals.get("__name__")).startswith("gunicorn.") for frame in frames)
    return False


def _name(source: Path) -> str:
    """Return a script's name as its author knows it, such as apps/inference.py."""
    return f"{source.parent.name}/{source.name}"


def _predict_by_the_model(data: Any, model: Any, _context: Context) -> Any:  # noqa: ANN401
    return model.predict(data)


def _by_its_library(settings: Settings, script: str, there: bool) -> UserFunction:
    """Return the model_fn of an apps/ that has none; its modules can be imported all the same."""
    why = f"{script} has no model_fn(model_dir)" if there else f"{script} is missing"

    def model_fn(model_dir: str, _context: Context) -> Any:  # noqa: ANN401
        if settings.apps_dir.is_dir():
            _put_first_on_path(settings.apps_dir)  # a pickle names the modules that it needs
        return load_model_file(Path(model_dir), settings, why)

    return model_fn


def _import_script(source: Path) -> ModuleType:
    """Import a script under its own bare name, as `python script.py` and its pickles know it."""
    name = _name(source)
    if not source.is_file():
        raise AlgorithmError(f"{name} is missing. Put it into {source.parent}.")
    _put_first_on_path(source.parent)
    try:
        return importlib.import_module(source.stem)
    except BaseException as error:
        if is_meant_for_the_process(error):
            raise
        raise AlgorithmError(f"{name} cannot be imported: {_describe(error, source.parent)}") from error


def _put_first_on_path(apps_dir: Path) -> None:
    """Make an import in apps/ find apps/'s own modules first, whatever has been imported before.

    A module of the image's program that shares its name with one of the user's (predictor.py is a likely
    one) leaves sys.modules; who imported it before keeps it.
    """
    path = str(apps_dir)
    if sys.path[0] != path:
        sys.path[:] = [path, *(entry for entry in sys.path if entry != path)]
        importlib.invalidate_caches()
    own = {entry.stem for entry in apps_dir.iterdir() if entry.suffix == ".py" or entry.is_dir()}
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in own and _stands_in_the_way(module, apps_dir):
            del sys.modules[name]


def _stands_in_the_way(module: ModuleType, apps_dir: Path) -> bool:
    file = getattr(module, "__file__", None)
    if file is None:
        return False
    libraries = [Path(sysconfig.get_path(key)) for key in ("stdlib", "purelib", "platlib")]
    places = (Path(file), Path(file).resolve())
    return not any(
        place.is_relative_to(root) for place in places for root in (apps_dir.resolve(), *libraries)
    )


def _bind_function(
    module: ModuleType | None, name: str, script: str, wants_context: set[str]
) -> UserFunction | None:
    """Return the script's function so that it takes the context last, or None where it has none.

    Its name is added to `wants_context` where it asks for the context itself.
    """
    function = getattr(module, name, None)
    if function is None:
        return None
    arguments = _ARGUMENTS[name]
    if not callable(function):
        raise AlgorithmError(f"{script}: {name} is a {type(function).__name__}. Make it a function.")
    try:
        signature = inspect.signature(function)
    except ValueError:  # a builtin that does not tell: it cannot know of our context
        return lambda *given: function(*given[:-1])
    if _takes_context(signature, len(arguments)):
        wants_context.add(name)
        return function  # type: ignore[no-any-return]  # callable() knows no better
    try:
        signature.bind(*arguments)
    except TypeError as error:
        wanted = ", ".join(arguments)
        raise AlgorithmError(
            f"{script}: {name}{signature} cannot be called with ({wanted}): {error}. "
            f"Write it as {name}({wanted}) or {name}({wanted}, context)."
        ) from error
    return lambda *given: function(*given[:-1])


def _takes_context(signature: inspect.Signature, before: int) -> bool:
    """Whether one more positional argument would land on a parameter meant for the context.

    A parameter with a default and another name, as in predict_fn(data, model, threshold=0.5), is not.
    """
    positional = [
        p for p in signature.parameters.values() if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]
    if len(positional) != before + 1:
        return False
    extra = positional[before]
    return extra.default is extra.empty or "context" in extra.name or extra.name == "ctx"


def _describe(error: BaseException, apps_dir: Path) -> str:
    """Say what an exception of the user's code was and the last line of apps/ that it passed."""
    where = ""
    for frame in traceback.extract_tb(error.__traceback__):
        if Path(frame.filename).is_relative_to(apps_dir):
            where = f" ({apps_dir.name}/{Path(frame.filename).relative_to(apps_dir)}, line {frame.lineno})"
    if isinstance(error, SyntaxError) and error.filename:
        where = ""  # its own text names file and line
    text = " ".join(f"{type(error).__name__}: {error}".split()).removesuffix(":")
    return f"{text}{where}{remedy_of(error)}"
