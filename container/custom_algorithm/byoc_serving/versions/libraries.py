"""Which libraries a model was trained with, and whether those installed here can still read it."""

import platform
import re
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from byoc_serving.errors import ModelVersionError

_REQUIREMENT = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_ALWAYS = ("numpy",)  # every model takes or gives its arrays


def required_libraries(requirements: Path) -> list[str]:
    """Return the distributions that a requirements file names, less those that it includes by `-r`."""
    text = requirements.read_text(encoding="utf-8") if requirements.is_file() else ""
    lines = (line.strip() for line in text.splitlines())
    return [found.group() for line in lines if (found := _REQUIREMENT.match(line))]


def installed_libraries(names: Iterable[str]) -> dict[str, str]:
    """Return the versions of those distributions, and of NumPy, that are installed.

    Names are normalised as packaging does (PEP 503).
    """
    found = {name: _installed(name) for name in sorted({_normalised(name) for name in [*names, *_ALWAYS]})}
    return {name: installed for name, installed in found.items() if installed is not None}


def compare_libraries(recorded: Mapping[str, str], python: str, pickled: Iterable[str]) -> list[str]:
    """Return a warning for every library, and for Python, whose version is not the recorded one.

    Args:
        recorded: versions that the model was trained with.
        python: Python's version then.
        pickled: the model's files that hold pickled objects, which bind it to its libraries' major versions.

    Raises:
        ModelVersionError: the major version of a library differs and the model holds a pickle.
    """
    warnings = []
    files = ", ".join(pickled)
    for name, then in sorted(recorded.items()):
        now = _installed(name)
        if now == then:
            continue
        if now is None:
            warnings.append(f"The model was trained with {name} {then}, which is not installed here.")
        elif files and _major(now) != _major(then):
            raise ModelVersionError(
                f"Library version: {files} was pickled with {name} {then}, and {now} is installed. "
                f"Put {name}=={then} into apps/requirements.txt, or train again."
            )
        else:
            warnings.append(f"The model was trained with {name} {then}, and {now} is installed.")
    if _minor(python) != _minor(platform.python_version()):
        warnings.append(
            f"The model was trained with Python {python}, and this is {platform.python_version()}."
        )
    return warnings


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _major(text: str) -> str:
    return text.partition(".")[0]


def _minor(text: str) -> list[str]:
    return text.split(".")[:2]
