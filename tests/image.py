"""Runs the image's real `train` for the tests: a program folder, an /opt/ml of its own, a process."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from serving import copy_program

PROGRAM = Path(__file__).parents[1] / "container" / "custom_algorithm"


@dataclass(frozen=True)
class OptMl:
    """A re-rooted /opt/ml."""

    base: Path

    @property
    def model(self):
        return self.base / "model"

    @property
    def data(self):
        return self.base / "input" / "data"

    @property
    def failure(self):
        return self.base / "output" / "failure"

    def configure(self, name="hyperparameters", /, **values):
        """Write input/config/<name>.json."""
        self.write_config(f"{name}.json", json.dumps(values))

    def write_config(self, name, text):
        folder = self.base / "input" / "config"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)

    def model_files(self):
        """Return what the model directory holds, by path; None for a folder."""
        if not self.model.exists():
            return None
        paths = self.model.rglob("*")
        return {
            path.relative_to(self.model).as_posix(): path.read_bytes() if path.is_file() else None
            for path in paths
        }


@dataclass(frozen=True)
class Ended:
    """How a run of `train` ended."""

    status: int
    lines: list[dict]

    @property
    def messages(self):
        return [line["message"] for line in self.lines]


def start_train(opt_ml, program=PROGRAM, *, command=(), **environ):
    """Start `train`, or a command in its stead, as a process with its own /opt/ml."""
    given = {**os.environ, "SAGEMAKER_BASE_DIR": str(opt_ml.base), **environ}
    command = command or [sys.executable, str(program / "train")]
    return subprocess.Popen(command, env=given, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def train_with_grace(program, grace_s):
    """Return the command of a `train` that gives the user's training that many seconds to end."""
    source = (
        "import os, sys; sys.path.insert(0, sys.argv.pop()); from byoc_serving.training import main; "
        f"sys.exit(main(os.environ, grace_s={grace_s}))"
    )
    return [sys.executable, "-c", source, str(program)]


def run_train(opt_ml, program=PROGRAM, **environ):
    """Run `train` to its end."""
    return ended(start_train(opt_ml, program, **environ))


def ended(process, within_s=30.0):
    """Wait for a `train` and return how it ended; every line that it wrote is JSON."""
    output, _ = process.communicate(timeout=within_s)
    return Ended(process.returncode, [json.loads(line) for line in output.splitlines()])


def program_with_main(folder, source):
    """Copy the image's program to a folder, with `source` for its apps/main.py."""
    copy_program(folder)
    (folder / "apps").mkdir()
    (folder / "apps" / "main.py").write_text(source)
    return folder
