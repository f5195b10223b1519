from xml.etree import ElementTree

from bench.contest.picture import picture
from bench.contest.results import Results

SVG = "{http://www.w3.org/2000/svg}"


def drawn(rates):
    made = Results()
    made.about = {"servers": ["ours", "fastapi-tuned", "bentoml"]}
    for server, rate in rates.items():
        made.add(server, "row_16.per_s", rate)
        made.add(server, "row_16.p99_ms", 2.6)
    root = ElementTree.fromstring(picture(made))
    bars = [float(bar.get("width")) for bar in root.iter(f"{SVG}rect")][1:]
    return bars, [text.text for text in root.iter(f"{SVG}text")]


def test_a_bar_is_as_long_as_the_rate_is_high():
    bars, words = drawn({"ours": 14000.0, "fastapi-tuned": 7000.0})
    assert bars[0] == 2 * bars[1] > 0
    assert "14,000/s, 2.6 ms" in words


def test_a_server_that_was_not_measured_has_no_bar():
    bars, words = drawn({"ours": 14000.0, "fastapi-tuned": 7000.0})
    assert bars[2] == 0
    assert words.count("not measured") == 1


def test_nothing_measured_is_a_picture_too():
    bars, words = drawn({})
    assert bars == [0, 0, 0]
    assert words.count("not measured") == 3
