"""Runs a folder's program as a process: in namespaces of its own where that is possible, else re-rooted."""

import os
import sys
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from byoc.errors import ConfinementError
from byoc.runtime import opt_ml
from byoc.runtime.build import OPT_ML, PROGRAM, Build, build_of, unreadable
from byoc.runtime.command import Sight, argv_of, command_of
from byoc.runtime.images import Folder
from byoc.runtime.network import Channel, Network, network_of
from byoc.runtime.privacy import Enclosure, Privacy, enclosed
from byoc.runtime.process import Command, Process
from byoc.runtime.procfs import program_below
from byoc.runtime.program import GRACE_S, environment_of, make_folders, path_from
from byoc.runtime.spec import Confinement, Container, Landlord, Spec
from byoc.runtime.view import Mount, is_kernels, is_system


@dataclass(frozen=True)
class Setting:
    """What a folder's program finds around it."""

    program: Folder
    build: Build
    privacy: Privacy
    mounts: tuple[Mount, ...]
    sight: Sight


def start_folder(spec: Spec, program: Folder, landlord: Landlord, privacy: Privacy) -> Container:
    """Start a folder's program.

    Raises:
        ProgramError: the folder has no such program, or port 8080 is needed and taken.
        ConfinementError: it cannot be confined as asked.
    """
    setting = setting_of(spec, program, privacy)
    refuse_what_cannot_be(spec.confinement, setting.privacy)
    words, note = command_of(setting.program, spec.verb, setting.build, spec.entrypoint, spec.arguments)
    with ExitStack() as undo:
        belongings = undo.enter_context(ExitStack())
        labels = setting.build.recipe.labels
        network = network_of(spec, labels, landlord, belongings, setting.privacy.network)
        process = Process(_command(spec, setting, words, network, landlord.port), belongings)
        undo.callback(process.kill)
        if network.channel:
            _let_in(network.channel, landlord, belongings, listens=not spec.isolated)
        undo.pop_all()
    mode = "private" if setting.privacy.tool else "re-rooted"
    notes = "; ".join(filter(None, (note, network.note)))
    return Container(
        process, network.dial, mode, notes, network.port, network.reach, lambda: program_below(process.pid)
    )


def setting_of(spec: Spec, program: Folder, privacy: Privacy) -> Setting:
    """Return how a program sees this machine, with the privacy given if it can have that.

    Raises:
        ProgramError: its Dockerfile cannot be read.
    """
    folder = Folder(program.folder.resolve(), program.python)
    build = build_of(folder.folder)
    needed = [spec.place.root.resolve(), folder.folder, folder.python, Path(sys.executable)]
    mounts = mounts_of(spec, folder.folder, build)
    if any(_is_hidden(path, mounts) for path in needed):
        privacy = Privacy()
    mounts = mounts if privacy.tool else ()
    return Setting(folder, build, privacy, mounts, sight_of(spec, folder.folder, build, mounts))


def _command(spec: Spec, setting: Setting, words: list[str], network: Network, aws_port: int) -> Command:
    """Return what to run: the words as the program sees them, inside an enclosure where it has one."""
    folder = setting.program.folder
    argv = argv_of(words, setting.program, setting.sight)
    cwd = working_directory(setting.build, setting.sight)
    make_folders(spec.place)
    inherited: tuple[int, ...] = ()
    if setting.privacy.tool:
        channel = network.channel.descriptor if network.channel else None
        inherited = (channel,) if channel is not None else ()
        port = None if spec.isolated else aws_port
        enclosure = Enclosure(setting.mounts, cwd, network.own, channel, port)
        argv = enclosed(argv, enclosure_of(spec, setting.program, enclosure), setting.privacy)
        cwd = str(folder)
    elif spec.read_only_model:
        opt_ml.protect(spec.place.opt_ml / "model")
    return Command(
        spec.name,
        argv,
        _environment(spec, setting, network),
        Path(cwd),
        spec.place.log,
        GRACE_S[spec.verb],
        inherited=inherited,
        foreign=True,
    )


def enclosure_of(spec: Spec, program: Folder, enclosure: Enclosure) -> Enclosure:
    """Return an enclosure with a /tmp of the program's own, without what it is to do without."""
    python = program.python.absolute()
    # An environment is a folder above bin, and so is the installation that it was made of.
    needed = {str(path.parents[1]) for path in (python, python.resolve()) if len(path.parents) > 2}
    needed |= {str(program.folder), str(spec.place.root / "home")}
    holds_run = program.folder in spec.place.root.resolve().parents  # whose files others read
    return replace(
        enclosure,
        layered=str(program.folder) if spec.layered and not holds_run else None,
        uid=spec.confinement.uid,
        read_only=spec.confinement.read_only,
        tmp=str((spec.place.root / "tmp").resolve()),
        shm_bytes=spec.confinement.shm_bytes,
        needed=tuple(sorted(needed)),
    )


def refuse_what_cannot_be(confinement: Confinement, privacy: Privacy) -> None:
    """Raise ConfinementError for what this machine cannot take away from a process."""
    if confinement.uid is not None and privacy.tool != "root":
        raise ConfinementError("A program runs as another user only under root, or in Docker.")
    if confinement != Confinement() and not privacy.tool:
        raise ConfinementError("This machine has no private namespaces: be root, or install bwrap or Docker.")


def mounts_of(spec: Spec, folder: Path, build: Build) -> tuple[Mount, ...]:
    """Return what a private program sees at other paths: /opt/ml, and the folder wherever the image has it.

    Raises:
        ProgramError: not all of the folder can be read.
    """
    ml = spec.place.opt_ml.resolve()
    mounts = [Mount(str(ml), OPT_ML, own=True)]
    try:
        if spec.read_only_model and (ml / "model").is_dir():
            mounts.append(Mount(str(ml / "model"), f"{OPT_ML}/model", read_only=True))
        for path, inside in build.files.items():
            source = (folder / inside).resolve()
            if source.exists() and not is_kernels(path):
                mounts.append(Mount(str(source), path))
    except OSError as error:
        raise unreadable(folder, error) from error
    return tuple(mounts)


def sight_of(spec: Spec, folder: Path, build: Build, mounts: tuple[Mount, ...]) -> Sight:
    """Return how a program sees the paths of its image: renamed, unless they are mounted."""
    mounted = {mount.target: mount.source for mount in mounts}
    if mounts:
        whole = [path for path, inside in build.files.items() if inside == "." and path in mounted]
        return Sight(whole[-1] if whole else str(folder), {}, mounted)
    renamed = {path: os.path.normpath(folder / inside) for path, inside in build.files.items()}
    return Sight(str(folder), {OPT_ML: str(spec.place.opt_ml), **renamed})


def working_directory(build: Build, sight: Sight) -> str:
    """Return the image's WORKDIR as the program sees it; the folder where there is none, or not here."""
    workdir = sight(build.recipe.workdir)
    holds_copies = any(path.startswith(f"{workdir}/") for path in sight.sources)
    is_there = workdir != "/" and (holds_copies or sight.source(workdir).is_dir())
    return workdir if is_there else sight.folder


def _environment(spec: Spec, setting: Setting, network: Network) -> dict[str, str]:
    """Return the whole environment: the image's, AWS's and the request's, each over the one before."""
    sight = setting.sight
    image = {name: sight(value) for name, value in setting.build.recipe.environment.items()}
    homes = dict.fromkeys((*_homes(setting), sight(PROGRAM), sight.folder))
    image.setdefault("PYTHONDONTWRITEBYTECODE", "1")  # the folder is the user's own, not a copy in an image
    image["PATH"] = ":".join((*homes, path_from(setting.program.python, image.get("PATH", ""))))
    scratch = environment_of(spec.place, {})
    own = {name: scratch[name] for name in ("HOME", "TMPDIR")}
    if setting.privacy.tool:
        own["TMPDIR"] = "/tmp"  # noqa: S108 - its own
    if spec.confinement.is_tight:
        own["HOME"] = "/"
    rooted = {"SAGEMAKER_BASE_DIR": str(spec.place.opt_ml)} if OPT_ML in sight.renamed else {}
    asked = {name: sight(value) for name, value in spec.environment.items()}
    return environment_of(spec.place, {**image, **own, **rooted, **network.aws, **asked, **network.told})


def _let_in(channel: Channel, landlord: Landlord, belongings: ExitStack, listens: bool) -> None:
    """Have the landlord listen in the program's own network."""
    channel.inherited()
    listener = channel.listener() if listens else None
    if listener:
        landlord.listen(listener)
        belongings.callback(landlord.forget, listener)


def _homes(setting: Setting) -> list[str]:
    """Return the folders of the image's PATH that the Dockerfile fills, before those of this machine."""
    build = setting.build
    return [
        setting.sight(path)
        for path in build.path.split(":")
        if not is_system(path) and any(f"{copied}/".startswith(f"{path}/") for copied in build.copied)
    ]


def _is_hidden(path: Path, mounts: tuple[Mount, ...]) -> bool:
    """Whether a path is in a folder of this machine that something else stands for in a private view."""
    return any(
        str(path).startswith(f"{mount.target}/") and not is_system(mount.target)
        for mount in mounts
        if mount.source != mount.target
    )
