"""What an image says of itself is read from the engine, or from a folder's Dockerfile."""

import json

import pytest
from docker_stand_in import stand_in

from byoc.check.choice import parts_of
from byoc.check.facts import SCHEMA_2, Facts, facts_of
from byoc.check.rule import Part
from byoc.check.verdict import CannotTestError
from byoc.runtime.images import DockerImage, Folder


def test_the_engine_tells_of_an_image(tmp_path, monkeypatch):
    config = {
        "Entrypoint": ["/bin/sh", "-c", "python serve.py"],
        "Cmd": ["serve"],
        "Labels": {"a": "b"},
        "Env": ["PATH=/x", "EMPTY=", "A=b=c"],
        "User": "app",
        "WorkingDir": "/app",
    }
    inspect = {"Architecture": "arm64", "Size": 5, "RepoDigests": ["r/x@sha256:1"], "Config": config}
    stand_in(tmp_path / "bin", monkeypatch, inspect, ["CMD serve", "FROM x"])
    facts = facts_of(DockerImage("image"))
    assert facts == Facts(
        entrypoint="python serve.py",
        command=("serve",),
        labels={"a": "b"},
        environment={"PATH": "/x", "EMPTY": "", "A": "b=c"},
        user="app",
        workdir="/app",
        architecture="arm64",
        size_bytes=5,
        history=("FROM x", "CMD serve"),
        digests=("r/x@sha256:1",),
    )


def test_an_image_that_says_nothing_runs_as_root_in_the_root_folder(tmp_path, monkeypatch):
    nothing = {"Config": {"Labels": None, "Env": None, "Entrypoint": None}}
    stand_in(tmp_path / "bin", monkeypatch, nothing)
    facts = facts_of(DockerImage("image"))
    assert (facts.entrypoint, facts.user, facts.workdir, facts.labels) == (None, "", "/", {})
    assert facts.path.endswith("/usr/bin:/sbin:/bin")


def test_the_media_type_is_told_by_engines_that_keep_manifests(tmp_path, monkeypatch):
    media_type = "application/vnd.oci.image.index.v1+json"
    stand_in(tmp_path / "bin", monkeypatch, {"Descriptor": {"mediaType": media_type}})
    assert facts_of(DockerImage("image")).media_type == media_type


@pytest.mark.parametrize(
    ("engine", "store", "digests", "media_type"),
    [
        ("Engine", "Backing Filesystem", [], SCHEMA_2),
        ("Engine", "Backing Filesystem", ["r/x@sha256:1"], ""),
        ("Engine", "io.containerd.snapshotter.v1", [], ""),
        ("Podman Engine", "Backing Filesystem", [], ""),
    ],
)
def test_dockers_own_store_pushes_its_own_manifests(
    tmp_path, monkeypatch, engine, store, digests, media_type
):
    stand_in(tmp_path / "bin", monkeypatch, {"RepoDigests": digests})
    (tmp_path / "bin" / "version---format").write_text(json.dumps([{"Name": engine}]))
    (tmp_path / "bin" / "info---format").write_text(json.dumps([["driver-type", store]]))
    assert facts_of(DockerImage("image")).media_type == media_type


def test_without_an_engine_nothing_can_be_tested(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CannotTestError, match="does not tell of image"):
        facts_of(DockerImage("image"))


def folder_with(folder, dockerfile):
    (folder / "serve").write_text("#!/bin/sh\n")
    if dockerfile:
        (folder / "Dockerfile").write_text(dockerfile)
    return facts_of(Folder(folder))


def test_a_dockerfile_tells_of_a_folder(tmp_path):
    facts = folder_with(
        tmp_path,
        "FROM --platform=linux/aarch64 python:3.12\nUSER app\nENV PATH=/app:$PATH\nRUN a \\\n  b\n",
    )
    assert (facts.user, facts.architecture, facts.programs) == ("app", "arm64", {"serve"})
    assert facts.path.startswith("/app:/usr/local/sbin:")
    assert facts.history[-1] == "RUN a   b"


@pytest.mark.parametrize(
    ("base", "is_all"),
    [
        ("python:3.12-slim", True),
        ("docker.io/library/debian@sha256:0", True),
        ("nvidia/cuda:12.2.0-runtime-ubuntu22.04", True),
        ("ubuntu", True),
        ("public.ecr.aws/docker/library/node:22", True),
        ("cgr.dev/chainguard/python", False),
        ("somebody/python:3.12", False),
        ("pytorch/torchserve", False),
        ("123.dkr.ecr.us-east-1.amazonaws.com/own-python:1", False),
    ],
)
def test_what_a_common_base_image_brings_is_known(tmp_path, base, is_all):
    assert folder_with(tmp_path, f"FROM {base}\n").is_all is is_all


def test_without_a_dockerfile_programs_are_found_where_byoc_runs_them(tmp_path):
    facts = folder_with(tmp_path, "")
    assert facts.path.startswith("/opt/program:")
    assert (facts.is_all, facts.history) == (False, ())


@pytest.mark.parametrize(
    ("entrypoint", "hands_on"),
    [
        (None, True),
        ((), True),
        (("/usr/bin/env",), True),
        (("/usr/bin/tini", "--", "env", "A=b"), True),
        (("python", "serve.py"), False),
        ("python serve.py", False),
    ],
)
def test_train_is_a_program_where_the_entrypoint_becomes_what_it_is_given(entrypoint, hands_on):
    facts = Facts(entrypoint, None, programs=frozenset({"serve"}))
    assert facts.hands_on is hands_on
    assert facts.has("serve")
    assert facts.has("train") is not hands_on


def test_a_folder_is_checked_for_the_programs_that_its_dockerfile_copies(tmp_path):
    for name in ("trees/serve", "other/train"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    (tmp_path / "Dockerfile").write_text("FROM python\nCOPY trees/serve /usr/local/bin/\n")
    facts = facts_of(Folder(tmp_path))
    assert facts.programs == {"serve"}
    assert parts_of(facts) == [Part.IMAGE, Part.SERVE, Part.BATCH]
