"""byoc check looks at an image of a real engine."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from docker_engine import BASE_IMAGE, Engine

pytestmark = pytest.mark.docker

ROOT = Path(__file__).parents[2]
REQUEST = ROOT / "dummy_data" / "breast_cancer.csv"
FAULTY = f"""
ARG BASE_IMAGE={BASE_IMAGE}
FROM ${{BASE_IMAGE}}
ARG A_TOKEN=kj3h4kjh5kj3h4kjh5
RUN mkdir -p /opt/ml/model /opt/program && echo "$A_TOKEN" > /opt/ml/model/x
RUN printf '#!/usr/bin/python2\\r\\n' > /opt/program/serve
LABEL com.amazonaws.sagemaker.capabilities.multi-model=true
ENV PATH=/opt/program:$PATH
USER nobody
"""


def checked(engine: Engine, image: str, *words: str | Path) -> dict[str, dict[str, str]]:
    """Return the results of part image by the rules' ids."""
    command = [sys.executable, "-m", "byoc", "check", image, "--part", "image", "--json", "-", *words]
    said = subprocess.run(
        command, cwd=ROOT, env=engine.environ, capture_output=True, text=True, check=False, timeout=280
    )
    assert said.stdout, said.stderr
    return {result["id"]: result for result in json.loads(said.stdout)["results"]}


def test_the_projects_own_image_keeps_the_rules_on_images(engine, image):
    found = checked(
        engine,
        image,
        "--hyperparameter",
        "mode=train",
        "--request",
        REQUEST,
        "--content-type",
        "text/csv",
    )
    left = {rule: result["seen"] for rule, result in found.items() if result["outcome"] != "pass"}
    assert left.keys() <= {"image-manifest"}, left


def test_faults_of_an_image_are_seen_in_it(engine, tmp_path):
    (tmp_path / "Dockerfile").write_text(FAULTY)
    name = engine.built(tmp_path, "faulty")
    static = ["program-line-ends", "program-executable", "program-interpreter", "no-credentials"]
    static += ["opt-ml-empty", "labels-known", "runs-as-root"]
    found = checked(engine, name, *(word for rule in static for word in ("--only", rule)))
    noticed = {rule for rule, result in found.items() if result["outcome"] in ("fail", "warn")}
    assert noticed == set(static), found
