"""Why a program did not come up, in the words of its own log: the FailureReason of an endpoint."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from byoc.local.hosting.records import MOST_REASON

LINES = 200  # of a log, among which the cause is looked for
_MOST_CAUSE, _MOST_OUTCOME = 480, 240  # characters, so that there is room for the last lines
_SHOWN = 5
_ERRORS = ("ERROR", "CRITICAL", "FATAL")
_TRACEBACK = re.compile(r"Traceback \(most recent call last\):\s*$")
# What servers say of their own life and end, whatever brought it about: gunicorn, uvicorn, nginx.
_CHATTER = re.compile(
    r"\d{4}/\d\d/\d\d [\d:]+ \[(notice|info)\] .*"
    r"|(During handling of|The above exception was) .*:"
    r"|(\[[^\]]*\] \[\d+\] \[\w+\] |[A-Z]+:\s+)?("  # how gunicorn and uvicorn begin a line
    r"Application startup failed\. Exiting\.|Booting worker .*|Exception in worker process"
    r"|Finished server process .*|Handling signal: \w+|Listening at: .*|Reason: Worker failed to boot\."
    r"|Shutting down(: Master)?|Started (server|parent) process .*|Starting gunicorn .*"
    r"|Stopping parent process .*|Using worker: .*|Uvicorn running on .*|Waiting for application .*"
    r"|Worker \(pid:\d+\) (exited|was sent) .*|Worker exiting .*)"
)


@dataclass(frozen=True)
class Said:
    """One thing that a log says.

    Attributes:
        text: in one line; of a JSON record its message, of a traceback what was raised.
        is_error: whether it is a JSON record of level ERROR or above.
        was_raised: whether it is the end of a traceback.
    """

    text: str
    is_error: bool = False
    was_raised: bool = False


def failure_reason(variant: str, outcome: str, lines: Sequence[str]) -> str:
    """Return why an instance is not healthy: the cause, the outcome, AWS's words, the log's last lines.

    Args:
        variant: the production variant.
        outcome: how it ended, or what /ping answered.
        lines: the log's last, LINES at most.

    Returns:
        At most MOST_REASON characters, the cause first, as other places show only the beginning.
    """
    said = [one for one in _said(lines) if not _CHATTER.fullmatch(one.text)]
    cause = _cause(said)
    told = [
        *_sentences(cause, _MOST_CAUSE),
        *_sentences(outcome, _MOST_OUTCOME),
        f"The primary container for production variant {variant} did not pass the ping health check.",
        "Please check CloudWatch logs for this endpoint.",
    ]
    reason = " ".join(told)[:MOST_REASON]
    title = " Its last lines: "
    room = MOST_REASON - len(reason) - len(title)
    others = [one.text for one in said if one.text not in cause and cause not in one.text]
    last = "\n".join(others[-_SHOWN:])
    return f"{reason}{title}{last[-room:]}" if last and room > 0 else reason


def _cause(said: Sequence[Said]) -> str:
    """Return the last error that was logged; else what was raised last and what followed; else the last line.

    What was raised long before the end had been dealt with.
    """
    for one in reversed(said):
        if one.is_error:
            return one.text
    raised = [number for number, one in enumerate(said) if one.was_raised and number >= len(said) - _SHOWN]
    return " ".join(one.text for one in said[raised[-1] if raised else -1 :])


def _said(lines: Sequence[str]) -> Iterator[Said]:
    """Yield what the lines say, without the frames of tracebacks."""
    in_frames, raised = False, ""
    for line in lines:
        if in_frames and (line[:1].isspace() or not line):
            continue
        if raised and line[:1].isspace():  # its message goes on
            raised = f"{raised} {line.strip()}"
            continue
        if raised:
            yield Said(raised, was_raised=True)
            raised = ""
        if in_frames:
            in_frames, raised = False, line.strip()
        elif _TRACEBACK.search(line):
            in_frames = True
        elif line.strip():
            yield _record(line) or Said(line.strip())
    if raised:
        yield Said(raised, was_raised=True)


def _record(line: str) -> Said | None:
    """Return what a line says that is a JSON object with a message, as the image's own serve writes them."""
    if not line.startswith("{"):
        return None
    try:
        record = json.loads(line)
    except ValueError:
        return None
    if not record.get("message"):
        return None
    text = " ".join(str(record["message"]).split())
    raised = str(record.get("traceback", "")).strip().rpartition("\n")[2]
    if raised not in text:
        text = f"{text}: {raised}"
    return Said(text, str(record.get("level", "")).upper() in _ERRORS)


def _sentences(text: str, most: int) -> list[str]:
    """Return a text, cut where it is long and closed by a full stop, or nothing where it is empty."""
    short = text if len(text) <= most else f"{text[: most - 1]}…"
    return [short if short.endswith((".", "!", "?", "…")) else f"{short}."] if short else []
