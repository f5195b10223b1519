"""A Dockerfile says where a folder's files are in the image, and which of them `train` and `serve` are."""

from pathlib import Path

import pytest

from byoc.errors import ProgramError
from byoc.runtime.build import Build, build_of, program_of
from byoc.runtime.dockerfile import Recipe
from byoc.runtime.images import binds_to_port
from nobody import nobody, open_folder, root_only

CONTAINER = Path(__file__).parents[2] / "container"


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    return folder


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


@pytest.mark.parametrize(
    ("lines", "serve"),
    [
        ("COPY bin /opt/program\nENV PATH=/opt/program:$PATH", "/opt/program/serve"),
        ("COPY bin/serve bin/train /usr/local/bin/", "/usr/local/bin/serve"),
        ("COPY bin/serve /usr/local/bin", "/usr/local/bin/serve"),
        ("COPY bin /app\nENV PATH=/srv:/app\nCOPY bin /srv/", "/srv/serve"),
        ("COPY bin /app", "/app/serve"),  # as a PATH of the base image may have it
        ("COPY . /app\nENV PATH=/app/bin:$PATH", "/app/bin/serve"),
        ("COPY bin/train /usr/bin/", ""),
        ("COPY . /app", ""),
    ],
)
def test_a_program_is_found_where_the_image_has_it(folder, lines, serve):
    (folder / "bin").mkdir()
    for name in ("serve", "train"):
        (folder / "bin" / name).touch(mode=0o755)
    (folder / "Dockerfile").write_text(f"FROM debian\n{lines}\n")
    assert program_of(build_of(folder), folder, "serve") == serve


@pytest.mark.parametrize("dockerfile", ["", "FROM debian\nRUN pip install x\n"])
def test_a_program_that_no_dockerfile_copies_is_run_where_it_lies(folder, dockerfile):
    (folder / "serve").touch()
    (folder / "Dockerfile").write_text(dockerfile)
    assert program_of(build_of(folder), folder, "serve") == "serve"


def test_folders_that_are_copied_to_one_place_are_told_by_their_entries(folder):
    for name in ("a/x", "a/both/1", "b/y", "b/both/2", "b/x"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    (folder / "Dockerfile").write_text("FROM debian\nCOPY a /app\nCOPY b /app\n")
    assert build_of(folder).copied == {
        "/app/x": "b/x",
        "/app/both/1": "a/both/1",
        "/app/both/2": "b/both/2",
        "/app/y": "b/y",
    }


@root_only
@pytest.mark.parametrize("closed", ["closed", "", "Dockerfile"])
def test_a_folder_that_cannot_be_read_is_named_with_what_to_do(closed):
    with open_folder() as folder:
        (folder / "Dockerfile").write_text("FROM debian\nCOPY closed /usr/bin/\n")
        (folder / "closed").mkdir()
        (folder / closed).chmod(0)
        why = rf"{folder}.* cannot be read: Permission denied\. Give yourself the right"
        with nobody(), pytest.raises(ProgramError, match=why):
            build_of(folder)
