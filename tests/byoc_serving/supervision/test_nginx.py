"""nginx: the configuration that is written is one that nginx takes, whatever the settings."""

import logging
import os
import subprocess
from dataclasses import replace

import pytest

from byoc_serving.settings import Settings
from byoc_serving.supervision.nginx import fill, find_nginx, write_configuration
from byoc_serving.supervision.nginx_log import NginxLog


def test_words_are_filled_in_and_named_locations_are_left():
    assert (
        fill("listen @port@; error_page 413 @too_large;", {"port": "1"})
        == "listen 1; error_page 413 @too_large;"
    )


def test_a_word_that_nobody_knows_is_an_error():
    with pytest.raises(KeyError):
        fill("@unknown@", {})


@pytest.mark.nginx
@pytest.mark.parametrize(
    "settings",
    [
        Settings(port=18080),
        Settings(port=18080, max_payload_mb=0, host="127.0.0.1", timeout_s=3600),
        Settings(port=18080, timeout_s=0.5),
    ],
)
def test_nginx_takes_what_is_written(settings, tmp_path):
    configuration = write_configuration(replace(settings, run_dir=tmp_path), tmp_path, cores=8.0, workers=8)
    nginx = find_nginx(os.environ["PATH"])
    command = [nginx, "-t", "-e", "stderr", "-p", str(tmp_path), "-c", str(configuration)]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    assert configuration.read_text().count("/worker-") == 8
    assert f"client_max_body_size {settings.max_payload_mb}m;" in configuration.read_text()
    patience_s = settings.startup_timeout_s + settings.timeout_s + 30
    assert (
        f'~^/models "{patience_s:.0f} s.' in configuration.read_text()
    )  # what it waits, and says that it did


def test_what_nginx_writes_is_told_at_its_level_whole_lines_only(caplog):
    caplog.set_level(logging.INFO)
    pipe, stderr = os.pipe()
    os.set_blocking(pipe, False)
    written = NginxLog(pipe)
    os.write(
        stderr, b"2026/11/21 15:32:24 [crit] 7#7: *5 connect() to unix:/t/worker-1.sock failed (2: No such"
    )
    os.write(
        stderr, b" file)\n2026/11/21 15:32:24 [error] 7#7: *71 upstream failed, client: 1\nnginx: [emerg] no"
    )
    assert written.read()
    assert written.read()
    os.write(stderr, b" port\nsomething else\nand an en")
    os.close(stderr)
    assert written.read()
    assert not written.read()
    os.close(pipe)
    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("ERROR", "*71 upstream failed, client: 1"),
        ("CRITICAL", "no port"),
        ("WARNING", "something else"),
        ("WARNING", "and an en"),
    ]
