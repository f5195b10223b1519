"""What the tests of model files have: a server in memory over a folder that holds models, and no apps/."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from byoc_serving.calls import Request
from byoc_serving.invocation import Invocations
from byoc_serving.settings import Settings
from flask_server import own_imports


@dataclass
class Alone:
    """Serves `model_dir`, each time anew."""

    folder: Path

    @property
    def model_dir(self):
        return self.folder / "model"

    def invocations(self, **settings):
        return Invocations(Settings(base_dir=self.folder, apps_dir=self.folder / "apps", **settings))

    def ask(self, value, content_type="application/json", **settings):
        """Return the status and the parsed answer of one request; bytes are sent as they are."""
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        response = self.invocations(**settings).respond(Request(body, content_type, None, {}, "an-id"))
        return response.status, json.loads(response.body)

    def refusal(self, value, **settings):
        """Return the message of a 400."""
        status, answer = self.ask(value, **settings)
        assert status == 400, answer
        return answer["error"]["message"]

    def failure(self, **settings):
        """Return why the model cannot be served."""
        with pytest.raises(Exception) as caught:  # noqa: PT011 - its type is looked at
            self.invocations(**settings).load()
        assert type(caught.value).__name__ == "ModelFileError"
        return str(caught.value)


@pytest.fixture
def alone(tmp_path):
    (tmp_path / "model").mkdir()
    with own_imports():
        yield Alone(tmp_path)
