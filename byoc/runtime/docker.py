"""Runs a container program as a container of the Docker engine, through the docker command."""

import functools
import ipaddress
import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import threading
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from byoc.errors import ProgramError
from byoc.runtime.docker_door import Door
from byoc.runtime.docker_pull import Pulls
from byoc.runtime.images import DockerImage
from byoc.runtime.network import (
    ISOLATION_IS_MISSING,
    PORT,
    Network,
    dial_nobody,
    network_of_this_machine,
)
from byoc.runtime.process import SECRETS, Command, Process
from byoc.runtime.program import GRACE_S
from byoc.runtime.spec import Confinement, Container, Landlord, Spec

_KEEPER = Path(__file__).with_name("docker_keeper.py")
_ANSWER_S = 30.0
_SHM = "64m"  # what a container has by default, on SageMaker too
_BACKLOG = 128
_HOST = "host.docker.internal"  # what Docker Desktop calls the machine, its loopback included
_OPENING = threading.Lock()
_PULLS = Pulls()
# What the docker command itself reads, beside DOCKER_*.
_CLIENT = ("PATH", "HOME", "TMPDIR", "SSH_AUTH_SOCK", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR")
# What would change it, or the keeper above it: that too, the linker's, Go's, glibc's, OpenSSL's, the proxy's.
_MEANT_FOR_CLIENT = re.compile(
    "|".join(
        [
            *_CLIENT,
            SECRETS,
            "(DOCKER|LD|DYLD|GLIBC|SSL|OTEL|BUILDX)_.*",
            "GO(DEBUG|GC|MAXPROCS|MEMLIMIT|TRACEBACK)",
            "(?i:[a-z]+_proxy)",
        ]
    )
)


def why_no_engine() -> str:
    """Return why no Docker engine answers, in a line; "" where one does."""
    command = ["docker", "version", "--format", "{{.Server.Version}}"]
    try:
        said = _run(command)
    except subprocess.TimeoutExpired:
        return f"nothing came within {_ANSWER_S:g} s"
    except OSError as error:
        return f"docker cannot be run: {error.strerror}"
    return "" if said.returncode == 0 else " ".join(said.stderr.split()).rstrip(".")


def find_image(reference: str) -> DockerImage | None:
    """Return an image that the engine has; None where it has none so called, or no engine answers."""
    said = _answer("image", "inspect", "--format", "{{json .Config.Labels}}", "--", reference)
    return None if said is None else DockerImage(reference, json.loads(said) or {})


def pull_image(reference: str) -> DockerImage | None:
    """Have the engine pull an image, which may take long; None where it cannot be had: the log says why."""
    return find_image(reference) if _PULLS.pull(reference, _client_environment()) else None


def end_pulls() -> None:
    """End the pulls of this process, which is about to end, and begin none any more. Safe to repeat."""
    _PULLS.end()


def start_docker(spec: Spec, image: DockerImage, landlord: Landlord) -> Container:
    """Start a container; the engine makes it after this has returned.

    Raises:
        ProgramError: there is no docker command, or port 8080 is needed and taken.
    """
    docker = shutil.which("docker")
    if docker is None:
        raise ProgramError("docker is not on PATH. Install Docker, or name a folder with the programs.")
    name = f"byoc-{secrets.token_hex(8)}"
    with ExitStack() as undo:
        belongings = undo.enter_context(ExitStack())
        door = Door(name, _answer)
        network, options = _attached(spec, image, landlord, door, belongings)
        spec.place.root.mkdir(parents=True, exist_ok=True)
        client = _client_environment()
        variables = {**network.aws, **spec.environment, **network.told}
        words = [
            docker,
            "run",
            "--name",
            name,
            "--pull",
            "never",
            *_confined(spec.confinement),
            *_mounts(spec),
        ]
        words += [*options, *_variables(variables), *_what_runs(spec, image)]
        process = Process(
            Command(
                spec.name,
                [name, *words],
                {**_passed_on(variables), **client},
                spec.place.root,
                spec.place.log,
                GRACE_S[spec.verb],
                keeper=_KEEPER,
            ),
            belongings,
        )
        undo.pop_all()
    return Container(
        process,
        network.dial,
        "docker",
        network.note,
        network.port,
        network.reach,
        door.first_process,
        network.is_direct,
    )


def _what_runs(spec: Spec, image: DockerImage) -> list[str]:
    """Return the image and its command; what is in place of the entrypoint stands before the image."""
    if spec.entrypoint:
        first, *rest = spec.entrypoint
        return ["--entrypoint", first, image.reference, *rest, *(spec.arguments or ())]
    return [image.reference, *([spec.verb] if spec.arguments is None else spec.arguments)]


def _confined(confinement: Confinement) -> list[str]:
    shm = _SHM if confinement.shm_bytes is None else str(confinement.shm_bytes)
    user = [] if confinement.uid is None else ["--user", f"{confinement.uid}:{confinement.uid}"]
    own_tmp = ["--read-only", "--tmpfs", "/tmp:exec,mode=1777"] if confinement.read_only else []  # noqa: S108
    return ["--shm-size", shm, *user, *own_tmp]


def _mounts(spec: Spec) -> list[str]:
    ml = spec.place.opt_ml.resolve()
    closed = ",readonly" if spec.confinement.read_only else ""
    words = ["--mount", f"type=bind,source={ml},target=/opt/ml{closed}"]
    if spec.read_only_model and (ml / "model").is_dir():
        words += ["--mount", f"type=bind,source={ml / 'model'},target=/opt/ml/model,readonly"]
    return words


def _passed_on(given: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that the docker command passes on from its own environment, where `ps` shows none.

    Not those that would change what it does itself, such as DOCKER_HOST or LD_PRELOAD.
    """
    return {name: value for name, value in given.items() if not _MEANT_FOR_CLIENT.fullmatch(name)}


def _variables(given: Mapping[str, str]) -> list[str]:
    """Return the options that pass variables on, by name where `_passed_on` has them."""
    passed_on = _passed_on(given)
    return [
        word
        for name, value in given.items()
        for word in ("--env", name if name in passed_on else f"{name}={value}")
    ]


def _attached(
    spec: Spec, image: DockerImage, landlord: Landlord, door: Door, belongings: ExitStack
) -> tuple[Network, list[str]]:
    """Return a container's network, and the options that attach it."""
    serves = spec.verb == "serve"
    if spec.isolated and not serves:
        return Network(dial_nobody, {}, own=True), ["--network", "none"]
    gateway = _gateway()
    if gateway is None:
        return network_of_this_machine(spec, image.labels, landlord, belongings), ["--network", "host"]
    aws: Mapping[str, str] = {}
    options = ["--publish", f"127.0.0.1:0:{PORT}"] if serves else []
    if not spec.isolated:
        with _OPENING:
            host = _listen(landlord, gateway)
        aws = landlord.environment(f"http://{host}:{landlord.port}")
        options += ["--add-host", f"{_HOST}:host-gateway"] if host == _HOST else []
    note = ISOLATION_IS_MISSING if spec.isolated else ""
    if not serves:
        return Network(dial_nobody, aws, note=note, own=True), options
    network = Network(door.dial, aws, note=note, own=True, reach=door.reach, is_direct=door.is_direct)
    return network, options


@functools.cache
def _listen(landlord: Landlord, gateway: str) -> str:
    """Have the landlord listen where containers see this machine, once; return that host."""
    try:
        listener = socket.create_server((gateway, landlord.port), backlog=_BACKLOG)
    except OSError:  # the engine runs in a machine of its own
        return _HOST
    landlord.listen(listener)
    return gateway


def _gateway() -> str | None:
    """Return this machine's address on the engine's bridge; None where there is no bridge."""
    said = _answer("network", "inspect", "--format", "{{json .IPAM.Config}}", "bridge")
    for config in json.loads(said or "null") or []:
        network = ipaddress.ip_network(config["Subnet"])
        if network.version == 4:
            return str(config.get("Gateway") or next(network.hosts()))
    return None


def _answer(*words: str) -> str | None:
    """Return what the docker command says; None where it fails, or there is none."""
    try:
        said = _run(["docker", *words])
    except (OSError, subprocess.TimeoutExpired):
        return None
    return said.stdout.strip() if said.returncode == 0 else None


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        env=_client_environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=_ANSWER_S,
    )


def _client_environment() -> dict[str, str]:
    """Return what the docker command reads, and nothing else of this process's environment."""
    return {
        name: value for name, value in os.environ.items() if name in _CLIENT or name.startswith("DOCKER_")
    }
