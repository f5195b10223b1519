"""An algorithm that is meant to be awkward trains, uploads, is pulled and served with only apps/ replaced."""

import http.client
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from importlib.metadata import distributions
from pathlib import Path
from urllib.parse import urlsplit

import boto3
import pytest

from byoc.local.launch import Asked, embedded
from byoc.runtime import opt_ml
from byoc.runtime.container import Folder, Landlord, Place, Spec, start
from byoc.runtime.program import run
from byoc.runtime.readiness import wait_until_ready

PROGRAM = Path(__file__).parents[1] / "container" / "custom_algorithm"
AWKWARD_APPS = Path(__file__).parent / "fixtures" / "awkward_apps"

CSV = (
    "wait_minutes,price,city,comment\n"
    '3,19.5,Köln,"Très bon café, service rapide et sympathique"\n'
    "55,30,Oslo,Cold soup\n"
)
RECORDS = [
    {
        "wait_minutes": 3,
        "price": 19.5,
        "city": "Köln",
        "comment": "Très bon café, service rapide et sympathique",
    },
    {"wait_minutes": 55, "price": 30, "city": "Oslo", "comment": "Cold soup"},
]


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """An interpreter with this environment's packages, and what apps/requirements.txt adds from the index."""
    folder = tmp_path_factory.mktemp("environment") / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    (folder / "lib" / version / "site-packages" / "beneath.pth").write_text(sysconfig.get_path("purelib"))
    python = folder / "bin" / "python"
    requirements = AWKWARD_APPS / "requirements.txt"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "-r", requirements], check=True)
    return python


@pytest.fixture(scope="module")
def program(tmp_path_factory, python):
    """The image's program with nothing but apps/ replaced."""
    folder = tmp_path_factory.mktemp("image") / PROGRAM.name
    shutil.copytree(PROGRAM, folder, ignore=shutil.ignore_patterns("apps", "__pycache__"))
    shutil.copytree(AWKWARD_APPS, folder / "apps", ignore=shutil.ignore_patterns("__pycache__", ".temps"))
    shutil.copy(PROGRAM.parent / "Dockerfile", folder.parent)
    return Folder(folder, python)


@pytest.fixture(scope="module")
def served(program, tmp_path_factory):
    """The second algorithm as a container, after its main.py, an upload, `train` and `serve`."""
    root = tmp_path_factory.mktemp("runs")
    with embedded(Asked(port=0), os.environ) as aws:
        environment = aws.environment()
        _s3(environment).create_bucket(Bucket="models")
        script = [str(program.python), str(program.folder / "apps" / "main.py"), "s3://models"]
        with run(script, Place(root / "main"), environment, program.folder) as process:
            told = dict(re.findall(r"^(model_\w+)=(\S+)$", "\n".join(process.finish()), re.MULTILINE))
        place = Place(root / "train")
        trained = opt_ml.lay_out_training(place.opt_ml, told)
        landlord = Landlord(urlsplit(aws.url).port, lambda listener: listener.close(), lambda _: environment)
        with start(Spec("train", program, "train", place), landlord).process as process:
            process.finish(failure=trained.failure)
    place = Place(root / "serve")
    opt_ml.lay_out_serving(place.opt_ml, trained.model)
    given = {
        "MODEL_MANIFEST_SHA256": told["model_manifest_sha256"],
        "MODEL_MANIFEST_REQUIRED": "true",
        "SAGEMAKER_MODEL_SERVER_WORKERS": "1",
    }
    serving = Spec("serve", program, "serve", place, environment=given, read_only_model=True)
    container = start(serving, landlord)
    with container.process as process:
        wait_until_ready(process, container.dial, timeout_s=60)
        yield container


def _s3(environment):
    return boto3.client(
        "s3",
        endpoint_url=environment["AWS_ENDPOINT_URL"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        region_name=environment["AWS_REGION"],
    )


def ask(container, body, content_type):
    connection = http.client.HTTPConnection("127.0.0.1", timeout=30)
    connection.sock = container.dial()
    connection.request("POST", "/invocations", body.encode(), {"Content-Type": content_type})
    response = connection.getresponse()
    answer = response.status, json.loads(response.read())
    connection.close()
    return answer


def test_the_second_algorithm_needs_a_package_that_this_environment_lacks():
    assert "unidecode" not in {found.name.lower() for found in distributions()}


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (CSV, "text/csv"),
        (CSV, "text/csv; header=present"),
        (json.dumps(RECORDS), "application/json"),
        (json.dumps({"instances": RECORDS}), "application/json"),
        ("".join(json.dumps(record) + "\n" for record in RECORDS), "application/jsonlines"),
    ],
    ids=["csv", "csv-with-stated-header", "records", "instances", "json-lines"],
)
def test_rows_of_numbers_and_texts_are_predicted(served, body, content_type):
    status, answer = ask(served, body, content_type)
    assert status == 200, answer
    assert [row["comes_back"] for row in answer] == [True, False]
    assert all(0 < row["probability"] < 1 for row in answer)


def test_a_row_of_another_width_is_refused_by_the_manifest(served):
    status, answer = ask(served, "wait_minutes,price\n3,19.5\n", "text/csv")
    assert (status, answer["error"]["expected"]) == (400, 4)
