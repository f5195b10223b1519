"""Loads the one model file of a folder by the library that it is for."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from byoc_serving.errors import ModelFileError
from byoc_serving.model_files.kinds import Kind, kind_of
from byoc_serving.remedies import listing, remedy_of
from byoc_serving.routing import FILE as ROUTES_NAME
from byoc_serving.routing import read_routes
from byoc_serving.settings import Settings
from byoc_serving.versions.paths import MANIFEST_NAME

log = logging.getLogger("algorithm")

_CODE = "code"  # where AWS's own containers look for scripts; ours never runs what came with a model


def load_model_file(model_dir: Path, settings: Settings, why: str) -> Any:  # noqa: ANN401 - of that library
    """Return the model of a folder that has exactly one model file.

    Args:
        model_dir: the folder; manifest.json, routes.json, the folders that it names, hidden files, code/ and
            what is no model are passed over.
        settings: whom to trust, and how many threads a library gets.
        why: what of the user's code is not there, the beginning of a message.

    Raises:
        ModelFileError: there is none or more than one, its library is not installed, or cannot load it.
    """
    path, kind = _only_one(model_dir, why)
    log.info(f"{why}: {path.name} is served by its library", extra={"kind": kind.name})
    try:
        return kind.load(path, settings)
    except ModelFileError:
        raise
    except ModuleNotFoundError as error:
        raise ModelFileError(
            f"{path.name} ({kind.name}) needs {error.name}, which is not installed. Put its package "
            f"({kind.package}, or what else has it) into apps/requirements.txt and build the image again; "
            "on a laptop, pip install it."
        ) from error
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise ModelFileError(
            f"{path.name} ({kind.name}) cannot be loaded: {reason:.500}{remedy_of(error)}"
        ) from error


def _only_one(model_dir: Path, why: str) -> tuple[Path, Kind]:
    found = [(path, kind) for path in _files(model_dir) if (kind := kind_of(path))]
    if len(found) == 1:
        return found[0]
    if found:
        named = ", ".join(f"{path.relative_to(model_dir)} ({kind.name})" for path, kind in found)
        raise ModelFileError(
            f"{why}, and {model_dir} holds {len(found)} model files: {named}. Leave the one that is to be "
            "served, or define model_fn(model_dir) in apps/inference.py."
        )
    raise ModelFileError(
        f"{why}, and {model_dir} holds {listing(model_dir)}. Define model_fn(model_dir) there: it loads the "
        "model and returns it. Without it, one file is served: LightGBM text, XGBoost JSON, UBJ, ONNX, skops."
    )


def _files(model_dir: Path) -> Iterator[Path]:
    others = _folders_of_others(model_dir)
    for path in sorted(model_dir.rglob("*")):
        parts = path.relative_to(model_dir).parts
        is_hidden = any(part.startswith(".") for part in parts)
        is_ours = parts[0] != _CODE and parts not in ((MANIFEST_NAME,), (ROUTES_NAME,))
        if path.is_file() and is_ours and not is_hidden and not others.intersection(path.parents):
            yield path


def _folders_of_others(model_dir: Path) -> set[Path]:
    """Return where other models of the same version are: its parent may be in the folder itself."""
    routes = read_routes(model_dir)
    paths = [child.path for child in routes.children] + [routes.parent or "."] if routes else []
    return {model_dir / path for path in paths} - {model_dir}
