"""Reads from a Dockerfile what `docker run` would run: a pure parser of the few instructions that say so.

Source: Docker's "Dockerfile reference". What comes from a base image is unknown here, and left out.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_HEREDOC = re.compile(r"<<-?([\"']?)(\w+)\1")
_VARIABLE = re.compile(
    r"\\(?P<escaped>\$)|\$(?:(?P<plain>\w+)|\{(?P<name>\w+)(?P<how>:[-+])?(?P<word>[^}]*)\})"
)
_ARCHIVE = re.compile(r"\.(tar|tgz|tbz2?|txz|tar\.\w+)$")  # ADD unpacks it; what is in it is unknown


@dataclass(frozen=True)
class Copy:
    """A COPY or ADD from the build context: its sources, and where they go (absolute)."""

    sources: tuple[str, ...]
    destination: str


@dataclass(frozen=True)
class Recipe:
    """What an image runs, and with what; a command in shell form is the text, in exec form its words.

    Attributes:
        user: as USER says, "" where it says nothing.
        base: the image that the stages begin with, and `platform` which one of it, "" where nothing says so.
    """

    environment: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    workdir: str = "/"
    entrypoint: tuple[str, ...] | str | None = None
    command: tuple[str, ...] | str | None = None
    copies: tuple[Copy, ...] = ()
    arguments: Mapping[str, str] = field(default_factory=dict)
    user: str = ""
    base: str = ""
    platform: str = ""

    def expand(self, text: str) -> str:
        """Return a text with $NAME, ${NAME}, ${NAME:-default} and ${NAME:+other} replaced."""
        known = {"PATH": SYSTEM_PATH, **self.arguments, **self.environment}

        def value(found: re.Match[str]) -> str:
            if found["escaped"]:
                return "$"
            given = known.get(found["plain"] or found["name"], "")
            match found["how"]:
                case ":-":
                    return given or self.expand(found["word"])
                case ":+":
                    return self.expand(found["word"]) if given else ""
            return given

        return _VARIABLE.sub(value, text)


def parse(text: str) -> Recipe:
    """Return what the last stage of a Dockerfile says, with what it has from the stages it is built on.

    The copies are those of all stages: what one collects another may take over.
    """
    stages: dict[str, Recipe] = {}
    recipe = Recipe()
    before_stages: dict[str, str] = {}
    name = ""
    copies: list[Copy] = []
    for instruction, rest in instructions(text):
        if instruction == "FROM":
            base, name, platform = _from(Recipe(arguments=before_stages).expand(rest))
            recipe = replace(stages.get(base.lower(), Recipe(base=base)), arguments={})
            recipe = replace(recipe, platform=platform or recipe.platform)
        elif instruction == "ARG" and not name:
            before_stages |= _argument(rest, Recipe(arguments=before_stages), {})
        else:
            recipe = _follow(recipe, instruction, rest, before_stages)
            copies += _copy(recipe, instruction, rest) if instruction in ("COPY", "ADD") else []
        if name:
            stages[name.lower()] = recipe
    return replace(recipe, copies=tuple(copies))


def instructions(text: str) -> Iterator[tuple[str, str]]:
    """Yield each instruction in capitals with the rest of its line: continuations joined, no comments."""
    return ((instruction, rest) for _line, instruction, rest in numbered(text))


def numbered(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield the same, each with the number of its first line."""
    lines = iter(enumerate(text.removeprefix("\ufeff").splitlines(), 1))
    whole, first = "", 0
    for number, line in lines:
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        first = first if whole else number
        whole += line.rstrip()
        if whole.endswith("\\"):
            whole = whole[:-1]
            continue
        word, rest = _parted(whole)
        whole = ""
        for found in _HEREDOC.finditer(rest) if word in ("RUN", "COPY", "ADD") else ():
            next((end for _, end in lines if end.lstrip("\t") == found[2]), None)
        yield first, word, rest
    if whole.strip():
        yield first, *_parted(whole)


def _parted(line: str) -> tuple[str, str]:
    word, *rest = line.split(None, 1)
    return word.upper(), rest[0].rstrip() if rest else ""


def operands(rest: str) -> tuple[list[str], list[str]]:
    """Return the flags of a COPY or ADD, and its sources with its destination, as they stand there."""
    words = _split(rest)
    flags = [word for word in words if word.startswith("--")]
    listed = _words(" ".join(words[len(flags) :]))
    return flags, list(listed) if isinstance(listed, tuple) else [
        _unquoted(word) for word in words[len(flags) :]
    ]


def _from(rest: str) -> tuple[str, str, str]:
    """Return the base of a stage, its name or one that nothing else has, and its platform or ""."""
    words = [word for word in rest.split() if not word.startswith("--")]
    platforms = re.findall(r"(?:^|\s)--platform=(\S+)", rest)
    base = words[0] if words else ""
    name = words[2] if len(words) == 3 and words[1].upper() == "AS" else f"/{base}"
    return base, name, platforms[0] if platforms else ""


def _follow(recipe: Recipe, instruction: str, rest: str, before_stages: Mapping[str, str]) -> Recipe:
    changed: dict[str, Any] = {}
    match instruction:
        case "ENV":
            changed["environment"] = {**recipe.environment, **_pairs(recipe, rest)}
        case "LABEL":
            changed["labels"] = {**recipe.labels, **_pairs(recipe, rest)}
        case "ARG":
            changed["arguments"] = {**recipe.arguments, **_argument(rest, recipe, before_stages)}
        case "WORKDIR":
            changed["workdir"] = _absolute(recipe, _unquoted(rest))
        case "USER":
            changed["user"] = recipe.expand(_unquoted(rest))
        case "ENTRYPOINT":
            changed["entrypoint"] = _words(rest)
        case "CMD":
            changed["command"] = _words(rest)
    return replace(recipe, **changed)


def _argument(rest: str, recipe: Recipe, before_stages: Mapping[str, str]) -> dict[str, str]:
    """Return the default of an ARG; a stage that repeats one of before the stages means that one."""
    name, has_default, default = rest.partition("=")
    if has_default:
        return {name: recipe.expand(_unquoted(default))}
    return {name: before_stages[name]} if name in before_stages else {}


def _pairs(recipe: Recipe, rest: str) -> dict[str, str]:
    """Return what `NAME=VALUE NAME=VALUE` or the old form `NAME VALUE` sets."""
    first, _, value = rest.partition(" ")
    if "=" not in first:
        return {first: recipe.expand(value.strip())}
    pairs = (word.partition("=") for word in _split(rest))
    return {_unquoted(name): recipe.expand(_unquoted(value)) for name, _, value in pairs}


def _split(rest: str) -> list[str]:
    """Return the words of a line, their quotes and backslashes kept: a quoted $ is still a variable."""
    return re.findall(r"(?:\"(?:\\.|[^\"\\])*\"|'[^']*'|\\.|[^\s\"'\\])+", rest)


def _unquoted(word: str) -> str:
    """Return a word without its quotes; a $ that is meant as such has a backslash before it."""

    def text(found: re.Match[str]) -> str:
        single, double, escaped = found.groups()
        if single is not None:
            return single.replace("$", r"\$")
        if double is not None:
            return re.sub(r"\\([\"\\])", r"\1", double)
        return r"\$" if escaped == "$" else escaped

    return re.sub(r"'([^']*)'|\"((?:\\.|[^\"\\])*)\"|\\(.)", text, word)


def _words(rest: str) -> tuple[str, ...] | str:
    try:
        words = json.loads(rest)
    except ValueError:
        return rest
    return tuple(words) if isinstance(words, list) and all(isinstance(w, str) for w in words) else rest


def _copy(recipe: Recipe, instruction: str, rest: str) -> list[Copy]:
    flags, names = operands(rest)
    if any(flag.startswith("--from=") for flag in flags):
        return []
    names = [recipe.expand(name) for name in names]
    if len(names) < 2:
        return []
    sources = [name for name in names[:-1] if instruction == "COPY" or not _ARCHIVE.search(name)]
    path = _absolute(recipe, names[-1])
    is_folder = names[-1].rpartition("/")[2] in ("", ".", "..") or path == recipe.workdir
    return [Copy(tuple(sources), path.rstrip("/") + ("/" if is_folder or len(names) > 2 else ""))]


def _absolute(recipe: Recipe, path: str) -> str:
    """Return a path of the image, relative ones taken from its working directory."""
    path = recipe.expand(path)
    joined = path if path.startswith("/") else f"{recipe.workdir}/{path}"
    parts: list[str] = []
    for part in joined.split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in ("", "."):
            parts.append(part)
    return "/" + "/".join(parts)
