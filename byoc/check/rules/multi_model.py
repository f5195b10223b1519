"""Rules on the API of a container that serves multi-model endpoints."""

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from byoc.check import sources
from byoc.check.exchange import Answer, BrokenCallError
from byoc.check.lab import Lab
from byoc.check.load import at_once
from byoc.check.number import counted, were
from byoc.check.rule import Part, Rule
from byoc.check.runs import ServeSetup, lay_out_named_model
from byoc.check.serving import Server
from byoc.check.verdict import CannotTestError, Verdict, failed, passed, warned
from byoc.check.waiting import NotServingError

_ENVIRONMENT = {"SAGEMAKER_MULTI_MODEL": "true"}
_STARTS, _LOAD = "multi-model-starts", "multi-model-load"
_NO_LOAD = f"No model can be loaded: see {_LOAD}."
_NAME = "byoc-check"
_UNKNOWN = f"{_NAME}-unknown"
_GARBAGE_NAME, _GOOD_NAME = f"{_NAME}-garbage", f"{_NAME}-good"
_LOAD_S = 360.0  # what SageMaker waits for a model to be loaded
_MANY = 20
_MANY_S = 60.0  # after which no further one is loaded
_AT_ONCE = 4
_GARBAGE = b"\x00\xffno model\n" * 100
_JSON = {"Content-Type": "application/json"}
_OK, _NOT_FOUND, _CONFLICT, _FULL = 200, 404, 409, 507


@dataclass(frozen=True)
class Models:
    """The API of one server, by what it does.

    Attributes:
        loaded: which models it has answered 200 for, and which have not been unloaded since.
    """

    server: Server
    loaded: set[str] = field(default_factory=set)

    def lay_out(self, name: str, folder: Path) -> None:
        """Put a model where SageMaker would, as the container runs."""
        lay_out_named_model(folder, self.server, name)

    def load(self, name: str) -> Answer:
        """POST /models."""
        asked = {"model_name": name, "url": f"/opt/ml/models/{name}/model"}
        answer = self.server.ask("POST", "/models", json.dumps(asked).encode(), _JSON, _LOAD_S)
        if answer.status == _OK:
            self.loaded.add(name)
        return answer

    def listed(self) -> Answer:
        """GET /models."""
        return self.server.ask("GET", "/models")

    def described(self, name: str) -> Answer:
        """GET /models/NAME."""
        return self.server.ask("GET", f"/models/{name}")

    def unload(self, name: str) -> Answer:
        """DELETE /models/NAME."""
        self.loaded.discard(name)
        return self.server.ask("DELETE", f"/models/{name}")

    def invoke(self, lab: Lab, name: str) -> Answer:
        """POST /models/NAME/invoke with the sample request."""
        sample = lab.sample
        headers = {**sample.headers, "X-Amzn-SageMaker-Target-Model": f"{name}.tar.gz"}
        return self.server.ask("POST", f"/models/{name}/invoke", sample.body, headers)


class Shared:
    """The server that these rules share: started when the first one asks, again when it has died."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._models: Models | None = None
        self._never: NotServingError | None = None

    def models(self) -> Models:
        """Return its API.

        Raises:
            NotServingError: it does not become ready.
        """
        if self._never is not None:
            raise self._never
        if self._models is None or not self._models.server.is_alive():
            try:
                self._models = Models(self._lab.keep(ServeSetup(environment=_ENVIRONMENT)))
            except NotServingError as error:
                self._never = error
                raise
        return self._models


def starts(lab: Lab) -> Verdict:
    """Whether it becomes ready with no model at all."""
    shared = _shared(lab)
    try:
        server = shared.models().server
    except NotServingError as error:
        return failed(f"With SAGEMAKER_MULTI_MODEL=true and no model: {error}")
    return passed(f"Without a model /ping answered 200 after {server.ready_s:.1f} s.")


def load(lab: Lab) -> Verdict:
    """Loads a model, and the same once more."""
    first, again = lab.once(_load_twice)
    if isinstance(first, BrokenCallError):
        return failed(f"{first}.")
    if again is None:
        return failed(f"POST /models is answered {first}.")
    if again.status != _CONFLICT:
        return failed(f"POST /models for a model that is loaded is answered {again}, not 409.")
    return passed("POST /models is answered 200, and 409 once the model is loaded.")


def listing(lab: Lab) -> Verdict:
    """Asks for the models, for one, and for one that there is not."""
    models = _loaded(lab)
    everybody, one, unknown = models.listed(), models.described(_NAME), models.described(_UNKNOWN)
    if everybody.status != _OK or not _names(everybody, _NAME):
        return failed(f"With a model loaded, GET /models is answered {everybody}.")
    if one.status != _OK:
        return failed(f"GET /models/NAME of a model that is loaded is answered {one}.")
    if unknown.status != _NOT_FOUND:
        return failed(f"GET /models/NAME of a model that is not loaded is answered {unknown}, not 404.")
    return passed("GET /models and /models/NAME have the model, and 404 for one that is not loaded.")


def invoke(lab: Lab) -> Verdict:
    """Calls a model, and one that is not loaded."""
    _ = lab.sample
    models = _loaded(lab)
    answer, unknown = models.invoke(lab, _NAME), models.invoke(lab, _UNKNOWN)
    if not answer.is_good:
        return failed(f"POST /models/NAME/invoke with the sample request is answered {answer}.")
    if unknown.status != _NOT_FOUND:
        return failed(f"A call to a model that is not loaded is answered {unknown}, not 404.")
    return passed(f"POST /models/NAME/invoke is answered {answer.status}, and 404 without that model.")


def unload(lab: Lab) -> Verdict:
    """Unloads a model, asks for it, and loads it once more."""
    models = _loaded(lab)
    first, again, after = models.unload(_NAME), models.unload(_NAME), models.described(_NAME)
    anew = models.load(_NAME)
    if first.status != _OK:
        return failed(f"DELETE /models/NAME is answered {first}.")
    if again.status != _NOT_FOUND:
        return failed(
            f"DELETE /models/NAME of a model that is not loaded any more is answered {again}, not 404."
        )
    if after.status == _OK:
        return failed(f"After DELETE /models/NAME, GET /models/NAME is answered {after}.")
    if anew.status != _OK:
        return failed(f"After DELETE /models/NAME, POST /models for it is answered {anew}.")
    return passed("DELETE /models/NAME is answered 200, then 404, and the model can be loaded again.")


def bad(lab: Lab) -> Verdict:
    """Loads a model whose files hold garbage, and then a good one."""
    models = _loading(lab)
    models.lay_out(_GARBAGE_NAME, _spoilt(lab))
    models.lay_out(_GOOD_NAME, _model(lab))
    try:
        answer = models.load(_GARBAGE_NAME)
    except BrokenCallError as error:
        return failed(f"A model that is garbage: {error}{models.server.tail()}")
    if not models.server.is_alive():
        return failed(f"After a model that is garbage it does not answer /ping{models.server.tail()}")
    if (good := models.load(_GOOD_NAME)).status != _OK:
        return failed(f"After a model that is garbage, POST /models for a good one is answered {good}.")
    if answer.is_good:
        return _taken(lab, models)
    return passed(f"POST /models for a model that is garbage is answered {answer.status}.")


def many(lab: Lab) -> Verdict:
    """Loads many models, and one from several callers at once."""
    models = _loading(lab)
    names = [f"{_NAME}-{number}" for number in range(_MANY + 1)]
    for name in names:
        models.lay_out(name, _model(lab))
    loads = [answer.status for answer in at_once(lambda: models.load(names[0]), _AT_ONCE)]
    if _OK not in loads:
        raise CannotTestError(_NO_LOAD, _LOAD)
    give_up = time.monotonic() + _MANY_S
    answers = [models.load(name) for name in names[1:] if time.monotonic() < give_up]
    is_alive = models.server.is_alive()
    taken = sum(answer.status == _OK for answer in answers)
    odd = [answer for answer in answers if answer.status not in (_OK, _FULL)]
    if odd:
        return failed(f"After {counted(taken, 'model')}, one more is answered {odd[0]}, not 507.")
    if not is_alive:
        return failed(f"With {counted(taken, 'model')} loaded it does not answer /ping any more.")
    if loads.count(_OK) != 1:
        answered = ", ".join(map(str, sorted(loads)))
        return warned(
            f"{_AT_ONCE} calls at once to load one model are answered {answered}: more than one 200."
        )
    full = len(answers) - taken
    return passed(
        f"{counted(taken, 'model')} {were(taken)} loaded, {full} answered 507; "
        f"and one, wanted {_AT_ONCE} times at once, once."
    )


def _shared(lab: Lab) -> Shared:
    """Return the server that these rules share (NotServingError: one has been waited for in vain)."""
    if lab.never is not None and not lab.never.ended:
        raise lab.never
    return lab.once(Shared)


def _models(lab: Lab) -> Models:
    """Return the shared server's API (CannotTestError: there is no server)."""
    shared = _shared(lab)
    try:
        return shared.models()
    except NotServingError as error:
        raise CannotTestError(f"It does not start without a model: see {_STARTS}.", _STARTS) from error


def _model(lab: Lab) -> Path:
    if lab.model is None:
        raise CannotTestError("Give a model that it loads: --model DIR, or a train that makes one.")
    return lab.model


def _loading(lab: Lab) -> Models:
    """Return the shared server's API, where models can be loaded (CannotTestError: they cannot)."""
    if lab.once(_load_twice)[1] is None:
        raise CannotTestError(_NO_LOAD, _LOAD)
    return _models(lab)


def _loaded(lab: Lab) -> Models:
    """Return the same with one model loaded."""
    models = _loading(lab)
    if _NAME not in models.loaded:
        models.lay_out(_NAME, _model(lab))
        answer = models.load(_NAME)
        if answer.status != _OK:
            raise CannotTestError(f"No model can be loaded: POST /models is answered {answer}.")
    return models


def _load_twice(lab: Lab) -> tuple[Answer | BrokenCallError, Answer | None]:
    """Load a model, and the same once more where that went well."""
    models = _models(lab)
    models.lay_out(_NAME, _model(lab))
    try:
        first = models.load(_NAME)
    except BrokenCallError as error:
        return error, None
    return first, models.load(_NAME) if first.status == _OK else None


def _spoilt(lab: Lab) -> Path:
    """Return a folder with the files of the lab's model, each full of garbage."""
    folder = lab.work / "spoilt"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for path in lab.model.rglob("*") if lab.model else ():
        if path.is_file():
            target = folder / path.relative_to(lab.model or path)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(_GARBAGE)
    return folder


def _taken(lab: Lab, models: Models) -> Verdict:
    """Judge a server that has loaded garbage: perhaps it needs none of those files."""
    answer = models.invoke(lab, _GARBAGE_NAME)
    if answer.is_good:
        return passed("It answers whatever the files of a model hold.")
    return warned(f"POST /models for a model that is garbage is answered 200, and a call to it {answer}.")


def _names(answer: Answer, name: str) -> bool:
    """Whether a list of models has one, as AWS spells it."""
    try:
        models = json.loads(answer.body)["models"]
        return any(model["modelName"] == name and "modelUrl" in model for model in models)
    except (ValueError, LookupError, TypeError, RecursionError):
        return False


def _heard(test: Callable[[Lab], Verdict]) -> Callable[[Lab], Verdict]:
    """Return a test for which a call that is not answered is the fault."""

    def heard(lab: Lab) -> Verdict:
        try:
            return test(lab)
        except BrokenCallError as error:
            return failed(f"{error}.")

    return heard


RULES = (
    Rule(
        id=_STARTS,
        part=Part.MULTI_MODEL,
        says="answers /ping with 200 before any model is loaded",
        why="SageMaker starts the container without a model, and loads each when it is first called.",
        so="no endpoint becomes InService",
        mend="With SAGEMAKER_MULTI_MODEL=true start without a model, and answer /ping with 200.",
        source=sources.MULTI_MODEL,
        test=starts,
    ),
    Rule(
        id=_LOAD,
        part=Part.MULTI_MODEL,
        says="answers POST /models with 200, and with 409 for a model that is loaded already",
        why="So SageMaker has a model loaded, from /opt/ml/models/NAME/model.",
        so="no model can be called",
        mend='Take {"model_name": "NAME", "url": "/opt/ml/models/NAME/model"}; answer when it is loaded.',
        source=sources.MULTI_MODEL,
        test=_heard(load),
    ),
    Rule(
        id="multi-model-list",
        part=Part.MULTI_MODEL,
        says="answers GET /models and GET /models/NAME",
        why="So SageMaker learns which models are loaded.",
        so="SageMaker does not know which models are loaded",
        mend='Answer {"models": [{"modelName": "NAME", "modelUrl": "..."}]}, for GET /models/NAME one of '
        "them, and 404 for a model that is not loaded.",
        source=sources.MULTI_MODEL,
        test=_heard(listing),
    ),
    Rule(
        id="multi-model-invoke",
        part=Part.MULTI_MODEL,
        says="answers POST /models/NAME/invoke, and with 404 for a model that is not loaded",
        why="InvokeEndpoint with TargetModel comes here, not to /invocations.",
        so="calls fail",
        mend="Answer as /invocations would, with that model; 404 has SageMaker load it first.",
        source=sources.MULTI_MODEL,
        test=_heard(invoke),
    ),
    Rule(
        id="multi-model-unload",
        part=Part.MULTI_MODEL,
        says="answers DELETE /models/NAME with 200, and with 404 for a model that is not loaded",
        why="SageMaker unloads models when memory runs short.",
        so="models are never unloaded, and memory runs out",
        mend="Forget the model, free its memory, and then answer 200.",
        source=sources.MULTI_MODEL,
        test=_heard(unload),
    ),
    Rule(
        id="multi-model-bad",
        part=Part.MULTI_MODEL,
        says="answers POST /models with an error for a model that cannot be loaded, and lives on",
        why="One bad upload must not take the other models of the endpoint with it.",
        so="one bad model breaks the others",
        mend="Load a model before 200 is answered; answer what fails with 400 or 500 and the reason.",
        source=sources.MULTI_MODEL,
        test=_heard(bad),
    ),
    Rule(
        id="multi-model-many",
        part=Part.MULTI_MODEL,
        says="loads many models, or answers 507; one that is wanted at once, once",
        why="507 has SageMaker unload another model and try again; any other error fails the call.",
        so="calls fail when memory runs short",
        mend="Answer 507 where memory or anything else does not suffice; load each name under a lock.",
        source=sources.MULTI_MODEL,
        test=_heard(many),
    ),
)
