"""What the Content-Type and Accept headers say (RFC 9110, 8.3 and 12.5.1)."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from byoc_serving.errors import NotAcceptableError

JSON = "application/json"

_LONGEST_ACCEPT = 1024
_MOST_RANGES = 32

# Nothing is tried twice (++, *+, ?+): a header would otherwise cost the square of its length. A quote that is
# never closed takes the rest.
_ELEMENT = re.compile(r'(?:[^,"]++|"(?:\\.|[^"\\])*+"?+)++')
_PARAMETER = re.compile(r';\s*+([^\s=;"]++)\s*+=\s*+("(?:\\.|[^"\\])*+"|[^;"]*+)')
_QUOTED, _ESCAPED = re.compile(r'["\\]'), r"\\\g<0>"
_QUALITY = re.compile(r"0(\.\d{0,3})?|1(\.0{0,3})?")


@dataclass(frozen=True)
class MediaType:
    """A media type, such as text/csv, in lower case, and its parameters, their names in lower case."""

    name: str
    parameters: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """Return it as a Content-Type header has it."""
        said = (f'; {name}="{_QUOTED.sub(_ESCAPED, value)}"' for name, value in self.parameters.items())
        return self.name + "".join(said)


@dataclass(frozen=True)
class _Range:
    """One element of an Accept header: a media type, type/* or */*, with its weight and place."""

    name: str
    quality: float
    place: int

    @property
    def precision(self) -> int:
        return 2 - self.name.count("*")

    def covers(self, name: str) -> bool:
        kind, _, subtype = self.name.partition("/")
        return self.name in (name, "*/*") or (subtype == "*" and name.startswith(f"{kind}/"))


def media_type(header: str) -> MediaType:
    """Return what a Content-Type header, or one element of an Accept header, names."""
    name, separator, rest = header.partition(";")
    found = _PARAMETER.findall(separator + rest)
    return MediaType(name.strip().lower(), {key.lower(): _unquoted(value) for key, value in found})


def negotiate(accept: str | None, supported: Sequence[str], default: str) -> str:
    """Return which of the supported media types, or the default, an Accept header likes best.

    Where it likes several equally, the one named most precisely, then first, is taken; under a wildcard
    the default comes first. No header is `*/*`.

    Raises:
        NotAcceptableError: it allows none of them, or is too long.
    """
    ranges = _ranges(accept or "*/*", supported) or _ranges("*/*", supported)
    ranked = {name: _rank(name, ranges) for name in (default, *supported)}
    best = max(ranked, key=ranked.__getitem__)
    if ranked[best][0] == 0:
        raise NotAcceptableError(
            f"Accept is {accept!r}, which cannot be produced. Accept one of {', '.join(supported)}.",
            sent=accept,
            supported=list(supported),
        )
    return best


def preferred(accept: str | None, known: Sequence[str], default: str) -> str:
    """Return the media type that an Accept header likes best, whether or not it is known here.

    Known types and the default stand in where a wildcard leaves the choice; the default where nothing fits.

    Raises:
        NotAcceptableError: it is too long.
    """
    named = [r.name for r in _ranges(accept or "", known) if "*" not in r.name]
    try:
        return negotiate(accept, [*named, *known], default)
    except NotAcceptableError:
        return default


def _ranges(accept: str, supported: Sequence[str]) -> list[_Range]:
    elements = _ELEMENT.findall(accept) if len(accept) <= _LONGEST_ACCEPT else None
    if elements is None or len(elements) > _MOST_RANGES:
        raise NotAcceptableError(
            f"Accept has {len(accept)} characters. Send at most {_LONGEST_ACCEPT}, and {_MOST_RANGES} types.",
            sent=accept[:_LONGEST_ACCEPT],
            supported=list(supported),
        )
    types = [media_type(element) for element in elements]
    named = [t for t in types if "/" in t.name]
    return [_Range(t.name, _quality(t), place) for place, t in enumerate(named)]


def _quality(given: MediaType) -> float:
    text = given.parameters.get("q", "1")
    return float(text) if _QUALITY.fullmatch(text) else 1.0


def _rank(name: str, ranges: Sequence[_Range]) -> tuple[float, int, int]:
    """How much a type is liked: by the most precise range that covers it, and where that stands."""
    covering = [r for r in ranges if r.covers(name)]
    if not covering:
        return (0.0, 0, 0)
    best = max(covering, key=lambda r: (r.precision, r.quality))
    return (best.quality, best.precision, -best.place)


def _unquoted(value: str) -> str:
    value = value.strip()
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if value[:1] == '"' else value
