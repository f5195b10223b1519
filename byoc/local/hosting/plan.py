"""What an endpoint shall run: its variants, each with the model it serves, how often and at which weight."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from byoc.local.sagemaker.models import container_of

STARTUP_TIMEOUT_S = 480  # AWS, "Custom Inference Code with Hosting Services": 8 minutes

Document = Mapping[str, Any]


@dataclass(frozen=True)
class VariantPlan:
    """One production variant, with all that is needed to start it again when its model has been deleted.

    Attributes:
        weight: its part of the sum of all variants' weights.
        count: how many instances.
        container: the model's ContainerDefinition.
        isolated: EnableNetworkIsolation of the model.
        startup_timeout_s: how long /ping may take to answer 200.
        instance_type: only told, never looked at.
    """

    name: str
    weight: float
    count: int
    container: Document
    isolated: bool = False
    startup_timeout_s: float = STARTUP_TIMEOUT_S
    instance_type: str = ""

    @property
    def image(self) -> str:
        """The image's URI."""
        return str(self.container.get("Image", ""))

    @property
    def environment(self) -> Mapping[str, str]:
        """What the model's own Environment adds."""
        return dict(self.container.get("Environment") or {})


@dataclass(frozen=True)
class Plan:
    """What an endpoint config asks for."""

    config: str
    variants: Sequence[VariantPlan] = field(default_factory=tuple)

    def document(self) -> dict[str, Any]:
        """Return it as the store keeps it."""
        return asdict(self)

    def with_counts_and_weights(self, counts: Mapping[str, int], weights: Mapping[str, float]) -> "Plan":
        """Return the same with other instance counts and weights for the variants named."""
        variants = [
            replace(
                variant,
                count=counts.get(variant.name, variant.count),
                weight=weights.get(variant.name, variant.weight),
            )
            for variant in self.variants
        ]
        return replace(self, variants=tuple(variants))


def read(document: Document) -> Plan:
    """Return the plan that Plan.document wrote down."""
    return Plan(document["config"], tuple(VariantPlan(**variant) for variant in document["variants"]))


def plan_of(config: Document, model_named: Callable[[str], Document]) -> Plan:
    """Return what an endpoint config asks for.

    Args:
        config: as CreateEndpointConfig took it.
        model_named: returns a model as CreateModel took it; raises AWS's error where there is none.
    """
    variants = [
        _variant(given, model_named(str(given["ModelName"]))) for given in config["ProductionVariants"]
    ]
    return Plan(str(config["EndpointConfigName"]), tuple(variants))


def _variant(given: Document, model: Document) -> VariantPlan:
    return VariantPlan(
        name=str(given["VariantName"]),
        weight=float(given.get("InitialVariantWeight", 1.0)),
        count=int(given.get("InitialInstanceCount", 1)),
        container=container_of(model),
        isolated=bool(model.get("EnableNetworkIsolation", False)),
        startup_timeout_s=float(given.get("ContainerStartupHealthCheckTimeoutInSeconds", STARTUP_TIMEOUT_S)),
        instance_type=str(given.get("InstanceType", "")),
    )
