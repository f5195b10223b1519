"""A program of another layout, fixed to /opt/ml and port 8080, runs under --program."""

import os
import textwrap

import pytest

from byoc.local import launch
from byoc.local.launch import Asked
from byoc.local.testing import SageMakerLocal
from byoc.runtime.privacy import privacy_here
from sagemaker_user import User

DOCKERFILE = """
FROM python:3.13-slim
WORKDIR /srv/fortune
COPY . .
ENV GREETING="your number is"
ENTRYPOINT ["python3", "/srv/fortune/bin/main.py", "--greeting", "yes"]
"""
MAIN = """
    import sys
    from pathlib import Path

    sys.path.insert(0, str(Path(__file__).parents[1] / "lib"))
    from teller import learn, tell

    *options, verb = sys.argv[1:]
    {"train": learn, "serve": tell}[verb](options)
"""
TELLER = """
    import json, os, urllib.error, urllib.request
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    def learn(options):
        with open("/opt/ml/input/config/hyperparameters.json") as given:
            number = json.load(given)["number"]
        with open("/opt/ml/model/number", "w") as model:
            model.write(number)

    def tell(options):
        Teller.number = open("/opt/ml/model/number").read()
        Teller.options = options
        ThreadingHTTPServer(("0.0.0.0", 8080), Teller).serve_forever()

    def unsigned():
        try:
            urllib.request.build_opener(urllib.request.ProxyHandler({})).open(os.environ["AWS_ENDPOINT_URL"])
        except urllib.error.HTTPError as refused:
            return refused.code

    class Teller(BaseHTTPRequestHandler):
        def do_GET(self):
            self.answer({})

        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            said = {"said": f"{os.environ['GREETING']} {self.number}", "options": self.options}
            self.answer({**said, "cwd": sorted(os.listdir()), "aws": unsigned()})

        def answer(self, document):
            body = json.dumps(document).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
"""


@pytest.fixture
def fortune(tmp_path):
    """A folder with a Dockerfile, and no `train` or `serve`."""
    folder = tmp_path / "fortune"
    for name, text in {"Dockerfile": DOCKERFILE, "bin/main.py": MAIN, "lib/teller.py": TELLER}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(textwrap.dedent(text))
    return folder


def test_a_foreign_program_is_trained_and_two_endpoints_of_it_answer_at_once(fortune):
    if not privacy_here().network:
        pytest.skip("neither root nor bwrap makes a private network here: one such endpoint at a time")
    with launch.embedded(Asked(port=0, programs={"fortune": fortune}), os.environ) as instance:
        user = User.of(instance, SageMakerLocal(instance).image("fortune"))
        for name, number in (("seven", "7"), ("eight", "8")):
            user.serve(name, user.train(name, number=number))
        seven, eight = (user.ask(name) for name in ("seven", "eight"))
    assert (seven["said"], eight["said"]) == ("your number is 7", "your number is 8")
    assert seven["options"] == ["--greeting", "yes"]
    assert seven["cwd"] == ["Dockerfile", "bin", "lib"]
    assert seven["aws"] == 403, "its AWS answers it, and refuses what is not signed"
