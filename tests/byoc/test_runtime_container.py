"""A container program runs as if it had its image around it, in every way that this machine can run one."""

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from http.client import HTTPConnection
from pathlib import Path

import pytest

from byoc.errors import ProgramError
from byoc.runtime import folder as folder_module
from byoc.runtime import network, opt_ml
from byoc.runtime.container import Container, Folder, Landlord, Place, Privacy, Spec, start
from byoc.runtime.network import free_port
from byoc.runtime.privacy import privacy_here, works
from byoc.runtime.readiness import ping, wait_until_ready
from byoc.runtime.view import Mount
from processes import eventually, processes_with

REPO = Path(__file__).parents[2]
ROOT, BWRAP, NONE = Privacy("root", network=True), Privacy("bwrap", network=True), Privacy()
SHARED = Privacy("root", network=False)
LABEL = "LABEL com.amazonaws.sagemaker.capabilities.accept-bind-to-port=true\n"

# Answers what an expression is worth where it runs.
SERVE = """#!/usr/bin/env python3
import http.server, os, signal, socket, sys, urllib.request
class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer("ready")
    def do_POST(self):
        try:
            self.answer(repr(eval(self.rfile.read(int(self.headers["Content-Length"])))))
        except OSError as error:
            self.answer(f"{type(error).__name__} {error}")
    def answer(self, text):
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())
    def log_message(self, *_):
        pass
signal.signal(signal.SIGTERM, lambda *_: (print("finishing", flush=True), os._exit(7)))
port = int(os.environ.get("SAGEMAKER_BIND_TO_PORT", FIXED))
http.server.ThreadingHTTPServer(("0.0.0.0", port), Answers).serve_forever()
"""
TRAIN = """#!/usr/bin/env python3
import json, os, pathlib, socket
ml = pathlib.Path(os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml"))
asked = json.loads((ml / "input/config/hyperparameters.json").read_text())
(ml / "model" / "model.txt").write_text(asked["text"])
print(sorted(name for name in os.environ if name.startswith("AWS_")))
try:
    socket.create_connection(("127.0.0.1", int(asked["port"])), 2)
    print("connected")
except OSError as error:
    print(type(error).__name__)
"""


@dataclass
class Aws:
    """A landlord who answers "aws" to everything, wherever it is asked to listen."""

    listeners: list[socket.socket] = field(default_factory=list)
    forgotten: list[socket.socket] = field(default_factory=list)

    def listen(self, listener: socket.socket) -> None:
        self.listeners.append(listener)
        threading.Thread(target=self.answer, args=[listener], daemon=True).start()

    def answer(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                caller, _ = listener.accept()
                with caller:
                    caller.recv(4096)
                    caller.sendall(b"HTTP/1.0 200 OK\r\n\r\naws")

    def forget(self, listener: socket.socket) -> None:
        self.forgotten.append(listener)
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)  # wakes the thread
        listener.close()


@pytest.fixture(scope="module")
def aws() -> Iterator[Aws]:
    aws = Aws()
    aws.listen(socket.create_server(("127.0.0.1", 0)))
    yield aws
    for listener in aws.listeners:
        aws.forget(listener)


@pytest.fixture(scope="module")
def landlord(aws) -> Landlord:
    def environment(url: str) -> dict[str, str]:
        return {"AWS_ENDPOINT_URL": url, "AWS_ACCESS_KEY_ID": "of the instance"}

    return Landlord(aws.listeners[0].getsockname()[1], aws.listen, environment, aws.forget)


def program(folder: Path, port: int = 8080, dockerfile: str = "") -> Folder:
    folder.mkdir(parents=True)
    (folder / "serve").write_text(SERVE.replace("FIXED", str(port)))
    (folder / "train").write_text(TRAIN)
    if dockerfile:
        (folder / "Dockerfile").write_text(f"FROM debian\n{dockerfile}")
    return Folder(folder)


def serving(root: Path, image: Folder) -> Spec:
    """Return what serves a model of one file."""
    (root / "given").mkdir(parents=True)
    (root / "given" / "model.txt").write_text("tree")
    place = Place(root / "instance")
    opt_ml.lay_out_serving(place.opt_ml, root / "given")
    return Spec("serve", image, "serve", place, read_only_model=True)


def asked(container: Container, expression: str) -> str:
    connection = HTTPConnection("127.0.0.1", timeout=10)
    connection.sock = container.dial()
    try:
        connection.request("POST", "/invocations", expression)
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def started(spec: Spec, landlord: Landlord, privacy: Privacy, stack: ExitStack) -> Container:
    """Return a container that is ready, and ended with the stack."""
    container = start(spec, landlord, privacy)
    stack.callback(container.process.kill)
    wait_until_ready(container.process, container.dial, 30)
    return container


def mounts() -> str:
    return Path("/proc/self/mountinfo").read_text() if sys.platform == "linux" else ""


@dataclass(frozen=True)
class Two:
    """Two programs that are fixed to port 8080, and what this machine was like before them."""

    one: Container
    other: Container
    aws: Aws
    mounts_before: str
    root: Path


@pytest.fixture(scope="module", params=[ROOT, BWRAP], ids=["root", "bwrap"])
def two(request, aws, landlord, tmp_path_factory) -> Iterator[Two]:
    if not works(request.param):
        pytest.skip(f"{request.param.tool} cannot make namespaces here")
    root = tmp_path_factory.mktemp("two")
    before = mounts()
    with ExitStack() as stack:
        image = program(root / "program")
        one, other = (serving(root / name, image) for name in ("one", "other"))
        other = replace(other, environment={"NAME": "other"})
        yield Two(
            started(one, landlord, request.param, stack),
            started(other, landlord, request.param, stack),
            aws,
            before,
            root,
        )


def test_a_private_program_finds_itself_and_its_opt_ml_where_its_image_has_them(two):
    assert two.one.mode == "private"
    assert asked(two.one, "(__file__, os.getcwd(), os.listdir('/opt/ml'))") == repr(
        ("/opt/program/serve", "/opt/program", ["model"])
    )
    assert asked(two.one, "open('/opt/ml/model/model.txt').read()") == "'tree'"
    assert asked(two.one, "'SAGEMAKER_BASE_DIR' in os.environ") == "False"


def test_what_this_machine_has_in_opt_is_still_there(two):
    seen = eval(asked(two.one, "os.listdir('/opt')"))
    assert set(seen) == {*os.listdir("/opt"), "ml", "program"}  # noqa: PTH208
    for name in {*os.listdir("/opt")} - {"ml", "program"}:  # noqa: PTH208
        assert asked(two.one, f"os.stat('/opt/{name}').st_ino") == str(Path("/opt", name).stat().st_ino)


@pytest.mark.parametrize("path", ["/opt/ml/model/new", "/opt/ml/model/model.txt"])
def test_nobody_writes_into_a_served_model_not_even_root(two, path):
    assert asked(two.one, f"open({path!r}, 'w')").startswith("OSError [Errno 30] Read-only file system")


def test_a_program_may_write_into_its_home_and_its_temporary_folder(two):
    for name in ("HOME", "TMPDIR"):
        assert asked(two.one, f"open(os.environ['{name}'] + '/file', 'w').write('x')") == "1"
        assert (two.root / "one/instance" / {"HOME": "home", "TMPDIR": "tmp"}[name] / "file").is_file()


def test_two_programs_fixed_to_one_port_run_side_by_side(two):
    named = "os.environ.get('NAME')"
    assert [asked(two.one, named), asked(two.other, named)] == ["None", "'other'"]
    assert two.one.note.startswith("port 8080 is its own, and so is its network")
    assert two.one.port is None


def test_a_program_in_a_network_of_its_own_reaches_its_aws_and_nothing_else(two):
    assert asked(two.one, "urllib.request.urlopen(os.environ['AWS_ENDPOINT_URL']).read()") == "b'aws'"
    with socket.create_server(("127.0.0.1", 0)) as ours:
        port = ours.getsockname()[1]
        assert asked(two.one, f"socket.create_connection(('127.0.0.1', {port}))").startswith("ConnectionRef")


def test_nothing_of_a_private_program_is_seen_outside(two):
    assert mounts() == two.mounts_before
    with suppress(OSError), socket.create_connection(("127.0.0.1", 8080), 1) as connection:
        connection.sendall(b"POST / HTTP/1.0\r\nContent-Length: 8\r\n\r\n__file__")
        assert b"/opt/program/serve" not in connection.recv(4096)


def test_no_stranger_is_among_the_programs_children(two):
    children = "open(f'/proc/self/task/{os.getpid()}/children').read()"
    assert asked(two.one, children) == "''"


def test_a_program_in_a_network_of_its_own_ends_with_all_that_is_its(aws, landlord, tmp_path):
    privacy = privacy_here()
    if not privacy.network:
        pytest.skip("there are no private networks here")
    with ExitStack() as stack:
        container = started(serving(tmp_path, program(tmp_path / "program")), landlord, privacy, stack)
        listener = aws.listeners[-1]
        assert container.process.stop() == 7
    assert container.process.last_lines() == ["finishing"]
    assert listener in aws.forgotten
    assert ping(container.dial)[0] == 0
    assert processes_with(str(tmp_path)) == []


@pytest.mark.skipif(not works(BWRAP), reason="bwrap cannot make namespaces here")
def test_bwrap_passes_sigterm_and_status_on(landlord, tmp_path):
    with ExitStack() as stack:
        container = started(serving(tmp_path, program(tmp_path / "program")), landlord, BWRAP, stack)
        assert container.process.stop() == 7
    assert container.process.last_lines() == ["finishing"]


AS_NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
WITHOUT_ROOT = """
import socket, sys
from pathlib import Path
from byoc.runtime.container import *
from byoc.runtime.privacy import privacy_here
from byoc.runtime.readiness import wait_until_ready
root = Path(sys.argv[1])
landlord = Landlord(free := 4599, lambda listener: None, lambda url: {})
place = Place(root / "instance")
(place.opt_ml / "model").mkdir(parents=True)
image = Folder(root / "program", Path(sys.executable))
container = start(Spec("serve", image, "serve", place, read_only_model=True), landlord)
wait_until_ready(container.process, container.dial, 30)
print(privacy_here(), container.mode, container.process.stop())
"""


@pytest.mark.skipif(not works(ROOT), reason="only root can become nobody")
def test_without_root_bwrap_does_the_same(tmp_path_factory):
    python = next(filter(_is_for_everybody, ["/usr/bin/python3", sys.executable]), None)
    if python is None or shutil.which("setpriv") is None or shutil.which("bwrap") is None:
        pytest.skip("setpriv, bwrap or a Python that nobody may run is missing")
    root = Path("/tmp") / f"byoc-test-{os.getpid()}"  # pytest's own folders are closed to others
    try:
        program(root / "program")
        shutil.copytree(REPO / "byoc", root / "lib" / "byoc", ignore=shutil.ignore_patterns("__pycache__"))
        for path in [root, *root.rglob("*")]:
            os.chown(path, 65534, 65534)
        told = subprocess.run(
            [*AS_NOBODY, python, "-B", "-c", WITHOUT_ROOT, str(root)],
            env={"PYTHONPATH": str(root / "lib"), "PATH": os.environ["PATH"]},
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        shutil.rmtree(root)
    if "Privacy(tool=''" in told.stdout:
        pytest.skip("nobody may make namespaces here")
    assert told.stdout == "Privacy(tool='bwrap', network=True) private 7\n", told.stderr


def _is_for_everybody(python: str) -> bool:
    asks = [python, "-c", "import sys; sys.exit(sys.version_info < (3, 11))"]
    try:
        return subprocess.run([*AS_NOBODY, *asks], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_kill_9_of_whoever_started_a_private_program_leaves_nobody(tmp_path):
    (tmp_path / "program").mkdir()
    program(tmp_path / "program" / "own")
    (tmp_path / "instance" / "ml" / "model").mkdir(parents=True)
    parent = f"""
import sys, time
from pathlib import Path
from byoc.runtime.container import *
from byoc.runtime.readiness import wait_until_ready
root = Path({str(tmp_path)!r})
spec = Spec("serve", Folder(root / "program/own"), "serve", Place(root / "instance"))
container = start(spec, Landlord(4599, lambda listener: None, lambda url: {{}}))
wait_until_ready(container.process, container.dial, 30)
print("ready", flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", parent], cwd=REPO, stdout=subprocess.PIPE) as killed:
        assert killed.stdout.readline() == b"ready\n"
        assert processes_with(f"{tmp_path}/instance")
        killed.kill()
    assert eventually(lambda: not processes_with(f"{tmp_path}/instance"))


MODES = pytest.mark.parametrize(
    "privacy", [ROOT, SHARED, BWRAP, NONE], ids=["root", "root-without-network", "bwrap", "re-rooted"]
)


@MODES
@pytest.mark.parametrize("isolated", [False, True], ids=["", "isolated"])
def test_train_reads_and_writes_its_opt_ml(landlord, tmp_path, privacy, isolated):
    if privacy.tool and not works(privacy):
        pytest.skip(f"{privacy.tool} cannot make namespaces here")
    place = Place(tmp_path / "job")
    tree = opt_ml.lay_out_training(place.opt_ml, {"text": "tree", "port": str(landlord.port)})
    spec = Spec("train", program(tmp_path / "program"), "train", place, isolated=isolated)
    container = start(spec, landlord, privacy)
    with container.process as process:
        variables, aws = process.finish()
    assert (tree.model / "model.txt").read_text() == "tree"
    assert ("AWS_ENDPOINT_URL" in variables) is not isolated
    assert aws == ("ConnectionRefusedError" if isolated and privacy.network else "connected")
    assert ("not isolated" in container.note) == (isolated and not privacy.network)
    assert process.command.grace_s == 120
    assert ping(container.dial) == (0, "this program serves nothing")


def test_an_isolated_program_is_reached_but_does_not_reach_its_aws(landlord, tmp_path):
    if not works(ROOT):
        pytest.skip("there are no private networks here")
    spec = replace(serving(tmp_path, program(tmp_path / "program")), isolated=True)
    with ExitStack() as stack:
        container = started(spec, landlord, ROOT, stack)
        connecting = f"socket.create_connection(('127.0.0.1', {landlord.port}))"
        assert asked(container, connecting).startswith("ConnectionRefusedError")
        assert asked(container, "[name for name in os.environ if name.startswith('AWS_')]") == "[]"


@pytest.mark.parametrize("privacy", [ROOT, NONE], ids=["root", "re-rooted"])
def test_a_program_that_listens_where_it_is_told_gets_a_port_of_this_machine(landlord, tmp_path, privacy):
    if privacy.tool and not works(privacy):
        pytest.skip(f"{privacy.tool} cannot make namespaces here")
    with ExitStack() as stack:
        spec = serving(tmp_path, program(tmp_path / "program", dockerfile=LABEL))
        misled = replace(spec, environment={"SAGEMAKER_BIND_TO_PORT": "1"})
        container = started(misled, landlord, privacy, stack)
        assert asked(container, "os.environ['SAGEMAKER_BIND_TO_PORT']") == f"'{container.port}'"
        assert asked(container, "os.environ['MODEL_SERVER_HOST']") == "'127.0.0.1'"
        assert container.note == ""


def test_without_namespaces_one_program_at_a_time_is_fixed_to_its_port(landlord, tmp_path, monkeypatch):
    port = free_port()
    monkeypatch.setattr(network, "PORT", port)
    image = program(tmp_path / "program", port)
    one, other, third = (serving(tmp_path / name, image) for name in ("one", "other", "third"))
    with ExitStack() as stack:
        container = started(one, landlord, NONE, stack)
        assert (container.mode, container.port) == ("re-rooted", port)
        assert "is not private here: one such endpoint at a time" in container.note
        with pytest.raises(ProgramError, match=rf"Port {port} is taken.*run|Docker"):
            start(other, landlord, NONE)
        container.process.stop()
        started(third, landlord, NONE, stack)


def test_a_port_that_somebody_else_has_is_refused(landlord, tmp_path, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as foreign:
        monkeypatch.setattr(network, "PORT", foreign.getsockname()[1])
        with pytest.raises(ProgramError, match=r"is taken"):
            start(serving(tmp_path, program(tmp_path / "program")), landlord, NONE)


FOREIGN = """
WORKDIR /srv/app
COPY . .
ENV PATH="/srv/app/bin:$PATH" MODEL=/opt/ml/model LIBRARY=/srv/app/library HOME=/root
ENTRYPOINT ["python", "/srv/app/app.py", "--model", "/opt/ml/model"]
"""
SHOWS_ITSELF = """
import os, sys
print(os.path.exists(sys.argv[2]), sys.argv[3:], os.listdir(os.environ["MODEL"]))
print(os.path.exists(os.environ["LIBRARY"]), os.path.exists("app.py"), os.environ["HOME"] == "/root")
"""


@MODES
def test_a_program_of_another_layout_finds_its_files(landlord, tmp_path, privacy):
    if privacy.tool and not works(privacy):
        pytest.skip(f"{privacy.tool} cannot make namespaces here")
    (tmp_path / "program" / "library").mkdir(parents=True)
    (tmp_path / "program" / "app.py").write_text(SHOWS_ITSELF)
    (tmp_path / "program" / "Dockerfile").write_text(f"FROM debian\n{FOREIGN}{LABEL}")
    spec = serving(tmp_path, Folder(tmp_path / "program"))
    with start(spec, landlord, privacy).process as process:
        assert process.finish() == ["True ['serve'] ['model.txt']", "True True False"]


@MODES
def test_what_a_request_runs_instead_finds_the_same(landlord, tmp_path, privacy):
    if privacy.tool and not works(privacy):
        pytest.skip(f"{privacy.tool} cannot make namespaces here")
    place = Place(tmp_path / "job")
    opt_ml.lay_out_training(place.opt_ml, {"a": "b"})
    words = ("/bin/sh", "-c", "ls /opt/program; cat /opt/ml/input/config/hyperparameters.json; exit $0")
    image = program(tmp_path / "program")
    spec = Spec("train", image, "train", place, entrypoint=words, arguments=["3"])
    with start(spec, landlord, privacy).process as process:
        assert process.wait(10) == 3
    assert process.last_lines() == ["serve", "train", json.dumps({"a": "b"})]


@pytest.mark.parametrize("privacy", [ROOT, BWRAP], ids=["root", "bwrap"])
def test_a_private_program_that_cannot_be_run_ends_as_docker_has_it(landlord, tmp_path, privacy):
    if not works(privacy):
        pytest.skip(f"{privacy.tool} cannot make namespaces here")
    image = program(tmp_path / "program")
    spec = replace(serving(tmp_path, image), entrypoint=["/no/such/program"])
    with start(spec, landlord, privacy).process as process:
        assert process.wait(10) == 127
    assert process.last_lines() == ["/no/such/program cannot be started: No such file or directory"]


@pytest.mark.parametrize(
    ("path", "hidden"),
    [("/opt/ml/code/program", True), ("/opt/mlops", False), ("/usr/bin/python3", False), ("/app/x", False)],
)
def test_what_a_private_view_would_hide_is_run_re_rooted(path, hidden):
    mounts = (Mount("/here", "/opt/ml"), Mount("/here", "/usr"), Mount("/app", "/app"))
    assert folder_module._is_hidden(Path(path), mounts) is hidden


EVERYWHERE = """
COPY lib /usr/local/lib/byoc-test
COPY etc /etc/
COPY words.json /byoc-test/words.json
COPY words.json more.txt /srv/byoc-test/
COPY more.txt /etc/hostname
COPY tool /usr/local/bin
COPY words.json lib /tmp/
COPY --chown=1:1 program /byoc-test/bin
ENV PATH=/byoc-test/bin:$PATH
WORKDIR /byoc-test
"""
TELLS = """#!/usr/bin/env python3
import json, os, pathlib, subprocess, sys
print(json.dumps([
    __file__, os.getcwd(), sys.argv, subprocess.run("tool", stdout=subprocess.PIPE).stdout.decode(),
    open("words.json").read() + open("/srv/byoc-test/more.txt").read() + open("/tmp/words.json").read(),
    open("/etc/hostname").read() + open("/etc/byoc-test/new.conf").read(),
    open("/usr/local/lib/byoc-test/code.py").read(),
    os.path.exists("/etc/passwd"), os.path.exists("/usr/bin/env"),
]))
try:
    pathlib.Path("/byoc-test/made").touch()
except OSError as error:
    print(error.strerror)
"""


@pytest.fixture(scope="module")
def scattered(tmp_path_factory) -> Folder:
    """A program whose Dockerfile puts it, file by file, where a machine has folders and where it has none."""
    folder = tmp_path_factory.mktemp("scattered")
    texts = {
        "Dockerfile": f"FROM debian\n{EVERYWHERE}",
        "lib/code.py": "code",
        "etc/byoc-test/new.conf": "new",
        "words.json": "words",
        "more.txt": "more",
        "tool": "#!/bin/sh\nprintf tool\n",
        "program/train": TELLS,
    }
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / "tool").chmod(0o755)
    return Folder(folder)


@pytest.mark.parametrize("privacy", [ROOT, BWRAP], ids=["root", "bwrap"])
def test_a_private_program_finds_what_its_dockerfile_puts_anywhere(landlord, tmp_path, privacy, scattered):
    if not works(privacy):
        pytest.skip(f"{privacy.tool} cannot make namespaces here")
    place = Place(tmp_path / "job")
    opt_ml.lay_out_training(place.opt_ml, {})
    touched = [Path(path) for path in ("/", "/etc", "/srv", "/usr/local/bin", "/usr/local/lib")]
    before = [sorted(path.iterdir()) for path in touched]
    spec = Spec("train", scattered, "train", place)
    with start(spec, landlord, privacy).process as process:
        told = json.loads(process.finish()[0])
    here = "/byoc-test/bin/train"
    assert told == [here, "/byoc-test", [here], "tool", "wordsmorewords", "morenew", "code", True, True]
    assert before == [sorted(path.iterdir()) for path in touched]
    assert not (scattered.folder / "made").exists()


def test_a_program_in_a_subfolder_is_run_re_rooted_where_it_lies(landlord, tmp_path, scattered):
    place = Place(tmp_path / "job")
    opt_ml.lay_out_training(place.opt_ml, {})
    spec = Spec("train", scattered, "train", place, entrypoint=["/bin/echo", "/byoc-test/bin/train"])
    with start(spec, landlord, NONE).process as process:
        assert process.finish() == [str(scattered.folder / "program/train")]


def test_a_lock_of_the_port_that_cannot_be_opened_is_told_of(tmp_path, monkeypatch):
    lock = tmp_path / "lock"
    lock.symlink_to("elsewhere")
    monkeypatch.setattr(network, "_lock_file", lambda: lock)
    with (
        ExitStack() as stack,
        pytest.raises(ProgramError, match=rf"{lock}, the lock of port 8080, cannot be"),
    ):
        network.claim_port(stack)
