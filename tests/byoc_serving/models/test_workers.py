"""The multi-model API under `serve`, with two workers that share nothing but a folder."""

import json
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from byoc_serving.supervision.memory import anonymous_memory
from processes import alive, eventually
from scrape import scraped
from serving import APPS, program_with, serve

pytestmark = pytest.mark.nginx

MB = 1 << 20


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    folder = tmp_path_factory.mktemp("many")
    program = program_with(APPS / "scales", folder / "program")
    variables = {"SAGEMAKER_MULTI_MODEL": "true", "MODEL_SERVER_MODELS_MB": "300"}
    with serve(program, folder, MODEL_SERVER_WORKERS="2", **variables) as running:
        yield Many(running.wait_until_ready(), folder)


class Many:
    def __init__(self, running, folder):
        self.running = running
        self.folder = folder

    def write(self, name, **told):
        folder = self.folder / "models" / name / "model"
        folder.mkdir(parents=True)
        (folder / "model.json").write_text(json.dumps({"factor": 3, **told}))
        return folder

    def load(self, name):
        url = str(self.folder / "models" / name / "model")
        return self.running.request("POST", "/models", json.dumps({"model_name": name, "url": url}))[0]

    def call(self, name, *row):
        headers = {"Content-Type": "application/json"}
        return self.running.request("POST", f"/models/{name}/invoke", json.dumps([row or [1]]), headers)

    def unload(self, name):
        return self.running.request("DELETE", f"/models/{name}")[0]

    def loads(self, name):
        return (self.folder / "models" / name / "loads").read_text().split()

    def call_until_both_have_answered(self, name, row=(-0.02,)):
        """Call a model from several clients until each worker has answered; return the workers' ids."""
        seen = set()
        with ThreadPoolExecutor(4) as threads:

            def both():
                for status, told in threads.map(lambda _: self.call(name, *row), range(4)):
                    assert status == 200, told
                    seen.add(told["pid"])
                return len(seen) == 2

            assert eventually(both, 30)
        return seen


def test_all_workers_answer_for_a_model_that_one_has_loaded_until_it_is_unloaded(running):
    running.write("shared", mb=60)
    assert running.running.ping()[0] == 200
    assert [running.load("shared") for _ in range(4)] == [200, 409, 409, 409]
    workers = running.call_until_both_have_answered("shared")
    assert sorted(map(int, running.loads("shared"))) == sorted(workers)
    before = {pid: memory_of(pid) for pid in workers}
    assert running.unload("shared") == 200
    assert all(memory_of(pid) < before[pid] - 50 * MB for pid in workers)
    assert {running.call("shared")[0] for _ in range(6)} == {404}
    assert {running.running.request("GET", "/models/shared")[0] for _ in range(6)} == {404}
    assert running.unload("shared") == 404


def test_a_model_that_many_want_at_once_is_loaded_by_one_worker_once(running):
    running.write("wanted", load_s=0.5)
    with ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(running.load, ["wanted"] * 6))
    assert sorted(answers) == [200] + [409] * 5
    assert len(running.loads("wanted")) == 1


def test_a_name_that_is_loaded_anew_is_the_new_model_in_all_workers(running):
    folder = running.write("renewed")
    assert running.load("renewed") == 200
    running.call_until_both_have_answered("renewed")
    (folder / "model.json").write_text(json.dumps({"factor": 5}))
    assert (running.unload("renewed"), running.load("renewed")) == (200, 200)
    assert {running.call("renewed")[1]["answer"][0] for _ in range(6)} == {5.0}


def test_an_unload_waits_for_a_call_that_a_worker_still_answers(running):
    running.write("busy")
    assert running.load("busy") == 200
    running.call_until_both_have_answered("busy")
    begun = running.folder / "models" / "busy" / "begun"
    begun.unlink()
    with ThreadPoolExecutor(2) as threads:
        calls = [threads.submit(running.call, "busy", -0.7) for _ in range(2)]
        assert eventually(begun.exists)
        assert running.unload("busy") == 200
        assert 200 in {call.result()[0] for call in calls} <= {200, 404}


def test_models_that_do_not_fit_together_take_turns_and_one_that_never_fits_is_507(running):
    for name in ("left", "right"):
        running.write(name, mb=100)
        assert running.load(name) == 200
    for _ in range(3):
        assert (running.call("left")[0], running.call("right")[0]) == (200, 200)
    running.write("huge", mb=220)
    assert running.load("huge") == 507
    assert running.running.ping()[0] == 200
    assert running.call("left")[0] == 200


def test_a_worker_that_is_killed_comes_back_and_knows_the_models(running):
    running.write("kept")
    assert running.load("kept") == 200
    victim = running.call("kept")[1]["pid"]
    os.kill(victim, signal.SIGKILL)
    assert eventually(lambda: not alive(victim))
    assert eventually(lambda: len(running.running.children("gunicorn")) == 3)
    assert running.call_until_both_have_answered("kept")
    listed = running.running.request("GET", "/models")[1]["models"]
    assert "kept" in [model["modelName"] for model in listed]
    assert running.unload("kept") == 200


def test_a_child_loads_in_each_worker_that_its_rows_reach_and_leaves_both_with_its_parent(running):
    children = [{"name": name, "path": name} for name in ("small", "large")]
    table = {"format": "byoc-routes/1", "parent": "parent", "children": children}
    for path, told in (("parent", {"chooses": True}), ("small", {"factor": 1}), ("large", {"mb": 60})):
        folder = running.folder / "models" / "family" / "model" / path
        folder.mkdir(parents=True)
        (folder / "model.json").write_text(json.dumps({"factor": 3, **told}))
    loads = folder.parent / "loads"
    (folder.parent / "routes.json").write_text(json.dumps(table))
    assert running.load("family") == 200
    assert len(loads.read_text().split()) == 1
    workers = running.call_until_both_have_answered("family", [-0.02, 1])
    assert sorted(loads.read_text().split()) == sorted([*map(str, workers)] * 2)  # never the small one
    before = {pid: memory_of(pid) for pid in workers}
    assert running.unload("family") == 200
    assert all(memory_of(pid) < before[pid] - 50 * MB for pid in workers)


def memory_of(pid):
    return anonymous_memory(Path(f"/proc/{pid}/status"))


def test_the_calls_of_all_workers_are_counted_together_and_logged_by_the_name_of_the_model(running):
    def answered():
        return scraped(running.running.request("GET", "/metrics")[1])["byoc_requests_total", 'status="2xx"']

    running.write("counted")
    assert running.load("counted") == 200
    before = answered()
    running.call_until_both_have_answered("counted")

    def logged():
        lines = running.running.log.read_text().splitlines()
        return sum('"model": "counted"' in line for line in lines)

    assert eventually(lambda: answered() - before == logged() >= 2)
