"""What ends `docker build` is named with its line, and no build that goes well is refused."""

import pytest

from byoc.check.unbuildable import obstacle_in
from byoc.check.verdict import CannotTestError


@pytest.fixture
def context(tmp_path):
    folder = tmp_path / "program"
    folder.mkdir()
    for path in (folder / "serve", folder / "secret", tmp_path / "shared"):
        path.write_text("")
    return folder


def found(text, context):
    return obstacle_in(text, context, lambda path: path == "secret")


@pytest.mark.parametrize(
    ("text", "line", "what", "mend"),
    [
        ("", 0, "it is empty", "FROM python"),
        ("# nothing\n\n", 0, "it is empty", "FROM python"),
        ("FORM python:3.12\n", 1, "FORM is no instruction", "Is it FROM?"),
        ("FROM a\nRUN apt-get update\napt-get install x\n", 3, "APT-GET is no instruction", "a \\"),
        ("# x\nCOPY . /x\n", 2, "COPY stands there without a FROM before it", "FROM python"),
        ("COPY . /x\nFROM a\n", 1, "COPY stands there without a FROM before it", "FROM python"),
        ("FROM\n", 1, "FROM names no image: ''", "FROM IMAGE"),
        ("FROM a b\n", 1, "FROM names no image: 'a b'", "FROM IMAGE"),
        ("FROM a\nCOPY\n", 2, "COPY takes a source and a destination, and has ''", "COPY SOURCE"),
        ("FROM a\nCOPY --chown=1 x\n", 2, "COPY takes a source and a destination", "COPY SOURCE"),
        ("FROM a\nWORKDIR\n", 2, "WORKDIR has nothing behind it", "no such line"),
        ("FROM a\nRUN x && \\\n  y\nADD z.txt /\n", 4, "ADD z.txt: there is no such file in", "Put it"),
        ('FROM a\nCOPY ["serve", "z", "/x/"]\n', 2, "COPY z: there is no such file in", "Put it"),
        ("FROM a\nCOPY ../shared /x\n", 2, "a build sees nothing outside of its folder", "Put it"),
        ("FROM a\nCOPY secret /x\n", 2, "COPY secret: .dockerignore keeps it out", "Put it"),
    ],
)
def test_the_first_line_at_which_a_build_ends_is_named(text, line, what, mend, context):
    obstacle = found(text, context)
    assert obstacle.line == line
    assert what in obstacle.what
    assert mend in obstacle.mend


@pytest.mark.parametrize(
    "text",
    [
        "ARG V=3\nFROM --platform=linux/amd64 python:$V AS build\nfrom build\nCOPY . /opt\nCMD\n",
        "\ufeffFROM\ta\nCOPY\tserve /opt/serve\n",
        "FROM a\nRUN x \\\n  # why\n\n  y\nCOPY --from=b /z /z\nCOPY /serve ./serve /x/\n",
        "FROM a\nCOPY <<EOF /x\nno instruction\nEOF\nADD https://a.b/x git@a.b:x $X nothing*.txt /x/\n",
        "FROM a\nRUN <<EOF\nno instruction\nEOF\nONBUILD RUN x\nENTRYPOINT x \\\n",
    ],
)
def test_a_dockerfile_that_docker_builds_is_not_refused(text, context):
    assert found(text, context) is None


@pytest.mark.parametrize(
    "text", ["# syntax=acme/own:1\nUSE x\n", "# escape=`\nFROM a\n", "FROM a\nCOPY shared /x\n"]
)
def test_what_may_be_built_otherwise_is_not_judged(text, context):
    with pytest.raises(CannotTestError):
        found(text, context)
