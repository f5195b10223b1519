"""What in a Dockerfile ends `docker build`, as far as reading it tells.

Source: Docker's "Dockerfile reference", and the messages of BuildKit.
"""

import difflib
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from byoc.check.ignored import ignored_by
from byoc.check.lab import Lab
from byoc.check.verdict import CannotTestError
from byoc.runtime.build import build_of
from byoc.runtime.dockerfile import numbered, operands
from byoc.runtime.images import Folder

_KNOWN = re.findall(
    r"\w+",
    "ADD ARG CMD COPY ENTRYPOINT ENV EXPOSE FROM HEALTHCHECK LABEL MAINTAINER ONBUILD RUN SHELL STOPSIGNAL "
    "USER VOLUME WORKDIR",
)
_NEED_WORDS = {"ARG", "ENV", "EXPOSE", "LABEL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR"}
# Which make another language of it: a front end of somebody's own, another sign for lines that go on.
_DIRECTIVE = re.compile(r"#\s*(?:syntax\s*=\s*(?!docker/dockerfile\b)\S|escape\s*=\s*`)", re.IGNORECASE)
_UNKNOWN = re.compile(r"[$*?\[]|<<|://|^git@")  # a source of which only a build knows what it is
BUILDS = "dockerfile-builds"
_EXAMPLE = "such as FROM python:3.12-slim"


@dataclass(frozen=True)
class Obstacle:
    """A line at which a build ends, and why; 0 where it is none in particular."""

    line: int
    what: str
    mend: str


def obstacle(lab: Lab) -> Obstacle | None:
    """Return what ends the build of a folder's Dockerfile, None where nothing is seen that does, nor is one.

    Raises:
        CannotTestError: that cannot be told of it.
        ProgramError: it cannot be read.
    """
    context = context_of(lab)
    if context is None:
        return None
    text = (context / "Dockerfile").read_text(errors="replace")
    return obstacle_in(text, context, ignored_by(context))


def context_of(lab: Lab) -> Path | None:
    """Return where the Dockerfile of a folder lies, None where there is none, or it is an image."""
    return build_of(lab.image.folder.resolve()).context if isinstance(lab.image, Folder) else None


def obstacle_in(text: str, context: Path, is_ignored: Callable[[str], bool]) -> Obstacle | None:
    """Return what ends the build of a Dockerfile first, None where nothing is seen that does.

    Args:
        context: the folder that is built.
        is_ignored: whether a path in it is kept out by .dockerignore.

    Raises:
        CannotTestError: it is not in Docker's own language, or is built from the folder above.
    """
    if any(_DIRECTIVE.match(line.strip()) for line in text.splitlines()[:2]):
        raise CannotTestError("Its first lines say that it is read in another way than Docker's own.")
    lines = list(numbered(text))
    if not lines:
        return Obstacle(0, "it is empty", f"Write what the image is built of: {_EXAMPLE}, COPY, ENTRYPOINT.")
    return next((found for line in lines if (found := _unreadable(*line))), None) or next(
        _unfinished(lines, context, is_ignored), None
    )


def _unreadable(line: int, instruction: str, rest: str) -> Obstacle | None:
    """Return what is wrong with the words of one line."""
    if instruction not in _KNOWN:
        near = difflib.get_close_matches(instruction, _KNOWN, 1, cutoff=0.5)
        meant = f"Is it {near[0]}? " if near else ""
        mend = f"{meant}A line that goes on one before it takes a \\ at that one's end."
        return Obstacle(line, f"{instruction} is no instruction", mend)
    if instruction == "FROM":
        words = [word for word in rest.split() if not word.startswith("--")]
        if len(words) != 1 and not (len(words) == 3 and words[1].upper() == "AS"):
            return Obstacle(
                line, f"FROM names no image: {rest!r}", f"FROM IMAGE, or FROM IMAGE AS NAME: {_EXAMPLE}."
            )
    if instruction in ("COPY", "ADD") and len(operands(rest)[1]) < 2:
        mend = f"{instruction} SOURCE... DESTINATION, such as COPY . /opt/program"
        return Obstacle(line, f"{instruction} takes a source and a destination, and has {rest!r}", mend)
    if instruction in _NEED_WORDS and not rest:
        return Obstacle(
            line, f"{instruction} has nothing behind it", "Write what it shall be, or no such line."
        )
    return None


def _unfinished(
    lines: list[tuple[int, str, str]], context: Path, is_ignored: Callable[[str], bool]
) -> Iterator[Obstacle]:
    """Yield what is wrong with lines that are right each by itself."""
    first, instruction, _ = next((line for line in lines if line[1] != "ARG"), lines[0])
    if instruction != "FROM":
        what = f"{instruction} stands there without a FROM before it"
        yield Obstacle(first, what, f"Begin with the image that it builds on, {_EXAMPLE}.")
    for line, instruction, rest in lines:
        flags, names = operands(rest) if instruction in ("COPY", "ADD") else ([], [])
        if not any(flag.startswith("--from=") for flag in flags):
            for source in names[:-1]:
                if why := _absent(source, context, is_ignored):
                    mend = "Put it there, or make it before the build; or take it out of that line."
                    yield Obstacle(line, f"{instruction} {source}: {why}", mend)


def _absent(source: str, context: Path, is_ignored: Callable[[str], bool]) -> str:
    """Return why a build does not find a source, "" where it does, or where that is not known.

    Raises:
        CannotTestError: it is in the folder above, from where it may be built.
    """
    if _UNKNOWN.search(source):
        return ""
    inside = os.path.normpath(f"/{source}").lstrip("/")
    path = context / inside
    if os.path.lexists(path):
        left_out = inside and not path.is_dir() and is_ignored(inside)
        return f".dockerignore keeps it out of the build of {context}" if left_out else ""
    is_outside = source.startswith("../")
    if not is_outside and os.path.lexists(context.parent / inside):
        raise CannotTestError(
            f"{source} is not in {context}, but in the folder above: is it built from there, with docker "
            "build -f? Build the image and check that: byoc check IMAGE."
        )
    outside = "; a build sees nothing outside of its folder" if is_outside else ""
    return f"there is no such file in {context}{outside}"
