"""Rules on an image as it lies there: what it is built for, how it says that it starts, what it claims."""

import difflib
import json
import re
import subprocess
from pathlib import PurePosixPath

from byoc.check import sources
from byoc.check.facts import BIDIRECTIONAL, GB, MOST_BYTES, MULTI_MODEL, SCHEMA_2
from byoc.check.lab import Lab
from byoc.check.launched import launched, script_path
from byoc.check.number import counted
from byoc.check.rule import Part, Rule
from byoc.check.unbuildable import BUILDS, obstacle
from byoc.check.verdict import CannotTestError, Verdict, failed, passed, untested, warned
from byoc.runtime.images import BINDS_TO_PORT, DockerImage
from byoc.runtime.words import INITS, shell_text

# An instance family with a g behind its generation has AWS's Graviton; GB200 and GB300 have NVIDIA's Grace.
_ARM = re.compile(r"ml\.(?:[a-z]+\d+g[a-z]*|[a-z0-9]+-gb\d+)\..*")
_OCI_INDEX = "application/vnd.oci.image.index.v1+json"
_OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_REGISTRY_S = 10.0
_CAPABILITIES = "com.amazonaws.sagemaker.capabilities."
_KNOWN_LABELS = (MULTI_MODEL, BINDS_TO_PORT, BIDIRECTIONAL)
_ROOT = ("", "root", "0")
_RESERVED = ("input", "model", "output", "checkpoints")
_BUILD_IT = "Build the image and check that: byoc check IMAGE."


def architecture_of(instance_type: str) -> str:
    """Return what the machines of an instance type are, in Docker's words: amd64 or arm64."""
    return "arm64" if _ARM.fullmatch(instance_type) else "amd64"


def image_architecture(lab: Lab) -> Verdict:
    """Whether the instances can run it."""
    found, instance = lab.facts.architecture, lab.question.instance_type
    wanted = architecture_of(instance)
    if not found or found.startswith("$"):
        return untested(
            "The Dockerfile names no platform: the image becomes one for the machine that builds it, "
            f"and {instance} is {wanted}. {_BUILD_IT}"
        )
    if found != wanted:
        return failed(
            f"The image is for {found}, and {instance} is {wanted}: exec format error.",
            f"docker build --platform linux/{wanted}, or an instance type of {found}: --instance-type.",
        )
    return passed(f"The image is for {found}, as {instance} is.")


def image_manifest(lab: Lab) -> Verdict:
    """Whether SageMaker takes the manifest that a registry has, or that would be pushed."""
    if not isinstance(lab.image, DockerImage):
        return untested(
            "Manifests are made of images. container/build_and_push.sh looks at it after the push."
        )
    pushed = [name for name in lab.facts.digests if _is_private(name)]
    for name in pushed:
        if media_type := _pushed_type(name):
            return _judged(media_type, name)
    if lab.facts.media_type:
        return _judged(lab.facts.media_type, "docker push makes that of it")
    where = f"The registry does not show {pushed[0]}" if pushed else "The image is in no registry yet"
    return untested(
        f"{where}: after the push its manifest can be looked at, as container/build_and_push.sh does."
    )


def image_size(lab: Lab) -> Verdict:
    """Whether it is small enough for serverless endpoints, and for a quick start."""
    size = lab.facts.size_bytes
    if size is None:
        return untested(f"How large it becomes is known when it is built. {_BUILD_IT}")
    seen = f"The image has {size / GB:.1f} GB, uncompressed."
    return warned(seen) if size > MOST_BYTES else passed(seen)


def entrypoint_exec_form(lab: Lab) -> Verdict:
    """Whether what SageMaker starts gets its words and its signals."""
    facts = lab.facts
    if not lab.files.is_whole and not facts.history:
        if lab.once(obstacle):
            return untested(f"The Dockerfile cannot be built: see {BUILDS}.", BUILDS)
        return untested("The folder has no Dockerfile, and so no ENTRYPOINT is known.")
    text = shell_text(facts.entrypoint)
    if text is not None:
        handed_on = "exec" in text and re.search(r"\$(0|@|\{@\}|1|\*)", text)
        if handed_on:
            return passed(f"ENTRYPOINT has a shell become what it is given: {text}")
        return failed(
            f"ENTRYPOINT starts a shell, which gets the signals, and not {text!r}, nor its argument serve."
        )
    if facts.entrypoint:
        return _exec_form(tuple(facts.entrypoint))
    return _no_entrypoint(lab)


def labels_known(lab: Lab) -> Verdict:
    """Whether its labels are ones that SageMaker reads, with values that it knows."""
    for name, value in lab.facts.labels.items():
        if name in _KNOWN_LABELS and value not in ("true", "false"):
            return warned(f"The label {name} is {value!r}.", "Write true or false.")
        near = difflib.get_close_matches(name, _KNOWN_LABELS, 1, cutoff=0.85)
        if name not in _KNOWN_LABELS and near:
            return warned(f"There is a label {name}, which nothing reads.", f"Is it {near[0]}?")
    known = [
        f"{name.removeprefix(_CAPABILITIES)}={value}"
        for name, value in lab.facts.labels.items()
        if name in _KNOWN_LABELS
    ]
    return passed(f"SageMaker is told {', '.join(known)}." if known else "It has none of SageMaker's labels.")


def opt_ml_empty(lab: Lab) -> Verdict:
    """Whether something lies where SageMaker mounts its own."""
    hidden = [
        entry.path
        for name in _RESERVED
        for entry in lab.files.below(f"/opt/ml/{name}")
        if not _is_folder(entry.mode)
    ]
    if not hidden:
        return passed("Nothing lies below /opt/ml/input, model, output or checkpoints.")
    more = f", and {counted(len(hidden) - 1, 'more such file')}" if hidden[1:] else ""
    seen = f"{hidden[0]} is in the image{more}"
    needed = [path for path in _needed(lab) if any(_is_below(path, f"/opt/ml/{name}") for name in _RESERVED)]
    if needed:
        return failed(f"{seen}; {needed[0]} is needed to start.")
    return warned(f"{seen}.")


def runs_as_root(lab: Lab) -> Verdict:
    """Whether it runs as the user that SageMaker expects."""
    user = lab.facts.user
    if user.split(":")[0] not in _ROOT:
        return warned(f"It runs as the user {user}.")
    if not user and not lab.facts.is_all:
        return untested(f"No USER is named here; the base image may name one. {_BUILD_IT}")
    return passed("It runs as root.")


def _is_private(name: str) -> bool:
    """Whether an image's name is of a registry other than Docker Hub: SageMaker takes images from ECR."""
    host = name.partition("/")[0]
    return "/" in name and ("." in host or ":" in host) and host != "docker.io"


def _pushed_type(name: str) -> str:
    """Return the media type of what a registry has; "" where it does not say within some seconds."""
    local = ["--insecure"] if re.match(r"(127\.|localhost[:/])", name) else []
    try:
        said = subprocess.run(
            ["docker", "manifest", "inspect", *local, name],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=True,
            timeout=_REGISTRY_S,
        )
        manifest = json.loads(said.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return ""
    if "mediaType" in manifest:
        return str(manifest["mediaType"])
    return _OCI_INDEX if "manifests" in manifest else _OCI_MANIFEST


def _judged(media_type: str, where: str) -> Verdict:
    if media_type == SCHEMA_2:
        return passed(f"{media_type} ({where}).")
    return failed(f"{media_type} ({where}): Unsupported manifest media type.")


def _exec_form(words: tuple[str, ...]) -> Verdict:
    told = json.dumps(words)
    init = next((at for at, word in enumerate(words) if PurePosixPath(word).name in INITS[:2]), None)
    if init is not None and "--" not in words[init:]:
        return warned(
            f"ENTRYPOINT is {told}: tini takes what follows for its own options.",
            f"ENTRYPOINT {json.dumps([*words[: init + 1], '--', *words[init + 1 :]])}",
        )
    return passed(f"ENTRYPOINT is {told}, and serve its argument.")


def _no_entrypoint(lab: Lab) -> Verdict:
    """Judge an image whose CMD is all that it says: SageMaker puts `serve` in its place."""
    facts, files = lab.facts, lab.files
    if any(launched(facts, files, verb).file for verb in ("serve", "train")):
        return passed("There is no ENTRYPOINT: train and serve are programs of their own.")
    if not facts.command:
        raise CannotTestError("There is no ENTRYPOINT, nor a serve: see program-found.")
    if any(
        PurePosixPath(path).name in ("serve", "train") and entry.is_file
        for path, entry in files.entries.items()
    ):
        raise CannotTestError("There is no ENTRYPOINT, and serve is not on PATH: see program-found.")
    if not facts.is_all:
        raise CannotTestError(f"There is no ENTRYPOINT; the base image may have one. {_BUILD_IT}")
    command = facts.command if isinstance(facts.command, str) else json.dumps(facts.command)
    return failed(
        f"There is no ENTRYPOINT, and SageMaker puts serve in place of CMD {command}; no serve is on PATH.",
        f"Make it ENTRYPOINT {command}, in exec form; or put a program called serve on PATH.",
    )


def _needed(lab: Lab) -> list[str]:
    """Return what has to be there for a start: the programs, their scripts, the working directory."""
    facts = lab.facts
    needed = [facts.workdir]
    if shell_text(facts.entrypoint) is None:
        for verb in ("serve", "train"):
            program = launched(facts, lab.files, verb)
            needed += [program.file.path] if program.file else []
            needed += [script_path(facts, program.script)] if program.script else []
    return needed


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")


def _is_folder(mode: int) -> bool:
    return mode & 0o170000 == 0o040000


RULES = (
    Rule(
        id="image-architecture",
        part=Part.IMAGE,
        says="is built for the processors of the instance type",
        why="Built on an Apple or Graviton machine an image is for arm64 unless told otherwise, and most "
        "instances are amd64: `exec format error`.",
        so="the container cannot start on the instance type",
        mend="docker build --platform linux/amd64, or linux/arm64 for Graviton.",
        source="https://aws.amazon.com/blogs/machine-learning/run-machine-learning-inference-workloads-on-aws-"
        "graviton-based-instances-with-amazon-sagemaker/",
        test=image_architecture,
    ),
    Rule(
        id="image-manifest",
        part=Part.IMAGE,
        says="is pushed with one manifest of Docker's schema 2",
        why="CreateModel and CreateTrainingJob refuse others: `Unsupported manifest media type "
        "application/vnd.oci.image.index.v1+json`.",
        so="CreateModel and CreateTrainingJob refuse the image",
        mend="docker buildx build --provenance=false --sbom=false --output type=docker,oci-mediatypes=false.",
        source="https://github.com/aws/amazon-sagemaker-feedback/issues/180",
        test=image_manifest,
    ),
    Rule(
        id="image-size",
        part=Part.IMAGE,
        says="has at most 10 GB",
        why="Serverless endpoints refuse larger images, and each new instance pulls it before it serves.",
        so="serverless endpoints refuse the image",
        mend="Leave compilers and caches in a build stage: COPY --from=build, pip install --no-cache-dir.",
        source=sources.SERVERLESS,
        test=image_size,
    ),
    Rule(
        id="entrypoint-exec-form",
        part=Part.IMAGE,
        says="has an ENTRYPOINT in exec form, or programs called train and serve",
        why="SageMaker runs `docker run IMAGE serve`, and stops it with SIGTERM. A shell passes on neither "
        "the word nor the signal; CMD is replaced by the word.",
        so="it does not learn whether to train or to serve, or cannot be stopped in order",
        mend='ENTRYPOINT ["/usr/bin/env"] and train and serve on PATH, or ENTRYPOINT ["python", "/x.py"].',
        source=sources.INFERENCE,
        test=entrypoint_exec_form,
    ),
    Rule(
        id="labels-known",
        part=Part.IMAGE,
        says="has SageMaker's labels spelt as SageMaker reads them",
        why="A label that is not read is as none: a multi-model endpoint or a pipeline is refused.",
        so="a capability that it claims is not seen",
        mend="LABEL com.amazonaws.sagemaker.capabilities.multi-models=true, and accept-bind-to-port=true.",
        source=sources.MULTI_MODEL_CONTAINER,
        test=labels_known,
    ),
    Rule(
        id="opt-ml-empty",
        part=Part.IMAGE,
        says="has nothing of its own below /opt/ml/input, model, output and checkpoints",
        why="SageMaker mounts its own over /opt/ml: what the image has there may not be seen.",
        so="files that the image has below /opt/ml are not there when it runs",
        mend="COPY it elsewhere, such as /opt/program; /opt/ml/model is where the model artefact appears.",
        source=sources.TRAINING_DOCKERFILE,
        test=opt_ml_empty,
    ),
    Rule(
        id="runs-as-root",
        part=Part.IMAGE,
        says="names no USER other than root",
        why="SageMaker expects root: another user may not be able to read the model or write /opt/ml/output.",
        so="reading the model, or writing one, may fail for want of rights",
        mend="Leave USER out of the Dockerfile, or end it with USER root.",
        source=sources.INFERENCE,
        test=runs_as_root,
    ),
)
