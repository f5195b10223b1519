"""The settings of docs/serving.md: each line that shows one is run against a real `serve` that has it."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from processes import eventually
from serving import PROGRAM, serve

ROOT = Path(__file__).parents[1]
SECTION = (ROOT / "docs" / "serving.md").read_text().partition("### Each in one line")[2]
SHOWN = re.findall(r"^    # (\S+=.+?): `(.+)`\n    (.*curl.+)$", SECTION, re.MULTILINE)
# What decides where the test's own server is, and what is not started beside the others.
OURS = {"SAGEMAKER_BASE_DIR", "SAGEMAKER_BIND_TO_PORT", "MODEL_SERVER_HOST"}
ALONE = {"SAGEMAKER_MULTI_MODEL", "MODEL_MANIFEST_SHA256"}


def started_together(shown):
    """Return the variables of as few servers as can show all of it, each with what it is asked."""
    together = ({}, [])
    alone = []
    for settings, expected, line in shown:
        variables = dict(word.split("=", 1) for word in settings.split())
        group = ({}, []) if variables.keys() & ALONE else together
        if group is not together:
            alone.append(group)
        group[0].update({name: value for name, value in variables.items() if name not in OURS})
        group[1].append((settings, expected, line))
    return [together, *alone]


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """The image's program, and the sample's model as its main.py makes it."""
    folder = tmp_path_factory.mktemp("settings") / "program"
    shutil.copytree(PROGRAM, folder, ignore=shutil.ignore_patterns(".temps", "__pycache__"))
    subprocess.run([sys.executable, str(folder / "apps" / "main.py")], capture_output=True, check=True)
    return folder


@pytest.mark.parametrize(
    ("variables", "asked"), started_together(SHOWN), ids=["together", "many-models", "digest"]
)
def test_each_setting_does_what_its_line_shows(program, tmp_path, variables, asked):
    shutil.copytree(program / "apps" / ".temps" / "model", tmp_path / "model")
    with serve(program, tmp_path, **variables) as running:
        assert eventually(lambda: running.process.poll() is not None or answers(running), 60), running.lines()
        answered = {line: output_of(line, running.port) for _, _, line in asked}
        running.stop()
    log = running.log.read_text()
    missing = [
        (setting, expected, answered[line])
        for setting, expected, line in asked
        if expected not in answered[line] + log
    ]
    assert missing == [], log


def answers(running):
    """Return whether `serve` is ready."""
    try:
        return running.ping()[0] == 200
    except OSError:
        return False


def output_of(line, port):
    """Return what a line of shell prints, with another port in it."""
    command = line.replace("localhost:8080", f"127.0.0.1:{port}").replace(
        "127.0.0.1:8080", f"127.0.0.1:{port}"
    )
    done = subprocess.run(
        ["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    return done.stdout


def test_every_variable_of_the_table_has_a_line():
    table = (ROOT / "docs" / "serving.md").read_text().partition("## Settings")[2].partition("###")[0]
    named = [
        re.findall(r"`([A-Z0-9_]+)`", row.split("|")[1])
        for row in table.splitlines()
        if row.startswith("| `")
    ]
    shown = {word.split("=")[0] for settings, _, _ in SHOWN for word in settings.split()}
    assert [names for names in named if not shown & set(names)] == []
