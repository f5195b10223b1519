"""What a .dockerignore keeps out of an image.

Source: Docker, "Build context": patterns as Go's filepath.Match, `**` for any folders; the last that matches
decides, and a ! takes back.
"""

import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from byoc.check.verdict import CannotTestError

_PIECE = re.compile(r"\*\*/|\*\*|\*|\?|\[\^?[^\]]+\]|\\.|.", re.DOTALL)


def ignored_by(context: Path) -> Callable[[str], bool]:
    """Return whether a path, relative to the build context, stays out of the image."""
    for name in ("Dockerfile.dockerignore", ".dockerignore"):
        if (context / name).is_file():
            return ignored((context / name).read_text(errors="replace"))
    return ignored("")


def ignored(text: str) -> Callable[[str], bool]:
    """Return the same for the text of a .dockerignore.

    Raises:
        CannotTestError: a pattern in it is none.
    """
    rules = [_rule(line.strip()) for line in text.splitlines() if line.strip() and not line.startswith("#")]

    def is_ignored(path: str) -> bool:
        whole = PurePosixPath(path)
        paths = [str(whole), *(str(parent) for parent in whole.parents)]
        found = False
        for pattern, out in rules:
            if any(pattern.fullmatch(each) for each in paths):
                found = out
        return found

    return is_ignored


def _rule(line: str) -> tuple[re.Pattern[str], bool]:
    pattern = line.removeprefix("!").strip().strip("/").removeprefix("./")
    try:
        expression = re.compile("".join(map(_expression, _PIECE.findall(pattern))))
    except re.error as error:
        raise CannotTestError(
            f"The pattern {line!r} of the .dockerignore cannot be read: {error}."
        ) from error
    return expression, not line.startswith("!")


def _expression(piece: str) -> str:
    match piece:
        case "**/":
            return "(?:.*/)?"
        case "**":
            return ".*"
        case "*":
            return "[^/]*"
        case "?":
            return "[^/]"
    if piece.startswith("["):
        return piece.replace("\\", "\\\\")
    return re.escape(piece.removeprefix("\\"))
