"""The steps of a deployment, as data: what apply does, and what the dry run shows."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from byoc.sdk import Fit


@dataclass(frozen=True)
class UploadData:
    """Upload the files of a folder to S3."""

    folder: Path
    destination: str
    title = "Upload"

    def __str__(self) -> str:
        return f"upload {self.folder.name}/ to {self.destination}"


@dataclass(frozen=True)
class Train:
    """Start a training job and wait for it, or only wait for one that runs."""

    fit: Fit
    running: str | None = None
    title = "Train"

    def __str__(self) -> str:
        if self.running:
            return f"wait for training job {self.running}, which runs already"
        return (
            f"fit the dummy Estimator: training job {self.fit.base_name}-<time> on {self.fit.instance_type} "
            f"pulls {self.fit.hyperparameters['model_version']} (max_run {self.fit.max_run_s} s)"
        )


@dataclass(frozen=True)
class CreateModel:
    """Create a model; ModelDataUrl of the request is the training job's artefact where it is not given."""

    request: Mapping[str, Any]
    replace: bool = False
    title = "Model"

    def __str__(self) -> str:
        anew = " anew, as its data is gone" if self.replace else ""
        return (
            f"create model {self.request['ModelName']}{anew} of {self.request['PrimaryContainer']['Image']}"
        )


@dataclass(frozen=True)
class CreateConfig:
    """Create an endpoint configuration."""

    request: Mapping[str, Any]
    title = "Config"

    def __str__(self) -> str:
        variant = self.request["ProductionVariants"][0]
        return (
            f"create endpoint configuration {self.request['EndpointConfigName']}: "
            f"{variant['InitialInstanceCount']} x {variant['InstanceType']}"
        )


@dataclass(frozen=True)
class DeleteEndpoint:
    """Delete an endpoint, unless that is being done, and wait until it is gone."""

    name: str
    deleting: bool = False
    title = "Delete"

    def __str__(self) -> str:
        if self.deleting:
            return f"wait until endpoint {self.name} is gone; it is being deleted"
        return f"delete endpoint {self.name}, and wait until it is gone"


@dataclass(frozen=True)
class DeleteConfigs:
    """Delete endpoint configurations."""

    names: tuple[str, ...]
    title = "Configs"

    def __str__(self) -> str:
        return f"delete endpoint configuration {', '.join(self.names)}"


@dataclass(frozen=True)
class DeleteModels:
    """Delete models."""

    names: tuple[str, ...]
    title = "Models"

    def __str__(self) -> str:
        return f"delete model {', '.join(self.names)}"


@dataclass(frozen=True)
class CreateEndpoint:
    """Create an endpoint and wait for it."""

    name: str
    config: str
    tags: Mapping[str, str]
    title = "Deploy"

    def __str__(self) -> str:
        return f"create endpoint {self.name} with {self.config}, and wait until it is InService"


@dataclass(frozen=True)
class UpdateEndpoint:
    """Update an endpoint and wait for it."""

    name: str
    config: str
    title = "Deploy"

    def __str__(self) -> str:
        return f"update endpoint {self.name} to {self.config}, and wait until it is InService"


@dataclass(frozen=True)
class AwaitEndpoint:
    """Wait for an endpoint that is on its way to where it is wanted."""

    name: str
    config: str
    title = "Deploy"

    def __str__(self) -> str:
        return f"wait until endpoint {self.name} is InService; it is on its way to {self.config}"


@dataclass(frozen=True)
class TagEndpoint:
    """Put tags on an endpoint that is there."""

    arn: str
    tags: Mapping[str, str]
    title = "Tag"

    def __str__(self) -> str:
        return f"tag the endpoint with {', '.join(f'{key}={value}' for key, value in self.tags.items())}"


@dataclass(frozen=True)
class SmokeCall:
    """Ask the endpoint with a sample request."""

    name: str
    file: Path
    title = "Smoke"

    def __str__(self) -> str:
        return f"ask it with {self.file.name}"


Step = (
    UploadData
    | Train
    | CreateModel
    | CreateConfig
    | DeleteEndpoint
    | DeleteConfigs
    | DeleteModels
    | CreateEndpoint
    | UpdateEndpoint
    | AwaitEndpoint
    | TagEndpoint
    | SmokeCall
)
