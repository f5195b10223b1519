"""Calls go to variants by weight, and to a variant's programs evenly."""

from collections import Counter

import pytest

from byoc.local.hosting.routes import Routes
from byoc.local.hosting.upstream import Upstream


def upstreams(*names):
    return [Upstream(name, lambda: None) for name in names]


@pytest.fixture
def routes():
    return Routes()


def choices(routes, times, **asked):
    for _ in range(times):
        choice = routes.choose("e", **asked)
        routes.release(choice)
        yield choice


def test_variants_get_their_share_evenly_spread(routes):
    routes.switch("e", {"a": (3.0, upstreams("1")), "b": (1.0, upstreams("2")), "c": (0.0, upstreams("3"))})
    order = [choice.variant for choice in choices(routes, 8)]
    assert Counter(order) == {"a": 6, "b": 2}
    assert Counter(order[:4]) == {"a": 3, "b": 1}


def test_a_variant_of_no_weight_answers_who_asks_for_it(routes):
    routes.switch("e", {"a": (1.0, upstreams("1")), "b": (0.0, upstreams("2"))})
    assert routes.choose("e", "b").upstream.name == "2"


def test_programs_take_turns(routes):
    routes.switch("e", {"a": (1.0, upstreams("1", "2", "3"))})
    names = [choice.upstream.name for choice in choices(routes, 6)]
    assert Counter(names) == {"1": 2, "2": 2, "3": 2}


def test_the_program_with_the_fewest_calls_is_chosen(routes):
    routes.switch("e", {"a": (1.0, upstreams("1", "2"))})
    first, second = routes.choose("e"), routes.choose("e")
    assert {first.upstream.name, second.upstream.name} == {"1", "2"}
    routes.release(first)
    assert routes.choose("e").upstream is first.upstream


def test_a_program_that_was_tried_is_not_chosen_again(routes):
    routes.switch("e", {"a": (1.0, upstreams("1", "2")), "b": (0.0, upstreams("3"))})
    tried = []
    while choice := routes.choose("e", tried=tried):
        tried.append(choice.upstream)
    assert sorted(upstream.name for upstream in tried) == ["1", "2", "3"]


def test_a_switch_leaves_calls_under_way_with_their_program(routes):
    (before,) = upstreams("1")
    routes.switch("e", {"a": (1.0, [before])})
    choice = routes.choose("e")
    routes.switch("e", {"a": (1.0, upstreams("2"))})
    assert routes.choose("e").upstream.name == "2"
    assert before.in_flight == 1
    routes.release(choice)
    assert before.in_flight == 0


def test_an_endpoint_that_was_removed_has_no_program(routes):
    routes.switch("e", {"a": (1.0, upstreams("1"))})
    routes.remove("e")
    routes.remove("e")
    assert routes.choose("e") is None
    assert routes.variants("e") is None
