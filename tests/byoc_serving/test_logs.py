"""logs: one JSON object a line, whatever is logged."""

import json
import logging
import subprocess
import sys

import pytest

from byoc_serving.logs import JsonFormatter


def formatted(message, *arguments, **fields):
    record = logging.makeLogRecord(
        {"name": "serve", "levelname": "INFO", "msg": message, "args": arguments, **fields}
    )
    return JsonFormatter().format(record)


def test_a_line_has_time_level_logger_and_message():
    line = json.loads(formatted("%d of %d", 1, 2, created=0.0, msecs=7.0))
    assert line == {
        "time": "1970-01-01T00:00:00.007Z",
        "level": "INFO",
        "logger": "serve",
        "message": "1 of 2",
    }


def test_extra_fields_become_keys_even_those_that_json_does_not_know():
    line = json.loads(formatted("x", request_id="r1", where=json))
    assert line["request_id"] == "r1"
    assert line["where"].startswith("<module 'json'")


@pytest.mark.parametrize("text", ["two\nlines", 'quotes " and \\', "\x1b[31mred", "é \ud800"])
def test_no_text_breaks_the_line(text):
    line = formatted(text)
    assert "\n" not in line
    assert json.loads(line)["message"] == text


def test_a_traceback_stays_inside_its_line():
    program = (
        "import logging; from byoc_serving.logs import log_to_stdout; log_to_stdout(logging.INFO)\n"
        "try: 1 / 0\n"
        "except ZeroDivisionError: logging.getLogger('x').exception('failed')\n"
        "logging.getLogger('botocore').info('never seen')\n"
    )
    cwd = "container/custom_algorithm"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=cwd)
    [line] = ran.stdout.splitlines()
    assert "ZeroDivisionError" in json.loads(line)["traceback"]
    assert ran.stderr == ""
