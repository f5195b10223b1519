"""A folder's program runs what `docker run` would run of its image."""

import sys
from pathlib import Path

import pytest

from byoc.errors import ProgramError
from byoc.runtime.command import Build, Sight, argv_of, build_of, command_of
from byoc.runtime.dockerfile import Recipe
from byoc.runtime.images import Folder, binds_to_port

PYTHON = Path(sys.executable)
CONTAINER = Path(__file__).parents[2] / "container"


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


def test_a_file_called_as_the_verb_goes_before_the_dockerfile(folder):
    (folder / "serve").touch()
    assert command_of(Folder(folder), "serve", build(entrypoint=("image",)), (), None) == (["serve"], "")


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


@pytest.mark.parametrize(
    ("copies", "files"),
    [
        ("COPY model /opt/program", {"/opt/program": "."}),
        ("COPY . /srv", {"/opt/program": ".", "/srv/model": "."}),
        ("COPY model/ /app/", {"/opt/program": ".", "/app": "."}),
        ("COPY model/src /opt/program", {"/opt/program": "src"}),
        ("COPY model/src/*.py /opt/program/", {"/opt/program": ".", "/opt/program/a.py": "src/a.py"}),
        ("COPY model/src/a.py /run.py", {"/opt/program": ".", "/run.py": "src/a.py"}),
        ("COPY model/src /opt/ml/model", {"/opt/program": "."}),
        ("COPY model/src /opt/ml/code", {"/opt/program": ".", "/opt/ml/code": "src"}),
        ("COPY model/src /usr/local/bin/", {"/opt/program": ".", "/usr/local/bin/a.py": "src/a.py"}),
    ],
)
def test_a_dockerfile_above_says_where_the_folders_files_are(folder, copies, files):
    (folder / "src").mkdir()
    (folder / "src" / "a.py").touch()
    (folder.parent / "Dockerfile").write_text(f"FROM debian\n{copies}\n")
    assert build_of(folder).files == files


def test_a_dockerfile_above_that_copies_something_else_is_not_the_folders(folder):
    (folder.parent / "Dockerfile").write_text('FROM debian\nCOPY other /app\nENTRYPOINT ["other"]\n')
    assert build_of(folder) == Build(Recipe(), {"/opt/program": "."})


def test_a_dockerfile_in_the_folder_is_the_folders(folder):
    (folder / "Dockerfile").write_text('FROM debian\nCOPY . /app\nENTRYPOINT ["own"]\n')
    assert build_of(folder).recipe.entrypoint == ("own",)
    assert build_of(folder).files == {"/opt/program": ".", "/app": "."}


def test_a_dockerfile_that_cannot_be_read_is_named(folder):
    (folder / "Dockerfile").write_bytes(b"\xff")
    with pytest.raises(ProgramError, match=rf"{folder}/Dockerfile cannot be read"):
        build_of(folder)


def test_our_own_program_is_found_and_listens_where_it_is_told():
    own = build_of(CONTAINER / "custom_algorithm")
    assert own.files["/opt/program"] == "."
    assert binds_to_port(own.recipe.labels)
