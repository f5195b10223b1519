from pathlib import Path

import pytest

from bench.contest.document import BEGIN, END, with_report, write
from bench.contest.errors import BenchError

TEXT = f"# Words\n\n{BEGIN}old\n{END}\n\nmore words\n"


def test_only_what_lies_between_the_markers_changes():
    assert with_report(TEXT, "new\n") == f"# Words\n\n{BEGIN}new\n{END}\n\nmore words\n"


def test_telling_the_same_again_changes_nothing():
    once = with_report(TEXT, "new\n")
    assert with_report(once, "new\n") == once


@pytest.mark.parametrize("text", ["", BEGIN, END, f"{END}\n{BEGIN}", TEXT + TEXT])
def test_a_document_without_a_clear_place_is_refused(text):
    with pytest.raises(BenchError, match="bench"):
        with_report(text, "new\n")


def test_a_file_is_replaced_whole(tmp_path):
    path = tmp_path / "folder" / "file"
    write(path, "one")
    write(path, "two")
    assert [file.name for file in path.parent.iterdir()] == ["file"]
    assert path.read_text() == "two"


@pytest.mark.parametrize("name", ["performance.md", "children.md"])
def test_the_documents_of_this_project_have_a_place(name):
    document = Path(__file__).parents[2] / "docs" / name
    assert "new\n" in with_report(document.read_text(), "new\n")
