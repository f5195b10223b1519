"""Keeps the values of the user's variables, which may be secret, out of what is reported."""

import re
from collections.abc import Iterable

_FEWEST = 7  # characters; anything shorter is in a text by chance, and no secret
_NEVER = "/opt/ml/"  # a path of the contract, which reports are full of
_MASK = "***"


def masked(text: str, values: Iterable[str]) -> str:
    """Return a text without values, each line of theirs, and what is left of one where a line was cut."""
    lines = {line.strip() for value in values for line in value.splitlines()}
    for hidden in sorted(lines, key=len, reverse=True):
        if len(hidden) >= _FEWEST and not hidden.startswith(_NEVER):
            text = _cut(text.replace(hidden, _MASK), hidden)
    return text


def _cut(text: str, hidden: str) -> str:
    """Mask the begin of a value at the end of a line: lines of a log are shown up to some length."""
    begin = re.escape(hidden[:_FEWEST])

    def shown(found: re.Match[str]) -> str:
        return f"{_MASK}{found['end']}" if hidden.startswith(found["begin"]) else found[0]

    return re.sub(rf"(?P<begin>{begin}\S*?)(?P<end>[.'\"]{{0,6}})$", shown, text, flags=re.MULTILINE)
