"""Tells an answer that is an error in words from one that is a prediction, whatever its status."""

import json
import re
from contextlib import suppress

_READ = 4096  # characters of a body
_KEYS = {"error", "errors", "error_message", "errormessage", "exception"}
_WORD = re.compile(r"(?i)\b(?:error|exception|[a-z]+error)\b")
_BETWEEN = re.compile(r"[\s,;]+")


def is_complaint(body: bytes, good: bytes) -> bool:
    """Whether a body tells of an error, and the answer to a good call neither does nor looks like it.

    JSON does with a key such as `error` that holds something; text with the word. A model may have a class
    that is called so: what has as many lines and words as the good answer is one of its predictions.
    """
    text, usual = (given[:_READ].decode(errors="replace") for given in (body, good))
    found, known = _keys(body), _keys(good)
    if found is not None:
        return bool(found & _KEYS) and not (known or set()) & _KEYS
    return bool(_WORD.search(text)) and not _WORD.search(usual) and _shape(text) != _shape(usual)


def _keys(body: bytes) -> set[str] | None:
    """Return the keys of a JSON object, or of the first in a list, that hold something; None: it is none."""
    with suppress(ValueError, RecursionError):
        given = json.loads(body)
        first = given[0] if isinstance(given, list) and given else given
        if isinstance(first, dict):
            return {name.lower() for name, value in first.items() if value}
    return None


def _shape(text: str) -> tuple[int, int]:
    """Return how many lines a text has, and its first line words."""
    lines = text.strip().splitlines() or [""]
    return len(lines), len(_BETWEEN.split(lines[0].strip()))
