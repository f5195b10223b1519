"""Tells results: to people as they come, to programs as JSON or JUnit XML."""

import json
import os
import re
import shutil
import textwrap
import time
from collections.abc import Callable, Sequence
from typing import TextIO
from xml.etree import ElementTree as ET

from byoc.check.rule import Part
from byoc.check.run import STOPPED, Result
from byoc.check.summary import ends_well, is_whole, summary, tells_something
from byoc.check.verdict import Outcome

_WIDTH = 100
_NARROWEST = 60
_SEEN_COLUMN = 30  # where what was seen stands, and goes on
_NOTE_COLUMN = 13
_LOG_INDENT = 7
_SILENT_S = 30.0  # after which what is no terminal gets a line too
# What a terminal obeys, with all that belongs to it; and what XML cannot have.
_OBEYED = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|.)?|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)
_NOT_IN_XML = re.compile(r"[\ud800-\udfff\ufffe\uffff]")
_SIGNS = {Outcome.PASS: "✓", Outcome.FAIL: "✗", Outcome.WARN: "!", Outcome.UNTESTED: "-"}
_PLAIN_SIGNS = {Outcome.PASS: "ok", Outcome.FAIL: "FAIL", Outcome.WARN: "warn", Outcome.UNTESTED: "?"}
_COLOURS = {
    Outcome.PASS: "\033[32m",
    Outcome.FAIL: "\033[31m",
    Outcome.WARN: "\033[33m",
    Outcome.UNTESTED: "\033[2m",
}
_END = "\033[0m"
_CLEAR_LINE = "\r\033[K"


class Report:
    """Writes each result as it comes, and what goes on between them: on a terminal all the time, else rarely.

    Args:
        clock: seconds from whenever on.
    """

    def __init__(self, out: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._out = out
        self._inline = out.isatty() and os.environ.get("TERM") != "dumb"
        columns = shutil.get_terminal_size((_WIDTH, 24)).columns if self._inline else _WIDTH
        self._width = max(_NARROWEST, min(_WIDTH, columns))
        self._coloured = self._inline and "NO_COLOR" not in os.environ
        self._part: Part | None = None
        self._rule = ""
        self._clock = clock
        self._began = self._written = clock()

    def begin(self, rule: str) -> None:
        """Say which rule is tested now."""
        self._rule = rule
        self.progress("")

    def progress(self, text: str) -> None:
        """Say what is going on."""
        said = " ".join(plain(f"{self._rule} {text}").split())
        if self._inline:
            self._write(f"{_CLEAR_LINE}     {said[: self._width - 6]}")
        elif self._clock() - self._written >= _SILENT_S:
            self._line(*self._wrapped(said, _NOTE_COLUMN - _LOG_INDENT - 1))

    def show(self, result: Result) -> None:
        """Write a result; one that is not a pass with why it matters, how to mend it, and AWS's page.

        What is untested for another rule's sake alone is told at the end, in one line for all.
        """
        rule, verdict = result.rule, result.verdict
        if verdict.hangs_on:
            return
        if rule.part is not self._part:
            self._part = rule.part
            self._line(f"{rule.part.value}")
        self._head(verdict.outcome, rule.id, verdict.seen)
        if verdict.outcome in (Outcome.FAIL, Outcome.WARN):
            self._note("must", rule.says)
            self._note("why", rule.why)
            self._note("mend", verdict.mend or rule.mend)
            self._note("see", rule.source)

    def end(self, results: Sequence[Result]) -> None:
        """Write which rules hang on others or were not come to, the summary, and how long all of it took."""
        folded = [result for result in results if result.verdict.hangs_on or result.verdict == STOPPED]
        if folded:
            self._line("not tested")
        for seen in dict.fromkeys(result.verdict.seen for result in folded):
            ids = [result.rule.id for result in folded if result.verdict.seen == seen]
            if len(ids) == 1:
                self._head(Outcome.UNTESTED, ids[0], seen)
            else:
                self._head(Outcome.UNTESTED, f"{len(ids)} rules", seen)
                self._line(*self._wrapped(", ".join(ids), _SEEN_COLUMN))
        took = f"This took {self._clock() - self._began:.0f} s."
        self._line("", *self._wrapped(summary(results), 0), took)

    def _head(self, outcome: Outcome, name: str, seen: str) -> None:
        """Write the first line of a result, and what else was seen."""
        sign = (_SIGNS if self._inline else _PLAIN_SIGNS)[outcome]
        first, *rest = plain(seen).splitlines() or [""]
        begin, *more = self._wrapped(first, _SEEN_COLUMN)
        self._line(f"{self._colour(outcome, f'{sign:<4} {name:<24}')} {begin.lstrip()}", *more)
        for line in rest:  # of a log, with indents of its own
            self._line(*self._wrapped(line, _LOG_INDENT))

    def _note(self, name: str, text: str) -> None:
        begin, *more = self._wrapped(plain(text), _NOTE_COLUMN)
        self._line(f"{'':{_LOG_INDENT}}{name:<5} {begin.lstrip()}", *more)

    def _wrapped(self, text: str, column: int) -> list[str]:
        """Return a text's lines from some column on; paths and URLs stay whole."""
        indent = " " * column
        return textwrap.wrap(
            text,
            self._width,
            initial_indent=indent,
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,
        ) or [""]

    def _line(self, *lines: str) -> None:
        self._written = self._clock()
        for line in lines:
            self._write(f"{_CLEAR_LINE if self._inline else ''}{line}\n")

    def _write(self, text: str) -> None:
        """Write what the output's encoding has, and ? for what it has not."""
        encoding = self._out.encoding or "utf-8"
        self._out.write(text.encode(encoding, "replace").decode(encoding))
        self._out.flush()

    def _colour(self, outcome: Outcome, text: str) -> str:
        return f"{_COLOURS[outcome]}{text}{_END}" if self._coloured else text


def plain(text: str) -> str:
    """Return a text without what terminals obey and XML cannot have, such as the colours of a log."""
    return _NOT_IN_XML.sub("?", _OBEYED.sub("", text))


def as_json(target: str, results: Sequence[Result]) -> str:
    """Return everything that is known, as JSON: format byoc-check/1."""
    return json.dumps(
        {
            "format": "byoc-check/1",
            "target": target,
            "passed": tells_something(results) and ends_well(results) and is_whole(results),
            "summary": summary(results),
            "results": [
                {
                    "id": result.rule.id,
                    "part": result.rule.part.value,
                    "outcome": result.verdict.outcome.value,
                    "seconds": round(result.seconds, 3),
                    "says": result.rule.says,
                    "seen": result.verdict.seen,
                    "why": result.rule.why,
                    "mend": result.verdict.mend or result.rule.mend,
                    "source": result.rule.source,
                }
                for result in results
            ],
        },
        indent=2,
    )


def as_junit(target: str, results: Sequence[Result]) -> str:
    """Return results as JUnit XML: what failed is a failure, what could not be tested is skipped."""
    outcomes = [result.verdict.outcome for result in results]
    suite = ET.Element(
        "testsuite",
        name=plain(f"byoc check {target}"),
        tests=str(len(results)),
        failures=str(outcomes.count(Outcome.FAIL)),
        skipped=str(outcomes.count(Outcome.UNTESTED)),
        time=f"{sum(result.seconds for result in results):.3f}",
    )
    for result in results:
        verdict = result.verdict
        case = ET.SubElement(
            suite,
            "testcase",
            classname=result.rule.part.value,
            name=result.rule.id,
            time=f"{result.seconds:.3f}",
        )
        seen = plain(verdict.seen)
        if verdict.outcome is Outcome.FAIL:
            mend = plain(verdict.mend or result.rule.mend)
            told = f"{seen}\n{result.rule.why}\n{mend}\n{result.rule.source}"
            ET.SubElement(case, "failure", message=seen).text = told
        elif verdict.outcome is Outcome.UNTESTED:
            ET.SubElement(case, "skipped", message=seen)
        else:
            name = "system-err" if verdict.outcome is Outcome.WARN else "system-out"
            ET.SubElement(case, name).text = seen
    ET.indent(suite)
    return ET.tostring(suite, encoding="unicode", xml_declaration=True)
