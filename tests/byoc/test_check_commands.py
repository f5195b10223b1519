import json
import re
import signal
import socket
import subprocess
import sys
import tomllib
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner
from faulty import GOOD

from byoc.check.table import RULES
from byoc.check_commands import check

# It is to need none of what only the extras bring.
PROJECT = Path(__file__).parents[2] / "pyproject.toml"
EXTRAS = tomllib.loads(PROJECT.read_text())["project"]["optional-dependencies"]
MISSING = [re.match(r"[\w-]+", one)[0] for extra in ("local", "sdk", "cli") for one in EXTRAS[extra]]
CHECK = [
    *(sys.executable, "-c"),
    f"import sys; sys.modules.update(dict.fromkeys({MISSING})); from byoc.cli import main; sys.exit(main())",
    "check",
]


def run(*words, status=0, **given):
    done = subprocess.run(
        [*CHECK, *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        **given,
    )
    assert done.returncode == status, done.stderr + done.stdout
    return done


@pytest.fixture
def request_file(tmp_path):
    file = tmp_path / "request.csv"
    file.write_text("1\n2.5\n")
    return file


def sure(*words):
    """The options with which one quick rule passes on the good program."""
    return (GOOD, "--only", "serve-starts", *words)


@pytest.mark.parametrize(
    ("words", "chosen"),
    [
        (["--all"], lambda rule: bool(rule.id)),
        ([], lambda rule: not rule.slow),
        (["--part", "train", "--skip", "train-sigterm"], lambda rule: rule.part == "train" and not rule.slow),
        (["--only", "call-of-59-s"], lambda rule: rule.id == "call-of-59-s"),
    ],
)
def test_the_rules_that_the_other_options_choose_are_listed(words, chosen):
    listed = CliRunner().invoke(check, ["--list", *words]).output.splitlines()
    expected = [rule.id for rule in RULES if chosen(rule) and rule.id not in words[3:]]
    assert [line.split()[0] for line in listed] == expected


def test_the_ids_are_unique_and_in_kebab_case():
    ids = [rule.id for rule in RULES]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name) for name in ids)


def test_a_good_container_ends_with_0_and_a_sentence():
    said = run(*sure()).stdout
    assert "serve-starts" in said
    assert re.search(r"whether SageMaker can start it was not tested\.\nThis took \d+ s\.\n\Z", said)
    assert "\033" not in said


def test_a_bad_one_ends_with_1_and_with_what_to_do(tmp_path):
    (tmp_path / "serve").write_text("#!/bin/sh\necho no such thing >&2\nexit 3\n")
    (tmp_path / "serve").chmod(0o755)
    said = run(tmp_path, "--only", "serve-starts", status=1).stdout
    assert "serve ended with status 3 before it was ready" in said
    assert "no such thing" in said
    assert re.search(r"^ +mend +\S", said, re.MULTILINE)
    assert re.search(r"^ +see +https://docs.aws.amazon.com/", said, re.MULTILINE)
    assert "SageMaker will not start this: no endpoint becomes InService (serve-starts)." in said


def test_json_to_stdout_is_all_that_is_there():
    told = json.loads(run(*sure("--json", "-")).stdout)
    assert told["format"] == "byoc-check/1"
    assert told["passed"] is True
    assert [result["outcome"] for result in told["results"]] == ["pass"]


def test_junit_has_a_case_for_each_rule(tmp_path):
    file = tmp_path / "junit.xml"
    run(*sure("--only", "model-read-only", "--junit", file))
    suite = ET.parse(file).getroot()
    assert [case.get("name") for case in suite] == ["serve-starts", "model-read-only"]
    assert (suite.get("tests"), suite.get("failures")) == ("2", "0")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["no-such-image-or-folder"], "no-such-image-or-folder cannot be checked: there is no such folder"),
        (["http://127.0.0.1:1/ping"], "Give http://HOST:PORT alone"),
        (["https://127.0.0.1:1"], "Give http://HOST:PORT of a container"),
        (
            ["http://127.0.0.1:1", "--patience", "1"],
            "no connection (connection refused). Start what shall serve",
        ),
        (["localhost:8080"], "For a server that runs already write http://localhost:8080"),
        ([GOOD, "--model", "no-such-model"], "There is no model no-such-model"),
        ([GOOD / "serve"], f"serve is a file. Name the folder of train and serve: byoc check {GOOD}."),
    ],
)
def test_what_cannot_be_checked_is_one_line_with_what_to_do(words, told):
    said = run(*words, status=1).stderr
    assert told in said
    assert said.startswith("byoc: ")
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "Name an image, a folder or a URL"),
        ([GOOD, "--only", "serve-start"], "There is no rule serve-start. Is it serve-starts"),
        (
            ["--list", "--skip", "nosuch"],
            "There is no rule nosuch. `byoc check --list --all` names them all.",
        ),
        (
            [GOOD, "--json", "-", "--junit", "-"],
            "--json and --junit are both -. Give each a file of its own.",
        ),
        ([GOOD, "--content-type", "text/csv"], "give --request FILE too"),
        ([GOOD, "--hyperparameter", "mode"], "Give NAME=VALUE"),
        ([GOOD, "--env", "NO_SUCH_VARIABLE_HERE"], "this shell has no such variable"),
        ([GOOD, "--channel", "train=nowhere"], "which is no folder"),
        (
            [GOOD, "--json", "nowhere/found.json"],
            "--json is nowhere/found.json, in nowhere, which is no folder",
        ),
        ([GOOD, "--junit", "nowhere/found.xml"], "--junit is nowhere/found.xml, in nowhere"),
        ([GOOD, "--instance-type", "m5.large"], "no instance type. Is it ml.m5.large?"),
    ],
)
def test_a_wrong_command_line_ends_with_2(words, told):
    assert told in run(*words, status=2).stderr


def test_a_request_needs_a_type(request_file):
    assert "--content-type, such as text/csv" in run(GOOD, "--request", request_file, status=2).stderr


@pytest.fixture
def mute():
    """The URL of a server that accepts connections and answers nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_a_server_that_does_not_answer_is_not_waited_for_without_end(mute):
    said = run(mute, "--only", "serve-starts", "--patience", "1", status=1).stdout
    assert "/ping was not answered with 200 in 1 s" in said


def test_a_run_that_could_test_nothing_ends_with_4_and_says_so(mute):
    done = run(mute, "--only", "ping-warm", "--patience", "1", "--json", "-", status=4)
    assert "Nothing was tested. 1 c" in done.stderr
    assert json.loads(done.stdout)["passed"] is False


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_check_that_is_stopped_tells_what_it_has_judged_by_then(tmp_path, number, status):
    (tmp_path / "serve").write_text("#!/bin/sh\nexec sleep 60\n")
    (tmp_path / "serve").chmod(0o755)
    ids = ["program-executable", "serve-starts", "ping-warm"]
    files = (tmp_path / "found.json", tmp_path / "found.xml")
    words = [word for name in ids for word in ("--only", name)]
    words += [tmp_path, "--json", files[0], "--junit", files[1]]
    with subprocess.Popen([*CHECK, *map(str, words)], stdout=subprocess.PIPE, text=True) as running:
        head = next(line for line in running.stdout if "program-executable" in line)
        running.send_signal(number)
        next(line for line in running.stdout if line == "not tested\n")
        running.send_signal(number)  # as timeout does, once to it and once to its group
        rest = running.stdout.read()
    assert running.returncode == status, head + rest
    assert "2 rules                  The check was stopped before this was judged." in rest
    assert "This was stopped: 2 of 3 rules not judged. Nothing that was tested failed.\n" in rest
    told = json.loads(files[0].read_text())
    assert told["passed"] is False
    assert [one["outcome"] for one in told["results"]] == ["pass", "untested", "untested"]
    assert [case.get("name") for case in ET.parse(files[1]).getroot()] == ids


def test_an_empty_folder_is_told_what_belongs_into_it(tmp_path):
    said = run(tmp_path, "--only", "program-found", status=1).stdout
    assert "mend  Put train and serve into it, or the Dockerfile of the image" in said


def test_nothing_is_left_behind(tmp_path):
    run(*sure(), env={"TMPDIR": str(tmp_path), "PATH": "/usr/bin:/bin:/usr/sbin"})
    assert list(tmp_path.iterdir()) == []
