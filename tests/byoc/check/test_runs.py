"""A run finds its model whoever checks it."""

import os
import tempfile
from pathlib import Path

import pytest

from byoc.check.question import Question
from byoc.check.runs import TrainSetup, _lay_out_model, training
from byoc.runtime.images import Folder
from byoc.runtime.opt_ml import protect, remove
from byoc.runtime.privacy import privacy_here
from byoc.runtime.program import Place

NOBODY = 65534


@pytest.fixture
def home():
    """A folder of a user who is not root, as whom the test goes on."""
    folder = Path(tempfile.mkdtemp())
    is_root = os.geteuid() == 0
    if is_root:
        os.chown(folder, NOBODY, NOBODY)
        os.seteuid(NOBODY)
    yield folder
    if is_root:
        os.seteuid(0)
    remove(folder)


@pytest.mark.parametrize("is_writable", [False, True])
def test_who_is_not_root_can_have_a_model_served(home, is_writable):
    (home / "model" / "part").mkdir(parents=True)
    (home / "model" / "part" / "x").write_text("x")
    protect(home / "model")
    place = Place(home / "run")
    place.root.mkdir()
    _lay_out_model(home / "model", place, is_writable)
    assert (place.opt_ml / "model" / "part" / "x").read_text() == "x"
    assert os.access(place.opt_ml / "model", os.W_OK, effective_ids=True) is is_writable


def test_copies_of_a_channel_go_with_the_run_that_they_were_made_for(tmp_path):
    for name in ("program", "data"):
        (tmp_path / name).mkdir()
    (tmp_path / "data" / "x").write_text("x")
    (tmp_path / "program" / "train").write_text(
        "#!/bin/sh\ncat ${SAGEMAKER_BASE_DIR:-/opt/ml}/input/data/training/x\n"
    )
    (tmp_path / "program" / "train").chmod(0o755)
    question = Question(Folder(tmp_path / "program"), channels={"training": tmp_path / "data"})
    with training(question, question.target, Place(tmp_path / "run"), TrainSetup()) as run:
        found = run.wait(30.0)
    assert (found.status, found.log) == (0, "x")
    assert not found.tree.channels.exists()
    assert (tmp_path / "data" / "x").read_text() == "x"


def test_what_a_program_writes_beside_itself_ends_with_the_run(tmp_path):
    if privacy_here().tool != "root" or "overlay" not in Path("/proc/filesystems").read_text():
        pytest.skip("that takes root and overlayfs")
    folder = tmp_path / "a, b:c"  # what an option of a mount would take for its end
    folder.mkdir()
    (folder / "kept").write_text("as it was")
    script = f'cd /opt/program && echo new >kept && echo x >left && cat kept "{folder}/left"'
    (folder / "train").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "train").chmod(0o755)
    question = Question(Folder(folder))
    with training(question, question.target, Place(tmp_path / "run"), TrainSetup()) as run:
        found = run.wait(30.0)
    assert (found.status, found.log) == (0, "new\nx\n")
    assert sorted(path.name for path in folder.iterdir()) == ["kept", "train"]
    assert (folder / "kept").read_text() == "as it was"
