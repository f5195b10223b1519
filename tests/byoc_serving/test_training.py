import contextlib
import http.server
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import time

import pytest

from byoc_serving.model_version import describe, read_manifest, upload, write_manifest
from byoc_serving.training import LONGEST_FAILURE
from image import OptMl, ended, program_with_main, run_train, start_train
from serving import PROGRAM

BEFORE = {"old.txt": b"what was there"}


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "made"
    (folder / "sub").mkdir(parents=True)
    (folder / "model.txt").write_bytes(b"tree\n" * 1000)
    (folder / "sub" / "weights.bin").write_bytes(bytes(range(256)) * 8000)
    return folder


@pytest.fixture
def opt_ml(tmp_path):
    """An /opt/ml whose model directory holds an unrelated file, so that a trace of `train` would show."""
    place = OptMl(tmp_path / "opt_ml")
    place.model.mkdir(parents=True)
    (place.model / "old.txt").write_bytes(BEFORE["old.txt"])
    return place


@pytest.fixture
def uploaded(model, bucket):
    return upload(model, describe(model, name="m"), f"s3://{bucket}/models")


def key_of(uploaded, path):
    bucket, _, prefix = uploaded.uri.removeprefix("s3://").partition("/")
    return {"Bucket": bucket, "Key": prefix + path}


def assert_failed(run, opt_ml, reason):
    """The status, the failure file and the last line of the log say the reason; the model is untouched."""
    assert run.status == 1
    text = opt_ml.failure.read_text()
    assert text.startswith(reason)
    assert "Traceback" not in text
    assert len(text) <= LONGEST_FAILURE
    assert run.messages[-1].startswith(text)
    assert opt_ml.model_files() == BEFORE


def test_train_pulls_what_the_hyperparameter_names(uploaded, opt_ml, model):
    opt_ml.configure(model_version=uploaded.uri, model_manifest_sha256=uploaded.manifest_sha256)
    run = run_train(opt_ml)
    assert run.status == 0
    files = opt_ml.model_files()
    assert files["model.txt"] == (model / "model.txt").read_bytes()
    assert files["sub/weights.bin"] == (model / "sub" / "weights.bin").read_bytes()
    assert files["old.txt"] == BEFORE["old.txt"]
    assert set(files) == {"old.txt", "model.txt", "sub", "sub/weights.bin", "manifest.json"}
    assert f"the hyperparameter model_version names, {uploaded.uri}" in " ".join(run.messages)
    assert not opt_ml.failure.exists()


def test_train_pulls_what_the_environment_names(uploaded, opt_ml):
    environ = {"MODEL_VERSION": uploaded.uri, "MODEL_MANIFEST_SHA256": uploaded.manifest_sha256}
    run = run_train(opt_ml, **environ)
    assert run.status == 0
    assert "the environment variable MODEL_VERSION names" in " ".join(run.messages)
    assert not any(line["level"] == "WARNING" for line in run.lines)


def test_train_warns_when_no_digest_came_from_elsewhere(uploaded, opt_ml):
    opt_ml.configure(model_version=uploaded.uri)
    run = run_train(opt_ml)
    assert run.status == 0
    assert [line["level"] for line in run.lines if "no digest" in line["message"]] == ["WARNING"]


def test_running_train_again_changes_nothing(uploaded, opt_ml):
    opt_ml.configure(model_version=uploaded.uri, model_manifest_sha256=uploaded.manifest_sha256)
    run_train(opt_ml)
    first = {path: path.stat().st_mtime_ns for path in opt_ml.model.rglob("*")}
    run = run_train(opt_ml)
    assert run.status == 0
    assert {path: path.stat().st_mtime_ns for path in opt_ml.model.rglob("*")} == first
    assert "already holds" in " ".join(run.messages)


def test_a_failure_file_of_an_earlier_run_goes(uploaded, opt_ml):
    opt_ml.failure.parent.mkdir(parents=True)
    opt_ml.failure.write_text("an old reason")
    opt_ml.configure(model_version=uploaded.uri)
    assert run_train(opt_ml).status == 0
    assert not opt_ml.failure.exists()


def test_nothing_to_pull_names_all_three_ways(opt_ml):
    run = run_train(opt_ml)
    assert_failed(run, opt_ml, "No model version: ")
    assert all(way in run.messages[-1] for way in ("hyperparameter", "MODEL_VERSION", "input channel"))


@pytest.mark.bad_input
def test_a_wrong_sha256_fails_with_that_reason(uploaded, opt_ml, s3):
    content = bytearray(b"tree\n" * 1000)
    content[100] ^= 1
    s3.client().put_object(**key_of(uploaded, "model.txt"), Body=bytes(content))
    opt_ml.configure(model_version=uploaded.uri)
    assert_failed(run_train(opt_ml), opt_ml, "Wrong sha256: part 1 of 1 of 'model.txt'")


def test_a_shorter_object_fails_with_that_reason(uploaded, opt_ml, s3):
    s3.client().put_object(**key_of(uploaded, "model.txt"), Body=b"tree\n")
    opt_ml.configure(model_version=uploaded.uri)
    assert_failed(run_train(opt_ml), opt_ml, f"Wrong size: {uploaded.uri}model.txt")


@pytest.mark.bad_input
def test_a_missing_manifest_fails_with_that_reason(uploaded, opt_ml, s3):
    s3.client().delete_object(**key_of(uploaded, "manifest.json"))
    opt_ml.configure(model_version=uploaded.uri)
    assert_failed(run_train(opt_ml), opt_ml, f"Missing manifest: {uploaded.uri}manifest.json")


@pytest.mark.bad_input
def test_a_missing_object_fails_with_that_reason(uploaded, opt_ml, s3):
    s3.client().delete_object(**key_of(uploaded, "sub/weights.bin"))
    opt_ml.configure(model_version=uploaded.uri)
    assert_failed(run_train(opt_ml), opt_ml, f"Object missing: {uploaded.uri}sub/weights.bin")


@pytest.mark.bad_input
def test_a_wrong_manifest_digest_fails_with_that_reason(uploaded, opt_ml):
    opt_ml.configure(model_version=uploaded.uri, model_manifest_sha256="0" * 64)
    assert_failed(run_train(opt_ml), opt_ml, "Wrong manifest digest: ")


class Denies(http.server.BaseHTTPRequestHandler):
    """An S3 whose bucket's policy lets nobody in."""

    def do_GET(self):
        body = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
        self.send_response(403)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.mark.bad_input
def test_denied_access_fails_with_that_reason(uploaded, opt_ml):
    opt_ml.configure(model_version=uploaded.uri)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Denies) as server:
        threading.Thread(target=server.serve_forever).start()
        run = run_train(opt_ml, AWS_ENDPOINT_URL=f"http://127.0.0.1:{server.server_port}")
        server.shutdown()
    assert_failed(run, opt_ml, f"Access denied: {uploaded.uri}manifest.json")


@pytest.mark.bad_input
def test_no_credentials_fails_with_that_reason(uploaded, opt_ml):
    opt_ml.configure(model_version=uploaded.uri)
    nobody = dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "")
    nobody |= dict.fromkeys(("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"), os.devnull)
    assert_failed(run_train(opt_ml, **nobody), opt_ml, "No credentials: ")


def test_no_such_bucket_fails_with_that_reason(bucket, opt_ml):
    opt_ml.configure(model_version="s3://nowhere-at-all/m/0/")
    assert_failed(run_train(opt_ml), opt_ml, "No such bucket: s3://nowhere-at-all/m/0/")


def test_an_endpoint_that_does_not_answer_fails_with_that_reason(uploaded, opt_ml):
    opt_ml.configure(model_version=uploaded.uri)
    run = run_train(opt_ml, AWS_ENDPOINT_URL="http://127.0.0.1:9", AWS_MAX_ATTEMPTS="1")
    assert_failed(run, opt_ml, "Endpoint unreachable: ")


def test_a_location_that_is_no_uri_fails_with_that_reason(bucket, opt_ml):
    opt_ml.configure(model_version="1234567890123456")
    assert_failed(run_train(opt_ml), opt_ml, "Bad location: '1234567890123456'")


@pytest.fixture
def small_disk(opt_ml):
    """An /opt/ml/model that is a mount of 1 MiB, half of it free."""
    if os.geteuid() != 0 or not shutil.which("mount"):
        pytest.skip("mounting a small disk needs root")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(opt_ml.model)],
        check=False,
        capture_output=True,
    )
    if mounted.returncode:
        pytest.skip(f"no mounts here: {mounted.stderr.decode().strip()}")
    (opt_ml.model / "old.txt").write_bytes(BEFORE["old.txt"])
    yield opt_ml.model
    subprocess.run(["umount", str(opt_ml.model)], check=True)


@pytest.mark.bad_input
def test_a_full_disk_fails_with_that_reason_and_the_bytes(uploaded, opt_ml, small_disk):
    opt_ml.configure(model_version=uploaded.uri)
    run = run_train(opt_ml)
    assert_failed(run, opt_ml, f"Disk full: {opt_ml.model} needs 2053000 bytes for the model and has ")


def test_a_model_directory_that_is_a_mount_is_filled(bucket, opt_ml, small_disk, model):
    shutil.rmtree(model / "sub")
    version = upload(model, describe(model, name="m"), f"s3://{bucket}/models")
    opt_ml.configure(model_version=version.uri)
    assert run_train(opt_ml).status == 0
    assert set(opt_ml.model_files()) == {"old.txt", "model.txt", "manifest.json"}


def put_into_channel(model, opt_ml):
    channel = opt_ml.data / "model"
    shutil.copytree(model, channel)
    manifest = describe(channel, name="m")
    write_manifest(channel, manifest)
    return channel, manifest


def pack(folder, target, name="model.tar.gz"):
    target.mkdir(parents=True)
    with tarfile.open(target / name, "w:gz") as tar:
        for path in sorted(folder.iterdir()):
            tar.add(path, path.name)


def test_a_channel_of_files_is_taken(model, opt_ml):
    _, manifest = put_into_channel(model, opt_ml)
    run = run_train(opt_ml)
    assert run.status == 0
    assert "from the input channel model" in " ".join(run.messages)
    assert read_manifest(opt_ml.model) == manifest
    assert (opt_ml.model / "sub" / "weights.bin").read_bytes() == (model / "sub" / "weights.bin").read_bytes()


@pytest.mark.parametrize("name", ["model.tar.gz", "m.tgz"])
def test_a_channel_with_one_archive_is_unpacked(model, opt_ml, name):
    manifest = describe(model, name="m")
    write_manifest(model, manifest)
    pack(model, opt_ml.data / "model", name)
    assert run_train(opt_ml).status == 0
    assert read_manifest(opt_ml.model) == manifest
    assert set(opt_ml.model_files()) == {"old.txt", "model.txt", "sub", "sub/weights.bin", "manifest.json"}


def test_the_channel_gives_way_to_the_hyperparameter(uploaded, model, opt_ml):
    put_into_channel(model, opt_ml)
    opt_ml.configure(model_version=uploaded.uri)
    run = run_train(opt_ml)
    assert run.status == 0
    assert f"the hyperparameter model_version names, {uploaded.uri}" in " ".join(run.messages)


def test_the_channel_goes_before_the_environment(model, opt_ml):
    put_into_channel(model, opt_ml)
    run = run_train(opt_ml, MODEL_VERSION="s3://unreachable/m/0/")
    assert run.status == 0
    assert "from the input channel model" in " ".join(run.messages)


def test_a_channel_is_held_to_the_digest_too(model, opt_ml):
    put_into_channel(model, opt_ml)
    opt_ml.configure(model_manifest_sha256="1" * 64)
    assert_failed(run_train(opt_ml), opt_ml, "Wrong manifest digest: ")


def test_a_changed_file_in_a_channel_fails(model, opt_ml):
    channel, _ = put_into_channel(model, opt_ml)
    (channel / "model.txt").write_bytes(b"wood\n" * 1000)
    assert_failed(run_train(opt_ml), opt_ml, "Wrong sha256: ")


def test_a_changed_file_in_an_archive_fails(model, opt_ml):
    write_manifest(model, describe(model, name="m"))
    (model / "model.txt").write_bytes(b"wood\n" * 1000)
    pack(model, opt_ml.data / "model")
    assert_failed(run_train(opt_ml), opt_ml, "Wrong sha256: ")


def test_a_missing_file_in_a_channel_fails(model, opt_ml):
    channel, _ = put_into_channel(model, opt_ml)
    (channel / "model.txt").unlink()
    assert_failed(run_train(opt_ml), opt_ml, "Object missing: ")


def test_a_channel_without_a_manifest_fails(model, opt_ml):
    shutil.copytree(model, opt_ml.data / "model")
    assert_failed(run_train(opt_ml), opt_ml, "Missing manifest: ")


def test_an_archive_without_a_manifest_fails(model, opt_ml):
    pack(model, opt_ml.data / "model")
    assert_failed(run_train(opt_ml), opt_ml, "Missing manifest: ")


def test_a_pipe_channel_is_refused(opt_ml):
    opt_ml.configure("inputdataconfig", model={"TrainingInputMode": "Pipe"})
    assert_failed(run_train(opt_ml), opt_ml, "Channel model is in Pipe mode")


@pytest.mark.parametrize("name", ["hyperparameters.json", "inputdataconfig.json"])
@pytest.mark.parametrize("text", ["{", "[1]", "\xff"])
def test_a_malformed_configuration_fails_naming_the_file(opt_ml, name, text):
    opt_ml.write_config(name, text)
    assert_failed(run_train(opt_ml), opt_ml, str(opt_ml.base / "input" / "config" / name))


@pytest.mark.parametrize("encode", [str, json.dumps, repr])
def test_mode_version_and_digest_survive_every_encoding(uploaded, opt_ml, encode):
    values = {
        "mode": "pull",
        "model_version": uploaded.uri,
        "model_manifest_sha256": uploaded.manifest_sha256,
    }
    opt_ml.configure(**{name: encode(value) for name, value in values.items()})
    assert run_train(opt_ml).status == 0


def test_a_digest_of_the_wrong_form_fails(opt_ml):
    opt_ml.configure(model_version="s3://b/m/0/", model_manifest_sha256="12e4")
    assert_failed(run_train(opt_ml), opt_ml, "Hyperparameter model_manifest_sha256 is '12e4'")


def test_an_unknown_mode_fails(opt_ml):
    opt_ml.configure(mode="dance")
    assert_failed(run_train(opt_ml), opt_ml, "Hyperparameter mode is 'dance'")


def test_a_setting_that_cannot_be_used_fails_in_the_right_place(opt_ml):
    run = run_train(opt_ml, SAGEMAKER_MODEL_SERVER_WORKERS="many")
    assert_failed(run, opt_ml, "SAGEMAKER_MODEL_SERVER_WORKERS is 'many'")


TRAINS = """
import json
from pathlib import Path
import helper

def train(model_dir, channels, hyperparameters):
    (model_dir / "deep").mkdir()
    (model_dir / "deep" / "model.txt").write_text(helper.WORD + (channels["train"] / "rows.csv").read_text())
    (model_dir / "seen.json").write_text(json.dumps(hyperparameters))
    return {"name": "mine", "metrics": {"accuracy": 0.5}, "n_features": 2, "libraries": ["numpy"]}
"""


@pytest.fixture
def with_main(tmp_path):
    return lambda source: program_with_main(tmp_path / "program", source)


def test_mode_train_runs_main_and_describes_the_model(opt_ml, with_main):
    program = with_main(TRAINS)
    (program / "apps" / "helper.py").write_text("WORD = 'learned from '\n")
    (opt_ml.data / "train").mkdir(parents=True)
    (opt_ml.data / "train" / "rows.csv").write_text("1,2")
    opt_ml.configure(mode="train", rounds="100", rate="0.1", deep="True", name="text", quoted='"text"')
    run = run_train(opt_ml, program)
    assert run.status == 0
    assert (opt_ml.model / "deep" / "model.txt").read_text() == "learned from 1,2"
    seen = json.loads((opt_ml.model / "seen.json").read_text())
    assert seen == {"rounds": 100, "rate": 0.1, "deep": True, "name": "text", "quoted": "text"}
    manifest = read_manifest(opt_ml.model)
    assert (manifest.name, manifest.metrics, manifest.n_features) == ("mine", {"accuracy": 0.5}, 2)
    assert {entry.path for entry in manifest.files} == {"deep/model.txt", "seen.json"}


def test_what_mode_train_leaves_can_be_the_next_jobs_archive(opt_ml, with_main, tmp_path):
    program = with_main("def train(model_dir, *_): (model_dir / 'model.txt').write_text('x')\n")
    opt_ml.configure(mode='"train"')
    assert run_train(opt_ml, program).status == 0
    again = OptMl(tmp_path / "next")
    pack(opt_ml.model, again.data / "model")
    assert run_train(again).status == 0
    assert read_manifest(again.model) == read_manifest(opt_ml.model)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("def train(*_): raise ValueError('no rows')\n", "apps/main.py: train failed: ValueError: no rows"),
        ("def train(*_): raise SystemExit(0)\n", "apps/main.py: train failed: SystemExit"),
        ("def train(*_): return {'name': 'm'}\n", "No model: "),
        ("def train(*_): return 5\n", "apps/main.py: train returned 5"),
        ("def train(*_): return {'colour': 'red'}\n", "apps/main.py: train returned {'colour'"),
        ("x = 1\n", "apps/main.py has no train("),
        ("import nothing_of_this_name\n", "apps/main.py cannot be imported"),
        ("def train(d, *_): (d / 'manifest.json').write_text('{}')\n", "Path 'manifest.json' is reserved"),
        ("def train(d, *_): (d / 'link').symlink_to('/etc/passwd')\n", "Path 'link' is a link"),
    ],
)
def test_a_training_that_fails_says_why(opt_ml, with_main, source, reason):
    opt_ml.configure(mode="train")
    run = run_train(opt_ml, with_main(source))
    assert_failed(run, opt_ml, reason)


def test_a_failure_of_user_code_is_in_the_log_with_its_traceback(opt_ml, with_main):
    opt_ml.configure(mode="train")
    run = run_train(opt_ml, with_main("def train(*_): raise ValueError('no rows')\n"))
    assert any("main.py" in line.get("traceback", "") for line in run.lines)


def test_a_reason_that_the_user_wrote_stays(opt_ml, with_main):
    write = f"open({str(opt_ml.failure)!r}, 'w').write('my own words')"
    source = f"def train(*_):\n    {write}\n    raise ValueError\n"
    opt_ml.failure.parent.mkdir(parents=True)
    opt_ml.configure(mode="train")
    assert run_train(opt_ml, with_main(source)).status == 1
    assert opt_ml.failure.read_text() == "my own words"


@contextlib.contextmanager
def stalling_s3(uploaded, s3):
    """Answer like S3, but never finish the body of an object other than the manifest."""
    manifest = s3.client().get_object(**key_of(uploaded, "manifest.json"))["Body"].read()
    begun, over = threading.Event(), threading.Event()

    class Stalling(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            if self.path.split("?")[0].endswith("/manifest.json"):
                self.send_header("Content-Length", str(len(manifest)))
                self.end_headers()
                self.wfile.write(manifest)
                return
            first, last = self.headers["Range"].removeprefix("bytes=").split("-")
            self.send_header("Content-Length", str(int(last) - int(first) + 1))
            self.end_headers()
            self.wfile.write(b"half of it")
            begun.set()
            over.wait(60)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Stalling)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", begun
    finally:
        over.set()
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(("signum", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_within_a_stalled_download_ends_train_within_2_s(uploaded, s3, opt_ml, signum, status):
    opt_ml.configure(model_version=uploaded.uri)
    with stalling_s3(uploaded, s3) as (url, begun):
        process = start_train(opt_ml, AWS_ENDPOINT_URL=url)
        assert begun.wait(20)
        asked = time.monotonic()
        process.send_signal(signum)
        run = ended(process)
        took = time.monotonic() - asked
    assert run.status == status
    assert took < 2
    assert run.messages[-1].startswith(f"stopped by {signum.name}")
    assert opt_ml.model_files() == BEFORE
    assert not opt_ml.failure.exists()


def test_sigterm_ends_the_users_training_and_leaves_nothing(opt_ml, with_main, tmp_path):
    source = f"""
import time
def train(model_dir, *_):
    (model_dir / "half").write_text("x")
    open({str(tmp_path / "begun")!r}, "w").close()
    try:
        time.sleep(60)
    except Exception:
        pass
"""
    opt_ml.configure(mode="train")
    process = start_train(opt_ml, with_main(source))
    while not (tmp_path / "begun").exists():
        time.sleep(0.02)
    process.terminate()
    run = ended(process)
    assert run.status == 143
    assert opt_ml.model_files() == BEFORE
    assert not opt_ml.failure.exists()


def test_what_a_killed_run_left_is_cleared_by_the_next(uploaded, s3, opt_ml):
    opt_ml.configure(model_version=uploaded.uri)
    with stalling_s3(uploaded, s3) as (url, begun):
        process = start_train(opt_ml, AWS_ENDPOINT_URL=url)
        assert begun.wait(20)
        process.kill()
        process.communicate()
    assert any(path.startswith(".byoc-staging-") for path in opt_ml.model_files())
    assert run_train(opt_ml).status == 0
    assert not any(path.startswith(".") for path in opt_ml.model_files())


def test_a_pull_does_not_wait_for_libraries_that_it_does_not_need():
    script = "import sys, byoc_serving.training; print({'numpy', 'boto3', 'flask'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=PROGRAM, capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"
