"""For users' unit tests: an inference script behind the real invocation, in memory, without a server.

from byoc_serving.testing import Client

def test_a_row_is_answered():
    assert Client("container/custom_algorithm/apps").post([[1, 2]]).json() == [3]
"""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from byoc_serving.calls import Headers, Request, request_id_of
from byoc_serving.formats.negotiation import JSON
from byoc_serving.invocation import Invocations
from byoc_serving.settings import Settings
from byoc_serving.warming import warm_up


@dataclass(frozen=True)
class Answer:
    """What a caller would get; a stream in one piece."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as a string."""
        return self.body.decode()

    def json(self) -> Any:  # noqa: ANN401 - JSON has every type
        """Return the body as JSON (ValueError: it is none)."""
        return json.loads(self.body)


class Client:
    """Posts to /invocations of one inference script.

    Args:
        apps: the folder with inference.py, such as container/custom_algorithm/apps; or the script's own path;
            or the script, imported.
        model_dir: what model_fn gets; by default apps/.temps/model, where main.py keeps its model.
        settings: further ones, by the names of byoc_serving.settings.Settings' fields.

    Raises:
        ServingError: the script or the model cannot be used; the message says why.
    """

    def __init__(
        self,
        apps: str | Path | ModuleType,
        model_dir: str | Path | None = None,
        **settings: Any,  # noqa: ANN401 - they differ
    ) -> None:
        script = _script(apps)
        model = Path(model_dir) if model_dir else script.parent / ".temps" / "model"
        given = replace(Settings(), apps_dir=script.parent, program=script.name, **settings)
        self._invocations = Invocations(given, model.resolve(), finish=warm_up)
        self._invocations.load()

    def post(
        self,
        body: Any,  # noqa: ANN401 - whatever is to be sent
        content_type: str | None = None,
        accept: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send a body and return the answer, whatever its status.

        Args:
            body: bytes and strings go as they are, a NumPy array as NPY, anything else as JSON.
            content_type: by default that of NPY or JSON.
            accept: the type wanted; by default the server's.
            headers: further ones.
        """
        content, usual_type = _encoded(body)
        content_type = content_type or usual_type
        typed = {"content-type": content_type} | ({"accept": accept} if accept else {})
        given = Headers(typed | {name.lower(): value for name, value in (headers or {}).items()})
        request_id = request_id_of(given.get("x-request-id"))
        request = Request(content, given["content-type"], given.get("accept"), given, request_id)
        response = self._invocations.respond(request)
        sent = response.body if isinstance(response.body, bytes) else b"".join(response.body)
        return Answer(int(response.status), {"Content-Type": response.content_type, **response.headers}, sent)


def _script(apps: str | Path | ModuleType) -> Path:
    if isinstance(apps, ModuleType):
        apps = str(apps.__file__)
    path = Path(apps).resolve()
    return path if path.suffix == ".py" else path / "inference.py"


def _encoded(body: Any) -> tuple[bytes, str]:  # noqa: ANN401 - as post
    match body:
        case bytes() | bytearray() | memoryview():
            return bytes(body), JSON
        case str():
            return body.encode(), JSON
        case np.ndarray():
            out = io.BytesIO()
            np.save(out, body, allow_pickle=False)
            return out.getvalue(), "application/x-npy"
    return json.dumps(body).encode(), JSON
