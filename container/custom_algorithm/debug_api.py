"""The debug server: the Flask app on loopback, started again by every edit in apps/."""

import argparse
import importlib.util
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path

try:
    import flask
    from werkzeug.serving import make_server
except ModuleNotFoundError as error:
    sys.exit(f"debug_api.py: {error}. Run `. .venv/bin/activate` first; `make demo` makes that environment.")

from byoc_serving.errors import ServingError
from byoc_serving.invocation import Invocations
from byoc_serving.settings import Settings, environment, settings_from
from predictor import create_app

HOST = "127.0.0.1"
LOOK_EVERY_S = 0.3
PATIENCE_S = 3.0

Stamps = Mapping[Path, tuple[int, int]]


def main(arguments: list[str]) -> int:
    """Run the debug server until ^C; return the exit status."""
    try:
        settings = settings_from(environment())
    except ServingError as error:
        return _refuse(str(error))
    args = _parser(settings).parse_args(arguments)
    model_dir = _model_dir(args.model, settings)
    if model_dir is None:
        place = args.model or f"{settings.apps_dir / '.temps' / 'model'} nor in {settings.model_dir}"
        train = settings.apps_dir / "main.py"
        return _refuse(f"There is no model in {place}. Train one first: python {os.path.relpath(train)}")
    if args.socket is not None:
        return _serve(settings, model_dir, args.socket, args.lifeline)
    try:
        listening = socket.create_server((HOST, args.port))
    except (OSError, OverflowError) as error:
        reason = os.strerror(error.errno or 0) if isinstance(error, OSError) else "it is over 65535"
        return _refuse(f"Port {args.port} cannot be used: {reason}. Give another with --port.")
    with listening:
        port = listening.getsockname()[1]
        served = (
            "models, none is loaded yet" if settings.multi_model else f"invocations, model in {model_dir}"
        )
        _say(f"Debug server on http://{HOST}:{port}/{served}. ^C ends it.")
        return _supervise(arguments, listening, lambda: stamps(settings.apps_dir, model_dir))


def stamps(apps_dir: Path, model_dir: Path) -> Stamps:
    """Return when each file of apps/ changed last, and the model's manifest, which main.py writes last.

    What hides, such as .temps and an editor's swap file, and what Python writes itself, is left out.
    """
    found: dict[Path, tuple[int, int]] = {}
    for folder, folders, files in os.walk(apps_dir):
        folders[:] = [name for name in folders if not name.startswith((".", "__pycache__"))]
        paths = [Path(folder, name) for name in files if not name.startswith(".") and not name.endswith("~")]
        found |= dict(filter(None, map(_stamp, paths)))
    return found | dict(filter(None, [_stamp(model_dir / "manifest.json")]))


def _stamp(path: Path) -> tuple[Path, tuple[int, int]] | None:
    try:
        found = path.stat()
    except OSError:  # gone again, or never there
        return None
    return path, (found.st_mtime_ns, found.st_size)


def _supervise(arguments: list[str], listening: socket.socket, look: Callable[[], Stamps]) -> int:
    """Run the server in a process of its own, over our socket, so that nothing in apps/ can end us.

    Callers wait in the socket while the process is started again. It ends with us, however we end: it holds
    a pipe of which we alone have the other end.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup ignores SIGHUP
            signal.signal(number, lambda number, _frame: sys.exit(128 + number))
    lifeline, _held = os.pipe()
    handles = {"--socket": listening.fileno(), "--lifeline": lifeline}
    options = [text for name, handle in handles.items() for text in (name, str(handle))]
    # -B: a file edited twice within a second would run from its older bytecode
    command = [sys.executable, "-B", str(Path(__file__).resolve()), *arguments, *options]
    try:
        while True:
            before = look()
            with subprocess.Popen(command, pass_fds=list(handles.values())) as server:
                try:
                    edited = _edited(before, look, server)
                finally:
                    _end(server)
            _say(f"{edited} changed: starting again")
    except KeyboardInterrupt:
        return 130


def _edited(before: Stamps, look: Callable[[], Stamps], server: subprocess.Popen[bytes]) -> str:
    """Wait for an edit and return the file's name; say so when the server ends before."""
    told = False
    while (now := look()) == before:
        if server.poll() is not None and not told:
            told = True
            _say(f"The server ended (status {server.returncode}). The next edit starts it again.")
        time.sleep(LOOK_EVERY_S)
    return min(path.name for path, _ in before.items() ^ now.items())


def _end(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    try:
        server.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        server.kill()


def _serve(settings: Settings, model_dir: Path, handle: int, lifeline: int) -> int:
    """Serve over an inherited socket; a model that cannot be loaded is said, and answered with 503."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s%(of_request)s"))
    handler.addFilter(_with_its_request)
    logging.basicConfig(level=settings.log_level, handlers=[handler])
    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # each invocation has its line already
    threading.Thread(target=_end_with, args=[lifeline], name="lifeline", daemon=True).start()
    _warn_of_pandas(settings)
    app = create_app(settings, model_dir)
    add_swagger_ui(app)
    if not settings.multi_model:  # whose models are loaded by name
        loading = [app.extensions["invocations"]]
        threading.Thread(target=_load, args=loading, name="loading", daemon=True).start()
    # No interactive debugger: it would show tracebacks to the caller, and run what the caller types.
    make_server(HOST, 0, app, threaded=True, fd=handle).serve_forever()
    return 0


def add_swagger_ui(app: flask.Flask) -> None:
    """Serve Swagger UI at /docs from the files of the package flask-swagger-ui, where it is installed.

    It is on laptops only; the image's requirements do not have it.
    """
    found = importlib.util.find_spec("flask_swagger_ui")

    @app.get("/docs/", defaults={"name": "index.html"})
    @app.get("/docs/<name>")
    def show(name: str) -> flask.Response:
        """Show this page."""
        if found is None or not found.submodule_search_locations:
            return flask.Response(_NO_SWAGGER_UI, HTTPStatus.NOT_FOUND, mimetype="text/plain")
        if name == "index.html":
            return flask.Response(_SWAGGER_UI, mimetype="text/html")
        return flask.send_from_directory(Path(found.submodule_search_locations[0], "dist"), name)


_NO_SWAGGER_UI = (
    "Swagger UI is not installed: pip install flask-swagger-ui, then start the debug server again.\n"
)
_SWAGGER_UI = """<!doctype html>
<meta charset="utf-8"><title>/invocations</title>
<link rel="stylesheet" href="swagger-ui.css">
<div id="page"></div>
<script src="swagger-ui-bundle.js"></script>
<script>SwaggerUIBundle({url: "../openapi.json", dom_id: "#page"})</script>
"""


def _with_its_request(record: logging.LogRecord) -> bool:
    """Give a line of the log the id that the caller of a failed request was told."""
    request_id = getattr(record, "request_id", None)
    record.of_request = f" (id {request_id})" if request_id else ""
    return True


def _warn_of_pandas(settings: Settings) -> None:
    """Say when this environment has pandas and the image would not: tables with names differ then."""
    needed = [settings.apps_dir / name for name in ("requirements.txt", "requirements.lock")]
    named = any(re.search(r"(?m)^pandas\b", file.read_text()) for file in needed if file.exists())
    if not named and importlib.util.find_spec("pandas"):
        _say(
            "Note: pandas is installed here and is not in apps/requirements.txt. Rows with names are "
            "a DataFrame here, and an array in the image."
        )


def _end_with(lifeline: int) -> None:
    """End this process when whoever holds the pipe's other end has ended: nothing is ever written to it."""
    os.read(lifeline, 1)
    os._exit(0)


def _load(invocations: Invocations) -> None:
    try:
        invocations.load()
    except ServingError:
        logging.getLogger("debug").exception("The model cannot be served. The next edit tries again.")
    else:
        _say("The model is loaded.")


def _model_dir(given: Path | None, settings: Settings) -> Path | None:
    """Return the first folder that holds a model, None where there is none and one is needed."""
    if settings.multi_model:  # whose models come by POST /models
        return settings.model_dir
    places = [given] if given else [settings.apps_dir / ".temps" / "model", settings.model_dir]
    return next((place for place in places if place.is_dir() and any(place.iterdir())), None)


def _parser(settings: Settings) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="debug_api.py", description=__doc__)
    parser.add_argument("--port", type=int, default=settings.port, help="default: %(default)s")
    parser.add_argument(
        "--model", type=Path, help="its folder; default: apps/.temps/model, then /opt/ml/model"
    )
    for name in ("--socket", "--lifeline"):  # how we start our own server process
        parser.add_argument(name, type=int, help=argparse.SUPPRESS)
    return parser


def _say(text: str) -> None:
    print(text, flush=True)


def _refuse(text: str) -> int:
    print(f"debug_api.py: {text}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
