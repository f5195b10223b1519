"""Draws a run's requests per second as bars, one for each server, in SVG."""

from html import escape

from bench.contest.report import asked
from bench.contest.results import Results
from bench.contest.servers import CEILING, OURS

MEASURE, P99 = "row_16.per_s", "row_16.p99_ms"
WIDTH, LABEL, RIGHT = 1000, 450, 150
ROW, BAR, TOP = 30, 20, 50
COLOURS = {OURS.name: "#1a7f37", CEILING.name: "#b8bfc6"}
OTHER = "#57799b"


def picture(results: Results) -> str:
    """Return the picture; a server that was not measured has no bar, but the words."""
    servers = asked(results)
    most = max((results.median(server.name, MEASURE) or 0.0 for server in servers), default=0.0)
    height = TOP + ROW * len(servers) + 15
    title = "1 JSON row a request, 16 clients: requests per second, and p99"
    size = f'width="{WIDTH}" height="{height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="13">',
        f"<title>{title}</title>",
        f'<rect {size} fill="#ffffff"/>',
        f'<text x="15" y="28" font-size="15" font-weight="bold" fill="#1f2328">{title}</text>',
    ]
    for number, server in enumerate(servers):
        y = TOP + ROW * number
        rate, p99 = results.median(server.name, MEASURE), results.median(server.name, P99)
        told = "not measured" if rate is None or p99 is None else f"{rate:,.0f}/s, {p99:.1f} ms"
        width = (WIDTH - LABEL - RIGHT) * (rate or 0.0) / (most or 1.0)
        colour = COLOURS.get(server.name, OTHER)
        parts += [
            _text(LABEL - 10, y, server.title, "end"),
            f'<rect x="{LABEL}" y="{y}" width="{width:.1f}" height="{BAR}" fill="{colour}"/>',
            _text(LABEL + width + 8, y, told, "start"),
        ]
    return "\n".join([*parts, "</svg>", ""])


def _text(x: float, y: float, words: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y + 15}" text-anchor="{anchor}" fill="#1f2328">{escape(words)}</text>'
