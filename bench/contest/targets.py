"""What we promise of our speed and memory, as a table of data, and whether a run's results keep it."""

from collections.abc import Sequence
from dataclasses import dataclass

from bench.contest.large import ITSELF
from bench.contest.pulling import DOWNLOAD
from bench.contest.results import Results
from bench.contest.servers import CEILING, DOCUMENTED, EXAMPLE_ONE_THREAD, OURS, TUNED
from bench.contest.start import LEAST

AT_LEAST, AT_MOST = ">=", "<="
HOLDS, SHORT, NOT_MEASURED = "holds", "falls short", "not measured"


@dataclass(frozen=True)
class Target:
    """One promise: that our measure is at least, or at most, factor x another's + plus.

    Attributes:
        line: what is measured.
        measure: its name in the results.
        words: what has to be reached.
        against: whose measure, and which, by their names in the results; None where a figure stands alone.
        section: the part of a run that measures it.
    """

    line: str
    measure: str
    comparison: str
    words: str
    factor: float = 0.0
    against: tuple[str, str] | None = None
    plus: float = 0.0
    section: str = "load"


@dataclass(frozen=True)
class Verdict:
    """What became of a promise.

    Attributes:
        outcome: HOLDS, SHORT or NOT_MEASURED.
        ours: our figure.
        other: the figure that it is held against; None where it stands alone.
        ratio: of the two, turn by turn where they took turns; None where something is added to the other's.
        failures: of our requests, while it was measured.
    """

    target: Target
    outcome: str
    ours: float | None = None
    other: float | None = None
    ratio: float | None = None
    failures: int = 0


_ROW, _ROW_P99 = "1 JSON row, 16 clients, requests/s", "1 JSON row, 16 clients, p99"
_MANY, _LARGE = "100 JSON rows, 16 clients, requests/s", "one request of 10,000 rows as "
_OWN = (ITSELF, "large.ms")
TARGETS = (
    Target(
        _ROW, "row_16.per_s", AT_LEAST, "3 x FastAPI as documented", 3.0, (DOCUMENTED.name, "row_16.per_s")
    ),
    Target(_ROW, "row_16.per_s", AT_LEAST, "2.3 x tuned FastAPI", 2.3, (TUNED.name, "row_16.per_s")),
    Target(
        _ROW,
        "row_16.per_s",
        AT_LEAST,
        "15 x the example with one library thread",
        15.0,
        (EXAMPLE_ONE_THREAD.name, "row_16.per_s"),
    ),
    Target(_ROW, "row_16.per_s", AT_LEAST, "60 % of the ceiling", 0.6, (CEILING.name, "row_16.per_s")),
    Target(_ROW_P99, "row_16.p99_ms", AT_MOST, "1/2 of tuned FastAPI's", 0.5, (TUNED.name, "row_16.p99_ms")),
    Target(
        "1 JSON row, 1 client, p50",
        "row_1.p50_ms",
        AT_MOST,
        "1.25 x tuned FastAPI's",
        1.25,
        (TUNED.name, "row_1.p50_ms"),
    ),
    Target(
        _MANY,
        "rows100_16.per_s",
        AT_LEAST,
        "2 x FastAPI as documented",
        2.0,
        (DOCUMENTED.name, "rows100_16.per_s"),
    ),
    Target(_MANY, "rows100_16.per_s", AT_LEAST, "2 x tuned FastAPI", 2.0, (TUNED.name, "rows100_16.per_s")),
    Target(
        "1 JSON row, 64 clients, requests/s",
        "row_64.per_s",
        AT_LEAST,
        "ours at 16 clients",
        1.0,
        (OURS.name, "row_16.per_s"),
    ),
    Target(
        "1 JSON row, 64 clients, p99",
        "row_64.p99_ms",
        AT_MOST,
        "tuned FastAPI's",
        1.0,
        (TUNED.name, "row_64.p99_ms"),
    ),
    Target(
        f"{_LARGE}CSV", "large_csv.ms", AT_MOST, "1.5 x the model's own predict", 1.5, _OWN, section="large"
    ),
    Target(
        f"{_LARGE}NPY", "large_npy.ms", AT_MOST, "1.15 x the model's own predict", 1.15, _OWN, section="large"
    ),
    Target(
        f"{_LARGE}Parquet",
        "large_parquet.ms",
        AT_MOST,
        "1.15 x the model's own predict",
        1.15,
        _OWN,
        section="large",
    ),
    Target(
        "start to the first 200 on /ping",
        "start.s",
        AT_MOST,
        f"{LEAST} + 0.5 s",
        1.0,
        (LEAST, "start.s"),
        plus=0.5,
        section="start",
    ),
    Target(
        "memory with a model of 500 MB and 4 workers, after 10,000 requests",
        "memory.mb",
        AT_MOST,
        "one copy of the model + 300 MB",
        plus=800.0,
        section="memory",
    ),
    Target(
        "`train` pulls and verifies 1 GB from S3 on loopback",
        "pull.mb_per_s",
        AT_LEAST,
        f"2 x `{DOWNLOAD}`",
        2.0,
        (DOWNLOAD, "pull.mb_per_s"),
        section="pull",
    ),
    Target("the same, most memory", "pull.mb", AT_MOST, "200 MB", plus=200.0, section="pull"),
    Target(
        "processor time without requests", "idle.percent", AT_MOST, "1 % of a core", plus=1.0, section="idle"
    ),
)


def verdicts(results: Results, targets: Sequence[Target] = TARGETS) -> list[Verdict]:
    """Return what became of each promise that the run was about: of its sections and its servers."""
    sections, servers = results.about["sections"], results.about["servers"]
    absent = {target.against[0] for target in targets if target.against and target.section == "load"} - set(
        servers
    )
    return [
        verdict(target, results)
        for target in targets
        if target.section in sections
        and not (target.against and target.against[0] in absent)
        and (target.section != "load" or OURS.name in servers)
    ]


def verdict(target: Target, results: Results) -> Verdict:
    """Return whether a promise is kept; one is not where a request of ours failed, however fast the rest."""
    ours = results.median(OURS.name, target.measure)
    other = results.median(*target.against) if target.against else None
    if ours is None or (target.against and other is None):
        return Verdict(target, NOT_MEASURED, ours, other)
    ratio = _ratio(target, results, ours, other)
    reached, bound = ratio, target.factor
    if reached is None:
        reached, bound = ours, target.factor * (other or 0.0) + target.plus
    is_kept = reached >= bound if target.comparison == AT_LEAST else reached <= bound
    failures = results.failed(OURS.name, target.measure)
    return Verdict(target, HOLDS if is_kept and not failures else SHORT, ours, other, ratio, failures)


def _ratio(target: Target, results: Results, ours: float, other: float | None) -> float | None:
    """Return our measure as a multiple of the other's; None where it stands alone, or something is added."""
    if not target.against or not other or target.plus:
        return None
    ratio = results.ratio((OURS.name, target.measure), target.against)
    if ratio is None or target.against[0] == OURS.name:  # another load of ours was at another time
        return ours / other
    return ratio
