"""Lays out an /opt/ml as SageMaker does (contract: docs/contracts.md), at any place on this machine."""

import json
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_WRITE_BITS = 0o222


@dataclass(frozen=True)
class OptMl:
    """The tree of one job or one instance; `root` stands for /opt/ml."""

    root: Path

    @property
    def model(self) -> Path:
        """What training leaves, and what serving reads."""
        return self.root / "model"

    @property
    def configuration(self) -> Path:
        """The folder of hyperparameters.json and its like."""
        return self.root / "input" / "config"

    @property
    def channels(self) -> Path:
        """The folder of the input channels."""
        return self.root / "input" / "data"

    @property
    def failure(self) -> Path:
        """Where `train` writes why it failed."""
        return self.root / "output" / "failure"


def lay_out_training(
    root: Path,
    hyperparameters: Mapping[str, str],
    channels: Mapping[str, Path] | None = None,
    host: str = "algo-1",
) -> OptMl:
    """Make the tree that `train` finds: configuration, channels (copied), empty model and output folders.

    Source: AWS, "How Amazon SageMaker Provides Training Information".
    """
    tree = OptMl(root)
    for folder in (tree.model, tree.configuration, tree.channels, tree.failure.parent / "data"):
        folder.mkdir(parents=True, exist_ok=True)
    for name, folder in (channels or {}).items():
        shutil.copytree(folder, tree.channels / name)
    one_channel = {
        "TrainingInputMode": "File",
        "S3DistributionType": "FullyReplicated",
        "RecordWrapperType": "None",
    }
    documents = {
        "hyperparameters.json": dict(hyperparameters),
        "inputdataconfig.json": dict.fromkeys(channels or {}, one_channel),
        "resourceconfig.json": {"current_host": host, "hosts": [host], "network_interface_name": "lo"},
    }
    for name, document in documents.items():
        (tree.configuration / name).write_text(json.dumps(document))
    return tree


def lay_out_serving(root: Path, model: Path) -> OptMl:
    """Make the tree that `serve` finds: /opt/ml/model alone, moved here from `model` and read-only.

    Source: AWS, "Custom Inference Code with Hosting Services" (how SageMaker loads your model artifacts).
    """
    tree = OptMl(root)
    root.mkdir(parents=True)
    model.rename(tree.model)
    protect(tree.model)
    return tree


def protect(model: Path) -> None:
    """Take the right to write from a folder and all in it; root may write all the same. Safe to repeat."""
    for path in [model, *model.rglob("*")]:
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & ~_WRITE_BITS)


def remove(root: Path) -> None:
    """Delete a tree, read-only parts included. Safe to repeat.

    What is another user's stays, such as a folder that root made in a Docker container.
    """
    for folder, folders, _ in os.walk(root):
        # Before the walk looks into them.
        for path in (Path(folder), *(Path(folder, name) for name in folders)):
            with suppress(OSError):
                if not path.is_symlink():
                    path.chmod(0o700)
    shutil.rmtree(root, ignore_errors=True)
