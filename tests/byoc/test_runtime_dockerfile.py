"""A Dockerfile says what runs, and with what, as Docker itself reads it."""

from pathlib import Path

import pytest

from byoc.runtime.dockerfile import SYSTEM_PATH, Copy, parse

CONTAINER = Path(__file__).parents[2] / "container"


def test_our_own_dockerfile_is_understood():
    recipe = parse((CONTAINER / "Dockerfile").read_text())
    assert (recipe.entrypoint, recipe.command) == (("/usr/bin/env",), ("serve",))
    assert recipe.workdir == "/opt/program"
    capabilities = "com.amazonaws.sagemaker.capabilities"
    assert recipe.labels == {
        f"{capabilities}.accept-bind-to-port": "true",
        f"{capabilities}.multi-models": "true",
    }
    assert recipe.environment["PATH"] == f"/opt/program:/opt/venv/bin:{SYSTEM_PATH}"
    assert Copy(("custom_algorithm/",), "/opt/program/") in recipe.copies


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("ENV A=b", {"A": "b"}),
        ("env A=b", {"A": "b"}),
        ("ENV A b c", {"A": "b c"}),
        ("ENV A=b C=d", {"A": "b", "C": "d"}),
        ('ENV A="b c" C=d\\ e', {"A": "b c", "C": "d e"}),
        ("ENV A=b \\\n    C=d", {"A": "b", "C": "d"}),
        ("ENV A=b \\\n# a word\n\n    C=d", {"A": "b", "C": "d"}),
        ("ENV HERE=/x\nENV A=$HERE/y B=${HERE}z", {"HERE": "/x", "A": "/x/y", "B": "/xz"}),
        ("ENV A=${NONE:-/d} B=${NONE:+e}f", {"A": "/d", "B": "f"}),
        ("ENV H=x\nENV A=${H:-/d} B=${H:+e}f", {"H": "x", "A": "x", "B": "ef"}),
        ("ENV H=x\nENV A='$H' B=\\$H C=\"$H\"", {"H": "x", "A": "$H", "B": "$H", "C": "x"}),
        ("ARG H=x\nENV A=$H", {"A": "x"}),
        ("ENV A=$NONE", {"A": ""}),
        ("RUN <<EOF\nENV A=b\nEOF\nENV C=d", {"C": "d"}),
    ],
)
def test_variables_are_set_as_docker_sets_them(line, expected):
    assert parse(f"FROM base\n{line}\n").environment == expected


@pytest.mark.parametrize(
    ("line", "entrypoint"),
    [
        ('ENTRYPOINT ["python", "/opt/program/serve.py"]', ("python", "/opt/program/serve.py")),
        ('ENTRYPOINT ["python", \\\n  "serve.py"]', ("python", "serve.py")),
        ('ENTRYPOINT ["a"]\nENTRYPOINT ["b"]', ("b",)),
        ("ENTRYPOINT python serve.py", "python serve.py"),
        ("ENTRYPOINT ['python']", "['python']"),
        ("ENTRYPOINT []", ()),
        ("RUN true", None),
        ("HEALTHCHECK CMD true", None),
    ],
)
def test_an_entrypoint_is_words_in_exec_form_and_text_in_shell_form(line, entrypoint):
    assert parse(f"FROM base\n{line}\n").entrypoint == entrypoint


def test_the_last_stage_counts_with_what_it_is_built_on():
    recipe = parse("""
        ARG BASE=debian
        FROM ${BASE} AS system
        ENV A=system
        WORKDIR /srv
        ENTRYPOINT ["env"]
        FROM system AS build
        ENV B=build
        COPY model/ /opt/program/
        FROM --platform=linux/amd64 System
        LABEL x="a b"
        WORKDIR app
        CMD ["serve"]
    """)
    assert recipe.environment == {"A": "system"}
    assert recipe.workdir == "/srv/app"
    assert (recipe.entrypoint, recipe.command) == (("env",), ("serve",))
    assert recipe.labels == {"x": "a b"}
    assert recipe.copies == (Copy(("model/",), "/opt/program/"),)


@pytest.mark.parametrize(
    ("lines", "user"),
    [
        ("RUN true", ""),
        ("USER app", "app"),
        ("USER app\nUSER root", "root"),
        ("ARG UID=1000\nUSER ${UID}:0", "1000:0"),
        ("USER app\nFROM other", ""),
    ],
)
def test_the_last_user_is_who_it_runs_as(lines, user):
    assert parse(f"FROM base\n{lines}\n").user == user


def test_the_base_and_its_platform_are_those_that_the_last_stage_begins_with():
    recipe = parse("""
        ARG BASE=debian:trixie
        FROM --platform=$BUILDPLATFORM golang AS build
        USER app
        FROM --platform=linux/arm64 ${BASE} AS system
        FROM system
        COPY --from=build /a /b
    """)
    assert (recipe.base, recipe.platform, recipe.user) == ("debian:trixie", "linux/arm64", "")
    assert parse("FROM --platform=$TARGETPLATFORM python").platform == ""


@pytest.mark.parametrize(
    ("line", "copies"),
    [
        ("COPY . /app", [Copy((".",), "/app")]),
        ("COPY --chown=1:1 a b /app/", [Copy(("a", "b"), "/app/")]),
        ('COPY ["a b", "/app/"]', [Copy(("a b",), "/app/")]),
        ("WORKDIR /app\nCOPY . .", [Copy((".",), "/app/")]),
        ("WORKDIR /app\nCOPY x ../y", [Copy(("x",), "/y")]),
        ("COPY --from=build /a /b", []),
        ("ADD serve /usr/bin/", [Copy(("serve",), "/usr/bin/")]),
    ],
)
def test_copies_are_told_by_where_they_come_from_and_go(line, copies):
    assert list(parse(f"FROM base\n{line}\n").copies) == copies


@pytest.mark.parametrize(
    "text", ["", "\\", "FROM", "ENV", "COPY", "COPY a", 'ENV A="', "CMD", "FROM a AS", "X"]
)
def test_what_is_no_dockerfile_is_read_without_a_complaint(text):
    parse(text)
    parse(f"FROM a\n{text}")
