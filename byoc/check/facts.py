"""What an image says of itself: how it starts, who it is, what it claims to support."""

import json
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from byoc.check.verdict import CannotTestError
from byoc.runtime.build import PROGRAM, build_of, program_of, unreadable
from byoc.runtime.dockerfile import SYSTEM_PATH, instructions
from byoc.runtime.images import DockerImage, Folder, Image, binds_to_port
from byoc.runtime.words import unwrapped

MULTI_MODEL = "com.amazonaws.sagemaker.capabilities.multi-models"
BIDIRECTIONAL = "com.amazonaws.sagemaker.capabilities.bidirectional-streaming"
_ENGINE_S = 60.0
SCHEMA_2 = "application/vnd.docker.distribution.manifest.v2+json"
_CONTAINERDS_STORE = "io.containerd.snapshotter"
GB = 1000**3
MOST_BYTES = 10 * GB  # of an image, uncompressed, for serverless endpoints; AWS says 10 GB
# Images that bring no USER, no ENTRYPOINT but one that runs what it is given, and a PATH of folders of the
# system and the language; others of such a name, in other registries, may bring anything.
_PLAIN = re.compile(
    r"(?:(?:docker\.io/)?(?:library/)?|public\.ecr\.aws/docker/library/)"
    r"(?:python|debian|ubuntu|alpine|amazonlinux|fedora|rockylinux|almalinux|centos|busybox|scratch|node|openjdk|"
    r"eclipse-temurin|amazoncorretto|r-base|julia|golang|rust|buildpack-deps)(?:[:@].*)?"
    r"|(?:docker\.io/)?(?:continuumio/miniconda3|rocker/r-ver)(?:[:@].*)?"
    r"|(?:docker\.io/|nvcr\.io/)?nvidia/cuda(?:[:@].*)?"
    r"|public\.ecr\.aws/amazonlinux/amazonlinux(?:[:@].*)?"
)


@dataclass(frozen=True)
class Facts:
    """What is known without running it.

    Attributes:
        entrypoint, command: in exec form a tuple, in shell form the text, None where there is none.
        programs: which of `train` and `serve` there are; None where nobody looked, or neither was found.
        user: who it runs as, "" for root.
        architecture: as Docker calls it, "" where unknown.
        size_bytes: of all layers, uncompressed; None where unknown.
        history: how it was built: a Dockerfile's instructions, or what Docker remembers of them.
        is_all: whether what is not here is not so; else a base image, or no Dockerfile, leaves it open.
        digests: the names with digests that it has in registries.
        media_type: of its manifest, as the engine would push it; "" where unknown.
    """

    entrypoint: tuple[str, ...] | str | None
    command: tuple[str, ...] | str | None
    labels: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    programs: frozenset[str] | None = None
    user: str = ""
    workdir: str = "/"
    architecture: str = ""
    size_bytes: int | None = None
    history: tuple[str, ...] = ()
    is_all: bool = True
    digests: tuple[str, ...] = ()
    media_type: str = ""

    def has(self, verb: str) -> bool:
        """Whether it is meant to run `train` or `serve`: any may be whose ENTRYPOINT is its own."""
        return self.programs is None or verb in self.programs or not self.hands_on

    @property
    def hands_on(self) -> bool:
        """Whether what runs is called `train` or `serve`: there is no ENTRYPOINT, or one such as env."""
        if isinstance(self.entrypoint, str):
            return False
        return list(unwrapped((*(self.entrypoint or ()), "serve"))) == ["serve"]

    @property
    def path(self) -> str:
        """Where its programs are looked for: its PATH, or what Docker sets where it has none."""
        return self.environment.get("PATH", SYSTEM_PATH)

    @property
    def binds_to_port(self) -> bool:
        """Whether it says that it listens where SAGEMAKER_BIND_TO_PORT says."""
        return binds_to_port(self.labels)

    @property
    def is_multi_model(self) -> bool:
        """Whether it says that it serves multi-model endpoints."""
        return self.labels.get(MULTI_MODEL, "").lower() == "true"


def facts_of(image: Image) -> Facts:
    """Return what an image, or a folder and its Dockerfile, say.

    Raises:
        CannotTestError: the engine does not answer.
        ProgramError: the folder cannot be read.
    """
    return _of_docker(image) if isinstance(image, DockerImage) else _of_folder(image)


def _of_folder(folder: Folder) -> Facts:
    try:
        root = folder.folder.resolve()
        build = build_of(root)
        text = (build.context / "Dockerfile").read_text(errors="replace") if build.context else ""
    except OSError as error:
        raise unreadable(folder.folder, error) from error
    recipe = build.recipe
    here = {} if build.context else {"PATH": f"{PROGRAM}:{SYSTEM_PATH}"}  # as byoc runs it
    return Facts(
        entrypoint=recipe.entrypoint,
        command=recipe.command,
        labels=recipe.labels,
        environment={**here, **recipe.environment},
        programs=frozenset(verb for verb in ("train", "serve") if program_of(build, root, verb)),
        user=recipe.user,
        workdir=recipe.workdir,
        architecture=_architecture(recipe.platform),
        history=tuple(f"{instruction} {rest}" for instruction, rest in instructions(text)),
        is_all=bool(_PLAIN.fullmatch(recipe.base)),
    )


def _architecture(platform: str) -> str:
    """Return Docker's word for the architecture of OS/ARCHITECTURE[/VARIANT]."""
    word = platform.split("/")[1] if "/" in platform else platform
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(word, word)


def _of_docker(image: DockerImage) -> Facts:
    found = json.loads(_ask("image", "inspect", "--", image.reference))[0]
    config = found.get("Config") or {}
    history = _ask("history", "--no-trunc", "--format", "{{.CreatedBy}}", "--", image.reference)
    return Facts(
        entrypoint=_words(config.get("Entrypoint")),
        command=_words(config.get("Cmd")),
        labels=config.get("Labels") or {},
        environment=dict(word.split("=", 1) for word in config.get("Env") or [] if "=" in word),
        user=config.get("User") or "",
        workdir=config.get("WorkingDir") or "/",
        architecture=found.get("Architecture") or "",
        size_bytes=found.get("Size"),
        history=tuple(reversed(history.splitlines())),
        digests=tuple(found.get("RepoDigests") or ()),
        media_type=_media_type(found),
    )


def _media_type(found: Mapping[str, Any]) -> str:
    """Return what the engine would push, "" where that is not known.

    Docker's own image store keeps no manifests and does not say, and always pushes its schema 2; containerd's
    says, which it may use instead. What has a digest was pushed by somebody already, perhaps otherwise.
    """
    if told := (found.get("Descriptor") or {}).get("mediaType"):
        return str(told)
    try:
        is_docker = '"Engine"' in _ask("version", "--format", "{{json .Server.Components}}")
        is_own = _CONTAINERDS_STORE not in _ask("info", "--format", "{{json .DriverStatus}}")
    except CannotTestError:
        return ""
    return SCHEMA_2 if is_docker and is_own and not found.get("RepoDigests") else ""


def _ask(*words: str) -> str:
    try:
        said = subprocess.run(
            ["docker", *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=True,
            timeout=_ENGINE_S,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise CannotTestError(f"The Docker engine does not tell of {words[-1]}: {error}") from error
    return said.stdout


def _words(given: list[str] | None) -> tuple[str, ...] | str | None:
    """Return a command; the shell form is known by the shell that Docker puts before it."""
    if not given:
        return None
    if given[:2] == ["/bin/sh", "-c"] and len(given) == 3:
        return given[2]
    return tuple(given)
