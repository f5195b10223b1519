"""Tells results: to people as they come, to programs as JSON or JUnit XML."""

import json
import os
import textwrap
from collections.abc import Sequence
from typing import TextIO
from xml.etree import ElementTree as ET

from byoc.check.rule import Part
from byoc.check.run import Result
from byoc.check.summary import ends_well, summary
from byoc.check.verdict import Outcome

_WIDTH = 100
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
    """Writes each result as it comes, what goes on between them on a terminal alone."""

    def __init__(self, out: TextIO, width: int = _WIDTH) -> None:
        self._out = out
        self._inline = out.isatty() and os.environ.get("TERM") != "dumb"
        self._coloured = self._inline and "NO_COLOR" not in os.environ
        self._width = width
        self._part: Part | None = None

    def progress(self, text: str) -> None:
        """Say what is going on."""
        if self._inline:
            self._out.write(f"{_CLEAR_LINE}  {text[: self._width - 3]}")
            self._out.flush()

    def show(self, result: Result) -> None:
        """Write a result; one that is not a pass with why it matters, how to mend it, and AWS's page."""
        rule, verdict = result.rule, result.verdict
        if rule.part is not self._part:
            self._part = rule.part
            self._line(f"{rule.part.value}")
        sign = (_SIGNS if self._inline else _PLAIN_SIGNS)[verdict.outcome]
        head = f"{sign:<4} {rule.id:<24}"
        first, *rest = verdict.seen.splitlines() or [""]
        self._line(f"{self._colour(verdict.outcome, head)} {first}", *(f"       {line}" for line in rest))
        if verdict.outcome in (Outcome.FAIL, Outcome.WARN):
            self._note("must", rule.says)
            self._note("why", rule.why)
            self._note("mend", verdict.mend or rule.mend)
            self._note("see", rule.source)

    def end(self, results: Sequence[Result]) -> None:
        """Write the summary."""
        self._line("", *textwrap.wrap(summary(results), self._width))

    def _note(self, name: str, text: str) -> None:
        wrapped = textwrap.wrap(text, self._width - 12, break_long_words=False, break_on_hyphens=False) or [
            ""
        ]
        self._line(f"       {name:<5} {wrapped[0]}", *(f"             {line}" for line in wrapped[1:]))

    def _line(self, *lines: str) -> None:
        for line in lines:
            self._out.write(f"{_CLEAR_LINE if self._inline else ''}{line}\n")
        self._out.flush()

    def _colour(self, outcome: Outcome, text: str) -> str:
        return f"{_COLOURS[outcome]}{text}{_END}" if self._coloured else text


def as_json(target: str, results: Sequence[Result]) -> str:
    """Return everything that is known, as JSON: format byoc-check/1."""
    return json.dumps(
        {
            "format": "byoc-check/1",
            "target": target,
            "passed": ends_well(results),
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
        name=f"byoc check {target}",
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
        seen = _xml(verdict.seen)
        if verdict.outcome is Outcome.FAIL:
            mend = f"{seen}\n{result.rule.why}\n{verdict.mend or result.rule.mend}\n{result.rule.source}"
            ET.SubElement(case, "failure", message=seen).text = mend
        elif verdict.outcome is Outcome.UNTESTED:
            ET.SubElement(case, "skipped", message=seen)
        else:
            name = "system-err" if verdict.outcome is Outcome.WARN else "system-out"
            ET.SubElement(case, name).text = seen
    ET.indent(suite)
    return ET.tostring(suite, encoding="unicode", xml_declaration=True)


def _xml(text: str) -> str:
    """Return a text without the characters that XML cannot have, such as those of colours in a log."""
    return "".join(char for char in text if char in "\t\n\r" or char >= " ")
