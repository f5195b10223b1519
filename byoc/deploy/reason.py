"""A FailureReason as people are told it: its first sentence, and what follows."""

import re

# Characters that are told of a reason in which no sentence ends, such as a log.
_MOST = 300


def parted(reason: str) -> tuple[str, str]:
    """Return the first sentence, or the first line where that is shorter, with a full stop; and the rest."""
    first, *rest = re.split(r"(?<=[.!?])\s+|\s*\n\s*", reason.strip(), maxsplit=1)
    if len(first) > _MOST:
        return f"{first[:_MOST]}...", reason.strip()
    ended = not first or first[-1] in ".!?"
    return first if ended else f"{first}.", "".join(rest)
