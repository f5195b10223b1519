"""The names of what is created: the same for the same request, so that doing it again finds what is there."""

import hashlib
import json
import re
from dataclasses import dataclass

from byoc.config import Spec
from byoc.deploy.seen import Inputs


@dataclass(frozen=True)
class Names:
    """The names of a deployment, each up to 63 characters; `job` is what the training job's begins with."""

    job: str
    model: str
    config: str


def names_of(spec: Spec, inputs: Inputs, *, direct: bool) -> Names:
    """Return the names of what a deployment creates.

    Each ends in a hash of all that it is made of: a changed instance type is another endpoint configuration
    of the same model, a changed image is another model too.
    """
    version = _slug(inputs.model_version)
    network = [spec.subnets, spec.security_groups]
    model = [inputs.image, inputs.role_arn, network, inputs.model_version, inputs.manifest_sha256]
    job = _name(spec.name, 20, version, [*model, spec.training_instance_type, spec.max_run])
    model_name = _name(spec.name, 30, version, [*model, spec.environment, "direct" if direct else job])
    timeouts = [spec.startup_timeout, spec.download_timeout]
    config = _name(spec.name, 30, version, [model_name, spec.instance_type, spec.instance_count, timeouts])
    return Names(job, model_name, config)


def _name(endpoint: str, most: int, version: str, content: object) -> str:
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return f"{endpoint[:most]}-{version}-{digest[:8]}"


def _slug(uri: str) -> str:
    """Return the last folder of a URI, a version's 16 hex digits, as names may have it."""
    last = uri.rstrip("/").rpartition("/")[2]
    return re.sub("[^A-Za-z0-9]+", "-", last).strip("-")[-16:].strip("-") or "version"
