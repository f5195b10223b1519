"""Puts a run's report into a document, between its markers, so that nobody copies figures by hand."""

import os
from pathlib import Path

from bench.contest.errors import BenchError

BEGIN, END = "<!-- bench -->\n", "<!-- /bench -->"


def with_report(text: str, report: str) -> str:
    """Return a document's text with another report between its markers.

    Raises:
        BenchError: it has not each marker once, in their order.
    """
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end or BEGIN in tail or END in tail:
        raise BenchError(f"The document needs one {BEGIN.strip()} and, further down, one {END}.")
    return head + begin + report + end + tail


def write(path: Path, text: str) -> None:
    """Replace a file's text at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.write_text(text)
    part.replace(path)
