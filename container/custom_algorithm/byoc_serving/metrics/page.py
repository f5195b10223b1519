"""/metrics: every metric in Prometheus' text format 0.0.4 (prometheus.io, exposition_formats)."""

from collections.abc import Iterable, Iterator
from itertools import accumulate

from byoc_serving.metrics.families import Distribution, Family, Labels

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def page(families: Iterable[Family]) -> bytes:
    """Return the page that a scraper reads; metrics without a value are left out."""
    lines = (line for family in families if family.values or family.distribution for line in _lines(family))
    return "".join(f"{line}\n" for line in lines).encode()


def _lines(family: Family) -> Iterator[str]:
    yield f"# HELP {family.name} {family.help}"
    yield f"# TYPE {family.name} {family.kind.name.lower()}"
    if family.distribution:
        yield from _buckets(family.name, family.distribution)
    for labels, value in family.values.items():
        yield f"{family.name}{_braced(labels)} {_number(value)}"


def _buckets(name: str, distribution: Distribution) -> Iterator[str]:
    below = [_number(count) for count in accumulate(distribution.counts)]
    for bound, count in zip(distribution.bounds, below, strict=False):
        yield f'{name}_bucket{{le="{_number(bound)}"}} {count}'
    yield f'{name}_bucket{{le="+Inf"}} {below[-1]}'
    yield f"{name}_sum {_number(distribution.total)}"
    yield f"{name}_count {below[-1]}"


def _braced(labels: Labels) -> str:
    pairs = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels)
    return f"{{{pairs}}}" if pairs else ""


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float) -> str:
    is_whole = float(value).is_integer() and abs(value) < 1e15
    return str(int(value)) if is_whole else repr(value)
