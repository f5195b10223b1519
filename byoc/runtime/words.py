"""A command's words: what of them only hands on, what a shell is told, what an interpreter is to read."""

import posixpath
import re
from collections.abc import Sequence
from pathlib import PurePosixPath

INITS = ("tini", "tini-static", "dumb-init", "catatonit")
_INIT_OPTIONS_WITH_VALUES = ("-p", "-e", "-r", "--rewrite")
SHELLS = ("sh", "bash", "ash", "dash", "zsh")
_READS_SCRIPTS = re.compile(r"python[0-9.]*|(ba|da|a|z)?sh|perl|Rscript|node|julia|ruby")
_OPTIONS_WITH_VALUES = ("-W", "-X", "-o", "-O", "-r", "--require")


def unwrapped(words: Sequence[str]) -> Sequence[str]:
    """Return a command without env, its variables, and init programs before it."""
    first, *rest = words
    name = PurePosixPath(first).name
    if name == "env":
        while rest and (rest[0].startswith("-") or "=" in rest[0]):
            rest = rest[1:]
    elif name in INITS:
        rest = _after_options(rest, _INIT_OPTIONS_WITH_VALUES)
    else:
        return words
    return unwrapped(rest) if rest else words


def without_init(words: Sequence[str]) -> Sequence[str]:
    """Return a command without init programs before it; what env sets stays."""
    first, *rest = words
    if PurePosixPath(first).name not in INITS:
        return words
    left = _after_options(rest, _INIT_OPTIONS_WITH_VALUES)
    return without_init(left) if left else words


def candidates(word: str, path: str, workdir: str) -> list[str]:
    """Return the files that a command's first word may mean, in the order in which execvp(3) tries them."""
    if "/" in word:
        return [posixpath.normpath(posixpath.join(workdir, word))]
    return [posixpath.join(folder, word) for folder in path.split(":") if folder]


def script_of(words: Sequence[str]) -> str:
    """Return the file that an interpreter is told to read; "" where there is none, as with -m or -c."""
    first, *rest = words
    if not _READS_SCRIPTS.fullmatch(PurePosixPath(first).name):
        return ""
    if any(word in ("-m", "-c", "-e") for word in rest[: len(rest) - len(_after_options(rest, ()))]):
        return ""
    left = _after_options(rest, _OPTIONS_WITH_VALUES)
    return left[0] if left and left[0] not in ("train", "serve") else ""


def shell_text(entrypoint: tuple[str, ...] | str | None) -> str | None:
    """Return what a shell is told, if an ENTRYPOINT is one: in shell form, or `["bash", "-c", TEXT]`."""
    if entrypoint is None or isinstance(entrypoint, str):
        return entrypoint
    words = unwrapped(entrypoint) if entrypoint else ()
    if not words or PurePosixPath(words[0]).name not in SHELLS:
        return None
    options = [word for word in words[1:] if word.startswith("-")]
    return words[-1] if any(re.fullmatch("-[a-z]*c", option) for option in options) else None


def _after_options(words: Sequence[str], with_values: Sequence[str]) -> list[str]:
    left = list(words)
    while left and left[0].startswith("-"):
        option = left.pop(0)
        if option == "--":
            break
        if option in with_values and left:
            left.pop(0)
    return left
