"""The Makefile makes the environment, mends a broken one, says what takes so long and never twice at once."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

MAKEFILE = Path(__file__).parents[1] / "Makefile"
# Creates and fills an environment as uv does, as far as make can see.
UV = f"""#!/bin/sh
echo "begin $*" >>"$CALLS"
if [ "$1" = venv ]; then
    for folder; do :; done
    mkdir -p "$folder/bin" && ln -s {sys.executable} "$folder/bin/python"
fi
sleep 0.2
echo "end" >>"$CALLS"
"""


@pytest.fixture
def checkout(tmp_path):
    """A folder with the Makefile and what its targets depend on, and a PATH with a uv that only pretends."""
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    shutil.copy(MAKEFILE, checkout)
    described = re.search(r"^DESCRIBED := (.*)$", MAKEFILE.read_text(), re.MULTILINE)[1]
    places = re.findall(r"^(SERVING|APPS) := (\S+)$", MAKEFILE.read_text(), re.MULTILINE)
    for name, place in places:
        described = described.replace(f"$({name})", place)
    for name in described.split():
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / name).touch()
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "uv").write_text(UV)
    (tmp_path / "bin" / "uv").chmod(0o755)
    return checkout


def make(checkout, *words):
    given = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    environ = {**given, "CALLS": str(checkout / "calls")}  # no flags of a make that runs us
    environ["PATH"] = f"{checkout.parent / 'bin'}:{environ['PATH']}"
    command = ["make", f"PYTHON={sys.executable}", *words]
    return subprocess.run(command, cwd=checkout, env=environ, capture_output=True, text=True, check=False)


def calls(checkout):
    return (checkout / "calls").read_text().splitlines()


def test_what_takes_so_long_is_said_in_a_line_a_phase(checkout):
    made = make(checkout, ".venv/.demo")
    assert made.returncode == 0, made.stderr
    assert made.stdout.splitlines() == ["creating .venv", "installing into .venv: this can take minutes"]
    assert any(call.endswith("-e .[cli,debug,local,sdk]") for call in calls(checkout)), calls(checkout)
    assert [call.split()[:4] for call in calls(checkout) if call != "end"] == [
        ["begin", "venv", "-q", "--python"],
        ["begin", "pip", "install", "-q"],
    ]


def test_a_finished_environment_is_left_alone(checkout):
    make(checkout, ".venv/.demo")
    before = calls(checkout)
    make(checkout, ".venv/.demo")
    assert calls(checkout) == before


@pytest.mark.parametrize("damage", ["half-made", "dangling", "none of ours"])
def test_an_environment_without_a_working_python_is_made_anew(checkout, damage):
    (checkout / ".venv" / "bin").mkdir(parents=True)
    python = checkout / ".venv" / "bin" / "python"
    if damage == "dangling":
        python.symlink_to("/nowhere/python3.11")
    elif damage == "none of ours":
        python.write_text("#!/nowhere/python\n")
        python.chmod(0o755)
    made = make(checkout, ".venv/.demo")
    assert made.returncode == 0, made.stderr
    assert python.resolve() == Path(sys.executable).resolve()


def test_two_targets_at_once_do_not_install_at_once(checkout):
    make(checkout, "-j2", ".venv/.demo", ".venv/.dev")
    assert [call.split()[0] for call in calls(checkout)] == ["begin", "end"] * 3


def test_a_python_that_is_not_there_is_one_line(checkout):
    made = make(checkout, "PYTHON=nopython", ".venv/.demo")
    assert made.returncode == 2
    line, end = made.stderr.splitlines()
    assert line.startswith("nopython is not installed. Name a Python: make PYTHON=")
    assert end.startswith("make: ***")


def test_nothing_runs_by_a_script_that_names_the_environments_folder():
    """They break where a checkout is moved; shellcheck's is a binary."""
    assert set(re.findall(r"\$\(BIN\)/([\w-]+)", MAKEFILE.read_text())) == {"python", "shellcheck"}


@pytest.mark.parametrize("mark", ["check", "docker", "sdk"])
def test_what_a_target_of_its_own_runs_is_only_where_that_target_looks(mark):
    """To collect every test of the project takes a worker as long as some of these tests."""
    places = re.search(rf"pytest (.+) -m {mark}\b", MAKEFILE.read_text())[1].split()
    tests = MAKEFILE.parent / "tests"
    marked = [file for file in tests.rglob("*.py") if re.search(rf"pytest\.mark\.{mark}\b", file.read_text())]
    named = [MAKEFILE.parent / place for place in places]
    lost = [file for file in marked if not any(file.is_relative_to(place) for place in named)]
    assert lost == []
    assert [place for place in named if not any(file.is_relative_to(place) for file in marked)] == []
