"""What a program sees of this machine's files: the machine, and in it folders and files put at other paths.

Nothing is made on the machine for that. Where a path is not there, the folder above it is covered by a tmpfs
that has everything of the old one, and room for what is missing; so is `/` itself.
"""

import os
import posixpath
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from byoc.errors import ProgramError

# Folders of the system: what is put into one comes on top of what the machine has there. Any other folder is
# of somebody's making, and stands as a whole for what the machine may have at its path.
_SYSTEM = re.compile(
    r"/(bin|boot|dev|etc|lib[^/]*|proc|run|sbin|sys|usr|var)(/.*)?|/(home|mnt|media|opt|root|srv|tmp)?"
)
_KERNEL = re.compile(r"/(dev|proc|sys)(/.*)?")
_MOST_LINKS = 20


@dataclass(frozen=True)
class Mount:
    """A folder or file of this machine, links followed, and where the program sees it.

    Attributes:
        own: whether it is the run's own, so that further mounts may leave an empty folder or file in it.
    """

    source: str
    target: str
    read_only: bool = False
    own: bool = False


@dataclass(frozen=True)
class Step:
    """One act of building the view: what is at `path` from then on.

    Attributes:
        source: the folder or file of the machine; "": an empty tmpfs.
        names: the entries of the source that are put into `path` one by one; None: the source itself.
    """

    path: str
    source: str = ""
    names: tuple[str, ...] | None = None
    read_only: bool = False


@dataclass
class _Place:
    """A path of the view: the folders of the machine whose entries it has, the later over the earlier.

    Attributes:
        layers: or one file; nothing: a folder that is not there yet.
        is_machine: whether it is what the machine has there anyway.
    """

    layers: list[Path]
    is_machine: bool = False
    own: bool = False
    read_only: bool = False
    places: dict[str, "_Place"] = field(default_factory=dict)

    @property
    def is_folder(self) -> bool:
        return not self.layers or self.layers[-1].is_dir()


def steps_of(mounts: Sequence[Mount], machine: Path = Path("/")) -> tuple[Step, ...]:
    """Return how to build, in an empty tmpfs, a view of the machine with the mounts, the later on top.

    Raises:
        ProgramError: a folder cannot be read.
    """
    root = _Place([machine], is_machine=True)
    try:
        for mount in mounts:
            _put(root, mount, PurePosixPath(mount.target).parts[1:])
        return tuple(_steps("/", root, None))
    except OSError as error:
        raise ProgramError(
            f"{error.filename} cannot be read: {error.strerror}. Run byoc as somebody who may read it."
        ) from error


def is_system(path: str) -> bool:
    """Whether a path is a folder of the system, which has more in it than an image's maker puts there."""
    return _SYSTEM.fullmatch(path) is not None


def is_kernels(path: str) -> bool:
    """Whether a path is the kernel's own, where nothing can be put."""
    return _KERNEL.fullmatch(path) is not None


def _put(root: _Place, mount: Mount, parts: Sequence[str], links: int = 0) -> None:
    place = root
    for index, name in enumerate(parts):
        is_last = index == len(parts) - 1
        if place.is_machine and not is_last and (link := place.layers[0] / name).is_symlink():
            there = os.path.relpath(link.resolve(), root.layers[0])
            if name not in place.places and links < _MOST_LINKS:
                return _put(root, mount, [*PurePosixPath(there).parts, *parts[index + 1 :]], links + 1)
        place = _below(place, name)
    source = Path(mount.source)
    if place.is_machine and (mount.own or not is_system(mount.target)):
        place.layers = []
    _lay(place, source)
    place.is_machine, place.own, place.read_only = False, mount.own, mount.read_only
    return None


def _below(place: _Place, name: str) -> _Place:
    """Return the place of an entry, which is as it was until something is put there."""
    if name not in place.places:
        layers = [layer / name for layer in place.layers if (layer / name).is_dir()]
        is_machine = place.is_machine and bool(layers)
        place.places[name] = _Place(layers, is_machine, place.own, place.read_only)
    return place.places[name]


def _lay(place: _Place, source: Path) -> None:
    """Put a folder or file over what is there already, also over what was put below it."""
    is_folder = source.is_dir()
    lower = place.layers if is_folder and place.is_folder else []
    place.layers = [*(layer for layer in lower if layer != source), source]
    for name, below in list(place.places.items()):
        entry = source / name
        if entry.is_dir() and below.is_folder:
            _lay(below, entry)
        elif not is_folder or os.path.lexists(entry):
            del place.places[name]


def _steps(path: str, place: _Place, shown: Path | None) -> Iterator[Step]:
    """Yield how to build a place; `shown` is what of the machine is seen there already."""
    if len(place.layers) == 1 and all(_fits(place, name) for name in place.places):
        (source,) = place.layers
        if shown != source or place.read_only:
            yield Step(path, str(source), read_only=place.read_only)
        for name, below in sorted(place.places.items()):
            yield from _steps(posixpath.join(path, name), below, source / name)
        return
    if path != "/":
        yield Step(path)
    lying = _lying(place)
    for layer in place.layers:
        names = tuple(sorted(name for name, top in lying.items() if top == layer))
        yield Step(path, str(layer), names, place.read_only)
    for name in sorted(place.places):
        yield from _steps(posixpath.join(path, name), place.places[name], None)


def _fits(place: _Place, name: str) -> bool:
    """Whether something can be put over an entry without making it first."""
    entry, below = place.layers[0] / name, place.places[name]
    if entry.is_symlink():
        return False
    return entry.is_dir() == below.is_folder if entry.exists() else place.own


def _lying(place: _Place) -> dict[str, Path]:
    """Return the layer that each entry is taken from whole; folders of several layers become places."""
    lying: dict[str, Path] = {}
    for layer in place.layers:
        for name in (entry.name for entry in layer.iterdir()):
            if name in place.places:
                continue
            lower = lying.get(name)
            if lower is not None and all(_is_real_folder(each / name) for each in (lower, layer)):
                _below(place, name)
                del lying[name]
            else:
                lying[name] = layer
    return lying


def _is_real_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()
