"""docs/serving.md is true."""

import gzip
import re
import shlex
from pathlib import Path
from typing import get_args, get_type_hints

import numpy as np
import pandas as pd
import pytest

from byoc_serving import errors
from byoc_serving.formats.codecs import DECODERS, decode
from byoc_serving.formats.negotiation import media_type
from byoc_serving.loading import Loading
from byoc_serving.settings import Settings
from byoc_serving.supervision.health import State
from flask_server import ECHO, apps_with, own_imports, serving
from predictor import create_app

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "serving.md").read_text()
BODIES = TEXT.partition("## What goes back")[0]
ROWS = re.findall(r"^\| `([^`]+)` \| `([^`]+)` \| (.+) \|$", BODIES, re.MULTILINE)
CURLS = re.findall(r"^    (?:gzip -c (\S+) \| )?curl -s localhost:8080(/(?!models).+)$", TEXT, re.MULTILINE)


def described(data):
    """Return the data in the words of the table."""
    if isinstance(data, pd.DataFrame):
        return f"DataFrame {list(data.shape)}"
    return f"{data.dtype} array {list(data.shape)}" if isinstance(data, np.ndarray) else "as parsed"


@pytest.mark.parametrize(("content_type", "body", "becomes"), ROWS)
def test_each_body_becomes_what_the_table_says(content_type, body, becomes):
    data = decode(body.replace("⏎", "\n").encode(), media_type(content_type))
    assert described(data) in becomes


def test_the_table_has_every_format():
    named = {content_type for content_type, _, _ in ROWS} | set(re.findall(r"`(application/[\w.-]+)`", TEXT))
    assert set(DECODERS) <= named | {"text/csv"}


def test_the_table_of_errors_has_every_status_of_the_app_and_of_nginx():
    listed = re.findall(r"^\| ([45]\d\d(?:, \d+)*) \|", TEXT, re.MULTILINE)
    nginx = (ROOT / "container" / "custom_algorithm" / "nginx.conf").read_text()
    answered = {int(status) for status in re.findall(r"error_page (\d+)", nginx)}
    answered |= {int(kind.status) for kind in vars(errors).values() if hasattr(kind, "status")} | {500, 503}
    assert {int(status) for row in listed for status in row.split(", ")} == answered


def test_the_table_of_ping_has_every_state():
    section = TEXT.partition("## What /ping says")[2].partition("## Errors")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == set(State)
    assert set(get_args(get_type_hints(Loading)["state"])) <= set(State)


@pytest.fixture(scope="module")
def caller(tmp_path_factory):
    folder = tmp_path_factory.mktemp("doc")
    with own_imports():
        app = create_app(Settings(base_dir=folder, apps_dir=apps_with(folder, ECHO)))
        app.extensions["invocations"].load()
        with serving(app) as caller:
            yield caller


@pytest.mark.parametrize(("zipped", "line"), CURLS)
def test_each_curl_line_gets_an_answer(caller, zipped, line):
    refused = "Errors" in TEXT[: TEXT.index(line)]
    assert answer_to(caller, line, zipped).status in ((400, 406, 415) if refused else (200,))


def test_the_curl_lines_of_many_models_get_their_answers_one_after_the_other(tmp_path):
    lines = re.findall(r"^    curl -s localhost:8080(/models.+)$", TEXT, re.MULTILINE)
    (tmp_path / "models" / "one" / "model").mkdir(parents=True)
    with own_imports():
        app = create_app(Settings(apps_dir=apps_with(tmp_path, ECHO), base_dir=tmp_path, multi_model=True))
        with serving(app) as caller:
            for line in lines:
                assert answer_to(caller, line.replace("/opt/ml", str(tmp_path))).status == 200
            assert answer_to(caller, lines[-1]).status == 404


def answer_to(caller, line, zipped=""):
    """Return the answer to what a line of curl sends."""
    path, *options = shlex.split(line)
    options = iter(options)
    headers, body, method = {}, None, "GET"
    for option in options:
        given = next(options)
        if option == "-H":
            name, _, value = given.partition(": ")
            headers[name.replace("-", "_")] = value
        elif option == "-X":
            method = given
        else:
            method = "POST"
            if given == "@-":
                body = gzip.compress((ROOT / zipped).read_bytes())
            else:
                body = (ROOT / given[1:]).read_bytes() if given.startswith("@") else given.encode()
    return caller.request(method, path, body, **headers)
