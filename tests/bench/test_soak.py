"""soak: only what killed workers held may fail, and memory and the log stay as they were."""

import shutil

import pytest

from bench.contest.wrk import Load, Shot, load
from bench.soak import MOST_COMPLAINTS, Watched, faults_in, growth_in, pace_faults
from byoc_serving.settings import Settings
from flask_server import ECHO, apps_with, fast_serving, own_imports
from predictor import create_app

LOST = (
    '{"logger": "nginx", "message": "*5 recv() failed (104) while reading a header from upstream, client: 1"}'
)
REFUSED = (
    '{"logger": "nginx", "message": "*5 connect() failed (111) while connecting to upstream, client: 1"}'
)


@pytest.mark.parametrize(
    ("failures", "kills", "log", "fault"),
    [
        (0, 3, [], None),
        (2, 1, [LOST, LOST, REFUSED], None),
        (3, 1, [LOST, LOST], "3 requests failed, and the killed workers held 2"),
        (17, 1, [LOST] * 17, "17 requests failed, and the killed workers held 16"),
        (0, 1, [REFUSED] * (MOST_COMPLAINTS + 1), "nginx complained"),
    ],
)
def test_a_failure_that_no_killed_worker_explains_falls_short(failures, kills, log, fault):
    found = faults_in(Load(100.0, 1.0, 2.0, failures), Watched([100.0] * 8, kills), log)
    assert [fault in one for one in found] == [True] if fault else found == []


def test_a_worker_that_ends_by_itself_falls_short_and_one_that_was_killed_does_not():
    watched = Watched([100.0] * 8, 1, killed={7})
    for workers in ([6, 7], [6], [6, 8], [8], [8, 9]):
        watched.look(workers)
    [fault] = faults_in(Load(100.0, 1.0, 2.0, 0), watched, [])
    assert fault == "1 workers ended that nobody had killed: [6]"


@pytest.mark.parametrize(
    ("per_second", "capacity_after", "fault"),
    [
        (700.0, 1000.0, None),
        (640.0, 300.0, None),
        (460.0, 600.0, None),
        (460.0, 1000.0, "460 requests/s were answered, not 700: capacity was 1,000 before, and is 1,000 now"),
        (300.0, 600.0, "300 requests/s were answered, not 420"),
    ],
)
def test_a_pace_that_was_not_kept_falls_short_unless_the_machine_became_slower(
    per_second, capacity_after, fault
):
    found = pace_faults(per_second, 1000.0, capacity_after)
    assert [fault in one for one in found] == [True] if fault else found == []


@pytest.mark.parametrize(
    ("memory_mb", "grew"),
    [([], False), ([100], False), ([200, 300, 100, 200, 210], False), ([200] * 20 + [300] * 20, True)],
)
def test_memory_that_grew_and_stayed_falls_short(memory_mb, grew):
    assert (growth_in(memory_mb) is not None) == grew


@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")
def test_a_pace_is_kept(tmp_path):
    body = tmp_path / "body"
    body.write_bytes(b"[[1]]")
    with own_imports():
        app = create_app(Settings(base_dir=tmp_path, apps_dir=apps_with(tmp_path, ECHO)))
        with fast_serving(app) as caller:
            url = f"http://127.0.0.1:{caller.port}/invocations"
            outcome = load(Shot(url, body, "application/json"), 4, 1, pace=40)
    assert outcome.failures == 0
    assert 20 <= outcome.per_second <= 50
