"""Tells a run's results as Markdown: each promise with its verdict, then every server with its figures."""

from collections.abc import Callable, Iterable, Sequence

from bench.contest.results import Results
from bench.contest.servers import SERVERS, Server
from bench.contest.targets import HOLDS, Verdict

_SIGNS = {">=": "≥", "<=": "≤"}
_FACTOR_DIGITS = 10  # from there on a ratio is told without decimals


def markdown(results: Results, judged: Sequence[Verdict]) -> str:
    """Return the whole report."""
    parts = [conditions(results)]
    if judged:
        parts.append(promises(judged))
    if "load" in results.about["sections"]:
        parts.append(field(results))
    if results.reasons:
        parts.append(
            "\n".join(f"- {who}: not measured: {_line(why)}" for who, why in results.reasons.items())
        )
    return "\n\n".join(parts) + "\n"


def conditions(results: Results) -> str:
    """Return a sentence on where, when and how it was measured."""
    about = results.about
    return (
        f"{about['taken']}, {about['cores']} cores ({about['processor']}), Python {about['python']}, "
        f"{about['repeats']} repeats of {about['seconds']} s each in turns; medians, of ratios too."
    )


def promises(judged: Iterable[Verdict]) -> str:
    """Return the table of promises."""
    rows = [
        (
            one.target.line,
            f"{_SIGNS[one.target.comparison]} {one.target.words}",
            reached(one),
            f"**{one.outcome}**" if one.outcome != HOLDS else one.outcome,
        )
        for one in judged
    ]
    return table(("measure", "to reach", "reached", "verdict"), rows)


def reached(one: Verdict) -> str:
    """Return a verdict's figures, such as "2.46 x: 14,100 against 5,740"."""
    if one.ours is None:
        return ""
    show = _display(one.target.measure)
    if one.target.against is None:
        text = show(one.ours)
    elif one.other is None:
        text = f"{show(one.ours)} against nothing"
    else:
        text = f"{show(one.ours)} against {show(one.other)}"
        if one.ratio is not None:
            text = f"{_ratio(one.ratio)}: {text}"
    return f"{text}; {one.failures} failed" if one.failures else text


def field(results: Results) -> str:
    """Return the table of the servers that were under load."""
    columns: Sequence[tuple[str, Callable[[Results, str], str]]] = (
        ("1 row, 16 clients: requests/s (p99)", _rate("row_16")),
        ("1 client, p50", _cell("row_1.p50_ms")),
        ("100 rows, 16 clients: requests/s (p99)", _rate("rows100_16")),
        ("1 row, 64 clients: requests/s (p99)", _rate("row_64")),
        ("start", _cell("start_beside.s")),
        ("memory (PSS)", _cell("pss.mb")),
        ("failed", lambda results, server: f"{results.failed(server):,}"),
    )
    rows = [
        (
            server.title,
            *(
                "not measured" if server.name in results.reasons else show(results, server.name)
                for _, show in columns
            ),
        )
        for server in asked(results)
    ]
    return table(("server", *(name for name, _ in columns)), rows)


def asked(results: Results) -> list[Server]:
    """Return the servers that the run was about, in their order."""
    return [server for server in SERVERS if server.name in results.about["servers"]]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _rate(cell: str) -> Callable[[Results, str], str]:
    def show(results: Results, server: str) -> str:
        rate, p99 = results.median(server, f"{cell}.per_s"), results.median(server, f"{cell}.p99_ms")
        return "" if rate is None or p99 is None else f"{rate:,.0f} ({_ms(p99)})"

    return show


def _cell(measure: str) -> Callable[[Results, str], str]:
    def show(results: Results, server: str) -> str:
        value = results.median(server, measure)
        return "" if value is None else _display(measure)(value)

    return show


def _display(measure: str) -> Callable[[float], str]:
    """Return how figures of a measure are told, by the unit at the end of its name."""
    return next(show for unit, show in _UNITS if measure.endswith(unit))


def _ms(value: float) -> str:
    return f"{value:.2f} ms" if value < _FACTOR_DIGITS else f"{value:,.0f} ms"


def _ratio(value: float) -> str:
    return f"{value:.2f} x" if value < _FACTOR_DIGITS else f"{value:.1f} x"


def _line(text: str) -> str:
    return " ".join(text.split())


_UNITS: Sequence[tuple[str, Callable[[float], str]]] = (
    ("mb_per_s", lambda value: f"{value:,.0f} MB/s"),
    ("per_s", lambda value: f"{value:,.0f}"),
    ("mb", lambda value: f"{value:,.0f} MB"),
    ("ms", _ms),
    (".s", lambda value: f"{value:.2f} s"),
    ("percent", lambda value: f"{value:.2f} %"),
)
