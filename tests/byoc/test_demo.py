"""`byoc demo` does the whole way, ends with nothing left behind, and says what went wrong where."""

import errno
import io
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest

from byoc.demo import STAGES, find_repo, run_demo, told_in, what_next
from byoc.errors import DemoError
from byoc.predictions import requests_in
from byoc.stages import Stages
from processes import eventually, processes_with

REPO = Path(__file__).parents[2]
QUICK_APPS = REPO / "tests" / "fixtures" / "quick_apps"

FAILS = "raise SystemExit('it is gone')\n"
HANGS = "import time\nprint('hanging', flush=True)\ntime.sleep(120)\n"
CANNOT_UPLOAD = (
    (REPO / "container/custom_algorithm/apps/s3_upload.py").read_text().replace("sys.exit(main())", FAILS)
)
CANNOT_LOAD = "def model_fn(model_dir):\n    raise ValueError('it is gone')\n"
LOADS_FOREVER = f"def model_fn(model_dir):\n    {HANGS.replace(chr(10), chr(10) + '    ')}\n"


@pytest.fixture
def checkout(tmp_path):
    """A checkout whose own apps/ is quick and may be broken by the test."""
    checkout = tmp_path / "checkout"
    leave_out = shutil.ignore_patterns("apps", "__pycache__")
    shutil.copytree(REPO / "container", checkout / "container", ignore=leave_out)
    (checkout / "dummy_data").mkdir()
    for file in ("breast_cancer.csv", "labels.csv"):
        shutil.copy(REPO / "dummy_data" / file, checkout / "dummy_data")
    for door in ("generate_endpoint.py", "test_endpoint.py"):
        shutil.copy(REPO / door, checkout)
    apps = checkout / "container" / "custom_algorithm" / "apps"
    shutil.copytree(QUICK_APPS, apps, ignore=leave_out)
    shutil.copy(REPO / "container" / "custom_algorithm" / "apps" / "s3_upload.py", apps)
    return checkout


@pytest.fixture
def demo(tmp_path):
    """Return a function that starts the demo with a temporary folder that is the test's own."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    started = []

    def start(repo, *options):
        environment = {**os.environ, "TMPDIR": str(temporary), "AWS_PROFILE": "the-laptops-own"}
        process = subprocess.Popen(
            [sys.executable, "-m", "byoc", "demo", "--repo", str(repo), *options],
            cwd=REPO,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()
    assert eventually(lambda: not processes_with(str(temporary))), "processes were left behind"


def said_by(process):
    told, _ = process.communicate(timeout=90)
    return told


def test_the_sample_is_predicted_well_and_nothing_is_left_behind(demo, checkout, tmp_path):
    """Of a copy, as the user's own checkout keeps a model that training would replace."""
    apps = checkout / "container" / "custom_algorithm" / "apps"
    shutil.rmtree(apps)
    sample = REPO / "container" / "custom_algorithm" / "apps"
    shutil.copytree(sample, apps, ignore=shutil.ignore_patterns(".temps", "__pycache__"))
    process = demo(checkout)
    told = said_by(process)
    assert process.returncode == 0, told
    accuracy = re.search(
        r"accuracy ([\d.]+) on 114 rows of breast_cancer.csv, p50 [\d.]+ ms for all of them", told
    )
    assert float(accuracy[1]) > 0.9
    assert "Deploy: Endpoint byoc-demo is InService" in told
    assert re.search(r"^ +6 +1\.000  malignant$", told, re.MULTILINE)
    assert list((tmp_path / "tmp").iterdir()) == []
    assert (apps / ".temps" / "model" / "manifest.json").is_file()


def test_what_to_try_next_works_as_it_is_typed(checkout):
    told = what_next(checkout, REPO, requests_in(checkout / "dummy_data"))
    assert told.startswith(f"\nWhat to try next, in {checkout}:\n")
    programs = re.findall(r"^  (\S.*\.py.*)$", told, re.MULTILINE)
    assert len(programs) == 2
    for program in programs:
        typed = subprocess.run(
            ["sh", "-c", f"{program} --help"], cwd=checkout, capture_output=True, text=True, check=False
        )
        assert typed.returncode == 0, typed.stderr
        file = re.search(r"--file (\S+)", program)
        assert file is None or (checkout / file[1]).is_file()


def test_in_the_checkout_the_interpreter_is_named_as_short_as_can_be(checkout, monkeypatch):
    monkeypatch.setattr(sys, "executable", str(checkout / ".venv" / "bin" / "python"))
    told = what_next(checkout, checkout, requests_in(checkout / "dummy_data"))
    assert "\nWhat to try next:\n" in told
    assert "\n  .venv/bin/python container/custom_algorithm/debug_api.py\n" in told


ANSWERS = """
def model_fn(model_dir):
    return None
def input_fn(body, content_type):
    return body.split()
def predict_fn(lines, model):
    return {predicted}
"""


@pytest.mark.parametrize(
    ("predicted", "result", "row"),
    [
        (
            "['no' if 'soup' in line else 'yes' for line in lines]",
            "accuracy 0.500 on 2 rows of",
            r"2 +no +yes",
        ),
        ("[{'letters': len(line)} for line in lines]", "Predict: 2 rows of", r"2 +\{\"letters\": 9\}"),
    ],
    ids=["words", "records"],
)
def test_another_algorithm_needs_only_apps_and_dummy_data(demo, checkout, predicted, result, row):
    shutil.rmtree(checkout / "dummy_data")
    (checkout / "dummy_data").mkdir()
    (checkout / "dummy_data" / "reviews.csv").write_text("nice\ncold-soup\n")
    if "letters" not in predicted:
        (checkout / "dummy_data" / "labels.csv").write_text("yes\nyes\n")
    apps = checkout / "container" / "custom_algorithm" / "apps"
    main = apps / "main.py"
    main.write_text(main.read_text().replace(", n_features=30", ""))
    (apps / "inference.py").write_text(ANSWERS.format(predicted=predicted))
    process = demo(checkout, "--direct")
    told = said_by(process)
    assert process.returncode == 0, told
    assert result in told
    assert re.search(rf"^ +{row}$", told, re.MULTILINE), told


DIES_WHEN_ASKED_AGAIN = """
import os
def model_fn(model_dir):
    return []
def predict_fn(data, model):
    model.append(1)
    if len(model) > 20:
        print("it is gone", flush=True)
        os.killpg(os.getpgrp(), 9)
    return [0.5] * len(data)
"""


def test_a_program_that_dies_while_it_predicts_is_no_bug_and_its_log_is_kept(demo, checkout):
    apps = checkout / "container" / "custom_algorithm" / "apps"
    (apps / "inference.py").write_text(DIES_WHEN_ASKED_AGAIN)
    process = demo(checkout, "--direct")
    told = said_by(process)
    assert process.returncode == 1, told
    assert "5/6 Predict failed" in told
    assert "bug" not in told
    assert "answered" in told
    assert Path(re.search(r"Its last lines \((.+)\):", told)[1]).is_file()


def test_a_folder_that_may_not_be_used_is_one_clear_line(demo, checkout):
    shutil.rmtree(checkout / "dummy_data")
    process = demo(checkout, "--direct")
    told = said_by(process)
    assert process.returncode == 1
    assert told.startswith(
        f"byoc: {checkout}/dummy_data has no requests. Put a file there that your model takes: .csv"
    )


def test_of_a_bug_too_the_logs_are_kept(checkout, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr("byoc.demo.train_model", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError) as raised:
        run_demo(checkout, Stages(STAGES, io.StringIO()))
    (note,) = raised.value.__notes__
    assert Path(note.removeprefix("The logs of all stages are in ").rstrip(".")).is_dir()


def test_a_full_disk_is_one_clear_line(checkout, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device", "/there/model.txt")

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr("byoc.demo.train_model", full)
    with pytest.raises(
        DemoError, match=r"cannot go on: \[Errno 28\] No space left on device: '/there/model.txt'"
    ):
        run_demo(checkout, Stages(STAGES, io.StringIO()))


def test_when_nobody_reads_any_more_nothing_is_said_and_nothing_left(checkout, tmp_path):
    command = f"{sys.executable} -m byoc demo --direct --repo {checkout} | head -n 1"
    environment = {**os.environ, "TMPDIR": str(tmp_path / "tmp")}
    (tmp_path / "tmp").mkdir()
    shown = subprocess.run(
        ["sh", "-c", command], cwd=REPO, env=environment, capture_output=True, text=True, check=False
    )
    assert (shown.stdout, shown.stderr) == ("  1/6 Local SageMaker\n", "")
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.mark.parametrize(
    ("file", "source", "stage"),
    [
        ("main.py", FAILS, "2/6 Train"),
        ("s3_upload.py", CANNOT_UPLOAD, "3/6 Upload"),
    ],
    ids=["train", "upload"],
)
def test_a_failed_stage_is_named_with_its_reason_and_its_log(demo, checkout, file, source, stage):
    (checkout / "container" / "custom_algorithm" / "apps" / file).write_text(source)
    process = demo(checkout, "--direct")
    told = said_by(process)
    assert process.returncode == 1, told
    assert f"{stage} failed" in told
    log = Path(re.search(r"Its last lines \((.+)\):", told)[1])
    assert "it is gone" in told
    assert "it is gone" in log.read_text()
    assert f"The logs of all stages are in {log.parent}." in told
    assert [entry for entry in log.parent.iterdir() if entry.suffix != ".log"] == []


def test_of_an_endpoint_that_failed_the_log_is_kept_and_no_command_told_that_reaches_nothing(demo, checkout):
    (checkout / "container" / "custom_algorithm" / "apps" / "inference.py").write_text(CANNOT_LOAD)
    process = demo(checkout, "--direct")
    told = said_by(process)
    assert process.returncode == 1, told
    assert "4/6 Deploy failed" in told
    assert "it is gone" in Path(re.search(r"Its whole log: (.+)", told)[1]).read_text()
    log = Path(re.search(r"The endpoint's log is (.+)\.$", told, re.MULTILINE)[1])
    assert "ValueError: it is gone" in log.read_text()
    assert "The demo's local SageMaker has ended, and all that was in it" in told
    assert "run the same command again" not in told
    assert "aws sagemaker" not in told


def test_a_damaged_upload_fails_at_the_pull_with_the_reason_of_train(demo, checkout):
    upload = checkout / "container" / "custom_algorithm" / "apps" / "s3_upload.py"
    upload.write_text(upload.read_text().replace("{version.manifest_sha256}", "{'0' * 64}"))
    process = demo(checkout, "--direct")
    told = said_by(process)
    assert process.returncode == 1, told
    assert "4/6 Deploy failed" in told
    assert "manifest" in told
    assert "0" * 64 in told


def test_the_checkout_is_found_from_any_folder_in_it(checkout):
    assert find_repo(checkout / "dummy_data") == checkout
    assert find_repo(Path("/"), checkout / "dummy_data" / "..") == checkout


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('{"level": "INFO", "message": "pulling"}', "pulling"),
        (
            '/ping answered 503 {"status": "starting", "reason": "The model is loading."}',
            "The model is loading.",
        ),
        ("round 1 of 2", "round 1 of 2"),
        ('{"a": 1}', '{"a": 1}'),
    ],
)
def test_progress_shows_the_message_of_a_json_log(line, told):
    assert told_in(line) == told


def texts_of(folder):
    """Yield the text of every log below a folder in which others make and remove files."""
    for above, _, names in os.walk(folder):
        for name in names:
            if name.endswith(".log"):
                with suppress(FileNotFoundError):
                    yield Path(above, name).read_text()


def hangs_in(logs):
    return eventually(lambda: any("hanging" in text for text in texts_of(logs)), 30)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_while_training_ends_everything(demo, checkout, tmp_path, number, status):
    (checkout / "container/custom_algorithm/apps/main.py").write_text(HANGS)
    process = demo(checkout, "--direct")
    assert hangs_in(tmp_path / "tmp")
    process.send_signal(number)
    told = said_by(process)
    assert process.returncode == status, told
    assert "2/6 Train was interrupted" in told
    assert list((tmp_path / "tmp").iterdir()) == []


def test_an_interrupt_while_the_model_loads_ends_everything(demo, checkout, tmp_path):
    (checkout / "container/custom_algorithm/apps/inference.py").write_text(LOADS_FOREVER)
    process = demo(checkout, "--direct")
    assert hangs_in(tmp_path / "tmp")
    process.send_signal(signal.SIGINT)
    told = said_by(process)
    assert process.returncode == 130, told
    assert "4/6 Deploy was interrupted" in told
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_kill_9_leaves_no_program_behind_and_the_next_run_works(demo, checkout, tmp_path):
    inference = checkout / "container/custom_algorithm/apps/inference.py"
    inference.write_text(LOADS_FOREVER)
    process = demo(checkout, "--direct")
    assert hangs_in(tmp_path / "tmp")
    assert processes_with(str(tmp_path))
    process.kill()
    assert eventually(lambda: not processes_with(str(tmp_path)), 10)
    shutil.copy(QUICK_APPS / "inference.py", inference)
    process = demo(checkout, "--direct")
    told = said_by(process)
    assert process.returncode == 0, told
