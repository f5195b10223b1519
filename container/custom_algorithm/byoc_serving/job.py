"""What a training job asks for: mode, model version, channels and hyperparameters."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from byoc_serving.errors import SettingsError
from byoc_serving.hyperparameters import decoded, read_channel_configs, read_hyperparameters, string_of
from byoc_serving.settings import Settings, sha256_from

MODE, MODEL_VERSION, MANIFEST_SHA256 = "mode", "model_version", "model_manifest_sha256"
MODEL_CHANNEL = "model"


@dataclass(frozen=True)
class Job:
    """What the training job asks for."""

    mode: str
    model_version: str | None
    manifest_sha256: str | None
    channels: Mapping[str, Path]
    hyperparameters: Mapping[str, Any]


def read_job(settings: Settings) -> Job:
    """Return what hyperparameters, environment and channels ask for (SettingsError if they are unusable)."""
    config_dir = settings.base_dir / "input" / "config"
    raw = read_hyperparameters(config_dir)
    mode = string_of(raw, MODE) or "pull"
    if mode not in {"pull", "train"}:
        raise SettingsError(f"Hyperparameter {MODE} is {mode!r}. Give pull or train.")
    digest = settings.manifest_sha256
    if given := string_of(raw, MANIFEST_SHA256):
        digest = sha256_from(f"Hyperparameter {MANIFEST_SHA256}", given)
    return Job(
        mode=mode,
        model_version=string_of(raw, MODEL_VERSION),
        manifest_sha256=digest,
        channels=_channels(settings, read_channel_configs(config_dir)),
        hyperparameters={
            k: decoded(v) for k, v in raw.items() if k not in {MODE, MODEL_VERSION, MANIFEST_SHA256}
        },
    )


def _channels(settings: Settings, configs: Mapping[str, Any]) -> dict[str, Path]:
    data_dir = settings.base_dir / "input" / "data"
    for name, config in configs.items():
        if isinstance(config, Mapping) and config.get("TrainingInputMode") == "Pipe":
            raise SettingsError(f"Channel {name} is in Pipe mode. Use File or FastFile.")
    if not data_dir.is_dir():
        return {}
    return {path.name: path for path in sorted(data_dir.iterdir()) if path.is_dir()}
