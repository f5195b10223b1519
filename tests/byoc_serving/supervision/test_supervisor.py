"""serve: what SageMaker sees of the container, through loads, locks, crashes and the end."""

import concurrent.futures
import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import sys
import textwrap
import threading
import time

import pytest

from byoc_serving.supervision.nginx import find_nginx
from processes import alive, below, eventually
from scrape import scraped
from serving import APPS, PROGRAM, program_with, serve

needs_nginx = pytest.mark.nginx
ID_OF_NGINX = re.compile(r"[0-9a-f]{32}c[0-9]+r[0-9]+")
COUNTED_OF_A_TIMEOUT = (
    ("byoc_requests_lost_total", None),
    ("byoc_worker_restarts_total", None),
    ("byoc_worker_timeouts_total", None),
    ("byoc_requests_total", 'status="5xx"'),
    ("byoc_requests_total", 'status="2xx"'),
)


@pytest.fixture(scope="module")
def obeys(tmp_path_factory):
    return program_with(APPS / "obeys", tmp_path_factory.mktemp("obeys") / "program")


def answers_to(running, tables):
    """Send each table at once, on a connection of its own; return what came back, in their order."""
    with concurrent.futures.ThreadPoolExecutor(len(tables)) as callers:
        return list(callers.map(running.invoke, tables))


def in_flight(running):
    return scraped(running.request("GET", "/metrics")[1])["byoc_requests_in_flight", None]


def program_of(script, tmp_path):
    apps = tmp_path / "apps"
    apps.mkdir()
    (apps / "inference.py").write_text(textwrap.dedent(script))
    return program_with(apps, tmp_path / "program")


def program(name, tmp_path):
    return program_with(APPS / name, tmp_path / "program")


def answered_from(port):
    """Ask for /ping from before the port is open; return the status and when it came (monotonic seconds)."""
    give_up = time.monotonic() + 5
    while True:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.connect()
        except ConnectionRefusedError:
            assert time.monotonic() < give_up
            time.sleep(0.005)
            continue
        with contextlib.closing(connection):
            connection.request("GET", "/ping")
            return connection.getresponse().status, time.monotonic()


@needs_nginx
def test_ping_is_answered_within_250_ms_of_the_start(obeys, tmp_path):
    took_s = []
    for attempt in range(5):  # the best of five: other tests run beside this one
        began = time.monotonic()
        with serve(obeys, tmp_path / str(attempt)) as running:
            status, answered = answered_from(running.port)
            assert status == 503
            took_s.append(answered - began)
    assert min(took_s) < 0.25


@needs_nginx
def test_a_load_of_20_s_is_accepted_at_once_503_with_the_reason_then_200(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "load_s").write_text("20")
    with serve(program("loads_slowly", tmp_path), tmp_path, MODEL_SERVER_WORKERS="1") as running:
        assert answered_from(running.port)[0] == 503
        slowest_s = 0.0
        for _ in range(30):
            began = time.monotonic()
            status, answer = running.ping()
            slowest_s = max(slowest_s, time.monotonic() - began)
            assert (status, answer["status"]) == (503, "starting")
            assert answer["reason"].startswith(
                ("The model is being verified, for ", "The model is loading, for ")
            )
            time.sleep(0.1)
        assert slowest_s < 0.25
        assert answer["reason"].startswith("The model is loading, for ")
        running.wait_until_ready(within_s=30)
        assert running.invoke({}) == (200, "loaded")


@needs_nginx
def test_ping_answers_within_250_ms_while_every_worker_holds_the_interpreter_lock_for_3_s(tmp_path):
    with serve(program("holds_the_lock", tmp_path), tmp_path, MODEL_SERVER_WORKERS="2") as running:
        running.wait_until_ready()
        answers = []

        def call():
            answers.append(running.invoke({"hold_s": 3}))

        callers = [threading.Thread(target=call) for _ in range(4)]
        for caller in callers:
            caller.start()
        waits_s = []
        while any(caller.is_alive() for caller in callers):
            began = time.monotonic()
            assert running.ping()[0] == 200
            waits_s.append(time.monotonic() - began)
            time.sleep(0.05)
        assert max(waits_s) < 0.25
        assert len(waits_s) > 50
        assert answers == [(200, "held")] * 4


@needs_nginx
@pytest.mark.bad_input
def test_when_loading_fails_ping_says_why_then_serve_ends_with_1_and_the_reason_last(tmp_path):
    with serve(program("fails_to_load", tmp_path), tmp_path, MODEL_SERVER_WORKERS="2") as running:
        seen = []

        def failed():
            with contextlib.suppress(OSError):
                status, answer = running.ping()
                seen.append((status, answer["status"]))
                return answer["status"] == "failed" and "the weights are upside down" in answer["reason"]

        assert eventually(failed, within_s=10), running.lines()[-3:]
        failed_s = time.monotonic()
        assert running.process.wait(5) == 1
        assert time.monotonic() - failed_s < 2
        assert {status for status, _ in seen} == {503}
        last = running.lines()[-1]
        assert last["level"] == "ERROR"
        assert "model_fn failed: ValueError: the weights are upside down" in last["message"]
        assert "traceback" not in last


@needs_nginx
@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (None, "apps/inference.py is missing"),
        ("import nothing_like_it\n", "apps/inference.py cannot be imported: ModuleNotFoundError"),
        ("def model_fn(model_dir):\n  return {\n", "apps/inference.py cannot be imported: SyntaxError"),
        ("def predict_fn(data, model): return data\n", "apps/inference.py has no model_fn(model_dir)"),
        ("def model_fn(model_dir): return {}\n", "apps/inference.py has no predict_fn(data, model)"),
    ],
)
def test_an_inference_script_that_cannot_be_used_ends_serve_and_is_named(tmp_path, script, reason):
    (tmp_path / "apps").mkdir()
    if script:
        (tmp_path / "apps" / "inference.py").write_text(script)
    with serve(program_with(tmp_path / "apps", tmp_path / "program"), tmp_path) as running:
        assert running.process.wait(15) == 1
        assert running.lines()[-1]["message"].startswith(reason)


@needs_nginx
@pytest.mark.bad_input
def test_a_model_file_of_the_wrong_kind_ends_serve_and_is_named(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.txt").write_text("not a model")
    with serve(program_with(PROGRAM / "apps", tmp_path / "program"), tmp_path) as running:
        assert running.process.wait(30) == 1
        assert f"{tmp_path}/model/model.txt is not a whole LightGBM" in running.lines()[-1]["message"]


@needs_nginx
def test_a_worker_that_is_killed_each_time_it_loads_ends_serve_with_the_reason(tmp_path):
    with serve(program("dies_while_loading", tmp_path), tmp_path, MODEL_SERVER_WORKERS="1") as running:
        assert running.process.wait(20) == 1
        assert "memory is short" in running.lines()[-1]["message"]


@needs_nginx
def test_a_load_over_the_startup_timeout_ends_serve_with_the_reason(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "load_s").write_text("60")
    with serve(program("loads_slowly", tmp_path), tmp_path, SAGEMAKER_STARTUP_TIMEOUT="2") as running:
        assert running.process.wait(10) == 1
        assert "raise SAGEMAKER_STARTUP_TIMEOUT" in running.lines()[-1]["message"]


@needs_nginx
def test_a_load_longer_than_the_timeout_of_a_request_is_let_finish(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "load_s").write_text("4")
    with serve(program("loads_slowly", tmp_path), tmp_path, MODEL_SERVER_TIMEOUT="1") as running:
        running.wait_until_ready(within_s=15)
        assert not [line for line in running.lines() if line.get("level") == "ERROR"]


@needs_nginx
def test_a_request_may_take_all_of_its_timeout_however_old_its_workers_last_sign_of_life(obeys, tmp_path):
    with serve(obeys, tmp_path, MODEL_SERVER_WORKERS="1", MODEL_SERVER_TIMEOUT="3") as running:
        running.wait_until_ready()
        for _ in range(3):
            assert running.invoke({"sleep_s": 2.6})[0] == 200
            time.sleep(0.9)  # the worker says every second that it lives: now it is about to again


@needs_nginx
def test_workers_stuck_beyond_the_timeout_make_ping_503_until_they_are_replaced(obeys, tmp_path):
    variables = {"MODEL_SERVER_WORKERS": "1", "MODEL_SERVER_TIMEOUT": "2", "MODEL_SERVER_METRICS": "emf"}
    with serve(obeys, tmp_path, **variables) as running:
        running.wait_until_ready()
        statuses = []
        caller = threading.Thread(target=lambda: statuses.append(running.invoke({"sleep_s": 60})[0]))
        caller.start()
        assert eventually(lambda: running.ping()[0] == 503, within_s=10)
        caller.join(10)
        assert statuses == [502]
        [overrun] = [line for line in running.lines() if line["message"].startswith("a request overran")]
        assert "time.sleep" in overrun["stack"][-3] + overrun["stack"][-2]
        running.wait_until_ready()
        assert running.invoke({})[0] == 200
        [lost] = [line for line in running.lines() if line["message"].startswith("a worker ended")]
        assert (overrun["request_ids"], lost["at_work"]) == ([lost["request_id"]], True)

        def counted():
            page = scraped(running.request("GET", "/metrics")[1])
            return [page[sample] for sample in COUNTED_OF_A_TIMEOUT]

        assert eventually(lambda: counted() == [1] * 5), counted()  # a call is counted once it is answered
        running.stop()
        [report] = [line for line in running.lines() if "_aws" in line]
        assert (report["byoc_requests_total_2xx"], report["byoc_requests_lost_total"]) == (1, 1)


@needs_nginx
def test_calls_that_are_predicted_one_by_one_have_each_their_own_timeout(tmp_path):
    """One bad row keeps all of them from being predicted together."""
    script = """
        import time
        def model_fn(model_dir): return {}
        def predict_fn(data, model):
            time.sleep(0.8)
            if (data == 13).any():
                raise ValueError("unlucky")
            return data[:, 0].tolist()
    """
    variables = {"MODEL_SERVER_WORKERS": "1", "MODEL_SERVER_TIMEOUT": "2", "MODEL_SERVER_BATCHING": "on"}
    with serve(program_of(script, tmp_path), tmp_path, **variables) as running:
        running.wait_until_ready()
        got = answers_to(running, [[[7.0]]] * 11 + [[[13.0]]])
        assert [status for status, _ in got] == [200] * 11 + [500]


@needs_nginx
def test_callers_who_come_all_at_once_are_predicted_together_and_sent_away_where_too_many_wait(tmp_path):
    script = """
        import time
        def model_fn(model_dir): return {}
        def predict_fn(data, model):
            time.sleep(1)
            return data[:, 0].tolist()
    """
    variables = {"MODEL_SERVER_WORKERS": "1", "MODEL_SERVER_QUEUE": "5", "MODEL_SERVER_BATCHING": "on"}
    with serve(program_of(script, tmp_path), tmp_path, **variables) as running:
        running.wait_until_ready()
        got = answers_to(running, [[[7.0]]] * 12)
        together = [line["together"] for line in running.lines() if line.get("status") == 200]
        assert {status for status, _ in got} == {200, 503}
        assert max(together) == 5  # all that waited for the first ones


STREAMS = """
    import time
    def model_fn(model_dir): return {}
    def predict_fn(data, model): return data
    def output_fn(prediction, accept):
        count, seconds = prediction[0]
        def pieces():
            yield "begun\\n"
            for number in range(int(count)):
                time.sleep(seconds)
                yield f"{number}\\n"
        return pieces(), "text/plain"
"""


@needs_nginx
def test_a_stream_that_hangs_is_seen_named_and_counted_as_any_other_request(tmp_path):
    variables = {"MODEL_SERVER_WORKERS": "1", "MODEL_SERVER_TIMEOUT": "2"}
    with serve(program_of(STREAMS, tmp_path), tmp_path, **variables) as running:
        running.wait_until_ready()
        broken = []

        def call():
            with pytest.raises(http.client.IncompleteRead) as cut:
                running.invoke([[1, 60]])
            broken.append(cut.value.partial)

        caller = threading.Thread(target=call)
        caller.start()
        assert eventually(lambda: in_flight(running) == 1)
        assert eventually(lambda: running.ping()[0] == 503, within_s=10)
        caller.join()
        assert broken == [b"begun\n"]
        running.wait_until_ready()
        [overrun] = [line for line in running.lines() if line["message"].startswith("a request overran")]
        [lost] = [line for line in running.lines() if line["message"].startswith("a worker ended")]
        assert (overrun["request_ids"], lost["at_work"]) == ([lost["request_id"]], True)
        assert lost["message"] == "a worker ended before it had sent all of an answer"
        page = scraped(running.request("GET", "/metrics")[1])
        assert [page[sample] for sample in COUNTED_OF_A_TIMEOUT] == [1, 1, 1, 0, 1]


@needs_nginx
def test_many_streams_may_take_longer_together_than_one_request(tmp_path):
    variables = {"MODEL_SERVER_WORKERS": "1", "MODEL_SERVER_TIMEOUT": "1"}
    with serve(program_of(STREAMS, tmp_path), tmp_path, **variables) as running:
        running.wait_until_ready()
        got = []
        callers = [threading.Thread(target=lambda: got.append(running.invoke([[6, 0.4]]))) for _ in range(6)]
        for caller in callers:
            caller.start()
        assert eventually(lambda: in_flight(running) >= 5, within_s=10)
        running.process.send_signal(signal.SIGTERM)  # and they are sent to their end
        for caller in callers:
            caller.join()
        assert got == [(200, "begun\n0\n1\n2\n3\n4\n5\n")] * 6


@needs_nginx
def test_a_worker_with_more_memory_than_it_may_have_is_replaced_and_no_request_is_lost(obeys, tmp_path):
    with serve(obeys, tmp_path, MODEL_SERVER_WORKERS="2", MODEL_SERVER_WORKER_MEMORY_MB="300") as running:
        running.wait_until_ready()
        assert eventually(lambda: len(running.children("gunicorn")) == 3)
        before = running.children("gunicorn")[1:]
        answers, over = [], threading.Event()

        def call():
            while not over.is_set():
                answers.append(running.invoke({"sleep_s": 0.01}))

        callers = [threading.Thread(target=call) for _ in range(4)]
        for caller in callers:
            caller.start()
        status, grown = running.invoke({"grow_mb": 400})
        assert eventually(lambda: not alive(grown["pid"]))
        assert eventually(lambda: len(set(running.children("gunicorn")) - set(before)) == 2)
        over.set()
        for caller in callers:
            caller.join()
        assert (status, {status for status, _ in answers}) == (200, {200})
        page = scraped(running.request("GET", "/metrics")[1])
        assert (page["byoc_worker_outgrown_total", None], page["byoc_requests_lost_total", None]) == (1, 0)
        assert any("over MODEL_SERVER_WORKER_MEMORY_MB" in line["message"] for line in running.lines())


@needs_nginx
def test_a_killed_worker_costs_only_the_requests_it_held(obeys, tmp_path):
    with serve(obeys, tmp_path, MODEL_SERVER_WORKERS="2") as running:
        running.wait_until_ready()
        statuses, lock, over = [], threading.Lock(), threading.Event()

        def call():
            while not over.is_set():
                try:
                    status, _ = running.invoke({"sleep_s": 0.01})
                except http.client.IncompleteRead:  # killed between the head and the body of its answer
                    status = "cut short"
                with lock:
                    statuses.append(status)

        def lost():
            told = "a worker ended before it answered"
            return [line for line in running.lines() if line["message"] == told]

        callers = [threading.Thread(target=call) for _ in range(8)]
        for caller in callers:
            caller.start()
        kills = 0
        # One that is killed before it has read a request, or while it loads, knows of none.
        while kills < 3 or (not lost() and kills < 12):
            time.sleep(0.8)
            os.kill(running.children("gunicorn")[-1], signal.SIGKILL)
            kills += 1
        over.set()
        for caller in callers:
            caller.join()
        assert set(statuses) <= {200, 502, "cut short"}
        assert len(statuses) - statuses.count(200) <= kills * len(callers)
        assert statuses.count(200) > 100
        assert lost()
        assert all(line["request_id"] for line in lost())


@needs_nginx
@pytest.mark.parametrize("victim", ["nginx", "gunicorn"])
def test_the_death_of_nginx_or_of_gunicorns_master_ends_serve_and_the_status_tells(obeys, tmp_path, victim):
    with serve(obeys, tmp_path) as running:
        running.wait_until_ready()
        left = below(running.process.pid)
        os.kill(running.children(victim)[0], signal.SIGKILL)
        assert running.process.wait(5) == 128 + signal.SIGKILL
        assert running.lines()[-1]["message"] == f"{victim} was killed by SIGKILL."
        assert eventually(lambda: not any(map(alive, left)))


@needs_nginx
def test_sigterm_under_load_loses_no_request_that_could_finish(obeys, tmp_path):
    with serve(obeys, tmp_path, MODEL_SERVER_WORKERS="2") as running:
        running.wait_until_ready()
        outcomes, lock = [], threading.Lock()

        def call():
            while True:
                try:
                    outcome = running.invoke({"sleep_s": 0.2})[0]
                except ConnectionRefusedError:  # the door is closed: nothing was taken, nothing lost
                    return
                except OSError as error:
                    outcome = repr(error)
                with lock:
                    outcomes.append(outcome)

        callers = [threading.Thread(target=call) for _ in range(8)]
        for caller in callers:
            caller.start()
        time.sleep(1)
        running.process.send_signal(signal.SIGTERM)
        for caller in callers:
            caller.join(30)
        assert running.process.wait(30) == 0
        assert set(outcomes) == {200}
        assert running.lines()[-1]["message"] == "stopped"


@needs_nginx
def test_what_cannot_finish_in_25_s_is_given_up_by_its_id_and_serve_ends_with_0(obeys, tmp_path):
    with serve(obeys, tmp_path, MODEL_SERVER_WORKERS="1") as running:
        running.wait_until_ready()
        call = {"Content-Type": "application/json", "X-Amzn-SageMaker-Inference-Id": "order-66"}

        def invoke():
            with contextlib.suppress(OSError, http.client.HTTPException):
                running.request("POST", "/invocations", json.dumps({"sleep_s": 50}), call)

        caller = threading.Thread(target=invoke)
        caller.start()
        time.sleep(0.5)
        began = time.monotonic()
        assert running.stop() == 0
        assert 24 < time.monotonic() - began < 28
        caller.join()
        given_up = [line for line in running.lines() if line["message"].startswith("given up")]
        assert [line["inference_id"] for line in given_up] == ["order-66"]
        assert all(ID_OF_NGINX.fullmatch(line["request_id"]) for line in given_up)


@needs_nginx
@pytest.mark.skipif(sys.platform != "linux", reason="a policy of Linux's")
def test_nginx_and_workers_do_not_interrupt_each_other_and_who_answers_ping_may(obeys, tmp_path):
    with serve(obeys, tmp_path) as running:
        running.wait_until_ready()
        supervisor = running.process.pid
        assert os.sched_getscheduler(supervisor) == os.SCHED_OTHER
        policies = {os.sched_getscheduler(pid) for pid in below(supervisor)}
        assert policies == {os.SCHED_BATCH}


@needs_nginx
def test_no_two_requests_have_one_id_on_one_connection_on_several_or_of_another_start(obeys, tmp_path):
    ids = []
    for _ in range(2):
        with serve(obeys, tmp_path) as running:
            running.wait_until_ready()
            for _ in range(2):
                connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=10)
                with contextlib.closing(connection):
                    for _ in range(3):
                        connection.request("POST", "/invocations", "{}", {"Content-Type": "application/json"})
                        connection.getresponse().read()
        ids += [line["request_id"] for line in running.lines() if line.get("logger") == "invocation"]
    assert len(set(ids)) == len(ids) == 12
    assert all(ID_OF_NGINX.fullmatch(one) for one in ids)


@needs_nginx
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_serve_ends_at_once_with_0_and_leaves_nothing(obeys, tmp_path, number):
    with serve(obeys, tmp_path) as running:
        running.wait_until_ready()
        left = below(running.process.pid)
        assert len(left) >= 4
        began = time.monotonic()
        assert running.stop(number) == 0
        assert time.monotonic() - began < 5
        assert eventually(lambda: not any(map(alive, left)))
        assert not list(tmp_path.glob("serve-*"))


@needs_nginx
def test_sigterm_while_the_model_loads_waits_for_nothing(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "load_s").write_text("60")
    with serve(program("loads_slowly", tmp_path), tmp_path) as running:
        assert eventually(lambda: any("listening" in line["message"] for line in running.lines()))
        time.sleep(1)
        left = below(running.process.pid)
        began = time.monotonic()
        assert running.stop() == 0
        assert time.monotonic() - began < 3
        assert eventually(lambda: not any(map(alive, left)))


@needs_nginx
def test_sigterm_while_a_killed_worker_loads_anew_does_not_wait_for_it(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "load_s").write_text("0")
    with serve(program("loads_slowly", tmp_path), tmp_path, MODEL_SERVER_WORKERS="2") as running:
        running.wait_until_ready()
        (tmp_path / "model" / "load_s").write_text("60")
        os.kill(running.children("gunicorn")[-1], signal.SIGKILL)
        time.sleep(1)
        began = time.monotonic()
        assert running.stop() == 0
        assert time.monotonic() - began < 5


@needs_nginx
def test_nothing_outlives_a_killed_serve(obeys, tmp_path):
    with serve(obeys, tmp_path) as running:
        running.wait_until_ready()
        left = below(running.process.pid)
        running.process.kill()
        assert eventually(lambda: not any(map(alive, left)))


@needs_nginx
def test_a_taken_port_is_named_in_the_only_line(obeys, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with serve(obeys, tmp_path, SAGEMAKER_BIND_TO_PORT=str(port)) as running:
            assert running.process.wait(5) == 1
            [line] = running.lines()
            assert f"Cannot listen on 127.0.0.1:{port}" in line["message"]
            assert "SAGEMAKER_BIND_TO_PORT" in line["message"]


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"MODEL_SERVER_WORKERS": "many"}, "MODEL_SERVER_WORKERS is 'many'"),
        ({"SAGEMAKER_CONTAINER_LOG_LEVEL": "²"}, "SAGEMAKER_CONTAINER_LOG_LEVEL is '²'"),
        ({"SAGEMAKER_MAX_PAYLOAD_IN_MB": "9" * 14}, "Give at most 1048576"),
        ({"MODEL_SERVER_HOST": "192.0.2.1"}, "Set MODEL_SERVER_HOST to an IPv4 address of this machine"),
        (
            {"SAGEMAKER_MULTI_MODEL": "true", "MODEL_MANIFEST_SHA256": "0" * 64},
            "MODEL_MANIFEST_SHA256 is that of one model",
        ),
    ],
)
def test_a_setting_that_cannot_be_used_is_named_in_the_only_line(obeys, tmp_path, variables, told):
    with serve(obeys, tmp_path, **variables) as running:
        assert running.process.wait(5) == 1
        [line] = running.lines()
        assert told in line["message"]


@needs_nginx
def test_a_tmpdir_that_nginx_could_not_read_is_passed_over(obeys, tmp_path):
    spaced = tmp_path / "with space"
    spaced.mkdir()
    with serve(obeys, tmp_path, TMPDIR=str(spaced)) as running:
        running.wait_until_ready()
        assert list(spaced.iterdir()) == []


@needs_nginx
@pytest.mark.parametrize("delay_s", [0.02, 0.05, 0.1, 0.2, 0.4])
def test_sigterm_at_any_moment_of_the_start_ends_serve_with_0(obeys, tmp_path, delay_s):
    with serve(obeys, tmp_path) as running:
        time.sleep(delay_s)
        left = below(running.process.pid)
        status = running.stop()
        # Before the interpreter has read a line of ours, the signal's own action is all there is.
        assert status == 0 or (delay_s < 0.1 and status == -signal.SIGTERM)
        assert eventually(lambda: not any(map(alive, left)))
        assert not list(tmp_path.glob("serve-*"))


@needs_nginx
def test_every_line_of_the_log_is_json_though_a_worker_is_killed(obeys, tmp_path):
    with serve(obeys, tmp_path) as running:
        running.wait_until_ready()
        os.kill(running.children("gunicorn")[-1], signal.SIGKILL)
        assert eventually(lambda: "SIGKILL" in running.log.read_text())
        assert running.stop() == 0
        assert all(json.loads(line)["level"] for line in running.log.read_text().splitlines())


def raw(port, request):
    """Send bytes as they are and return the status, the Content-Type and the body."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(request)
        response = http.client.HTTPResponse(connection)
        response.begin()
        return response.status, response.getheader("Content-Type"), response.read()


@needs_nginx
def test_whatever_nginx_refuses_is_refused_in_json(obeys, tmp_path):
    with serve(obeys, tmp_path) as running:
        running.wait_until_ready()
        host = b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        for expected, request in [
            (400, b"GET /%zz" + host + b"\r\n"),
            (400, b"GET /../etc" + host + b"\r\n"),
            (400, b"nonsense\r\n\r\n"),
            (400, b"GET / HTTP/1.1\r\n\r\n"),
            (400, b"GET /" + host + b"X-A: " + b"a" * 40_000 + b"\r\n\r\n"),
            (414, b"GET /" + b"a" * 40_000 + host + b"\r\n"),
            (404, b"GET /" + b"a" * 6_000 + host + b"\r\n"),
            (404, b"GET /" + host + b"".join(b"X-%d: a\r\n" % n for n in range(150)) + b"\r\n"),
            (404, b"GET /.error/400" + host + b"\r\n"),
            (405, b"POST /metrics" + host + b"Content-Length: 0\r\n\r\n"),
            (405, b"TRACE /" + host + b"\r\n"),
            (405, b"DELETE /ping" + host + b"\r\n"),
        ]:
            status, content_type, body = raw(running.port, request)
            assert (status, content_type) == (expected, "application/json"), request[:40]
            assert json.loads(body)["error"]["message"], request[:40]


@needs_nginx
def test_metrics_do_not_wait_behind_predictions(obeys, tmp_path):
    with serve(obeys, tmp_path, MODEL_SERVER_WORKERS="1") as running:
        running.wait_until_ready()
        caller = threading.Thread(target=running.invoke, args=({"sleep_s": 3},))
        caller.start()
        time.sleep(0.3)
        began = time.monotonic()
        status, page = running.request("GET", "//metrics?of=all")
        assert (status, scraped(page)["byoc_requests_in_flight", None]) == (200, 1)
        assert time.monotonic() - began < 1
        caller.join()


@needs_nginx
@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.bad_input
def test_a_body_over_the_limit_gets_nginxs_413_in_json(obeys, tmp_path, chunked):
    with serve(obeys, tmp_path, SAGEMAKER_MAX_PAYLOAD_IN_MB="1") as running:
        running.wait_until_ready()
        body = b"[" + b"1," * 600_000 + b"1]"
        json_type = {"Content-Type": "application/json"}
        status, answer = running.request("POST", "/invocations", iter([body]) if chunked else body, json_type)
        assert (status, answer["error"]["code"]) == (413, "PayloadTooLarge")
        assert "over 1 MB" in answer["error"]["message"]
        assert running.stop() == 0
        told = [line for line in running.lines() if line.get("logger") == "nginx"]
        assert [line["level"] for line in told] == ["ERROR"]
        assert "too large" in told[0]["message"]


@needs_nginx
@pytest.mark.bad_input
def test_by_default_a_body_of_25_mb_is_taken_and_one_byte_more_is_not(obeys, tmp_path):
    with serve(obeys, tmp_path) as running:
        running.wait_until_ready()
        whole = b'{"padding": "' + b"x" * (25 * 1024 * 1024 - 15) + b'"}'
        json_type = {"Content-Type": "application/json"}
        assert running.request("POST", "/invocations", whole, json_type)[0] == 200
        status, answer = running.request("POST", "/invocations", whole + b" ", json_type)
        assert (status, answer["error"]["message"].partition(".")[0]) == (413, "The body is over 25 MB")


@needs_nginx
@pytest.mark.bad_input
def test_a_limit_of_0_takes_bodies_beyond_the_default(obeys, tmp_path):
    with serve(obeys, tmp_path, SAGEMAKER_MAX_PAYLOAD_IN_MB="0") as running:
        running.wait_until_ready()
        body = json.dumps({"padding": "x" * (30 * 1024 * 1024)})
        status, answer = running.request("POST", "/invocations", body, {"Content-Type": "application/json"})
        assert (status, len(answer["echo"]["padding"])) == (200, 30 * 1024 * 1024)


@needs_nginx
def test_ping_takes_post_with_a_body_too(obeys, tmp_path):
    with serve(obeys, tmp_path) as running:
        running.wait_until_ready()
        assert running.request("POST", "/ping", b"x" * 100_000)[0] == 200


def test_without_nginx_gunicorn_serves_alone_and_says_so(obeys, tmp_path):
    hide = []
    if nginx := find_nginx(os.environ["PATH"]):
        if os.geteuid() != 0:
            pytest.skip("nginx is installed, and only root can hide it")
        hide = ["unshare", "-m", "sh", "-c", f'mount --bind /dev/null {nginx} && exec "$@"', "sh"]
    with serve(obeys, tmp_path, prefix=hide) as running:
        running.wait_until_ready()
        assert running.invoke({"sleep_s": 0})[0] == 200
        assert running.children("nginx") == []
        assert any("nginx is not installed" in line["message"] for line in running.lines())
        assert running.stop() == 0


@needs_nginx
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_another_user_serves_from_a_read_only_model_writing_only_to_tmp(obeys, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights").write_text("1")
    before = sorted(tmp_path.rglob("*"))
    # With the capability nobody can read the developer's interpreter, wherever it lies, and write nothing.
    as_nobody = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
    as_nobody += ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    with serve(obeys, tmp_path, prefix=as_nobody, TMPDIR="/tmp") as running:
        running.wait_until_ready()
        assert running.invoke({"padding": "x" * 3_000_000})[0] == 200
        assert running.stop() == 0
        assert sorted(set(tmp_path.rglob("*")) - {running.log}) == before


@pytest.fixture(scope="module")
def lightgbm_program(tmp_path_factory):
    """A LightGBM model that is loaded and asked with the library's default threads, as most scripts do."""
    import lightgbm
    import numpy

    folder = tmp_path_factory.mktemp("lightgbm")
    (folder / "apps").mkdir()
    (folder / "apps" / "inference.py").write_text(
        "import lightgbm\n"
        "def model_fn(model_dir): return lightgbm.Booster(model_file=f'{model_dir}/model.txt')\n"
        "def predict_fn(data, model): return model.predict(data)\n"
    )
    rows = numpy.random.default_rng(0).normal(size=(500, 4))
    data = lightgbm.Dataset(rows, label=rows[:, 0] > 0)
    booster = lightgbm.train({"objective": "binary", "verbose": -1}, data, num_boost_round=5)
    booster.save_model(folder / "model.txt")
    return program_with(folder / "apps", folder / "program"), folder / "model.txt"


@needs_nginx
@pytest.mark.parametrize("preload", ["false", "true"])
def test_a_lightgbm_model_of_default_threads_answers_after_the_fork(lightgbm_program, tmp_path, preload):
    program_dir, model = lightgbm_program
    (tmp_path / "model").mkdir()
    shutil.copy(model, tmp_path / "model")
    variables = {"MODEL_SERVER_PRELOAD": preload, "MODEL_SERVER_WORKERS": "2", "MODEL_SERVER_TIMEOUT": "10"}
    with serve(program_dir, tmp_path, **variables) as running:
        running.wait_until_ready()
        for _ in range(4):
            status, answer = running.invoke([[1.0, 0, 0, 0], [-1.0, 0, 0, 0]], timeout_s=15)
            assert status == 200
            assert answer[0] > 0.5 > answer[1]
