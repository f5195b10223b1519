"""Rules on how calls to /invocations are answered: what SageMaker and its clients send, and how."""

from collections.abc import Mapping

from byoc.check import sources
from byoc.check.bodies import is_json, is_lines
from byoc.check.exchange import CALL_S, Answer, BrokenCallError
from byoc.check.framing import FramingError, bytes_of_answer, is_old, length_told
from byoc.check.lab import Lab
from byoc.check.number import counted
from byoc.check.rule import Part, Rule
from byoc.check.serving import Server
from byoc.check.verdict import Verdict, capital, failed, passed, warned

_CALLS_ON_ONE_LINE = 3
_SCRAPE_S = 2.0
_MOST_ATTRIBUTES = 1024
_SENSE = (400, 422)  # what is answered to a header that cannot be understood
_ACCEPTS = (None, "*/*", "application/json")
# What InvokeEndpoint may pass on. Not Session-Id and Target-Model: a container may well refuse unknown ones.
_FROM_SAGEMAKER = {
    "X-Amzn-SageMaker-Custom-Attributes": "byoc-check",
    "X-Amzn-SageMaker-Enable-Explanations": "`false`",
    "X-Amzn-SageMaker-Forwarded-Api": "InvokeEndpoint",
    "X-Amzn-SageMaker-Inference-Component": "component",
    "X-Amzn-SageMaker-Inference-Id": "00000000-0000-0000-0000-000000000000",
    "X-Amzn-SageMaker-Prefix-Aware-Id": "prefix",
    "X-Amzn-SageMaker-Target-Container-Hostname": "container-1",
    "X-Amzn-SageMaker-Target-Variant": "AllTraffic",
    "X-Amzn-Trace-Id": "Root=1-67891233-abcdef012345678912345678",
}
_ODD = {f"X-Odd-{number}": "" if number % 5 == 0 else f'{number}; "a", b=c' for number in range(20)}
_LONG = {f"X-Long-{number}": "x" * 1792 for number in range(4)}  # 7 KiB together


def invocation_answers(lab: Lab) -> Verdict:
    """The first call."""
    try:
        answer = lab.first_answer()
    except BrokenCallError as error:
        return failed(f"{error}.")
    if not answer.is_good:
        return failed(f"The sample request is answered {answer}.")
    return passed(
        f"The sample is answered {answer.status} with {counted(len(answer.body), 'byte')} "
        f"in {answer.seconds:.2f} s."
    )


def unknown_headers(lab: Lab) -> Verdict:
    """Headers that no container has to know."""
    plain = lab.good_answer()
    seen = []
    for what, headers in (("SageMaker's own", _FROM_SAGEMAKER), ("20 odd", _ODD), ("7 KB of", _LONG)):
        if said := _otherwise(plain, lab, headers):
            seen.append(f"with {what} headers {said}")
    if seen:
        return failed(f"The sample is answered {plain.status}; {'; '.join(seen)}.")
    return passed("SageMaker's own headers, 20 odd ones and 7 KB of them change nothing.")


def content_type_parameters(lab: Lab) -> Verdict:
    """Other ways to write the same content type."""
    plain, sample = lab.good_answer(), lab.sample
    kind, semicolon, parameters = sample.content_type.partition(";")
    with_charset = sample.content_type
    if "charset" not in parameters.lower():
        with_charset = f"{sample.content_type}; charset=utf-8"
    if said := _otherwise(plain, lab, {"Content-Type": with_charset}):
        is_text = is_json(kind) or is_lines(kind)  # of anything else clients hardly name a charset
        tell = failed if is_text else warned
        return tell(f"{sample.content_type!r} is answered {plain.status}; with {with_charset!r} {said}.")
    shouted = f"{kind.upper()}{semicolon}{parameters}"
    if said := _otherwise(plain, lab, {"Content-Type": shouted}):
        return warned(f"{sample.content_type!r} is answered {plain.status}; with {shouted!r} {said}.")
    return passed(f"{with_charset!r} and {shouted!r} are answered {plain.status} too.")


def accept_types(lab: Lab) -> Verdict:
    """What clients say that they take."""
    plain, sample, server = lab.good_answer(), lab.sample, lab.server()
    seen = []
    for accept in dict.fromkeys((*_ACCEPTS, sample.content_type)):
        headers = {"Content-Type": sample.content_type} | ({} if accept is None else {"Accept": accept})
        words = "without Accept" if accept is None else f"with Accept: {accept}"
        try:
            answer = server.ask("POST", "/invocations", sample.body, headers)
        except BrokenCallError as error:
            return failed(f"The sample, {words}: {error}.")
        takes_anything = accept in (None, "*/*")
        if not (answer.is_good or (answer.blames_the_caller and not takes_anything)):
            is_choosy = answer.blames_the_caller and sample.accept is not None  # as the user knows
            tell = warned if is_choosy else failed
            return tell(f"{capital(words)} the sample is answered {answer}.")
        seen.append(f"{words} {answer.status}")
    return passed(f"The sample is answered {plain.status}; {', '.join(seen)}.")


def custom_attributes(lab: Lab) -> Verdict:
    """The longest custom attributes that there can be."""
    plain = lab.good_answer()
    visible = "".join(map(chr, range(0x21, 0x7F)))
    attributes = (visible * (_MOST_ATTRIBUTES // len(visible) + 1))[:_MOST_ATTRIBUTES]
    headers = {"X-Amzn-SageMaker-Custom-Attributes": attributes}
    try:
        answer = lab.server().invoke(lab.sample, headers)
    except BrokenCallError as error:
        return failed(f"With 1,024 characters of custom attributes: {error}.")
    if answer.status != plain.status:
        is_read = answer.status in _SENSE  # they may mean something to it, and these mean nothing
        return (warned if is_read else failed)(
            f"With 1,024 characters of custom attributes the sample is answered {answer}, "
            f"without {plain.status}."
        )
    returned = answer.headers.get("x-amzn-sagemaker-custom-attributes")
    if returned is None:
        return passed("1,024 characters of custom attributes change nothing; it returns none.")
    if len(returned) > _MOST_ATTRIBUTES or not all("!" <= char <= "~" for char in returned):
        return warned(
            f"It returns {counted(len(returned), 'character')} of custom attributes, not all visible ASCII, "
            f"or too many: {returned[:80]!r}."
        )
    return passed(f"1,024 characters are taken; it returns {len(returned):,}.")


def keep_alive(lab: Lab) -> Verdict:
    """Several calls on one connection."""
    plain, sample = lab.good_answer(), lab.sample
    with lab.server().line() as line:
        for number in range(1, _CALLS_ON_ONE_LINE + 1):
            try:
                answer = line.call("POST", "/invocations", sample.body, sample.headers)
            except BrokenCallError as error:
                return failed(f"Call {number} on one connection: {error}.")
            if answer.status != plain.status:
                return failed(f"Call {number} on one connection is answered {answer}.")
            if answer.closes and number < _CALLS_ON_ONE_LINE:
                return warned(f"It closes the connection after call {number}.")
    return passed(f"{_CALLS_ON_ONE_LINE} calls on one connection are answered {plain.status}.")


def response_framing(lab: Lab) -> Verdict:
    """Whether an answer ends where it says."""
    lab.good_answer()
    server = lab.server()
    try:
        raw = bytes_of_answer(server.dial, lab.sample, CALL_S, server.host)
    except OSError as error:
        return failed(f"A call with `Connection: close` is not answered: {error}.")
    try:
        told = length_told(raw)
    except FramingError as error:
        return failed(f"The answer does not end where it says: {error}.")
    if is_old(raw):
        return warned("It answers as HTTP/1.0.", "Let the server speak HTTP/1.1.")
    if not told:
        return warned("Only the end of the connection ends an answer: a torn one looks like a whole one.")
    return passed(f"An answer's end is told by {told}, and true.")


def metrics_quiet(lab: Lab) -> Verdict:
    """What SageMaker's scraper gets."""
    server = lab.server()
    try:
        answer = _scraped(server)
    except BrokenCallError as error:
        return warned(f"{error}.")
    if not (answer.is_good or answer.blames_the_caller):
        return warned(f"GET /metrics is answered {answer}.")
    return passed(f"GET /metrics is answered {answer.status} in {answer.seconds:.2f} s.")


def _otherwise(plain: Answer, lab: Lab, headers: Mapping[str, str]) -> str:
    """Return what the sample with other headers comes to, "" where its status is that of the plain one."""
    try:
        answer = lab.server().invoke(lab.sample, headers)
    except BrokenCallError as error:
        return f"no answer comes: {error}"
    return "" if answer.status == plain.status else f"it is answered {answer}"


def _scraped(server: Server) -> Answer:
    """GET /metrics, once more where it took too long."""
    try:
        return server.ask("GET", "/metrics", timeout_s=_SCRAPE_S)
    except BrokenCallError:
        return server.ask("GET", "/metrics", timeout_s=_SCRAPE_S)


RULES = (
    Rule(
        id="invocation-answers",
        part=Part.SERVE,
        says="answers POST /invocations with 2xx within 60 s",
        why="Anything else is a ModelError to the caller. SageMaker waits 60 s for an answer.",
        so="calls like the sample fail",
        mend="See what it says, and its log. Does it know the content type, and is the model the right one?",
        source=sources.INFERENCE,
        test=invocation_answers,
        by_url=True,
    ),
    Rule(
        id="unknown-headers",
        part=Part.SERVE,
        says="ignores headers that it does not know",
        why="SageMaker adds headers of its own, and may add others at any time.",
        so="calls fail that come with headers of SageMaker's",
        mend="Ignore unknown headers; allow 16 KB of them (nginx: large_client_header_buffers).",
        source=sources.INFERENCE,
        test=unknown_headers,
        by_url=True,
    ),
    Rule(
        id="content-type-parameters",
        part=Part.SERVE,
        says="takes a content type with parameters, in whatever case",
        why="Clients add `; charset=utf-8`, and SageMaker passes the content type on as it is.",
        so="calls of clients that add a charset fail",
        mend="Compare only what stands before the first semicolon, in lower case (Flask: request.mimetype).",
        source="https://www.rfc-editor.org/rfc/rfc9110.html#name-media-type",
        test=content_type_parameters,
        by_url=True,
    ),
    Rule(
        id="accept-types",
        part=Part.SERVE,
        says="copes with every Accept header, and without one",
        why="boto3 sends none unless told, the SageMaker SDK `*/*`, others what they like.",
        so="calls fail for what their Accept header says",
        mend="Answer the default type where Accept is missing or */*, and 406 where it cannot be given.",
        source=sources.INVOKE_ENDPOINT,
        test=accept_types,
        by_url=True,
    ),
    Rule(
        id="custom-attributes",
        part=Part.SERVE,
        says="takes 1,024 characters of X-Amzn-SageMaker-Custom-Attributes, and returns no more",
        why="Callers may send any visible ASCII there, and SageMaker passes it on as it is.",
        so="calls with long custom attributes fail",
        mend="Read them as text of your own making, ignore what is not, and cut what is returned to 1,024.",
        source=sources.INVOKE_ENDPOINT,
        test=custom_attributes,
        by_url=True,
    ),
    Rule(
        id="keep-alive",
        part=Part.SERVE,
        says="answers several calls on one connection",
        why="Else each call pays for a connection; one that is closed unannounced loses the next call.",
        so="calls are lost on connections that are used again",
        mend="Speak HTTP/1.1 and keep connections open (gunicorn: a worker class that can, such as gthread).",
        source="https://www.rfc-editor.org/rfc/rfc9112.html#name-persistence",
        test=keep_alive,
        by_url=True,
    ),
    Rule(
        id="response-framing",
        part=Part.SERVE,
        says="says where an answer ends, by a true Content-Length or by chunks",
        why="Else an answer that was torn looks like a whole one, or the rest is read as the next answer.",
        so="answers are cut off or mixed up",
        mend="Let the framework set Content-Length: it counts bytes, not characters.",
        source="https://www.rfc-editor.org/rfc/rfc9112.html#name-message-body-length",
        test=response_framing,
        by_url=True,
    ),
    Rule(
        id="metrics-quiet",
        part=Part.SERVE,
        says="answers GET /metrics at once, if only with 404",
        why="Since June 2026 SageMaker asks for it every minute: an error each time fills the log.",
        so="the log fills with errors about /metrics",
        mend="Answer Prometheus' text there, or 404, without a worker that predicts.",
        source=sources.METRICS,
        test=metrics_quiet,
        by_url=True,
    ),
)
