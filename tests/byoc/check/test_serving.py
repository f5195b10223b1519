"""A server's processes are told apart: what predicts, what passes on, what only cleans up."""

import pytest

from byoc.check.serving import Server
from byoc.check.verdict import CannotTestError
from byoc.runtime.procfs import Running


def process(pid, parent, name, *words):
    return Running(pid, parent, name, words or (name,), 0.0)


@pytest.fixture
def predictors(monkeypatch):
    def predictors(*processes):
        monkeypatch.setattr(Server, "processes", lambda _server: list(processes))
        return [one.pid for one in Server(lambda: None).predictors()]

    return predictors


def test_a_single_process_predicts(predictors):
    assert predictors(process(1, 0, "python")) == [1]


def test_workers_predict_and_neither_their_masters_nor_a_proxy(predictors):
    assert predictors(
        process(1, 0, "python"),
        process(2, 1, "nginx"),
        process(3, 2, "nginx"),
        process(4, 1, "gunicorn"),
        process(5, 4, "gunicorn"),
        process(6, 4, "gunicorn"),
    ) == [5, 6]


def test_what_has_a_proxy_below_it_predicts(predictors):
    assert predictors(process(1, 0, "python"), process(2, 1, "nginx"), process(3, 2, "nginx")) == [1]


def test_a_proxy_that_has_nobody_behind_it_predicts_itself(predictors):
    assert predictors(process(1, 0, "sh"), process(2, 1, "httpd"), process(3, 2, "httpd")) == [3]


def test_what_only_cleans_up_does_not_predict(predictors):
    tracker = process(2, 1, "python", "python", "-c", "from multiprocessing.resource_tracker import main")
    assert predictors(process(1, 0, "python"), tracker) == [1]


def test_somebody_elses_server_is_not_looked_into():
    with pytest.raises(CannotTestError, match=r"starts itself"):
        Server(lambda: None).processes()
