"""A Docker engine and a registry for tests/docker: the engine that answers already, or one started here."""

import fcntl
import os
import platform
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

# Kept between runs: the stand-in base image and the build cache.
STATE = Path(tempfile.gettempdir()) / f"byoc-docker-tests-{os.getuid()}"
SUITE = "trixie"
BASE_IMAGE = f"debian:{SUITE}-slim"
SOURCES = Path("/etc/apt/sources.list.d/debian.sources")
PREFIX = "byoc-test-"  # of the name of every image that the tests build
START_S = 60.0
STOP_S = 30.0
CA_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
PACKAGES = {  # program -> what Debian and Ubuntu call its package
    "docker": "docker.io",
    "dockerd": "docker.io",
    "docker-registry": "docker-registry",
    "mmdebstrap": "mmdebstrap",
}
# What moto's `ecr get-authorization-token` hands out, and its bcrypt hash (htpasswd -nbB -C 5).
PASSWORD = "123456789012-auth-token"
PASSWORD_HASH = "$2y$05$fZkAh5qaVYyG2aPx9cO/QeipUwGeX4MeNSlKdfHF58bmVuHUsEjI6"


class NoEngineHereError(Exception):
    """No engine answers and this user cannot start one."""


class EngineRefusedError(Exception):
    """The engine ended by itself as it started: this kernel, or this sandbox, does not let it."""


class _EndedError(Exception):
    """A daemon ended as it started; the message has its last words."""


class MissingProgramError(Exception):
    """A program is not installed; the message says which package brings it."""


@dataclass(frozen=True)
class Engine:
    """An engine that answers, its registry's HOST:PORT, and what `docker build` needs to be told here."""

    environ: Mapping[str, str]
    registry: str
    build_arguments: tuple[str, ...]

    def docker(self, *words: str | Path, check: bool = True, **how) -> subprocess.CompletedProcess[str]:
        """Run `docker WORDS` and return what it said; an unexpected failure shows it."""
        done = subprocess.run(
            ["docker", *words], env=self.environ, capture_output=True, text=True, check=False, **how
        )
        if check and done.returncode:
            raise AssertionError(f"docker {' '.join(map(str, words))}\n{done.stdout}{done.stderr}")
        return done

    def build(self, context: Path, name: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Run `docker build` for the image PREFIX + name and return what it said, whatever the outcome."""
        words = (*self.build_arguments, *words, "--tag", PREFIX + name)
        return self.docker("build", *words, context, check=False)

    def built(self, context: Path, name: str) -> str:
        """Return the name of the image that `context` makes."""
        said = self.build(context, name)
        assert said.returncode == 0, said.stdout + said.stderr
        return PREFIX + name


@contextmanager
def running_engine(state: Path = STATE) -> Iterator[Engine]:
    """Yield an Engine with a registry of its own; end by pid whatever was started for it."""
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="byoc-docker-") as scratch, _alone(state):
        environ = _environ(_client(), Path(scratch))
        with ExitStack() as stack:
            if not _answers(environ):
                if os.geteuid() != 0:
                    raise NoEngineHereError("no Docker engine answers, and only root can start one")
                environ = stack.enter_context(_dockerd(state, environ))
                _ensure_base_image(environ)
            registry = stack.enter_context(_registry(Path(scratch)))
            engine = Engine(environ, registry, _build_arguments(environ))
            stack.callback(_forget_images, engine)
            yield engine


def _forget_images(engine: Engine) -> None:
    """Remove what the tests built, pulled and left; the engine may be the user's. The build cache stays."""
    names = [f"{PREFIX}*", f"{engine.registry}/*", f"{engine.registry}/*/*"]
    wanted = [word for name in names for word in ("--filter", f"reference={name}")]
    images = set(engine.docker("image", "ls", "--quiet", *wanted).stdout.split())
    if images:
        of_images = [word for image in images for word in ("--filter", f"ancestor={image}")]
        if left := engine.docker("ps", "--all", "--quiet", *of_images).stdout.split():
            engine.docker("rm", "--force", "--volumes", *left)
        engine.docker("image", "rm", "--force", *images)


@contextmanager
def _alone(state: Path) -> Iterator[None]:
    with (state / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RuntimeError(f"another run of the Docker tests uses {state}") from None
        yield


def _client() -> Path:
    """Return the first docker on PATH that builds with BuildKit: with buildx, or older than 23."""
    for folder in os.get_exec_path():
        docker = Path(folder) / "docker"
        if not os.access(docker, os.X_OK):
            continue
        if _succeeds([docker, "buildx", "version"], os.environ) or _major_version(docker) < 23:
            return docker
    raise MissingProgramError(_install("docker"))


def _major_version(docker: Path) -> int:
    said = subprocess.run([docker, "--version"], capture_output=True, text=True, check=True).stdout
    return int(said.split("version ")[1].split(".")[0])


def _environ(client: Path, scratch: Path) -> dict[str, str]:
    """Return an environment with that client first on PATH, and logins that stay out of the user's home."""
    context = ["context", "inspect", "--format", "{{.Endpoints.docker.Host}}"]
    host = subprocess.run([client, *context], capture_output=True, text=True, check=False).stdout.strip()
    for folder in ("bin", "docker"):
        (scratch / folder).mkdir()
    (scratch / "bin" / "docker").symlink_to(client)
    plugins = Path(os.environ.get("DOCKER_CONFIG", Path.home() / ".docker")) / "cli-plugins"
    if plugins.is_dir():
        (scratch / "docker" / "cli-plugins").symlink_to(plugins)
    return {
        **os.environ,
        "PATH": os.pathsep.join([str(scratch / "bin"), os.environ["PATH"]]),
        "DOCKER_CONFIG": str(scratch / "docker"),
        "DOCKER_BUILDKIT": "1",
        **({"DOCKER_HOST": host} if host else {}),
    }


def _answers(environ: Mapping[str, str]) -> bool:
    return _succeeds(["docker", "version"], environ)


def _succeeds(command: list[str | Path], environ: Mapping[str, str]) -> bool:
    return subprocess.run(command, env=environ, capture_output=True, check=False).returncode == 0


@contextmanager
def _dockerd(state: Path, environ: Mapping[str, str]) -> Iterator[dict[str, str]]:
    address = f"unix://{state}/docker.sock"
    command = [_program("dockerd"), "--host", address, "--data-root", state / "data"]
    command += ["--exec-root", state / "exec", "--pidfile", state / "dockerd.pid"]
    here = {**environ, "DOCKER_HOST": address}
    log = state / "dockerd.log"
    if _answers(here):
        raise RuntimeError(f"an earlier run's engine still runs. End it: kill $(cat {state}/dockerd.pid)")
    try:
        with _daemon(command, log) as process:
            try:
                _wait(lambda: _answers(here), process, log)
            except _EndedError as error:
                raise EngineRefusedError(str(error)) from None
            yield here
    finally:  # dockerd leaves this one mounted, and then the folder cannot be deleted
        namespace = state / "exec" / "netns" / "default"
        subprocess.run(["umount", namespace], capture_output=True, check=False)


@contextmanager
def _registry(scratch: Path) -> Iterator[str]:
    """Yield the HOST:PORT of an empty registry on loopback that takes moto's password, as ECR takes AWS's."""
    address = f"127.0.0.1:{_free_port()}"
    (scratch / "htpasswd").write_text(f"AWS:{PASSWORD_HASH}\n")
    settings = scratch / "registry.yml"
    settings.write_text(
        f"version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\nhttp: {{addr: '{address}'}}\n"
        f"storage: {{filesystem: {{rootdirectory: '{scratch}/registry'}}}}\n"
        f"auth: {{htpasswd: {{realm: tests, path: '{scratch}/htpasswd'}}}}\n"
    )
    log = scratch / "registry.log"
    with _daemon([_program("docker-registry"), "serve", settings], log) as process:
        _wait(lambda: _asks_who_we_are(address), process, log)
        yield address


def _asks_who_we_are(address: str) -> bool:
    try:
        urllib.request.urlopen(f"http://{address}/v2/", timeout=2).close()
    except urllib.error.HTTPError as answer:
        answer.close()
        return answer.code == 401
    except OSError:
        return False
    return False


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@contextmanager
def _daemon(command: list[str | Path], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a daemon in a session of its own, where ^C does not reach it before its containers are gone."""
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, start_new_session=True)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(ready: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START_S
    while not ready():
        last = (log.read_text(errors="replace").strip().splitlines() or ["it said nothing"])[-1]
        if process.poll() is not None:
            raise _EndedError(f"{Path(str(process.args[0])).name} ended as it started: {last}")
        if time.monotonic() > until:
            raise TimeoutError(f"{process.args[0]} did not answer within {START_S:.0f} s: {last}")
        time.sleep(0.1)


def _build_arguments(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return what names the base image here: an image of that name, or the Dockerfile's own by digest."""
    if _succeeds(["docker", "image", "inspect", BASE_IMAGE], environ):
        return ("--build-arg", f"BASE_IMAGE={BASE_IMAGE}")
    return ()


def _ensure_base_image(environ: Mapping[str, str]) -> None:
    """Make Debian's slim image from Debian's packages where Docker Hub is out of reach: a stand-in.

    The machine's own CA bundle goes in, for an index or a mirror whose certificate only this machine knows.
    """
    if _succeeds(["docker", "image", "inspect", BASE_IMAGE], environ):
        return
    make = [_program("mmdebstrap"), "--quiet", "--variant=minbase", "--include=ca-certificates"]
    make += ["--aptopt=APT::Install-Recommends false"]
    make += [f"--dpkgopt=path-exclude=/usr/share/{docs}/*" for docs in ("doc", "locale", "man")]
    if CA_BUNDLE.is_file():
        make.append(f'--customize-hook=cp {CA_BUNDLE} "$1{CA_BUNDLE}"')
    load = ["docker", "import", "--change", f"ENV PIP_CERT={CA_BUNDLE}", "-", BASE_IMAGE]
    with tempfile.NamedTemporaryFile("w", suffix=".sources") as sources:
        sources.write(_sources())
        sources.flush()
        make += [SUITE, "-", *([sources.name] if SOURCES.is_file() else [])]
        with subprocess.Popen(make, stdout=subprocess.PIPE) as making:
            loaded = subprocess.run(load, stdin=making.stdout, env=environ, capture_output=True, check=False)
    if making.returncode or loaded.returncode:
        raise RuntimeError(f"the base image could not be made: {loaded.stderr.decode().strip()}")


def _sources() -> str:
    """Return this machine's own package sources, and so its mirror, for the suite of the base image."""
    if not SOURCES.is_file():
        return ""
    return SOURCES.read_text().replace(platform.freedesktop_os_release()["VERSION_CODENAME"], SUITE)


def _program(name: str) -> str:
    if path := shutil.which(name):
        return path
    raise MissingProgramError(_install(name))


def _install(name: str) -> str:
    return f"{name} is not installed. As root: apt-get install {PACKAGES[name]}"
