"""Environments of Python, one for each program: made on first use, and again when the requirements change."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.contest.errors import NotMeasuredError

ROOT = Path(__file__).parents[2]
PROGRAMS = ROOT / "bench" / "programs"
VENVS = ROOT / "bench" / ".venvs"
SERVING = ROOT / "container" / "custom_algorithm" / "byoc_serving" / "requirements.txt"
STAMP = "made-from"
MAKING_S = 900.0
_TAIL = 300  # characters of an installer's complaint that fit into a table's footnote


def environment(name: str, report: Callable[[str], None], venvs: Path = VENVS) -> Path:
    """Return the Python of an environment that has what programs/<name>/requirements.txt asks for.

    Raises:
        NotMeasuredError: it cannot be installed.
    """
    files = requirements_of(name)
    folder = venvs / name
    python = folder / "bin" / "python"
    digest = digest_of(files)
    stamp = folder / STAMP
    if stamp.is_file() and stamp.read_text() == digest and os.access(python, os.X_OK):
        return python
    report(f"making bench/.venvs/{name}: this can take minutes")
    shutil.rmtree(folder, ignore_errors=True)
    for command in installing(folder, files):
        _run(command, name)
    stamp.write_text(digest)
    return python


def requirements_of(name: str) -> list[Path]:
    """Return the requirement files of an environment; ours has those of the image's serving first."""
    own = PROGRAMS / name / "requirements.txt"
    return [SERVING, own] if name == "ours" else [own]


def digest_of(files: Sequence[Path]) -> str:
    """Return what changes when the requirements do, or the Python that they are installed for."""
    text = "\n".join([sys.version, *(file.read_text() for file in files)])
    return hashlib.sha256(text.encode()).hexdigest()


def installing(folder: Path, files: Sequence[Path], uv: str | None = shutil.which("uv")) -> list[list[str]]:
    """Return the commands that make an environment: by uv where that is installed, else by pip."""
    python = str(folder / "bin" / "python")
    named = [word for file in files for word in ("-r", str(file))]
    if uv:
        return [
            [uv, "venv", "-q", "--python", sys.executable, str(folder)],
            [uv, "pip", "install", "-q", "-p", python, *named],
        ]
    return [
        [sys.executable, "-m", "venv", str(folder)],
        [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *named],
    ]


def _run(command: Sequence[str], name: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=MAKING_S, check=False)
    except subprocess.TimeoutExpired:
        raise NotMeasuredError(f"installing bench/.venvs/{name} took over {MAKING_S:g} s") from None
    if done.returncode:
        raise NotMeasuredError(f"bench/.venvs/{name} cannot be installed: {done.stderr.strip()[-_TAIL:]}")
