"""A program does without what a confinement takes: root, a large /dev/shm, all that is writable but /tmp."""

import json
import os
import shutil
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path

import pytest

from byoc.errors import ConfinementError
from byoc.runtime import enter, opt_ml, privacy
from byoc.runtime.container import DockerImage, Folder, Landlord, Place, Privacy, Spec, start
from byoc.runtime.privacy import Enclosure, enclosed, works
from byoc.runtime.readiness import wait_until_ready
from byoc.runtime.spec import Confinement
from byoc.runtime.view import Step

ROOT, BWRAP, NONE = Privacy("root", network=True), Privacy("bwrap", network=True), Privacy()
LANDLORD = Landlord(0, lambda listener: listener.close(), lambda _url: {})
NOBODY = 65534

# Answers what an expression is worth where it runs.
SERVE = """#!/usr/bin/env python3
import http.server, os
class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer("ready")
    def do_POST(self):
        try:
            self.answer(repr(eval(self.rfile.read(int(self.headers["Content-Length"])))))
        except OSError as error:
            self.answer(os.strerror(error.errno))
    def answer(self, text):
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer(("0.0.0.0", 8080), Answers).serve_forever()
"""


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    folder = tmp_path_factory.mktemp("image")
    folder.chmod(0o755)  # as a folder that docker build makes
    (folder / "serve").write_text(SERVE)
    return Folder(folder)


@pytest.fixture(scope="module")
def confined(image, tmp_path_factory):
    """Start the program in a confinement, once for each; return what asks it for an expression's worth."""
    with ExitStack() as stack:
        started = {}

        def asks(confinement, tool):
            if not works(tool):
                pytest.skip(f"{tool.tool} cannot make namespaces here")
            if (confinement, tool) not in started:
                root = tmp_path_factory.mktemp("run")
                (root / "given").mkdir()
                place = Place(root / "instance")
                opt_ml.lay_out_serving(place.opt_ml, root / "given")
                spec = Spec("serve", image, "serve", place, confinement=confinement, read_only_model=True)
                container = start(replace(spec, isolated=True), LANDLORD, tool)
                stack.callback(container.process.kill)
                wait_until_ready(container.process, container.dial, 30)
                started[confinement, tool] = container

            def ask(expression):
                connection = HTTPConnection("127.0.0.1", timeout=10)
                connection.sock = started[confinement, tool].dial()
                connection.request("POST", "/invocations", expression)
                with connection.getresponse() as response:
                    return response.read().decode()

            return ask

        yield asks


def written(path):
    return f"open({str(path)!r}, 'w').write('x')"


def test_it_runs_as_the_user_that_it_is_told_and_as_no_member_of_a_group(confined):
    ask = confined(Confinement(uid=NOBODY), ROOT)
    assert ask("(os.getuid(), os.getgid(), os.getgroups())") == f"({NOBODY}, {NOBODY}, [])"
    assert ask("os.environ['HOME']") == "'/'"
    # Programs of this machine that are another user's when they run, such as sudo, are of no use to it.
    assert ask("'NoNewPrivs:\\t1' in open('/proc/self/status').read()") == "True"


def test_another_user_writes_to_tmp_and_not_where_root_alone_may(confined):
    ask = confined(Confinement(uid=NOBODY), ROOT)
    assert ask(written("/tmp/byoc-test-of-nobody")) == "1"
    assert not Path("/tmp/byoc-test-of-nobody").exists()  # its /tmp is its own
    assert ask(written("/etc/byoc-test-of-nobody")) == "Permission denied"
    assert ask(written("/opt/ml/model/new")) == "Read-only file system"


@pytest.mark.parametrize("stream", ["/dev/stdout", "/dev/stderr"])
def test_another_user_can_open_its_output(confined, stream):
    ask = confined(Confinement(uid=NOBODY), ROOT)
    assert ask(f"open({stream!r}, 'a').write('line')") == "4"


@pytest.mark.parametrize("tool", [ROOT, BWRAP], ids=["root", "bwrap"])
def test_nothing_can_be_written_but_what_is_its_own(confined, tool):
    ask = confined(Confinement(read_only=True), tool)
    assert ask(written("/tmp/byoc-test-read-only")) == "1"
    assert not Path("/tmp/byoc-test-read-only").exists()
    for path in ("/byoc-test", "/etc/byoc-test", "/var/tmp/byoc-test", "/opt/ml/new", "/opt/ml/model/new"):
        assert ask(written(path)) == "Read-only file system"
    assert ask("open('/dev/null', 'w').write('x')") == "1"


# A mount of another name than usual, one that may not be had without its flags, and one that is covered.
FORBIDS = """
import os, sys
from byoc.runtime import enter
enter.WRITABLE = ("/dev", "/proc")
enter.make_private(network=False)
os.chdir(sys.argv[1])
for name in ("a b", "caf\\u00e9\\\\", "covered"):
    os.mkdir(name)
    enter.mount("byoc", name, enter.KEPT["nosuid"], "tmpfs")
os.mkdir("covered/below")
enter.mount("byoc", "covered/below", 0, "tmpfs")
enter.mount("byoc", "covered", 0, "tmpfs")
enter.forbid_writing()
for name in ("a b", "caf\\u00e9\\\\", "covered", "."):
    try:
        open(f"{name}/new", "w")
    except OSError as error:
        print(error.strerror)
print(os.statvfs("a b").f_flag & os.ST_NOSUID)
"""


def test_what_is_mounted_anywhere_is_made_read_only(tmp_path):
    if not works(ROOT):
        pytest.skip("root cannot make namespaces here")
    words = [sys.executable, "-c", FORBIDS, str(tmp_path)]
    said = subprocess.run(words, capture_output=True, text=True, check=True, timeout=30).stdout
    assert said.splitlines() == ["Read-only file system"] * 4 + ["2"]


def test_a_mount_that_stays_writable_is_told_of_and_not_passed_over(monkeypatch):
    def refuses(*_):
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(enter, "mount", refuses)
    monkeypatch.setattr(enter, "WRITABLE", ())
    with pytest.raises(OSError, match=r"cannot be made read-only on this machine \(Operation not"):
        enter.forbid_writing()


@pytest.mark.parametrize("tool", [ROOT, BWRAP], ids=["root", "bwrap"])
def test_its_shared_memory_has_the_size_that_it_is_given(confined, tool):
    ask = confined(Confinement(shm_bytes=1 << 20), tool)
    assert ask("os.statvfs('/dev/shm').f_blocks * os.statvfs('/dev/shm').f_frsize") == str(1 << 20)
    assert ask("open('/dev/shm/large', 'wb').write(bytes(2 << 20))") == "No space left on device"


def test_without_a_confinement_it_is_as_ever(confined):
    ask = confined(Confinement(), ROOT)
    assert ask("os.getuid()") == str(os.getuid())
    assert ask("os.environ['HOME'] != '/'") == "True"


@pytest.mark.parametrize(
    ("confinement", "tool", "why"),
    [
        (Confinement(uid=NOBODY), BWRAP, r"only under root, or in Docker"),
        (Confinement(uid=NOBODY), NONE, r"only under root, or in Docker"),
        (Confinement(read_only=True), NONE, r"no private namespaces"),
        (Confinement(shm_bytes=1), NONE, r"no private namespaces"),
    ],
)
def test_what_cannot_be_taken_away_here_is_said(image, tmp_path, confinement, tool, why):
    spec = Spec("serve", image, "serve", Place(tmp_path / "instance"), confinement=confinement)
    with pytest.raises(ConfinementError, match=why):
        start(spec, LANDLORD, tool)


WHOLE = (Step("/", "/"), Step("/opt"), Step("/opt/ml", "/here/ml"), Step("/tmp", "/here/tmp"))
PIECES = (Step("/", "/", ("dev", "etc", "gone")), Step("/app", "/here/app"))


def bwrap_words(monkeypatch, steps, **asked):
    monkeypatch.setattr(shutil, "which", lambda name: name)
    monkeypatch.setattr(privacy, "steps_of", lambda _mounts: steps)
    return " ".join(enclosed(["program"], Enclosure(cwd="/app", **asked), Privacy("bwrap")))


@pytest.mark.parametrize(
    ("steps", "asked", "words"),
    [
        (WHOLE, {}, "--dev-bind / / --tmpfs /opt --dev-bind /here/ml /opt/ml --dev-bind /here/tmp /tmp"),
        (WHOLE[:1], {"shm_bytes": 4096}, "--dev-bind / / --size 4096 --tmpfs /dev/shm"),
        (
            WHOLE,
            {"read_only": True},
            (
                "--ro-bind / / --dev-bind /dev /dev --tmpfs /opt --ro-bind /here/ml /opt/ml "
                "--dev-bind /here/tmp /tmp --remount-ro /opt"
            ),
        ),
        (
            PIECES,
            {"read_only": True},
            (
                "--dev-bind-try /dev /dev --ro-bind-try /etc /etc --ro-bind-try /gone /gone "
                "--ro-bind /here/app /app --remount-ro /"
            ),
        ),
    ],
)
def test_bwrap_is_told_what_is_seen_and_what_is_read_only(monkeypatch, steps, asked, words):
    told = bwrap_words(monkeypatch, steps, **asked)
    assert told == f"bwrap --die-with-parent {words} --chdir /app -- program"


DOCKER = f"""#!{sys.executable} -S
import json, sys
if sys.argv[1] == "run":
    print(json.dumps(sys.argv[1:]), flush=True)
elif sys.argv[1] == "network":
    print(json.dumps([{{"Subnet": "172.17.0.0/16", "Gateway": "127.0.0.1"}}]))
"""


@pytest.mark.parametrize(
    ("confinement", "words"),
    [
        (Confinement(), "--shm-size 64m"),
        (Confinement(shm_bytes=4096), "--shm-size 4096"),
        (Confinement(uid=NOBODY), f"--shm-size 64m --user {NOBODY}:{NOBODY}"),
        (Confinement(read_only=True), "--shm-size 64m --read-only --tmpfs /tmp:exec,mode=1777"),
    ],
)
def test_docker_is_told_what_to_take_away(tmp_path, monkeypatch, confinement, words):
    docker = tmp_path / "bin" / "docker"
    docker.parent.mkdir()
    docker.write_text(DOCKER)
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", str(docker.parent))
    spec = Spec("train", DockerImage("image"), "train", Place(tmp_path / "place"), confinement=confinement)
    (said,) = start(spec, LANDLORD).process.finish()
    told = json.loads(said)
    assert f"--pull never {words} --mount" in " ".join(told)
    bind = next(word for word in told if word.endswith(("target=/opt/ml", "target=/opt/ml,readonly")))
    assert bind.endswith("readonly") is confinement.read_only
