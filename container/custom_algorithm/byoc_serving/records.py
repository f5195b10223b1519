"""A body of lines answered record by record, as batch transform needs it: a bad one gets a placeholder."""

import csv
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from byoc_serving.algorithm import is_meant_for_the_process
from byoc_serving.calls import Response
from byoc_serving.errors import InsufficientMemoryError, RequestError
from byoc_serving.formats.charsets import text_of
from byoc_serving.formats.codecs import JSON_LINES
from byoc_serving.formats.negotiation import JSON, MediaType, media_type

CSV = "text/csv"
_PRESENT, _ABSENT = "present", "absent"

Answer = Callable[[bytes, MediaType], Response]


class NotByRecordError(Exception):
    """None can stand in for a record's answer: there is not one for each, or no time to find the bad ones."""


@dataclass
class Records:
    """The records of one body, and what became of them.

    Attributes:
        lines: one record each, without their ends.
        content_type: of a body of some of them.
        before: goes before the lines of each such body: the header of a table, or nothing.
        bad: the places, from 1, of those that were not answered, in order.
        reason: why the first of them was not.
        headers: of the answers.
    """

    lines: Sequence[bytes]
    content_type: MediaType
    before: bytes = b""
    bad: list[int] = field(default_factory=list)
    reason: str = ""
    headers: dict[str, str] = field(default_factory=dict)


def records_of(body: bytes, content_type: MediaType) -> Records | None:
    """Return the records of a body, or None where it, or its type, has no lines.

    A record is a line, as SageMaker's SplitType Line cuts them; an empty one of JSON Lines is none.
    """
    name, charset = content_type.name, content_type.parameters.get("charset", "utf-8")
    body = body.rstrip(b"\r\n")
    if not body or not _has_plain_lines(charset):
        return None
    lines = [line.removesuffix(b"\r") for line in body.split(b"\n")]
    if name in JSON_LINES:
        return Records([line for line in lines if line.strip()], content_type)
    if name != CSV:
        return None
    stated = content_type.parameters.get("header", _ABSENT).lower()
    if stated not in (_PRESENT, _ABSENT):
        return None
    has_header = stated == _PRESENT
    before = lines[0] + b"\n" if has_header else b""
    # An empty line is one empty cell; at the end of a body it would be no line at all.
    cells = [line or b'""' for line in lines[has_header:]]
    return Records(cells, _saying(content_type, stated), before)


def with_stated_header(body: bytes, content_type: MediaType, names: Sequence[str]) -> MediaType:
    """Return a body's type, of CSV with what it says of a header, or else with whether it has one.

    Its first line is one if its cells are the names, in any order; a bad record may look like any other.
    """
    if content_type.name != CSV or "header" in content_type.parameters:
        return content_type
    is_named = bool(names) and sorted(_first_cells(body, content_type)) == sorted(names)
    return _saying(content_type, _PRESENT if is_named else _ABSENT)


def by_record(
    records: Records,
    accept: str,
    placeholder: str,
    answer: Answer,
    is_over: Callable[[], bool] = lambda: False,
) -> Response:
    """Answer each record, by as few calls of `answer` as halving takes to find the bad ones.

    Args:
        records: `bad`, `reason` and `headers` of it are filled.
        accept: the media type of the answer: CSV, JSON Lines or JSON.
        placeholder: the answer of a bad record. In JSON, text that is no JSON value becomes a string.
        answer: predicts a body of some of the records; whatever it raises means that one of them is bad.
        is_over: whether there is no time for a further call of it; each bad record may cost several.

    Raises:
        NotByRecordError: another type, or an answer has not as many lines or values as it has records; or
            the time is over.
        InsufficientMemoryError: a model that some of the records need does not fit just now.
    """
    if accept not in (CSV, JSON, *JSON_LINES):
        raise NotByRecordError(f"{accept} has no place for a placeholder")
    stand_in = placeholder.encode() if accept == CSV else _as_json(placeholder)
    parts: list[bytes] = []
    half = (len(records.lines) + 1) // 2
    waiting = [(half, len(records.lines)), (0, half)]
    while waiting:
        start, end = waiting.pop()
        if start == end:
            continue
        if is_over():
            raise NotByRecordError(f"it takes too long, with {len(records.bad)} of the first {start} bad")
        body = records.before + b"\n".join(records.lines[start:end]) + b"\n"
        try:
            response = answer(body, records.content_type)
            parts.append(_of_records(response, accept, end - start))
            records.headers.update(response.headers)
        except (NotByRecordError, InsufficientMemoryError):
            raise
        except BaseException as error:
            if is_meant_for_the_process(error):
                raise
            if end - start == 1:
                records.reason = records.reason or f"{type(error).__name__}: {error}"
                records.bad.append(end)
                parts.append(stand_in)
            else:
                middle = (start + end + 1) // 2
                waiting += [(middle, end), (start, middle)]
    return Response(200, _joined(parts, accept), accept, records.headers)


def _saying(content_type: MediaType, header: str) -> MediaType:
    return MediaType(content_type.name, {**content_type.parameters, "header": header})


def _first_cells(body: bytes, content_type: MediaType) -> list[str]:
    charset = content_type.parameters.get("charset", "utf-8")
    end = body.find(b"\n") if _has_plain_lines(charset) else -1
    try:
        line = text_of(body if end < 0 else body[:end], charset).partition("\n")[0]
        return next(csv.reader([line.rstrip("\r")], strict=True), [])
    except (RequestError, csv.Error):
        return []


def _of_records(response: Response, accept: str, count: int) -> bytes:
    """Return an answer's lines without the last end, or its values without their brackets."""
    body = response.body if isinstance(response.body, bytes) else b"".join(response.body)
    if response.status != 200 or media_type(response.content_type).name != accept:
        raise NotByRecordError(f"an answer is {response.status}, {response.content_type}")
    if accept == JSON:
        values = _parsed(body)
        found = len(values) if isinstance(values, list) else "no list"
        text = body.strip()[1:-1]
    else:
        text = body.removesuffix(b"\n")
        found = text.count(b"\n") + 1 if body else 0
    if found != count:
        raise NotByRecordError(f"{count} records were answered by {found}")
    return text


def _joined(parts: Sequence[bytes], accept: str) -> bytes:
    if accept == JSON:
        return b"[" + b",".join(parts) + b"]"
    return b"\n".join(parts) + b"\n"


def _as_json(placeholder: str) -> bytes:
    return (json.dumps(placeholder) if _parsed(placeholder) is _NO_JSON else placeholder).encode()


_NO_JSON = object()


def _parsed(text: str | bytes) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return _NO_JSON


def _has_plain_lines(charset: str) -> bool:
    """Whether a charset has the same end of a line as ASCII, and it stands for nothing else."""
    try:
        return "1\n".encode(charset) == b"1\n"
    except (LookupError, UnicodeError):
        return False


def complaint(records: Records) -> str:
    """Return what the log says of the bad records."""
    many = f"{len(records.bad)} of {len(records.lines)} records got the placeholder"
    return f"{many}; record {records.bad[0]}: {records.reason}"
