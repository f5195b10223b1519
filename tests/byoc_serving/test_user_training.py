"""mode=train with trainings that hang, crash or are killed, and `train` itself under signals at any time."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from byoc_serving.model_version import read_manifest
from image import OptMl, ended, program_with_main, run_train, start_train, train_with_grace
from processes import below, eventually, processes_with

BEFORE = {"old.txt": b"what was there"}
HAS_NAMESPACES = (
    os.geteuid() == 0
    and shutil.which("unshare") is not None
    and subprocess.run(["unshare", "-fp", "true"], check=False, capture_output=True).returncode == 0
)


@pytest.fixture
def opt_ml(tmp_path):
    """An /opt/ml that asks for mode=train, and whose model directory holds an unrelated file."""
    place = OptMl(tmp_path / "opt_ml")
    place.model.mkdir(parents=True)
    (place.model / "old.txt").write_bytes(BEFORE["old.txt"])
    place.configure(mode="train")
    return place


@pytest.fixture
def with_main(tmp_path):
    return lambda source: program_with_main(tmp_path / "program", source)


def begun(opt_ml):
    return eventually(lambda: list(opt_ml.model.glob(".byoc-staging-*/new/begun")), within_s=20)


def assert_untouched(opt_ml):
    assert opt_ml.model_files() == BEFORE
    assert eventually(lambda: not processes_with(str(opt_ml.base)))


@pytest.mark.parametrize(
    "error",
    [
        "asyncio.CancelledError()",
        "KeyboardInterrupt()",
        "GeneratorExit()",
        "SystemExit(0)",
        "StopIteration()",
    ],
)
@pytest.mark.parametrize("where", ["train", "import"])
def test_whatever_user_code_raises_is_a_reason_in_the_failure_file(opt_ml, with_main, error, where):
    at_import, in_train = ("raise", "pass") if where == "import" else ("pass; ", "raise")
    source = f"import asyncio\ndef train(*_):\n    {in_train} {error if in_train == 'raise' else ''}\n"
    source += f"{at_import} {error}\n" if where == "import" else ""
    run = run_train(opt_ml, with_main(source))
    said = "apps/main.py: train failed: " if where == "train" else "apps/main.py cannot be imported: "
    name = error.partition("(")[0].removeprefix("asyncio.")
    assert run.status == 1
    assert opt_ml.failure.read_text().startswith(said + name)
    assert_untouched(opt_ml)


@pytest.mark.parametrize(
    ("act", "reason"),
    [
        ("os._exit(7)", "apps/main.py: train ended the process with status 7. "),
        ("os._exit(0)", "apps/main.py: train ended the process with status 0. "),
        ("os.kill(os.getpid(), 9)", "apps/main.py: train was killed by SIGKILL; memory may be short"),
        ("os.abort()", "apps/main.py: train was killed by SIGABRT"),
        ("os.kill(os.getpid(), 15)", "apps/main.py: train ended the process with status 143. "),
    ],
)
def test_a_training_whose_process_dies_is_told_with_how(opt_ml, with_main, act, reason):
    run = run_train(opt_ml, with_main(f"import os\ndef train(*_):\n    {act}\n"))
    assert run.status == 1
    assert opt_ml.failure.read_text().startswith(reason)
    assert run.messages[-1].startswith(reason)
    assert_untouched(opt_ml)


def test_a_training_stuck_in_c_code_is_killed_after_its_grace(opt_ml, with_main):
    program = with_main("def train(d, *_):\n    (d / 'begun').touch()\n    sum(range(2 * 10**9))\n")
    process = start_train(opt_ml, command=train_with_grace(program, 1))
    assert begun(opt_ml)
    asked = time.monotonic()
    process.terminate()
    assert ended(process).status == 143
    assert 0.9 < time.monotonic() - asked < 5
    assert not opt_ml.failure.exists()
    assert_untouched(opt_ml)


CHECKPOINTS = """
import time
from pathlib import Path

def train(model_dir, channels, hyperparameters):
    (model_dir / "begun").touch()
    try:
        time.sleep(60)
    finally:
        time.sleep(0.3)
        Path(hyperparameters["checkpoint"]).write_text("saved")
"""


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_training_has_time_for_a_checkpoint(opt_ml, with_main, tmp_path, signum):
    opt_ml.configure(mode="train", checkpoint=str(tmp_path / "checkpoint"))
    process = start_train(opt_ml, with_main(CHECKPOINTS))
    assert begun(opt_ml)
    process.send_signal(signum)
    assert ended(process).status == 128 + signum
    assert (tmp_path / "checkpoint").read_text() == "saved"
    assert_untouched(opt_ml)


def test_a_thread_that_goes_on_does_not_keep_a_failed_training_alive(opt_ml, with_main):
    source = "import threading, time\ndef train(*_):\n"
    source += "    threading.Thread(target=time.sleep, args=(60,)).start()\n    raise ValueError('no rows')\n"
    began = time.monotonic()
    run = ended(start_train(opt_ml, command=train_with_grace(with_main(source), 1)))
    assert time.monotonic() - began < 10
    assert run.status == 1
    assert opt_ml.failure.read_text() == "apps/main.py: train failed: ValueError: no rows"
    assert_untouched(opt_ml)


def test_what_train_left_running_ends_with_it_and_the_model_is_kept(opt_ml, with_main):
    source = "import subprocess\ndef train(d, *_):\n    (d / 'model.txt').write_text('x')\n"
    source += "    subprocess.Popen(['sleep', '60'])\n"
    assert run_train(opt_ml, with_main(source)).status == 0
    assert read_manifest(opt_ml.model).name == "model"
    assert eventually(lambda: not processes_with(str(opt_ml.base)))


def test_what_the_users_code_does_at_exit_is_done(opt_ml, with_main, tmp_path):
    source = "import atexit, pathlib\ndef train(d, *_):\n    (d / 'model.txt').write_text('x')\n"
    source += f"    atexit.register(pathlib.Path({str(tmp_path / 'left')!r}).touch)\n"
    assert run_train(opt_ml, with_main(source)).status == 0
    assert (tmp_path / "left").exists()


def test_what_the_users_code_prints_passes_through(opt_ml, with_main):
    source = "import sys\ndef train(d, *_):\n    (d / 'model.txt').write_text('x')\n"
    source += (
        "    print('\"to stdout\"')\n    print('\"to stderr\"', file=sys.stderr)\n    print(sys.argv[1:])\n"
    )
    process = start_train(opt_ml, with_main(source))
    output, _ = process.communicate(timeout=30)
    assert {'"to stdout"', '"to stderr"', "[]"} <= set(output.decode().splitlines())


def test_workers_of_the_training_find_its_module(opt_ml, with_main):
    source = """
import multiprocessing

def double(number):
    return 2 * number

def train(model_dir, *_):
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        (model_dir / "model.txt").write_text(str(pool.map(double, [1, 2])))
"""
    assert run_train(opt_ml, with_main(source)).status == 0
    assert (opt_ml.model / "model.txt").read_text() == "[2, 4]"


def test_a_description_of_the_wrong_kind_is_the_users_failure(opt_ml, with_main):
    source = "def train(d, *_):\n    (d / 'model.txt').write_text('x')\n    return {'metrics': 5}\n"
    assert run_train(opt_ml, with_main(source)).status == 1
    assert opt_ml.failure.read_text().startswith("apps/main.py: what train returned cannot be described: ")


SLOW = "import time\ndef train(d, *_):\n    time.sleep(60)\n"


def path_with_python(tmp_path):
    """Return a PATH on which python3 is this interpreter, as it is in the image."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python3").symlink_to(sys.executable)
    return f"{tmp_path / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}"


def runs_python(pid):
    """Whether the first line of `train` is obeyed: env has become the interpreter, which starts."""
    return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].endswith(b"python3")


def catches_sigterm(pid):
    """Whether the interpreter has come as far as the first statement of `train` (proc(5), SigCgt)."""
    mask = re.search(r"^SigCgt:\s+(\w+)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(mask[1], 16) & 1 << signal.SIGTERM - 1


def terminate(pid, delay_s, after):
    """Send SIGTERM so many seconds after something is so, for which it looks without a pause."""
    give_up = time.monotonic() + 10
    while not after(pid):
        assert time.monotonic() < give_up
    time.sleep(delay_s)
    os.kill(pid, signal.SIGTERM)


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("delay_s", [0, 0.03, 0.06, 0.1, 0.3])
@pytest.mark.parametrize("after", [runs_python, catches_sigterm])
def test_sigterm_while_train_starts_ends_it_with_143(opt_ml, with_main, tmp_path, after, delay_s):
    train = str(with_main(SLOW) / "train")
    command = [train] if after == runs_python else [sys.executable, train]
    process = start_train(opt_ml, command=command, PATH=path_with_python(tmp_path))
    terminate(process.pid, delay_s, after)
    assert ended(process).status == 143
    assert_untouched(opt_ml)


@pytest.mark.skipif(not HAS_NAMESPACES, reason="a process namespace of one's own needs root")
@pytest.mark.parametrize("delay_s", [0, 0.03, 0.06, 0.1])
def test_sigterm_while_train_starts_as_process_1_is_not_lost(opt_ml, with_main, tmp_path, delay_s):
    train = str(with_main(SLOW) / "train")
    command = ["unshare", "--fork", "--pid", "--kill-child", train]
    process = start_train(opt_ml, command=command, PATH=path_with_python(tmp_path))
    assert eventually(lambda: below(process.pid))
    terminate(below(process.pid)[0], delay_s, runs_python)
    assert ended(process).status == 143
    assert_untouched(opt_ml)
