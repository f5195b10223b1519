"""What every measurement needs: where things are, how much effort to make, and where to tell of it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.contest.results import Results

Report = Callable[[str], None]


@dataclass(frozen=True)
class Run:
    """One run of the whole.

    Attributes:
        image: the program that is ours; that of another checkout to compare with.
        work: the folder for everything that is written.
        seconds: how long each load lasts.
        repeats: how often everything is measured.
        report: hears of the progress.
    """

    image: Path
    work: Path
    seconds: int
    repeats: int
    results: Results
    report: Report

    @property
    def subject(self) -> Path:
        """The folder that subject.py has written."""
        return self.work / "subject"
