"""Which folder stands for which image, in this life of a data folder and the next."""

import json
import stat

import pytest

from byoc.local.instance import LocalError
from byoc.local.programs import Programs, checked_program, named_program


@pytest.fixture
def program(tmp_path):
    folder = tmp_path / "program"
    folder.mkdir()
    (folder / "serve").touch()
    return folder


def test_what_is_named_later_replaces_what_has_its_name_and_the_rest_stays(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    Programs(tmp_path).remember({"a": first, "b": first})
    Programs(tmp_path).remember({"b": second})
    assert Programs(tmp_path).folders() == {"a": first, "b": second}
    assert stat.S_IMODE((tmp_path / "programs.json").stat().st_mode) == 0o600


def test_the_checkouts_program_is_remembered_but_never_before_what_is_named(tmp_path):
    checkout, other, named = tmp_path / "checkout", tmp_path / "other", tmp_path / "named"
    programs = Programs(tmp_path)
    programs.remember({}, checkout)
    programs.remember({})
    assert programs.folders() == {"custom-algorithm": checkout}
    programs.remember({}, other)
    assert programs.folders() == {"custom-algorithm": other}
    programs.remember({"custom-algorithm": named})
    programs.remember({}, checkout)
    assert programs.folders() == {"custom-algorithm": named}


def test_a_folder_that_is_gone_is_told_and_its_name_kept(tmp_path, program):
    programs = Programs(tmp_path)
    programs.remember({"here": program, "lost": tmp_path / "nowhere"})
    (told,) = programs.gone()
    assert told.startswith(f"The folder of the program lost is gone or closed: {tmp_path}/nowhere.")
    assert "lost" in programs.folders()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"named": null}', '{"named": {}, "more": 1}'])
def test_a_file_that_names_no_programs_is_one_clear_line(tmp_path, text):
    (tmp_path / "programs.json").write_text(text)
    with pytest.raises(LocalError, match="Remove it, and name them again"):
        Programs(tmp_path).folders()


def test_a_program_is_named_with_its_folder(program, monkeypatch):
    monkeypatch.chdir(program.parent)
    assert named_program("team/my-model=program") == ("team/my-model", program)


@pytest.mark.parametrize("given", ["model", "model=", "=/tmp", ""])
def test_what_is_not_name_and_folder_is_refused(given):
    with pytest.raises(LocalError, match="Give NAME=DIR"):
        named_program(given)


@pytest.mark.parametrize("name", ["Model", "model:v1", "model@sha256:0", "-model", "a b"])
def test_a_name_that_ecr_would_refuse_is_refused(program, name):
    with pytest.raises(LocalError, match="cannot be an ECR repository"):
        checked_program(name, program)


@pytest.mark.parametrize(
    "dockerfile", [None, "FROM x", "FROM x\nENTRYPOINT python serve.py", 'FROM x\nENTRYPOINT x\nCMD ["y"]']
)
def test_a_folder_with_nothing_to_run_is_refused(tmp_path, dockerfile):
    folder = tmp_path / "deep" / "folder"
    folder.mkdir(parents=True)
    if dockerfile:
        (folder / "Dockerfile").write_text(dockerfile)
    with pytest.raises(LocalError, match="nothing to run: neither train nor serve, nor a Dockerfile"):
        checked_program("model", folder)


def test_a_program_in_a_subfolder_that_a_dockerfile_copies_is_one(tmp_path):
    (tmp_path / "trees").mkdir()
    (tmp_path / "trees" / "serve").touch()
    (tmp_path / "Dockerfile").write_text("FROM x\nCOPY trees /opt/program\nENV PATH=/opt/program:$PATH\n")
    assert checked_program("model", tmp_path) == tmp_path


@pytest.mark.parametrize("instruction", ["ENTRYPOINT", "CMD"])
def test_a_dockerfile_that_says_what_to_run_is_a_program(tmp_path, instruction):
    (tmp_path / "Dockerfile").write_text(f"FROM x\n{instruction} {json.dumps(['python', 'serve.py'])}")
    assert checked_program("model", tmp_path) == tmp_path
