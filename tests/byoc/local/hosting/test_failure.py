"""The reason of a failed endpoint begins with what a person has to mend, whatever the log ends with."""

import json

import pytest

from byoc.local.hosting.failure import failure_reason

ENDED = "The program ended with status 1."
FRAMES = """\
Traceback (most recent call last):
  File "/opt/program/serve", line 3, in <module>
    load()
    ~~~~^^
  File "/opt/program/model.py", line 9, in load
    raise ValueError("weights.bin is no model")
"""
GUNICORN = f"""\
[2026-01-02 10:00:00 +0000] [7] [INFO] Starting gunicorn 23.0.0
[2026-01-02 10:00:00 +0000] [9] [ERROR] Exception in worker process
{FRAMES}ValueError: weights.bin is no model
[2026-01-02 10:00:00 +0000] [9] [INFO] Worker exiting (pid: 9)
[2026-01-02 10:00:01 +0000] [7] [ERROR] Worker (pid:9) exited with code 3
[2026-01-02 10:00:01 +0000] [7] [ERROR] Shutting down: Master
[2026-01-02 10:00:01 +0000] [7] [ERROR] Reason: Worker failed to boot.
2026/01/02 10:00:01 [notice] 8#8: signal 15 (SIGTERM) received from 7, exiting
"""
UVICORN = f"""\
INFO:     Started server process [7]
INFO:     Waiting for application startup.
ERROR:    {FRAMES}ValueError: weights.bin is no model

ERROR:    Application startup failed. Exiting.
"""
CHAINED = f"""\
{FRAMES}KeyError: 'weights'

The above exception was the direct cause of the following exception:

{FRAMES}ValueError: weights.bin is no model
"""


def record(level, message, **more):
    return json.dumps({"time": "now", "level": level, "logger": "serve", "message": message, **more})


def reason(text, outcome=ENDED):
    return failure_reason("AllTraffic", outcome, text.splitlines())


def test_all_of_it_stands_in_its_order():
    said = "\n".join([record("INFO", "loading"), record("ERROR", "The manifest differs"), "2 files left"])
    assert reason(said, "After 3 s /ping answered 503: loading.") == (
        "The manifest differs. After 3 s /ping answered 503: loading. "
        "The primary container for production variant AllTraffic did not pass the ping health check. "
        "Please check CloudWatch logs for this endpoint. Its last lines: loading\n2 files left"
    )


@pytest.mark.parametrize(
    ("log", "cause"),
    [
        (GUNICORN, "ValueError: weights.bin is no model."),
        (UVICORN, "ValueError: weights.bin is no model."),
        (CHAINED, "ValueError: weights.bin is no model."),
        (
            f"{FRAMES}RuntimeError: Error(s) in loading:\n\tMissing key",
            "RuntimeError: Error(s) in loading: Miss",
        ),
        (f"{FRAMES}ValueError: it is gone\ngiving up", "ValueError: it is gone giving up."),
        (f"{FRAMES}ImportError: no torch\n" + "going on\n" * 9 + "the end", "the end."),
        ("no GPU here. Shutting down", "no GPU here. Shutting down."),
        ("nginx: [emerg] bind() to 0.0.0.0:8080 failed", "nginx: [emerg] bind() to 0.0.0.0:8080 failed."),
        ("one\n\n  the last!\n\n", "the last! The program"),
        (record("INFO", "one") + "\n" + record("WARNING", "two"), "two."),
        (record("ERROR", "first") + "\n" + record("CRITICAL", "second") + "\nafterwards", "second."),
        (record("ERROR", "it failed", traceback=f"{FRAMES}OSError: full"), "it failed: OSError: full."),
        (
            record("ERROR", "no model") + "\n" + record("ERROR", "Worker (pid:9) exited with code 3"),
            "no model.",
        ),
        ('{"message": "cut', '{"message": "cut.'),
        ("", ENDED),
    ],
)
def test_the_cause_comes_first(log, cause):
    assert reason(log).startswith(cause)


def test_a_servers_own_chatter_is_no_cause_under_json_either():
    gone = [record("ERROR", text) for text in ("Shutting down: Master", "Reason: Worker failed to boot.")]
    assert reason("\n".join([record("INFO", "no model"), *gone])).startswith("no model.")


def test_no_frame_of_a_traceback_is_in_it():
    assert "File " not in reason(GUNICORN)


def test_a_cause_and_an_answer_without_end_leave_room_for_the_last_lines():
    log = f"{'y' * 2000}\n{record('ERROR', 'x' * 2000)}\nthe end"
    said = reason(log, f"/ping answered {'z' * 2000}")
    assert len(said) == 1024
    assert said.startswith("xxx")
    assert "/ping answered zzz" in said
    assert said.endswith("y\nthe end")
