import json

import pytest

from bench.contest.report import markdown
from bench.contest.results import Results, results_from
from bench.contest.targets import verdicts


@pytest.fixture
def results():
    made = Results()
    made.about = {
        "taken": "2026-11-21",
        "cores": 2,
        "processor": "some processor",
        "python": "3.11.7",
        "repeats": 3,
        "seconds": 2,
        "sections": ["load", "start"],
        "servers": ["ours", "fastapi-tuned", "bentoml", "ceiling"],
    }
    for server, rate in (("ours", 14100.0), ("fastapi-tuned", 5740.0), ("ceiling", 30000.0)):
        made.add(server, "row_16.per_s", rate)
        made.add(server, "row_16.p99_ms", 2.6)
    made.add("ours", "row_1.p50_ms", 0.33)
    made.add("ours", "start_beside.s", 3.25)
    made.add("ours", "pss.mb", 389.2)
    made.add("fastapi-tuned", "row_64.per_s", 4000.0, failures=7)
    made.reasons["bentoml"] = "bench/.venvs/bentoml cannot be installed:\n  no such package"
    return made


def lines(results):
    return markdown(results, verdicts(results)).splitlines()


def test_each_promise_has_its_figures_and_its_verdict(results):
    told = lines(results)
    assert (
        "| 1 JSON row, 16 clients, requests/s | ≥ 2.3 x tuned FastAPI | 2.46 x: 14,100 against 5,740 "
        "| holds |" in told
    )
    assert (
        "| 1 JSON row, 16 clients, requests/s | ≥ 60 % of the ceiling | 0.47 x: 14,100 against 30,000 "
        "| **falls short** |" in told
    )
    assert any("start to the first 200" in line and line.endswith("| **not measured** |") for line in told)


def test_each_server_is_a_row_with_its_figures_and_failures(results):
    (ours,) = [line for line in lines(results) if line.startswith("| ours")]
    assert ours.split(" | ")[1:] == ["14,100 (2.60 ms)", "0.33 ms", "", "", "3.25 s", "389 MB", "0 |"]
    (tuned,) = [line for line in lines(results) if line.startswith("| FastAPI and uvicorn, tuned")]
    assert tuned.endswith("| 7 |")


def test_a_server_that_did_not_start_is_told_with_its_reason(results):
    told = lines(results)
    assert any(line.startswith("| BentoML | not measured |") for line in told)
    assert "- bentoml: not measured: bench/.venvs/bentoml cannot be installed: no such package" in told


def test_a_report_can_be_told_again_from_its_file(results):
    again = results_from(json.loads(json.dumps(results.as_json())))
    assert lines(again) == lines(results)
    assert again.as_json() == results.as_json()
