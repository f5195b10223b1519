import pytest

from bench.contest.results import Results
from bench.contest.servers import SERVERS
from bench.contest.targets import (
    AT_LEAST,
    AT_MOST,
    HOLDS,
    NOT_MEASURED,
    SHORT,
    TARGETS,
    Target,
    verdict,
    verdicts,
)

FASTER = Target("rate", "row_16.per_s", AT_LEAST, "2.3 x theirs", 2.3, ("fastapi-tuned", "row_16.per_s"))
SOONER = Target(
    "start", "start.s", AT_MOST, "theirs + 0.5 s", 1.0, ("theirs", "start.s"), plus=0.5, section="start"
)
SMALL = Target("memory", "memory.mb", AT_MOST, "800 MB", plus=800.0, section="memory")


def results(**samples):
    """Return results of ours, and of `theirs` where a name begins with it."""
    made = Results()
    made.about = {"sections": ["load"], "servers": ["ours", "fastapi-tuned"]}
    for name, (server, measure, *values) in samples.items():
        del name
        for value in values:
            made.add(server, measure, value)
    return made


@pytest.mark.parametrize(
    ("ours", "theirs", "outcome"),
    [
        (2300.0, 1000.0, HOLDS),
        (2299.0, 1000.0, SHORT),
        (None, 1000.0, NOT_MEASURED),
        (2300.0, None, NOT_MEASURED),
    ],
)
def test_a_rate_is_held_against_a_multiple_of_anothers(ours, theirs, outcome):
    made = Results()
    for server, value in (("ours", ours), ("fastapi-tuned", theirs)):
        if value is not None:
            made.add(server, "row_16.per_s", value)
    assert verdict(FASTER, made).outcome == outcome


@pytest.mark.parametrize(("ours", "outcome"), [(2.5, HOLDS), (2.51, SHORT)])
def test_a_time_may_be_anothers_and_some_more(ours, outcome):
    made = results(a=("ours", "start.s", ours), b=("theirs", "start.s", 2.0))
    assert verdict(SOONER, made).outcome == outcome


@pytest.mark.parametrize(("ours", "outcome"), [(800.0, HOLDS), (801.0, SHORT)])
def test_a_figure_may_stand_alone(ours, outcome):
    assert verdict(SMALL, results(a=("ours", "memory.mb", ours))).outcome == outcome


def test_medians_are_told():
    made = results(
        a=("ours", "row_16.per_s", 1.0, 3000.0, 9999.0), b=("fastapi-tuned", "row_16.per_s", 1000.0, 1.0, 1e9)
    )
    assert (verdict(FASTER, made).ours, verdict(FASTER, made).other) == (3000.0, 1000.0)


def test_what_was_measured_in_one_turn_is_held_against_each_other():
    """A machine that is ten times as fast for a turn is so for both."""
    made = results(
        a=("ours", "row_16.per_s", 2400.0, 25000.0, 2600.0),
        b=("fastapi-tuned", "row_16.per_s", 1000.0, 10000.0, 1200.0),
    )
    assert (verdict(FASTER, made).ratio, verdict(FASTER, made).outcome) == (2.4, HOLDS)
    made.add("ours", "row_16.per_s", 2400.0)  # a turn that only one of them has had
    assert verdict(FASTER, made).ratio == 2500.0 / 1200.0


def test_two_loads_of_ours_are_not_of_one_turn_and_are_held_against_each_other_by_their_medians():
    more = Target("more", "row_64.per_s", AT_LEAST, "ours at 16", 1.0, ("ours", "row_16.per_s"))
    made = results(a=("ours", "row_64.per_s", 10.0, 30.0, 20.0), b=("ours", "row_16.per_s", 30.0, 16.0, 10.0))
    found = verdict(more, made)
    assert (found.outcome, found.ratio) == (HOLDS, 20.0 / 16.0)


def test_fast_answers_do_not_make_up_for_failed_ones():
    made = results(b=("fastapi-tuned", "row_16.per_s", 1000.0))
    made.add("ours", "row_16.per_s", 9000.0, failures=1)
    judged = verdict(FASTER, made)
    assert (judged.outcome, judged.failures) == (SHORT, 1)


@pytest.mark.parametrize("suffix", ["p50_ms", "p99_ms"])
def test_failures_count_for_every_figure_of_the_load_that_they_belong_to(suffix):
    made = results(b=("fastapi-tuned", f"row_16.{suffix}", 10.0), c=("ours", f"row_16.{suffix}", 1.0))
    made.add("ours", "row_16.per_s", 9000.0, failures=1)
    target = Target("p", f"row_16.{suffix}", AT_MOST, "theirs", 1.0, ("fastapi-tuned", f"row_16.{suffix}"))
    assert verdict(target, made).outcome == SHORT


def test_a_run_is_judged_by_what_it_was_about():
    made = Results()
    made.about = {"sections": ["load"], "servers": ["ours", "fastapi-tuned"]}
    judged = verdicts(made)
    assert {one.target.section for one in judged} == {"load"}
    assert {one.target.against[0] for one in judged} == {"ours", "fastapi-tuned"}


def test_a_run_without_ours_promises_nothing():
    made = Results()
    made.about = {"sections": ["load"], "servers": ["fastapi", "fastapi-tuned"]}
    assert verdicts(made) == []


def test_a_whole_run_is_judged_by_every_promise():
    made = Results()
    sections = ["load", "large", "start", "memory", "pull", "idle"]
    made.about = {"sections": sections, "servers": [server.name for server in SERVERS]}
    judged = verdicts(made)
    assert [one.target for one in judged] == list(TARGETS)
    assert {one.outcome for one in judged} == {NOT_MEASURED}
    assert {target.section for target in TARGETS} == set(sections)


def test_a_comparison_says_how_far_ours_may_be_from_another():
    assert all(bool(target.factor) == bool(target.against) for target in TARGETS)
    assert {target.comparison for target in TARGETS} == {AT_LEAST, AT_MOST}
