"""Which programs answer for which endpoint, now; and how many calls each of them has in flight."""

import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from byoc.local.hosting.upstream import Upstream


@dataclass
class Variant:
    """A production variant's programs that answer, and its share of the calls.

    Attributes:
        weight: its part of the sum of all variants' weights.
        credit: the state of the smooth weighted round-robin.
        turn: the state of the round-robin among programs that are equally busy.
    """

    name: str
    weight: float
    upstreams: Sequence[Upstream]
    credit: float = 0.0
    turn: int = 0


@dataclass(frozen=True)
class Choice:
    """The program that answers one call, and its variant; give it back by Routes.release."""

    variant: str
    upstream: Upstream


@dataclass
class Routes:
    """The table of all endpoints that answer. Every method may be called from any thread."""

    _endpoints: dict[str, list[Variant]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def switch(self, endpoint: str, variants: Mapping[str, tuple[float, Sequence[Upstream]]]) -> None:
        """Let an endpoint be answered by these programs from the next call on; calls under way go on."""
        fresh = [Variant(name, weight, tuple(upstreams)) for name, (weight, upstreams) in variants.items()]
        with self._lock:
            self._endpoints[endpoint] = fresh

    def remove(self, endpoint: str) -> None:
        """Let an endpoint answer no more. Safe to repeat."""
        with self._lock:
            self._endpoints.pop(endpoint, None)

    def variants(self, endpoint: str) -> list[str] | None:
        """Return the names of an endpoint's variants, None where it does not answer."""
        with self._lock:
            found = self._endpoints.get(endpoint)
            return None if found is None else [variant.name for variant in found]

    def upstreams(self, endpoint: str) -> list[Upstream]:
        """Return every program that answers for an endpoint."""
        with self._lock:
            found = self._endpoints.get(endpoint, [])
            return [upstream for variant in found for upstream in variant.upstreams]

    def choose(
        self, endpoint: str, variant: str | None = None, tried: Collection[Upstream] = ()
    ) -> Choice | None:
        """Return the program for one call, which is counted as in flight there.

        Among variants by weight, as AWS does; among a variant's programs the one with the fewest calls
        (AWS's LEAST_OUTSTANDING_REQUESTS), in turn where several are equal.

        Args:
            endpoint: by its name.
            variant: the only one that may answer.
            tried: programs that may not.

        Returns:
            None where no program is left.
        """
        with self._lock:
            found = self._endpoints.get(endpoint, [])
            chosen = _by_weight([one for one in found if variant in (None, one.name)], tried)
            if chosen is None:
                return None
            upstream = _least_busy(chosen, tried)
            upstream.in_flight += 1
        return Choice(chosen.name, upstream)

    def release(self, choice: Choice) -> None:
        """Say that a call has been answered."""
        with self._lock:
            choice.upstream.in_flight -= 1


def _by_weight(variants: Sequence[Variant], tried: Collection[Upstream]) -> Variant | None:
    """Return the variant whose turn it is: over time each gets its share, evenly spread (as nginx has it)."""
    answering = [variant for variant in variants if _left(variant, tried)]
    if len(answering) <= 1:
        return answering[0] if answering else None
    total = 0.0
    for variant in answering:
        variant.credit += variant.weight
        total += variant.weight
    chosen = max(answering, key=lambda variant: (variant.weight > 0, variant.credit))
    chosen.credit -= total
    return chosen


def _least_busy(variant: Variant, tried: Collection[Upstream]) -> Upstream:
    left = _left(variant, tried)
    variant.turn += 1
    first = variant.turn % len(left)
    return min((*left[first:], *left[:first]), key=lambda upstream: upstream.in_flight)


def _left(variant: Variant, tried: Collection[Upstream]) -> Sequence[Upstream]:
    if not tried:
        return variant.upstreams
    return [upstream for upstream in variant.upstreams if upstream not in tried]
