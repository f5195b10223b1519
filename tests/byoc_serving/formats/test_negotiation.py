import time

import pytest

from byoc_serving.errors import NotAcceptableError
from byoc_serving.formats import negotiation
from byoc_serving.formats.negotiation import media_type, negotiate, preferred

SUPPORTED = ("application/json", "text/csv", "application/x-npy")


@pytest.mark.parametrize(
    ("header", "name", "parameters"),
    [
        ("text/csv", "text/csv", {}),
        ("Text/CSV; Charset=Latin-1", "text/csv", {"charset": "Latin-1"}),
        ("text/csv;header=present ; charset=utf-8", "text/csv", {"header": "present", "charset": "utf-8"}),
        ('text/csv; charset="utf-8"', "text/csv", {"charset": "utf-8"}),
        (r'text/x; a="se;mi, \"quoted\""', "text/x", {"a": 'se;mi, "quoted"'}),
        ("", "", {}),
        (";;;=", "", {}),
    ],
)
def test_a_media_type_is_read_with_its_parameters(header, name, parameters):
    found = media_type(header)
    assert (found.name, dict(found.parameters)) == (name, parameters)


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, "application/json"),
        ("", "application/json"),
        ("*/*", "application/json"),
        ("text/csv", "text/csv"),
        ("TEXT/CSV", "text/csv"),
        ("text/csv; charset=utf-8", "text/csv"),
        ("text/*", "text/csv"),
        ("image/png, text/csv", "text/csv"),
        ("text/csv, application/json", "text/csv"),
        ("application/json;q=0.5, text/csv;q=0.9", "text/csv"),
        ("text/csv;q=0.5, */*", "application/json"),
        ("*/*;q=0.1, application/x-npy;q=0.2", "application/x-npy"),
        ("application/json;q=0, */*", "text/csv"),
        ("text/csv;q=0.5;header=present, application/json;q=0.4", "text/csv"),
        ("text/csv;q=nonsense", "text/csv"),
        ('image/png; a=", text/csv", application/x-npy', "application/x-npy"),
        ("nonsense", "application/json"),
    ],
)
def test_the_type_liked_best_is_chosen(accept, chosen):
    assert negotiate(accept, SUPPORTED, "application/json") == chosen


def test_a_wildcard_leaves_the_choice_to_the_default():
    assert negotiate("*/*", SUPPORTED, "text/csv") == "text/csv"
    assert negotiate("application/*", SUPPORTED, "text/csv") == "application/json"


@pytest.mark.parametrize("accept", ["image/png", "image/*", "text/csv;q=0", "*/*;q=0"])
def test_what_cannot_be_produced_is_refused_with_what_can(accept):
    with pytest.raises(NotAcceptableError) as refused:
        negotiate(accept, SUPPORTED, "application/json")
    assert refused.value.details == {"sent": accept, "supported": list(SUPPORTED)}
    assert "text/csv" in str(refused.value)


@pytest.mark.parametrize("choose", [negotiate, preferred])
@pytest.mark.parametrize("accept", ["*/*," + "x" * 1021, ",".join(["*/*"] * 33)])
def test_a_header_that_is_too_long_is_refused_with_the_limits(choose, accept):
    with pytest.raises(NotAcceptableError, match="at most 1024, and 32 types") as refused:
        choose(accept, SUPPORTED, "application/json")
    assert refused.value.details["supported"] == list(SUPPORTED)
    assert choose(accept[:1024].rpartition(",")[0], SUPPORTED, "application/json") == "application/json"


def took_s(function, *given):
    started = time.process_time()
    function(*given)
    return time.process_time() - started


@pytest.mark.parametrize(
    "header",
    [
        lambda size: '"' * (size | 1),
        lambda size: 'a/b;"' + '\\"' * (size // 2),
        lambda size: "a/b" + ';c="\\' * (size // 5),
        lambda size: "a/b;" + " " * size,
        lambda size: "a/b;" + "c" * size,
    ],
)
def test_reading_a_header_takes_time_in_proportion_to_its_length(header):
    """Milliseconds; were it the square of it, most of a minute."""
    for read in (negotiation._ELEMENT.findall, media_type):
        assert took_s(read, header(50_000)) < 1


def test_a_quote_that_is_never_closed_takes_the_rest():
    assert negotiate('text/csv; a=", application/x-npy', SUPPORTED, "application/json") == "text/csv"


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, "application/json"),
        ("*/*", "application/json"),
        ("image/png", "image/png"),
        ("image/png;q=0.1, text/html; charset=utf-8", "text/html"),
        ("text/*", "text/csv"),
        ("image/*", "application/json"),
    ],
)
def test_with_a_function_of_the_users_any_type_may_be_preferred(accept, chosen):
    assert preferred(accept, SUPPORTED, "application/json") == chosen
