"""The README's example is a whole algorithm: the image trains, describes, loads and asks it."""

import json
from pathlib import Path

import pytest

from image import OptMl, run_train
from serving import program_with, serve

README = Path(__file__).parents[1] / "README.md"


@pytest.fixture
def program(tmp_path):
    """The image's program, with the two files that the README shows for its apps/."""
    main, inference = (
        README.read_text().split("```python\n")[1].split("```")[0].split("# apps/inference.py\n")
    )
    (tmp_path / "apps").mkdir()
    (tmp_path / "apps" / "main.py").write_text(main)
    (tmp_path / "apps" / "inference.py").write_text(inference)
    return program_with(tmp_path / "apps", tmp_path / "program")


@pytest.mark.nginx
def test_the_readmes_text_classifier_trains_serves_and_answers(program, tmp_path):
    opt_ml = OptMl(tmp_path / "ml")
    opt_ml.configure(mode="train")
    assert run_train(opt_ml, program).status == 0
    rows = json.loads((opt_ml.model / "manifest.json").read_text())["sample_rows"]
    with serve(program, opt_ml.base) as running:
        running.wait_until_ready()
        assert running.invoke(rows) == (200, ["good"])
        assert running.invoke(["how awful", "lovely"]) == (200, ["bad", "good"])
