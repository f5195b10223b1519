"""What the demo and the doors send and what comes back: requests of dummy_data/, answers, labels."""

import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from byoc.errors import DemoError

# In the order in which a file is taken as the one to be judged by.
CONTENT_TYPES = {
    ".csv": "text/csv",
    ".json": "application/json",
    ".jsonl": "application/jsonlines",
    ".npy": "application/x-npy",
}
LABELS = "labels.csv"
SHOWN = 6


@dataclass(frozen=True)
class Judged:
    """Answers beside labels: what each row was taken for, and what the column of the answers is called."""

    column: str
    answers: Sequence[str]
    labels: Sequence[str]
    predicted: Sequence[str]

    @property
    def accuracy(self) -> float:
        """The share of rows that were taken for what they are."""
        return statistics.fmean(map(str.__eq__, self.predicted, self.labels))


def requests_in(folder: Path) -> list[Path]:
    """Return the files of dummy_data/ that are sent as they are; the first is the one with labels.

    Raises:
        DemoError: there are none.
    """
    kinds = list(CONTENT_TYPES)
    found = [file for file in folder.glob("*.*") if file.suffix in kinds and file.name != LABELS]
    if not found:
        raise DemoError(
            f"{folder} has no requests. Put a file there that your model takes: {', '.join(kinds)}."
        )
    return sorted(found, key=lambda file: (kinds.index(file.suffix), file.name))


def labels_in(folder: Path) -> list[str] | None:
    """Return what the rows of the first request really are, a line each, or None where nobody says it."""
    file = folder / LABELS
    return (
        [line.strip() for line in file.read_text().splitlines() if line.strip()] if file.is_file() else None
    )


def answers_in(body: str) -> list[object]:
    """Return the answers of a body, one a row: the elements of its JSON list, else its lines."""
    try:
        parsed = json.loads(body)
    except ValueError:
        return [line.strip() for line in body.splitlines() if line.strip()]
    if isinstance(parsed, dict) and len(parsed) == 1:  # such as {"predictions": [...]}
        (parsed,) = parsed.values()
    return parsed if isinstance(parsed, list) else [parsed]


def judge(answers: Sequence[object], labels: Sequence[str]) -> Judged | None:
    """Compare a classifier's answers with labels, or return None where they are of another kind.

    A number from 0 to 1 is the probability of the second of two labels in sorted order, as scikit-learn
    numbers classes; words are labels themselves.

    Raises:
        DemoError: there are more or fewer answers than labels.
    """
    if len(answers) != len(labels):
        raise DemoError(
            f"{len(answers)} predictions came back, and {LABELS} has {len(labels)} lines. "
            "Give it one label for each row of the request, or remove it."
        )
    classes = sorted(set(labels))
    alone = [answer[0] if isinstance(answer, list) and len(answer) == 1 else answer for answer in answers]
    numbers = [float(answer) for answer in map(str, alone) if _is_share(answer)]
    if len(numbers) == len(labels) and len(classes) == 2:
        predicted = [classes[number > 0.5] for number in numbers]
        return Judged(f"probability of {classes[1]}", [f"{n:.3f}" for n in numbers], labels, predicted)
    if all(isinstance(answer, str | int) for answer in alone):
        words = [str(answer) for answer in alone]
        return Judged("prediction", words, labels, words)
    return None


def table_of(judged: Judged) -> str:
    """Return a few answers of each label beside it, as lines to be shown."""
    classes = sorted(set(judged.labels))[:SHOWN]
    rows: list[int] = []
    for label in classes:
        rows += [row for row, its in enumerate(judged.labels) if its == label][: SHOWN // len(classes)]
    width = max(len(judged.column), *(len(judged.answers[row]) for row in rows))
    lines = [f"{row + 1:>6}  {judged.answers[row]:>{width}}  {judged.labels[row]}" for row in sorted(rows)]
    return "\n".join([f"   row  {judged.column:>{width}}  label", *lines])


def list_of(answers: Sequence[object]) -> str:
    """Return the first few answers as they are, as lines to be shown."""
    lines = [f"{row:>6}  {json.dumps(answer, ensure_ascii=False)}" for row, answer in enumerate(answers, 1)]
    return "\n".join(["   row  answer", *lines[:SHOWN]])


def _is_share(text: str) -> bool:
    try:
        return 0 <= float(text) <= 1
    except ValueError:
        return False
