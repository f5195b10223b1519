"""Pickles, plain or joblib's: programs that run when they are loaded, and so only where a setting says so."""

import mmap
import pickle
from pathlib import Path
from typing import Any

from byoc_serving.errors import ModelFileError
from byoc_serving.settings import Settings

_SUFFIXES = {".pkl", ".pickle", ".joblib"}
_PROTOCOLS = tuple(bytes([0x80, protocol]) for protocol in range(2, 6))
_JOBLIBS = b"NumpyArrayWrapper"  # behind it lie an array's bytes, which pickle cannot read


def is_model(path: Path, head: bytes) -> bool:
    """Whether a file begins as a pickle does, or is named like one: those that are packed begin anyhow."""
    return bool(head) and (head.startswith(_PROTOCOLS) or not _SUFFIXES.isdisjoint(path.suffixes))


def load(path: Path, settings: Settings) -> Any:  # noqa: ANN401 - any object
    """Return the object (ModelFileError: no setting allows it)."""
    if not settings.unpickle:
        raise ModelFileError(
            f"{path.name} is a pickle, and to load one is to run whatever program is in it. If you trust "
            "whoever made it, set MODEL_SERVER_UNPICKLE=true. Better, save the model as data: with skops, "
            "ONNX or its library's own save_model."
        )
    if not _is_plain(path):
        import joblib

        return joblib.load(path)
    with path.open("rb") as file:
        return pickle.load(file)  # noqa: S301 - the user has said so


def _is_plain(path: Path) -> bool:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content[:2] in _PROTOCOLS and content.find(_JOBLIBS) < 0
