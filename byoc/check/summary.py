"""What the results mean, in words."""

from collections.abc import Sequence

from byoc.check.rule import Part
from byoc.check.run import Result
from byoc.check.verdict import Outcome

_STARTS = "serve-starts"


def summary(results: Sequence[Result]) -> str:
    """Return whether SageMaker will start it, and what will not work, in sentences with the rules' ids."""
    sentences = [_first(results)]
    faults = [result for result in results if result.verdict.outcome is Outcome.FAIL]
    faults = [result for result in faults if result.rule.id != _STARTS]
    for part in Part:
        wrong = [result for result in faults if result.rule.part is part]
        if wrong:
            clauses = "; ".join(f"{result.rule.so} ({result.rule.id})" for result in wrong)
            sentences.append(f"{_OF[part]}: {clauses}.")
    doubts = sum(result.verdict.outcome is Outcome.WARN for result in results)
    if doubts:
        sentences.append(f"{doubts} {'warning' if doubts == 1 else 'warnings'} above.")
    unknown = sum(result.verdict.outcome is Outcome.UNTESTED for result in results)
    if unknown:
        sentences.append(f"{unknown} could not be tested: each says what that would take.")
    return " ".join(filter(None, sentences))


def ends_well(results: Sequence[Result]) -> bool:
    """Whether nothing failed."""
    return not any(result.verdict.outcome is Outcome.FAIL for result in results)


_OF = {
    Part.IMAGE: "The image",
    Part.TRAIN: "Training",
    Part.SERVE: "Serving",
    Part.BATCH: "Batch transform",
    Part.MULTI_MODEL: "Multi-model endpoints",
    Part.SERVERLESS: "Serverless endpoints",
}


def _first(results: Sequence[Result]) -> str:
    start = next((result for result in results if result.rule.id == _STARTS), None)
    if start is not None and start.verdict.outcome is Outcome.FAIL:
        return f"SageMaker will not start this: {start.rule.so}."
    if start is not None and start.verdict.outcome is not Outcome.UNTESTED:
        return "SageMaker will start this." if ends_well(results) else "SageMaker will start this, but:"
    return "" if not ends_well(results) else "Nothing that was tested failed."
