"""A body of lines answered record by record, as batch transform needs it: a bad one gets a placeholder."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from byoc_serving.algorithm import is_meant_for_the_process
from byoc_serving.calls import Response
from byoc_serving.errors import InsufficientMemoryError
from byoc_serving.formats.codecs import JSON_LINES
from byoc_serving.formats.csv_codec import is_header
from byoc_serving.formats.negotiation import JSON, MediaType, media_type

CSV = "text/csv"

Answer = Callable[[bytes, MediaType], Response]


class NotByRecordError(Exception):
    """The answers are not one for each record, so that none can stand in for another."""


@dataclass
class Records:
    """The records of one body, and what became of them.

    Attributes:
        lines: one record each, without their ends.
        content_type: of a body of some of them.
        before: goes before the lines of each such body: the header of a table, or nothing.
        bad: the places, from 1, of those that were not answered, with the reasons.
        headers: of the answers.
    """

    lines: Sequence[bytes]
    content_type: MediaType
    before: bytes = b""
    bad: dict[int, BaseException] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)


def records_of(body: bytes, content_type: MediaType) -> Records | None:
    """Return the records of a body, or None where its type has no lines.

    A record is a line, as SageMaker's SplitType Line cuts them; an empty one of JSON Lines is none.
    """
    name, charset = content_type.name, content_type.parameters.get("charset", "utf-8")
    if not _has_plain_lines(charset):
        return None
    lines = [line.removesuffix(b"\r") for line in body.rstrip(b"\r\n").split(b"\n")]
    if name in JSON_LINES:
        return Records([line for line in lines if line.strip()], content_type)
    if name != CSV:
        return None
    stated = content_type.parameters.get("header", "").lower()
    header = stated == "present" or (not stated and is_header(lines[0], lines[1:]))
    said = {**content_type.parameters, "header": "present" if header else "absent"}
    before = lines[0] + b"\n" if header else b""
    # An empty line is one empty cell; at the end of a body it would be no line at all.
    cells = [line or b'""' for line in lines[header:]]
    return Records(cells, MediaType(name, said), before)


def by_record(records: Records, accept: str, placeholder: str, answer: Answer) -> Response:
    """Answer each record, by as few calls of `answer` as halving takes to find the bad ones.

    Args:
        records: `bad` and `headers` of it are filled.
        accept: the media type of the answer: CSV, JSON Lines or JSON.
        placeholder: the answer of a bad record. In JSON, text that is no JSON value becomes a string.
        answer: predicts a body of some of the records; whatever it raises means that one of them is bad.

    Raises:
        NotByRecordError: another type, or an answer has not as many lines or values as it has records.
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
                records.bad[end] = error
                parts.append(stand_in)
            else:
                middle = (start + end + 1) // 2
                waiting += [(middle, end), (start, middle)]
    return Response(200, _joined(parts, accept), accept, records.headers)


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
    first = min(records.bad)
    reason = f"{type(records.bad[first]).__name__}: {records.bad[first]}"
    return f"{len(records.bad)} of {len(records.lines)} records got the placeholder; record {first}: {reason}"
