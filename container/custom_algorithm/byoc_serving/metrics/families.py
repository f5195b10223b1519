"""What is told of one server: every metric with its numbers, whichever form it is told in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from byoc_serving.metrics import table as places
from byoc_serving.metrics.own import UNITS
from byoc_serving.metrics.table import Kind, Own, Table

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Distribution:
    """How often what was observed.

    Attributes:
        bounds: of the buckets, each with what is at most it; one more bucket has what is above all.
        counts: of each bucket.
        total: of all that was observed.
    """

    bounds: Sequence[float]
    counts: Sequence[float]
    total: float


@dataclass(frozen=True)
class Family:
    """One metric.

    Attributes:
        unit: as CloudWatch has it.
        values: of a counter or gauge, by its labels.
        distribution: of a histogram.
    """

    name: str
    kind: Kind
    help: str
    unit: str = "Count"
    values: Mapping[Labels, float] = field(default_factory=dict)
    distribution: Distribution | None = None


@dataclass(frozen=True)
class Standing:
    """How the workers stand now.

    Attributes:
        ready: how many of them take requests.
        in_flight: requests that have no answer yet, or not all of a stream.
        waiting: those of them that wait for their turn.
        memory: of each worker in bytes (resident), by its number.
    """

    ready: int
    in_flight: int
    waiting: int
    memory: Mapping[int, int]


_COUNTERS = (
    ("byoc_rows_total", places.ROWS, "Count", "Rows that were predicted."),
    ("byoc_request_bytes_total", places.BYTES_IN, "Bytes", "Bytes of the bodies of requests."),
    (
        "byoc_response_bytes_total",
        places.BYTES_OUT,
        "Bytes",
        "Bytes of the bodies of answers, without streams.",
    ),
    ("byoc_requests_refused_total", places.REFUSED, "Count", "Requests answered 503 as too many waited."),
    ("byoc_requests_lost_total", places.LOST, "Count", "Requests whose worker ended before all was sent."),
    (
        "byoc_worker_restarts_total",
        places.RESTARTS,
        "Count",
        "Workers started in the place of one that ended.",
    ),
    (
        "byoc_worker_timeouts_total",
        places.OVERRAN,
        "Count",
        "Workers ended as a request overran the timeout.",
    ),
    ("byoc_worker_outgrown_total", places.OUTGREW, "Count", "Workers replaced as they had too much memory."),
)

_STAGES = (
    ("byoc_request_seconds", places.TOTAL, "A request from its arrival to its answer."),
    ("byoc_decode_seconds", places.DECODE, "Making data of the bodies, of all requests taken together."),
    (
        "byoc_wait_seconds",
        places.WAIT,
        "Waiting for the worker, and for the requests that it took together with it.",
    ),
    ("byoc_predict_seconds", places.PREDICT, "The prediction, of all requests predicted together."),
    (
        "byoc_encode_seconds",
        places.ENCODE,
        "Making the bodies of the answers, of all requests predicted together.",
    ),
)


def families(tables: Sequence[Table], standing: Standing) -> list[Family]:
    """Return every metric, summed over the tables."""
    numbers = places.summed(tables)
    found = [_requests(numbers)]
    found += [Family(name, Kind.COUNTER, told, unit, {(): numbers[at]}) for name, at, unit, told in _COUNTERS]
    found += [
        Family(name, Kind.HISTOGRAM, told, "Seconds", distribution=_distribution(numbers, at, _SECONDS))
        for name, at, told in _STAGES
    ]
    told = "Requests predicted together, at each prediction."
    together = _distribution(numbers, places.TOGETHER, places.TOGETHER_BOUNDS)
    found.append(Family("byoc_batch_requests", Kind.HISTOGRAM, told, distribution=together))
    return [*found, *_gauges(standing), *_model(tables), *_own(tables)]


_SECONDS = places.SECONDS_BOUNDS


def _requests(numbers: Sequence[float]) -> Family:
    values: dict[Labels, float] = {
        (("status", f"{status_class}xx"),): numbers[places.REQUESTS + status_class]
        for status_class in range(2, places.STATUS_CLASSES)
    }
    told = "Requests to /invocations, by the class of their status; refused are 5xx, lost but for streams."
    return Family("byoc_requests_total", Kind.COUNTER, told, values=values)


def _distribution(numbers: Sequence[float], at: int, bounds: Sequence[float]) -> Distribution:
    return Distribution(bounds, list(numbers[at + 1 : at + 2 + len(bounds)]), numbers[at])


def _gauges(standing: Standing) -> list[Family]:
    memory: dict[Labels, float] = {
        (("worker", str(number)),): float(size) for number, size in sorted(standing.memory.items())
    }
    return [
        _gauge(
            "byoc_requests_in_flight",
            standing.in_flight,
            "Requests that have no answer yet, or not all of a stream.",
        ),
        _gauge("byoc_requests_waiting", standing.waiting, "Those of them that wait for their turn."),
        _gauge("byoc_workers_ready", standing.ready, "Workers that take requests."),
        Family("byoc_worker_memory_bytes", Kind.GAUGE, "Resident memory of a worker.", "Bytes", memory),
    ]


def _gauge(name: str, value: float, told: str) -> Family:
    return Family(name, Kind.GAUGE, told, values={(): value})


def _model(tables: Sequence[Table]) -> list[Family]:
    models = sorted({table.model for table in tables} - {("", "")})
    values: dict[Labels, float] = {(("name", name), ("version", version)): 1.0 for name, version in models}
    return [Family("byoc_model_info", Kind.GAUGE, "The model version that is served.", "None", values)]


def _own(tables: Sequence[Table]) -> list[Family]:
    """Return the metrics of the user's code; of those that a name has of several kinds, the first's."""
    named: dict[str, list[Own]] = {}
    for table in tables:
        for own in table.own():
            alike = named.setdefault(own.name, [])
            if not alike or alike[0].kind is own.kind:
                alike.append(own)
    return [_own_family(name, alike) for name, alike in sorted(named.items())]


def _own_family(name: str, alike: Sequence[Own]) -> Family:
    kind, unit = alike[0].kind, UNITS[alike[0].unit]
    told = f"Of the algorithm, in {unit.lower()}." if unit in ("Seconds", "Bytes") else "Of the algorithm."
    if kind is Kind.GAUGE:
        latest = max(alike, key=lambda own: own.numbers[1])
        return Family(name, kind, told, unit, {(): latest.numbers[0]})
    numbers = [sum(column) for column in zip(*(own.numbers for own in alike), strict=True)]
    if kind is Kind.COUNTER:
        return Family(name, kind, told, unit, {(): numbers[0]})
    return Family(name, kind, told, unit, distribution=_distribution(numbers, 0, places.OWN_BOUNDS))
