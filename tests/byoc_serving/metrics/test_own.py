"""own: what the user's code counts is on the page, and what it does wrong is told and fails nothing."""

import numpy as np
import pytest

from byoc_serving.metrics.families import Standing, families
from byoc_serving.metrics.own import OwnMetrics
from byoc_serving.metrics.page import page
from byoc_serving.metrics.table import Table
from scrape import scraped


def told(*tables):
    standing = Standing(ready=0, in_flight=0, waiting=0, memory={})
    return scraped(page(families(tables, standing)).decode())


def test_counters_and_distributions_add_up_over_workers_and_the_latest_gauge_counts():
    tables = [Table.private(), Table.private()]
    early, late = (
        OwnMetrics(table, clock=lambda s=s: s) for table, s in zip(tables, (1.0, 2.0), strict=True)
    )
    for metrics in (late, early):
        metrics.add_counter("unknown_words", 2)
        metrics.add_time("lookup", 250)
        metrics.add_size("image", 2, None, "kB")
        metrics.add_percent("Coverage", np.float32(50), dimensions=[])
        metrics.add_metric("score", 0.7, unit="none")
        metrics.add_error("bad_words", "a word")
    early.add_gauge("table_age", 1)
    late.add_gauge("table_age", -3.5)
    page = told(*tables)
    assert (page["unknown_words", None], page["table_age", None], page["bad_words", None]) == (4, -3.5, 2)
    assert (page["lookup_sum", None], page["lookup_count", None]) == (0.5, 2)
    assert (page["lookup_bucket", 'le="0.1"'], page["lookup_bucket", 'le="0.25"']) == (0, 2)
    assert (page["image_sum", None], page["Coverage_sum", None]) == (4096, 100)


def test_the_next_worker_goes_on_with_what_there_is():
    table = Table.private()
    for _ in range(2):
        OwnMetrics(table).add_counter("seen")
    assert told(table)["seen", None] == 2


@pytest.mark.parametrize(
    ("act", "why"),
    [
        (lambda m: m.add_counter("no spaces"), "letters, digits and _"),
        (lambda m: m.add_counter("x" * 65), "at most 64"),
        (lambda m: m.add_counter(["a"]), "letters, digits and _"),
        (lambda m: m.add_counter("byoc_rows_total"), "are taken"),
        (lambda m: m.add_metric("latency_bucket", 1), "are taken"),
        (lambda m: m.add_counter("a", -1), "only grows"),
        (lambda m: m.add_metric("a", "1"), "'1' is no number"),
        (lambda m: m.add_metric("a", None), "None is no number"),
        (lambda m: m.add_gauge("a", float("nan")), "nan is no number"),
        (lambda m: m.add_gauge("a", 10**400), "is no number"),
        (lambda m: m.add_metric("a", np.ones(3)), "is no number"),
        (lambda m: m.add_time("a", 1, unit="h"), "Give one of s, ms, us"),
        (lambda m: (m.add_counter("a"), m.add_gauge("a", 1)), "a counter already"),
        (lambda m: [m.add_counter(f"a{i}") for i in range(65)], "'a64': there are 64 already"),
    ],
)
def test_what_cannot_be_kept_is_told_once_and_raises_nothing(caplog, act, why):
    metrics = OwnMetrics(Table.private())
    act(metrics)
    act(metrics)
    [record] = caplog.records
    assert why in record.getMessage()
