"""Reads from an nginx configuration what it allows a call to /invocations."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

_PATH = "/invocations"
_TOKEN = re.compile(
    r"""\#[^\n]*|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|(?:\\.|\$\{[^}]*\}|\{\{.*?\}\}|[^\s{};\\])+|[{};]"""
)
_INCLUDED = re.compile(r"(?:^|[;{}])\s*include\s+(?!\S*(mime\.types|_params)\b)", re.MULTILINE)
_INCLUDE = re.compile(r"(^|[;{}])\s*include\s+([^\s;{}]+)\s*;", re.MULTILINE)
_REMARK = re.compile(r"^\s*#.*$", re.MULTILINE)
_DEEPEST = 5  # of files that include files
_PASSES = ("proxy", "uwsgi", "fastcgi", "grpc")
_SIZES = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30}
_SECONDS = {"ms": 0.001, "": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DEFAULT_SIZE, _DEFAULT_TIMEOUT = "1m", "60s"


@dataclass
class Block:
    """A block: its own directives, and the blocks in it.

    Attributes:
        name: what stands before it, such as ("location", "/").
        values: name -> arguments, the last one where there are several.
    """

    name: tuple[str, ...] = ()
    values: dict[str, str] = field(default_factory=dict)
    blocks: list["Block"] = field(default_factory=list)


@dataclass(frozen=True)
class Limits:
    """What holds for /invocations, as it stands in the file or as nginx has it by itself.

    Attributes:
        body: client_max_body_size.
        timeout: proxy_read_timeout, or that of uwsgi, fastcgi or grpc.
        is_body_given, is_timeout_given: whether it stands in the file.
        is_whole: whether what does not stand in this file stands in no other.
    """

    body: str
    timeout: str
    timeout_name: str
    is_body_given: bool
    is_timeout_given: bool
    is_whole: bool

    @property
    def body_bytes(self) -> float | None:
        """None where it cannot be told, such as where a script fills it in; 0 in the file is no limit."""
        if not (self.is_body_given or self.is_whole):
            return None
        size = _number(self.body, _SIZES)
        return float("inf") if size == 0 else size

    @property
    def timeout_s(self) -> float | None:
        """None where it cannot be told."""
        if not (self.is_timeout_given or self.is_whole):
            return None
        return _number(self.timeout, _SECONDS)


def limits_of(text: str) -> Limits | None:
    """Return the limits of the first server that passes /invocations on; None where none does."""
    root = _parsed(text)
    is_whole = any(one.name == ("http",) for one in root.blocks) and not _INCLUDED.search(text)
    for values in _inherited(root, {}):
        passes = next((name for name in _PASSES if f"{name}_pass" in values), None)
        if passes:
            name = f"{passes}_read_timeout"
            body, timeout = values.get("client_max_body_size"), values.get(name)
            return Limits(
                body or _DEFAULT_SIZE,
                timeout or _DEFAULT_TIMEOUT,
                name,
                body is not None,
                timeout is not None,
                is_whole,
            )
    return None


def with_included(text: str, read: Callable[[str], tuple[Sequence[str], bool]], depth: int = 0) -> str:
    """Return a configuration with the files that it includes in their places.

    Args:
        read: returns the texts of the files that a path or pattern means, and whether these are all: where
            they are not the include stays too.
    """

    def included(found: re.Match[str]) -> str:
        texts, are_all = read(found[2].strip("\"'")) if depth < _DEEPEST else ((), False)
        inner = "\n".join(with_included(one, read, depth + 1) for one in texts)
        return f"{found[1]}\n{inner}\n" if are_all else f"{found[1]}\n{inner}\n{found[0][len(found[1]) :]}"

    return _INCLUDE.sub(included, _REMARK.sub("", text))


def _parsed(text: str) -> Block:
    root = Block()
    open_blocks, words = [root], list[str]()
    for token in _TOKEN.findall(text):
        if token.startswith("#"):
            continue
        if token == "{":  # noqa: S105 - no password
            block = Block(tuple(words))
            open_blocks[-1].blocks.append(block)
            open_blocks.append(block)
        elif token == "}" and len(open_blocks) > 1:  # noqa: S105
            open_blocks.pop()
        elif token == ";" and words:  # noqa: S105
            open_blocks[-1].values[words[0]] = " ".join(words[1:])
        else:
            words.append(token.strip("\"'"))
            continue
        words = []
    return root


def _inherited(block: Block, above: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Yield the values that hold in each place that a call to /invocations may come to."""
    values = {**above, **block.values}
    locations = [one for one in block.blocks if one.name[:1] == ("location",)]
    if block.name[:1] == ("server",) or not block.name:
        chosen = _location(locations)
        if chosen is not None:
            yield {**values, **chosen.values}
    for inner in block.blocks:
        if inner.name[:1] in (("http",), ("server",)):
            yield from _inherited(inner, values)


def _location(locations: list[Block]) -> Block | None:
    """Return what nginx takes: the exact one, else the first pattern that fits, else the longest prefix."""
    prefixes = []
    for one in locations:
        match one.name[1:]:
            case ("=", path) if path == _PATH:
                return one
            case ("^~", path) | (path,) if _PATH.startswith(path):
                prefixes.append((len(path), one.name[1] == "^~", one))
    longest = max(prefixes, key=lambda found: found[0], default=None)
    if longest and longest[1]:
        return longest[2]
    for one in locations:
        if one.name[1:2] in (("~",), ("~*",)) and _fits(one.name[2]):
            return one
    return longest[2] if longest else None


def _fits(pattern: str) -> bool:
    try:
        return re.search(pattern, _PATH) is not None
    except re.error:
        return False


def _number(text: str, units: Mapping[str, float]) -> float | None:
    found = re.fullmatch(r"(\d+)([a-z]*)", text.lower())
    return int(found[1]) * units[found[2]] if found and found[2] in units else None
