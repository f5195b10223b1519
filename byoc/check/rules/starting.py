"""Rules on how `serve` starts: until the first 200 on /ping."""

from contextlib import suppress

from byoc.check import sources
from byoc.check.cause import refuses, takes_no
from byoc.check.exchange import Answer, BrokenCallError
from byoc.check.lab import Lab
from byoc.check.question import Address
from byoc.check.rule import Part, Rule
from byoc.check.runs import ServeSetup
from byoc.check.stuck import (
    Stuck,
    is_opened_unasked,
    model_of,
    spoilt,
    told,
    watch,
    without_any,
    without_largest,
)
from byoc.check.verdict import CannotTestError, Outcome, Verdict, failed, passed, untested, warned
from byoc.check.waiting import NotServingError
from byoc.runtime.readiness import PING_TIMEOUT_S

_IS_READ = "model-is-read"
_SLOW_START_S = 180.0  # serverless endpoints give no more
_OK = 200
_NO_MODEL = (
    "It was started with an empty /opt/ml/model: if it needs one, give it by --model DIR, or give train what "
    "it takes to make one (--channel, --hyperparameter). Otherwise its last lines say why."
)


def serve_starts(lab: Lab) -> Verdict:
    """The shared server, or why there is none."""
    try:
        server = lab.server()
    except NotServingError as error:
        return failed(f"{error}", _mend(lab, error))
    seen = f"/ping answered 200 after {server.ready_s:.1f} s."
    return warned(seen) if server.ready_s > _SLOW_START_S else passed(seen)


def _mend(lab: Lab, error: NotServingError) -> str:
    """Return how to mend it, "" where what it wrote says more than is known here."""
    if error.ended and lab.facts.entrypoint and refuses(error.log, "serve"):
        return takes_no("serve")
    return _NO_MODEL if _has_no_model(lab) else ""


def _has_no_model(lab: Lab) -> bool:
    with suppress(CannotTestError):
        return not isinstance(lab.question.target, Address) and lab.model is None
    return False


def model_read_only(lab: Lab) -> Verdict:
    """Whether it starts only where /opt/ml/model can be written to."""
    if lab.ease.writable_model:
        return failed("It becomes ready only where it can write into /opt/ml/model.")
    return passed("It became ready with a read-only /opt/ml/model.")


def small_shm(lab: Lab) -> Verdict:
    """Whether it starts only where /dev/shm is large."""
    if not lab.confines:
        raise CannotTestError("A small /dev/shm takes root, bwrap or Docker.")
    if lab.ease.large_shm:
        return failed("It becomes ready only with more than 64 MiB of /dev/shm.")
    return passed("It became ready with 64 MiB of /dev/shm.")


def ping_while_loading(lab: Lab) -> Verdict:
    """What /ping says while the model cannot be read, and what calls come to right after its first 200."""
    lab.server()
    if lab.first is not None and lab.first.are_early:
        return failed(str(lab.first))
    seen = lab.once(without_largest)
    if not seen.is_opened and not seen.hung:  # not needed, or looked at before it is opened
        seen = lab.once(without_any)
    if seen.is_ignored and lab.once(spoilt) is not None:
        return untested(f"It reads no file of /opt/ml/model: see {_IS_READ}.", _IS_READ)
    if seen.hung:
        return _hung(lab, seen)
    if seen.is_ready and not seen.is_ignored:
        return _early(seen)
    if not seen.is_opened:
        return _unopened(seen)
    return passed(f"While {seen.what} could not be read: {seen.told}")


def model_is_read(lab: Lab) -> Verdict:
    """Whether it answers calls though its model's files cannot be read: first the largest, then all."""
    model_of(lab)
    lab.good_answer()
    for attempt in (without_largest, without_any):
        seen = lab.once(attempt)
        if seen.is_opened:
            return passed("It opens files of its model.")
    if not seen.is_ignored:
        return _unopened(seen)
    answer = lab.once(spoilt)
    if answer is None:  # who takes a pipe for no file may have another model instead
        return passed("It does not answer the sample request where files of its model hold garbage.")
    if answer.body != lab.good_answer().body:
        return _unopened(seen)
    return warned(
        "It answers /ping and the sample request while no file of /opt/ml/model can be read, and opens none: "
        "the model that it was given is ignored."
    )


def ping_without_model(lab: Lab) -> Verdict:
    """What /ping says where /opt/ml/model is empty."""
    model_of(lab)
    sample = lab.sample
    with lab.starting(ServeSetup(), None) as server:
        pings = watch(lab, server)
        if not any(ping.status == _OK for ping in pings):
            return passed(f"With an empty /opt/ml/model: {told(server)}")
        try:
            answer = server.invoke(sample)
        except BrokenCallError as error:
            return failed(f"With an empty /opt/ml/model /ping answered 200, and a call not: {error}.")
        if answer.is_good:
            return _fallback(lab, answer)
        return failed(f"With an empty /opt/ml/model /ping answered 200, and /invocations {answer}.")


def _fallback(lab: Lab, answer: Answer) -> Verdict:
    """Tell a server that has another model where there is none from one that has another in any case."""
    usual = lab.good_answer().body
    if model_is_read(lab).outcome is Outcome.WARN:
        return passed(f"With an empty /opt/ml/model it answers {answer.status}; see {_IS_READ}.")
    how = "as with its model" if answer.body == usual else f"otherwise than with its model: {answer}"
    return warned(
        "With an empty /opt/ml/model /ping answered 200, for something else stands in for the model, such as "
        f"a file of the image. The sample request is answered {how}.",
        "End with the reason where there is no model, and have none in the image; or have it used only where "
        "a variable of the endpoint says so.",
    )


def _hung(lab: Lab, seen: Stuck) -> Verdict:
    """Tell a server that loads its model for a /ping from one that answers nobody until it has loaded it."""
    said = (
        f"While {seen.what} could not be read, /ping was accepted and not answered within "
        f"{PING_TIMEOUT_S:g} s"
    )
    if lab.once(is_opened_unasked):
        return warned(
            f"{said}: the model is loaded before anything is answered. SageMaker waits for 8 minutes, and "
            "nobody is told why."
        )
    return failed(f"{said}: the model is loaded as /ping is answered.")


def _unopened(seen: Stuck) -> Verdict:
    """What a server did that has opened nothing: it may have looked for an ordinary file, and found none."""
    did = f"a call {seen.came}." if seen.is_ready else seen.told
    return untested(
        f"While {seen.what} could not be read, as a pipe stood for it: {did} But no process was seen to open "
        "it, so how it is read is not known."
    )


def _early(seen: Stuck) -> Verdict:
    """Tell a server that says 200 before it has its model from one that does not need that file."""
    if seen.answer is None:
        return warned(
            f"/ping answered 200 while {seen.what} could not be read. With --request more could be told."
        )
    if isinstance(seen.answer, Answer) and seen.answer.is_good:
        return passed(f"It answers while {seen.what} cannot be read.")
    return failed(f"/ping answered 200 while {seen.what} could not be read, and a call {seen.came}.")


RULES = (
    Rule(
        id="serve-starts",
        part=Part.SERVE,
        says="answers GET /ping with 200 within 8 minutes of its start",
        why="After 8 minutes SageMaker gives up: `did not pass the ping health check`.",
        so="no endpoint becomes InService",
        mend="Its last lines say why. /ping has to answer 200 as soon as calls can be answered.",
        source=sources.INFERENCE,
        test=serve_starts,
        by_url=True,
    ),
    Rule(
        id="model-read-only",
        part=Part.SERVE,
        says="does not write into /opt/ml/model",
        why="SageMaker mounts /opt/ml/model read-only: [Errno 30] Read-only file system.",
        so="no endpoint becomes InService",
        mend="Write to /tmp instead; have caches there too (HF_HOME, NUMBA_CACHE_DIR, MPLCONFIGDIR).",
        source=sources.INFERENCE,
        test=model_read_only,
    ),
    Rule(
        id="shm-64mb",
        part=Part.SERVE,
        says="does with 64 MiB of /dev/shm",
        why="SageMaker's hosts give a container Docker's 64 MiB, and that cannot be changed.",
        so="no endpoint becomes InService",
        mend="Keep large things in /tmp or in ordinary memory; give data loaders no worker processes.",
        source="https://github.com/aws/sagemaker-python-sdk/issues/2801",
        test=small_shm,
    ),
    Rule(
        id="ping-while-loading",
        part=Part.SERVE,
        says="answers /ping within 2 s, and not with 200, while its model is loaded",
        why="SageMaker waits 2 s for an answer. Where the model is loaded as /ping is answered, one that "
        "takes longer fails its health checks; where 200 comes too early, the first calls fail.",
        so="a model that takes longer than 2 s to load fails its health checks, or its first calls",
        mend="Load the model in the background as the server starts; answer /ping with 503 until then.",
        source=sources.INFERENCE,
        test=ping_while_loading,
    ),
    Rule(
        id=_IS_READ,
        part=Part.SERVE,
        says="reads the model that it is given in /opt/ml/model",
        why="A model that comes from elsewhere, such as from the image, stays what it was, whatever is "
        "trained and deployed. It also hides from this check how it is loaded.",
        so="a new model changes nothing",
        mend="Load the model from /opt/ml/model as the server starts, and have none in the image.",
        source=sources.INFERENCE,
        test=model_is_read,
    ),
    Rule(
        id="ping-without-model",
        part=Part.SERVE,
        says="does not answer /ping with 200 where it has no model",
        why="An endpoint whose every call fails becomes InService, and replaces one that worked. Where a "
        "model of the image stands in for one that is missing, nobody is told.",
        so="a deployment without its model becomes InService, and every call fails",
        mend="Answer /ping with 200 only when the model is loaded; end with the reason where there is none.",
        source=sources.INFERENCE,
        test=ping_without_model,
    ),
)
