"""Keeps log streams from filling the memory, where moto has their lines at about nine times their size."""

import json

from byoc.local.outside import operation_of
from byoc.local.wsgi import Call

MOST_LINES = 10_000
MOST_CHARACTERS = 8 * 1024 * 1024


def drop_oldest(call: Call) -> None:
    """Drop the older half of a stream, by lines or by size, that a PutLogEvents has made too long.

    Half, and not a line for each new one: moto's tokens count the lines of a stream, so that a client which
    follows one loses its place at most once in so many lines.
    """
    if operation_of(call) != "PutLogEvents":
        return
    # Public as moto has it: its own way to look into the state that it keeps.
    from moto.logs.models import logs_backends

    asked = json.loads(call.body)
    for regions in logs_backends.values():
        for backend in regions.values():
            group = backend.groups.get(asked.get("logGroupName"))
            stream = group.streams.get(asked.get("logStreamName")) if group else None
            if stream is not None:
                del stream.events[: _too_many([len(event.message) for event in stream.events])]


def _too_many(sizes: list[int]) -> int:
    """Return how many of the oldest lines go; `sizes` is in characters, the oldest first."""
    left = sum(sizes)
    if len(sizes) <= MOST_LINES and left <= MOST_CHARACTERS:
        return 0
    number = max(0, len(sizes) - MOST_LINES // 2)
    left -= sum(sizes[:number])
    while left > MOST_CHARACTERS // 2 and number < len(sizes) - 1:
        left -= sizes[number]
        number += 1
    return number
