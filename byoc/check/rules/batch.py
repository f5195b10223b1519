"""Rules on batch transform: what it asks first, and the bodies that it sends."""

import json
from dataclasses import replace

from byoc.check import sources
from byoc.check.bodies import sized
from byoc.check.exchange import BrokenCallError
from byoc.check.lab import Lab
from byoc.check.number import counted
from byoc.check.question import Sample
from byoc.check.records import are_lines, lines_of, repeated, results_in
from byoc.check.rule import Part, Rule
from byoc.check.runs import ServeSetup
from byoc.check.verdict import CannotTestError, Verdict, failed, passed, warned
from byoc.check.waiting import NotServingError

_ENVIRONMENT = {
    "SAGEMAKER_BATCH": "true",
    "SAGEMAKER_MAX_PAYLOAD_IN_MB": "100",
    "SAGEMAKER_BATCH_STRATEGY": "MULTI_RECORD",
    "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": "1",
}
_STRATEGIES = ("MULTI_RECORD", "SINGLE_RECORD")
_MOST_MB = 100
_MOST_BYTES = _MOST_MB * 1024 * 1024
_USUAL_BYTES = 6 * 1024 * 1024  # MaxPayloadInMB, if the job does not say otherwise
_BATCH_CALL_S = 600.0  # InvocationsTimeoutInSeconds, if the job does not say otherwise
_PIECE = 64 * 1024
_ALONE = "Take BatchStrategy=SingleRecord, or have it answer one line for each line that it gets."
_COPIES = 3
_OK, _NOT_FOUND, _TOO_LARGE, _SERVER_ERROR = 200, 404, 413, 500


def execution_parameters(lab: Lab) -> Verdict:
    """What it answers to GET /execution-parameters."""
    try:
        answer = lab.server().ask("GET", "/execution-parameters")
    except BrokenCallError as error:
        return failed(f"{error}.")
    if answer.status == _NOT_FOUND:
        return passed("It has none (404): SageMaker takes its defaults, 1 call of 6 MB at a time.")
    if answer.status != _OK:
        tell = warned if answer.blames_the_caller else failed  # as 405: it has none, and says it in its way
        return tell(f"GET /execution-parameters was answered {answer}, and not with 200 or 404.")
    wrong = _wrong_with(answer.body)
    return (
        failed(f"GET /execution-parameters was answered {answer}: {wrong}") if wrong else passed(f"{answer}")
    )


def chunked_request(lab: Lab) -> Verdict:
    """Whether a body in chunks means the same as one with its length before it."""
    sample, server = lab.sample, lab.server()
    plain = lab.good_answer()
    # Twice the same, or it answers something else each time.
    is_steady = server.invoke(sample).body == plain.body
    pieces = [sample.body[start : start + _PIECE] for start in range(0, len(sample.body), _PIECE)]
    try:
        chunked = server.ask("POST", "/invocations", iter(pieces), sample.headers)
    except BrokenCallError as error:
        return failed(
            f"The sample request in chunks: {error}; with its length it is answered {plain.status}."
        )
    if not chunked.is_good:
        return failed(f"The sample request is answered {chunked} in chunks, {plain} with its length.")
    if is_steady and chunked.body != plain.body:
        return failed(f"The sample request is answered {chunked} in chunks, {plain} with its length.")
    return passed(f"In chunks the sample request is answered {chunked.status}, as with its length.")


def batch_environment(lab: Lab) -> Verdict:
    """Whether it starts and answers with the variables of a transform job."""
    sample = lab.sample
    lab.good_answer()
    try:
        with lab.serving(ServeSetup(environment=_ENVIRONMENT)) as server:
            answer = server.invoke(sample, timeout_s=_BATCH_CALL_S)
    except NotServingError as error:
        return failed(f"With {_variables()}: {error}")
    except BrokenCallError as error:
        return failed(f"With {_variables()} the sample request is not answered: {error}.")
    if not answer.is_good:
        return failed(f"With {_variables()} the sample request is answered {answer}.")
    return passed(f"With SAGEMAKER_BATCH=true and its like the sample request is answered {answer.status}.")


def batch_100mb(lab: Lab) -> Verdict:
    """What it says to the largest body that a transform job can send."""
    sample = lab.sample
    if not sample.body:
        raise CannotTestError("The sample request is empty, so nothing large can be made of it.")
    lab.good_answer()
    large = sized(sample, _MOST_BYTES)
    size = f"{len(large) / 1024 / 1024:.0f} MiB"
    with lab.serving(ServeSetup(environment=_ENVIRONMENT)) as server:
        try:
            answer = server.invoke(replace(sample, body=large), timeout_s=_BATCH_CALL_S)
        except BrokenCallError as error:
            return failed(f"A body of {size}: {error}{server.tail()}")
    if answer.status == _TOO_LARGE or answer.status >= _SERVER_ERROR:
        return failed(f"A body of {size} is answered {answer}.")
    return passed(f"A body of {size} is answered {answer.status} after {answer.seconds:.1f} s.")


def batch_records(lab: Lab) -> Verdict:
    """Whether each line that goes in comes out as one."""
    sample, server = lab.sample, lab.server()
    if not are_lines(sample):
        raise CannotTestError(
            f"{sample.content_type} is not split by lines: give a request of text/csv or JSON lines."
        )
    lab.good_answer()
    told, fits = [], []
    for copies in (1, _COPIES) if _COPIES * len(sample.body) <= _USUAL_BYTES else (1,):
        request = repeated(sample, copies)
        try:
            answer = server.invoke(request, timeout_s=_BATCH_CALL_S)
        except BrokenCallError as error:
            return warned(f"{_lines(request)}: {error}.", _ALONE)
        records, results = len(lines_of(request.body)), results_in(answer.body)
        if not answer.is_good:
            return warned(f"{_lines(request)}: the answer is {answer}.", _ALONE)
        given = records if records in results else " or ".join(map(str, sorted(results)))
        told.append(f"{_lines(request)} in give {given} out")
        fits.append(records in results)
    seen = f"{', and '.join(told)}."
    return passed(seen) if all(fits) else warned(seen)


def _lines(request: Sample) -> str:
    return counted(len(lines_of(request.body)), "line")


def _wrong_with(body: bytes) -> str:
    """Return what is wrong with execution parameters, or ""."""
    try:
        given = json.loads(body)
    except (ValueError, RecursionError):
        return "that is no JSON, or is nested too deep."
    if not isinstance(given, dict):
        return "that is no JSON object."
    at_once = given.get("MaxConcurrentTransforms", 1)
    megabytes = given.get("MaxPayloadInMB", 6)
    strategy = given.get("BatchStrategy", _STRATEGIES[0])
    if type(at_once) is not int or at_once < 1:
        wrong = f"MaxConcurrentTransforms is {at_once!r}, and has to be a whole number of at least 1."
    elif type(megabytes) is not int or not 0 <= megabytes <= _MOST_MB:
        wrong = f"MaxPayloadInMB is {megabytes!r}, and has to be a whole number from 0 to {_MOST_MB}."
    elif strategy not in _STRATEGIES:
        wrong = f"BatchStrategy is {strategy!r}, and has to be {' or '.join(_STRATEGIES)}."
    elif at_once * megabytes > _MOST_MB:
        wrong = f"MaxConcurrentTransforms times MaxPayloadInMB is {at_once * megabytes}, over {_MOST_MB}."
    else:
        wrong = ""
    return wrong


def _variables() -> str:
    return " ".join(f"{name}={value}" for name, value in _ENVIRONMENT.items())


RULES = (
    Rule(
        id="execution-parameters",
        part=Part.BATCH,
        says="answers GET /execution-parameters with valid JSON, or with 404",
        why="A transform job asks first, and takes from there what its own request does not say.",
        so="transform jobs fail, or take other values than meant",
        mend='Answer {"MaxConcurrentTransforms": 1, "BatchStrategy": "MULTI_RECORD", "MaxPayloadInMB": 6}, '
        "with the number of your workers first, or 404.",
        source=sources.BATCH,
        test=execution_parameters,
        by_url=True,
    ),
    Rule(
        id="chunked-request",
        part=Part.BATCH,
        says="understands a request body that comes in chunks",
        why="With MaxPayloadInMB=0 a transform job sends bodies chunked, without Content-Length.",
        so="transform jobs with MaxPayloadInMB=0 fail or send nothing",
        mend="Read the body to its end, not for Content-Length bytes; in Flask take gunicorn, whose "
        "wsgi.input_terminated says that it ends.",
        source=sources.TRANSFORM_JOB,
        test=chunked_request,
        by_url=True,
    ),
    Rule(
        id="batch-environment",
        part=Part.BATCH,
        says="serves with the variables of a transform job",
        why="A transform job sets SAGEMAKER_BATCH, SAGEMAKER_MAX_PAYLOAD_IN_MB, SAGEMAKER_BATCH_STRATEGY and "
        "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS.",
        so="transform jobs fail",
        mend="Its last lines say which of them it does not understand; `true` may also be `True`.",
        source=sources.BATCH,
        test=batch_environment,
    ),
    Rule(
        id="batch-100mb",
        part=Part.BATCH,
        says="takes a body of 100 MB",
        why="MaxPayloadInMB may be up to 100; a body that is refused fails its whole file.",
        so="transform jobs with a large MaxPayloadInMB fail",
        mend="Raise the limit of the server and of the proxy before it: client_max_body_size 100m in nginx.",
        source=sources.TRANSFORM_JOB,
        test=batch_100mb,
        slow=True,
    ),
    Rule(
        id="batch-records",
        part=Part.BATCH,
        says="answers one line for each line of the request",
        why="JoinSource puts each result beside its input: there has to be one for each.",
        so="results cannot be joined with their inputs",
        mend="Answer exactly one line for each line, in their order, with `ERROR` for one that is wrong.",
        source=sources.TRANSFORM_JOB,
        test=batch_records,
        by_url=True,
    ),
)
