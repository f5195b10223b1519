"""Requests that are lines, each a record, and what their answers hold."""

import json
from contextlib import suppress
from dataclasses import replace

from byoc.check.bodies import JSON_LINES, is_json, kind_of
from byoc.check.question import Sample

_OF_LINES = {
    *JSON_LINES,
    "text/csv",
    "text/libsvm",
    "text/tab-separated-values",
    "text/x-libsvm",
}


def are_lines(sample: Sample) -> bool:
    """Whether SplitType=Line can split such a request."""
    return kind_of(sample.content_type) in _OF_LINES and bool(lines_of(sample.body))


def lines_of(body: bytes) -> list[bytes]:
    """Return the lines that are not empty."""
    return [line for line in body.splitlines() if line.strip()]


def pieces_of(sample: Sample, most: int) -> list[Sample]:
    """Return requests of one record each, all different: lines, or rows of a list in JSON; none of others."""
    if are_lines(sample):
        bodies = [line + b"\n" for line in lines_of(sample.body)]
    elif is_json(sample.content_type):
        bodies = _rows_of(sample.body)
    else:
        return []
    return [replace(sample, body=body) for body in list(dict.fromkeys(bodies))[:most]]


def _rows_of(body: bytes) -> list[bytes]:
    """Return JSON with a list of lists or objects, bare or as the one value of an object, row by row."""
    try:
        given = json.loads(body)
    except (ValueError, RecursionError):
        return []
    name, rows = next(iter(given.items())) if isinstance(given, dict) and len(given) == 1 else ("", given)
    if not isinstance(rows, list) or not all(isinstance(row, list | dict) for row in rows):
        return []
    return [json.dumps({name: [row]} if name else [row]).encode() for row in rows]


def repeated(sample: Sample, copies: int) -> Sample:
    """Return a request with the body of another several times, each on lines of its own."""
    return replace(sample, body=(sample.body.rstrip(b"\r\n") + b"\n") * max(copies, 1))


def results_in(answer: bytes) -> set[int]:
    """Return how many results an answer may hold: lines, or elements of a list in it."""
    found = {len(lines_of(answer))}
    with suppress(ValueError, RecursionError):
        given = json.loads(answer)
        values = given.values() if isinstance(given, dict) else [given]
        found |= {len(value) for value in values if isinstance(value, list)}
    return found
