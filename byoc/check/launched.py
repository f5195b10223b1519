"""What `docker run IMAGE train` or `serve` starts: the program behind ENTRYPOINT, env and init programs."""

import posixpath
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from byoc.check.facts import Facts
from byoc.check.files import Entry, Files
from byoc.runtime.words import script_of, unwrapped

_VERBS = ("train", "serve")


@dataclass(frozen=True)
class Launched:
    """A program that is started.

    Attributes:
        word: as the command calls it, or as `train` or `serve` does.
        hands_on: what stands before it and becomes it, such as env or tini; "" for nothing.
        file: what the word means; None where no such file is known.
        script: what the file is to read, if it is an interpreter; "" otherwise.
    """

    word: str
    hands_on: str
    file: Entry | None
    script: str = ""


def launched(facts: Facts, files: Files, verb: str) -> Launched:
    """Return what a verb starts; ENTRYPOINT is in exec form, or there is none."""
    entrypoint = facts.entrypoint if isinstance(facts.entrypoint, tuple) else ()
    given = (*entrypoint, verb)
    words = unwrapped(given)
    hands_on = PurePosixPath(given[0]).name if len(words) < len(given) else ""
    file = files.which(words[0], facts.path, facts.workdir)
    return Launched(words[0], hands_on, file, script_of(words))


def script_path(facts: Facts, script: str) -> str:
    """Return a script's path in the image."""
    return posixpath.normpath(posixpath.join(facts.workdir, script))


def with_programs(facts: Facts, files: Callable[[], Files]) -> Facts:
    """Return what is known of an image, with which of `train` and `serve` it has if it starts those."""
    if facts.programs is not None or not facts.hands_on:
        return facts
    found = frozenset(verb for verb in _VERBS if launched(facts, files(), verb).file)
    return replace(facts, programs=found or None)
