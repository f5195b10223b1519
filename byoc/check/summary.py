"""What the results mean, in words."""

from collections.abc import Sequence

from byoc.check.number import counted
from byoc.check.rule import Part
from byoc.check.run import STOPPED, Result
from byoc.check.verdict import Outcome

_STARTS = "serve-starts"
# Without these it does not start on SageMaker, though it may here.
_NEEDED = {
    _STARTS,
    "dockerfile-builds",
    "image-architecture",
    "image-manifest",
    "listens-on-all",
    "model-read-only",
    "program-executable",
    "program-found",
    "program-interpreter",
    "program-line-ends",
    "shm-64mb",
}
_OF = {
    Part.IMAGE: "The image",
    Part.TRAIN: "Training",
    Part.SERVE: "Serving",
    Part.BATCH: "Batch transform",
    Part.MULTI_MODEL: "Multi-model endpoints",
    Part.SERVERLESS: "Serverless endpoints",
}


def summary(results: Sequence[Result]) -> str:
    """Return whether SageMaker will start it, and apart from that what fails later, with the rules' ids."""
    faults = [result for result in results if result.verdict.outcome is Outcome.FAIL]
    stopping = [result for result in faults if result.rule.id in _NEEDED]
    others = [result for result in faults if result not in stopping]
    sentences = [f"SageMaker will not start this: {_told(stopping)}." if stopping else _first(results)]
    sentences += ["Apart from that this will go wrong."] if stopping and others else []
    for part, name in _OF.items():
        wrong = [result for result in others if result.rule.part is part]
        sentences += [f"{name}: {_told(wrong)}."] if wrong else []
    if left := sum(result.verdict == STOPPED for result in results):
        sentences.insert(0, f"This was stopped: {left} of {counted(len(results), 'rule')} not judged.")
    doubts = sum(result.verdict.outcome is Outcome.WARN for result in results)
    if doubts:
        sentences.append(f"{doubts} {'warning' if doubts == 1 else 'warnings'} above.")
    verdicts = [result.verdict for result in results]
    unknown = [one for one in verdicts if one.outcome is Outcome.UNTESTED and one != STOPPED]
    for rule in dict.fromkeys(verdict.hangs_on for verdict in unknown if verdict.hangs_on):
        hanging = sum(verdict.hangs_on == rule for verdict in unknown)
        sentences.append(f"{hanging} can be tested once {rule} is mended.")
    if alone := sum(not verdict.hangs_on for verdict in unknown):
        sentences.append(f"{alone} could not be tested: each says what that would take.")
    return " ".join(filter(None, sentences))


def ends_well(results: Sequence[Result]) -> bool:
    """Whether nothing failed."""
    return not any(result.verdict.outcome is Outcome.FAIL for result in results)


def tells_something(results: Sequence[Result]) -> bool:
    """Whether anything could be tested: else that nothing failed means nothing."""
    return any(result.verdict.outcome is not Outcome.UNTESTED for result in results)


def is_whole(results: Sequence[Result]) -> bool:
    """Whether every rule was come to: else nobody knows whether it will start."""
    return all(result.verdict != STOPPED for result in results)


def _told(faults: Sequence[Result]) -> str:
    """Return what will happen, each thing once, with the rules that say so."""
    ids: dict[str, list[str]] = {}
    for fault in faults:
        ids.setdefault(fault.rule.so, []).append(fault.rule.id)
    return "; ".join(f"{so} ({', '.join(rules)})" for so, rules in ids.items())


def _first(results: Sequence[Result]) -> str:
    """Begin the summary of results none of which keeps it from starting."""
    is_fine = ends_well(results)
    rules = [result.rule for result in results if result.verdict.outcome is not Outcome.UNTESTED]
    known = {rule.id for rule in rules}
    if _STARTS in known and is_whole(results):
        if all(rule.by_url for rule in rules):  # of a running server nobody knows how it was started
            return "It serves; whether SageMaker can start it was not tested."
        told = "SageMaker will start this"
        return f"{told}." if is_fine else f"{told}, but this will go wrong."
    if not known:
        return "Nothing was tested."
    return "Nothing that was tested failed." if is_fine else ""
