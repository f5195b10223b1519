"""Every metric of one `serve`, gathered from what its workers keep in its folder: none of them is asked."""

import os
from pathlib import Path

from byoc_serving.metrics.families import Family, Standing, families
from byoc_serving.metrics.table import Table, tables_in
from byoc_serving.supervision.scoreboard import Score, scores_in


def table_of_worker(run_dir: Path, number: int) -> Path:
    """Return where the worker of a number, from 0, counts; the next one of that number goes on there."""
    return _folder(run_dir) / f"{number:04d}"


def table_of_master(run_dir: Path) -> Table:
    """Return the table of gunicorn's master, which counts what its workers cannot."""
    return Table.kept(_folder(run_dir) / "master")


def families_of(run_dir: Path) -> list[Family]:
    """Return every metric of the `serve` that has this folder."""
    return families(tables_in(_folder(run_dir)), standing_of(scores_in(run_dir)))


def standing_of(scores: list[Score]) -> Standing:
    """Return how workers stand that do this."""
    return Standing(
        ready=sum(score.ready for score in scores),
        in_flight=sum(len(score.in_flight) + score.placeless for score in scores),
        waiting=sum(score.waiting for score in scores),
        memory={score.number: memory_of(score.pid) for score in scores},
    )


def memory_of(pid: int | str = "self") -> int:
    """Return the resident memory of a process in bytes (proc(5), statm); 0 where nobody tells."""
    try:
        pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    except OSError:
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def _folder(run_dir: Path) -> Path:
    folder = run_dir / "metrics"
    folder.mkdir(exist_ok=True)
    return folder
