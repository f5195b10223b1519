"""The names of what is created: the same for the same request, so that doing it again finds what is there."""

import hashlib
import json
import re
from dataclasses import dataclass

from byoc.config import Spec
from byoc.deploy.seen import Inputs

# How much of the endpoint's name a name begins with: 63 characters are allowed, and a job's gets a time, too.
CHARS = 30
_JOB_CHARS = 18


@dataclass(frozen=True)
class Names:
    """The names of a deployment, each up to 63 characters; `job` is what the training job's begins with."""

    job: str
    model: str
    config: str


def names_of(spec: Spec, inputs: Inputs, *, direct: bool) -> Names:
    """Return the names of what a deployment creates.

    Each ends in a hash of the endpoint's name, and one of all that it is made of: a changed instance type is
    another endpoint configuration of the same model, a changed image is another model too.
    """
    version = _slug(inputs.model_version)
    network = [spec.subnets, spec.security_groups]
    model = [inputs.image, inputs.role_arn, network, inputs.model_version, inputs.manifest_sha256]
    job = _name(spec.name, _JOB_CHARS, version, [*model, spec.training_instance_type, spec.max_run])
    model_name = _name(spec.name, CHARS, version, [*model, spec.environment, "direct" if direct else job])
    timeouts = [spec.startup_timeout, spec.download_timeout]
    config = _name(spec.name, CHARS, version, [model_name, spec.instance_type, spec.instance_count, timeouts])
    return Names(job, model_name, config)


def is_of(name: str, endpoint: str) -> bool:
    """Return whether a model or an endpoint configuration of this name was made for an endpoint."""
    made = rf"{re.escape(endpoint[:CHARS])}-[A-Za-z0-9-]{{1,16}}-{_hash(endpoint, 4)}[0-9a-f]{{8}}"
    return re.fullmatch(made, name) is not None


def _name(endpoint: str, most: int, version: str, content: object) -> str:
    return f"{endpoint[:most]}-{version}-{_hash(endpoint, 4)}{_hash(content, 8)}"


def _hash(content: object, digits: int) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:digits]


def _slug(uri: str) -> str:
    """Return the last folder of a URI, a version's 16 hex digits, as names may have it."""
    last = uri.rstrip("/").rpartition("/")[2]
    return re.sub("[^A-Za-z0-9]+", "-", last).strip("-")[-16:].strip("-") or "version"
