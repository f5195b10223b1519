"""A run finds its model whoever checks it."""

import os
import tempfile
from pathlib import Path

import pytest

from byoc.check.runs import _lay_out_model
from byoc.runtime.opt_ml import protect, remove
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
