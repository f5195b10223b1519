"""A folder's program runs what `docker run` would run of its image."""

import json
import sys
from pathlib import Path

import pytest

from byoc.errors import ProgramError
from byoc.runtime.build import Build, build_of
from byoc.runtime.command import Sight, argv_of, command_of
from byoc.runtime.dockerfile import Recipe
from byoc.runtime.images import Folder

PYTHON = Path(sys.executable)


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    return folder


def build(entrypoint=None, command=None):
    return Build(Recipe(entrypoint=entrypoint, command=command), {"/opt/program": "."})


@pytest.mark.parametrize(
    ("entrypoint", "arguments", "words"),
    [
        ((), None, ["image", "train"]),
        (("own", "-x"), None, ["own", "-x"]),
        ((), ("a", "b"), ["image", "a", "b"]),
        (("own",), ("a",), ["own", "a"]),
    ],
)
def test_what_a_request_asks_for_takes_the_place_that_docker_run_gives_it(
    folder, entrypoint, arguments, words
):
    of_image = build(entrypoint=("image",), command=("unused",))
    assert command_of(Folder(folder), "train", of_image, entrypoint, arguments) == (words, "")


@pytest.mark.parametrize(
    ("entrypoint", "words", "note"),
    [
        (None, ["serve"], ""),
        (("/usr/bin/env",), ["/usr/bin/env", "serve"], ""),
        (("tini", "-g", "--", "env", "A=b"), ["env", "A=b", "serve"], ""),
        (("bash", "-c", "exec serve"), ["bash", "-c", "exec serve", "serve"], ""),
        (("python", "-m", "server"), ["python", "-m", "server", "serve"], ""),
        (("python", "run.py"), ["serve"], "The ENTRYPOINT python run.py cannot be run here: serve is run"),
        (("of-the-base",), ["serve"], "The ENTRYPOINT of-the-base cannot be run here: serve is run"),
        ("exec serve", ["serve"], "The ENTRYPOINT exec serve cannot be run here: serve is run"),
    ],
)
def test_an_entrypoint_runs_unless_it_hands_on_or_is_not_here(folder, entrypoint, words, note):
    (folder / "serve").touch()
    note = f"{note} without it." if note else ""
    assert command_of(Folder(folder), "serve", build(entrypoint), (), None) == (words, note)


@pytest.mark.parametrize(
    ("entrypoint", "words"),
    [
        (["python", "run.py"], ["python", "run.py", "serve"]),
        (["./run.py"], ["/app/run.py", "serve"]),
        (["dumb-init", "run", "-x"], ["/app/bin/run", "-x", "serve"]),
        (["env", "A=b"], ["env", "A=b", "/app/bin/serve"]),
        ([], ["/app/bin/serve"]),
    ],
)
def test_what_a_dockerfile_copies_is_run_by_its_path_in_the_image(folder, entrypoint, words):
    for name in ("app/run.py", "app/bin/run", "app/bin/serve", "serve"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    image = f"FROM debian\nWORKDIR /app\nCOPY app .\nENV PATH=/app/bin\nENTRYPOINT {json.dumps(entrypoint)}\n"
    (folder / "Dockerfile").write_text(image)
    assert command_of(Folder(folder), "serve", build_of(folder), (), None) == (words, "")


def test_an_image_with_a_cmd_alone_runs_it_with_a_warning(folder):
    words, note = command_of(Folder(folder), "serve", build(command=("python", "app.py")), (), None)
    assert words == ["python", "app.py"]
    assert note == "SageMaker runs serve in place of CMD: give the Dockerfile an ENTRYPOINT."


@pytest.mark.parametrize("recipe", [{"entrypoint": "python x"}, {"command": "python x"}])
def test_a_shell_form_is_refused_with_what_to_write_instead(folder, recipe):
    with pytest.raises(ProgramError, match=r"in shell form \(python x\).* \[\"program\", \"argument\"\]"):
        command_of(Folder(folder), "serve", build(**recipe), (), None)


def test_a_folder_without_the_program_is_an_error_that_names_both(folder):
    with pytest.raises(ProgramError, match=rf"{folder} has no serve\. Name a folder"):
        command_of(Folder(folder), "serve", build_of(folder), (), None)


@pytest.mark.parametrize(
    ("words", "argv"),
    [
        (["script"], ["PYTHON", "/seen/script"]),
        (["script", "-x"], ["PYTHON", "/seen/script", "-x"]),
        (["binary"], ["/seen/binary"]),
        (["/usr/bin/env", "script"], ["PYTHON", "/seen/script"]),
        (["/usr/bin/env", "gunicorn"], ["/usr/bin/env", "gunicorn"]),
        (["python", "/opt/program/script"], ["PYTHON", "/seen/script"]),
        (["/usr/local/bin/python3.11", "-m", "x"], ["PYTHON", "-m", "x"]),
        (["/opt/program/binary", "--dir=/opt/program"], ["/seen/binary", "--dir=/seen"]),
        (["gunicorn", "/opt/programs", "x/opt/program"], ["gunicorn", "/opt/programs", "x/opt/program"]),
        (["../binary"], ["../binary"]),
    ],
)
def test_python_scripts_run_under_the_programs_interpreter_and_others_by_themselves(folder, words, argv):
    (folder / "script").write_text("#!/usr/bin/env python3\n")
    (folder / "binary").write_text("#!/bin/sh\n")
    (folder.parent / "binary").write_text("#!/bin/sh\n")
    sight = Sight("/seen", {"/opt/program": "/seen"})
    expected = [word.replace("PYTHON", str(PYTHON)) for word in argv]
    assert argv_of(words, Folder(folder), sight) == expected
